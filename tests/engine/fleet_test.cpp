#include "engine/fleet.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/engine/harness.h"
#include "tests/support/scale.h"

namespace millwright::engine {
namespace {

std::shared_ptr<const Plan> plan_of(const std::string& model, const std::string& match = "*",
                                    ParameterValues fleet = {}) {
  Plan plan;
  MachineProfile machine;
  machine.match = match;
  machine.model = model;
  machine.advice = "Look at the fan";
  plan.machines.push_back(machine);
  plan.fleet = std::move(fleet);
  return std::make_shared<const Plan>(plan);
}

struct Reading {
  std::string machine, sensor;
  Summary summary;
};

// What a fault adds to a machine's sensor (0 or 1), by day.
using Fault = std::function<double(int machine, int sensor, double day)>;

// A fleet in two halls, each with a daily course and a weather of its own: machines differ from the
// start, follow hall and load, and wander a little by themselves. A summary every ten minutes.
std::vector<Reading> fleet(std::uint64_t seed, int machines, double days, const Fault& fault) {
  Random random{seed};
  std::vector<double> own(static_cast<std::size_t>(machines) * 2),
      wander(static_cast<std::size_t>(machines) * 2);
  for (auto& offset : own) offset = 5 * random.normal();
  double weather[2] = {0, 0};
  std::vector<Reading> out;
  for (int i = 0; i < days * 144; ++i) {
    const double day = i / 144.0;
    for (double& hall : weather) hall = 0.999 * hall + 0.05 * random.normal();
    for (int m = 0; m < machines; ++m) {
      for (int s = 0; s < 2; ++s) {
        const auto at_own = 2 * static_cast<std::size_t>(m) + static_cast<std::size_t>(s);
        wander[at_own] = 0.98 * wander[at_own] + 0.1 * random.normal();
        const double hall = weather[m % 2] + 3 * std::sin(6.2832 * day);
        Summary summary;
        summary.minute = at(600.0 * i);
        summary.position = out.size() + 1;
        summary.add(40 + own[at_own] + hall + wander[at_own] + 0.3 * random.normal() +
                    fault(m, s, day));
        out.push_back({fmt::format("R{:03}", m + 1), s == 0 ? "j3_temp" : "j3_current", summary});
      }
    }
  }
  return out;
}
SensorInfo who(const Reading& r) {
  const bool hot = r.sensor == "j3_temp";
  return {.machine = r.machine,
          .sensor = r.sensor,
          .unit = hot ? "degC" : "A",
          .label = hot ? "joint 3 temperature" : "j3_current"};
}
double no_fault(int, int, double) { return 0; }

std::vector<Alert> run(Fleet& fleet, const std::vector<Reading>& readings) {
  std::vector<Alert> alerts;
  for (const auto& r : readings) fleet.take(who(r), r.summary, alerts);
  return alerts;
}
int raised(const std::vector<Alert>& alerts) {
  return static_cast<int>(std::count_if(alerts.begin(), alerts.end(), [](const Alert& alert) {
    return alert.event == AlertEvent::raised;
  }));
}
double day_of(Timestamp time) { return to_seconds(time - at(0)) / 86400; }

TEST_CASE("the odd one out is found, with the sensor that sets it apart, and cleared") {
  const auto plan = plan_of("RX5");
  Fleet engine{plan};
  const auto warm = [](int m, int s, double day) {
    return m == 6 && s == 0 && day >= 8 && day < 10 ? 8.0 : 0.0;
  };
  const auto alerts = run(engine, fleet(1, 12, 14, warm));
  REQUIRE(alerts.size() >= 2);
  const auto& first = alerts.front();
  CHECK(first.event == AlertEvent::raised);
  CHECK(first.machine == "R007");
  CHECK(first.sensor == "j3_temp");
  CHECK(first.kind == AlertKind::machine);
  CHECK(first.detector == "fleet");
  CHECK(first.unit == "degC");
  CHECK(first.advice == "Look at the fan");
  CHECK(first.value - first.expected == doctest::Approx(8).epsilon(0.2));
  CHECK(day_of(first.onset) == doctest::Approx(8).epsilon(0.01));
  CHECK(day_of(first.time) < 8.25);
  REQUIRE(!first.contributors.empty());
  CHECK(first.contributors.front().sensor == "j3_temp");
  CHECK(first.message.starts_with("R007: joint 3 temperature runs "));
  CHECK(first.message.find(" degC above the nearest of its 11 sisters since ") !=
        std::string::npos);
  const auto& last = alerts.back();
  CHECK(last.event == AlertEvent::cleared);
  CHECK(last.id == first.id);
  CHECK(day_of(last.time) == doctest::Approx(10.2).epsilon(0.02));
  CHECK(raised(alerts) == 1);
}

TEST_CASE("no machine is odd when half the fleet drifts with the weather") {
  Fleet engine{plan_of("RX5")};
  const auto hot_hall = [](int m, int, double day) {
    return m % 2 == 0 ? std::min(20.0, std::max(0.0, 4 * (day - 8))) : 0.0;
  };
  CHECK(run(engine, fleet(2, 12, 30, hot_hall)).empty());
}

TEST_CASE("the odd one is found while half the fleet drifts") {
  Fleet engine{plan_of("RX5")};
  const auto both = [](int m, int s, double day) {
    const double hall = m % 2 == 0 ? std::min(6.0, std::max(0.0, 2 * (day - 8))) : 0.0;
    return hall + (m == 3 && s == 0 && day >= 15 ? -25.0 : 0.0);
  };
  const auto alerts = run(engine, fleet(3, 12, 20, both));
  REQUIRE(raised(alerts) == 1);
  CHECK(alerts.front().machine == "R004");
}

TEST_CASE("over simulated months odd machines are found and hardly any other is") {
  int found = 0, planted = 0, others = 0;
  double days = 0, delay = 0;
  const int rounds = test::scaled(4, 40);
  for (int round = 0; round < rounds; ++round) {
    for (const int machines : {4, 8, 12}) {
      const int odd = round % machines;
      const auto wears = [&](int m, int s, double day) {
        return m == odd && s == 1 && day >= 20 ? 0.5 * (day - 20) : 0.0;
      };
      Fleet engine{plan_of("RX5")};
      const auto seed = std::uint64_t{900000} + 100 * static_cast<std::uint64_t>(round) +
                        static_cast<std::uint64_t>(machines);
      const auto alerts = run(engine, fleet(seed, machines, 40, wears));
      ++planted;
      days += 40 * machines;
      bool seen = false;
      for (const auto& alert : alerts) {
        if (alert.event != AlertEvent::raised) continue;
        const bool right = alert.machine == fmt::format("R{:03}", odd + 1) &&
                           alert.sensor == "j3_current" && day_of(alert.time) >= 20;
        if (right && !seen) {
          ++found;
          delay += day_of(alert.time) - 20;
        }
        seen |= right;
        others += !right;
      }
    }
  }
  MESSAGE("found ", found, " of ", planted, " after ", delay / std::max(found, 1),
          " days (0.5 degC a day); other alerts ", others, " in ", days / 30, " machine-months");
  CHECK(found >= 0.9 * planted);
  CHECK(others <= days / 30 / 20);
}

TEST_CASE("fewer than four machines, or machines without a model, are not compared") {
  const auto far = [](int m, int, double day) { return m == 1 && day > 8 ? 50.0 : 0.0; };
  Fleet three{plan_of("RX5")};
  CHECK(run(three, fleet(4, 3, 12, far)).empty());
  Fleet none{plan_of("")};
  CHECK(run(none, fleet(4, 8, 12, far)).empty());
  Fleet four{plan_of("RX5")};
  CHECK(raised(run(four, fleet(4, 4, 12, far))) == 1);
  // Of eight machines, three are of the model.
  Fleet part{plan_of("RX5", "R00[123]")};
  CHECK(run(part, fleet(4, 8, 12, far)).empty());
}

TEST_CASE("readings of a sensor at fault, and late ones, are not compared") {
  auto readings =
      fleet(5, 6, 12, [](int m, int, double day) { return m == 1 && day > 8 ? 50.0 : 0.0; });
  for (const auto quality : std::initializer_list<std::uint32_t>{0, quality_fault, quality_late}) {
    CAPTURE(quality);
    Fleet engine{plan_of("RX5")};
    for (auto& r : readings)
      if (r.machine == "R002" && day_of(r.summary.minute) > 8) r.summary.quality = quality;
    CHECK(raised(run(engine, readings)) == (quality == 0 ? 1 : 0));
  }
}

TEST_CASE("late readings of a machine move nothing: the engine marks them so") {
  // The same minutes, with readings far off that come late in between, through engine and fleet.
  const auto alerts_with = [](bool late, bool marked) {
    auto plan = std::make_shared<Plan>(*plan_of("RX5", "*", {{"window_s", 300}, {"learning", 8}}));
    plan->profiles = {profile("*", {})};
    Engine engine{plan};
    Fleet fleet{plan};
    Feed feed{Clock::given};
    std::vector<Alert> alerts;
    Effects effects;
    Random random{4};
    Position position = 0;
    for (int minute = 0; minute < 200; ++minute) {
      for (int m = 0; m < 5; ++m) {
        const auto machine = fmt::format("R{}", m);
        const auto say = [&](double seconds, double value) {
          feed.reading(engine, machine, "temp", {at(seconds), value}, ++position,
                       at(60 * minute + 30), at(60 * minute + 30));
        };
        say(60 * minute, 40 + random.normal());
        if (late && m == 2 && minute > 100)
          for (int i = 1; i < 4; ++i) say(60 * minute - 10 * i, 90);
      }
      feed.step(engine, effects);
      if (!marked)
        for (auto& summary : effects.summaries) summary.quality = 0;
      fleet.follow(engine, effects, alerts);
      effects.clear();
    }
    return raised(alerts);
  };
  CHECK(alerts_with(false, true) == 0);
  CHECK(alerts_with(true, true) == 0);
  CHECK(alerts_with(true, false) > 0);
}

TEST_CASE("a service reaches the fleet also when the machine as a whole had learned nothing") {
  const auto apart = [](int m, int s, double day) {
    return m == 2 && s == 0 && day > 7 ? 9.0 : 0.0;
  };
  const auto plan = plan_of("RX5");
  for (const auto kind : {Event::Kind::serviced, Event::Kind::rebaseline}) {
    Fleet engine{plan};
    REQUIRE(raised(run(engine, fleet(8, 6, 9, apart))) == 1);
    Rig rig{*plan};
    for (int i = 0; i < 10; ++i) rig.reading("R003", "j3_temp", i, 40);
    REQUIRE(rig.renew(kind, 10, "R003"));
    std::vector<Alert> alerts;
    engine.follow(rig.engine, rig.effects, alerts);
    REQUIRE(alerts.size() == 1);
    CHECK(alerts[0].event == AlertEvent::closed);
    CHECK(alerts[0].machine == "R003");
  }
}

TEST_CASE("a feature has its own unit and label, and the samples it is made of are not compared") {
  auto plan = std::make_shared<Plan>(*plan_of("RX5"));
  auto raw = profile("*/vib", {});
  raw.unit = "g";
  raw.label = "Spindle bearing";
  raw.waveform = Waveform{};
  raw.waveform->features = {"crest", "velocity"};
  plan->profiles = {raw, profile("*", {})};
  const std::shared_ptr<const Plan> fixed = plan;
  for (const auto* odd : {"vib", "vib.velocity"}) {
    CAPTURE(odd);
    Engine engine{fixed};
    Fleet fleet_of{fixed};
    Outcome refused{};
    for (int m = 1; m <= 6; ++m) engine.sensor(fmt::format("R{:03}", m), "vib", refused);
    const auto far = [](int m, int s, double day) {
      return m == 2 && s == 0 && day > 7 ? 9.0 : 0.0;
    };
    std::vector<Alert> alerts;
    Effects effects;
    for (auto& r : fleet(8, 6, 9, far)) {
      if (r.sensor != "j3_temp") continue;
      r.summary.sensor = *engine.find_sensor(r.machine, odd);
      effects.summaries.push_back(r.summary);
    }
    fleet_of.follow(engine, effects, alerts);
    if (std::string_view{odd} == "vib") {
      CHECK(alerts.empty());
      continue;
    }
    REQUIRE(alerts.size() == 1);
    CHECK(alerts[0].sensor == "vib.velocity");
    CHECK(alerts[0].unit == "mm/s");
    CHECK(alerts[0].message.starts_with("R003: Spindle bearing, vibration velocity runs "));
    CHECK(alerts[0].message.find(" mm/s above ") != std::string::npos);
  }
}

TEST_CASE("when its machines go to other lanes, open alerts are closed and all is learned anew") {
  const auto apart = [](int m, int s, double day) {
    return m == 2 && s == 0 && day > 7 ? 9.0 : 0.0;
  };
  Fleet engine{plan_of("RX5")};
  REQUIRE(raised(run(engine, fleet(8, 6, 9, apart))) == 1);
  std::vector<Alert> alerts;
  engine.renew_all(alerts);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].event == AlertEvent::closed);
  alerts.clear();
  engine.renew_all(alerts);
  CHECK(alerts.empty());
}

