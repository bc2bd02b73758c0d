// The gateway's clock is set by years while readings flow; readings come late, twice, out of order
// and from the future.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "daemon/clock.h"
#include "daemon/plan_of.h"
#include "daemon/right_clock.h"
#include "ingest/csv.h"
#include "storage/database.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/engine/harness.h"
#include "tests/faults/clock.h"
#include "tests/faults/table.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

constexpr auto years = std::chrono::hours{24 * 365};

// Two sensors that stamp their readings, and one that does not, twenty times a second.
class Steady {
 public:
  explicit Steady(Client& source) : source_(source) {}

  void run(int readings) {
    for (int i = 0; i < readings; ++i) {
      const auto time = format_time(daemon::wall_clock());
      const double value = 50 + std::sin(0.3 * sent_) + random_.normal();
      REQUIRE(source_.publish(telemetry("R1", time, "load", value)));
      REQUIRE(source_.publish(telemetry("R2", time, "load", value)));
      REQUIRE(source_.publish(text_reading("R3", "load", value)));
      ++sent_;
      wait_until([] { return false; }, 50ms);
    }
  }
  int sent() const { return 3 * sent_; }

 private:
  Client& source_;
  Random random_{61};
  int sent_ = 0;
};

// The newest status.
Json status(const Client& client) {
  const auto messages = client.messages();
  for (auto it = messages.rbegin(); it != messages.rend(); ++it)
    if (it->topic.ends_with("/status")) return Json::parse(it->payload);
  return {};
}

std::uint64_t learned(const Client& client) {
  const auto now = status(client);
  if (now.is_null()) return 0;
  return now["readings"].value("learned", std::uint64_t{0}) +
         now["readings"].value("warming", std::uint64_t{0});
}

// A reading on its way: when it came, and what it says.
struct Sent {
  Timestamp came, time;
  std::string sensor;
  double value = 0;
};

std::vector<Sent> recorded(std::uint64_t seed) {
  const auto recording = wide_recording(seed);
  std::istringstream in{recording.csv};
  ingest::CsvReader reader{in, "R1"};
  std::vector<Sent> all;
  ingest::CsvRow row;
  while (reader.next(row)) {
    for (const auto& cell : row.values)
      all.push_back({row.time, row.time, std::string{cell.sensor}, cell.value});
  }
  return all;
}

// Each comes up to `late` later than it should, one in ten twice, and with one in fifty comes one
// that is from the future and far from what is normal.
std::vector<Sent> disturbed(std::vector<Sent> all, std::chrono::milliseconds late) {
  Random random{62};
  const auto n = all.size();
  for (std::size_t i = 0; i < n; ++i) {
    all[i].came +=
        std::chrono::milliseconds{random.below(static_cast<std::uint64_t>(late.count()))};
    if (random.below(10) == 0) all.push_back(all[i]);
    if (random.below(50) == 0) {
      auto& ahead = all.emplace_back(all[i]);
      ahead.time = ahead.came + 24h;
      ahead.value = 1e6;
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Sent& a, const Sent& b) { return a.came < b.came; });
  return all;
}

struct Outcomes {
  std::vector<std::string> alerts;  // id and event, sorted
  Counters<Outcome> readings;
  std::uint64_t received = 0;
};

// Through an engine with a tick every second of arrival.
Outcomes run(const engine::Plan& plan, const std::vector<Sent>& all) {
  engine::Rig rig{plan};
  auto next_tick = all.front().came + 1s;
  for (const auto& one : all) {
    for (; next_tick <= one.came; next_tick += 1s) {
      rig.feed.tick(++rig.position, next_tick, next_tick);
      rig.feed.step(rig.engine, rig.effects);
    }
    rig.feed.reading(rig.engine, "R1", one.sensor, {one.time, one.value}, ++rig.position, one.came,
                     one.came);
    rig.feed.step(rig.engine, rig.effects);
  }
  rig.feed.tick(++rig.position, next_tick + 60s, next_tick + 60s);
  rig.feed.step(rig.engine, rig.effects);
  Outcomes out;
  for (const auto& alert : rig.effects.alerts)
    out.alerts.push_back(alert.id + " " + std::string{name_of(alert.event)});
  std::sort(out.alerts.begin(), out.alerts.end());
  out.readings = rig.engine.outcomes();
  out.received = rig.engine.received();
  return out;
}

