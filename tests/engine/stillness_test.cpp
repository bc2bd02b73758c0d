// A sensor that stands still because its machine does is not stuck.
#include "engine/stillness.h"

#include <doctest/doctest.h>

#include <array>

#include "core/random.h"
#include "tests/engine/harness.h"

using namespace millwright;
using namespace millwright::engine;

namespace {

constexpr int sensors = 4;

// Four sensors that say something every ten seconds; from `stop[s]` on, sensor s stands still,
// until `end`.
Rig world(std::array<double, sensors> stop, double end, bool reverse = false) {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"stuck", {}}}));
  plan.machines.push_back({});
  plan.machines[0].watched = false;
  Rig rig{std::move(plan)};
  Random random{99};
  std::array<double, sensors> value{};
  for (int i = 0; i < 3000; ++i) {
    const double t = 10.0 * i;
    for (int k = 0; k < sensors; ++k) {
      const auto s = static_cast<std::size_t>(reverse ? sensors - 1 - k : k);
      const double fresh = random.normal();
      if (t < stop[s] || t >= end) value[s] = fresh;
      rig.reading("R1", "s" + std::to_string(s), t + 0.1 * k, value[s]);
    }
  }
  return rig;
}

constexpr double never = 1e9;

}  // namespace

TEST_CASE("one sensor that stands still among others that move is stuck") {
  const auto rig = world({10000, never, never, never}, never);
  CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
}

TEST_CASE("sensors that come to rest with their machine are not stuck, whoever comes first") {
  for (const bool reverse : {false, true}) {
    // They settle one after another; the last one moves on, as a temperature does.
    const auto rig = world({10000, 10060, 10100, never}, 20000, reverse);
    CHECK(rig.ids_of(AlertEvent::raised).empty());
    // Nor does it teach: what was seen at rest is held.
    CHECK(rig.engine.outcomes()[Outcome::held] > 1000);
    CHECK(rig.engine.outcomes()[Outcome::faulty] == 0);
  }
}

TEST_CASE("all sensors that freeze in one moment have a source that repeats itself") {
  const auto rig = world({10000, 10000, 10000, 10000}, never);
  CHECK(rig.ids_of(AlertEvent::raised).size() == 4);
}

TEST_CASE("a sensor that stays when its machine moves again is stuck") {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"stuck", {}}}));
  Rig rig{std::move(plan)};
  Random random{98};
  std::array<double, 4> value{};
  for (int i = 0; i < 3000; ++i) {
    const double t = 10.0 * i;
    for (std::size_t s = 0; s < 4; ++s) {
      const double begins = 10000 + 50.0 * double(s), ends = s == 0 ? never : 20000;
      const double fresh = random.normal();
      if (t < begins || t >= ends || s == 3) value[s] = fresh;
      rig.reading("R1", "s" + std::to_string(s), t, value[s]);
    }
    if (t < 20000) REQUIRE(rig.effects.alerts.empty());
  }
  REQUIRE(rig.ids_of(AlertEvent::raised).size() == 1);
  CHECK(rig.effects.alerts[0].sensor == "s0");
  CHECK(rig.effects.alerts[0].time < at(20100));
  CHECK(rig.effects.alerts[0].onset < at(10020));  // since it stands still
}

TEST_CASE("switches and set points say nothing of whether the machine rests") {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"stuck", {}}}));
  Rig rig{std::move(plan)};
  Random random{97};
  double value = 0;
  for (int i = 0; i < 2000; ++i) {
    const double t = 10.0 * i;
    for (int s = 0; s < 5; ++s) rig.reading("R1", "switch" + std::to_string(s), t, i / 500);
    if (t < 10000) value = random.normal();
    rig.reading("R1", "temp", t, value);
  }
  CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
}
