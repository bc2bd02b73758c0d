// Where the upper twentieth of a statistic begins, followed one value at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

// The logarithm to base 2 of a statistic u >= 0; what is not above zero has none.
inline constexpr float largest_log2 = 1000, no_log2 = -4 * largest_log2;
inline float log2_of(double u) {
  if (!(u > 0)) return no_log2;
  constexpr int mantissa_bits = 52, most = 0x7ff;
  constexpr std::uint64_t mantissa_mask = (std::uint64_t{1} << mantissa_bits) - 1,
                          half = std::uint64_t{0x3fe} << mantissa_bits;
  const auto bits = std::bit_cast<std::uint64_t>(u);
  int exponent = static_cast<int>(bits >> mantissa_bits);
  double mantissa = 0;  // in [0.5, 1)
  if (exponent > 0 && exponent < most) {
    // frexp without its call: it is asked some twenty times a reading.
    mantissa = std::bit_cast<double>((bits & mantissa_mask) | half);
    exponent -= 0x3fe;
  } else {
    mantissa = std::frexp(u, &exponent);
  }
  return within(static_cast<float>(exponent) + std::log2(static_cast<float>(mantissa)),
                -largest_log2, largest_log2);
}

// Stochastic approximation of the 95 % quantile of log2 u, in octaves: steps in proportion to the
// spread of the values around it, at last 1/16000 of it (Robbins and Monro 1951, Ann. Math. Stat.
// 22:400).
class UpperShare {
 public:
  static constexpr double share = 0.05;

  float begins() const { return started() ? begins_ : 0; }  // octaves
  float count() const { return count_; }                    // values known
  // Octaves by which the value lies beyond where the share began; not above 0: within.
  float learn(float log2u) {
    count_ = std::min(count_ + 1, most_count);
    if (log2u == no_log2) {
      if (started()) lower(3 * spread_ * step() * share);
      return 0;
    }
    if (!started()) begins_ = log2u;
    const float difference = log2u - begins_;
    // Compared first: where much is known, nothing is divided.
    const double rate = count_ < quick_count ? 1.0 / count_ : 1.0 / quick_count;
    spread_ += static_cast<float>(rate * (std::min(std::abs(difference), 8.0F) - spread_));
    const double move = 3 * spread_ * step();
    if (difference <= 0) {
      lower(move * share);
    } else {
      begins_ = static_cast<float>(std::min(begins_ + move * (1 - share), double{largest_log2}));
    }
    return difference;
  }

  static void fields(auto& io, auto& self) {
    io(self.count_, self.begins_, self.spread_);
    refuse_unless(io, self.count_ >= 0 && self.count_ <= most_count &&
                          std::abs(self.begins_) <= -no_log2 && self.spread_ >= 0 &&
                          self.spread_ <= 4 * largest_log2);
  }

 private:
  static constexpr float most_count = 1e6F;
  static constexpr float quick_count = 500, slow_count = 16000;  // memories, values

  double step() const { return 1.0 / std::min(count_, slow_count); }
  void lower(double by) {
    begins_ = static_cast<float>(std::max(begins_ - by, -double{largest_log2}));
  }

  // By the first value above zero.
  bool started() const { return begins_ > no_log2; }

  float count_ = 0, begins_ = no_log2, spread_ = 1;
};

}  // namespace millwright::detectors
