#include <doctest/doctest.h>

#include <limits>

#include "core/random.h"
#include "tests/engine/harness.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

Plan limit_plan(double high) {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"limit", {{"high", high}}}}));
  plan.profiles[0].unit = "degC";
  return plan;
}

std::uint64_t count(const Engine& engine, Outcome outcome) { return engine.outcomes()[outcome]; }

}  // namespace

TEST_CASE("a reading above its limit raises an alert that says what, where and since when") {
  Rig rig{limit_plan(90)};
  rig.reading("R1", "temp", 0, 60);
  rig.reading("R1", "temp", 10, 95.2);
  REQUIRE(rig.effects.alerts.size() == 1);
  const auto alert = rig.effects.alerts[0];
  CHECK(alert.id == "R1/temp/limit/1767571210000");
  CHECK(alert.revision == 1);
  CHECK(alert.event == AlertEvent::raised);
  CHECK(alert.value == 95.2);
  CHECK(alert.unit == "degC");
  CHECK(alert.onset == at(10));
  CHECK(alert.evidence.values == std::vector<double>{60, 95.2});
  CHECK(alert.message == "temp is 95.2 degC, at or above its limit of 90 degC");
  CHECK(rig.engine.active_alerts() == 1);

  rig.reading("R1", "temp", 20, 50);
  rig.reading("R1", "temp", 90, 50);
  REQUIRE(rig.effects.alerts.size() == 2);
  CHECK(rig.effects.alerts[1].event == AlertEvent::cleared);
  CHECK(rig.effects.alerts[1].id == alert.id);
  CHECK(rig.effects.alerts[1].revision == 2);
  CHECK(rig.engine.active_alerts() == 0);
}

TEST_CASE("a late reading is counted, summarised in its own minute and not learned") {
  Rig rig;
  rig.reading("R1", "temp", 130, 1);
  rig.reading("R1", "temp", 140, 2);
  rig.reading("R1", "temp", 50, 7);
  CHECK(count(rig.engine, Outcome::late) == 1);
  CHECK(rig.engine.info(SensorId{0}).readings == 2);
  REQUIRE(rig.effects.summaries.size() == 1);
  const auto late = rig.effects.summaries[0];
  CHECK(late.minute == at(0));
  CHECK(late.count == 1);
  CHECK(late.mean == 7);
  CHECK(late.quality == quality_late);
  CHECK_FALSE(rig.effects.verdicts.back().score.has_value());
}

TEST_CASE("a reading that the broker sends again is a duplicate, not a late one") {
  Rig rig;
  for (const int t : {130, 140}) rig.reading("R1", "temp", t, t);
  for (const int t : {130, 140, 150}) {
    rig.feed.reading(rig.engine, "R1", "temp", {at(t), double(t)}, ++rig.position, at(t), at(t),
                     true);
  }
  rig.feed.step(rig.engine, rig.effects);
  CHECK(count(rig.engine, Outcome::duplicate) == 2);
  CHECK(count(rig.engine, Outcome::late) == 0);
  CHECK(rig.engine.info(SensorId{0}).readings == 3);
  CHECK(rig.effects.summaries.empty());
}

TEST_CASE("bad readings are refused under their own names and touch nothing") {
  Plan plan;
  plan.future_tolerance = 5min;
  Rig rig{plan};
  rig.reading("R1", "temp", 0, 1);
  const auto before = rig.engine.save(MachineId{0});
  const double inf = std::numeric_limits<double>::infinity();
  struct Row {
    double value;
    Timestamp time;
    Outcome outcome;
  };
  for (const auto& row :
       {Row{std::numeric_limits<double>::quiet_NaN(), at(1), Outcome::not_finite},
        Row{inf, at(1), Outcome::not_finite}, Row{-inf, at(1), Outcome::not_finite},
        Row{1e308, at(1), Outcome::out_of_range}, Row{-1e101, at(1), Outcome::out_of_range},
        Row{1, at(3600), Outcome::future}, Row{1, at(0), Outcome::duplicate},
        Row{1, Timestamp::min(), Outcome::too_old}}) {
    CAPTURE(row.value);
    const auto old = count(rig.engine, row.outcome);
    rig.feed.reading(rig.engine, "R1", "temp", {row.time, row.value}, ++rig.position, at(1), at(0));
    rig.feed.step(rig.engine, rig.effects);
    CHECK(count(rig.engine, row.outcome) == old + 1);
  }
  CHECK(rig.engine.received() == rig.engine.outcomes().total());
  CHECK(rig.engine.info(SensorId{0}).readings == 1);
  rig.reading("R1", "temp", 2, 1);
  CHECK(rig.engine.info(SensorId{0}).readings == 2);
}

