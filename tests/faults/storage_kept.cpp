#include "tests/faults/storage_kept.h"

#include <fmt/format.h>

#include <memory>
#include <stdexcept>

#include "daemon/documents.h"
#include "daemon/shard.h"
#include "ingest/journal.h"
#include "storage/archive.h"
#include "storage/checkpoint.h"
#include "storage/database.h"
#include "tests/support/temporary.h"

namespace millwright::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::uint64_t journal_bytes = 64 << 10;
constexpr const char* configuration_text = R"({
  "site": "kept",
  "inputs": [ { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
                "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": ["auto", "limit", "shift"], "unit": "degC",
                  "limits": { "high": 90 } } ],
  "processing": { "clock": "event", "journal_bytes": 65536 },
  "limits": { "payload_bytes": 4096 } })";

Timestamp at(int second) {
  return Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 3 / 10}} +
         std::chrono::seconds{second};
}

void append_reading(ingest::Journal& journal, const std::string& machine, int second,
                    double value) {
  const auto topic = "t/" + machine + "/temp";
  const auto payload = fmt::format(R"({{"t":"{}","v":{}}})", format_time(at(second)), value);
  ingest::Record record;
  record.kind = ingest::RecordKind::message;
  record.received = record.arrival = at(second);
  record.topic = topic;
  record.payload = payload;
  if (!journal.append(record)) throw std::runtime_error{"the journal has no room"};
}

// Readings of some minutes; R2 is beyond its limit from second 400 on.
void append_readings(ingest::Journal& journal, int from, int to) {
  for (int second = from; second < to; ++second) {
    const double wave = (second * 7 % 13) / 10.0;
    append_reading(journal, "R1", second, 40 + wave);
    append_reading(journal, "R2", second, second < 400 ? 60 - wave : 120 + wave);
  }
}

void work(ingest::Journal& journal, daemon::Shard& shard) {
  while (const auto record = journal.next()) shard.apply(*record);
}

void commit(storage::Archive& archive, const daemon::LaneOutput& output, Position through) {
  storage::Batch batch;
  for (const auto& s : output.summaries)
    batch.summaries.push_back({0, s.machine, s.sensor, s.unit, s.summary});
  for (const auto& alert : output.alerts)
    batch.alerts.push_back({0, alert, daemon::alert_document(alert, "kept")});
  batch.through = {{0, through}};
  archive.commit(batch);
}

}  // namespace

void make_kept(const fs::path& folder) {
  write_file(folder / Kept::configuration, configuration_text);
  auto journal = ingest::Journal::open(folder / Kept::journal, journal_bytes).journal;
  daemon::MachineRegistry registry;
  daemon::Shard shard{0, configuration_text, registry, nullptr};
  const TemporaryDirectory elsewhere;
  storage::Archive archive{elsewhere / Kept::archive};
  const auto live = [&](int from, int to) {
    for (int second = from; second < to; second += 50) {
      append_readings(*journal, second, std::min(second + 50, to));
      work(*journal, shard);
      commit(archive, shard.step(), shard.position());
      journal->release_through(shard.position());
    }
  };
  live(0, 500);
  storage::write_checkpoint(folder / Kept::checkpoint, shard.checkpoint());
  live(500, 600);
  storage::write_checkpoint(folder / Kept::checkpoint, shard.checkpoint());
  append_readings(*journal, 600, 640);
  for (const auto* name : {Kept::archive, Kept::log})
    fs::copy_file(elsewhere / name, folder / name);
}

Found take_up_lane(const fs::path& folder) {
  Found found;
  const auto file = folder / Kept::checkpoint;
  daemon::MachineRegistry registry;
  std::unique_ptr<daemon::Shard> shard;
  while (!shard) {
    auto read = storage::read_checkpoint(file);
    for (auto& sentence : read.set_aside) found.set_aside.push_back(std::move(sentence));
    if (read.newer_version) {
      found.refused = *read.newer_version;
      return found;
    }
    const auto text = read.checkpoint ? read.checkpoint->configuration : configuration_text;
    try {
      shard = std::make_unique<daemon::Shard>(0, text, registry, nullptr);
    } catch (const std::invalid_argument&) {
      // As the daemon does: with the present one.
      shard = std::make_unique<daemon::Shard>(0, configuration_text, registry, nullptr);
    }
    if (!read.checkpoint) break;
    if (const auto problem = shard->restore(*read.checkpoint)) {
      if (!problem->damaged) {
        found.refused = problem->sentence;
        return found;
      }
      found.set_aside.push_back(storage::set_checkpoint_aside(file, problem->sentence));
      shard.reset();
      continue;
    }
    found.checkpoint = read.checkpoint->position;
  }
  auto opened = ingest::Journal::open(folder / Kept::journal, journal_bytes);
  if (opened.set_aside) found.set_aside.push_back(*opened.set_aside);
  auto& journal = *opened.journal;
  journal.seek_after(shard->position());
  journal.start_after(shard->position());
  while (const auto record = journal.next()) {
    shard->apply(*record);
    ++found.replayed;
  }
  shard->step();
  found.journal = journal.last_appended();
  const auto figures = shard->figures();
  found.sensors = figures.sensors;
  found.readings = figures.readings;
  found.active_alerts = figures.active_alerts;
  // And it goes on.
  append_reading(journal, "R1", 700, 41);
  work(journal, *shard);
  shard->step();
  storage::write_checkpoint(file, shard->checkpoint());
  journal.release_through(shard->position());
  return found;
}

FoundArchive take_up_archive(const fs::path& file) {
  FoundArchive found;
  std::unique_ptr<storage::Archive> archive;
  try {
    archive = std::make_unique<storage::Archive>(file);
  } catch (const storage::StorageError& error) {
    found.refused = error.what();
    return found;
  }
  Summary summary;
  summary.minute = at(6000);
  summary.position = 1'000'000'000;
  summary.add(1);
  storage::Batch batch;
  batch.summaries = {{0, "R9", "temp", "degC", summary}};
  try {
    found.applied = archive->applied(0);
    archive->commit(batch);
  } catch (const storage::StorageError& error) {
    // Damage that shows late costs one call, and is then set aside.
    if (!archive->set_aside()) throw;
    archive->commit(batch);
  }
  found.set_aside = archive->set_aside().has_value();
  found.open_alerts = static_cast<std::int64_t>(archive->open_alerts().size());
  archive.reset();
  storage::Database database{file, storage::Database::Access::read};
  found.alert_events = database.integer("SELECT count(*) FROM alert_event");
  found.summaries = database.integer("SELECT count(*) FROM summary_minute") - 1;
  return found;
}

}  // namespace millwright::test
