// Crash equivalence: however often the daemon is killed, its archive holds what that of an
// uninterrupted run holds, no database is damaged, and it is ready again at once.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/documents.h"
#include "daemon/playback.h"
#include "daemon/shard.h"
#include "ingest/csv.h"
#include "storage/checkpoint.h"
#include "storage/database.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/faults/figures.h"
#include "tests/faults/table.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

// Its sensor has a number of its own each time, so what is of it is left out.
constexpr std::string_view marker = "marker";

struct Kept {
  Events events;
  std::vector<std::string> summaries;
  std::string learned;             // the robot's state
  std::string alarms;              // figures
  std::vector<std::string> later;  // what is said of more that comes
  Seconds until_ready;             // of every start that was let live so long
  std::size_t looked_at = 0;       // databases after a kill
};

std::vector<ingest::Outgoing> messages_of(const Recording& recording,
                                          std::chrono::minutes later = 0min) {
  std::istringstream in{recording.csv};
  ingest::CsvReader reader{in, "R1"};
  daemon::CsvSource source{reader};
  daemon::TelemetryWriter writer;
  daemon::PlayedMessage message;
  std::vector<ingest::Outgoing> messages;
  while (source.next(message)) {
    message.time += later;
    auto& out = messages.emplace_back();
    out.topic = "factory/l1/R1/telemetry";
    writer.message(message, out.payload);
  }
  return messages;
}

// Of a copy: whoever opens a database repairs it by its log.
std::string quick_check(const Site& site) {
  const TemporaryDirectory copy;
  bool there = false;
  for (const auto* ending : {"", "-wal"}) {
    const auto file = site.state() / (std::string{"millwright.db"} + ending);
    if (!std::filesystem::exists(file)) continue;
    there = true;
    std::filesystem::copy_file(file, copy / (std::string{"copy.db"} + ending));
  }
  if (!there) return "ok";  // killed before there was one
  storage::Database database{copy / "copy.db"};
  auto check = database.prepare("PRAGMA quick_check");
  check.start();
  return check.next() ? check.text(0) : "no answer";
}

std::string text_of(const engine::AlarmFigures& f) {
  auto text = fmt::format(
      "raised {} notified {} held back {} by severity {} open {} unacknowledged {} suppressed {} "
      "chattering {} stale {} waiting {}",
      f.raised, f.notified, f.held_back, fmt::join(f.by_severity, " "), f.open, f.unacknowledged,
      f.suppressed, f.chattering, f.stale, f.waiting);
  for (const auto& one : f.worst) {
    if (one.machine != marker)
      text += fmt::format(" {}/{} {}", one.machine, one.sensor, one.alerts);
  }
  return text;
}

std::vector<std::string> said_of(const std::vector<ingest::Outgoing>& messages,
                                 daemon::Shard& shard) {
  for (const auto& message : messages) {
    ingest::Record record;
    record.kind = ingest::RecordKind::message;
    record.position = shard.position() + 1;
    record.topic = message.topic;
    record.payload = message.payload;
    shard.apply(record);
  }
  const auto output = shard.step();
  std::vector<std::string> said;
  for (const auto& alert : output.alerts) {
    if (alert.machine != marker) said.push_back(daemon::alert_document(alert, "test"));
  }
  for (const auto& [machine, sensor, unit, summary] : output.summaries) {
    if (machine == marker) continue;
    said.push_back(fmt::format("{}/{} {} n {} mean {:.17g}", machine, sensor,
                               format_time(summary.minute), summary.count, summary.mean));
  }
  return said;
}

// What the daemon that was stopped had learned: the bytes of its machine, and of the rest what
// comes of it. Bytes of that may rightly differ: the journal's positions, also those in alerts,
// since the journal has ticks and what the broker sent twice, too; counts of messages and readings;
// the time of arrival.
void read_learned(const Site& site, Kept& kept) {
  const auto read = storage::read_checkpoint(site.state() / "lane-0.state");
  REQUIRE(read.checkpoint);
  daemon::MachineRegistry registry;
  daemon::Shard shard{0, read.checkpoint->configuration, registry, nullptr};
  REQUIRE(!shard.restore(*read.checkpoint));
  for (auto& [machine, state] : shard.machines()) {
    if (machine == "R1") kept.learned = std::move(state);
  }
  kept.alarms = text_of(shard.figures().alarms);
  kept.later = said_of(messages_of(wide_recording(23), 90min), shard);
}

class Killed {
 public:
  Killed(const Recording& recording, std::set<std::size_t> kills, Random& random)
      : recording_(recording), kills_(std::move(kills)), random_(random) {
    // Small: a checkpoint is due every few hundred messages.
    site_.config["limits"] = {{"payload_bytes", 4096}};
    site_.config["processing"]["journal_bytes"] = 512 << 10;
    site_.environment = {{"NOTIFY_SOCKET", (site_.directory() / "notify").string()}};
  }

