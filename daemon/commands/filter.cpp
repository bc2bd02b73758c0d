// `millwright filter`: NDJSON readings on standard input to NDJSON alerts on standard output.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/documents.h"
#include "daemon/history.h"
#include "daemon/ndjson.h"

namespace millwright::daemon {
namespace {

constexpr std::uint64_t most_said = 20;

int filter(const std::string& config_file) {
  auto configuration = config::defaults();
  if (!config_file.empty()) {
    auto loaded = load_configuration(config_file);
    if (!loaded) return exit_config;
    configuration = std::move(*loaded);
  }
  History history{configuration,
                  {.alert =
                       [&](const Alert& alert) {
                         std::cout << alert_document(alert, configuration.site) << '\n';
                       },
                   .verdict = {},
                   .machine_verdict = {}}};
  std::string line;
  std::uint64_t number = 0, bad = 0;
  while (errno = 0, std::getline(std::cin, line)) {
    ++number;
    try {
      if (const auto reading = parse_reading(line)) {
        history.reading(reading->machine, reading->sensor, reading->time, reading->value);
      }
    } catch (const std::invalid_argument& error) {
      if (++bad <= most_said) fmt::print(stderr, "line {}: {}\n", number, error.what());
    }
    // A pipe is answered at once; a file is worked through in larger steps.
    if (std::cin.rdbuf()->in_avail() <= 0) {
      history.step();
      std::cout.flush();
    }
  }
  // std::cin itself takes an error for the end.
  if (std::cin.bad() || std::ferror(stdin) != 0)
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            "cannot read standard input"};
  history.step();
  std::cout.flush();
  if (!std::cout)
    throw std::system_error{EIO, std::generic_category(), "cannot write to standard output"};
  if (bad > most_said) fmt::print(stderr, "{} more lines were no readings\n", bad - most_said);
  return bad > 0 ? exit_bad_data : exit_ok;
}

std::function<int()> prepare(CLI::App& app) {
  const auto file =
      std::make_shared<std::string>();  // shared: the parser and the action outlive this function
  app.add_option("--config", *file, "Configuration; without it every sensor has the profile auto")
      ->type_name("FILE");
  return [file] { return filter(*file); };
}

}  // namespace

const Command filter_command{"filter", "Readings as NDJSON in, alerts as NDJSON out",
                             "millwright filter < readings.ndjson > alerts.ndjson", &prepare};

}  // namespace millwright::daemon
