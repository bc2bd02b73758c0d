// What a machine does tells what is normal: which regime it is in, what is usual there, and what
// the engine makes of it.
#include "engine/regime.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/engine/harness.h"

namespace millwright::engine {
namespace {

using namespace std::chrono_literals;

RegimeRule by_program() {
  RegimeRule rule;
  rule.sensor = "program";
  rule.settle = 5s;
  rule.warmup = 50;
  rule.learning = 60s;
  return rule;
}

RegimeId named(Regimes& regimes, const RegimeRule& rule, double seconds, double value) {
  regimes.follow(rule, {at(seconds), value});
  return regimes.at(rule, at(seconds + 1000));
}

TEST_CASE("every value is a regime, numbered in the order seen, and comes back as itself") {
  const auto rule = by_program();
  Regimes regimes;
  CHECK(regimes.at(rule, at(0)) == no_regime);
  CHECK(regimes.name(rule, no_regime).empty());
  CHECK(named(regimes, rule, 0, 7) == first_regime);
  CHECK(named(regimes, rule, 2000, 2.5) == first_regime + 1);
  CHECK(named(regimes, rule, 4000, 7) == first_regime);
  CHECK(named(regimes, rule, 6000, -0.0) == first_regime + 2);
  CHECK(named(regimes, rule, 8000, 0.0) == first_regime + 2);
  CHECK(regimes.name(rule, first_regime) == "program-7");
  CHECK(regimes.name(rule, first_regime + 1) == "program-2.5");
  CHECK(regimes.name(rule, first_regime + 2) == "program-0");
}

TEST_CASE("bins: an edge belongs to the regime above it") {
  auto rule = by_program();
  rule.sensor = "speed";
  rule.bins = {20, 60};
  Regimes regimes;
  const auto name = [&](double seconds, double value) {
    return regimes.name(rule, named(regimes, rule, seconds, value));
  };
  CHECK(name(0, 19.99) == "speed-under-20");
  CHECK(name(2000, 20) == "speed-20-to-60");
  CHECK(name(4000, 59.9) == "speed-20-to-60");
  CHECK(name(6000, 60) == "speed-from-60");
}

TEST_CASE("more values than there may be regimes share one, and nothing grows") {
  const auto rule = by_program();
  Regimes regimes;
  for (int i = 0; i < 1000; ++i) named(regimes, rule, 2000 * i, i);
  CHECK(regimes.size() == Regimes::most + first_regime);
  CHECK(regimes.name(rule, regimes.at(rule, at(1e7))) == "program-other");
  CHECK(named(regimes, rule, 1e8, 3) == first_regime + 3);
}

TEST_CASE("after a change the machine is in transition; the very first naming is none") {
  const auto rule = by_program();
  Regimes regimes;
  regimes.follow(rule, {at(100), 1});
  CHECK(regimes.at(rule, at(100)) == first_regime);
  regimes.follow(rule, {at(200), 2});
  CHECK(regimes.at(rule, at(199)) == first_regime);  // a reading that comes a little late
  CHECK(regimes.at(rule, at(200)) == regime_transition);
  CHECK(regimes.at(rule, at(204.9)) == regime_transition);
  CHECK(regimes.at(rule, at(205)) == first_regime + 1);
  CHECK(regimes.name(rule, regime_transition) == "transition");
}

TEST_CASE("a regime is known after its readings and its time, visits added up") {
  const auto rule = by_program();
  UsualValues usual;
  Random random{1};
  double time = 0;
  for (int visit = 0; visit < 4; ++visit) {
    for (int i = 0; i < 20; ++i, time += 1) {
      if (visit < 3) CHECK_FALSE(usual.measure(rule, 3));
      usual.learn(rule, 3, {at(time), 50 + 2 * random.normal()}, true);
    }
    for (int i = 0; i < 500; ++i, time += 1)
      usual.learn(rule, 4, {at(time), -3 + 0.1 * random.normal()}, true);
  }
  // 80 readings, 76 s.
  const auto known = usual.measure(rule, 3);
  REQUIRE(known);
  CHECK(known->mean == doctest::Approx(50).epsilon(0.02));
  CHECK(known->scale == doctest::Approx(2).epsilon(0.3));
  CHECK(known->to(known->from(57)) == doctest::Approx(57));
  CHECK(usual.learned(3) == 80);
  CHECK(known->confidence == doctest::Approx(76.0 / (20 * 60)));
  CHECK(known->caution() > usual.measure(rule, 4)->caution());
  CHECK(usual.measure(rule, 4)->caution() == doctest::Approx(1));
}

TEST_CASE("suspicious values teach a young regime; under an alert only one not known before it") {
  const auto rule = by_program();
  const auto after = [&](int before, bool normal, std::optional<Timestamp> alert = {}) {
    UsualValues usual;
    for (int i = 0; i < before; ++i) usual.learn(rule, 3, {at(i), i % 2 * 2.0}, true);
    for (int i = 0; i < 50; ++i) usual.learn(rule, 3, {at(before + i), 3}, normal, alert);
    return usual.measure(rule, 3)->mean;
  };
  CHECK(after(100, false) > 1.2);
  CHECK(after(1000, false) == doctest::Approx(1));
  CHECK(after(100, false, at(99)) == doctest::Approx(1));
  CHECK(after(100, true, at(99)) == doctest::Approx(1));
  CHECK(after(100, false, at(30)) > 1.2);
}

TEST_CASE(
    "a value that follows the regimes late is left as it is, one that follows at once is not") {
  const auto rule = by_program();
  UsualValues current, temperature;
  Random random{3};
  double heat = 20;
  for (int i = 0; i < 20 * 1800; ++i) {
    const auto regime = static_cast<RegimeId>(first_regime + i / 1800 % 2);
    const bool works = regime == first_regime;
    heat += ((works ? 60 : 30) - heat) / 900;
    if (i == 1950) {  // the second regime is known, but nothing has shown who follows
      CHECK_FALSE(current.measure(rule, first_regime));
      CHECK_FALSE(current.measure(rule, first_regime + 1));
    }
    // Before it was left, the first one was compared.
    if (i == 1700) CHECK(current.measure(rule, first_regime));
    current.learn(rule, regime, {at(i), (works ? 5 : 1) + 0.2 * random.normal()}, true);
    temperature.learn(rule, regime, {at(i), heat + 0.2 * random.normal()}, true);
  }
  CHECK(current.measure(rule, first_regime)->mean == doctest::Approx(5).epsilon(0.02));
  CHECK(current.measure(rule, first_regime + 1)->mean == doctest::Approx(1).epsilon(0.05));
  const auto one = temperature.measure(rule, first_regime);
  const auto two = temperature.measure(rule, first_regime + 1);
  CHECK(one->mean == two->mean);
  CHECK(one->scale == two->scale);
  CHECK(temperature.measure(rule, first_regime + 7)->mean == one->mean);
  CHECK(temperature.measure_at_once(rule, first_regime + 1)->mean + 3 <
        temperature.measure_at_once(rule, first_regime)->mean);
}

TEST_CASE("a regime that stands quite still takes its scale from the widest") {
  const auto rule = by_program();
  UsualValues usual;
  Random random{2};
  for (int i = 0; i < 200; ++i) usual.learn(rule, 3, {at(i), 5}, true);
  CHECK(usual.measure(rule, 3)->scale == 1);
  for (int i = 200; i < 1200; ++i) usual.learn(rule, 4, {at(i), random.normal()}, true);
  CHECK(usual.measure(rule, 3)->scale == doctest::Approx(0.02).epsilon(0.1));
}

// A robot that runs programs of 40 s each; its temperature, current and vibration follow them.
struct Robot {
  Plan plan;
  Rig rig;
  Random random{5};
  double time = 0;
  int last = 0;  // program

