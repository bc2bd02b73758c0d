#include "daemon/move_lanes.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/check.h"
#include "daemon/clock.h"
#include "daemon/open_shard.h"
#include "ingest/decoder.h"
#include "ingest/journal.h"
#include "storage/checkpoint.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

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

void work_off(std::uint32_t lane, const LaneFiles& files, std::uint64_t journal_bytes,
              const std::string& configuration_text, ArchiveWriter& writer, Log& log,
              Learned& learned) {
  MachineRegistry registry;
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
  learned.position = std::max({learned.position, shard.position(), writer.applied(lane)});
}

}  // namespace

std::optional<std::uint32_t> lanes_before(const LaneFiles& files,
                                          std::vector<std::string>& damage) {
  auto read = storage::read_checkpoint(files.state(0));
  damage = std::move(read.set_aside);
  const auto& checkpoint = read.checkpoint;
  if (!checkpoint) return std::nullopt;
  const auto loaded = config::parse(checkpoint->configuration, "checkpoint");
  if (!loaded.configuration) return std::nullopt;
  return loaded.configuration->processing.lanes;
}

void move_lanes(const LaneFiles& files, std::uint32_t before, std::uint32_t after,
                std::uint64_t journal_bytes, const std::string& configuration_text,
                ArchiveWriter& writer, Log& log) {
  Learned learned;
  for (std::uint32_t lane = 0; lane < before; ++lane)
    work_off(lane, files, journal_bytes, configuration_text, writer, log, learned);
  writer.work_off();

  MachineRegistry registry;
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

  // All are written before the first is put in place: a crash in between leaves the old set or, at
  // worst, a mixed one for the time of a few renames.
  const auto staged = [&](std::uint32_t lane) {
    return fs::path{files.state(lane).string() + ".moved"};
  };
  for (std::uint32_t lane = 0; lane < after; ++lane) {
    auto checkpoint = shards[lane]->checkpoint();
    checkpoint.position = learned.position;
    storage::write_checkpoint(staged(lane), checkpoint);
  }
  const auto older = [&](std::uint32_t lane) {
    return fs::path{files.state(lane).string() + ".1"};
  };
  for (std::uint32_t lane = 0; lane < after; ++lane) {
    fs::rename(staged(lane), files.state(lane));
    fs::remove(older(lane));
  }
  for (std::uint32_t lane = after; lane < before; ++lane) {
    fs::remove(files.state(lane));
    fs::remove(older(lane));
  }
  for (std::uint32_t lane = 0; lane < before; ++lane) fs::remove(files.journal(lane));
  log.info("What was learned moved to another number of lanes",
           {{"before", before},
            {"after", after},
            {"machines", moved},
            {"lost", learned.machines.size() - moved}});
}

}  // namespace millwright::daemon
