// Robust lines through a few points: what `trend` and the prognosis of a machine share. The median
// of all pairwise slopes (Theil 1950, Sen 1968) bears 29 % of bad points and has 95 % of the
// efficiency of least squares.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "detectors/numbers.h"

namespace millwright::detectors {

inline constexpr double slope_efficiency = 0.95;

// Reorders the values.
inline double median_of(double* values, std::size_t count) {
  auto* middle = values + count / 2;
  std::nth_element(values, middle, values + count);
  return std::clamp(*middle, -largest_learned, largest_learned);
}

// The median slope of the pairs among the points from..to-1 that `belongs(i, k)` takes; nothing
// where fewer than `least` of them differ in time.
template <std::size_t most>
std::optional<double> median_slope(const auto& times, const auto& values, std::size_t from,
                                   std::size_t to, std::size_t least, auto&& belongs) {
  std::array<double, most*(most - 1) / 2> slopes;
  std::size_t count = 0;
  for (std::size_t i = from; i < to; ++i) {
    for (std::size_t k = i + 1; k < to; ++k) {
      const double time = times[k] - times[i];
      if (time <= 0 || !belongs(i, k)) continue;
      slopes[count++] = (values[k] - values[i]) / time;
    }
  }
  if (count < least) return std::nullopt;
  return median_of(slopes.data(), count);
}

// How many independent points `count` neighbouring residuals of a line are worth, by their sum of
// squares and of products with their neighbours (Santer 2000). Residuals of a fitted line look less
// correlated than they are, by about (2 + 4 rho) / count.
inline double independent_of(double squares, double neighbours, std::size_t count) {
  const auto n = static_cast<double>(count);
  const double rho = squares > 0 ? neighbours / squares : 0;
  const double correlated = std::clamp(rho + (2 + 4 * rho) / n, 0.0, 0.7);
  return n * (1 - correlated) / (1 + correlated);
}

}  // namespace millwright::detectors