  static Plan make_plan(bool regimes) {
    Plan plan;
    auto sensors = profile("*", auto_detectors());
    sensors.alarm.on_delay = 0s;
    plan.profiles.push_back(profile("*/temp", {{"limit", {{"high", 90}}}, {"auto", {}}}));
    plan.profiles.push_back(sensors);
    MachineProfile machine;
    machine.parameters = {{"warmup", 300}, {"learning_s", 0}};
    if (regimes) machine.regime = by_program();
    plan.machines.push_back(machine);
    return plan;
  }
  explicit Robot(bool regimes) : plan(make_plan(regimes)), rig(plan) {}

  // `seconds` of one program; `odd` is added to the current.
  void run(int program, int seconds, double odd = 0) {
    constexpr double temperatures[] = {30, 45, 60, 38};
    constexpr double currents[] = {0.5, 4, 9, 6};
    constexpr double noise[] = {0.02, 0.2, 0.4, 0.3};
    const auto p = static_cast<std::size_t>(program);
    for (int i = 0; i < seconds; ++i, time += 1) {
      rig.reading("R1", "program", time, program);
      // A change of program pushes the current high for two seconds.
      const double push = i < 2 && program != last ? 15 : 0;
      rig.reading("R1", "current", time, currents[p] + push + odd + noise[p] * random.normal());
      rig.reading("R1", "temp", time, temperatures[p] + 0.3 * random.normal());
      rig.reading("R1", "vib", time, currents[p] / 2 + noise[p] * random.normal());
    }
    last = program;
  }
  void work(int rounds) {
    for (int i = 0; i < rounds; ++i) run(static_cast<int>(random.below(3)), 40);
  }
  int raised(std::string_view sensor = {}) const {
    int count = 0;
    for (const auto& a : rig.effects.alerts)
      count += a.event == AlertEvent::raised && (sensor.empty() || a.sensor == sensor);
    return count;
  }
};

TEST_CASE("programs that come and go, and their transitions, are no alarms") {
  Robot robot{true};
  robot.work(400);
  CHECK(robot.raised() == 0);
  CHECK(robot.rig.engine.regimes(MachineId{}).size() == 3);
  for (const auto& regime : robot.rig.engine.regimes(MachineId{})) {
    CAPTURE(regime.name);
    CHECK(regime.confidence == 1);
    CHECK(regime.readings > 5000);
  }
}

TEST_CASE("a value that is usual in another program is odd in this one, and the alert says which") {
  const auto found = [](bool regimes) {
    Robot robot{regimes};
    robot.work(400);
    const int before = robot.raised("current");
    // 4.0 + 2: between the levels of programs 1 and 2.
    for (int i = 0; i < 10; ++i) robot.run(1, 40, 2);
    for (const auto& a : robot.rig.effects.alerts) {
      if (!regimes || a.event != AlertEvent::raised || a.sensor != "current") continue;
      CHECK(a.regime == "program-1");
      CHECK(a.regime_readings > 1000);
      CHECK(a.expected == doctest::Approx(4).epsilon(0.1));
      CHECK(a.low > 2);
      CHECK(a.high < 6);
      CHECK(a.value == doctest::Approx(6).epsilon(0.2));
      CHECK(a.message.find("program-1") != std::string::npos);
      break;
    }
    return robot.raised("current") - before;
  };
  CHECK(found(true) >= 1);
  CHECK(found(false) == 0);
}

TEST_CASE("a new program learns without alarming and says so; what goes wrong later is told") {
  Robot robot{true};
  robot.work(300);
  robot.rig.effects.clear();
  robot.run(3, 40);
  REQUIRE(robot.rig.effects.regimes.size() == 1);
  CHECK(robot.rig.effects.regimes[0].regime == "program-3");
  CHECK(robot.rig.effects.regimes[0].what == RegimeNotice::What::learning);
  CHECK(robot.rig.effects.verdicts.back().outcome == Outcome::warming);
  CHECK(robot.rig.effects.verdicts.back().detector != "auto");
  for (int i = 0; i < 60; ++i) robot.run(i % 4, 40);
  CHECK(robot.raised() == 0);
  REQUIRE(robot.rig.effects.regimes.size() == 2);
  CHECK(robot.rig.effects.regimes[1].regime == "program-3");
  CHECK(robot.rig.effects.regimes[1].what == RegimeNotice::What::learned);
  for (int i = 0; i < 10; ++i) robot.run(3, 40, -2);
  CHECK(robot.raised() >= 1);
}

TEST_CASE(
    "a fault that is alerted when a new program begins does not keep that from being learned") {
  Robot robot{true};
  robot.work(300);
  for (int i = 0; i < 5; ++i) robot.run(1, 40, 3);
  REQUIRE(robot.rig.engine.active_alerts() > 0);
  robot.run(3, 300);
  for (const auto& verdict : robot.rig.effects.machine_verdicts)
    if (verdict.time > at(robot.time - 60)) CHECK(verdict.ratio);
  CHECK(robot.rig.effects.verdicts.back().regime_learned > 200);
  CHECK(robot.rig.effects.verdicts.back().detector == "auto");
}

TEST_CASE("a program that is changed once and stays is watched") {
  Robot robot{true};
  for (int i = 0; i < 100; ++i) robot.run(1, 40);
  for (int i = 0; i < 200; ++i) robot.run(2, 40);
  CHECK(robot.raised() == 0);
  for (int i = 0; i < 10; ++i) robot.run(2, 40, 4);
  CHECK(robot.raised("current") >= 1);
}

TEST_CASE("a pause is no time in a regime") {
  const auto rule = by_program();
  UsualValues usual;
  for (int i = 0; i < 55; ++i) usual.learn(rule, 3, {at(0.1 * i), i % 3 * 1.0}, true);
  usual.learn(rule, 3, {at(7 * 86400), 1}, true);
  CHECK_FALSE(usual.measure(rule, 3));
}

TEST_CASE("fixed limits hold in every regime, in transitions, and while one is learned") {
  Robot robot{true};
  robot.run(0, 40);
  robot.rig.reading("R1", "program", robot.time, 1);
  robot.rig.reading("R1", "temp", robot.time + 1, 95);
  CHECK(robot.raised("temp") == 1);
  CHECK(robot.rig.effects.alerts.back().regime == "transition");
  CHECK(robot.rig.effects.alerts.back().kind == AlertKind::limit);
}

// A plant of robots that report once a minute raised two false alerts a machine and week: a value
// that was missing right after a change of program was taken from before it, and held against the
// new program.
TEST_CASE("a value from before a change of regime says nothing of the machine after it") {
  auto plan = Robot::make_plan(true);
  plan.profiles = {profile("*", {})};
  Engine engine{std::make_shared<const Plan>(plan)};
  Feed feed{Clock::given};
  Effects effects;
  Random random{5};
  std::size_t missing = 0;
  for (int i = 0; i < 6000; ++i) {
    const int program = i / 8 % 2;
    const auto say = [&](const char* sensor, double value) {
      feed.reading(engine, "R1", sensor, {at(60.0 * i), value}, static_cast<Position>(i + 1),
                   at(60.0 * i), at(60.0 * i));
    };
    say("program", program);
    for (const char* sensor : {"current", "torque", "vib"}) {
      // Now and then one is missing for the two minutes after the first of a program.
      const bool gone = i > 3000 && i % 8 > 0 && i % 8 < 3 && i / 8 % 5 == 0 && sensor[0] == 'v';
      missing += gone;
      if (!gone) say(sensor, 10 + 40 * program + random.normal());
    }
  }
  feed.step(engine, effects);
  REQUIRE(missing > 100);
  CHECK(effects.alerts.empty());
}

TEST_CASE("what names the regime counts for its whole message, wherever in it it stands") {
  const auto state = [](bool program_last) {
    Engine engine{std::make_shared<const Plan>(Robot::make_plan(true))};
    Feed feed{Clock::given};
    Effects effects;
    for (int i = 0; i < 400; ++i) {
      const auto say = [&](const char* sensor, double value) {
        feed.reading(engine, "R1", sensor, {at(i), value}, static_cast<Position>(i), at(i), at(i));
      };
      const double program = i / 40 % 2;
      if (!program_last) say("program", program);
      say("current", 10 * program + i % 3);
      if (program_last) say("program", program);
    }
    feed.step(engine, effects);
    const auto id = *engine.find_sensor("R1", "current");
    return std::pair{engine.regimes(engine.machine_of(id)).at(1).readings, effects.alerts.size()};
  };
  CHECK(state(true) == state(false));
}

TEST_CASE("under another rule, what was learned by regime is learned anew") {
  Robot robot{true};
  robot.work(60);
  const auto saved = robot.rig.engine.save_all(1);
  auto plan = Robot::make_plan(true);
  Position position = 0;
  Engine same{std::make_shared<const Plan>(plan)};
  REQUIRE(same.restore_all(saved, position) == RestoreResult::ok);
  CHECK(same.save_all(1) == saved);
  plan.machines[0].regime.bins = {1.5};
  Engine other{std::make_shared<const Plan>(plan)};
  REQUIRE(other.restore_all(saved, position) == RestoreResult::ok);
  CHECK(other.regimes(MachineId{}).empty());
  CHECK(other.unreadable_states() == 0);

  // What is usual, the detectors that saw values measured by it, and the machine level.
  for (const bool changed : {false, true}) {
    CAPTURE(changed);
    Robot again{true};
    auto& rig = again.rig;
    rig.engine = Engine{std::make_shared<const Plan>(changed ? plan : Robot::make_plan(true))};
    REQUIRE(rig.engine.restore_all(saved, position) == RestoreResult::ok);
    again.time = robot.time;
    again.last = robot.last;
    again.run(robot.last, 30);
    std::uint32_t most_learned = 0;
    bool scored = false, of_machine = false;
    for (const auto& verdict : rig.effects.verdicts) {
      if (rig.engine.info(verdict.sensor).sensor == "program") continue;
      most_learned = std::max(most_learned, verdict.regime_learned);
      scored |= verdict.score && verdict.detector == "auto";
    }
    for (const auto& verdict : rig.effects.machine_verdicts)
      of_machine |= verdict.ratio.has_value();
    CHECK((most_learned > 100) == !changed);
    CHECK(scored == !changed);
    CHECK(of_machine == !changed);
  }
}

TEST_CASE("after a service every regime is learned anew") {
  Robot robot{true};
  robot.work(60);
  robot.rig.renew(Event::Kind::serviced, robot.time, "R1");
  REQUIRE(robot.rig.engine.regimes(MachineId{}).size() == 3);
  for (const auto& regime : robot.rig.engine.regimes(MachineId{})) CHECK(regime.readings == 0);
  robot.rig.effects.clear();
  // It draws more current now, which nothing of before is to judge; the machine says anew when it
  // knows a regime.
  for (int i = 0; i < 60; ++i) robot.run(static_cast<int>(robot.random.below(3)), 40, 3);
  CHECK(robot.raised() == 0);
  int learned = 0;
  for (const auto& notice : robot.rig.effects.regimes)
    learned += notice.what == RegimeNotice::What::learned;
  CHECK(learned == 3);
  const auto& first = robot.rig.effects.verdicts;
  for (std::size_t i = 0; i < 100; ++i) CHECK(first[i].detector != "auto");
  REQUIRE(!robot.rig.effects.machine_verdicts.empty());
  CHECK_FALSE(robot.rig.effects.machine_verdicts.front().ratio);
}

TEST_CASE("what was usual by regime is archived at a service, with the names of the regimes") {
  Robot robot{true};
  robot.work(60);
  const auto service = [&] {
    robot.rig.effects.clear();
    robot.rig.renew(Event::Kind::serviced, robot.time, "R1");
    std::vector<PastBaseline> out;
    for (const auto& past : robot.rig.effects.baselines)
      if (past.detector == "regimes") out.push_back(past);
    return out;
  };
  const auto past = service();
  REQUIRE(past.size() == 4);  // three sensors, and the machine
  const std::vector<std::string> names{"", "transition", "program-other"};
  for (const auto& one : past) {
    CAPTURE(one.sensor);
    CHECK(one.machine == "R1");
    CHECK(one.version == 1);
    CHECK(one.why == BaselineEnd::serviced);
    CHECK(one.since.has_value());
    CHECK(one.configuration == rule_fingerprint(by_program()));
    CHECK(one.learned > 1000);
    Reader in{one.state};
    std::vector<std::string> told;
    in(told);
    REQUIRE(told.size() == 6);
    CHECK(std::vector<std::string>(told.begin(), told.begin() + 3) == names);
    if (one.sensor != "current") continue;
    UsualValues usual;
    in(usual);
    REQUIRE(in.ok());
    CHECK(in.at_end());
    constexpr double currents[] = {0.5, 4, 9};
    for (std::size_t i = 3; i < told.size(); ++i) {
      const auto program = static_cast<std::size_t>(told[i].back() - '0');
      const auto known = usual.measure_at_once(by_program(), static_cast<RegimeId>(i));
      REQUIRE(known);
      CHECK(known->mean == doctest::Approx(currents[program]).epsilon(0.05));
    }
  }
  // Nothing was learned since: there is nothing to keep. Later the next version is.
  CHECK(service().empty());
  robot.work(60);
  const auto next = service();
  REQUIRE(next.size() == 4);
  for (const auto& one : next) CHECK(one.version == 2);
}

}  // namespace
}  // namespace millwright::engine
