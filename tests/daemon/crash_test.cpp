// Crash equivalence: however often the daemon is killed, its archive holds what that of an
// uninterrupted run holds.
#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/playback.h"
#include "ingest/csv.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

struct Kept {
  Events events;
  std::vector<std::string> summaries;
};

std::vector<ingest::Outgoing> messages_of(const Recording& recording) {
  std::istringstream in{recording.csv};
  ingest::CsvReader reader{in, "R1"};
  daemon::CsvSource source{reader};
  daemon::TelemetryWriter writer;
  daemon::PlayedMessage message;
  std::vector<ingest::Outgoing> messages;
  while (source.next(message)) {
    auto& out = messages.emplace_back();
    out.topic = "factory/l1/R1/telemetry";
    writer.message(message, out.payload);
  }
  return messages;
}

// Publishes all, and kills and restarts the daemon after each message whose number is in `kills`.
Kept play_with_kills(const Recording& recording, const std::set<std::size_t>& kills,
                     Random& random) {
  Broker broker{{.more = "max_queued_messages 100000\nmax_inflight_messages 1000\n"}};
  Site site{broker};
  // Small: a checkpoint is due every few hundred messages.
  site.config["limits"] = {{"payload_bytes", 4096}};
  site.config["processing"]["journal_bytes"] = 512 << 10;
  site.start();
  Client client{listener(broker, "publisher")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto messages = messages_of(recording);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    REQUIRE(wait_until([&] { return client.send(messages[i], i); }, 30s));
    if (!kills.contains(i)) continue;
    // Half of them while it is at work, half as it comes, mostly while it starts or connects.
    if (random.below(2) == 0)
      REQUIRE(wait_until([&] { return site.running_and_connected(); }, 60s));
    site.kill();
    site.start_without_waiting();
  }
  REQUIRE(pass_marker(client, recording.last_time));
  const auto ended = site.stop();
  INFO(site.log());
  CHECK(ended.code == 0);
  CHECK(site.logs().find("Messages were shed") == std::string::npos);
  Kept kept{archived_events(site), archived_summaries(site)};
  // The marker's sensor has a number of its own each time.
  std::erase_if(kept.events, [](const auto& it) { return it.first.first.starts_with("marker/"); });
  std::erase_if(kept.summaries, [](const auto& line) { return line.starts_with("marker/"); });
  return kept;
}

}  // namespace

TEST_CASE("after kill -9 at any point the archive is that of a run that was never killed") {
  const auto recording = wide_recording(21);
  Random random{22};
  const auto whole = play_with_kills(recording, {}, random);
  CHECK(raised_kinds(whole.events) == "case gap limit rate sensor_case shift spike stuck");
  CHECK(whole.summaries.size() > 6 * recording_rows / 60 - 20);  // a sensor is silent for a while
  std::set<std::size_t> kills;
  while (kills.size() < static_cast<std::size_t>(scaled(5, 50)))
    kills.insert(random.below(recording_rows));
  const auto killed = play_with_kills(recording, kills, random);
  CHECK(difference(whole.events, killed.events) == "");
  CHECK(difference(whole.summaries, killed.summaries) == "");
}
