// A machine as a whole: frames out of readings that come as they like, and the engine's alerts.
#include "engine/whole.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/engine/harness.h"

namespace millwright::engine {
namespace {

// Readings as (sensor, seconds, value); the frames that were closed on the way.
struct Gathered {
  std::vector<std::vector<double>> frames;
  std::vector<double> times;
  std::vector<double> scatter;  // of the newest frame, of sensors that have it
  Frames open;

  void take(std::size_t sensor, double seconds, double value) {
    if (open.is_over(sensor, at(seconds))) close();
    open.take(sensor, {at(seconds), value});
  }
  void close() {
    std::vector<double> values;
    open.read(values);
    frames.emplace_back();
    for (std::size_t c = 0; c < values.size(); ++c) {
      const auto& [sensor, is_scatter] = open.channels()[c];
      auto& row = is_scatter ? scatter : frames.back();
      if (row.size() <= sensor) row.resize(sensor + std::size_t{1}, std::nan(""));
      row[sensor] = values[c];
    }
    times.push_back(to_seconds(open.newest() - at(0)));
    open.clear();
  }
};

TEST_CASE("rows at one second are frames of their own, whatever their jitter") {
  Gathered g;
  Random random{1};
  for (int row = 0; row < 50; ++row) {
    for (std::size_t s = 0; s < 3; ++s)
      g.take(s, row + random.uniform(0, 0.3), row * 10.0 + static_cast<double>(s));
  }
  REQUIRE(g.frames.size() == 49);
  for (std::size_t row = 0; row < g.frames.size(); ++row) {
    REQUIRE(g.frames[row].size() == 3);
    for (std::size_t s = 0; s < 3; ++s)
      CHECK(g.frames[row][s] == static_cast<double>(row * 10 + s));
  }
}

TEST_CASE("a fast sensor counts with the mean of its frame, a slow one with its last value") {
  Gathered g;
  for (int i = 0; i < 600; ++i) {
    if (i % 100 == 0) g.take(1, i * 0.1, 7 + i);
    g.take(0, i * 0.1, i % 2);
  }
  REQUIRE(g.frames.size() > 50);
  const auto& late = g.frames.back();
  CHECK(late[0] == doctest::Approx(0.5).epsilon(0.3));
  CHECK(late[1] == 507);
}

TEST_CASE("a sensor that reports eight times a frame or more counts with its scatter as well") {
  Gathered g;
  for (int i = 0; i < 50 * 60; ++i) {
    g.take(0, i * 0.02, i % 2 == 0 ? 10 : 14);
    if (i % 25 == 0) g.take(1, i * 0.02, 7);
  }
  REQUIRE(g.scatter.size() == 1);
  CHECK(g.scatter[0] == doctest::Approx(2).epsilon(0.01));
  CHECK(g.open.channels().size() == 3);
  // Shares of both its channels are its own.
  const auto shares = g.open.by_sensor({0.2, 0.5, 0.3});
  double sum = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    if (g.open.channels()[c].sensor == 0) sum += c == 0 ? 0.2 : c == 1 ? 0.5 : 0.3;
  }
  CHECK(shares[0] == doctest::Approx(sum));
  CHECK(shares[0] + shares[1] == doctest::Approx(1));
}

TEST_CASE("a sensor that is silent for three of its intervals, or at fault, has no value") {
  Gathered g;
  for (int row = 0; row < 20; ++row) {
    if (row < 10) g.take(0, row, 1);
    g.take(2, row, 3);
    if (row == 15) {
      g.open.distrust(1);
    } else {
      g.take(1, row, 2);
    }
  }
  CHECK(g.frames[9][0] == 1);
  CHECK(g.frames[12][0] == 1);
  CHECK(std::isnan(g.frames[14][0]));
  CHECK(std::isnan(g.frames[15][1]));
  CHECK(g.frames[16][1] == 2);
}

TEST_CASE("readings of other clocks do not close a frame early") {
  Gathered g;
  for (int row = 0; row < 10; ++row) {
    g.take(0, row, 1);
    g.take(1, row - 3600, 2);
  }
  CHECK(g.frames.size() == 9);
  for (const auto& frame : g.frames) CHECK(frame[1] == 2);
}

TEST_CASE("a frame that a clock an hour ahead began is over all the same, and time does not fall") {
  Gathered g;
  g.take(1, 3600, 2);
  for (int row = 0; row < 10; ++row) g.take(0, row, row);
  REQUIRE(g.frames.size() == 9);
  CHECK(g.frames[5][0] == 5);
  for (const double time : g.times) CHECK(time == 3600);
}

TEST_CASE("what a sensor said before it was found at fault is not in the frame") {
  Gathered g;
  g.take(0, 0, 1);
  g.take(1, 0, 1000);
  g.open.distrust(1);
  g.take(1, 0.1, 2);
  g.close();
  CHECK(g.frames[0][1] == 2);
}

TEST_CASE("after a service no value of before counts") {
  Gathered g;
  for (int row = 0; row < 5; ++row) {
    for (std::size_t s = 0; s < 2; ++s) g.take(s, row, 1);
  }
  CHECK(g.open.known() == 2);
  g.open.forget();
  CHECK(g.open.known() == 0);
  g.take(0, 5, 3);
  g.close();
  CHECK(g.frames.back()[0] == 3);
  CHECK(std::isnan(g.frames.back()[1]));
}

Plan watched_plan(bool watched = true) {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"limit", {{"high", 1000}}}}));
  MachineProfile machine;
  machine.watched = watched;
  machine.parameters = {{"warmup", 300}, {"learning_s", 0}};
  machine.advice = "Look at the coupling";
  machine.alarm.on_delay = Duration{0};
  plan.machines.push_back(machine);
  return plan;
}

