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

}  // namespace

TEST_CASE("after a power cut alerts go on from what the archive has of them") {
  const Broker broker;
  Site site{broker};
  site.config["profiles"] =
      Json::parse(R"([ { "match": "*", "detectors": ["limit"], "limits": { "high": 90 } } ])");
  Client crew{listener(broker, "crew")};
  REQUIRE(crew.up());
  const auto publish = [&](const std::string& machine, int minute, double value) {
    const auto message = telemetry(machine, at(minute), "temp", value);
    REQUIRE(wait_until([&] { return crew.send(message, 1); }, 30s));
  };
  const auto heard = [&](const std::string& id_begins, const std::string& event) {
    for (const auto& [key, document] : events_of(crew)) {
      if (key.first.starts_with(id_begins) && Json::parse(document)["event"] == event)
        return key.second;
    }
    return 0;
  };
  const auto hears = [&](const std::string& id_begins, const std::string& event) {
    return wait_until([&] { return heard(id_begins, event) > 0; }, 30s);
  };
  const auto start = [&] {
    site.start();
    REQUIRE(wait_until([&] { return site.running_and_connected(); }, 30s));
  };

  start();
  publish("R1", 0, 95);
  REQUIRE(hears("R1/temp/limit/", "raised"));
  CHECK(site.stop().code == 0);
  const auto before = site.directory() / "before";
  fs::copy(site.state(), before, fs::copy_options::recursive);

  start();
  publish("R1", 1, 500);  // worse: revision 2
  REQUIRE(hears("R1/temp/limit/", "escalated"));
  publish("R2", 1, 95);
  publish("R3", 1, 95);
  REQUIRE(hears("R2/temp/limit/", "raised"));
  REQUIRE(hears("R3/temp/limit/", "raised"));
  CHECK(site.stop().code == 0);
  turn_back(site.state(), before);

  start();
  CHECK(site.log().find("The archive is ahead of what is known here") != std::string::npos);
  publish("R2", 3, 96);
  // R1 is well again, and so is R2 a little later. Nothing is heard of R3 any more.
  for (int minute = 3; minute < 60; ++minute) {
    publish("R1", minute, 50);
    if (minute >= 5) publish("R2", minute, 50);
  }
  REQUIRE(hears("R1/temp/limit/", "cleared"));
  REQUIRE(hears("R2/temp/limit/", "cleared"));
  REQUIRE(hears("R3/temp/limit/", "cleared"));
  CHECK(heard("R1/temp/limit/", "cleared") == 3);
  CHECK(heard("R2/temp/limit/", "cleared") >= 2);
  CHECK(heard("R3/temp/limit/", "cleared") == 2);
  CHECK(site.stop().code == 0);
  CHECK(rows_of(site.state() / "millwright.db", "SELECT id FROM alert WHERE state <> 'cleared'") ==
        "");
  CHECK(difference(archived_events(site), events_of(crew)) == "");
}
