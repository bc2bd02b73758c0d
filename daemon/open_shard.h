// A lane as it stopped: what it learned, by the newest checkpoint that can be read, and its journal
// from there on. What is damaged is set aside, told and done without: detection does not wait for a
// person.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/lane_files.h"
#include "daemon/log.h"
#include "daemon/quarantine.h"
#include "daemon/shard.h"
#include "daemon/writer.h"
#include "ingest/journal.h"

namespace millwright::daemon {

struct OpenedShard {
  std::unique_ptr<ingest::Journal> journal;  // its next record is the first that the shard lacks
  std::unique_ptr<Shard> shard;
  std::uint64_t records = 0;  // in the journal
  // Of records that the lane is to hear of behind its journal: what only the archive knows.
  std::vector<std::string> archived;
};

// Before the writer is started. Throws Failure, or ingest::NewerJournal, where another version of
// Millwright has written what is there, and std::system_error where a file cannot be opened.
OpenedShard open_shard(std::uint32_t lane, const LaneFiles& files, std::uint64_t journal_bytes,
                       const std::string& configuration_text, MachineRegistry& registry,
                       Quarantine* quarantine, ArchiveWriter& writer, Log& log);

}  // namespace millwright::daemon
