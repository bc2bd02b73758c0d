// Power cuts: what was committed is there at the next boot, and all opens.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "core/random.h"
#include "ingest/journal.h"
#include "storage/checkpoint.h"
#include "storage/schema.h"
#include "tests/faults/storage_disk.h"
#include "tests/faults/table.h"
#include "tests/storage/helpers.h"
#include "tests/support/scale.h"

namespace millwright::storage {
namespace {

using test::Disk;
using test::report_fault;
using test::scaled;

const Timestamp first_minute = at("2024-11-22T00:00:00Z");

// What each commit of a history held, so that any prefix of it can be told from the file.
struct Step {
  std::size_t summaries = 0, alerts = 0, delivered = 0;
};

// An archive over many boots. Position n is the n-th commit.
class History {
 public:
  explicit History(Random& random) : random_(random) {}

  // Position of the newest commit that a boot may not find missing.
  Position promised = 0;

  void commit(Archive& archive, const Disk& disk) {
    const Position position = applied_ + 1;
    Batch batch;
    Step step;
    const bool with_alert = random_.below(3) > 0;
    step.summaries = random_.below(10) == 0 ? 500 + random_.below(2500) : random_.below(20);
    for (std::size_t i = 0; i < step.summaries; ++i)
      batch.summaries.push_back(
          row("R017", name(i), summary_of(minute_of(position), {1, 2, 3}, position)));
    if (with_alert) {
      step.alerts = 1 + random_.below(3);
      for (std::size_t i = 0; i < step.alerts; ++i) {
        const auto id = fmt::format("alert-{}-{}", position, i);
        batch.alerts.push_back(alert_row(id, 1, AlertState::active));
        batch.outbox.push_back(outbox_row(id, 1, 5));
      }
      for (const auto& waits : archive.outbox(random_.below(4))) {
        batch.delivered.push_back(waits.sequence);
        ++step.delivered;
      }
    }
    batch.through = {{0, position}};
    archive.commit(batch);
    steps_[position] = step;
    applied_ = position;
    // With an alert in it the call returns when it is safe, and all before it with it.
    if (with_alert && !disk.is_cut()) promised = position;
  }

  // After a boot: the file holds the history up to a commit, whole, and at least what was promised.
  void look_at(Archive& archive, const fs::path& file, bool thoroughly) {
    REQUIRE_FALSE(archive.set_aside());
    const Position applied = archive.applied(0);
    REQUIRE(applied >= promised);
    REQUIRE(applied <= applied_);
    steps_.erase(steps_.upper_bound(applied), steps_.end());
    Step all;
    for (const auto& [position, step] : steps_) {
      all.summaries += step.summaries;
      all.alerts += step.alerts;
      all.delivered += step.delivered;
    }
    Database database{file, Database::Access::read};
    REQUIRE(rows_of(database, "SELECT count(*), coalesce(sum(n), 0) FROM summary_minute") ==
            fmt::format("{}|{}\n", all.summaries, 3 * all.summaries));
    REQUIRE(database.integer("SELECT count(*) FROM alert_event") ==
            static_cast<std::int64_t>(all.alerts));
    REQUIRE(database.integer("SELECT count(*) FROM alert JOIN alert_event USING (id, revision)") ==
            static_cast<std::int64_t>(all.alerts));
    REQUIRE(archive.outbox_size() == all.alerts - all.delivered);
    if (thoroughly) REQUIRE(rows_of(database, "PRAGMA integrity_check") == "ok\n");
    applied_ = promised = applied;
  }

 private:
  static std::string_view name(std::size_t i) {
    static const std::vector<std::string> names = [] {
      std::vector<std::string> made;
      for (int n = 0; n < 3000; ++n) made.push_back("sensor_" + std::to_string(n));
      return made;
    }();
    return names[i];
  }
  static Timestamp minute_of(Position position) {
    return first_minute + std::chrono::minutes{position};
  }

  Random& random_;
  Position applied_ = 0;
  std::map<Position, Step> steps_;
};

// One folder a boot: `next` gives an empty one and removes the one before the last.
class Boots {
 public:
  fs::path next() {
    if (number_ > 0) fs::remove_all(folder(number_ - 1));
    fs::create_directory(folder(++number_));
    return folder(number_);
  }

