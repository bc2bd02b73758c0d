// What the slow detectors share: readings condensed to block means, the spread that outliers are
// clipped to, and the quantiles of Student's t that few blocks call for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/time.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

// Mean and variance of clipped readings: one outlier moves them little, and a new level that stays
// widens them within a few hundred readings.
struct ClippedMean {
  static constexpr std::uint64_t settled =
      20;                            // readings after which there is something to clip to
  static constexpr double clip = 5;  // deviations

  std::uint64_t count = 0;
  double mean = 0, variance = 0;
  static void fields(auto& io, auto& self) {
    io(self.count, self.mean, self.variance);
    refuse_unless(io,
                  in_bounds(self.mean) && self.variance >= 0 && self.variance <= largest_square);
  }

  double deviation() const { return std::sqrt(variance); }
  double clipped(double value, double centre) const {
    if (count < settled || variance <= 0) return value;
    return std::clamp(value, centre - clip * deviation(), centre + clip * deviation());
  }
  // Weighs the new reading with `share`, but no less than a plain average would.
  void add(double value, double share) {
    const double difference = clipped(value, mean) - mean;
    const double rate = std::max(share, 1 / static_cast<double>(++count));
    mean += rate * difference;
    variance += rate * ((1 - rate) * difference * difference - variance);
  }
};

// A block lasts a given time, but takes at least so many readings: the same for slow sensors and
// fast ones.
struct Block {
  Timestamp begin{}, last{};
  std::uint32_t count = 0;
  double mean = 0, variance = 0;  // of the readings in it
  static void fields(auto& io, auto& self) {
    io(self.begin, self.last, self.count, self.mean, self.variance);
    refuse_unless(io,
                  in_bounds(self.mean) && self.variance >= 0 && self.variance <= largest_square);
  }

  bool due(Timestamp now, Duration length, std::uint32_t least) const {
    return count >= least && count > 0 && elapsed_between(begin, now) >= length;
  }
  void add(Timestamp time, double value) {
    if (count == 0) begin = time;
    last = time;
    if (count < UINT32_MAX) ++count;
    const double rate = 1.0 / count, difference = value - mean;
    mean = without_sign_of_zero(mean + rate * difference);
    variance += rate * ((1 - rate) * difference * difference - variance);
  }
  Timestamp middle() const { return begin + elapsed_between(begin, last) / 2; }
};

// The value that Student's t with `freedom` degrees exceeds as rarely as a standard normal exceeds
// `sigma` (Wallace 1959, Ann. Math. Stat. 30:1124; within a few percent from 3 degrees on).
inline double student(double sigma, double freedom) {
  const double n = std::max(freedom, 1.0);
  const double u = sigma * (8 * n + 3) / (8 * n + 1);
  return std::sqrt(n * std::expm1(std::min(u * u / n, 50.0)));
}

}  // namespace millwright::detectors
