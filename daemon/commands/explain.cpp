// `millwright explain`: why an alert was raised, from the archive.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/explanation.h"
#include "daemon/plot.h"
#include "daemon/printable.h"
#include "storage/alert_list.h"
#include "storage/archive.h"

namespace millwright::daemon {
namespace {

constexpr std::size_t most_minutes = 5000, most_like = 5, usual_width = 80;

struct Options {
  std::string config, id;
  bool json = false, ascii = false;
  std::size_t width = 0;  // 0: that of the terminal
};

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::size_t terminal_width() {
  const auto columns = environment("COLUMNS");
  std::size_t width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  if (width > 0) return width;
  winsize size{};
  if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return usual_width;
}

// As setlocale would look them up.
bool speaks_utf8() {
  for (const auto* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value{environment(name)};
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

int not_there(const storage::AlertList& archive, const std::string& id) {
  fmt::print(stderr, "millwright: the archive has no alert {}\n", printable(id));
  const auto like = archive.like(id, most_like);
  if (!like.empty()) fmt::print(stderr, "those that look most like it:\n");
  for (const auto& one : like) fmt::print(stderr, "  {}\n", printable(one));
  return exit_bad_data;
}

int explain(const Options& options, const config::Configuration& configuration) {
  const storage::AlertList archive{archive_of(configuration)};
  Story story;
  story.steps = archive.history(options.id);
  if (story.steps.empty()) return not_there(archive, options.id);
  for (const auto& part : parts_of(story)) {
    std::string told;
    for (const auto& step : archive.history(part)) {
      // Its worst is told before it is over.
      if (step.document.empty()) continue;
      const auto event = nlohmann::json::parse(step.document).value("event", "");
      if (told.empty() || event == "raised" || event == "updated" || event == "escalated")
        told = step.document;
    }
    if (!told.empty()) story.parts.push_back(std::move(told));
  }
  story.services = services_of(archive, story.steps);
  if (const auto wanted = wanted_minutes(story)) {
    story.minutes =
        archive.minutes(wanted->machine, wanted->sensor, wanted->from, wanted->to, most_minutes);
  }
  if (options.json) {
    fmt::print("{}\n", explanation_document(story));
  } else {
    const auto width = options.width > 0 ? options.width : terminal_width();
    fmt::print("{}", explanation_text(story, width, !options.ascii && speaks_utf8()));
  }
  return exit_ok;
}

int run(const Options& options) {
  const auto configuration = load_configuration(options.config);
  if (!configuration) return exit_config;
  try {
    return explain(options, *configuration);
  } catch (const storage::StorageError& error) {
    fmt::print(stderr, "millwright: {}\n", printable(error.what()));
    return exit_io;
  }
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto o = std::make_shared<Options>();
  app.add_option("ID", o->id, "The alert or case: machine/sensor/kind/onset")->required();
  add_config_option(app, o->config);
  app.add_option("--width", o->width, "Columns of the plot; without it those of the terminal")
      ->option_text("N")
      ->check(CLI::Range(least_width, most_width));
  app.add_flag("--ascii", o->ascii, "No other characters in the plot, whatever the locale");
  app.add_flag("--json", o->json, "One JSON document");
  return [o] { return run(*o); };
}

}  // namespace

const Command explain_command{"explain", "Say why an alert was raised, with a plot",
                              "millwright explain R1/temp/limit/1741586400000", &prepare};

}  // namespace millwright::daemon
