// What a daemon keeps, made small and the same every time, and taken up again as a daemon does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/reading.h"

namespace millwright::test {

// The files' names in a folder: those of a state directory, the journal beside them.
struct Kept {
  static constexpr const char* configuration = "millwright.json";
  static constexpr const char* checkpoint = "lane-0.state";
  static constexpr const char* older_checkpoint = "lane-0.state.1";
  static constexpr const char* journal = "lane-0.journal";
  static constexpr const char* archive = "millwright.db";
  static constexpr const char* log = "millwright.db-wal";
};

// Two machines with a sensor each, learned from, one of them beyond its limit; an open alert in the
// archive, with its log; two checkpoints, and behind the newer one readings in the journal.
void make_kept(const std::filesystem::path& folder);

// What was found in a lane's files when it was started on them.
struct Found {
  Position checkpoint = 0, journal = 0;     // newest positions; 0: none
  std::uint64_t replayed = 0, sensors = 0;  // records behind the checkpoint; in the end
  std::uint64_t readings = 0, active_alerts = 0;
  std::vector<std::string> set_aside;  // a sentence each
  std::string refused;                 // empty: it was not
  friend bool operator==(const Found&, const Found&) = default;
};
// Takes up checkpoint and journal as the daemon does, works on, and saves.
Found take_up_lane(const std::filesystem::path& folder);

// What is in the archive after it was opened and written to.
struct FoundArchive {
  Position applied = 0;
  std::int64_t alert_events = 0, open_alerts = 0, summaries = 0;
  bool set_aside = false;
  std::string refused;  // empty: it was not
  friend bool operator==(const FoundArchive&, const FoundArchive&) = default;
};
FoundArchive take_up_archive(const std::filesystem::path& file);

}  // namespace millwright::test
