// Hazards of the session that need more than a broker: a clock that is set, a line that is dead or
// slow. The others are in tests/session/fault_test.cpp and exchange_test.cpp.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "tests/faults/figures.h"
#include "tests/faults/plant.h"
#include "tests/faults/table.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
namespace ingest = millwright::ingest;
using ingest::SessionEvent;

namespace {

constexpr auto years = std::chrono::hours{24 * 365};

ingest::SessionOptions through(const Proxy& proxy, const Broker& broker, const std::string& id) {
  auto options = options_for(broker, id, {{"t/#", 1}});
  options.broker.url = proxy.mqtt_url();
  options.broker.keep_alive = 1s;
  return options;
}

}  // namespace

TEST_CASE(
    "a clock that is set while the broker is away does not keep the daemon from coming back") {
  if (!clock_in_hand) return;
  Plant plant{{}};
  Load load{plant.source, 5};
  Seconds back;
  constexpr std::array<std::chrono::seconds, 4> steps{-1h, 1h, -10 * years, 10 * years};
  for (const auto step : steps) {
    CAPTURE(step.count());
    const auto until = plant.crew.received() + 20;
    REQUIRE(load.until([&] { return plant.crew.received() >= until; }));
    const auto connections = plant.connections();
    plant.broker.kill();
    // It tries in vain, and waits for its next try.
    wait_until([] { return false; }, plant.clock.real(4s));
    plant.clock.set(step);
    plant.broker.start();
    const auto began = Clock::now();
    INFO(plant.site.log());
    REQUIRE(wait_until([&] { return plant.connections() > connections; }, 20s));
    back.add(plant.clock.of_daemon(Clock::now() - began));
    REQUIRE(plant.crew.up());
    REQUIRE(plant.source.up());
  }
  REQUIRE(pass_marker(plant.source, load.now()));
  CHECK(plant.undelivered() == "");
  CHECK(back.longest() < 35 + plant.clock.speed());
  report_fault("clock set by -1 h, 1 h, -10 y, 10 y while the broker is away", steps.size(),
               "connected < 35 s; all alerts heard", "connected after " + back.describe());
}

TEST_CASE("a line that is dead is noticed by the session, and one that lives again is used") {
  const Broker broker;
  Proxy proxy{broker.port()};
  Client client{through(proxy, broker, "half-open")};
  REQUIRE(client.up());
  proxy.stall(true);
  CHECK(wait_until([&] { return client.told(SessionEvent::disconnected); }, 20s));
  CHECK_FALSE(client.session().connected());
  proxy.stall(false);
  REQUIRE(client.up(35s));
  CHECK(client.publish(outgoing("t/1", "after")));
  CHECK(wait_until([&] { return client.has_payload("after"); }));
  report_fault("half-open connection", 1, "noticed; connected again", "noticed, connected again");
}

TEST_CASE("over a slow line no more is on its way than is through before the keepalive runs out") {
  // As in the example that is shipped: it would take much more at a time.
  const Broker broker{{.more = "max_inflight_messages 1000\n"}};
  Proxy proxy{broker.port()};
  auto options = through(proxy, broker, "slow");
  options.subscriptions.clear();
  options.broker.keep_alive = 2s;
  options.max_in_flight = 10;
  Client client{options};
  REQUIRE(client.up());
  // 10 messages take half a second, all of them 5.
  proxy.limit(40'000);
  constexpr std::size_t messages = 100;
  const std::string payload(2000, 'x');
  for (std::size_t i = 0; i < messages; ++i)
    REQUIRE(wait_until([&] { return client.send(outgoing("t/slow", payload), i); }, 30s));
  CHECK(wait_until([&] { return client.answers().size() == messages; }, 30s));
  for (const auto& answered : client.answers()) {
    CAPTURE(answered.first);
    CHECK(answered.second == std::vector<bool>{true});
  }
  CHECK_FALSE(client.told(SessionEvent::disconnected));
  report_fault("broker or line slow: 40 kB/s for 200 kB", 1, "stays connected; each taken once",
               fmt::format("{} taken, each once, never disconnected", messages));
}
