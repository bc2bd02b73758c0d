// Regimes that nothing names, found from how the sensors stand together: on simulated machines, as
// many as there are programs, and one where there are none.
#include "engine/finder.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>

#include "core/random.h"
#include "tests/engine/harness.h"
#include "tests/support/scale.h"

namespace millwright::engine {
namespace {

using namespace std::chrono_literals;

enum class Rule { none, named, learned };

// With a row every `step` seconds.
Plan plan_with(Rule rule, int step = 1) {
  Plan plan;
  plan.profiles.push_back(profile("*", auto_detectors()));
  MachineProfile machine;
  machine.parameters = {{"warmup", 300}, {"learning_s", 0}};
  if (rule == Rule::named) machine.regime.sensor = "program";
  if (rule == Rule::learned) machine.regime.learned = 8;
  machine.regime.find = step * 1h;
  machine.regime.settle = step * 5s;
  machine.regime.learning = step * 120s;
  plan.machines.push_back(machine);
  return plan;
}

// A machine with programs of one to three minutes, in random order; its current, torque, vibration
// and pressure follow them within seconds, its temperature in a quarter of an hour, the hall's not.
struct Press {
  Rig rig;
  Random random;
  bool names;
  int programs;
  double time = 0, heat = 30;
  int step;  // s
  int last = -1;

  Press(Rule rule, int how_many, std::uint64_t seed, int s = 1)
      : rig(plan_with(rule, s)),
        random(seed),
        names(rule == Rule::named),
        programs(how_many),
        step(s) {}

  // `odd`: added to the current, in its usual scatters.
  void run(int program, int seconds, double odd = 0) {
    constexpr std::array currents{0.5, 4.0, 9.0, 6.5}, pressures{10.0, 40.0, 55.0, 25.0},
        noises{0.02, 0.2, 0.3, 0.15};
    const auto p = static_cast<std::size_t>(program);
    for (int i = 0; i < seconds; i += step, time += step) {
      const double push = i < 2 && program != last ? 3 : 0;
      heat += (30 + 4 * currents[p] - heat) * step / 900;
      if (names) rig.reading("P", "program", time, program);
      const auto say = [&](const char* sensor, double value, double noise) {
        rig.reading("P", sensor, time, value + noise * random.normal());
      };
      say("current", currents[p] + push + odd * noises[p], noises[p]);
      say("torque", 20 * currents[p], 4 * noises[p]);
      say("vibration", 1 + 0.1 * currents[p], 0.3 * noises[p]);
      say("pressure", pressures[p], 0.5);
      say("temperature", heat, 0.1);
      say("hall", 20, 0.1);
    }
    last = program;
  }
  void work(double hours) {
    for (const double until = time + 3600 * hours; time < until;) {
      const auto program = static_cast<int>(random.below(static_cast<std::uint64_t>(programs)));
      run(program, step * (60 + static_cast<int>(random.below(120))));
    }
  }
  // Alerts raised since then.
  int raised(double since = 0, std::string_view sensor = {}) const {
    int count = 0;
    for (const auto& a : rig.effects.alerts)
      count += a.event == AlertEvent::raised && a.time >= at(since) &&
               (sensor.empty() || a.sensor == sensor);
    return count;
  }
  std::vector<std::string> regimes() const {
    std::vector<std::string> out;
    for (const auto& regime : rig.engine.regimes(MachineId{})) out.push_back(regime.name);
    return out;
  }
};

TEST_CASE("as many regimes are found as there are programs, and alerts are as with them named") {
  std::array<int, 3> alerts{}, later{};  // by rule; after the first quarter
  for (std::uint64_t seed = 11; seed <= 16; ++seed) {
    CAPTURE(seed);
    const int programs = 2 + static_cast<int>(seed % 2);
    const int step = seed > 12 ? 10 : 1;
    for (const auto rule : {Rule::none, Rule::named, Rule::learned}) {
      Press press{rule, programs, seed, step};
      press.work(4 * step);
      alerts[static_cast<std::size_t>(rule)] += press.raised();
      later[static_cast<std::size_t>(rule)] += press.raised(3600 * step);
      if (rule != Rule::learned) continue;
      const auto found = press.regimes();
      REQUIRE(found.size() == static_cast<std::size_t>(programs));
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == std::to_string(i + 1));
    }
  }
  CHECK(2 * later[2] <= later[0]);
  MESSAGE("alerts without regimes ", alerts[0], ", named ", alerts[1], ", learned ", alerts[2],
          "; after the first quarter ", later[0], ", ", later[1], ", ", later[2]);
}

// What one state of a machine may look like: by frame and sensor.
struct OneState {
  std::string name;
  std::function<double(Random&, int frame, int sensor, double& memory)> value;
};

std::vector<OneState> one_state_machines() {
  const auto daily = [](int frame) {
    return std::sin(2 * std::numbers::pi * (frame % 1440) / 1440);
  };
  return {
      {"noise", [](Random& r, int, int, double&) { return r.normal(); }},
      {"drift", [](Random& r, int frame, int, double&) { return 0.02 * frame + r.normal(); }},
      {"daily", [=](Random& r, int frame, int, double&) { return 8 * daily(frame) + r.normal(); }},
      {"wanderer", [](Random& r, int, int, double& m) { return m = 0.995 * m + r.normal(); }},
      {"random walk", [](Random& r, int, int, double& m) { return m += r.normal(); }},
      {"coarse random walk",
       [](Random& r, int, int, double& m) { return std::round((m += 0.2 * r.normal())); }},
      {"spikes", [](Random& r, int frame, int,
                    double&) { return frame % 37 == 0 ? 40 + r.normal() : r.normal(); }},
      {"one fault that stays",
       [](Random& r, int frame, int, double&) { return (frame > 3000 ? 20 : 0) + r.normal(); }},
      {"one sensor that comes and goes",
       [](Random& r, int frame, int s, double&) {
         return (s == 0 && frame / 60 % 2 == 1 ? 20 : 0) + r.normal();
       }},
      {"a movement of a few seconds",
       [](Random& r, int frame, int, double&) {
         return (frame / 3 % 2 == 1 ? 20 : 0) + r.normal();
       }},
  };
}

// Such a machine of four sensors, one row a second; `together`: one cause moves them all.
void each_reading(const OneState& machine, bool together, std::uint64_t seed, int frames,
                  const std::function<void(std::size_t sensor, Sample)>& take) {
  Random random{seed};
  std::array<double, 4> memory{};
  for (int frame = 0; frame < frames; ++frame) {
    double common = 0;
    for (std::size_t s = 0; s < 4; ++s) {
      double value = together ? static_cast<double>(s) * common + 0.1 * random.normal() : 0;
      if (s == 0 || !together) value = machine.value(random, frame, static_cast<int>(s), memory[s]);
      if (s == 0) common = value;
      take(s, {at(frame), value});
    }
  }
}

TEST_CASE("one state is one, however it moves") {
  const auto seeds = static_cast<std::uint64_t>(test::scaled(10, 1000));
  RegimeRule rule;
  rule.learned = 8;
  for (const auto& machine : one_state_machines()) {
    CAPTURE(machine.name);
    for (const bool together : {false, true}) {
      // All sensors that come and go at once are two states.
      if (together && machine.name.starts_with("one sensor")) continue;
      std::uint64_t found = 0;
      for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        RegimeFinder finder;
        Regimes regimes;
        each_reading(machine, together, seed, 5000, [&](std::size_t s, const Sample& sample) {
          finder.take(rule, s, sample, regimes);
        });
        found += finder.found();
      }
      CAPTURE(together);
      CHECK(found <= seeds / 10);
    }
  }
}