 private:
  fs::path folder(int number) const { return directory_ / std::to_string(number); }
  const TemporaryDirectory directory_;
  int number_ = 0;
};

TEST_CASE("no committed alert is lost in a power cut, and the archive opens") {
  const int cuts = scaled(80, 1000);
  Random random{61};
  Boots boots;
  std::uint64_t usual = 40, alerts_promised = 0;
  int in_the_middle = 0;
  std::unique_ptr<History> history;
  fs::path folder;
  for (int cut = 0; cut < cuts; ++cut) {
    CAPTURE(cut);
    if (cut % 40 == 0) {
      history = std::make_unique<History>(random);
      folder = boots.next();
    }
    Disk disk{folder, random.next()};
    disk.cut_after(1 + random.below(usual * 5 / 4));
    const auto file = folder / "archive.db";
    auto archive = std::make_unique<Archive>(file);
    history->look_at(*archive, file, cut % 10 == 0);
    for (auto commits = 1 + random.below(12); commits > 0; --commits)
      history->commit(*archive, disk);
    if (random.below(3) == 0) archive.reset();
    usual = (usual * 7 + disk.operations()) / 8 + 1;
    in_the_middle += disk.is_cut() ? 1 : 0;
    alerts_promised += history->promised;
    folder = boots.next();
    disk.image(folder);
  }
  Archive archive{folder / "archive.db"};
  history->look_at(archive, folder / "archive.db", true);
  CHECK(in_the_middle > cuts / 3);
  report_fault("power cut, archive", cuts, "0 committed alerts lost, opens, quick_check ok",
               fmt::format("0 lost, {} within a write; {} commits looked for", in_the_middle,
                           alerts_promised));
}

TEST_CASE("a power cut while an older archive is migrated loses none of it") {
  const int cuts = scaled(40, 300);
  Random random{67};
  Boots boots;
  const auto& now = archive_schema();
  int migrated = 0;
  std::uint64_t usual = 30;
  for (int cut = 0; cut < cuts; ++cut) {
    CAPTURE(cut);
    const auto folder = boots.next();
    const auto file = folder / "archive.db";
    {
      Database database = open_archive(file, {{now.migrations[0], now.migrations[1]}, ""});
      database.execute(
          "INSERT INTO sensor VALUES (1, 'R1', 'temp', 'degC');"
          "INSERT INTO lane_position VALUES (0, 17);"
          "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)"
          "INSERT INTO summary_minute SELECT n, 1, 2, 3.0, 2.0, 2.0, 4.0, 2.0, 4.0, 0 FROM i");
    }
    Disk disk{folder, random.next()};
    disk.cut_after(1 + random.below(usual));
    { const Archive archive{file}; }
    usual = disk.operations() + 2;
    const auto after = boots.next();
    disk.image(after);
    const auto found = after / "archive.db";
    migrated += Database{found}.integer("PRAGMA user_version") == now.version() ? 1 : 0;
    Archive archive{found};
    REQUIRE_FALSE(archive.set_aside());
    REQUIRE(archive.applied(0) == 17);
    REQUIRE(rows_of(found, "SELECT count(*), sum(n) FROM summary_minute") == "500|1000\n");
    REQUIRE(rows_of(found, "PRAGMA integrity_check") == "ok\n");
  }
  CHECK(migrated > 0);
  CHECK(migrated < cuts);
  report_fault("power cut, archive being migrated", cuts, "all rows there, migrated or not yet",
               fmt::format("0 lost, {} had been migrated", migrated));
}

// Tells from the position what a checkpoint's state must be.
std::string state_of(Position position) {
  Random random{position};
  std::string state(random.below(20'000), '\0');
  for (auto& byte : state) byte = static_cast<char>(random.next());
  return state;
}

TEST_CASE("no checkpoint that was promised is lost in a power cut, and the next one is whole") {
  const int cuts = scaled(200, 1000);
  Random random{71};
  Boots boots;
  auto folder = boots.next();
  Position promised = 0, newest = 0;
  int newer = 0, in_the_middle = 0;
  for (int cut = 0; cut < cuts; ++cut) {
    CAPTURE(cut);
    const auto file = folder / "lane-0.state";
    Disk disk{folder, random.next()};
    disk.cut_after(1 + random.below(60));
    const auto read = read_checkpoint(file);
    REQUIRE(read.set_aside.empty());
    REQUIRE((read.checkpoint || promised == 0));
    if (read.checkpoint) {
      REQUIRE(read.checkpoint->position >= promised);
      REQUIRE(read.checkpoint->position <= newest);
      REQUIRE(read.checkpoint->state == state_of(read.checkpoint->position));
      newer += read.checkpoint->position > promised ? 1 : 0;
      promised = read.checkpoint->position;
    }
    for (auto writes = 1 + random.below(5); writes > 0; --writes) {
      write_checkpoint(file, {++newest, "{}", state_of(newest)});
      if (!disk.is_cut()) promised = newest;
    }
    in_the_middle += disk.is_cut() ? 1 : 0;
    folder = boots.next();
    disk.image(folder);
  }
  CHECK(in_the_middle > cuts / 4);
  CHECK(newer > 0);
  report_fault("power cut, checkpoint", cuts, "the promised one or a later one, whole",
               fmt::format("0 lost, {} within a write, {} a later one", in_the_middle, newer));
}

std::string payload_of(Position position) {
  Random random{position};
  return std::string(20 + random.below(700), static_cast<char>('a' + position % 26));
}

TEST_CASE("a journal on a disk has after a power cut what was synced and is in no checkpoint") {
  const int cuts = scaled(50, 500);
  Random random{79};
  Boots boots;
  std::uint64_t looked_for = 0, more = 0, torn = 0;
  for (int cut = 0; cut < cuts; ++cut) {
    CAPTURE(cut);
    const auto folder = boots.next(), file = folder / "lane-0.journal";
    // No release before the cut that is not the checkpoint's.
    Position released = 0, synced = 0;
    Disk disk{folder, random.next()};
    auto opened = ingest::Journal::open(file, 16384);
    auto& journal = *opened.journal;
    journal.keep_on_disk();
    for (auto steps = 20 + random.below(400); steps > 0; --steps) {
      const auto position = journal.last_appended() + 1;
      const auto payload = payload_of(position);
      ingest::Record record;
      record.kind = ingest::RecordKind::message;
      record.topic = "t";
      record.payload = payload;
      const bool fits = journal.append(record);
      if (!fits || random.below(30) == 0) {
        while (journal.next()) {
        }
        const auto kept = std::min<Position>(random.below(3), journal.last_appended());
        released = std::max(released, journal.last_appended() - kept);
        journal.release_through(released);
      }
      if (random.below(8) == 0) {
        journal.sync();
        synced = journal.last_appended();
      }
    }
    const auto appended = journal.last_appended();
    const auto after = boots.next();
    disk.image(after);
    opened.journal.reset();

    auto found = ingest::Journal::open(after / "lane-0.journal", 16384);
    REQUIRE_FALSE(found.set_aside);
    found.journal->seek_after(released);
    Position newest = released;
    while (const auto record = found.journal->next()) {
      REQUIRE(record->position == newest + 1);
      REQUIRE(record->payload == payload_of(record->position));
      newest = record->position;
    }
    REQUIRE(newest >= std::max(synced, released));
    REQUIRE(newest <= appended);
    looked_for += synced > released ? synced - released : 0;
    more += newest > std::max(synced, released) ? 1 : 0;
    torn += found.torn_records > 0 ? 1 : 0;
  }
  CHECK(looked_for > 0);
  CHECK(torn > 0);
  report_fault("power cut, journal on disk", cuts, "all records synced and not in a checkpoint",
               fmt::format("0 of {} lost; {} times torn ones behind, {} times more", looked_for,
                           torn, more));
}

// The test of the test: without syncing, things are lost.
TEST_CASE("the disk of these tests does forget what was not synced") {
  Random random{73};
  Boots boots;
  int lost = 0;
  for (int cut = 0; cut < 20; ++cut) {
    const auto folder = boots.next();
    Disk disk{folder, random.next()};
    {
      Database database{folder / "archive.db"};
      database.execute("PRAGMA synchronous = OFF; CREATE TABLE t (a)");
      for (int i = 0; i < 20; ++i) database.execute("INSERT INTO t VALUES (hex(randomblob(900)))");
    }
    const auto after = boots.next();
    disk.image(after);
    try {
      Database database{after / "archive.db"};
      lost += database.integer("SELECT count(*) FROM t") < 20 ? 1 : 0;
    } catch (const StorageError& error) {
      lost += is_damage(error.code()) ||
                      std::string{error.what()}.find("no such table") != std::string::npos
                  ? 1
                  : 0;
    }
  }
  CHECK(lost > 5);
}

}  // namespace
}  // namespace millwright::storage
