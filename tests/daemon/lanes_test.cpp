// Another number of lanes: what was learned and what is alerted moves along.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/hash.h"
#include "tests/daemon/site.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

constexpr int machines = 6;

void feed(Client& client, int minute, double value) {
  for (int m = 0; m < machines; ++m) {
    const auto time = fmt::format("2025-03-10T06:{:02}:00Z", minute);
    REQUIRE(client.publish(telemetry(fmt::format("R{}", m), time, "temp", value)));
  }
}

int count(const Client& client, const std::string& event, int revision) {
  int n = 0;
  for (const auto& [key, document] : events_of(client)) {
    const bool of_sensor =
        key.first.starts_with("R") && key.first.find("/_machine/") == std::string::npos;
    if (!of_sensor || key.second != revision) continue;
    n += Json::parse(document)["event"] == event ? 1 : 0;
  }
  return n;
}

}  // namespace

TEST_CASE(
    "with another number of lanes every machine keeps its open alert, after a stop and after kill "
    "-9") {
  const Broker broker;
  Site site{broker};
  site.config["processing"]["lanes"] = 1;
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  feed(client, 1, 60);
  feed(client, 2, 99);
  REQUIRE(wait_until([&] { return count(client, "raised", 1) == machines; }));
  CHECK(site.stop().code == 0);

  site.config["processing"]["lanes"] = 3;
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.log().find("moved to another number of lanes before=1 after=3 machines=6 lost=0") !=
        std::string::npos);
  feed(client, 3, 60);
  feed(client, 5, 60);
  CHECK(wait_until([&] { return count(client, "cleared", 2) == machines; }));
  feed(client, 6, 99);
  REQUIRE(wait_until([&] { return count(client, "raised", 1) == 2 * machines; }));

  site.kill();
  site.config["processing"]["lanes"] = 2;
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.log().find("before=3 after=2 machines=6 lost=0") != std::string::npos);
  feed(client, 7, 60);
  feed(client, 9, 60);
  CHECK(wait_until([&] { return count(client, "cleared", 2) == 2 * machines; }));
  CHECK(site.stop().code == 0);
}

TEST_CASE("with another number of lanes the open alert of a fleet is closed, not left behind") {
  const Broker broker;
  Site site{broker};
  site.config["processing"]["lanes"] = 1;
  site.config["profiles"] = Json::parse(R"([ { "match": "*", "detectors": "none" } ])");
  site.config["machines"] =
      Json::parse(R"([ { "match": "R*", "model": "RX5", "watched": false } ])");
  site.config["fleet"] = Json::parse(R"({ "window_s": 300, "windows": 2, "learning": 8 })");
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto say = [&](int minute) {
    for (int m = 0; m < machines; ++m) {
      const double odd = m == 3 && minute >= 70 ? 30 : 0;
      const auto time = fmt::format("2025-03-10T{:02}:{:02}:00Z", 6 + minute / 60, minute % 60);
      REQUIRE(client.publish(
          telemetry(fmt::format("R{}", m), time, "load", 40 + m + minute * 7 % 5 + odd)));
    }
  };
  for (int minute = 0; minute < 100; ++minute) say(minute);
  REQUIRE(wait_until([&] { return count(client, "raised", 1) == 1; }));
  CHECK(site.stop().code == 0);
  CHECK(count(client, "closed", 2) == 0);

  site.config["processing"]["lanes"] = 2;
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(wait_until([&] { return count(client, "closed", 2) == 1; }));
  CHECK(site.stop().code == 0);
  for (const auto& [key, document] : archived_events(site)) {
    if (key.second == 2) CHECK(Json::parse(document)["detector"]["name"] == "fleet");
  }
}

TEST_CASE("lanes whose state a newer version wrote are not moved, and not touched") {
  const Broker broker;
  Site site{broker};
  site.config["processing"]["lanes"] = 2;
  site.start();
  CHECK(site.stop().code == 0);
  const auto file = site.state() / "lane-1.state";
  auto content = read_file(file);
  content[8] = 2;  // the version, and the check that belongs to it
  const auto check =
      static_cast<std::uint32_t>(millwright::hash64(std::string_view{content}.substr(0, 12)));
  std::memcpy(content.data() + 12, &check, sizeof check);
  write_file(file, content);

  site.config["processing"]["lanes"] = 1;
  site.start_without_waiting();
  const auto ended = site.process().wait(20s);
  REQUIRE(ended);
  CHECK(ended->code == 78);
  CHECK(site.log().find("lane-1.state has format version 2") != std::string::npos);
  CHECK(read_file(file) == content);
}
