// Disks that fail under a running daemon: alerts go out, the trouble is a case that people are told
// of, and what was kept in memory is written when the disk is well again.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"
#include "tests/daemon/site.h"
#include "tests/faults/newest.h"
#include "tests/faults/table.h"
#include "tests/support/scale.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

Json newest_case(const Client& client, const std::string& sensor) {
  return newest_on(client, "millwright/test/state/_plant/" + sensor + "/sensor_case");
}
bool case_is(const Client& client, const std::string& sensor, const std::string& state) {
  const auto document = newest_case(client, sensor);
  return !document.is_null() && document["state"] == state;
}

bool people_were_told(const Client& client, const std::string& id) {
  for (const auto& message : client.messages()) {
    if (message.topic == "millwright/test/event/case" && Json::parse(message.payload)["id"] == id)
      return true;
  }
  return false;
}

// A daemon whose disk can be made to fail.
class Patient {
 public:
  explicit Patient(std::string fault) : fault_(std::move(fault)) {
    site.environment = {{"LD_PRELOAD", MILLWRIGHT_TEST_SICK_DISK},
                        {"MILLWRIGHT_TEST_DISK", site.state().string()},
                        {"MILLWRIGHT_TEST_FAULT", control().string()}};
    if (sanitized) site.environment.emplace_back("ASAN_OPTIONS", "verify_asan_link_order=0");
    // Not the times of the readings: a silent sensor is no business of this test.
    site.config["processing"]["journal_bytes"] = 4 << 20;
    site.config["limits"] = {{"payload_bytes", 4096}};
  }
  const std::string& fault() const { return fault_; }
  std::filesystem::path control() const { return site.directory() / "fault"; }
  void start() {
    site.start();
    REQUIRE(client.up());
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  }
  void make_sick() const { write_file(control(), fault_ + "\n"); }
  void heal() const { write_file(control(), ""); }
  // Raises an alert and waits until it is told; how long that took.
  std::chrono::milliseconds raise() {
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(pass_marker(client, fmt::format("2025-03-10T00:00:{:02}Z", ++second_)));
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begun);
  }

  Broker broker;
  Site site{broker};
  Client client{listener(broker, "listener")};

 private:
  std::string fault_;
  int second_ = 0;
};

// All that subscribers heard is in the archive of the stopped daemon.
void check_committed(const Patient& patient) {
  const auto heard = events_of(patient.client);
  const auto archived = archived_events(patient.site);
  std::string missing;
  for (const auto& [key, document] : heard)
    if (!archived.contains(key)) missing += document + "\n";
  CHECK(missing == "");
  CHECK(heard.size() > 3);
}

}  // namespace

TEST_CASE("a disk that fails stops no alert, is told of, and gets all when it is well again") {
  std::vector<std::unique_ptr<Patient>> patients;
  for (const auto* fault : {"eio", "erofs", "enospc", "hang"})
    patients.push_back(std::make_unique<Patient>(fault));
  for (auto& patient : patients) {
    patient->start();
    patient->raise();
  }
  for (auto& patient : patients) patient->make_sick();
  auto slowest = 0ms;
  for (int round = 0; round < 3; ++round)
    for (auto& patient : patients) {
      CAPTURE(patient->fault());
      slowest = std::max(slowest, patient->raise());
    }
  for (auto& patient : patients) {
    CAPTURE(patient->fault());
    REQUIRE(wait_until([&] { return case_is(patient->client, "_archive", "active"); }, 60s));
    const auto told = newest_case(patient->client, "_archive");
    CHECK(told["class"] == "sensor");
    CHECK(told["notify"] == true);
    CHECK(wait_until([&] { return people_were_told(patient->client, told["id"]); }));
    MESSAGE(patient->fault() << ": " << told["message"].get<std::string>());
    if (patient->fault() != "hang") {
      REQUIRE(wait_until(
          [&] { return newest_status(patient->client)["storage"]["archive"] == false; }, 30s));
      CHECK(newest_status(patient->client)["storage"]["unsaved"] > 0);
    }
    patient->raise();
    CHECK(patient->site.process().running());
  }
  for (auto& patient : patients) patient->heal();
  for (auto& patient : patients) {
    CAPTURE(patient->fault());
    CHECK(wait_until([&] { return case_is(patient->client, "_archive", "cleared"); }, 90s));
    REQUIRE(wait_until([&] {
      const auto storage = newest_status(patient->client)["storage"];
      return storage["archive"] == true && storage["unsaved"] == 0;
    }));
    CHECK(patient->site.stop().code == 0);
    check_committed(*patient);
    report_fault("disk: " + patient->fault(), 1, "alerts out, told as a case, all written after",
                 fmt::format("4 alerts out, at most {} ms; raised and cleared", slowest.count()));
  }
}

