// Did the service help? Machines with planted troubles are serviced, well and badly.
#include "engine/service.h"

#include <doctest/doctest.h>

#include <functional>

#include "core/random.h"
#include "tests/engine/harness.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

constexpr double minute = 60, hour = 3600, day = 24 * hour;

Plan plan_of(std::vector<DetectorChoice> detectors) {
  Plan plan;
  plan.profiles.push_back(profile("*", std::move(detectors)));
  plan.profiles[0].unit = "mm/s";
  plan.machines.push_back({});
  plan.machines[0].watched = false;
  return plan;
}

// A reading a minute from `from` to `to`, in seconds.
void run(Rig& rig, double from, double to, Random& random, double level, double scatter = 0.1,
         const std::string& sensor = "vib") {
  for (double t = from; t < to; t += minute)
    rig.reading("R1", sensor, t, level + scatter * random.normal());
}

// Two days at 2.2, four hours of trouble, serviced, two days after.
Rig serviced(std::vector<DetectorChoice> detectors, double trouble, double after,
             double trouble_scatter = 0.1, double after_scatter = 0.1) {
  Rig rig{plan_of(std::move(detectors))};
  Random random{4711};
  run(rig, 0, 2 * day, random, 2.2);
  run(rig, 2 * day, 2 * day + 4 * hour, random, trouble, trouble_scatter);
  REQUIRE(!rig.effects.alerts.empty());
  rig.renew(Event::Kind::serviced, 2 * day + 4 * hour, "R1");
  run(rig, 2 * day + 5 * hour, 4 * day, random, after, after_scatter);
  return rig;
}

}  // namespace

TEST_CASE("a service that brings the level back helped, and says so with figures") {
  const auto rig = serviced({{"shift", {}}}, 7.1, 2.3);
  REQUIRE(rig.effects.services.size() == 1);
  const auto& outcome = rig.effects.services[0];
  CAPTURE(outcome.message);
  CHECK(outcome.helped == Helped::yes);
  CHECK(outcome.serviced == at(2 * day + 4 * hour));
  // Relearning takes some hundred minutes, and eight hours are looked at.
  CHECK(outcome.time > outcome.serviced + 8h);
  CHECK(outcome.time < outcome.serviced + 24h);
  REQUIRE(outcome.sensors.size() == 1);
  const auto& one = outcome.sensors[0];
  CHECK(one.before == doctest::Approx(7.1).epsilon(0.02));
  CHECK(one.after.value() == doctest::Approx(2.3).epsilon(0.02));
  CHECK(one.usual.value() == doctest::Approx(2.2).epsilon(0.02));
  CHECK(one.kind == AlertKind::shift);
  CHECK(one.alert == rig.effects.alerts[0].id);
  CHECK(outcome.message.starts_with("R1: the service of 2026-01-07 helped: vib 7."));
  CHECK(outcome.message.find(" before the trouble began") != std::string::npos);
}

TEST_CASE("a service that changes little did not help, one that goes half way did so in part") {
  struct Row {
    double trouble, after;
    Helped helped;
  };
  const Row rows[] = {{7.1, 7.0, Helped::no},       // as before
                      {7.1, 5.9, Helped::in_part},  // three quarters of it are left
                      {7.1, 8.5, Helped::no},       // worse
                      {7.1, 2.2, Helped::yes},
                      {0.2, 2.1, Helped::yes},   // too low was a trouble, too
                      {3.7, 0.5, Helped::no},    // as far off to the other side
                      {7.1, 1.6, Helped::yes}};  // better than it ever was
  for (const auto& row : rows) {
    CAPTURE(row.trouble);
    CAPTURE(row.after);
    const auto rig = serviced({{"shift", {}}}, row.trouble, row.after);
    REQUIRE(rig.effects.services.size() == 1);
    CAPTURE(rig.effects.services[0].message);
    CHECK(rig.effects.services[0].helped == row.helped);
  }
}

