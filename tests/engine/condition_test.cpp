// The health of a machine as the engine tells it.
#include "engine/condition.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/random.h"
#include "engine/whole.h"
#include "tests/engine/harness.h"

namespace millwright::engine {
namespace {

constexpr int learned = 300;  // rows, a minute apart

Plan health_plan(double limit = 6) {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"limit", {{"high", 1000}}}}));
  MachineProfile machine;
  machine.parameters = {{"warmup", learned}, {"learning_s", 0}, {"health_limit", limit}};
  machine.alarm.on_delay = Duration{0};
  plan.machines.push_back(machine);
  return plan;
}

// A gearbox whose temperature rises by a deviation in 80 minutes from row 600 on.
void run_gearbox(Rig& rig, int from, int to, int worn_from = 600) {
  Random random{static_cast<std::uint64_t>(from) + 3};
  for (int row = from; row < to; ++row) {
    const double wear = std::max(0.0, (row - worn_from) / 80.0);
    rig.reading("G1", "temp", 60.0 * row, 50 + random.normal() + wear);
    rig.reading("G1", "current", 60.0 * row, 10 + random.normal());
    rig.reading("G1", "speed", 60.0 * row, 300 + random.normal());
  }
}

TEST_CASE("the health of a machine is told once it is learned, and falls as it wears") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, learned);
  CHECK(rig.effects.health.empty());
  run_gearbox(rig, learned, 600);
  REQUIRE(!rig.effects.health.empty());
  const auto first = rig.effects.health.front();
  CHECK(first.machine == "G1");
  CHECK(first.baseline == 1);
  REQUIRE(first.index);
  CHECK(*first.index > 98);
  CHECK(!first.forecast);
  for (const auto& health : rig.effects.health) CHECK(*health.index > 95);
  run_gearbox(rig, 600, 1200);
  const auto& last = rig.effects.health.back();
  CHECK(*last.index < 70);
  CHECK(*last.trend < 0);
  CHECK(std::any_of(last.parts.begin(), last.parts.end(),
                    [](const HealthPart& part) { return part.name == "drift"; }));
  REQUIRE(!last.contributors.empty());
  CHECK(last.contributors.front().sensor == "temp");
  REQUIRE(last.forecast);
  CHECK(last.forecast->limit == 0);
  CHECK(last.forecast->earliest <= last.forecast->reaches);
  CHECK(last.forecast->reaches <= *last.forecast->latest);
}

TEST_CASE("the alert of the machine says when its health will be gone") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 1200);
  const auto& alerts = rig.effects.alerts;
  const auto told = std::find_if(alerts.begin(), alerts.end(), [](const Alert& alert) {
    return alert.sensor == whole_machine && alert.forecast.has_value();
  });
  REQUIRE(told != alerts.end());
  CHECK(told->forecast->limit == 0);
  CHECK(told->message.find("its health is gone ") != std::string::npos);
}

TEST_CASE("health is told when it has changed, and else once an hour") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 1200);
  const auto& told = rig.effects.health;
  REQUIRE(told.size() > 15);
  for (std::size_t i = 1; i < told.size(); ++i) {
    const auto since = told[i].time - told[i - 1].time;
    CHECK(since >= std::chrono::minutes{1});
    CHECK(since <= std::chrono::hours{1});
    const bool moved = std::abs(*told[i].index - *told[i - 1].index) >= 2 ||
                       told[i].forecast.has_value() || told[i - 1].forecast.has_value();
    CHECK((moved || since == std::chrono::hours{1}));
  }
}

TEST_CASE("after a service nothing is known of the health, and no forecast comes from before") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 1200);
  REQUIRE(rig.effects.health.back().forecast);
  rig.effects.clear();
  REQUIRE(rig.renew(Event::Kind::serviced, 60 * 1200, "G1"));
  REQUIRE(rig.effects.health.size() == 1);
  const auto unknown = rig.effects.health.back();
  CHECK(!unknown.index);
  CHECK(!unknown.forecast);
  CHECK(!unknown.trend);
  CHECK(unknown.parts.empty());
  CHECK(unknown.baseline == 2);
  rig.effects.clear();
  run_gearbox(rig, 1201, 1201 + learned, 100000);
  CHECK(rig.effects.health.empty());
  run_gearbox(rig, 1201 + learned, 2000, 100000);
  REQUIRE(!rig.effects.health.empty());
  for (const auto& health : rig.effects.health) {
    CHECK(health.baseline == 2);
    CHECK(*health.index > 95);
    CHECK(!health.forecast);
  }
}

TEST_CASE("a machine that was never told of is serviced without a word of its health") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 100);
  rig.renew(Event::Kind::serviced, 60 * 100, "G1");
  CHECK(rig.effects.health.empty());
}

TEST_CASE("the service of one sensor ends the forecast, not the health") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 1200);
  rig.effects.clear();
  REQUIRE(rig.renew(Event::Kind::serviced, 60 * 1200, "G1", "current"));
  run_gearbox(rig, 1201, 1205);
  REQUIRE(!rig.effects.health.empty());
  CHECK(!rig.effects.health.front().forecast);
  CHECK(*rig.effects.health.front().index < 70);
}