TEST_CASE("a journal that cannot be written to its disk is told of, until it can") {
  Patient patient{"msync"};
  patient.site.config["processing"]["journal_directory"] =
      (patient.site.directory() / "journal").string();
  patient.site.config["processing"]["journal_sync_ms"] = 100;
  std::filesystem::create_directory(patient.site.directory() / "journal");
  patient.start();
  patient.raise();
  patient.make_sick();
  patient.raise();
  REQUIRE(wait_until([&] { return case_is(patient.client, "_journal", "active"); }, 60s));
  const auto told = newest_case(patient.client, "_journal");
  CHECK(told["message"].get<std::string>().find("Input/output error") != std::string::npos);
  CHECK(wait_until([&] { return newest_status(patient.client)["storage"]["failures"] > 0; }, 60s));
  CHECK(wait_until([&] { return people_were_told(patient.client, told["id"]); }));
  patient.heal();
  CHECK(wait_until([&] { return case_is(patient.client, "_journal", "cleared"); }, 90s));
  CHECK(patient.site.stop().code == 0);
  check_committed(patient);
  report_fault("journal: msync fails with EIO", 1, "alerts out, told as a case, cleared after",
               "alerts out; raised and cleared");
}

TEST_CASE("a full disk gets the ballast back, and that is told") {
  Patient patient{"ballast"};
  patient.start();
  patient.raise();
  const auto ballast = patient.site.state() / "ballast";
  REQUIRE(std::filesystem::file_size(ballast) == 4 << 20);
  patient.make_sick();
  patient.raise();
  CHECK(wait_until([&] { return !std::filesystem::exists(ballast); }));
  CHECK(wait_until([&] { return case_is(patient.client, "_archive", "active"); }, 30s));
  CHECK(newest_status(patient.client)["storage"]["archive"] == true);
  patient.heal();
  CHECK(patient.site.stop().code == 0);
  check_committed(patient);
  report_fault("disk full, ballast there", 1, "ballast given back, alert written, told",
               "written at once, told as a case");
}

TEST_CASE("on a disk that stays dead the journal lets go of what was worked off, nothing is shed") {
  Patient patient{"eio"};
  patient.site.config["processing"]["journal_bytes"] = 64 << 10;
  patient.start();
  patient.raise();
  patient.make_sick();
  patient.raise();
  // A record takes 56 bytes and what is in it: three times as much as fits.
  constexpr int published = 3000;
  std::uint64_t tag = 0;
  for (int i = 0; i < published; ++i) {
    const auto message = text_reading("R1", "temp", i % 7);
    ++tag;
    REQUIRE(wait_until([&] { return patient.client.send(message, tag); }, 30s));
  }
  patient.raise();
  const auto taken = [&] {
    return newest_status(patient.client)["messages"].get<int>() > published;
  };
  REQUIRE(wait_until(taken, 30s));
  CHECK(newest_status(patient.client)["rejected"]["journal_full"] == 0);
  CHECK(wait_until([&] { return case_is(patient.client, "_checkpoint", "active"); }, 60s));
  CHECK(newest_status(patient.client)["storage"]["checkpoints"] == false);
  patient.heal();
  CHECK(wait_until([&] { return case_is(patient.client, "_checkpoint", "cleared"); }, 90s));
  CHECK(patient.site.stop().code == 0);
  check_committed(patient);
  report_fault("disk dead for longer than the journal holds", 1, "detection goes on, nothing shed",
               fmt::format("{} readings through a journal for a few hundred, alert out, none shed",
                           published));
}

TEST_CASE("alerts that the broker forgets while the archive is away are told again") {
  Patient patient{"eio"};
  patient.start();
  patient.raise();
  patient.make_sick();
  const auto before = events_of(patient.client);
  patient.raise();
  REQUIRE(wait_until([&] { return case_is(patient.client, "_archive", "active"); }, 60s));
  auto unsaved = events_of(patient.client);
  for (const auto& [key, document] : before) unsaved.erase(key);
  REQUIRE(!unsaved.empty());
  patient.broker.kill();
  patient.broker.start();
  Client late{listener(patient.broker, "late")};
  REQUIRE(late.up());
  const auto missing = [&] {
    const auto heard = events_of(late);
    return std::count_if(unsaved.begin(), unsaved.end(),
                         [&](const auto& event) { return !heard.contains(event.first); });
  };
  CHECK(wait_until([&] { return missing() == 0; }, 60s));
  report_fault("disk dead, and a broker killed that keeps nothing", 1, "every unsaved alert again",
               fmt::format("{} of {} again", unsaved.size() - static_cast<std::size_t>(missing()),
                           unsaved.size()));
  patient.heal();
  CHECK(patient.site.stop().code == 0);
}