TEST_CASE("one state: alerts, summaries and baselines are to the byte as without looking") {
  const auto run = [](const OneState& machine, bool together, Rule rule) {
    Rig rig{plan_with(rule)};
    rig.effects.want_verdicts = false;
    each_reading(machine, together, 7, 4500, [&](std::size_t s, const Sample& sample) {
      rig.reading("M", "s" + std::to_string(s), to_seconds(sample.time - at(0)), sample.value);
    });
    return describe(rig.engine, rig.effects);
  };
  std::size_t lines = 0;
  for (const auto& machine : one_state_machines()) {
    CAPTURE(machine.name);
    for (const bool together : {false, true}) {
      if (together && machine.name.starts_with("one sensor")) continue;
      const auto without = run(machine, together, Rule::none);
      const auto with = run(machine, together, Rule::learned);
      CHECK(with == without);
      lines += without.size();
    }
  }
  CHECK(lines > 1000);
}

TEST_CASE("a fault inside one program is found, though it is usual in another") {
  std::array<int, 3> found{};
  for (std::uint64_t seed = 21; seed <= 26; ++seed) {
    for (const auto rule : {Rule::none, Rule::named, Rule::learned}) {
      Press press{rule, 3, seed};
      press.work(3);
      const double since = press.time;
      for (int i = 0; i < 8; ++i) press.run(1, 100, 10);  // 4 A + 2: between 4 and 9
      found[static_cast<std::size_t>(rule)] += press.raised(since, "current") > 0;
    }
  }
  CHECK(found[0] <= 1);
  CHECK(found[1] >= 5);
  CHECK(found[2] >= 4);
  MESSAGE("found without regimes ", found[0], ", named ", found[1], ", learned ", found[2]);
}

