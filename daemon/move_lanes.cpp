#include "daemon/move_lanes.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/settings.h"
#include "daemon/clock.h"
#include "daemon/open_shard.h"
#include "ingest/decoder.h"
#include "ingest/journal.h"
#include "storage/checkpoint.h"
#include "storage/files.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

constexpr auto most_lanes = ProcessingSettings::most_lanes;

struct Learned {
  std::vector<std::pair<std::string, std::string>> machines;  // name, state
  std::vector<std::string> desks;
  Timestamp last_arrival;
  Position position = 0;
};

// What only the archive knows comes last, as for a lane that goes on.
void hear_of_archived(const OpenedShard& opened, Position after) {
  ingest::Record record;
  record.kind = ingest::RecordKind::archived;
  record.received = wall_clock();
  record.arrival = std::max(opened.shard->last_arrival(), opened.journal->last_arrival());
  record.position = after;
  for (const auto& payload : opened.archived) {
    record.payload = payload;
    ++record.position;
    opened.shard->apply(record);
  }
}

void work_off(std::uint32_t lane, std::uint32_t before, const LaneFiles& files,
              std::uint64_t journal_bytes, const std::string& configuration_text,
              ArchiveWriter& writer, Log& log, Learned& learned) {
  MachineRegistry registry{before};
  const auto opened =
      open_shard(lane, files, journal_bytes, configuration_text, registry, nullptr, writer, log);
  auto& journal = *opened.journal;
  auto& shard = *opened.shard;
  while (const auto record = journal.next()) shard.apply(*record);
  hear_of_archived(opened,
                   std::max({shard.position(), journal.last_appended(), writer.applied(lane)}));
  writer.write(shard.step());
  shard.leave_fleet();
  writer.write(shard.step());
  learned.desks.push_back(shard.desk());
  for (auto& machine : shard.machines()) learned.machines.push_back(std::move(machine));
  learned.last_arrival =
      std::max({learned.last_arrival, shard.last_arrival(), journal.last_arrival()});
  learned.position =
      std::max({learned.position, shard.position(), journal.last_appended(), writer.applied(lane)});
}

fs::path older(const LaneFiles& files, std::uint32_t lane) {
  return files.state(lane).string() + ".1";
}
// A checkpoint that is to be put in place.
fs::path staged(const LaneFiles& files, std::uint32_t lane) {
  return files.state(lane).string() + ".moved";
}
// Holds the new number of lanes, from when all of them are staged until all are in place.
fs::path decided(const LaneFiles& files) { return files.state_directory / "lanes.moved"; }

// May be cut short anywhere, and begun again.
void put_in_place(const LaneFiles& files, std::uint32_t after) {
  for (std::uint32_t lane = 0; lane < most_lanes; ++lane) {
    if (lane < after && fs::exists(staged(files, lane)))
      fs::rename(staged(files, lane), files.state(lane));
    else if (lane >= after)
      fs::remove(files.state(lane));
    fs::remove(older(files, lane));
    fs::remove(files.journal(lane));
  }
  storage::sync_directory(files.state_directory);
  fs::remove(decided(files));
  // Else it could come back after a power cut, and take with it what came in since.
  storage::sync_directory(files.state_directory);
}

}  // namespace

std::optional<std::uint32_t> lanes_before(const LaneFiles& files) {
  std::optional<std::uint32_t> lanes;
  for (std::uint32_t lane = 0; lane < most_lanes; ++lane) {
    if (fs::exists(files.state(lane)) || fs::exists(older(files, lane)) ||
        fs::exists(files.journal(lane)))
      lanes = lane + 1;
  }
  return lanes;
}

void move_lanes(const LaneFiles& files, std::uint32_t before, std::uint32_t after,
                std::uint64_t journal_bytes, const std::string& configuration_text,
                ArchiveWriter& writer, Log& log) {
  Learned learned;
  for (std::uint32_t lane = 0; lane < before; ++lane)
    work_off(lane, before, files, journal_bytes, configuration_text, writer, log, learned);
  writer.work_off();

  MachineRegistry registry{after};
  std::vector<std::unique_ptr<Shard>> shards;
  for (std::uint32_t lane = 0; lane < after; ++lane) {
    shards.push_back(std::make_unique<Shard>(lane, configuration_text, registry, nullptr));
  }
  std::size_t moved = 0;
  for (const auto& [machine, state] : learned.machines) {
    auto& shard = *shards[ingest::LaneRouter::lane_of(machine, after)];
    moved += shard.adopt(state, learned.last_arrival) ? 1 : 0;
  }

  for (std::uint32_t lane = 0; lane < after; ++lane) {
    const auto mine = [&](std::string_view machine) {
      return ingest::LaneRouter::lane_of(machine, after) == lane;
    };
    for (const auto& desk : learned.desks) {
      check(shards[lane]->adopt_desk(desk, mine), "a desk reads what another one has saved");
    }
  }

  // All are written before the first is put in place.
  for (std::uint32_t lane = 0; lane < most_lanes; ++lane) fs::remove(staged(files, lane));
  for (std::uint32_t lane = 0; lane < after; ++lane) {
    auto checkpoint = shards[lane]->checkpoint();
    checkpoint.position = learned.position;
    storage::write_checkpoint(staged(files, lane), checkpoint);
  }
  storage::replace_file(decided(files), std::to_string(after));
  put_in_place(files, after);
  log.info("What was learned moved to another number of lanes",
           {{"before", before},
            {"after", after},
            {"machines", moved},
            {"lost", learned.machines.size() - moved}});
}

void finish_move(const LaneFiles& files, Log& log) {
  const auto text = storage::text_in(decided(files));
  if (!text) return;
  std::uint32_t after = 0;
  std::from_chars(text->data(), text->data() + text->size(), after);
  if (after == 0) {
    log.error("What a move to another number of lanes left behind is damaged and not used",
              {{"file", decided(files).string()}});
    fs::remove(decided(files));
    return;
  }
  put_in_place(files, after);
  log.info("A move to another number of lanes was cut short and is now done", {{"after", after}});
}

}  // namespace millwright::daemon
