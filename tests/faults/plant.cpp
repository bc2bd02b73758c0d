#include "tests/faults/plant.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "core/time.h"

namespace millwright::test {

using namespace std::chrono_literals;

void Load::minute() {
  static constexpr std::array<double, 6> values{95, 130, 180, 60, 60, 60};
  for (int machine = 0; machine < machines_; ++machine) {
    const auto value = values[static_cast<std::size_t>(minute_ + machine) % values.size()];
    const auto message = telemetry("R" + std::to_string(machine), now(), "temp", value);
    REQUIRE(wait_until([&] { return source_.send(message, ++tag_); }, 60s));
  }
  ++minute_;
}

bool Load::until(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    minute();
    if (wait_until(condition, 30ms)) return true;
  }
  return false;
}

std::string Load::now() const {
  return format_time(*parse_time("2025-03-10T00:00:00Z") + std::chrono::minutes{minute_});
}

std::size_t Tail::count(const std::string& words) {
  std::ifstream in{file_, std::ios::binary};
  // Words that were cut by the end of what there was.
  const auto overlap = std::min(read_, words.size() - 1);
  in.seekg(static_cast<std::streamoff>(read_ - overlap));
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  for (auto at = text.find(words); at != text.npos; at = text.find(words, at + 1)) ++count_;
  read_ += text.size() - overlap;
  return count_;
}

std::size_t heard_status(const Client& client, bool online) {
  const auto messages = client.messages();
  return static_cast<std::size_t>(
      std::count_if(messages.begin(), messages.end(), [&](const Received& message) {
        return !message.retained &&
               Json::parse(message.payload)["status"] == (online ? "online" : "offline");
      }));
}

namespace {

// As in the example that is shipped, but for the interval at which it saves: minutes of a plant are
// seconds here.
constexpr const char* shipped_limits =
    "max_inflight_messages 1000\nmax_queued_messages 100000\nmax_queued_bytes 268435456\n"
    "persistence true\nautosave_interval 10\n";

}  // namespace

Plant::Plant(const PlantOptions& options)
    : clock{kept_.path(), options.speed},
      broker{{.more = shipped_limits + ("persistence_location " + kept_.path().string() + "/\n") +
                      options.more,
              .environment = clock.environment()}} {
  site.config["profiles"] = Json::parse(R"([
    { "match": "marker/*", "detectors": ["limit"], "limits": { "high": 1 } },
    { "match": "*", "detectors": ["limit"], "limits": { "high": 90 } } ])");
  site.environment = clock.environment();
  if (options.proxied) site.config["broker"]["url"] = proxy.mqtt_url();
  if (options.configure) options.configure(site.config);
  site.start();
  REQUIRE(source.up());
  REQUIRE(crew.up());
  REQUIRE(watcher.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  // Sessions are on its disk before anything else.
  ::kill(broker.pid(), SIGUSR1);
  REQUIRE(wait_until([&] { return std::filesystem::exists(kept_ / "mosquitto.db"); }));
}

std::string Plant::undelivered() {
  CHECK(site.stop().code == 0);
  for (const auto& message : crew.messages())
    CHECK_MESSAGE(Json::accept(message.payload),
                  message.topic << ", " << message.payload.size() << " bytes: " << message.payload);
  const auto archived = archived_events(site);
  archived_ = archived.size();
  CHECK_FALSE(archived.empty());
  wait_until([&] { return events_of(crew).size() >= archived.size(); }, 30s);
  return difference(archived, events_of(crew));
}

}  // namespace millwright::test