TEST_CASE("a program that comes later joins while the set is open, and learns without an alarm") {
  Press press{Rule::learned, 2, 31};
  press.work(0.7);
  REQUIRE(press.regimes() == std::vector<std::string>{"1", "2"});
  const double since = press.time;
  press.rig.effects.regimes.clear();
  press.run(2, 300);
  CHECK(press.regimes().size() == 3);
  REQUIRE(press.rig.effects.regimes.size() == 1);
  CHECK(press.rig.effects.regimes[0].regime == "3");
  CHECK(press.rig.effects.regimes[0].what == RegimeNotice::What::learning);
  const auto& newest = press.rig.effects.verdicts.back();
  CHECK(newest.regime == first_regime + 2);
  CHECK(newest.regime_learned > 200);
  press.programs = 3;
  press.work(1);
  for (const auto& a : press.rig.effects.alerts)
    CHECK_FALSE((a.event == AlertEvent::raised && a.regime == "3"));
  CHECK(press.raised(since) <= 1);
  REQUIRE(press.rig.effects.regimes.size() > 1);
  CHECK(press.rig.effects.regimes.back().what == RegimeNotice::What::learned);
  CHECK(press.regimes().size() == 3);
}

TEST_CASE(
    "once the set is closed, another state is no regime: it alarms until a person accepts it") {
  Press press{Rule::learned, 2, 32};
  press.work(2);
  REQUIRE(press.regimes().size() == 2);
  double since = press.time;
  press.run(3, 300);
  CHECK(press.regimes().size() == 2);
  CHECK(press.raised(since) > 0);
  press.rig.renew(Event::Kind::rebaseline, press.time, "P");
  since = press.time;
  press.run(0, 200);
  press.run(3, 300);
  press.run(1, 200);
  CHECK(press.regimes() == std::vector<std::string>{"1", "2", "3"});
  CHECK(press.raised(since) == 0);
}

// Of the newest reading.
RegimeId regime_of(Press& press, int program) {
  press.run(program, 60);
  return press.rig.effects.verdicts.back().regime;
}

TEST_CASE("a regime keeps its number through restarts, services and rebaselines") {
  Press press{Rule::learned, 3, 33};
  press.work(1.5);
  REQUIRE(press.regimes().size() == 3);
  const std::array before{regime_of(press, 0), regime_of(press, 1), regime_of(press, 2)};
  const auto same = [&] {
    press.random = Random{99};
    return before == std::array{regime_of(press, 0), regime_of(press, 1), regime_of(press, 2)};
  };
  CHECK(before[0] != before[1]);
  CHECK(before[1] != before[2]);
  const auto saved = press.rig.engine.save_all(1);
  Position position = 0;
  Engine restored{std::make_shared<const Plan>(plan_with(Rule::learned))};
  REQUIRE(restored.restore_all(saved, position) == RestoreResult::ok);
  CHECK(restored.save_all(1) == saved);
  press.rig.engine = std::move(restored);
  CHECK(same());
  for (const auto kind : {Event::Kind::serviced, Event::Kind::rebaseline}) {
    press.rig.renew(kind, press.time, "P");
    CHECK(same());
  }
}

TEST_CASE("under another rule, regimes that were found are looked for anew") {
  Press press{Rule::learned, 2, 34};
  press.work(1);
  REQUIRE(press.regimes().size() == 2);
  auto plan = plan_with(Rule::learned);
  plan.machines[0].regime.learned = 5;
  Engine other{std::make_shared<const Plan>(plan)};
  Position position = 0;
  REQUIRE(other.restore_all(press.rig.engine.save_all(1), position) == RestoreResult::ok);
  CHECK(other.regimes(MachineId{}).empty());
  CHECK(other.unreadable_states() == 0);
}

TEST_CASE("every score knows its regime, and the first readings of a change are its transition") {
  Press press{Rule::learned, 3, 35};
  press.work(2);
  press.rig.effects.clear();
  for (int i = 0; i < 30; ++i) press.run(i % 3, 60);
  int suspicious = 0, in_transition = 0, first_rows = 0;
  for (const auto& verdict : press.rig.effects.verdicts) {
    CHECK(verdict.regime != no_regime);
    const bool transition = verdict.regime == regime_transition;
    in_transition += transition;
    if (!transition) CHECK(verdict.regime_learned > 100);
    const double since = to_seconds(verdict.sample.time - at(press.time - 1800));
    const bool first = since - 60 * std::floor(since / 60) < 0.5;
    first_rows += first && transition;
    suspicious += verdict.score && verdict.score->ratio >= 1;
  }
  MESSAGE("30 changes of six sensors: ", suspicious, " suspicious readings, ", in_transition,
          " in transition, ", first_rows, " of these in the first row");
  CHECK(suspicious < 30);
  CHECK(in_transition <= 30 * 6 * 6);
  CHECK(first_rows >= 29 * 6);
}

}  // namespace
}  // namespace millwright::engine