TEST_CASE("over a limit, it helped when the limit is kept") {
  for (const double after : {2.3, 6.0}) {
    const auto rig = serviced({{"limit", {{"high", 5.0}}}}, 7.1, after);
    REQUIRE(rig.effects.services.size() == 1);
    CAPTURE(rig.effects.services[0].message);
    CHECK(rig.effects.services[0].helped == (after < 5 ? Helped::yes : Helped::in_part));
  }
}

TEST_CASE("scatter is compared as scatter") {
  for (const double after : {0.12, 1.4}) {
    const auto rig = serviced({{"spread", {}}}, 2.2, 2.2, 1.5, after);
    REQUIRE(rig.effects.services.size() == 1);
    const auto& outcome = rig.effects.services[0];
    CAPTURE(outcome.message);
    REQUIRE(outcome.sensors[0].scatter);
    CHECK(outcome.sensors[0].after.value() == doctest::Approx(after).epsilon(0.1));
    CHECK(outcome.sensors[0].before == doctest::Approx(1.5).epsilon(0.15));
    CHECK(outcome.helped == (after < 1 ? Helped::yes : Helped::no));
    CHECK(outcome.message.find("vib scattered by ") != std::string::npos);
  }
}

TEST_CASE("the crew stops the machine before it says serviced: what counts is the trouble") {
  Rig rig{plan_of({{"shift", {}}})};
  Random random{4712};
  run(rig, 0, 2 * day, random, 2.2);
  run(rig, 2 * day, 2 * day + 4 * hour, random, 7.1);
  run(rig, 2 * day + 4 * hour, 2 * day + 10 * hour, random, 2.1);  // the alert is over
  REQUIRE(rig.ids_of(AlertEvent::cleared).size() == 1);
  rig.renew(Event::Kind::serviced, 2 * day + 10 * hour, "R1");
  run(rig, 2 * day + 11 * hour, 4 * day, random, 2.3);
  REQUIRE(rig.effects.services.size() == 1);
  CHECK(rig.effects.services[0].sensors[0].before == doctest::Approx(7.1).epsilon(0.1));
}

TEST_CASE("only in the regime of the trouble is anything compared") {
  auto plan = plan_of({{"limit", {{"high", 5.0}}}});
  plan.machines[0].regime.sensor = "program";
  Rig rig{std::move(plan)};
  Random random{4713};
  const auto go = [&](double from, double to, double program, double level) {
    for (double t = from; t < to; t += minute) {
      rig.reading("R1", "program", t, program);
      rig.reading("R1", "vib", t + 1, level + 0.1 * random.normal());
    }
  };
  go(0, 4 * hour, 1, 2);
  go(4 * hour, 8 * hour, 2, 7);    // fails in program 2
  go(8 * hour, 9 * hour, 1, 5.5);  // and a little in program 1
  rig.renew(Event::Kind::serviced, 9 * hour, "R1");
  go(10 * hour, 30 * hour, 1, 1);
  CHECK(rig.effects.services.empty());
  go(30 * hour, 45 * hour, 2, 3);
  REQUIRE(rig.effects.services.size() == 1);
  const auto& one = rig.effects.services[0].sensors.at(0);
  CHECK(one.regime == "program-2");
  CHECK(one.before == doctest::Approx(7).epsilon(0.02));
  CHECK(one.after.value() == doctest::Approx(3).epsilon(0.02));
}

TEST_CASE("without trouble nothing is told, nor after a rebaseline") {
  Rig quiet{plan_of({{"shift", {}}})};
  Random random{4714};
  run(quiet, 0, 2 * day, random, 2.2);
  quiet.renew(Event::Kind::serviced, 2 * day, "R1");
  run(quiet, 2 * day, 4 * day, random, 2.2);
  CHECK(quiet.effects.services.empty());

  Rig other{plan_of({{"shift", {}}})};
  run(other, 0, 2 * day, random, 2.2);
  run(other, 2 * day, 2 * day + 4 * hour, random, 7.1);
  other.renew(Event::Kind::rebaseline, 2 * day + 4 * hour, "R1");
  run(other, 2 * day + 5 * hour, 4 * day, random, 2.2);
  CHECK(other.effects.services.empty());

  // An alert of last month is no reason for the service of today.
  Rig old{plan_of({{"shift", {}}})};
  run(old, 0, 2 * day, random, 2.2);
  run(old, 2 * day, 2 * day + 4 * hour, random, 7.1);
  run(old, 2 * day + 4 * hour, 12 * day, random, 2.2);
  old.renew(Event::Kind::serviced, 12 * day, "R1");
  run(old, 12 * day, 14 * day, random, 2.2);
  CHECK(old.effects.services.empty());
}

