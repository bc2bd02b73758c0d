// Trouble with the storage as cases: when they begin, what they say, when they are over.
#include "daemon/storage_alerts.h"

#include <doctest/doctest.h>

#include "daemon/documents.h"
#include "tests/support/schema.h"

using namespace millwright;
using namespace millwright::daemon;
using namespace std::chrono_literals;

namespace {

// A story in seconds from its beginning.
struct Story {
  StorageAlerts::Now at(int second) const {
    return {start + std::chrono::seconds{second}, clock + std::chrono::seconds{second}};
  }
  Timestamp start = parse_time("2025-03-10T08:00:00Z").value();
  StorageAlerts::Clock::time_point clock = StorageAlerts::Clock::now();
  StorageAlerts alerts{"", {}, at(0)};
};

TEST_CASE("trouble that lasts is told once, and its end when all has been well for a while") {
  Story s;
  s.alerts.trouble(StorageTrouble::archive, "The disk is full", Severity::warning, s.at(0));
  CHECK(s.alerts.due(s.at(3)).empty());
  s.alerts.trouble(StorageTrouble::archive, "The disk is full", Severity::warning, s.at(5));
  const auto raised = s.alerts.due(s.at(5));
  REQUIRE(raised.size() == 1);
  const auto& alert = raised[0];
  CHECK(alert.id == "_plant/_archive/sensor_case/1741593600000");
  CHECK(alert.revision == 1);
  CHECK(alert.event == AlertEvent::raised);
  CHECK(alert.alert_class() == AlertClass::sensor);
  CHECK(alert.notify);
  CHECK(alert.onset == s.start);
  CHECK(alert.message == "The disk is full");
  CHECK(test::schema_problem(alert_schema(), alert_document(alert, "berlin")) == "");
  CHECK(s.alerts.open().size() == 1);
  for (int second = 6; second < 60; second += 5) {
    s.alerts.trouble(StorageTrouble::archive, "The disk is full", Severity::warning, s.at(second));
    CHECK(s.alerts.due(s.at(second)).empty());
  }
  s.alerts.well(StorageTrouble::archive, s.at(60));
  CHECK(s.alerts.due(s.at(74)).empty());
  const auto over = s.alerts.due(s.at(75));
  REQUIRE(over.size() == 1);
  CHECK(over[0].id == alert.id);
  CHECK(over[0].revision == 2);
  CHECK(over[0].state == AlertState::cleared);
  CHECK_FALSE(over[0].notify);
  CHECK(test::schema_problem(alert_schema(), alert_document(over[0], "berlin")) == "");
  CHECK(s.alerts.open().empty());
}

TEST_CASE("a short lock is no news, and trouble that comes back is the same") {
  Story s;
  s.alerts.trouble(StorageTrouble::archive, "locked", Severity::warning, s.at(0));
  s.alerts.well(StorageTrouble::archive, s.at(3));
  CHECK(s.alerts.due(s.at(30)).empty());
  s.alerts.trouble(StorageTrouble::archive, "locked", Severity::warning, s.at(40));
  REQUIRE(s.alerts.due(s.at(44)).size() == 1);
  s.alerts.well(StorageTrouble::archive, s.at(50));
  s.alerts.trouble(StorageTrouble::archive, "locked", Severity::warning, s.at(60));
  CHECK(s.alerts.due(s.at(100)).empty());
}

TEST_CASE("what gets worse is told again") {
  Story s;
  s.alerts.trouble(StorageTrouble::archive, "away", Severity::warning, s.at(0));
  CHECK(s.alerts.due(s.at(4)).size() == 1);
  s.alerts.trouble(StorageTrouble::archive, "history is lost", Severity::critical, s.at(90));
  const auto worse = s.alerts.due(s.at(90));
  REQUIRE(worse.size() == 1);
  CHECK(worse[0].event == AlertEvent::escalated);
  CHECK(worse[0].severity == Severity::critical);
  CHECK(worse[0].revision == 2);
  CHECK(worse[0].notify);
}

TEST_CASE("damage is told at once, with all of it, and is over after a time") {
  Story s;
  s.alerts.trouble(StorageTrouble::damage, "a was set aside", Severity::warning, s.at(0));
  s.alerts.trouble(StorageTrouble::damage, "b was set aside", Severity::warning, s.at(0));
  const auto raised = s.alerts.due(s.at(0));
  REQUIRE(raised.size() == 1);
  CHECK(raised[0].sensor == "_damage");
  CHECK(raised[0].message == "a was set aside. b was set aside");
  s.alerts.trouble(StorageTrouble::damage, "c was set aside", Severity::warning, s.at(300));
  const auto more = s.alerts.due(s.at(300));
  REQUIRE(more.size() == 1);
  CHECK(more[0].event == AlertEvent::updated);
  CHECK(more[0].message == "a was set aside. b was set aside. c was set aside");
  CHECK(s.alerts.due(s.at(899)).empty());
  const auto over = s.alerts.due(s.at(900));
  REQUIRE(over.size() == 1);
  CHECK(over[0].state == AlertState::cleared);
}

TEST_CASE("the next run ends what a killed one left open, or goes on with it") {
  Story s;
  s.alerts.trouble(StorageTrouble::archive, "away", Severity::warning, s.at(0));
  s.alerts.trouble(StorageTrouble::checkpoint, "away", Severity::warning, s.at(0));
  CHECK(s.alerts.due(s.at(4)).size() == 2);
  const auto note = s.alerts.note();
  REQUIRE(note);
  CHECK_FALSE(s.alerts.note());

  StorageAlerts next{*note, {}, s.at(20)};
  // What it has not told itself it does not tell again in other words.
  CHECK(next.open().empty());
  next.trouble(StorageTrouble::archive, "still away", Severity::warning, s.at(21));
  const auto over = next.due(s.at(35));
  REQUIRE(over.size() == 1);
  CHECK(over[0].id == "_plant/_checkpoint/sensor_case/1741593600000");
  CHECK(over[0].revision == 2);
  CHECK(over[0].state == AlertState::cleared);
  CHECK(test::schema_problem(alert_schema(), alert_document(over[0], "berlin")) == "");
  next.well(StorageTrouble::archive, s.at(40));
  const auto end = next.due(s.at(55));
  REQUIRE(end.size() == 1);
  CHECK(end[0].id == "_plant/_archive/sensor_case/1741593600000");
}

TEST_CASE("a note or an archive with anything else in it is left alone") {
  const Story s;
  StorageAlerts alerts{
      "nonsense\n_archive no-onset 3\n_other _plant/x/sensor_case/5 1", {}, s.at(0)};
  alerts.adopt("R017", "_plant/R017/sensor_case/1741593600000", 4, s.at(0));
  CHECK(alerts.due(s.at(1000)).empty());
}

}  // namespace
