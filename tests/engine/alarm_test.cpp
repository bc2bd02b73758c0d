#include <doctest/doctest.h>

#include "engine/alarm.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

Timestamp at(int seconds) { return Timestamp{} + std::chrono::seconds{1000 + seconds}; }

struct Bench {
  Alarm alarm;
  AlarmRule rule{.on_delay = 10s, .off_delay = 20s, .limit = 1, .clear_ratio = 0.8};
  AlertKind kind = AlertKind::shift;
  double alone = 1;
  std::optional<AlertEvent> feed(int seconds, double ratio) {
    return advance(alarm, rule, kind, at(seconds), Score{.ratio = ratio}, true, alone);
  }
};

}  // namespace

TEST_CASE(
    "an alert is raised after the on-delay and cleared after the off-delay, with rising "
    "revisions") {
  Bench b;
  CHECK(b.feed(0, 0.5) == std::nullopt);
  CHECK(b.feed(1, 1.1) == std::nullopt);
  CHECK(b.alarm.phase == Phase::pending);
  CHECK(b.feed(10, 1.1) == std::nullopt);
  CHECK(b.feed(11, 1.1) == AlertEvent::raised);
  CHECK(b.alarm.revision == 1);
  CHECK(b.alarm.onset == at(1));
  CHECK(b.feed(12, 0.7) == std::nullopt);
  CHECK(b.feed(31, 0.7) == std::nullopt);
  CHECK(b.feed(32, 0.7) == AlertEvent::cleared);
  CHECK(b.alarm.revision == 2);
  CHECK(b.alarm.phase == Phase::normal);
}

TEST_CASE("a detector that holds its score just below the limit once it has alarmed still lasts") {
  Bench b;
  CHECK(b.feed(0, 2.5) == std::nullopt);
  for (int second = 1; second < 10; ++second)
    CHECK(b.feed(second, just_below_limit) == std::nullopt);
  CHECK(b.feed(10, just_below_limit) == AlertEvent::raised);
  CHECK(b.alarm.severity == Severity::critical);
}

TEST_CASE("a score that falls back before the on-delay is over raises nothing") {
  Bench b;
  b.feed(0, 1.5);
  CHECK(b.feed(5, 0.9) == std::nullopt);
  CHECK(b.alarm.phase == Phase::normal);
  CHECK(b.feed(6, 1.5) == std::nullopt);
  CHECK(b.feed(15, 1.5) == std::nullopt);
  CHECK(b.feed(16, 1.5) == AlertEvent::raised);
}

TEST_CASE(
    "between the clearing level and the limit an alert neither clears nor counts towards "
    "clearing") {
  Bench b;
  b.feed(0, 2);
  REQUIRE(b.feed(10, 1.5) == AlertEvent::raised);
  CHECK(b.feed(11, 0.7) == std::nullopt);
  CHECK(b.feed(20, 0.9) == std::nullopt);
  CHECK(b.feed(35, 0.7) == std::nullopt);
  CHECK(b.feed(54, 0.7) == std::nullopt);
  CHECK(b.feed(55, 0.7) == AlertEvent::cleared);
}

TEST_CASE("growth by a quarter is told at most once a minute, and a new severity at once") {
  Bench b;
  b.rule.on_delay = 0s;
  REQUIRE(b.feed(0, 1.0) == AlertEvent::raised);
  CHECK(b.feed(1, 1.3) == std::nullopt);
  CHECK(b.feed(60, 1.3) == AlertEvent::updated);
  CHECK(b.feed(61, 2.1) == AlertEvent::escalated);
  CHECK(b.alarm.severity == Severity::critical);
  CHECK(b.feed(200, 2.2) == std::nullopt);
  CHECK(b.feed(201, 2.7) == AlertEvent::updated);
  CHECK(b.alarm.revision == 4);
}

TEST_CASE(
    "where one score is not enough, the next bears it out unless it is gone, or is loud enough") {
  Bench b;
  b.rule.on_delay = 0s;
  b.alone = 1.5;
  const auto trend = AlertKind::trend;
  // Gone at the next: nothing was raised, and the one after counts anew.
  CHECK(b.feed(0, 1.4) == std::nullopt);
  CHECK(waits_for_proof(b.alarm, b.rule));
  CHECK(b.feed(1, 0.79) == std::nullopt);
  CHECK(b.alarm.phase == Phase::normal);
  CHECK(b.feed(2, 0.9) == std::nullopt);
  CHECK(b.alarm.phase == Phase::normal);
  // Another kind bears nothing out.
  CHECK(b.feed(5, 1.4) == std::nullopt);
  b.kind = trend;
  CHECK(b.feed(6, 1.4) == std::nullopt);
  CHECK(b.feed(7, 0.5) == std::nullopt);
  // Not gone: of the first score's onset, and of the highest ratio.
  b.kind = AlertKind::shift;
  CHECK(b.feed(10, 1.4) == std::nullopt);
  CHECK(b.feed(11, 0.8) == AlertEvent::raised);
  CHECK(b.alarm.kind == AlertKind::shift);
  CHECK(b.alarm.onset == at(10));
  CHECK(b.alarm.raised == at(11));
  CHECK(b.alarm.told_ratio == 1.4);
  // What an old alarm told is no part of a new one.
  CHECK(b.feed(20, 0) == std::nullopt);
  REQUIRE(b.feed(40, 0) == AlertEvent::cleared);
  CHECK(b.feed(50, 1.1) == std::nullopt);
  CHECK(b.feed(51, 1.2) == AlertEvent::raised);
  CHECK(b.alarm.told_ratio == 1.2);

  Bench loud;
  loud.rule.on_delay = 0s;
  loud.alone = 1.5;
  CHECK(loud.feed(0, 1.5) == AlertEvent::raised);
}

