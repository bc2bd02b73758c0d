// False alerts of each detector by itself on simulated healthy sensors. The full figure:
//   MILLWRIGHT_TEST_SCALE=full test_detectors -tc='healthy*' -s
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <string>

#include "tests/detectors/watch.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

TEST_CASE(
    "healthy sensors raise fewer than one alert a month in each detector on every background") {
  const int sensors = test::scaled(4, 100);
  constexpr int readings = 30 * 1440;  // a month at one-minute spacing
  for (const auto& background : backgrounds) {
    std::array<int, detector_count> alerts{};
    for (int sensor = 0; sensor < sensors; ++sensor) {
      Watch watch;
      Random random{1000 + static_cast<std::uint64_t>(sensor)};
      double memory = 0;
      for (int i = 0; i < readings; ++i) {
        watch.feed(
            {test_start + i * std::chrono::minutes{1}, background.value(random, i * 60.0, memory)});
      }
      for (std::size_t i = 0; i < detector_count; ++i) alerts[i] += watch.alerts[i];
    }
    for (std::size_t i = 0; i < detector_count; ++i) {
      // Composites of many features, with an alarm rate of their own: auto_test.cpp.
      if (types()[i].name == "auto" || types()[i].name == "precise") continue;
      const double rate = static_cast<double>(alerts[i]) / sensors;
      const auto what = fmt::format("{}, {}: {:.3f} alerts per sensor and month", background.name,
                                    types()[i].name, rate);
      CHECK_MESSAGE(rate < 1, what);
    }
  }
}

}  // namespace
}  // namespace millwright::detectors
