// The journal of a running daemon: full, and written to its disk.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "storage/archive.h"
#include "storage/database.h"
#include "tests/daemon/site.h"
#include "tests/faults/newest.h"
#include "tests/faults/table.h"

using namespace millwright::test;
using namespace std::chrono_literals;

TEST_CASE("what a full journal has no room for is shed, counted, and all else is worked off") {
  const Broker broker{{.more = "max_queued_messages 100000\nmax_inflight_messages 1000\n"}};
  Site site{broker};
  site.config["limits"] = {{"payload_bytes", 4096}};
  // A lane that gathers for longer than the test takes, with a small ring: nothing makes room.
  site.config["processing"].update({{"journal_bytes", 64 << 10},
                                    {"mode", "micro_batch"},
                                    {"max_delay_ms", 60000},
                                    {"max_readings", 10000000}});
  site.start();
  Client client{listener(broker, "source")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  // A record takes 56 bytes and what is in it.
  constexpr int published = 2000;
  std::uint64_t tag = 0;
  for (int i = 0; i < published; ++i) {
    const auto message = text_reading("R1", "temp", i);
    ++tag;
    REQUIRE(wait_until([&] { return client.send(message, tag); }, 30s));
  }
  const auto shed = [&] {
    const auto status = newest_status(client);
    return status.is_null() ? 0 : status["rejected"]["journal_full"].get<int>();
  };
  REQUIRE(wait_until(
      [&] {
        const auto status = newest_status(client);
        return shed() > 0 && status["messages"].get<int>() + shed() >= published;
      },
      60s));
  CHECK(site.log().find("the journal is full") != std::string::npos);
  CHECK(site.stop().code == 0);
  REQUIRE(wait_until([&] { return newest_status(client)["status"] == "offline"; }));
  const auto lost = shed();
  int kept = 0;
  const auto last = newest_status(client);
  for (const auto& outcome : last["readings"]) kept += outcome.get<int>();
  CHECK(kept + lost == published);
  CHECK(kept > 500);
  report_fault("journal full", 1, "waits 5 s, then sheds and counts",
               fmt::format("{} worked off, {} counted as shed", kept, lost));
}

TEST_CASE("an archive of a newer version is refused, and detection goes on without") {
  const Broker broker;
  Site site{broker};
  std::filesystem::create_directories(site.state());
  const auto file = site.state() / "millwright.db";
  { const millwright::storage::Archive archive{file}; }
  millwright::storage::Database{file}.execute("PRAGMA user_version = 99");
  const auto before = read_file(file);
  site.start();
  Client client{listener(broker, "listener")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  REQUIRE(pass_marker(client, "2025-03-10T00:00:00Z"));
  // Told as a case, and what is learned is saved all the same.
  REQUIRE(wait_until(
      [&] {
        for (const auto& message : client.messages())
          if (message.topic == "millwright/test/event/case" &&
              message.payload.find("newer Millwright") != std::string::npos)
            return true;
        return false;
      },
      30s));
  CHECK(wait_until([&] { return std::filesystem::exists(site.state() / "lane-0.state"); }, 30s));
  REQUIRE(pass_marker(client, "2025-03-10T00:01:00Z"));
  CHECK(site.stop().code == 0);
  CHECK(read_file(file) == before);
  report_fault("downgrade: archive of a newer version", 1, "refused, detection goes on, told",
               "untouched, 2 alerts out, told as a case");
}
