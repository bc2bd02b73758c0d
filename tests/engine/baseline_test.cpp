// What may teach a baseline, and when a new one begins.
#include <doctest/doctest.h>

#include <limits>

#include "core/codec.h"
#include "tests/engine/harness.h"
#include "tests/engine/scripted.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

using Kind = Event::Kind;

Plan plan_of(std::vector<DetectorChoice> choices) {
  Plan plan;
  plan.profiles.push_back(profile("*", std::move(choices)));
  plan.profiles[0].unit = "degC";
  return plan;
}

Scripted::State state_of(const PastBaseline& baseline) {
  Scripted::State state;
  Reader reader{baseline.state};
  reader(state);
  REQUIRE(reader.ok());
  REQUIRE(reader.at_end());
  return state;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> kinds_of(const Rig& rig, AlertEvent event) {
  std::vector<std::string> out;
  for (const auto& alert : rig.effects.alerts) {
    if (alert.event == event) out.emplace_back(name_of(alert.kind));
  }
  return out;
}
using Names = std::vector<std::string>;

// alpha is at its limit from |1000| on, the sensor is at fault from 100 on: so -1500 is a fault of
// the machine, 100 one of the sensor, and 1500 looks like both.
Plan faulty_plan() { return plan_of({{"alpha", {{"divisor", 1000}}}, {"fault", {}}}); }

}  // namespace

TEST_CASE("a faulty sensor raises no alert on the machine") {
  Rig rig{faulty_plan(), scripted_types()};
  rig.reading("R1", "x", 0, 0);
  for (int t = 10; t < 500; t += 10) rig.reading("R1", "x", t, 1500);
  CHECK(kinds_of(rig, AlertEvent::raised) == Names{"stuck"});
  CHECK(rig.engine.outcomes()[Outcome::faulty] == 49);
  CHECK(rig.engine.outcomes().total() == rig.engine.received());
  CHECK(rig.engine.info(SensorId{0}).readings == 1);
  REQUIRE_FALSE(rig.effects.summaries.empty());
  CHECK((rig.effects.summaries.back().quality & quality_fault) != 0);
}

TEST_CASE("a faulty sensor does not clear an alert on the machine") {
  Rig rig{faulty_plan(), scripted_types()};
  rig.reading("R1", "x", 0, -1500);
  CHECK(kinds_of(rig, AlertEvent::raised) == Names{"trend"});
  // Half of the off-delay passes before the sensor fails, and counts for nothing after.
  rig.reading("R1", "x", 10, 0);
  rig.reading("R1", "x", 40, 0);
  for (int t = 50; t < 1000; t += 10) rig.reading("R1", "x", t, 100);
  CHECK(kinds_of(rig, AlertEvent::raised) == Names{"trend", "stuck"});
  CHECK(rig.ids_of(AlertEvent::cleared).empty());
  // Off-delay of the sensor's alert; from its end on, that of the machine's.
  for (int t = 1000; t <= 1060; t += 10) rig.reading("R1", "x", t, 0);
  CHECK(kinds_of(rig, AlertEvent::cleared) == Names{"stuck"});
  for (int t = 1070; t <= 1110; t += 10) rig.reading("R1", "x", t, 0);
  CHECK(rig.ids_of(AlertEvent::cleared).size() == 1);
  rig.reading("R1", "x", 1120, 0);
  CHECK(kinds_of(rig, AlertEvent::cleared) == Names{"stuck", "trend"});
}

TEST_CASE("readings of a faulty sensor are not handed to detectors of the machine") {
  Rig rig{faulty_plan(), scripted_types()};
  for (int t = 0; t < 20; ++t) rig.reading("R1", "x", t, 0);
  for (int t = 20; t < 50; ++t) rig.reading("R1", "x", t, 100);
  rig.renew(Kind::rebaseline, 50, "R1");
  REQUIRE(rig.effects.baselines.size() == 2);
  const auto& alpha = rig.effects.baselines[0];
  CHECK(alpha.detector == "alpha");
  CHECK(alpha.learned == 20);
  CHECK(state_of(alpha).seen == 20);
  CHECK(state_of(alpha).taught == 20);
  // The detector that found the fault goes on seeing it.
  const auto& fault = rig.effects.baselines[1];
  CHECK(fault.detector == "fault");
  std::uint64_t seen = 0;
  Reader{fault.state}(seen);
  CHECK(seen == 50);
  CHECK(fault.learned == 20);
}