TEST_CASE("fed in one go, in parts, or restored in between: the same to the byte") {
  const auto plan = plan_of("RX5");
  const auto readings = fleet(6, 5, 12, [](int m, int s, double day) {
    return m == 2 && s == 1 && day > 7 && day < 10 ? -9.0 : 0.0;
  });
  Fleet whole{plan}, parts{plan};
  const auto expected = run(whole, readings);
  REQUIRE(expected.size() >= 2);
  std::vector<Alert> alerts;
  Random random{1};
  for (const auto& r : readings) {
    parts.take(who(r), r.summary, alerts);
    if (!random.chance(0.01)) continue;
    const auto bytes = parts.save();
    Fleet fresh{plan};
    REQUIRE(fresh.restore(bytes, alerts));
    CHECK(fresh.save() == bytes);
    parts = std::move(fresh);
  }
  REQUIRE(alerts.size() == expected.size());
  for (std::size_t i = 0; i < alerts.size(); ++i)
    CHECK(describe(alerts[i]) == describe(expected[i]));
  CHECK(parts.save() == whole.save());
}

TEST_CASE("damaged bytes are refused, and nothing is changed") {
  const auto plan = plan_of("RX5");
  Fleet engine{plan};
  run(engine, fleet(7, 5, 4, &no_fault));
  const auto bytes = engine.save();
  std::vector<Alert> alerts;
  for (std::size_t size = 0; size < bytes.size(); size += 97)
    REQUIRE(!engine.restore(std::string_view{bytes}.substr(0, size), alerts));
  auto wrong = bytes;
  wrong[bytes.size() / 2] = static_cast<char>(wrong[bytes.size() / 2] ^ 1);
  CHECK(!engine.restore(wrong, alerts));
  CHECK(engine.save() == bytes);
}

TEST_CASE("a service, another model or other parameters close the alert and begin anew") {
  const auto apart = [](int m, int s, double day) {
    return m == 2 && s == 0 && day > 7 ? 9.0 : 0.0;
  };
  const auto readings = fleet(8, 6, 9, apart);
  Fleet engine{plan_of("RX5")};
  REQUIRE(raised(run(engine, readings)) == 1);
  const auto bytes = engine.save();

  std::vector<Alert> alerts;
  engine.renew("R003", alerts);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].event == AlertEvent::closed);
  CHECK(alerts[0].state == AlertState::cleared);

  for (const auto& other : {plan_of("RX6"), plan_of("RX5", "*", {{"window_s", 7200}})}) {
    alerts.clear();
    Fleet fresh{other};
    REQUIRE(fresh.restore(bytes, alerts));
    REQUIRE(alerts.size() == 1);
    CHECK(alerts[0].event == AlertEvent::closed);
    CHECK(alerts[0].machine == "R003");
  }
}

}  // namespace
}  // namespace millwright::engine