// A pump: pressure, current and flow follow its load; from `broken` on the flow no longer does.
void run_pump(Rig& rig, int rows, int broken, int from = 0) {
  Random random{11};
  double load = 0;
  for (int row = 0; row < rows; ++row) {
    load = 0.9 * load + random.normal();
    const double flow = row >= broken ? random.normal() * 2.3 : load;
    const double values[] = {load, 2 * load, flow};
    const char* names[] = {"pressure", "current", "flow"};
    for (int s = 0; s < 3; ++s) {
      const double value = 50 + values[s] + 0.2 * random.normal();
      if (row >= from) rig.reading("P1", names[s], row, value);
    }
  }
}

const Alert* first_raised(const Rig& rig) {
  for (const auto& alert : rig.effects.alerts) {
    if (alert.event == AlertEvent::raised && alert.sensor == whole_machine) return &alert;
  }
  return nullptr;
}

TEST_CASE("sensors that no longer go together raise an alert of the machine, with the sensor") {
  Rig rig{watched_plan()};
  run_pump(rig, 1500, 1200);
  const auto* alert = first_raised(rig);
  REQUIRE(alert != nullptr);
  CHECK(alert->machine == "P1");
  CHECK(alert->kind == AlertKind::machine);
  CHECK(alert->time >= at(1200));
  CHECK(alert->time < at(1260));
  CHECK(alert->score >= 1);
  CHECK(alert->value == alert->score);
  CHECK(alert->detector == "machine");
  CHECK(alert->advice == "Look at the coupling");
  REQUIRE(!alert->contributors.empty());
  CHECK(alert->contributors.front().sensor == "flow");
  CHECK(alert->message.find("P1 as a whole is not as usual since") == 0);
  CHECK(alert->message.find("flow (") != std::string::npos);
  CHECK(rig.engine.active_alerts() == 1);
}

TEST_CASE("a machine that is not to be watched, or has one sensor, says nothing as a whole") {
  Rig off{watched_plan(false)};
  run_pump(off, 1500, 1200);
  CHECK(first_raised(off) == nullptr);
  CHECK(off.effects.machine_verdicts.empty());
  Rig alone{watched_plan()};
  for (int row = 0; row < 1000; ++row)
    alone.reading("P2", "pressure", row, row < 800 ? row % 7 : 99);
  CHECK(first_raised(alone) == nullptr);
  CHECK(alone.effects.machine_verdicts.empty());
}

