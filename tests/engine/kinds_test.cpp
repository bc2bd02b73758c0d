// Which kind an alert has, and that of each kind only one is open on a sensor.
#include <doctest/doctest.h>

#include "tests/engine/harness.h"
#include "tests/engine/scripted.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

Plan plan_of(std::vector<DetectorChoice> choices) {
  Plan plan;
  plan.profiles.push_back(profile("*", std::move(choices)));
  return plan;
}

std::string id(const char* kind, double seconds, int more_ms = 0) {
  return fmt::format("R1/x/{}/{}", kind, to_microseconds(at(seconds)) / 1000 + more_ms);
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("the kind of a score is the kind of its alert, and stays while the alert is open") {
  Rig rig{plan_of({{"alpha", {}}}), scripted_types()};
  rig.reading("R1", "x", 0, -1.5);
  REQUIRE(rig.ids_of(AlertEvent::raised) == Ids{id("trend", 0)});
  CHECK(rig.effects.alerts[0].kind == AlertKind::trend);
  CHECK(rig.effects.alerts[0].message.find("falling") != std::string::npos);
  rig.reading("R1", "x", 10, 2.5);
  CHECK(rig.ids_of(AlertEvent::escalated) == Ids{id("trend", 0)});
  rig.reading("R1", "x", 20, 0);
  rig.reading("R1", "x", 90, 0);
  CHECK(rig.ids_of(AlertEvent::cleared) == Ids{id("trend", 0)});
  rig.reading("R1", "x", 100, 1.5);
  CHECK(rig.ids_of(AlertEvent::raised) == Ids{id("trend", 0), id("shift", 100)});
}

TEST_CASE("while an alert of a kind is open, another detector that sees the same waits") {
  Rig rig{plan_of({{"alpha", {}}, {"beta", {{"divisor", 0.1}}}}), scripted_types()};
  rig.reading("R1", "x", 0, 1.5);
  rig.reading("R1", "x", 1, 1.5);
  REQUIRE(rig.ids_of(AlertEvent::raised) == Ids{id("shift", 0)});
  CHECK(rig.effects.alerts[0].detector == "alpha");
  // Now only beta is over its limit. Both saw the same onset, and their ids differ all the same.
  rig.reading("R1", "x", 10, 0.5);
  rig.reading("R1", "x", 80, 0.5);
  CHECK(rig.ids_of(AlertEvent::cleared) == Ids{id("shift", 0)});
  CHECK(rig.ids_of(AlertEvent::raised) == Ids{id("shift", 0), id("shift", 0, 1)});
  CHECK(rig.effects.alerts.back().detector == "beta");
  CHECK(rig.engine.active_alerts() == 1);
}

TEST_CASE("alerts of two kinds may be open on one sensor, and of one kind on two sensors") {
  Rig rig{plan_of({{"alpha", {}}, {"ceiling", {}}}), scripted_types()};
  rig.reading("R1", "x", 0, 1.5);
  rig.reading("R1", "y", 0, 1.5);
  CHECK(rig.engine.active_alerts() == 4);
}

TEST_CASE("an alert whose detector was taken away holds its kind until it is closed") {
  Rig before{plan_of({{"alpha", {}}}), scripted_types()};
  before.reading("R1", "x", 0, 1.5);
  Rig after{plan_of({{"beta", {}}}), scripted_types()};
  REQUIRE(after.engine.restore(before.engine.save(MachineId{0})) == RestoreResult::ok);
  after.reading("R1", "x", 1, 1.5);
  CHECK(after.effects.alerts.empty());
  after.tick(2);
  CHECK(after.ids_of(AlertEvent::closed) == Ids{id("shift", 0)});
  after.reading("R1", "x", 3, 1.5);
  CHECK(after.ids_of(AlertEvent::raised) == Ids{id("shift", 1)});
}

TEST_CASE("the sensitivity of a profile is that of the alert's kind") {
  auto plan = plan_of({{"alpha", {}}, {"ceiling", {}}, {"fault", {{"from", 1.7}}}});
  plan.profiles[0].alarm.limit = 2;
  Rig rig{plan, scripted_types()};
  rig.reading("R1", "x", 0, 1.5);
  CHECK(rig.ids_of(AlertEvent::raised) == Ids{id("limit", 0)});
  rig.reading("R1", "x", 1, -1.6);
  CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
  rig.reading("R1", "x", 2, -2.1);
  CHECK(rig.ids_of(AlertEvent::raised) == Ids{id("limit", 0), id("trend", 2)});
}

// Its story: the features of four bearings on one shaft, 48 sensors, raised an alert each time one
// recording in ten minutes was a little out, 3 times in five days.
TEST_CASE("of many sensors, one reading beyond the limit is no alert, two in a row are") {
  Rig rig{plan_of({{"alpha", {}}, {"ceiling", {}}}), scripted_types()};
  for (int i = 0; i < 20; ++i) rig.reading("R1", fmt::format("s{}", i), 0, 0);
  // 20 sensors: the limit is 4^(1/5.7) = 1.275, in steps of 2 % 1.268; alone 1.268^2 = 1.608.
  const auto shifts = [&] {
    Ids out;
    for (const auto& raised : rig.ids_of(AlertEvent::raised))
      if (raised.find("/limit/") == std::string::npos) out.push_back(raised);
    return out;
  };
  rig.reading("R1", "s1", 10, 1.5);
  rig.reading("R1", "s1", 20, 0.5);
  rig.reading("R1", "s1", 30, 0.5);
  CHECK(shifts().empty());
  // A person's limit needs no proof.
  CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
  rig.reading("R1", "s2", 40, -1.5);
  CHECK(shifts().empty());
  rig.reading("R1", "s2", 50, 1.1);
  REQUIRE(shifts().size() == 1);
  CHECK(shifts()[0].find("R1/s2/trend/") == 0);
  const auto& alert = rig.effects.alerts.back();
  CHECK(alert.score == doctest::Approx(1.5 / 1.268).epsilon(0.001));
  CHECK(alert.onset == at(40));
  CHECK(alert.time == at(50));
  rig.reading("R1", "s3", 60, 1.7);
  CHECK(shifts().size() == 2);
  // Of few sensors the first is enough.
  rig.reading("R2", "s1", 70, 1.1);
  CHECK(shifts().size() == 3);
}

TEST_CASE("a spike among many sensors is told at once: it is over when it is told") {
  Rig rig{plan_of({{"pulse", {}}}), scripted_types()};
  for (int i = 0; i < 20; ++i) rig.reading("R1", fmt::format("s{}", i), 0, 0);
  rig.reading("R1", "s1", 10, 1.5);
  CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
}

TEST_CASE("an alert says what spoke, how sure it is and what is to come") {
  Rig rig{plan_of({{"alpha", {{"divisor", 5}}}}), scripted_types()};
  for (int t = 0; t < 40; ++t) rig.reading("R1", "x", t, 1);
  rig.reading("R1", "x", 40, 6);
  REQUIRE(rig.effects.alerts.size() == 1);
  const auto alert = rig.effects.alerts[0];
  REQUIRE(alert.features.size() == 2);
  CHECK(alert.features[0].name == "level");
  CHECK(alert.features[0].share == 0.75);
  CHECK(alert.features[1].name == "spread");
  CHECK(alert.confidence == 0.4);
  CHECK(alert.baseline == 1);
  CHECK(alert.learned_readings == 40);
  REQUIRE(alert.forecast.has_value());
  CHECK(alert.forecast->limit == 90);
  CHECK(alert.forecast->reaches == at(40) + 72h);
  CHECK(alert.message.find("it reaches 90 on 2026-01-08") != std::string::npos);
}

TEST_CASE("an alert about silence says nothing that would rest on a reading") {
  Rig rig{plan_of({{"silent", {}}}), scripted_types()};
  rig.reading("R1", "x", 0, 1);
  rig.tick(99);
  CHECK(rig.effects.alerts.empty());
  rig.tick(100);
  REQUIRE(rig.effects.alerts.size() == 1);
  CHECK(rig.effects.alerts[0].features.empty());
  CHECK_FALSE(rig.effects.alerts[0].forecast.has_value());
  CHECK(rig.effects.alerts[0].confidence == 0.5);
  CHECK(rig.effects.alerts[0].learned_readings == 1);
}

// After kill -9 the broker sends again what it has no acknowledgement for: the document of the
// alert told of more readings then.
TEST_CASE("what is sent again is a sign of life and no further lesson") {
  Rig rig{plan_of({{"silent", {}}}), scripted_types()};
  for (const int t : {0, 10, 10, 5}) rig.reading("R1", "x", t, 1);
  rig.tick(1000);
  REQUIRE(rig.effects.alerts.size() == 1);
  CHECK(rig.effects.alerts[0].learned_readings == 2);
}

TEST_CASE("what a limit alarms at was not learned") {
  Rig rig{plan_of({{"ceiling", {}}}), scripted_types()};
  for (int t = 0; t < 10; ++t) rig.reading("R1", "x", t, 0);
  rig.reading("R1", "x", 10, 2);
  REQUIRE(rig.effects.alerts.size() == 1);
  CHECK(rig.effects.alerts[0].learned_readings == 0);
  CHECK(rig.effects.alerts[0].baseline == 1);
}
