// SIGHUP: a broken configuration changes nothing, a good one only what it says.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "ingest/decoder.h"
#include "storage/checkpoint.h"
#include "tests/daemon/site.h"
#include "tests/faults/newest.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

bool says(const Site& site, const std::string& text) {
  return wait_until([&] { return site.log().find(text) != std::string::npos; });
}

bool alerts(const Client& client, const std::string& sensor, const std::string& kind = {}) {
  for (const auto& [key, document] : events_of(client)) {
    if (key.first.starts_with("R")) {
      const auto json = Json::parse(document);
      if (json["sensor"] == sensor && (kind.empty() || json["kind"] == kind)) return true;
    }
  }
  return false;
}

std::string minute_second(int i) {
  return fmt::format("2025-03-10T06:{:02}:{:02}Z", i / 60, i % 60);
}

// A machine whose readings go to that one of two lanes.
std::string machine_of(std::uint32_t lane) {
  for (int n = 1;; ++n) {
    auto machine = fmt::format("R{}", n);
    if (millwright::ingest::LaneRouter::lane_of(machine, 2) == lane) return machine;
  }
}

void feed(Client& client, int from, int to) {
  for (int i = from; i < to; ++i) {
    REQUIRE(client.publish(telemetry("R1", minute_second(i), "torque", 10 + i % 7)));
    REQUIRE(client.publish(telemetry("R1", minute_second(i), "current", 3 + i % 5)));
  }
}

}  // namespace

TEST_CASE("a broken configuration is refused on reload with all its errors, the old one goes on") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  write_file(site.config_file(),
             "{\n  \"sight\": 1,\n  \"processing\": { \"lanes\": 0 },\n  \"inputs\": 7\n}\n");
  site.process().signal(SIGHUP);
  REQUIRE(says(site, "The new configuration has errors, the old one stays in force"));
  const auto log = site.log();
  CAPTURE(log);
  CHECK(log.find("millwright.json:2:") != std::string::npos);
  CHECK(log.find("millwright.json:3:") != std::string::npos);
  CHECK(log.find("millwright.json:4:") != std::string::npos);
  CHECK(pass_marker(client, "2025-03-10T06:00:00Z"));
  CHECK(site.stop().code == 0);
}

TEST_CASE("a reload with a new limit for one sensor acts, and the others keep what they learned") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  feed(client, 0, 350);  // more than the warm-up of `spike`
  REQUIRE(pass_marker(client, minute_second(350)));
  REQUIRE(!alerts(client, "torque"));
  REQUIRE(!alerts(client, "current"));

  site.config["overrides"] = {{{"sensor", "R1/torque"}, {"limits", {{"high", 15.5}}}}};
  site.reload();
  REQUIRE(says(site, "The configuration was reloaded"));
  feed(client, 351, 365);  // torque reaches 16
  // A spike of `current` is one only for a sensor that has learned.
  REQUIRE(client.publish(telemetry("R1", minute_second(366), "current", 60)));
  REQUIRE(pass_marker(client, minute_second(367)));
  CHECK(wait_until([&] { return alerts(client, "torque", "limit"); }));
  CHECK(wait_until([&] { return alerts(client, "current", "spike"); }));
  CHECK(site.stop().code == 0);
}

TEST_CASE("a reload with a new input takes in what comes there, and drops a removed one") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  REQUIRE(client.publish(outgoing("extra/R9/level", "5")));  // nobody listens
  site.config["inputs"][1]["topic"] = "extra/{machine}/{sensor}";
  site.config["profiles"].insert(site.config["profiles"].begin(),
                                 Json{{"match", "R9/*"}, {"limits", {{"high", 1}}}});
  site.reload();
  REQUIRE(says(site, "The configuration was reloaded"));
  // The subscription is on its way; what is published before it is there is nobody's.
  CHECK(wait_until([&] {
    CHECK(client.publish(outgoing("extra/R9/level", "5")));
    return alerts(client, "level", "limit");
  }));
  CHECK(site.stop().code == 0);
}

TEST_CASE("a reload that changes what needs a restart says so") {
  const Broker broker;
  Site site{broker};
  site.start();
  site.config["processing"]["lanes"] = 3;
  site.reload();
  CHECK(says(site, "take effect with the next start"));
  CHECK(site.stop().code == 0);
}

TEST_CASE("a reload that one lane has no room for is taken on by none, and by all when there is") {
  const Broker broker{{.more = "max_queued_messages 100000\nmax_inflight_messages 1000\n"}};
  Site site{broker};
  // Lanes that gather for longer than the test takes, with small rings: nothing makes room.
  site.config["limits"] = {{"payload_bytes", 4096}};
  site.config["processing"].update({{"lanes", 2},
                                    {"journal_bytes", 64 << 10},
                                    {"mode", "micro_batch"},
                                    {"max_delay_ms", 60000},
                                    {"max_readings", 10000000}});
  const auto limits = [&](double high) {
    site.config["profiles"] =
        Json{{{"match", "*"}, {"detectors", {"limit"}}, {"limits", {{"high", high}}}}};
  };
  limits(90);
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto old = site.config["profiles"];
  const auto is_status = [](const Received& message) {
    return message.topic == "millwright/test/status";
  };
  const auto statuses = [&] { return client.count(is_status); };
  const auto messages = [&] {
    return newest_on(client, "millwright/test/status")["messages"].get<int>();
  };
  const auto first = machine_of(0), second = machine_of(1);
  std::uint64_t tag = 0;
  while (site.log().find("the journal is full") == std::string::npos) {
    const auto message = telemetry(second, minute_second(0), "temp", 20);
    ++tag;
    REQUIRE(wait_until([&] { return client.send(message, tag); }, 30s));
  }

  const auto told = statuses();
  REQUIRE(wait_until([&] { return statuses() > told; }));
  const auto taken = messages();

  limits(50);
  site.reload();
  REQUIRE(says(site, "The new configuration cannot be used, the old one stays in force"));
  CHECK(site.log().find("The configuration was reloaded") == std::string::npos);
  for (int i = 1; i <= 3; ++i)
    REQUIRE(client.publish(telemetry(first, minute_second(i), "temp", 70)));
  REQUIRE(wait_until([&] { return messages() == taken + 3; }));
  CHECK(site.stop().code == 0);
  for (const int lane : {0, 1}) {
    const auto saved =
        millwright::storage::read_checkpoint(site.state() / fmt::format("lane-{}.state", lane));
    REQUIRE(saved.checkpoint);
    CHECK(Json::parse(saved.checkpoint->configuration)["profiles"] == old);
  }
  CHECK(raised_kinds(archived_events(site)) == "");

  limits(90);
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  limits(50);
  site.reload();
  REQUIRE(says(site, "The configuration was reloaded"));
  for (const auto& machine : {first, second})
    REQUIRE(client.publish(telemetry(machine, minute_second(10), "temp", 70)));
  REQUIRE(wait_until([&] { return messages() == 2; }));
  CHECK(site.stop().code == 0);
  for (const auto& machine : {first, second}) {
    const auto events = archived_events(site);
    CHECK(std::any_of(events.begin(), events.end(), [&](const auto& event) {
      return event.first.first.starts_with(machine + "/temp/limit/");
    }));
  }
}