TEST_CASE("whoever is registered early, a machine is watched by the readings taken in") {
  const auto state = [](std::size_t cut) {
    Engine engine{std::make_shared<const Plan>(watched_plan())};
    Feed feed{Clock::given};
    Effects effects;
    for (int row = 0; row < 60; ++row) {
      feed.reading(engine, "M", "a", {at(row), row % 7 * 1.0}, static_cast<Position>(row), at(row),
                   at(row));
      if (row == 59) feed.reading(engine, "M", "b", {at(row), 1}, 60, at(row), at(row));
      if (feed.size() >= cut) feed.step(engine, effects);
    }
    feed.step(engine, effects);
    return engine.save_all(60);
  };
  CHECK(state(1) == state(1000));
}

TEST_CASE("every frame has a verdict, without a ratio while warming up") {
  Rig rig{watched_plan()};
  run_pump(rig, 400, 5000);
  REQUIRE(rig.effects.machine_verdicts.size() == 399);
  CHECK(!rig.effects.machine_verdicts.front().ratio);
  CHECK(rig.effects.machine_verdicts.back().ratio);
  CHECK(rig.effects.machine_verdicts.back().time == at(398));
}

TEST_CASE("a restored machine goes on as the original, to the byte") {
  Rig original{watched_plan()};
  run_pump(original, 900, 1200);
  Rig copy{watched_plan()};
  Position position = 0;
  REQUIRE(copy.engine.restore_all(original.engine.save_all(original.position), position) ==
          RestoreResult::ok);
  copy.position = original.position;
  original.effects.clear();
  for (auto* rig : {&original, &copy}) run_pump(*rig, 1500, 1200, 900);
  CHECK(describe(copy.engine, copy.effects) == describe(original.engine, original.effects));
  CHECK(first_raised(copy) != nullptr);
  CHECK(copy.engine.save_all(1) == original.engine.save_all(1));
}

TEST_CASE("other parameters: the machine is learned anew, its alert goes on") {
  Rig original{watched_plan()};
  run_pump(original, 1500, 1200);
  REQUIRE(original.engine.active_alerts() == 1);
  auto plan = watched_plan();
  plan.machines.front().parameters["warmup"] = 200;
  Rig changed{plan};
  Position position = 0;
  REQUIRE(changed.engine.restore_all(original.engine.save_all(1), position) == RestoreResult::ok);
  CHECK(changed.engine.active_alerts() == 1);
  CHECK(changed.engine.unreadable_states() == 0);
  run_pump(changed, 1502, 1200, 1500);
  REQUIRE(!changed.effects.machine_verdicts.empty());
  CHECK(!changed.effects.machine_verdicts.back().ratio);
}

TEST_CASE("a machine that is no longer watched has its alert closed at the next tick") {
  Rig original{watched_plan()};
  run_pump(original, 1500, 1200);
  Rig off{watched_plan(false)};
  Position position = 0;
  REQUIRE(off.engine.restore_all(original.engine.save_all(1), position) == RestoreResult::ok);
  off.tick(1600);
  CHECK(off.ids_of(AlertEvent::closed).size() == 1);
  CHECK(off.engine.active_alerts() == 0);
}

TEST_CASE("a service closes the machine's alert, keeps its old baseline and begins a new one") {
  Rig rig{watched_plan()};
  run_pump(rig, 1500, 1200);
  REQUIRE(rig.engine.active_alerts() == 1);
  rig.effects.clear();
  REQUIRE(rig.renew(Event::Kind::serviced, 1500, "P1"));
  CHECK(rig.ids_of(AlertEvent::closed).size() == 1);
  const auto kept = std::find_if(rig.effects.baselines.begin(), rig.effects.baselines.end(),
                                 [](const auto& b) { return b.sensor == whole_machine; });
  REQUIRE(kept != rig.effects.baselines.end());
  CHECK(kept->detector == "machine");
  CHECK(kept->version == 1);
  CHECK(kept->why == BaselineEnd::serviced);
  CHECK(kept->learned == 1499);
  CHECK(!kept->state.empty());
  run_pump(rig, 1504, 1200, 1501);
  REQUIRE(!rig.effects.machine_verdicts.empty());
  CHECK(!rig.effects.machine_verdicts.back().ratio);
}

TEST_CASE("no sensor may go by the name of the whole machine") {
  Rig rig{watched_plan()};
  Outcome refused{};
  CHECK(!rig.engine.sensor("P1", "_machine", refused));
  CHECK(refused == Outcome::bad_name);
}

}  // namespace
}  // namespace millwright::engine