TEST_CASE("a change that lasted closes its alert and begins a new baseline") {
  Rig rig{plan_of({{"alpha", {{"accept", 50}}}, {"ceiling", {{"divisor", 10}}}}), scripted_types()};
  for (int t = 0; t < 30; ++t) rig.reading("R1", "x", t, 0.5);
  rig.reading("R1", "x", 30, 1.5);
  rig.reading("R1", "x", 3630, 60);
  const auto& alerts = rig.effects.alerts;
  REQUIRE(alerts.size() == 4);
  CHECK(alerts[0].event == AlertEvent::raised);
  CHECK(alerts[1].event == AlertEvent::escalated);
  CHECK(alerts[2].kind == AlertKind::limit);
  const auto& closed = alerts[3];
  CHECK(closed.event == AlertEvent::closed);
  CHECK(closed.state == AlertState::cleared);
  CHECK(closed.id == alerts[0].id);
  CHECK(closed.revision == 3);
  CHECK(closed.time == at(3630));
  CHECK(closed.baseline == 1);
  CHECK(closed.learned_readings == 30);
  CHECK_FALSE(closed.confidence.has_value());
  CHECK(closed.message ==
        "x has stayed as it is for 1 h: this is taken as normal from now on (60 degC)");
  CHECK(rig.engine.active_alerts() == 1);

  REQUIRE(rig.effects.baselines.size() == 1);
  const auto& past = rig.effects.baselines[0];
  CHECK(past.machine == "R1");
  CHECK(past.sensor == "x");
  CHECK(past.detector == "alpha");
  CHECK(past.version == 1);
  CHECK(past.why == BaselineEnd::accepted);
  CHECK(past.since == at(0));
  CHECK(past.until == at(3630));
  CHECK(past.learned == 30);
  CHECK_FALSE(past.confidence.has_value());
  CHECK(past.state.empty());
  CHECK(past.position == rig.position);

  for (int t = 0; t < 5; ++t) rig.reading("R1", "x", 3700 + t, 0.5);
  rig.reading("R1", "x", 3800, 1.5);
  REQUIRE(rig.effects.alerts.size() == 6);  // the last is the end of the limit's
  CHECK(rig.effects.alerts[4].event == AlertEvent::raised);
  CHECK(rig.effects.alerts[4].kind == AlertKind::shift);
  CHECK(rig.effects.alerts[4].baseline == 2);
  CHECK(rig.effects.alerts[4].learned_readings == 5);
  rig.renew(Kind::rebaseline, 3900, "R1");
  CHECK(rig.effects.baselines.back().version == 2);
  CHECK(rig.effects.baselines.back().since == at(3630));
}

TEST_CASE("accepted changes are told after their own reading, however the input is cut") {
  const auto run = [](bool split) {
    Rig rig{plan_of({{"alpha", {{"accept", 50}}}, {"beta", {{"accept", 50}, {"divisor", 0.5}}}}),
            scripted_types()};
    for (int t = 0; t < 3; ++t) {
      for (const auto* machine : {"R1", "R2", "R3"}) {
        // One detector of each sensor has an alert open, the other waits; both accept.
        const Sample sample{at(t), t == 0 ? 0.0 : t == 1 ? 1.5 : 60.0};
        rig.feed.reading(rig.engine, machine, "x", sample, ++rig.position, at(t), at(t));
        if (split) rig.feed.step(rig.engine, rig.effects);
      }
    }
    rig.feed.step(rig.engine, rig.effects);
    return describe(rig.engine, rig.effects);
  };
  const auto whole = run(false);
  CHECK(whole == run(true));
  int closed = 0, baselines = 0;
  for (const auto& line : whole) {
    closed += contains(line, " closed ");
    baselines += line.starts_with("baseline ");
  }
  CHECK(closed == 3);
  CHECK(baselines == 6);
}

TEST_CASE("after a service every detector of the machine that learns begins anew") {
  Rig rig{plan_of({{"alpha", {}}, {"ceiling", {}}, {"fault", {}}}), scripted_types()};
  for (int t = 0; t < 25; ++t) {
    for (const auto* sensor : {"x", "y"}) rig.reading("R1", sensor, t, 0.5);
    rig.reading("R2", "x", t, 0.5);
  }
  rig.reading("R1", "x", 25, 1.5);
  rig.reading("R1", "y", 25, frozen);
  rig.reading("R2", "x", 25, 1.5);
  REQUIRE(rig.engine.active_alerts() == 5);
  rig.effects.clear();
  REQUIRE(rig.renew(Kind::serviced, 30, "R1"));

  // The alert of the limit stands: a person set it. So does that on the sensor: a service of the
  // machine does not make a sensor well.
  REQUIRE(rig.effects.alerts.size() == 1);
  const auto& closed = rig.effects.alerts[0];
  CHECK(closed.event == AlertEvent::closed);
  CHECK(closed.kind == AlertKind::shift);
  CHECK(closed.machine == "R1");
  CHECK(closed.sensor == "x");
  CHECK(closed.time == at(30));
  CHECK(closed.baseline == 1);
  CHECK(closed.confidence == 0.25);
  CHECK(closed.message == "x: closed, the machine was serviced; what is normal is learned anew");
  CHECK(rig.engine.active_alerts() == 4);

  const auto& past = rig.effects.baselines;
  const char* const expected[][2] = {
      {"x", "alpha"}, {"x", "fault"}, {"y", "alpha"}, {"y", "fault"}, {"_machine", "machine"}};
  REQUIRE(past.size() == 5);
  CHECK(past[4].sensor == expected[4][0]);
  CHECK(past[4].detector == expected[4][1]);
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(past[i].machine == "R1");
    CHECK(past[i].sensor == expected[i][0]);
    CHECK(past[i].detector == expected[i][1]);
    CHECK(past[i].version == 1);
    CHECK(past[i].why == BaselineEnd::serviced);
    CHECK(past[i].since == at(0));
    CHECK(past[i].until == at(30));
    CHECK(past[i].learned == 25);
    CHECK(past[i].position == rig.position);
  }
  CHECK(state_of(past[0]).taught == 25);
  CHECK(state_of(past[0]).renewals == 0);
  CHECK(past[0].confidence == 0.25);

  rig.reading("R1", "x", 40, 0);
  rig.reading("R1", "x", 41, 1.5);
  CHECK(rig.effects.alerts.back().event == AlertEvent::raised);
  CHECK(rig.effects.alerts.back().baseline == 2);
  CHECK(rig.effects.alerts.back().learned_readings == 1);
  rig.renew(Kind::serviced, 50, "R1");
  CHECK(state_of(past[5]).renewals == 1);
  CHECK(past[5].version == 2);
  CHECK(past[5].since == at(40));
}

