// One sensor under one detector, for the tests of that detector.
#pragma once

#include <optional>

#include "core/random.h"
#include "detectors/detector.h"

namespace millwright::detectors {

inline constexpr Timestamp epoch = from_microseconds(1'732'250'000'000'000);

template <Detector D>
struct One {
  typename D::Params params{};
  typename D::State state{};
  Timestamp time = epoch;  // of the next reading
  Duration spacing = std::chrono::seconds{1};
  std::optional<Score> last{};

  // The ratio of the next reading, -1 while warming up. Suspicious is what scores 1 or more.
  double feed(double value) {
    const Sample sample{time, value};
    last = D::score(params, state, sample);
    D::learn(params, state, sample, last && last->ratio >= 1 ? Trust::suspicious : Trust::normal);
    time += spacing;
    return last ? last->ratio : -1;
  }
};

}  // namespace millwright::detectors
