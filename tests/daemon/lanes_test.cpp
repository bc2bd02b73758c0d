// Another number of lanes: what was learned and what is alerted moves along.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/hash.h"
#include "tests/daemon/load.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/storage/helpers.h"
#include "tests/support/scale.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using millwright::storage::rows_of;
namespace fs = std::filesystem;

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

// A site whose alerts come of limits alone, and who publishes its readings and listens.
class Plant {
 public:
  explicit Plant(std::uint32_t lanes, bool saves = true) {
    only_limits(site);
    REQUIRE(client.up());
    start(lanes, saves);
  }
  // `saves`: else no checkpoint is written before it stops.
  void start(std::uint32_t lanes, bool saves = true) {
    site.config["processing"]["lanes"] = lanes;
    site.config["processing"]["checkpoint_interval_s"] = saves ? 1 : 3600;
    site.start();
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  }
  // Three readings of every machine in each of these minutes, taken in when it returns.
  void feed(int from, int to, double value) {
    for (int minute = from; minute <= to; ++minute) {
      for (const int second : {0, 20, 40}) {
        for (int m = 0; m < machines; ++m) {
          REQUIRE(client.publish(telemetry(name(m), at(minute, second), "temp", value)));
        }
      }
    }
    REQUIRE(pass_marker(client, at(to, 50)));
  }
  // Of every machine the minutes in the archive of the stopped daemon: how many, and how many
  // readings each has, at least and at most. One line: they are alike.
  std::string minutes() const {
    return rows_of(site.state() / "millwright.db",
                   "SELECT DISTINCT count(*), min(n), max(n) FROM summary_minute JOIN sensor "
                   "ON sensor.id = sensor_id WHERE machine LIKE 'R%' GROUP BY machine");
  }
  std::string open_alerts() const {
    return rows_of(site.state() / "millwright.db",
                   "SELECT id FROM alert WHERE state <> 'cleared' AND sensor = 'temp'");
  }
  fs::path file(int lane, const std::string& ending) const {
    return site.state() / fmt::format("lane-{}.{}", lane, ending);
  }
  bool says(const std::string& text) const { return site.log().find(text) != std::string::npos; }
  bool hears(const std::string& text) const {
    return client.count([&](const Received& message) {
      return message.topic == "millwright/test/event/alert" &&
             message.payload.find(text) != std::string::npos;
    }) > 0;
  }

  static std::string name(int machine) { return fmt::format("R{}", machine); }
  static std::string at(int minute, int second) {
    return fmt::format("2025-03-10T{:02}:{:02}:{:02}Z", 6 + minute / 60, minute % 60, second);
  }

  Broker broker{{.more = shipped_limits}};
  Site site{broker};
  Client client{listener(broker, "client")};
};