TEST_CASE("sensors beyond the limit and bad names are refused and counted, known ones go on") {
  Plan plan;
  plan.max_sensors = 2;
  Rig rig{plan};
  rig.reading("R1", "a", 0, 1);
  rig.reading("R1", "b", 0, 1);
  rig.reading("R1", "c", 0, 1);
  rig.reading("", "a", 0, 1);
  rig.reading("R1", std::string(201, 'x'), 0, 1);
  rig.reading("R1", "a\nb", 0, 1);
  rig.reading("R1", "a", 1, 1);
  CHECK(rig.engine.sensors() == 2);
  CHECK(count(rig.engine, Outcome::sensor_limit) == 1);
  CHECK(count(rig.engine, Outcome::bad_name) == 3);
  CHECK(rig.engine.received() == 7);
  CHECK(rig.engine.received() == rig.engine.outcomes().total());
}

TEST_CASE("the reorder buffer makes a shuffled stream equal to the ordered one") {
  Plan plan;
  plan.reorder = 10s;
  plan.profiles.push_back(profile("*", {{"spike", {}}, {"shift", {}}, {"stuck", {}}}));
  Rig ordered{plan}, shuffled{plan};
  Random random{5};
  std::vector<std::pair<double, double>> readings;
  for (int i = 0; i < 1000; ++i) readings.emplace_back(i, i == 900 ? 50.0 : random.normal());
  for (const auto& [t, v] : readings) ordered.reading("R1", "x", t, v);
  for (std::size_t i = 0; i + 4 <= readings.size(); i += 4) {
    std::swap(readings[i], readings[i + 3]);
    std::swap(readings[i + 1], readings[i + 2]);
  }
  for (const auto& [t, v] : readings) shuffled.reading("R1", "x", t, v);
  ordered.tick(2000);
  shuffled.tick(2000);
  CHECK(ordered.engine.pending() == 0);
  CHECK(count(shuffled.engine, Outcome::late) == 0);
  CHECK(ordered.engine.received() == ordered.engine.outcomes().total());
  CHECK(ordered.ids_of(AlertEvent::raised) == shuffled.ids_of(AlertEvent::raised));
  CHECK_FALSE(ordered.ids_of(AlertEvent::raised).empty());
}

TEST_CASE("silence is heard at ticks, in processing time, and ends with the next reading") {
  Rig rig;
  for (int i = 0; i < 100; ++i) {
    rig.reading("R1", "x", 10.0 * i, i % 7);
    rig.tick(10.0 * i + 1);
  }
  CHECK(rig.ids_of(AlertEvent::raised).empty());
  for (int t = 1000; t < 5000; t += 10) rig.tick(t);
  const auto raised = rig.ids_of(AlertEvent::raised);
  REQUIRE(raised.size() == 1);
  CHECK(raised[0] == "R1/x/gap/" + std::to_string(to_microseconds(at(990)) / 1000));
  rig.reading("R1", "x", 5000, 3);
  CHECK(rig.ids_of(AlertEvent::cleared) == raised);
}

