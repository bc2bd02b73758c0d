// How the storage does, for the status document.
#pragma once

#include <cstdint>
#include <string>

#include "storage/archive.h"

namespace millwright::daemon {

struct StorageFigures {
  bool archive = true;                  // can be written, or there is none
  bool checkpoints = true;              // can be written
  std::string problem;                  // why not, in words; empty: none
  std::uint64_t failures = 0;           // of a transaction, a checkpoint, a journal
  std::uint64_t set_aside = 0;          // damaged files
  std::uint64_t unsaved = 0;            // alert events that are in memory only
  std::uint64_t summaries_dropped = 0;  // the archive was away for too long
  std::uint64_t archive_bytes = 0;      // of its file
  storage::Removed removed;             // from the archive since the start, to make room
};

}  // namespace millwright::daemon
