// Another number of lanes: what the old ones have in their journals is worked off, and what they
// learned moves to the lanes that their machines belong to now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/lane_files.h"
#include "daemon/log.h"
#include "daemon/shard.h"
#include "daemon/writer.h"

namespace millwright::daemon {

// How many lanes there are files of; nothing when there are none. What their checkpoints say of it
// does not count: they may be damaged, and a reload may have changed it in their configuration.
std::optional<std::uint32_t> lanes_before(const LaneFiles& files);

// Before any lane is opened and before the writer is started. Alerts and summaries of what was
// still in the journals are committed before a file is replaced, or, where the archive cannot be
// written, kept in memory until it can. The counters of readings begin anew. Throws Failure and
// ingest::NewerJournal as open_shard, and std::system_error when a file cannot be written: the old
// ones are then still there, or `finish_move` goes on.
void move_lanes(const LaneFiles& files, std::uint32_t before, std::uint32_t after,
                std::uint64_t journal_bytes, const std::string& configuration_text,
                ArchiveWriter& writer, Log& log);

// Puts in place what a move had saved when it was cut short, before anything else is looked at.
void finish_move(const LaneFiles& files, Log& log);

}  // namespace millwright::daemon