namespace {

Plan clock_plan() {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"limit", {{"high", 90.0}}}, {"gap", {}}, {"clock", {}}}));
  plan.profiles[0].unit = "degC";
  plan.profiles[0].alarm.off_delay = std::chrono::seconds{5};
  return plan;
}
std::string events_of(const Rig& rig) {
  std::string out;
  for (const auto& a : rig.effects.alerts)
    out += fmt::format("{} {}, ", name_of(a.kind), name_of(a.event));
  return out;
}

}  // namespace

TEST_CASE("a sensor with a wrong time is told of in the gateway's time, with a value in its unit") {
  Rig rig{clock_plan()};
  for (int t = 0; t < 200; ++t) rig.reading("R1", "temp", t, 60);
  // Two hours ahead, a hundred and one years behind, an hour back.
  for (const double wrong : {7200.0, -101 * 366 * 86400.0, -3600.0}) {
    CAPTURE(wrong);
    rig.effects.clear();
    const double begin = to_seconds(rig.engine.info(SensorId{0}).last - at(0)) + 1;
    for (double t = begin; t < begin + 120; ++t) {
      rig.received("R1", "temp", t + wrong, 61, t);
      rig.tick(t);
    }
    REQUIRE(events_of(rig) == "clock raised, ");
    const auto& raised = rig.effects.alerts[0];
    CHECK(raised.alert_class() == AlertClass::sensor);
    CHECK(raised.onset == at(begin));
    CHECK(raised.time == at(begin + 60));
    CHECK(raised.value == 61);
    CHECK(raised.unit == "degC");
    CHECK(raised.severity == Severity::notice);
    rig.effects.clear();
    for (double t = begin + 120; t < begin + 140; ++t) rig.reading("R1", "temp", t, 60);
    CHECK(events_of(rig) == "clock cleared, ");
  }
}

TEST_CASE("a sensor that had the wrong time from the start is told of, also where it is taken in") {
  Rig rig{clock_plan()};
  for (int t = 0; t < 100; ++t) {
    rig.received("R1", "temp", t - 86400.0 * 365, 61, t);
    rig.tick(t);
  }
  REQUIRE(events_of(rig) == "clock raised, ");
  CHECK(rig.effects.alerts[0].message.ends_with("365 days behind this gateway's clock"));
  CHECK(rig.effects.alerts[0].onset == at(0));
  CHECK(rig.engine.outcomes()[Outcome::learned] == 100);
}

TEST_CASE("what was kept while something was down is no wrong time") {
  Rig rig{clock_plan()};
  for (int t = 0; t < 200; ++t) rig.reading("R1", "temp", t, 60);
  // A fortnight later, each second a minute of it.
  const double now = 15 * 86400;
  for (int t = 0; t < 20000; ++t) rig.received("R1", "temp", 200 + 60 * t, 60, now + t);
  CHECK(events_of(rig) == "");
}

TEST_CASE("what a source sends again, repeats or sends out of order is no wrong time") {
  Rig rig{clock_plan()};
  for (int t = 0; t < 200; ++t) rig.reading("R1", "temp", t, 60);
  // Redelivered after a crash, for minutes; the last one repeated; every other one an old one.
  for (int t = 200; t < 400; ++t) rig.received("R1", "temp", t - 200, 60, t, true);
  for (int t = 400; t < 600; ++t) rig.received("R1", "temp", 199, 60, t);
  for (int t = 600; t < 900; ++t) rig.received("R1", "temp", t - t % 2 * 500, 60, t);
  CHECK(events_of(rig) == "");
}

TEST_CASE("a sensor with a wrong time does not clear an alert on the machine") {
  Rig rig{clock_plan()};
  for (int t = 0; t < 200; ++t) rig.reading("R1", "temp", t, t < 190 ? 60 : 99);
  REQUIRE(events_of(rig) == "limit raised, ");
  for (int t = 200; t < 400; ++t) rig.received("R1", "temp", t + 7200, 60, t);
  CHECK(events_of(rig).find("limit cleared") == std::string::npos);
  CHECK(events_of(rig).find("clock raised") != std::string::npos);
}