// Rows of the stopped daemon's archive that are of a time before any right one.
std::int64_t rows_before_2020(const Site& site) {
  storage::Database database{site.state() / "millwright.db"};
  std::int64_t rows = 0;
  for (const auto* column :
       {"summary_minute WHERE t", "alert_event WHERE time", "alert WHERE onset",
        "baseline WHERE until", "health WHERE t", "operation WHERE time"}) {
    rows += database.integer(fmt::format("SELECT count(*) FROM {} < {}", column,
                                         daemon::earliest_right_clock.time_since_epoch().count()));
  }
  return rows;
}

engine::Plan plan_with_reorder(const Site& site, int milliseconds) {
  auto config = site.config;
  config["processing"] = {{"reorder_ms", milliseconds}};
  const auto loaded = config::parse(config.dump(), "test");
  REQUIRE(loaded.configuration);
  return daemon::plan_of(*loaded.configuration, 1);
}

}  // namespace

TEST_CASE("readings late, twice, in disorder and from the future: the alerts of the clean stream") {
  const Broker broker;
  const Site site{broker};
  const auto plan = plan_with_reorder(site, 10'000);
  const auto clean = recorded(63);
  const auto bad = disturbed(clean, 9s);
  const auto expected = run(plan, clean), seen = run(plan, bad);
  CHECK(difference(expected.alerts, seen.alerts) == "");
  CHECK(expected.alerts.size() > 8);
  CHECK(seen.received == bad.size());
  CHECK(seen.readings.total() == bad.size());
  CHECK(seen.readings[Outcome::late] == 0);
  const auto twice = seen.readings[Outcome::duplicate], ahead = seen.readings[Outcome::future];
  CHECK(twice + ahead == bad.size() - clean.size());
  CHECK(ahead > 0);
  report_fault("readings late (< 9 s), in disorder, twice, from the future",
               static_cast<std::int64_t>(bad.size()), "the alerts of the clean stream",
               fmt::format("{} alert events, the same; {} twice and {} ahead, counted",
                           seen.alerts.size(), twice, ahead));
}

TEST_CASE(
    "the gateway's clock is set by years while readings flow: no alert, nothing stands still") {
  if (!clock_in_hand) return;
  const TemporaryDirectory directory;
  const TestClock clock{directory.path()};
  const Broker broker;
  Site site{broker};
  site.environment = clock.environment();
  site.config["processing"].erase("clock");  // it goes by the computer's
  site.start();
  Client source{listener(broker, "source", "millwright/test/#")};
  REQUIRE(source.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  Steady steady{source};
  steady.run(60);
  constexpr std::array<std::chrono::seconds, 6> steps{-1h, 0s, -10 * years, 1h, 10 * years, 0s};
  for (const auto step : steps) {
    CAPTURE(step.count());
    clock.set(step);
    steady.run(15);
  }
  // Every one of them has taught; the status says so every 5 s.
  CHECK(wait_until([&] { return learned(source) == static_cast<std::uint64_t>(steady.sent()); }));
  INFO(status(source).dump(2));
  CHECK(events_of(source).empty());
  CHECK(site.stop().code == 0);
  report_fault("clock set by -1 h, -10 y, 1 h, 10 y, and back, while readings flow", steps.size(),
               "no alert, no stall",
               fmt::format("{} alerts; {} of {} readings learned from", events_of(source).size(),
                           learned(source), steady.sent()));
}

TEST_CASE("a gateway that starts with a clock years off takes in what comes and raises nothing") {
  if (!clock_in_hand) return;
  const Broker broker;
  int starts = 0;
  for (const auto ahead : {-5 * years, 10 * years}) {
    CAPTURE(ahead.count());
    const TemporaryDirectory directory;
    const TestClock clock{directory.path()};
    clock.set(ahead);
    Site site{broker};
    site.environment = clock.environment();
    site.config["processing"].erase("clock");
    site.start();
    Client source{listener(broker, "source", "millwright/test/#")};
    REQUIRE(source.up());
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
    Steady steady{source};
    steady.run(15);
    clock.set(0s);  // NTP has an answer
    steady.run(15);
    CHECK(wait_until([&] {
      const auto now = status(source);
      return !now.is_null() &&
             learned(source) + now["readings"].value("future", std::uint64_t{0}) ==
                 static_cast<std::uint64_t>(steady.sent());
    }));
    // While it is years behind, what has a time of its own is from the future: counted, not
    // learned.
    INFO(status(source).dump(2));
    CHECK(learned(source) >= static_cast<std::uint64_t>(steady.sent()) / 2);
    CHECK(events_of(source).empty());
    CHECK(site.stop().code == 0);
    ++starts;
  }
  report_fault("started with the clock 5 y behind and 10 y ahead, then set right", starts,
               "no alert, no stall", "none; behind: stamped readings counted as future until set");
}

TEST_CASE("a gateway that starts in 1970 says so and waits, then takes in what came meanwhile") {
  if (!clock_in_hand) return;
  const TemporaryDirectory directory;
  const TestClock clock{directory.path()};
  const Notifications systemd{directory / "notify"};
  const Broker broker;
  Site site{broker};
  site.environment = clock.environment();
  site.environment.emplace_back("NOTIFY_SOCKET", (directory / "notify").string());
  site.config["processing"].erase("clock");
  Client source{listener(broker, "source", "millwright/test/#")};
  REQUIRE(source.up());
  // From now on the broker keeps what comes while the daemon is away.
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.stop().code == 0);

  clock.set(1h - std::chrono::floor<std::chrono::seconds>(daemon::wall_clock().time_since_epoch()));
  const auto ready = systemd.count("READY=1"), fed = systemd.count("WATCHDOG=1");
  site.start_without_waiting();
  REQUIRE(wait_until([&] { return systemd.count("READY=1") > ready; }));
  Steady steady{source};
  steady.run(15);
  REQUIRE(wait_until([&] { return systemd.count("WATCHDOG=1") >= fed + 3; }));
  const auto notified = systemd.all();
  CHECK(std::any_of(notified.begin(), notified.end(), [](const std::string& datagram) {
    return datagram.find("STATUS=waits for the clock to be set, it says 1970-01-01T01:00:") !=
               datagram.npos &&
           datagram.find("; takes in no readings") != datagram.npos;
  }));
  // One sentence, and nothing else.
  const auto said = site.log();
  INFO(said);
  CHECK(said.find("The clock is wrong, it is waited for: no reading is taken in until it is set") !=
        said.npos);
  CHECK(std::count(said.begin(), said.end(), '\n') == 1);
  CHECK(site.process().running());

  clock.set(0s);  // NTP has an answer
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.log().find("The clock has been set") != std::string::npos);
  CHECK(site.log().find("Millwright runs") != std::string::npos);
  steady.run(15);
  CHECK(wait_until([&] { return learned(source) == static_cast<std::uint64_t>(steady.sent()); }));
  INFO(status(source).dump(2));
  CHECK(events_of(source).empty());
  CHECK(site.stop().code == 0);
  CHECK(rows_before_2020(site) == 0);
  CHECK(archived_events(site).empty());
  report_fault("started in 1970, then set right", 1,
               "waits, says so; then all that came, no alert, no time of 1970",
               fmt::format("{} of {} readings learned from, {} alerts, {} rows of before 2020",
                           learned(source), steady.sent(), events_of(source).size(),
                           rows_before_2020(site)));
}