TEST_CASE("an on-delay asks for more than a second score, and an interruption for both anew") {
  Bench delayed;
  delayed.alone = 1.5;
  CHECK(delayed.feed(0, 1.2) == std::nullopt);
  CHECK_FALSE(waits_for_proof(delayed.alarm, delayed.rule));
  CHECK(delayed.feed(5, 0.9) == std::nullopt);
  CHECK(delayed.alarm.phase == Phase::normal);
  CHECK(delayed.feed(6, 1.2) == std::nullopt);
  CHECK(delayed.feed(16, 1.2) == AlertEvent::raised);

  Bench b;
  b.rule.on_delay = 0s;
  b.alone = 1.5;
  b.feed(0, 1.2);
  interrupt(b.alarm);
  CHECK(b.feed(1, 1.2) == std::nullopt);
  CHECK(b.feed(2, 1.2) == AlertEvent::raised);
}

TEST_CASE("no score neither raises nor clears") {
  Bench b;
  b.rule.on_delay = 0s;
  REQUIRE(b.feed(0, 1.0) == AlertEvent::raised);
  for (int t = 1; t < 1000; ++t)
    CHECK(advance(b.alarm, b.rule, b.kind, at(t), std::nullopt) == std::nullopt);
  CHECK(b.alarm.phase == Phase::active);
}

TEST_CASE(
    "two episodes of a kind with the same onset get different ids, those of two kinds need not") {
  IssuedOnsets issued;
  const auto first = issued.issue(AlertKind::shift, at(5));
  CHECK(first == 1'005'000);
  CHECK(issued.issue(AlertKind::shift, at(5)) == first + 1);
  CHECK(issued.issue(AlertKind::drift, at(5)) == first);
  CHECK(issued.issue(AlertKind::shift, at(0)) == first + 2);
  CHECK(issued.issue(AlertKind::shift, at(9)) == 1'009'000);
}

TEST_CASE("an episode keeps the kind with which it was raised") {
  Bench b;
  b.rule.on_delay = 0s;
  b.kind = AlertKind::gap;
  REQUIRE(b.feed(0, 1) == AlertEvent::raised);
  b.kind = AlertKind::shift;
  // By the rules of shift, 2 would be critical.
  CHECK(b.feed(1, 2) == std::nullopt);
  CHECK(b.alarm.kind == AlertKind::gap);
  CHECK(b.alarm.severity == Severity::notice);
  // And clearing would take the off-delay.
  CHECK(b.feed(2, 0) == AlertEvent::cleared);
}

TEST_CASE("an alarm that may not be raised waits, with the onset it has") {
  Bench b;
  const Score high{.ratio = 1.5};
  for (int t = 0; t < 50; ++t)
    CHECK(advance(b.alarm, b.rule, b.kind, at(t), high, false) == std::nullopt);
  CHECK(b.alarm.phase == Phase::pending);
  CHECK(advance(b.alarm, b.rule, b.kind, at(50), high) == AlertEvent::raised);
  CHECK(b.alarm.onset == at(0));
}

TEST_CASE("an interruption begins anew what was counted towards raising or clearing") {
  Bench b;
  b.feed(0, 1.5);
  interrupt(b.alarm);
  CHECK(b.feed(10, 1.5) == std::nullopt);
  REQUIRE(b.feed(20, 1.5) == AlertEvent::raised);
  b.feed(30, 0);
  interrupt(b.alarm);
  CHECK(b.alarm.phase == Phase::active);
  CHECK(b.feed(50, 0) == std::nullopt);
  CHECK(b.feed(70, 0) == AlertEvent::cleared);
}

TEST_CASE("an onset given by the detector is taken, but never one after the reading") {
  Bench b;
  b.rule.on_delay = 0s;
  advance(b.alarm, b.rule, b.kind, at(50), Score{.ratio = 1.5, .onset = at(20)});
  CHECK(b.alarm.onset == at(20));
  Bench c;
  c.rule.on_delay = 0s;
  advance(c.alarm, c.rule, c.kind, at(50), Score{.ratio = 1.5, .onset = at(90)});
  CHECK(c.alarm.onset == at(50));
}

TEST_CASE("a sensor fault is a notice and clears with the first reading") {
  Bench b;
  b.rule.on_delay = 0s;
  b.kind = AlertKind::gap;
  CHECK(b.feed(0, 5) == AlertEvent::raised);
  CHECK(b.alarm.severity == Severity::notice);
  CHECK(b.feed(1, 0) == AlertEvent::cleared);
}

TEST_CASE("priority follows severity first and stays within 1..100") {
  CHECK(priority_of(Severity::notice, 1e9) < priority_of(Severity::warning, 1));
  CHECK(priority_of(Severity::warning, 1e9) < priority_of(Severity::critical, 1));
  CHECK(priority_of(Severity::critical, 1e300) <= 100);
  CHECK(priority_of(Severity::notice, 0) >= 1);
  CHECK(priority_of(Severity::warning, 1.9) > priority_of(Severity::warning, 1.1));
}
