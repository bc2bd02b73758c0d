#include "daemon/lane_files.h"

#include <string>

namespace millwright::daemon {

std::filesystem::path LaneFiles::state(std::uint32_t lane) const {
  return state_directory / ("lane-" + std::to_string(lane) + ".state");
}
std::filesystem::path LaneFiles::journal(std::uint32_t lane) const {
  return journal_directory / ("lane-" + std::to_string(lane) + ".journal");
}

}  // namespace millwright::daemon
