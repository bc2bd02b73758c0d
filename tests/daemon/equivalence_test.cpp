// The daemon, whatever its mode and lanes, says of a recording what `replay` says of it.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/support/program.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

struct Case {
  std::string mode;
  int lanes = 1;
};

Events replayed(const Site& site, const std::filesystem::path& csv) {
  const auto finished =
      run_program({.program = MILLWRIGHT_BINARY,
                   .arguments = {"replay", csv.string(), "--machine", "R1", "--config",
                                 site.config_file().string(), "--quiet"},
                   .input = {},
                   .environment = {},
                   .out_file = {}});
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  return events_in(finished.out);
}

void play(const Broker& broker, const std::filesystem::path& csv) {
  const auto finished =
      run({MILLWRIGHT_BINARY, "simulate", "--csv", csv.string(), "--machine", "R1", "--speed",
           "max", "--broker", broker.url(), "--topic", "factory/l1/{machine}/telemetry"},
          120s);
  INFO(finished.second);
  REQUIRE(finished.first.code == 0);
}

// With several lanes, cases are told by the time of each lane's own machines: they are left out.
Events comparable(const Events& events, int lanes) {
  Events rest;
  for (const auto& [key, document] : events) {
    const bool of_case = key.first.find("/_machine/case/") != std::string::npos ||
                         key.first.find("/_machine/sensor_case/") != std::string::npos;
    if (!key.first.starts_with("marker/") && (lanes == 1 || !of_case)) rest.emplace(key, document);
  }
  return rest;
}

std::string broker_limits() { return "max_queued_messages 100000\nmax_inflight_messages 1000\n"; }

// Plays the file through broker and daemon; the alerts published and those archived are those of
// `replay`. Returns them.
Events check_same(const std::filesystem::path& csv, const std::string& last_time, const Case& how) {
  CAPTURE(how.mode);
  CAPTURE(how.lanes);
  Broker broker{{.more = broker_limits()}};
  Site site{broker};
  site.config["processing"]["mode"] = how.mode;
  site.config["processing"]["lanes"] = how.lanes;
  site.start();
  Client client{listener(broker, "listener")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  play(broker, csv);
  REQUIRE(pass_marker(client, last_time));
  // The marker is through one lane only, and what is not out when it stops waits in the outbox for
  // the next start.
  auto expected = comparable(replayed(site, csv), how.lanes);
  const auto heard = [&] { return comparable(events_of(client), how.lanes).size(); };
  CHECK(wait_until([&] { return heard() >= expected.size(); }, std::chrono::seconds{60}));
  const auto ended = site.stop();
  INFO(site.log());
  CHECK(ended.code == 0);
  const auto archived = archived_events(site);
  CHECK(difference(expected, comparable(archived, how.lanes)) == "");
  CHECK(wait_until([&] { return events_of(client).size() >= archived.size(); }));
  CHECK(difference(expected, comparable(events_of(client), how.lanes)) == "");
  return expected;
}

}  // namespace

TEST_CASE("a recorded robot played through the broker gives the alerts of replay, native") {
  const TemporaryDirectory directory;
  const auto recording = wide_recording(11);
  write_file(directory / "robot.csv", recording.csv);
  const auto events = check_same(directory / "robot.csv", recording.last_time, {"native", 1});
  // Else the test would compare little.
  CHECK(raised_kinds(events) == "case gap limit rate sensor_case shift spike stuck");
}

TEST_CASE("a recorded robot played through the broker gives the alerts of replay, micro-batch") {
  const TemporaryDirectory directory;
  const auto recording = wide_recording(12);
  write_file(directory / "robot.csv", recording.csv);
  check_same(directory / "robot.csv", recording.last_time, {"micro_batch", 1});
}

TEST_CASE("two robots on one lane, one of them silent for a while, give the alerts of replay") {
  const TemporaryDirectory directory;
  const auto recording = long_recording(13, 2, true);
  write_file(directory / "robots.csv", recording.csv);
  const auto events = check_same(directory / "robots.csv", recording.last_time, {"micro_batch", 1});
  CHECK(raised_kinds(events) == "case gap limit rate sensor_case shift spike stuck");
}

// With event time as the clock a lane knows the time of its own machines only, so silence of a
// whole machine is noticed when it speaks again: that is left out here.
TEST_CASE("two robots on three lanes give the alerts of replay, native and micro-batch") {
  const TemporaryDirectory directory;
  const auto recording = long_recording(14, 2, false);
  write_file(directory / "robots.csv", recording.csv);
  for (const std::string mode : {"native", "micro_batch"}) {
    check_same(directory / "robots.csv", recording.last_time, {mode, 3});
  }
}

TEST_CASE("the log of a real UR3 robot gives the alerts of replay") {
  const std::filesystem::path csv{MILLWRIGHT_SOURCE "/../shared/data/ur3/ur3_cobot.csv"};
  if (!std::filesystem::exists(csv)) {
    MESSAGE("skipped: the UR3 data set is not beside the source");
    return;
  }
  const auto text = read_file(csv);
  const auto line = text.rfind('\n', text.size() - 2) + 1;
  check_same(csv, text.substr(line, text.find(',', line) - line), {"native", 1});
}