TEST_CASE("after a week it is told with what is known: too little") {
  Rig rig{plan_of({{"shift", {}}})};
  Random random{4715};
  run(rig, 0, 2 * day, random, 2.2);
  run(rig, 2 * day, 2 * day + 4 * hour, random, 7.1);
  rig.renew(Event::Kind::serviced, 2 * day + 4 * hour, "R1");
  run(rig, 3 * day, 3 * day + hour, random, 2.2);  // then it is switched off
  rig.tick(9 * day);
  CHECK(rig.effects.services.empty());
  rig.tick(9 * day + 5 * hour);
  REQUIRE(rig.effects.services.size() == 1);
  const auto& outcome = rig.effects.services[0];
  CHECK(outcome.helped == Helped::unknown);
  CHECK_FALSE(outcome.sensors[0].after);
  CHECK(outcome.message.find("cannot be judged: vib 7.") != std::string::npos);
  CHECK(outcome.message.find("too few readings since") != std::string::npos);
  rig.tick(20 * day);
  CHECK(rig.effects.services.size() == 1);
}

TEST_CASE("of two sensors the service waits for both, and says in part when one is no better") {
  Rig rig{plan_of({{"shift", {}}})};
  Random random{4716};
  const auto both = [&](double from, double to, double first, double second) {
    for (double t = from; t < to; t += minute) {
      rig.reading("R1", "a", t, first + 0.1 * random.normal());
      rig.reading("R1", "b", t, second + 0.1 * random.normal());
    }
  };
  both(0, 2 * day, 2, 5);
  both(2 * day, 2 * day + 4 * hour, 6, 9);
  rig.renew(Event::Kind::serviced, 2 * day + 4 * hour, "R1");
  both(2 * day + 5 * hour, 4 * day, 2, 9);
  REQUIRE(rig.effects.services.size() == 1);
  const auto& outcome = rig.effects.services[0];
  CAPTURE(outcome.message);
  REQUIRE(outcome.sensors.size() == 2);
  CHECK(outcome.sensors[0].helped == Helped::yes);
  CHECK(outcome.sensors[1].helped == Helped::no);
  CHECK(outcome.helped == Helped::in_part);
}

TEST_CASE("whether a service helped survives a restart at any moment, to the byte") {
  const auto play = [](std::optional<double> restart) {
    const auto plan = std::make_shared<const Plan>(plan_of({{"shift", {}}}));
    Rig rig{*plan};
    Random random{4717};
    std::vector<std::string> out;
    bool restarted = !restart;
    for (double t = 0; t < 4 * day; t += minute) {
      const double level = t >= 2 * day && t < 2 * day + 4 * hour ? 7.1 : 2.2;
      if (t == 2 * day + 4 * hour) rig.renew(Event::Kind::serviced, t, "R1");
      if (!restarted && t >= *restart) {
        const auto bytes = rig.engine.save_all(1);
        Engine other{plan};
        Position position = 0;
        REQUIRE(other.restore_all(bytes, position) == RestoreResult::ok);
        rig.engine = std::move(other);
        restarted = true;
      }
      rig.reading("R1", "vib", t, level + 0.1 * random.normal());
    }
    for (const auto& text : describe(rig.engine, rig.effects)) out.push_back(text);
    out.push_back(rig.engine.save_all(1));
    return out;
  };
  const auto whole = play({});
  CHECK(std::count_if(whole.begin(), whole.end(),
                      [](const auto& text) { return text.starts_with("service "); }) == 1);
  for (const double restart :
       {2 * day + hour, 2 * day + 4 * hour, 2 * day + 6 * hour, 2 * day + 11 * hour}) {
    CAPTURE(restart);
    CHECK(play(restart) == whole);
  }
}
