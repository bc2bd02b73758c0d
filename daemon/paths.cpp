#include "daemon/paths.h"

#include <cstdlib>
#include <string>
#include <string_view>

namespace millwright::daemon {

std::filesystem::path state_directory(const config::Configuration& configuration) {
  if (!configuration.state_directory.empty()) return configuration.state_directory;
  // systemd gives a list when a unit has several; ours has one.
  const char* given = std::getenv("STATE_DIRECTORY");
  const std::string_view first{given == nullptr ? "" : given};
  if (!first.empty()) return first.substr(0, first.find(':'));
  return "/var/lib/millwright";
}

std::filesystem::path archive_file(const config::Configuration& configuration) {
  if (!configuration.archive.file.empty()) return configuration.archive.file;
  return state_directory(configuration) / "millwright.db";
}

std::filesystem::path quarantine_file(const std::filesystem::path& state_directory,
                                      std::uint32_t lane) {
  return state_directory / ("quarantine-" + std::to_string(lane) + ".jsonl");
}

bool is_quarantine_file(const std::filesystem::path& file) {
  const auto name = file.filename().string();
  return name.starts_with("quarantine-") && name.ends_with(".jsonl");
}

}  // namespace millwright::daemon
