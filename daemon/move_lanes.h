// Another number of lanes: what the old ones have in their journals is worked off, and what they
// learned moves to the lanes that their machines belong to now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/lane_files.h"
#include "daemon/log.h"
#include "daemon/shard.h"
#include "daemon/writer.h"

namespace millwright::daemon {

// How many lanes wrote the checkpoints in there; nothing when there are none that can be read.
// `damage`: a sentence for each that was set aside.
std::optional<std::uint32_t> lanes_before(const LaneFiles& files, std::vector<std::string>& damage);

// Before any lane is opened and before the writer is started. Alerts and summaries of what was
// still in the journals are committed before a file is replaced. The counters of readings begin
// anew. Throws std::system_error when a file cannot be written: the old ones are then still there.
void move_lanes(const LaneFiles& files, std::uint32_t before, std::uint32_t after,
                std::uint64_t journal_bytes, const std::string& configuration_text,
                ArchiveWriter& writer, Log& log);

}  // namespace millwright::daemon