TEST_CASE("a new baseline for one sensor leaves the others alone") {
  Rig rig{plan_of({{"alpha", {}}}), scripted_types()};
  for (const auto* sensor : {"x", "y"}) rig.reading("R1", sensor, 0, 1.5);
  REQUIRE(rig.renew(Kind::rebaseline, 1, "R1", "y"));
  REQUIRE(rig.effects.baselines.size() == 1);
  CHECK(rig.effects.baselines[0].sensor == "y");
  CHECK(rig.effects.baselines[0].why == BaselineEnd::rebaseline);
  CHECK_FALSE(rig.effects.baselines[0].since.has_value());
  CHECK(rig.engine.active_alerts() == 1);
  CHECK(rig.effects.alerts.back().message ==
        "y: closed, a new baseline was asked for; what is normal is learned anew");
}

TEST_CASE("an operation on who is not known does nothing and onboards nobody") {
  Rig rig{plan_of({{"alpha", {}}}), scripted_types()};
  rig.reading("R1", "x", 0, 0);
  CHECK_FALSE(rig.renew(Kind::serviced, 1, "R2"));
  CHECK_FALSE(rig.renew(Kind::serviced, 1, "R1", "y"));
  CHECK(rig.engine.sensors() == 1);
  CHECK(rig.engine.machines() == 1);
  CHECK(rig.effects.baselines.empty());
}

TEST_CASE("a sensor that never gave a good reading has no baseline to end") {
  Rig rig{plan_of({{"alpha", {}}}), scripted_types()};
  rig.reading("R1", "x", 0, std::numeric_limits<double>::quiet_NaN());
  CHECK(rig.renew(Kind::serviced, 1, "R1"));
  CHECK(rig.effects.baselines.empty());
}

TEST_CASE("readings that wait to be put in order belong to the time before the operation") {
  auto plan = plan_of({{"alpha", {}}});
  plan.reorder = 60s;
  Rig rig{plan, scripted_types()};
  for (const int t : {0, 20, 10, 30}) rig.reading("R1", "x", t, 0.5);
  REQUIRE(rig.engine.pending() == 4);
  rig.renew(Kind::serviced, 40, "R1");
  CHECK(rig.engine.pending() == 0);
  REQUIRE(rig.effects.baselines.size() == 1);
  CHECK(rig.effects.baselines[0].learned == 4);
  CHECK(rig.effects.baselines[0].since == at(0));
  CHECK(rig.effects.baselines[0].until == at(40));
  rig.reading("R1", "x", 25, 0.5);
  CHECK(rig.engine.outcomes()[Outcome::late] == 1);
}

TEST_CASE("changed parameters begin a new baseline, the same ones go on with it") {
  Rig before{plan_of({{"alpha", {}}, {"beta", {}}}), scripted_types()};
  for (int t = 0; t < 10; ++t) before.reading("R1", "x", t, 0.5);
  Rig after{plan_of({{"alpha", {{"divisor", 1.1}}}, {"beta", {}}}), scripted_types()};
  REQUIRE(after.engine.restore(before.engine.save(MachineId{0})) == RestoreResult::ok);
  after.renew(Kind::rebaseline, 20, "R1");
  const auto& past = after.effects.baselines;
  REQUIRE(past.size() == 2);
  CHECK(past[0].version == 2);
  CHECK(past[0].learned == 0);
  CHECK_FALSE(past[0].since.has_value());
  CHECK(past[1].version == 1);
  CHECK(past[1].learned == 10);
  CHECK(past[1].since == at(0));
}
