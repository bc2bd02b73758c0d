// How loud a sensor fluctuates at each pace, against its own past: energies of a bank of
// resonators.
//
//   z_t = rho e^(i omega) z_(t-1) + c_t,   rho = exp(-pi / (P Q)),   omega = 2 pi / P
//
// c is the change between two readings in units of its usual size, clipped: a change of program is
// no oscillation. Six periods P from 3 readings on, each 5/3 of the one before, with Q = 2.5, cover
// 2.5 to 50 readings. The fourth root of the energy |z|^2, which makes an exponential variable
// nearly normal (Hawkins and Wixley 1986, Am. Stat. 40:296), is averaged over a window and held
// against its mean over a past of many windows, in units of its usual deviation. A swing shows in
// one band however loud the others are; noise that grows or is lost shows in all, most in those in
// which the signal is quiet. Cost: one band is averaged with each reading. State: 136 bytes.
//
// A machine that stands still is quiet in every band. What is usual at work is then learned more
// slowly, or a weekend would make it usual to be quiet and the restart on Monday news.
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

  // Readings that an average remembers, and those that what is usual is of. `may_rest`: the window
  // is shorter than a machine stands still. `doubtful`: what is heard now is not what is usual.
  struct Memory {
    double window = 0, past = 0;
    bool may_rest = false, doubtful = false;
  };

  // `change`: from the reading before.
  void learn(double change, const Memory& memory) {
    if (known_ < most) ++known_;
    const bool rest = rests(memory);
    const Pace pace{.rests = rest, .slow = rest || memory.doubtful, .past = memory.past};
    const double size = std::abs(change);
    const double usual = known_ > settled ? std::min(size, 4.0 * step_) : size;
    step_ = as_float(step_ + pace.share(1, known_) * (usual - step_));
    swing(as_float(size > widest * step_ ? std::copysign(widest, change)
                   : step_ > 0           ? change / step_
                                         : 0));
    if (known_ > settled) average(known_ % count, memory.window, pace);
  }
  bool known(const Memory& memory) const { return known_ > least_windows * memory.window; }
  // All are far more quiet than usual: the machine stands still, or its noise is lost.
  bool rests(const Memory& memory) const {
    if (!memory.may_rest || !known(memory)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (now_[i] >= still * usual_[i]) return false;
    }
    return true;
  }

  // The band that is furthest above usual, or all of them together, in their own mean deviations;
  // not below 0.
  double louder() const { return furthest(1); }
  // Likewise, on either side.
  double unusual() const { return std::max(furthest(1), furthest(-1)); }
  // How far below usual for two windows and longer: what only passes on its way to a standstill, or
  // back, is so for less than one. 0 at rest.
  double quieter() const { return quieter_; }

  static void fields(auto& io, auto& self) {
    io(self.real_, self.imaginary_, self.now_, self.usual_, self.deviation_, self.all_, self.step_,
       self.known_, self.quieter_);
    bool sound = self.step_ >= 0 && in_bounds(self.step_) && self.all_ >= 0 &&
                 self.all_ <= largest && self.known_ <= most && self.quieter_ >= 0 &&
                 self.quieter_ <= largest;
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
  static constexpr float still = 0.5F;              // of the usual value: a sixteenth of the energy
  static constexpr double at_rest = 1.0 / 64;       // of the pace at work
  static constexpr double quiet_windows = 2;        // a standstill is known before that
  static constexpr double least_windows = 10;       // known before anything is said
  static constexpr float least_deviation = 0.005F;  // of the usual value: a clockwork is no noise
  static constexpr float silence = 1e-12F;          // an energy that is none
  static constexpr float largest = 1e6F;
  static constexpr std::uint32_t settled = 100, most = 1U << 30U;

  // How fast what is usual is learned: what is averaged is of all until the past is full.
  struct Pace {
    bool rests = false, slow = false;
    double past = 0;
    double share(double readings, double values) const {
      if (slow) return at_rest * readings / past;
      return std::max(1 / values, readings / past);
    }
  };
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
  void average(std::size_t i, double window, const Pace& pace) {
    const float energy = real_[i] * real_[i] + imaginary_[i] * imaginary_[i];
    if (energy < silence) real_[i] = imaginary_[i] = 0;
    const float root = energy < silence ? 0 : std::sqrt(std::sqrt(energy));
    const double turns = std::floor((known_ - settled - 1.0) / count) + 1, share = count / window;
    now_[i] += static_cast<float>(std::max(1 / turns, share)) * (root - now_[i]);
    usual_[i] += static_cast<float>(pace.share(count, turns)) * (root - usual_[i]);
    const double windows = turns * share;
    if (pace.rests || windows < 2) {
      quieter_ = 0;
      return;
    }
    const auto rate = static_cast<float>(pace.share(count, turns - 2 / share + 1));
    const auto follow = [&](float& usual, float size) {
      usual += rate * ((windows > least_windows ? std::min(size, 6 * usual) : size) - usual);
    };
    follow(deviation_[i], std::abs(now_[i] - usual_[i]));
    if (i != 0) return;
    follow(all_, static_cast<float>(std::min(std::abs(together()), 1e3)));
    const double slow = share / quiet_windows;
    quieter_ += static_cast<float>(slow * (std::min<double>(furthest(-1), 1e3) - quieter_));
  }
  double furthest(double sign) const {
    double far = all_ > 0 ? std::max(0.0, sign * together() / all_) : 0;
    for (std::size_t i = 0; i < count; ++i) far = std::max(far, sign * deviations(i));
    return far;
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
  float quieter_ = 0;  // deviations below usual, averaged over two windows
};

}  // namespace millwright::detectors
