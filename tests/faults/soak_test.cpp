// A month of event time with a line that breaks again and again: memory and descriptors stay as
// they are, and nothing is lost.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string>

#include "core/time.h"
#include "tests/daemon/recording.h"
#include "tests/faults/figures.h"
#include "tests/faults/plant.h"
#include "tests/faults/table.h"
#include "tests/faults/vitals.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int machines = 4;

// A message of every machine for every minute, with five sensors that follow day and load.
class Month {
 public:
  explicit Month(Client& source) : source_(source) {}

  void minutes(int count) {
    for (int i = 0; i < count; ++i, ++minute_) {
      for (int machine = 0; machine < machines; ++machine) say(machine);
    }
  }
  std::string now() const {
    return millwright::format_time(*millwright::parse_time("2025-03-01T00:00:00Z") +
                                   1min * minute_);
  }
  int sent() const { return machines * minute_; }

 private:
  void say(int machine) {
    Json signals;
    const double day = std::sin(2 * 3.14159 * minute_ / 1440);
    for (int s = 0; s < 5; ++s)
      signals["s" + std::to_string(s)] = {
          {"v", 50 + s + machine + (1 + s) * day + random_.normal()}};
    const auto message = outgoing("factory/l1/R" + std::to_string(machine) + "/telemetry",
                                  Json{{"ts", now()}, {"signals", signals}}.dump());
    REQUIRE(wait_until([&] { return source_.send(message, ++tag_); }, 60s));
  }

  Client& source_;
  Random random_{71};
  int minute_ = 0;
  std::uint64_t tag_ = 0;
};

}  // namespace

TEST_CASE("a month with a line that breaks again and again: memory and descriptors stay flat") {
  const int days = many(1, 30), breaks = many(5, 1'000);
  Plant plant{{.speed = 20, .proxied = true, .more = "log_type none\n", .configure = [](Json& c) {
                 c["profiles"] = Json::parse(R"([
                   { "match": "marker/*", "detectors": ["limit"], "limits": { "high": 1 } },
                   { "match": "*", "detectors": "auto" } ])");
               }}};
  Month month{plant.source};
  Random random{72};
  Vitals vitals;
  Seconds back;
  for (int broken = 0; broken < breaks; ++broken) {
    CAPTURE(broken);
    month.minutes(days * 1440 / breaks);
    // Long enough for a connection to count as steady: else the pauses grow.
    wait_until([] { return false; }, plant.clock.real(11s));
    vitals.look(plant.site.process().pid());
    plant.proxy.refuse(true);
    CHECK(plant.proxy.cut() == 1);
    wait_until([] { return false; },
               plant.clock.real(std::chrono::milliseconds{random.below(5000)}));
    const auto there = heard_status(plant.watcher, true);
    plant.proxy.refuse(false);
    const auto began = Clock::now();
    REQUIRE(wait_until([&] { return heard_status(plant.watcher, true) > there; }, 60s));
    back.add(plant.clock.of_daemon(Clock::now() - began));
  }
  REQUIRE(pass_marker(plant.source, month.now()));
  INFO(vitals.describe());
  CHECK(back.longest() < 35 + plant.clock.speed());
  if (vitals.known()) {
    CHECK(vitals.growth() < 1.1);
    CHECK(vitals.descriptors_flat());
  }
  CHECK(plant.site.stop().code == 0);
  // Every minute of every sensor is in the archive, all but the last, which is open.
  const auto summaries = archived_summaries(plant.site);
  CHECK(summaries.size() >= static_cast<std::size_t>(5 * (month.sent() - machines)));
  report_fault(fmt::format("soak: {} days, line broken", days), breaks,
               "memory and descriptors flat; connected < 35 s; nothing lost",
               fmt::format("{}; connected after {}; {} minutes of sensors in the archive",
                           vitals.describe(), back.describe(), summaries.size()));
}
