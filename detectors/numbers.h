// What the detectors share in arithmetic: bounded ratios, forgetting by time, soundness of restored
// states.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "core/reading.h"
#include "core/time.h"

namespace millwright::detectors {

// std::clamp, by value: what that refers to must lie in memory, and its choice becomes a jump.
template <class T>
constexpr T within(T value, std::type_identity_t<T> low, std::type_identity_t<T> high) {
  const T raised = value < low ? low : value;
  return high < raised ? high : raised;
}

// A ratio beyond this says no more; the cap keeps every score finite.
inline constexpr double largest_ratio = 1e6;

inline double ratio_of(double statistic, double limit) {
  if (!(statistic > 0)) return 0;
  return statistic < limit * largest_ratio ? statistic / limit : largest_ratio;
}

// -0.0 and 0.0 are one value; kept apart they would make restored bytes differ.
inline double without_sign_of_zero(double value) { return value + 0.0; }

// The share of the past that is forgotten over `elapsed`, with time constant `memory` but at least
// `readings` readings: silence does not forget, and a slow sensor keeps enough readings to know
// itself.
inline double forgotten(Duration elapsed, Duration memory, double readings) {
  const double share = to_seconds(elapsed) / std::max(to_seconds(memory), 1e-6);
  return within(share, 0, 1.0 / readings);
}

// The mean of `count` values so far, with one more: of all while they are few, then of about the
// newest `most`.
inline double mean_with(double mean, std::uint64_t count, double value, double most) {
  return mean + std::max(1 / most, 1 / static_cast<double>(count)) * (value - mean);
}

// The deviation of a normal distribution over its mean absolute deviation: sqrt(pi / 2).
inline constexpr double normal_size = 1.2533;

// What is kept as float stays finite.
inline float as_float(double value) { return static_cast<float>(within(value, -1e37, 1e37)); }

// The element at a place that arithmetic with signs led to.
constexpr auto& at(auto& array, int place) { return array[static_cast<std::size_t>(place)]; }

// Calls f(0), f(1), ... f(count - 1), each with a constant: a short loop over a table that is known
// while compiling, without the loop and the table.
template <std::size_t count>
void for_each_constant(auto&& f) {
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (f(std::integral_constant<std::size_t, i>{}), ...);
  }
  (std::make_index_sequence<count>{});
}

// Differences of times that saturate: restored or configured extremes must not overflow.
inline Duration elapsed_between(Timestamp from, Timestamp to) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(to_microseconds(to), to_microseconds(from), &difference)) {
    return to > from ? Duration::max() : Duration::zero();
  }
  return Duration{std::max<std::int64_t>(difference, 0)};
}

// While loading: what follows cannot be a state of ours. While saving: nothing.
template <class Io>
void refuse_unless(Io& io, bool sound) {
  if constexpr (requires { io.fail(); }) {
    if (!sound) io.fail();
  }
}

// Readings and what is learned of them stay below this; squares do not.
inline constexpr double largest_learned = 1e3 * largest_magnitude;
inline constexpr double largest_square = 1e250;

template <class... T>
bool in_bounds(T... values) {
  return ((std::abs(values) <= largest_learned) && ...);  // false for NaN
}
template <class... T>
bool positive_in_bounds(T... values) {
  return ((values >= 0 && values <= largest_learned) && ...);
}

}  // namespace millwright::detectors
