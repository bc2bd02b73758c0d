// Where a lane keeps its checkpoint and its journal.
#pragma once

#include <cstdint>
#include <filesystem>

namespace millwright::daemon {

struct LaneFiles {
  std::filesystem::path state_directory, journal_directory;
  std::filesystem::path state(std::uint32_t lane) const;
  std::filesystem::path journal(std::uint32_t lane) const;
};

}  // namespace millwright::daemon