  // Publishes all, and kills and restarts the daemon after each message whose number is in `kills`.
  Kept play() {
    start();
    wait_for_ready();
    // READY does not wait for the broker, which keeps messages for us from the first subscription
    // on.
    REQUIRE(wait_until([&] { return site_.running_and_connected(); }, 60s));
    Client client{listener(broker_, "publisher")};
    REQUIRE(client.up());
    const auto messages = messages_of(recording_);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      REQUIRE(wait_until([&] { return client.send(messages[i], i); }, 30s));
      if (kills_.contains(i)) kill();
    }
    REQUIRE(pass_marker(client, recording_.last_time));
    const auto ended = site_.stop();
    INFO(site_.log());
    CHECK(ended.code == 0);
    CHECK(site_.logs().find("Messages were shed") == std::string::npos);
    kept_.events = archived_events(site_);
    kept_.summaries = archived_summaries(site_);
    read_learned(site_, kept_);
    std::erase_if(kept_.events,
                  [](const auto& it) { return it.first.first.starts_with("marker/"); });
    std::erase_if(kept_.summaries, [](const auto& line) { return line.starts_with("marker/"); });
    return std::move(kept_);
  }

 private:
  void start() {
    ready_before_ = systemd_.count("READY=1");
    began_ = std::chrono::steady_clock::now();
    site_.start_without_waiting();
  }

  void wait_for_ready() {
    REQUIRE(wait_until([&] { return systemd_.count("READY=1") > ready_before_; }, 60s));
    kept_.until_ready.add(std::chrono::steady_clock::now() - began_);
  }

  // A third as it starts, a third when it is ready, mostly while it connects, a third at work.
  void kill() {
    switch (random_.below(3)) {
      case 0: {
        const auto patience = std::chrono::milliseconds{random_.below(60)};
        wait_until([&] { return systemd_.count("READY=1") > ready_before_; }, patience);
        break;
      }
      case 1:
        wait_for_ready();
        break;
      default:
        wait_for_ready();
        REQUIRE(wait_until([&] { return site_.running_and_connected(); }, 60s));
    }
    site_.kill();
    CHECK(quick_check(site_) == "ok");
    ++kept_.looked_at;
    start();
  }

  const Recording& recording_;
  const std::set<std::size_t> kills_;
  Random& random_;
  Broker broker_{{.more = "max_queued_messages 100000\nmax_inflight_messages 1000\n"}};
  Site site_{broker_};
  Notifications systemd_{site_.directory() / "notify"};
  std::size_t ready_before_ = 0;
  std::chrono::steady_clock::time_point began_;
  Kept kept_;
};

}  // namespace

TEST_CASE("after kill -9 at any point the archive is that of a run that was never killed") {
  const auto recording = wide_recording(21);
  Random random{22};
  const auto whole = Killed{recording, {}, random}.play();
  CHECK(raised_kinds(whole.events) == "case gap limit rate sensor_case shift spike stuck");
  CHECK(whole.summaries.size() > 6 * recording_rows / 60 - 20);  // a sensor is silent for a while
  std::set<std::size_t> kills;
  while (kills.size() < static_cast<std::size_t>(many(100, 1000)))
    kills.insert(random.below(recording_rows));
  const auto killed = Killed{recording, kills, random}.play();
  CHECK(difference(whole.events, killed.events) == "");
  CHECK(difference(whole.summaries, killed.summaries) == "");
  CHECK(whole.learned.size() > 1000);
  const auto apart = std::mismatch(whole.learned.begin(), whole.learned.end(),
                                   killed.learned.begin(), killed.learned.end());
  INFO("bytes that are alike: ", apart.first - whole.learned.begin());
  CHECK(apart.first == whole.learned.end());
  CHECK(apart.second == killed.learned.end());
  CHECK(whole.alarms == killed.alarms);
  CHECK(whole.later.size() > whole.summaries.size());
  CHECK(difference(whole.later, killed.later) == "");
  CHECK(killed.looked_at == kills.size());
  // What is promised is 2 s; on a machine that is busy with other tests a few may take longer.
  CHECK(killed.until_ready.median() < 2);
  CHECK(killed.until_ready.share_below(2) >= 0.95);
  report_fault("daemon kill -9 at random instants", static_cast<std::int64_t>(kills.size()),
               "crash equivalence; quick_check ok; ready < 2 s",
               fmt::format("{} events, {} summaries and {} bytes learned as without; {} databases "
                           "ok; ready in {}",
                           killed.events.size(), killed.summaries.size(), killed.learned.size(),
                           killed.looked_at, killed.until_ready.describe()));
}