// What is archived of temperatures that rise over the limit now and then. `random`: a kill after
// every minute, and a start with another number of lanes, which the next kill may cut short.
struct Kept {
  Events events;
  std::vector<std::string> summaries;
};
Kept archived(int minutes, Random* random) {
  Plant plant{1};
  for (int minute = 0; minute < minutes; ++minute) {
    for (int m = 0; m < machines; ++m) {
      const double value = (minute + m) / 4 % 2 == 0 ? 60 : 99;
      REQUIRE(plant.client.publish(telemetry(Plant::name(m), Plant::at(minute, m), "temp", value)));
    }
    if (random == nullptr) continue;
    plant.site.kill();
    plant.site.config["processing"]["lanes"] = 1 + random->below(4);
    plant.site.start_without_waiting();
    const auto patience = std::chrono::milliseconds{random->below(100)};
    wait_until([&] { return plant.site.running_and_connected(); }, patience);
  }
  REQUIRE(wait_until([&] { return plant.site.running_and_connected(); }, 30s));
  REQUIRE(pass_marker(plant.client, Plant::at(minutes, 0)));
  CHECK(plant.site.stop().code == 0);
  Kept kept{archived_events(plant.site), archived_summaries(plant.site)};
  std::erase_if(kept.events,
                [](const auto& it) { return it.first.first.find("/temp/") == std::string::npos; });
  std::erase_if(kept.summaries, [](const auto& line) { return line.starts_with("marker/"); });
  return kept;
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

TEST_CASE("lanes without a checkpoint are moved with all that is in their journals") {
  Plant plant{3, false};
  plant.feed(1, 1, 60);
  plant.feed(2, 4, 99);
  REQUIRE(wait_until([&] { return count(plant.client, "raised", 1) == machines; }));
  plant.site.kill();
  for (const int lane : {0, 1, 2}) {
    REQUIRE(!fs::exists(plant.file(lane, "state")));
    REQUIRE(!fs::exists(plant.file(lane, "state.1")));
  }

  plant.start(2);
  CHECK(plant.says("before=3 after=2 machines=7 lost=0"));
  plant.feed(5, 9, 60);
  CHECK(wait_until([&] { return count(plant.client, "cleared", 2) == machines; }));
  CHECK(plant.site.stop().code == 0);
  // The ninth minute is not over.
  CHECK(plant.minutes() == "8|3|3\n");
  CHECK(count(plant.client, "raised", 1) == machines);
  CHECK(plant.open_alerts() == "");
}

TEST_CASE("lanes with damaged checkpoints are moved: told, and what came since is in") {
  Plant plant{3};
  plant.feed(1, 2, 60);
  plant.feed(3, 3, 99);
  REQUIRE(wait_until([&] { return count(plant.client, "raised", 1) == machines; }));
  // The older checkpoint of lane 1 is to have it all too.
  const auto fed = fs::file_time_type::clock::now();
  REQUIRE(wait_until([&] {
    const auto older = plant.file(1, "state.1");
    std::error_code gone;
    return fs::last_write_time(older, gone) > fed && !gone;
  }));
  CHECK(plant.site.stop().code == 0);
  plant.start(3, false);
  plant.feed(4, 5, 99);
  plant.site.kill();
  for (const auto* ending : {"state", "state.1"}) write_file(plant.file(0, ending), "damaged");
  write_file(plant.file(1, "state"), "damaged");

  plant.start(2);
  CHECK(plant.says("moved to another number of lanes before=3 after=2"));
  for (const int lane : {0, 1}) {
    CHECK(plant.says(plant.file(lane, "state").string() + " is damaged"));
    CHECK(fs::exists(plant.file(lane, "state.damaged-1")));
  }
  CHECK(wait_until([&] { return plant.hears("lane-0.state.damaged-1"); }));
  plant.feed(6, 9, 60);
  CHECK(plant.site.stop().code == 0);
  CHECK(plant.open_alerts() == "");
  CHECK(plant.minutes() == "8|3|3\n");
}

TEST_CASE("a number of lanes that a reload could not change is changed by the next start") {
  Plant plant{1};
  plant.feed(1, 1, 60);
  plant.feed(2, 2, 99);
  REQUIRE(wait_until([&] { return count(plant.client, "raised", 1) == machines; }));
  plant.site.config["processing"]["lanes"] = 3;
  plant.site.reload();
  REQUIRE(wait_until([&] { return plant.says("take effect with the next start"); }));
  plant.feed(3, 3, 99);
  CHECK(plant.site.stop().code == 0);

  plant.start(3);
  CHECK(plant.says("before=1 after=3 machines=7 lost=0"));
  plant.feed(4, 9, 60);
  CHECK(wait_until([&] { return count(plant.client, "cleared", 2) == machines; }));
  CHECK(plant.site.stop().code == 0);
  CHECK(plant.minutes() == "8|3|3\n");
}

// Between any two of the renames; here it is those of lane 0 that were done.
TEST_CASE("a move of lanes that is cut short is done at the next start") {
  Plant plant{3};
  plant.feed(1, 1, 60);
  plant.feed(2, 2, 99);
  REQUIRE(wait_until([&] { return count(plant.client, "raised", 1) == machines; }));
  CHECK(plant.site.stop().code == 0);
  const auto before = plant.site.directory() / "before";
  fs::copy(plant.site.state(), before, fs::copy_options::recursive);
  plant.start(2, false);
  plant.site.kill();
  const auto here = plant.site.state();
  fs::rename(here / "lane-1.state", here / "lane-1.state.moved");
  for (const auto* name : {"lane-1.state", "lane-2.state"}) fs::copy(before / name, here / name);
  fs::copy(before / "journal", here / "journal",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  write_file(here / "lanes.moved", "2");

  plant.start(2);
  CHECK(plant.says("was cut short and is now done after=2"));
  for (const auto* name : {"lanes.moved", "lane-1.state.moved", "lane-2.state"})
    CHECK(!fs::exists(here / name));
  plant.feed(3, 9, 60);
  CHECK(wait_until([&] { return count(plant.client, "cleared", 2) == machines; }));
  CHECK(plant.site.stop().code == 0);
  CHECK(plant.minutes() == "8|3|3\n");
  CHECK(plant.open_alerts() == "");
}

TEST_CASE("moves of lanes that are killed at any point leave the archive of one lane") {
  const int minutes = scaled(40, 400);
  Random random{71};
  const auto whole = archived(minutes, nullptr), moved = archived(minutes, &random);
  CHECK(whole.events.size() > 6 * machines);
  CHECK(difference(whole.events, moved.events) == "");
  CHECK(difference(whole.summaries, moved.summaries) == "");
}
