// A power cut where the journal is on tmpfs: the daemon begins at its last checkpoint, and the
// archive knows more.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "tests/daemon/site.h"
#include "tests/session/client.h"
#include "tests/storage/helpers.h"

using namespace millwright;
using namespace millwright::test;
using millwright::storage::rows_of;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string at(int minute, int second = 0) {
  return fmt::format("2025-03-10T{:02}:{:02}:{:02}Z", 6 + minute / 60, minute % 60, second);
}

bool is_of_archive(const fs::path& file) {
  return file.filename().string().starts_with("millwright.db");
}

// All but the archive becomes what it was.
void turn_back(const fs::path& state, const fs::path& before) {
  for (const auto& entry : fs::directory_iterator{state}) {
    if (!is_of_archive(entry)) fs::remove_all(entry);
  }
  for (const auto& entry : fs::directory_iterator{before}) {
    if (!is_of_archive(entry) && !fs::is_directory(entry))
      fs::copy(entry, state / entry.path().filename());
  }
}

// A site with a limit, and who publishes its readings and listens.
class Plant {
 public:
  Plant() {
    site.config["profiles"] =
        Json::parse(R"([ { "match": "*", "detectors": ["limit"], "limits": { "high": 90 } } ])");
    REQUIRE(crew.up());
  }
  void start() {
    site.start();
    REQUIRE(wait_until([&] { return site.running_and_connected(); }, 30s));
  }
  void publish(const std::string& machine, int minute, double value) {
    const auto message = telemetry(machine, at(minute), "temp", value);
    REQUIRE(wait_until([&] { return crew.send(message, 1); }, 30s));
  }
  // The revision of that event of the machine's alert, once it is heard.
  int revision(const std::string& machine, const std::string& event) {
    int found = 0;
    REQUIRE(wait_until(
        [&] {
          for (const auto& [key, document] : events_of(crew)) {
            if (key.first.starts_with(machine + "/temp/limit/") &&
                Json::parse(document)["event"] == event)
              found = key.second;
          }
          return found > 0;
        },
        30s));
    return found;
  }
  // All that was heard is in the archive of the stopped daemon, and nothing is open there.
  void check_all_is_over() {
    CHECK(rows_of(site.state() / "millwright.db",
                  "SELECT id FROM alert WHERE state <> 'cleared'") == "");
    CHECK(difference(archived_events(site), events_of(crew)) == "");
  }

  Broker broker;
  Site site{broker};
  Client crew{listener(broker, "crew")};
};

}  // namespace

TEST_CASE("after a power cut alerts go on from what the archive has of them") {
  Plant plant;
  plant.start();
  plant.publish("R1", 0, 95);
  CHECK(plant.revision("R1", "raised") == 1);
  CHECK(plant.site.stop().code == 0);
  const auto before = plant.site.directory() / "before";
  fs::copy(plant.site.state(), before, fs::copy_options::recursive);

  plant.start();
  plant.publish("R1", 1, 500);
  CHECK(plant.revision("R1", "escalated") == 2);
  plant.publish("R2", 1, 95);
  plant.publish("R3", 1, 95);
  plant.revision("R2", "raised");
  plant.revision("R3", "raised");
  CHECK(plant.site.stop().code == 0);
  turn_back(plant.site.state(), before);

  plant.start();
  CHECK(plant.site.log().find("The archive is ahead of what is known here") != std::string::npos);
  plant.publish("R2", 3, 96);
  // R1 is well again, and so is R2 a little later. Nothing is heard of R3 any more.
  for (int minute = 3; minute < 60; ++minute) {
    plant.publish("R1", minute, 50);
    if (minute >= 5) plant.publish("R2", minute, 50);
  }
  CHECK(plant.revision("R1", "cleared") == 3);
  CHECK(plant.revision("R2", "cleared") >= 2);
  CHECK(plant.revision("R3", "cleared") == 2);
  CHECK(plant.site.stop().code == 0);
  plant.check_all_is_over();
}

TEST_CASE("with an older checkpoint than the journal begins with, alerts go on as well") {
  Plant plant;
  plant.start();
  plant.publish("R1", 0, 95);
  plant.revision("R1", "raised");
  CHECK(plant.site.stop().code == 0);
  const auto newest = plant.site.state() / "lane-0.state";
  const auto older = read_file(newest);

  plant.start();
  plant.publish("R2", 1, 95);
  plant.revision("R2", "raised");
  CHECK(plant.site.stop().code == 0);
  write_file(plant.site.state() / "lane-0.state.1", older);
  write_file(newest, "damaged");

  plant.start();
  CHECK(plant.site.log().find("The newest checkpoint is older than the journal") !=
        std::string::npos);
  for (int minute = 3; minute < 60; ++minute) plant.publish("R1", minute, 50);
  CHECK(plant.revision("R1", "cleared") == 2);
  CHECK(plant.revision("R2", "cleared") == 2);
  CHECK(plant.site.stop().code == 0);
  const auto open = rows_of(plant.site.state() / "millwright.db",
                            "SELECT machine FROM alert WHERE state <> 'cleared'");
  CHECK(open.find('R') == std::string::npos);
}
