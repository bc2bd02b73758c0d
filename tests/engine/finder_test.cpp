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

Plan plan_with(Rule rule, Duration find = 1h) {
  Plan plan;
  plan.profiles.push_back(profile("*", auto_detectors()));
  MachineProfile machine;
  machine.parameters = {{"warmup", 300}, {"learning_s", 0}};
  if (rule == Rule::named) machine.regime.sensor = "program";
  if (rule == Rule::learned) machine.regime.learned = 8;
  machine.regime.find = find;
  machine.regime.learning = 120s;
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
  double time = 0, heat = 30, step = 1;  // s
  int last = -1;

  Press(Rule rule, int how_many, std::uint64_t seed, Duration find = 1h)
      : rig(plan_with(rule, find)),
        random(seed),
        names(rule == Rule::named),
        programs(how_many) {}

  // `odd`: added to the current, in its usual scatters.
  void run(int program, int seconds, double odd = 0) {
    constexpr std::array currents{0.5, 4.0, 9.0, 6.5}, pressures{10.0, 40.0, 55.0, 25.0},
        noises{0.02, 0.2, 0.3, 0.15};
    const auto p = static_cast<std::size_t>(program);
    for (int i = 0; i < seconds; i += static_cast<int>(step), time += step) {
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
      say("hall", 20 + 3 * std::sin(2 * std::numbers::pi * time / 86400), 0.1);
    }
    last = program;
  }
  void work(double hours) {
    for (const double until = time + 3600 * hours; time < until;) {
      const auto program = static_cast<int>(random.below(static_cast<std::uint64_t>(programs)));
      run(program, static_cast<int>(step) * (60 + static_cast<int>(random.below(120))));
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
  for (std::uint64_t seed = 11; seed <= 14; ++seed) {
    CAPTURE(seed);
    const int programs = 2 + static_cast<int>(seed % 2);
    const double step = seed > 12 ? 10 : 1;
    for (const auto rule : {Rule::none, Rule::named, Rule::learned}) {
      Press press{rule, programs, seed, from_seconds(3600 * step)};
      press.step = step;
      press.work(4 * step);
      alerts[static_cast<std::size_t>(rule)] += press.raised();
      later[static_cast<std::size_t>(rule)] += press.raised(3600 * step);
      if (rule != Rule::learned) continue;
      const auto found = press.regimes();
      REQUIRE(found.size() == static_cast<std::size_t>(programs));
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == std::to_string(i + 1));
      for (const auto& n : press.rig.effects.regimes)
        MESSAGE(seed, " ", n.regime, " ", to_seconds(n.time - at(0)), " ", int(n.what));
    }
  }
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
      {"wanderer",
       [](Random& r, int, int, double& m) { return m = 0.995 * m + r.normal(); }},
      {"random walk", [](Random& r, int, int, double& m) { return m += r.normal(); }},
      {"coarse random walk",
       [](Random& r, int, int, double& m) { return std::round((m += 0.2 * r.normal())); }},
      {"spikes",
       [](Random& r, int frame, int, double&) {
         return frame % 37 == 0 ? 40 + r.normal() : r.normal();
       }},
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
  const auto seeds = static_cast<std::uint64_t>(test::scaled(20, 1000));
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
      if (found > 0) MESSAGE(machine.name, together, " ", found);
      CHECK(found <= seeds / 50);
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
      CHECK(run(machine, together, Rule::learned) == without);
      lines += without.size();
    }
  }
  CHECK(lines > 1000);
}

TEST_CASE("a fault inside one program is found, though it is usual in another") {
  for (const auto rule : {Rule::none, Rule::learned}) {
    Press press{rule, 3, 21};
    press.work(3);
    const double since = press.time;
    for (int i = 0; i < 8; ++i) press.run(1, 100, 10);  // 4 A + 2: between 4 and 9
    const int found = press.raised(since, "current");
    MESSAGE("fault, rule ", static_cast<int>(rule), " ", found);
    for (const auto& a : press.rig.effects.alerts)
      if (a.event == AlertEvent::raised && a.time >= at(since)) MESSAGE(a.regime, " ", to_seconds(a.time - at(since)), " ", a.message);
  }
}

}  // namespace
}  // namespace millwright::engine
