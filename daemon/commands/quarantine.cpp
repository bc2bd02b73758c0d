// `millwright quarantine`: shows the bad messages that the daemon kept.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/explain.h"
#include "daemon/paths.h"
#include "daemon/printable.h"
#include "daemon/quarantine.h"

namespace millwright::daemon {
namespace {

struct Options {
  std::string config, file;
  std::size_t limit = 20;
  bool json = false;
};

struct Found {
  std::vector<BadMessage> messages;
  Counters<Reject> counts;
  std::size_t unreadable = 0;
};

std::vector<std::filesystem::path> files_in(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::directory_iterator entries{directory, error};
  if (error) throw std::system_error(error, fmt::format("cannot read {}", directory.string()));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : entries) {
    if (is_quarantine_file(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Found read(const std::vector<std::filesystem::path>& files) {
  constexpr std::size_t most_messages = 1'000'000;  // the daemon wrote them under its own limit
  Found found;
  for (const auto& file : files) {
    Quarantine quarantine{file, most_messages};
    found.unreadable += quarantine.load();
    auto messages = quarantine.messages();
    std::move(messages.begin(), messages.end(), std::back_inserter(found.messages));
    found.counts.merge(quarantine.counts());
  }
  std::stable_sort(
      found.messages.begin(), found.messages.end(),
      [](const BadMessage& a, const BadMessage& b) { return a.received < b.received; });
  return found;
}

void keep_newest(std::vector<BadMessage>& messages, std::size_t limit) {
  if (messages.size() <= limit) return;
  messages.erase(messages.begin(), std::prev(messages.end(), static_cast<std::ptrdiff_t>(limit)));
}

void print_text(const Found& found, std::size_t kept) {
  constexpr std::size_t most_payload = 200;
  for (const auto& message : found.messages) {
    const auto where = message.where.empty() ? std::string{} : " at " + printable(message.where);
    fmt::print("{}  {}{}  {}  {} bytes\n", format_time(message.received), name_of(message.reason),
               where, printable(message.topic), message.bytes);
    if (!message.payload.empty()) fmt::print("    {}\n", printable(message.payload, most_payload));
  }
  if (kept == 0) {
    fmt::print("No bad messages are kept.\n");
  } else {
    fmt::print("{} of {} kept messages shown, newest last.\n", found.messages.size(), kept);
  }
  for (std::size_t i = 1; i < static_cast<std::size_t>(Reject::count_); ++i) {
    const auto reason = static_cast<Reject>(i);
    if (found.counts[reason] == 0) continue;
    fmt::print("{:>10} x {}: {}\n", found.counts[reason], name_of(reason), explanation(reason));
  }
}

int show(const Options& options) {
  std::vector<std::filesystem::path> files;
  if (!options.file.empty()) {
    if (!std::filesystem::exists(options.file)) {
      throw std::system_error(ENOENT, std::generic_category(), "cannot read " + options.file);
    }
    files = {options.file};
  } else {
    // Without a configuration, and none named, the daemon's usual place is still worth a look.
    const bool none =
        options.config == default_config_file && !std::filesystem::exists(options.config);
    const auto configuration =
        none ? std::optional{config::defaults()} : load_configuration(options.config);
    if (!configuration) return exit_config;
    files = files_in(state_directory(*configuration));
  }
  auto found = read(files);
  const auto kept = found.messages.size();
  keep_newest(found.messages, options.limit);
  if (options.json) {
    for (const auto& message : found.messages) fmt::print("{}\n", to_json(message));
  } else {
    print_text(found, kept);
  }
  if (found.unreadable > 0) {
    fmt::print(stderr, "millwright: lines of the quarantine that could not be read: {}\n",
               found.unreadable);
  }
  return exit_ok;
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto options = std::make_shared<Options>();
  add_config_option(app, options->config);
  app.add_option("--file", options->file, "Read this file instead of the state directory's")
      ->option_text("FILE");
  app.add_option("--limit", options->limit, "Show the newest N")->option_text("N=20");
  app.add_flag("--json", options->json, "One JSON object a line, without the counts");
  return [options] { return show(*options); };
}

}  // namespace

const Command quarantine_command{"quarantine", "Show the bad messages that the daemon kept",
                                 "millwright quarantine --limit 5", &prepare};

}  // namespace millwright::daemon
