// False alerts of all detectors together on simulated healthy sensors. The full figure:
//   MILLWRIGHT_TEST_SCALE=full test_detectors -tc='healthy*' -s
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/detectors/watch.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

TEST_CASE("healthy sensors raise fewer than one alert a month on every background") {
  const int sensors = test::scaled(4, 100);
  constexpr int readings = 30 * 1440;  // a month at one-minute spacing
  for (const auto& background : backgrounds) {
    int alerts = 0;
    for (int sensor = 0; sensor < sensors; ++sensor) {
      Watch watch;
      Random random{1000 + static_cast<std::uint64_t>(sensor)};
      double memory = 0;
      for (int i = 0; i < readings; ++i) {
        watch.feed(
            {test_start + i * std::chrono::minutes{1}, background.value(random, i * 60.0, memory)});
      }
      alerts += watch.total();
    }
    CAPTURE(background.name);
    const double rate = static_cast<double>(alerts) / sensors;
    MESSAGE(fmt::format("{}: {:.3f} alerts per sensor and month", background.name, rate));
    CHECK(rate < 1);
  }
}

}  // namespace
}  // namespace millwright::detectors
