// What a reading should be by the two before it and the two after: the best linear interpolation
// about a moving level, learned as the series goes.
//
//   i_t = m + a (x_(t-1) + x_(t+1) - 2 m) + b (x_(t-2) + x_(t+2) - 2 m)
//
// a and b solve the normal equations of the autocovariances at lags 0 to 4 (least squares; of a
// symmetric neighbourhood only the two sums count). On white noise both go to zero and the
// residual is the reading's distance from the level; on a process that wanders or turns it is what
// cannot be explained from either side, 0.32 of the marginal deviation for AR(1) with 0.9. The sum
// of the residuals over a burst is the matched filter of one (Kay 1998, Fundamentals of Statistical
// Signal Processing II, 4.4): for AR(1) the inverse covariance is that interpolation.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

class Neighbours {
 public:
  static constexpr std::size_t reach = 2;  // values on either side

  // Of the values before and after by one, and by two.
  struct Weights {
    double near = 0, far = 0;
  };

  bool known() const { return count_ >= least && covariance_[0] > 0; }
  std::uint32_t count() const { return count_; }  // values known
  // The deviation of a value from its interpolation, as the autocovariances have it.
  double error() const {
    const auto w = weights();
    const double c0 = covariance_[0], c1 = covariance_[1], c2 = covariance_[2];
    return std::sqrt(std::max(0.0, c0 - 2 * (w.near * c1 + w.far * c2)));
  }
  // The mean size of a change between neighbours, were the process normal.
  double usual_step() const {
    return known() ? mean_of_normal * std::sqrt(2 * std::max(0.0F, covariance_[0] - covariance_[1]))
                   : 0;
  }
  // None as long as little is known: then the level is the best guess.
  Weights weights() const {
    const double variance = covariance_[0];
    if (!known()) return {};
    const auto r = [&](std::size_t lag) { return covariance_[lag] / variance; };
    const double a = 1 + ridge + r(2), b = r(1) + r(3), d = 1 + ridge + r(4);
    const double determinant = a * d - b * b;
    // Outliers are clipped, so the estimate need not be that of any process.
    if (!(determinant > ridge * a * d)) return {0.5, 0};
    return {(r(1) * d - r(2) * b) / determinant, (r(2) * a - r(1) * b) / determinant};
  }
  // How far the value `back` from the newest lies from its interpolation; at(k): the k-th newest.
  static double residual(const Weights& w, double level, std::size_t back, auto&& at) {
    return at(back) - level - w.near * (at(back - 1) - level + at(back + 1) - level) -
           w.far * (at(back - 2) - level + at(back + 2) - level);
  }

  // `ring`: the values before x, newest first. What lies further from the level than `clip` counts
  // as that far: an outlier teaches no dynamics.
  void learn(double x, double level, double clip, const auto& ring) {
    const auto centred = [&](double v) { return within(v - level, -clip, clip); };
    if (count_ < most) ++count_;
    const double rate = count_ < 1 / slowest ? 1.0 / count_ : slowest, newest = centred(x);
    for (std::size_t lag = 0; lag < lags; ++lag) {
      const double product = newest * (lag == 0 ? newest : centred(ring[lag - 1]));
      const double moved = covariance_[lag] + rate * (product - covariance_[lag]);
      covariance_[lag] = static_cast<float>(within(moved, -largest, largest));
    }
  }

  static void fields(auto& io, auto& self) {
    io(self.covariance_, self.count_);
    bool sound = self.count_ <= most && self.covariance_[0] >= 0;
    for (const float c : self.covariance_) sound = sound && std::abs(c) <= largest;
    refuse_unless(io, sound);
  }

 private:
  static constexpr std::size_t lags = 2 * reach + 1;
  static constexpr double slowest = 0.001;  // two weights from a thousand values: 0.1 % worse
  static constexpr double mean_of_normal = 0.7978845608;  // size of a standard normal value
  static constexpr double ridge = 1e-4;                   // of the variance
  static constexpr float largest = 1e30F;                 // of a square, kept as float
  static constexpr std::uint32_t least = 60, most = 100000;

  std::array<float, lags> covariance_{};
  std::uint32_t count_ = 0;
};

}  // namespace millwright::detectors
