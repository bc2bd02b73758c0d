// `millwright replay`: history through the production engine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/documents.h"
#include "daemon/health_file.h"
#include "daemon/history.h"
#include "daemon/recordings.h"
#include "daemon/scores.h"
#include "ingest/csv.h"

namespace millwright::daemon {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string config, scores, health, machine;
  bool quiet = false;
};

// What the run came to, for the summary.
struct Tally {
  std::map<std::string, std::uint64_t> raised;  // by kind
  std::optional<Timestamp> first, last;
  std::uint64_t bad = 0, cases = 0, notified = 0;

  void see(Timestamp time) {
    first = std::min(first.value_or(time), time);
    last = std::max(last.value_or(time), time);
  }
};

class Replay {
 public:
  Replay(const Options& options, const config::Configuration& configuration)
      : options_(options), history_(configuration, handlers(configuration)) {
    if (!options.scores.empty()) scores_.emplace(options.scores);
    if (!options.health.empty()) health_.emplace(options.health);
  }

  int run() {
    Recordings recordings{options_.files, options_.machine,
                          [](const std::string& problem) { fmt::print(stderr, "{}\n", problem); }};
    RecordedRow row;
    while (recordings.next(row)) {
      for (const auto& value : row.values) take(row.machine, value.sensor, row.time, value.value);
    }
    tally_.bad = recordings.problems();
    history_.step();
    if (scores_) scores_->close();
    if (health_) health_->close();
    std::cout.flush();
    if (!std::cout)
      throw std::system_error{EIO, std::generic_category(), "cannot write to standard output"};
    if (!options_.quiet) summarise();
    return history_.readings() == 0 ? exit_bad_data : exit_ok;
  }

 private:
  HistoryHandlers handlers(const config::Configuration& configuration) {
    HistoryHandlers handlers;
    handlers.alert = [this, &configuration](const Alert& alert) {
      std::cout << alert_document(alert, configuration.site) << '\n';
      if (is_case(alert.kind)) {
        tally_.cases += alert.event == AlertEvent::raised;
        tally_.notified += alert.notify;
      } else if (alert.event == AlertEvent::raised) {
        ++tally_.raised[std::string{name_of(alert.kind)}];
      }
    };
    if (!options_.health.empty()) {
      handlers.health = [this](const MachineHealth& health) { health_->add(health); };
    }
    if (!options_.scores.empty()) {
      handlers.verdict = [this](std::string_view machine, std::string_view sensor,
                                const engine::Verdict& verdict) {
        scores_->add(machine, sensor, verdict);
      };
      handlers.machine_verdict = [this](std::string_view machine,
                                        const engine::MachineVerdict& verdict) {
        scores_->add(machine, verdict);
      };
    }
    return handlers;
  }

  void take(std::string_view machine, std::string_view sensor, Timestamp time, double value) {
    tally_.see(time);
    history_.reading(machine, sensor, time, value);
    if (history_.readings() % 100'000 == 0) say_progress();
  }

  void say_progress() const {
    if (options_.quiet || isatty(STDERR_FILENO) == 0) return;
    fmt::print(stderr, "\r{} readings, up to {} ", history_.readings(), format_time(*tally_.last));
  }

  void summarise() const {
    const auto& engine = history_.engine();
    if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r");
    fmt::print(stderr, "{} readings of {} sensors on {} machines", history_.readings(),
               engine.sensors(), engine.machines());
    if (tally_.first) {
      fmt::print(stderr, ", {} to {}", format_time(*tally_.first), format_time(*tally_.last));
    }
    fmt::print(stderr, "\n");
    for (std::size_t i = 0; i < static_cast<std::size_t>(Outcome::count_); ++i) {
      const auto outcome = static_cast<Outcome>(i);
      if (engine.outcomes()[outcome] > 0) {
        fmt::print(stderr, "  {:<12} {:>10}\n", name_of(outcome), engine.outcomes()[outcome]);
      }
    }
    if (tally_.bad > 0)
      fmt::print(stderr, "  {:<12} {:>10}  cells or lines left out\n", "unreadable", tally_.bad);
    const double weeks = tally_.first ? to_seconds(*tally_.last - *tally_.first) / (7 * 86400) : 0;
    std::uint64_t alerts = 0;
    for (const auto& [kind, count] : tally_.raised) alerts += count;
    fmt::print(stderr, "{} alerts", alerts);
    if (weeks > 0) fmt::print(stderr, ", {:.3g} a week", static_cast<double>(alerts) / weeks);
    fmt::print(stderr, "\n");
    for (const auto& [kind, count] : tally_.raised)
      fmt::print(stderr, "  {:<12} {:>10}\n", kind, count);
    if (tally_.cases > 0)
      fmt::print(stderr, "{} cases, {} notifications\n", tally_.cases, tally_.notified);
    summarise_regimes();
  }

  void summarise_regimes() const {
    const auto& engine = history_.engine();
    for (std::size_t i = 0; i < engine.machines(); ++i) {
      const auto id = static_cast<MachineId>(i);
      const auto regimes = engine.regimes(id);
      const auto& rule = engine::machine_profile_for(engine.plan(), engine.machine_name(id)).regime;
      if (rule.learned > 0 && regimes.empty()) {
        fmt::print(stderr, "  {}: one normal state, no regimes found\n", engine.machine_name(id));
      } else if (rule.used() && regimes.empty()) {
        fmt::print(stderr, "  {}: its sensor {}, which is to name the regime, has said nothing\n",
                   engine.machine_name(id), rule.sensor);
      }
      for (const auto& regime : regimes) {
        fmt::print(stderr, "  {} in {}: {} readings learned, {:.0f} % known\n",
                   engine.machine_name(id), regime.name, regime.readings, 100 * regime.confidence);
      }
    }
  }

  const Options& options_;
  std::optional<ScoresFile> scores_;
  std::optional<HealthFile> health_;
  Tally tally_;
  History history_;
};

int replay(const Options& options) {
  auto inputs = options.files;
  inputs.push_back(options.config);
  keep_apart(inputs, {{"--scores", options.scores}, {"--health", options.health}});
  auto configuration = config::defaults();
  if (!options.config.empty()) {
    auto loaded = load_configuration(options.config);
    if (!loaded) return exit_config;
    configuration = std::move(*loaded);
  }
  try {
    return Replay{options, configuration}.run();
  } catch (const ingest::CsvError& error) {
    fmt::print(stderr, "millwright: {}\n", error.what());
    return exit_bad_data;
  }
}

std::function<int()> prepare(CLI::App& app) {
  const auto options =
      std::make_shared<Options>();  // shared: the parser and the action outlive this function
  app.add_option("files", options->files,
                 "CSV (long or wide) or .ndjson, played together in the order of time")
      ->required()
      ->type_name("FILE");
  app.add_option("--config", options->config,
                 "Configuration; without it every sensor has the profile auto")
      ->type_name("FILE");
  app.add_option("--scores", options->scores, "Write the score of every reading to this CSV file")
      ->type_name("FILE");
  app.add_option("--health", options->health,
                 "Write the health of the machines to this CSV file, whenever it is told")
      ->type_name("FILE");
  app.add_option("--machine", options->machine, "Machine of a wide CSV; without it the file's name")
      ->type_name("NAME");
  app.add_flag("--quiet", options->quiet, "No summary on standard error");
  return [options] { return replay(*options); };
}

}  // namespace

const Command replay_command{
    "replay", "Run recorded history through the detectors",
    "millwright replay press-7.csv --machine press-7 --scores scores.csv > alerts.ndjson",
    &prepare};

}  // namespace millwright::daemon