TEST_CASE("under other learning parameters the health is not known, under another limit it is") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 1000);
  const auto state = rig.engine.save_all(rig.position);
  Position position = 0;

  Rig other{health_plan(3)};
  REQUIRE(other.engine.restore_all(state, position) == RestoreResult::ok);
  other.position = position;
  run_gearbox(other, 1000, 1100);
  REQUIRE(!other.effects.health.empty());
  REQUIRE(other.effects.health.front().index);
  CHECK(*other.effects.health.front().index < *rig.effects.health.back().index - 5);

  auto plan = health_plan();
  plan.machines[0].parameters["warmup"] = 200;
  Rig anew{plan};
  REQUIRE(anew.engine.restore_all(state, position) == RestoreResult::ok);
  anew.position = position;
  run_gearbox(anew, 1000, 1002);
  REQUIRE(anew.effects.health.size() == 1);
  CHECK(!anew.effects.health.front().index);
}

TEST_CASE("a machine that is no longer watched has no health from the next tick on") {
  Rig rig{health_plan()};
  run_gearbox(rig, 0, 700);
  auto plan = health_plan();
  plan.machines[0].watched = false;
  Rig off{plan};
  Position position = 0;
  REQUIRE(off.engine.restore_all(rig.engine.save_all(rig.position), position) == RestoreResult::ok);
  off.position = position;
  off.tick(60 * 700);
  REQUIRE(off.effects.health.size() == 1);
  CHECK(!off.effects.health.front().index);
  off.tick(60 * 701);
  CHECK(off.effects.health.size() == 1);
}

TEST_CASE("a machine that is asked to be less sensitive is so in its health, too") {
  const auto after = [](double limit) {
    auto plan = health_plan();
    plan.machines[0].alarm.limit = limit;
    Rig rig{plan};
    run_gearbox(rig, 0, 900);
    return rig.effects.health.back();
  };
  const auto normal = after(1), low = after(1.5);
  REQUIRE(*normal.index < 90);
  // level^2 is about the ratio of the loudest head, less the half that is quiet.
  const double level = 6 * (100 - *normal.index) / 100;
  const double expected = 100 - 100 * std::sqrt((level * level + 0.5) / 1.5 - 0.5) / 6;
  CHECK(*low.index > *normal.index + 2);
  CHECK(*low.index == doctest::Approx(expected).epsilon(0.02));
}

TEST_CASE("a trend is no steeper than a health can fall in a day") {
  Rig rig{health_plan()};
  Random random{3};
  // Worn out within half an hour.
  for (int row = 0; row < 3000; ++row) {
    const double wear = std::max(0.0, (row - 600) / 80.0);
    rig.reading("G1", "temp", row, 50 + random.normal() + wear);
    rig.reading("G1", "current", row, 10 + random.normal());
  }
  double steepest = 0;
  for (const auto& health : rig.effects.health) steepest = std::min(steepest, *health.trend);
  CHECK(steepest == -100);
}

TEST_CASE("under another rule or other parameters the health is told as unknown at the next tick") {
  auto plan = health_plan();
  plan.machines[0].regime.sensor = "program";
  Rig rig{plan};
  rig.reading("G1", "program", 0, 1);
  run_gearbox(rig, 0, 800);
  REQUIRE(!rig.effects.health.empty());
  REQUIRE(rig.effects.health.back().index);
  const auto state = rig.engine.save_all(rig.position);
  for (const int change : {0, 1, 2}) {
    CAPTURE(change);
    auto changed = plan;
    if (change == 1) changed.machines[0].regime.bins = {5};
    if (change == 2) changed.machines[0].parameters["warmup"] = 200;
    Rig other{changed};
    Position position = 0;
    REQUIRE(other.engine.restore_all(state, position) == RestoreResult::ok);
    other.position = position;
    other.tick(60 * 800);
    REQUIRE(other.effects.health.size() == (change == 0 ? 0 : 1));
    if (change > 0) CHECK_FALSE(other.effects.health.back().index);
    other.tick(60 * 801);
    CHECK(other.effects.health.size() == (change == 0 ? 0 : 1));
  }
}

TEST_CASE("what a sensor's own detectors say counts, by its name") {
  auto plan = health_plan();
  plan.profiles[0].match = "*/current";
  plan.profiles[0].detectors[0].parameters["high"] = 8;  // it is at 10
  plan.profiles.push_back(profile("*", {{"limit", {{"high", 5000}}}}));
  Rig rig{plan};
  run_gearbox(rig, 0, 600);
  const auto& parts = rig.effects.health.back().parts;
  const auto own = std::find_if(parts.begin(), parts.end(),
                                [](const HealthPart& part) { return part.name == "sensor"; });
  REQUIRE(own != parts.end());
  CHECK(own->sensor == "current");
}

}  // namespace
}  // namespace millwright::engine