TEST_CASE("a sensor that goes silent does not clear an alert on the machine") {
  auto plan = limit_plan(90);
  plan.profiles[0].detectors.push_back({"gap", {}});
  Rig rig{plan};
  for (int i = 0; i < 50; ++i) rig.reading("R1", "temp", i, i < 49 ? 60 : 99);
  for (int t = 50; t < 10000; t += 10) rig.tick(t);
  CHECK(rig.ids_of(AlertEvent::raised).size() == 2);
  CHECK(rig.ids_of(AlertEvent::cleared).empty());
}

TEST_CASE(
    "minutes are summarised once, by the next minute's reading or by a tick when the sensor is "
    "quiet") {
  Rig rig;
  for (int t = 0; t < 130; t += 10) rig.reading("R1", "x", t, t);
  REQUIRE(rig.effects.summaries.size() == 2);
  CHECK(rig.effects.summaries[0].count == 6);
  CHECK(rig.effects.summaries[0].mean == 25);
  CHECK(rig.effects.summaries[0].first == 0);
  CHECK(rig.effects.summaries[0].last == 50);
  CHECK((rig.effects.summaries[0].quality & quality_warming) != 0);
  rig.tick(125 + 85);
  CHECK(rig.effects.summaries.size() == 2);
  rig.tick(300);
  REQUIRE(rig.effects.summaries.size() == 3);
  CHECK(rig.effects.summaries[2].count == 1);
  rig.tick(400);
  CHECK(rig.effects.summaries.size() == 3);
}

TEST_CASE("a machine moves to another engine as bytes and goes on as if nothing had happened") {
  Random random{9};
  Plan plan;
  plan.profiles.push_back(profile("*", {{"spike", {}}, {"shift", {}}, {"gap", {}}}));
  Rig here{plan}, there{plan};
  auto value = [&] { return 20 + random.normal(); };
  for (int i = 0; i < 500; ++i) {
    here.reading("R1", "a", i, value());
    here.reading("R2", "a", i, value());
  }
  REQUIRE(there.engine.restore(here.engine.save(MachineId{1})) == RestoreResult::ok);
  CHECK(there.engine.sensors() == 1);
  here.effects.clear();
  for (int i = 500; i < 600; ++i) {
    const double x = i == 550 ? 90 : value();
    here.reading("R2", "a", i, x);
    there.reading("R2", "a", i, x);
  }
  CHECK(here.ids_of(AlertEvent::raised) == there.ids_of(AlertEvent::raised));
  CHECK_FALSE(there.ids_of(AlertEvent::raised).empty());
  CHECK(here.engine.save(MachineId{1}) == there.engine.save(MachineId{0}));
}

TEST_CASE(
    "a changed profile keeps the state of the detectors it did not change, and closes what it took "
    "away") {
  Random random{4};
  Plan before = limit_plan(90);
  before.profiles[0].detectors.push_back({"spike", {}});
  Rig rig{before};
  for (int i = 0; i < 600; ++i) rig.reading("R1", "x", i, random.normal());
  rig.reading("R1", "x", 600, 95);
  REQUIRE(rig.ids_of(AlertEvent::raised).size() == 2);

  Plan after;
  after.profiles.push_back(profile("*", {{"spike", {}}}));
  Rig changed{after};
  REQUIRE(changed.engine.restore(rig.engine.save(MachineId{0})) == RestoreResult::ok);
  changed.position = rig.position;
  changed.tick(601);
  REQUIRE(changed.effects.alerts.size() == 1);
  CHECK(changed.effects.alerts[0].event == AlertEvent::closed);
  CHECK(changed.effects.alerts[0].kind == AlertKind::limit);
  CHECK(changed.effects.alerts[0].revision == 2);
  // The spike detector kept what it learned: it scores the next reading at once.
  changed.reading("R1", "x", 602, 0);
  CHECK(changed.effects.verdicts.back().score.has_value());
}

