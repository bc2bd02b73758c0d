#include "tests/faults/plant.h"

#include <doctest/doctest.h>
#include <signal.h>

#include "storage/database.h"

namespace millwright::test {

using namespace std::chrono_literals;

std::size_t heard_status(const Client& client, bool online) {
  const auto said = std::string{R"("status":)"} + (online ? R"("online")" : R"("offline")");
  return client.count([&](const Received& message) {
    return !message.retained && message.payload.find(said) != std::string::npos;
  });
}

namespace {

// Saves often: minutes of a plant are seconds here.
constexpr const char* persistence = "persistence true\nautosave_interval 10\n";

}  // namespace

Plant::Plant(const PlantOptions& options)
    : clock{kept_.path(), options.speed},
      broker{{.more = shipped_limits + std::string{persistence} + "persistence_location " +
                      kept_.path().string() + "/\n" + options.more,
              .environment = clock.environment()}} {
  only_limits(site);
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

std::size_t Plant::archived_so_far() const {
  storage::Database database{site.state() / "millwright.db"};
  return static_cast<std::size_t>(database.integer("SELECT count(*) FROM alert_event"));
}

std::size_t Plant::heard() {
  const auto at = [&](const Received& message) { heard_.insert(message.payload); };
  looked_at_ = crew.look(looked_at_, at);
  return heard_.size();
}

std::string Plant::undelivered() {
  // What is urgent overtakes the rest, and what is not out when it stops waits for the next start.
  wait_until([&] { return heard() >= archived_so_far(); }, 120s);
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
