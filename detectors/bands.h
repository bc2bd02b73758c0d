// How loud a sensor fluctuates at each pace, against its own past: energies of a bank of
// resonators.
//
//   z_t = rho e^(i omega) z_(t-1) + c_t,   rho = exp(-pi / (P Q)),   omega = 2 pi / P
//
// c is the change between two readings in units of its usual size, clipped: a change of program is
// no oscillation. Six periods P from 3 readings on, each 5/3 of the one before, with Q = 2.5, cover
// 2.5 to 50 readings. The fourth root of the energy |z|^2, which makes an exponential variable
// nearly normal (Hawkins and Wixley 1986, Am. Stat. 40:296), is averaged over a window and held
// against its mean over 25 windows, in units of its usual deviation. A swing shows in one band
// however loud the others are; noise that grows or is lost shows in all, most in those in which the
// signal is quiet. Cost: one band is averaged with each reading. State: 140 bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "detectors/numbers.h"

namespace millwright::detectors {

class Bands {
 public:
  static constexpr std::size_t count = 6;

  // `change`: from the reading before; `window`: readings that an average remembers.
  void learn(double change, double window) {
    if (known_ < most) ++known_;
    const double size = std::abs(change), past = long_windows * window;
    const double usual = known_ > settled ? std::min(size, 4.0 * step_) : size;
    step_ = as_float(step_ + std::max(1.0 / known_, 1 / past) * (usual - step_));
    swing(as_float(size > widest * step_ ? std::copysign(widest, change)
                   : step_ > 0           ? change / step_
                                         : 0));
    if (known_ > settled) average(known_ % count, window);
  }
  bool known(double window) const { return known_ > least_windows * window; }

  // The band that is furthest from usual, or all of them together, in their own mean deviations;
  // below zero: more quiet.
  double unusual() const {
    double furthest = all_ > 0 ? together() / all_ : 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::abs(deviations(i)) > std::abs(furthest)) furthest = deviations(i);
    }
    return furthest;
  }

  static void fields(auto& io, auto& self) {
    io(self.real_, self.imaginary_, self.now_, self.usual_, self.deviation_, self.all_, self.step_,
       self.known_);
    bool sound = self.step_ >= 0 && in_bounds(self.step_) && self.all_ >= 0 &&
                 self.all_ <= largest && self.known_ <= most;
    for (std::size_t i = 0; i < count; ++i) {
      for (const float v : {self.real_[i], self.imaginary_[i]})
        sound = sound && std::abs(v) <= largest;
      for (const float v : {self.now_[i], self.usual_[i], self.deviation_[i]})
        sound = sound && v >= 0 && v <= largest;
    }
    refuse_unless(io, sound);
  }

 private:
  static constexpr double shortest = 3, ratio = 5.0 / 3, quality = 2.5;
  static constexpr double widest = 4;               // usual changes
  static constexpr double long_windows = 25;        // of what is usual
  static constexpr double least_windows = 10;       // known before anything is said
  static constexpr float least_deviation = 0.005F;  // of the usual value: a clockwork is no noise
  static constexpr float silence = 1e-12F;          // an energy that is none
  static constexpr float largest = 1e6F;
  static constexpr std::uint32_t settled = 100, most = 1U << 30U;

  struct Turn {
    std::array<float, count> cosine{}, sine{};
  };
  static const Turn& turn() {
    static const Turn table = [] {
      Turn out;
      double period = shortest;
      for (std::size_t i = 0; i < count; ++i, period *= ratio) {
        const double kept = std::exp(-std::numbers::pi / (period * quality));
        out.cosine[i] = static_cast<float>(kept * std::cos(2 * std::numbers::pi / period));
        out.sine[i] = static_cast<float>(kept * std::sin(2 * std::numbers::pi / period));
      }
      return out;
    }();
    return table;
  }
  void swing(float by) {
    const auto& [cosine, sine] = turn();
    for (std::size_t i = 0; i < count; ++i) {
      const float real = cosine[i] * real_[i] - sine[i] * imaginary_[i] + by;
      imaginary_[i] = sine[i] * real_[i] + cosine[i] * imaginary_[i];
      real_[i] = real;
    }
  }
  void average(std::size_t i, double window) {
    const float energy = real_[i] * real_[i] + imaginary_[i] * imaginary_[i];
    if (energy < silence) real_[i] = imaginary_[i] = 0;
    const float root = energy < silence ? 0 : std::sqrt(std::sqrt(energy));
    const double turns = std::floor((known_ - settled - 1.0) / count) + 1, share = count / window,
                 slow = std::max(1 / turns, share / long_windows);
    now_[i] += static_cast<float>(std::max(1 / turns, share)) * (root - now_[i]);
    usual_[i] += static_cast<float>(slow) * (root - usual_[i]);
    const double windows = turns * share;
    if (windows < 2) return;
    const auto rate =
        static_cast<float>(std::max(1 / (turns - 2 / share + 1), share / long_windows));
    const auto follow = [&](float& usual, float size) {
      usual += rate * ((windows > least_windows ? std::min(size, 6 * usual) : size) - usual);
    };
    follow(deviation_[i], std::abs(now_[i] - usual_[i]));
    if (i == 0) follow(all_, static_cast<float>(std::min(std::abs(together()), 1e3)));
  }
  double deviations(std::size_t i) const {
    const float unit = std::max(deviation_[i], least_deviation * usual_[i]);
    return unit > 0 ? (now_[i] - usual_[i]) / unit : 0;
  }
  double together() const {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += deviations(i);
    return sum / count;
  }

  std::array<float, count> real_{}, imaginary_{};  // of z
  std::array<float, count> now_{}, usual_{}, deviation_{};
  float all_ = 0;   // usual deviation of all bands together
  float step_ = 0;  // usual size of a change
  std::uint32_t known_ = 0;
};

}  // namespace millwright::detectors