TEST_CASE("sensitivity moves the limit of what was learned and leaves a person's limit alone") {
  for (const double moved : {0.5, 1.0, 2.0}) {
    CAPTURE(moved);
    auto plan = limit_plan(10);
    plan.profiles[0].alarm.limit = moved;
    Rig rig{plan};
    rig.reading("R1", "x", 0, 9.9);
    CHECK(rig.effects.alerts.empty());
    rig.reading("R1", "x", 1, 10);
    CHECK(rig.effects.alerts.size() == 1);
  }
}

TEST_CASE(
    "a changed sensitivity keeps what auto and precise learned, and is the limit from then on") {
  const auto plan_with = [](const char* name, double limit, ParameterValues parameters) {
    Plan plan;
    plan.profiles.push_back(profile("*", {{name, std::move(parameters)}}));
    plan.profiles[0].alarm.limit = limit;
    return plan;
  };
  for (const auto* name : {"auto", "precise"}) {
    for (const double limit : {0.7, 1.5}) {
      CAPTURE(std::string{name});
      CAPTURE(limit);
      Random random{23};
      Rig before{plan_with(name, 1, {})};
      int minute = 0;
      for (; minute < 3000; ++minute) before.reading("R1", "x", 60 * minute, 20 + random.normal());
      REQUIRE(before.effects.verdicts.back().score.has_value());
      REQUIRE(before.effects.alerts.empty());
      const auto bytes = before.engine.save(MachineId{0});

      // The same said by the parameter, and a detector that went on with the limit it had.
      Rig after{plan_with(name, limit, {})}, said{plan_with(name, limit, {{"alarm_at", limit}})},
          old{plan_with(name, limit, {{"alarm_at", 1}})};
      for (auto* rig : {&after, &said, &old}) {
        REQUIRE(rig->engine.restore(bytes) == RestoreResult::ok);
        CHECK(rig->engine.save(MachineId{0}) == bytes);
        rig->position = before.position;
      }
      // Away from the usual level, and further.
      for (int i = 0; i < 300; ++i, ++minute) {
        const double value = 20 + random.normal() + 0.03 * i;
        for (auto* rig : {&after, &said, &old}) rig->reading("R1", "x", 60 * minute, value);
      }
      CHECK_FALSE(after.ids_of(AlertEvent::raised).empty());
      CHECK(after.engine.save(MachineId{0}) == said.engine.save(MachineId{0}));
      CHECK(after.engine.save(MachineId{0}) != old.engine.save(MachineId{0}));
      CHECK(describe(after.engine, after.effects) == describe(said.engine, said.effects));
      CHECK(describe(after.engine, after.effects) != describe(old.engine, old.effects));
      // It scored from the first reading on.
      CHECK(after.effects.verdicts.front().score.has_value());
    }
  }
}

TEST_CASE("damaged, foreign and newer states are refused and change nothing") {
  Rig rig;
  for (int i = 0; i < 50; ++i) rig.reading("R1", "x", i, i);
  const auto bytes = rig.engine.save_all(rig.position);
  Position position = 0;
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    CAPTURE(size);
    Rig fresh;
    CHECK(fresh.engine.restore_all(std::string_view{bytes}.substr(0, size), position) !=
          RestoreResult::ok);
    CHECK(fresh.engine.sensors() == 0);
  }
  for (std::size_t i = 0; i < bytes.size(); i += 5) {
    CAPTURE(i);
    auto flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    Rig fresh;
    CHECK(fresh.engine.restore_all(flipped, position) != RestoreResult::ok);
    CHECK(fresh.engine.sensors() == 0);
  }
  auto newer = bytes;
  newer[4] = 99;
  CHECK(rig.engine.restore_all(newer, position) == RestoreResult::newer_version);
  CHECK(rig.engine.sensors() == 1);
  auto older = bytes;
  older[4] = 1;
  CHECK(rig.engine.restore_all(older, position) == RestoreResult::older_version);
  CHECK(rig.engine.sensors() == 1);
  CHECK(rig.engine.restore_all(bytes, position) == RestoreResult::ok);
  CHECK(position == rig.position);
}
