// The daemon as a service: what it tells systemd, how it ends, what it knows after that.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <string>

#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

// What the archive's and the status document's last state was.
std::optional<Json> last_status(const Client& client, const std::string& status) {
  std::optional<Json> last;
  for (const auto& message : client.messages()) {
    if (message.topic != "millwright/test/status") continue;
    auto json = Json::parse(message.payload);
    if (json.at("status") == status) last = std::move(json);
  }
  return last;
}

void publish_lines(Client& client, int from, int to) {
  for (int i = from; i < to; ++i)
    REQUIRE(client.publish(telemetry("R1",
                                     "2025-03-10T06:" + std::to_string(10 + i / 60) + ":" +
                                         (i % 60 < 10 ? "0" : "") + std::to_string(i % 60) + "Z",
                                     "torque", 10 + i % 7)));
}

}  // namespace

TEST_CASE("systemd is told when the daemon is ready, how it is, that it lives and that it stops") {
  const Broker broker;
  Site site{broker};
  const auto socket = site.directory() / "notify";
  const Notifications notifications{socket};
  site.environment = {{"NOTIFY_SOCKET", socket.string()}, {"WATCHDOG_USEC", "2000000"}};
  site.start();
  REQUIRE(wait_until([&] { return notifications.count("READY=1") == 1; }));
  // More than one: the watchdog is fed again and again.
  REQUIRE(wait_until([&] { return notifications.count("WATCHDOG=1") >= 2; }));
  REQUIRE(wait_until([&] {
    const auto all = notifications.all();
    return std::any_of(all.begin(), all.end(), [](const std::string& datagram) {
      return datagram.find("STATUS=connected to ") != std::string::npos;
    });
  }));
  CHECK(notifications.count("RELOADING=1") == 0);
  site.reload();
  REQUIRE(wait_until([&] { return notifications.count("READY=1") == 2; }));
  CHECK(notifications.count("RELOADING=1") == 1);
  CHECK(notifications.count("MONOTONIC_USEC=") == 1);
  CHECK(notifications.count("STOPPING=1") == 0);
  CHECK(site.stop().code == 0);
  CHECK(wait_until([&] { return notifications.count("STOPPING=1") == 1; }));
}

TEST_CASE("SIGTERM drains, commits and ends with 0; the next run knows what was learned") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  publish_lines(client, 0, 400);
  REQUIRE(pass_marker(client, "2025-03-10T06:16:40Z"));
  CHECK(site.stop().code == 0);
  CHECK(site.log().find("Stopped: drained, committed and saved messages=401 readings=401") !=
        std::string::npos);
  CHECK(site.log().find("failures=0") != std::string::npos);
  REQUIRE(wait_until([&] { return last_status(client, "offline").has_value(); }));
  const auto before = *last_status(client, "offline");
  CHECK(before["messages"] == 401);
  CHECK(before["sensors"] == 2);
  CHECK(before["readings"]["warming"] > 0);

  site.start();
  CHECK(site.log().find("sensors_known=2") != std::string::npos);
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto readings = [](const Json& status) {
    std::uint64_t sum = 0;
    for (const auto& n : status.at("readings")) sum += n.get<std::uint64_t>();
    return sum;
  };
  publish_lines(client, 401, 411);
  REQUIRE(pass_marker(client, "2025-03-10T06:16:51Z"));
  CHECK(site.stop().code == 0);
  REQUIRE(wait_until([&] {
    return readings(last_status(client, "offline").value_or(Json{{"readings", {}}})) > 410;
  }));
  const auto after = *last_status(client, "offline");
  // The known sensor goes on learned; the marker's new one warms nothing up but its own.
  CHECK(after["readings"]["learned"] >= before["readings"]["learned"].get<int>() + 10);
  CHECK(after["readings"]["warming"] == before["readings"]["warming"]);
}

TEST_CASE("SIGINT ends it like SIGTERM") {
  const Broker broker;
  Site site{broker};
  site.start();
  site.process().signal(SIGINT);
  const auto ended = site.process().wait(20s);
  REQUIRE(ended);
  CHECK(ended->code == 0);
}
