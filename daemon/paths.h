// Where the daemon keeps its files.
#pragma once

#include <cstdint>
#include <filesystem>

#include "config/config.h"

namespace millwright::daemon {

inline constexpr const char* default_config_file = "/etc/millwright/millwright.json";

// state_directory of the configuration, else what systemd gave ($STATE_DIRECTORY), else
// /var/lib/millwright.
std::filesystem::path state_directory(const config::Configuration& configuration);

// archive.file of the configuration, else millwright.db in the state directory.
std::filesystem::path archive_file(const config::Configuration& configuration);

// quarantine-<lane>.jsonl in there.
std::filesystem::path quarantine_file(const std::filesystem::path& state_directory,
                                      std::uint32_t lane);
bool is_quarantine_file(const std::filesystem::path& file);

}  // namespace millwright::daemon
