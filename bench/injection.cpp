// How much of what is injected the engine finds, after how long, and how often it alarms on
// readings that are healthy: synthetic backgrounds with seeds, or recorded series. bench/README.md
// says how each is made.
//
//   bench_injection [--quick] [--detectors auto] [--json FILE]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/injection/backgrounds.h"
#include "bench/injection/faults.h"
#include "bench/injection/report.h"
#include "bench/injection/trial.h"
#include "detectors/all.h"
#include "engine/plan.h"

namespace millwright::bench {
namespace {

struct Options {
  bool quick = false;
  std::vector<std::string> detectors{"auto"};
  std::string sensitivity = "normal", sigma = "neighbours", json;
  std::vector<std::string> families, intervals, faults, series;
  std::uint64_t seed = 1, seeds = 0;
  double size = 6, learn = 1, healthy_days = 0;
  unsigned jobs = 2;
};

// One detector, or all of a profile that has a name.
std::vector<engine::DetectorChoice> detectors_named(const std::string& name) {
  if (auto set = engine::detector_set(name)) return *set;
  if (detectors::find_type(name) < detectors::types().size()) return {{name, {}}};
  std::string known = "auto";
  for (const auto& type : detectors::types()) known.append(", ").append(type.name);
  throw std::runtime_error(fmt::format("no detectors '{}': there are {}", name, known));
}

// The configuration's words for how far a score may go, or a factor.
double limit_of(const std::string& sensitivity) {
  if (sensitivity == "low") return 1.5;
  if (sensitivity == "normal") return 1;
  if (sensitivity == "high") return 0.7;
  char* end = nullptr;
  const double factor = std::strtod(sensitivity.c_str(), &end);
  if (*end != '\0' || !(factor > 0))
    throw std::runtime_error("--sensitivity is low, normal, high or a factor");
  return factor;
}

std::shared_ptr<const engine::Plan> plan_of(const Options& options) {
  engine::Plan plan;
  engine::Profile profile;
  for (const auto& name : options.detectors) {
    const auto named = detectors_named(name);
    profile.detectors.insert(profile.detectors.end(), named.begin(), named.end());
  }
  profile.alarm.limit = limit_of(options.sensitivity);
  plan.profiles.push_back(profile);
  return std::make_shared<const engine::Plan>(std::move(plan));
}

bool is_wanted(const std::vector<std::string>& wanted, std::string_view name) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
}

// Every name that was asked for is one of `known`.
void check_names(const std::vector<std::string>& wanted, const std::vector<std::string>& known,
                 std::string_view option) {
  for (const auto& name : wanted) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw std::runtime_error(
          fmt::format("{}: no '{}' among {}", option, name, fmt::join(known, ", ")));
  }
}

std::vector<Fault> faults_wanted(const Options& options) {
  std::vector<Fault> out;
  std::vector<std::string> known;
  for (std::size_t f = 0; f < fault_count; ++f) {
    const auto fault = static_cast<Fault>(f);
    known.emplace_back(name_of(fault));
    if (is_wanted(options.faults, name_of(fault))) out.push_back(fault);
  }
  check_names(options.faults, known, "--type");
  return out;
}

// One background to be made and run, and where its outcomes go.
struct Task {
  std::size_t table = 0, row = 0, outcome = 0;
  std::uint64_t seed = 1;
  std::optional<std::size_t> family;   // synthetic
  const Background* series = nullptr;  // recorded
};

Rate scaled(Rate rate, const Options& options) {
  rate.learn = std::max<std::size_t>(
      10, static_cast<std::size_t>(static_cast<double>(rate.learn) * options.learn));
  if (!options.quick) rate.healthy *= 3;
  if (options.healthy_days > 0)
    rate.healthy =
        static_cast<std::size_t>(options.healthy_days * 86400 / to_seconds(rate.interval));
  rate.healthy = std::max(rate.healthy, test_length(rate));
  return rate;
}

void add_synthetic(const Options& options, std::uint64_t seeds, Run& run,
                   std::vector<Task>& tasks) {
  for (std::size_t t = 0; t < run.tables.size(); ++t) {
    if (!is_wanted(options.intervals, rates()[t].name)) continue;
    auto& rows = run.tables[t].rows;
    for (std::size_t family = 0; family < families().size(); ++family) {
      if (!is_wanted(options.families, families()[family])) continue;
      for (std::uint64_t n = 0; n < seeds; ++n)
        tasks.push_back({t, rows.size(), n, options.seed + n, family, nullptr});
      rows.push_back({std::string{families()[family]}, std::vector<Outcomes>(seeds), family});
    }
  }
}

void add_recorded(const Options& options, const std::vector<Background>& series, Run& run,
                  std::vector<Task>& tasks) {
  for (const auto& one : series) {
    const auto t = nearest_rate(one.rate.interval);
    if (!is_wanted(options.intervals, rates()[t].name)) continue;
    auto& rows = run.tables[t].rows;
    tasks.push_back({t, rows.size(), 0, options.seed, std::nullopt, &one});
    rows.push_back({one.name, std::vector<Outcomes>(1), std::nullopt});
  }
}

std::vector<Background> read_series(const Options& options) {
  std::vector<Background> out;
  for (const auto& place : options.series) {
    for (auto& one : recorded(place)) out.push_back(std::move(one));
  }
  return out;
}

Outcomes do_task(const Task& task, const Options& options, const Run& run, std::uint64_t seeds,
                 const std::shared_ptr<const engine::Plan>& plan) {
  Design design{run.faults, options.size,
                options.sigma == "five" ? Around::five : Around::neighbours};
  if (!task.series) {
    const auto& rate = run.tables[task.table].rate;
    const auto background = synthetic(rate, *task.family, task.seed, rate.learn + rate.healthy);
    return bench::run(background, plan, design, task.seed);
  }
  // A recorded series is one background, so more is tried on it.
  design.short_faults *= seeds;
  design.lasting_faults *= seeds;
  return bench::run(*task.series, plan, design, task.seed);
}

// Every task has a place of its own for its outcomes, so their order does not matter.
void do_all(const std::vector<Task>& tasks, unsigned jobs, auto&& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(std::max(1u, jobs));
  const auto worker = [&](std::exception_ptr& failure) {
    try {
      for (auto i = next++; i < tasks.size(); i = next++) work(tasks[i]);
    } catch (...) {
      failure = std::current_exception();
    }
  };
  std::vector<std::jthread> threads;
  for (auto& failure : failures) threads.emplace_back(worker, std::ref(failure));
  threads.clear();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

void measure(const Options& options, const std::string& command) {
  Run run;
  run.command = fmt::format("{}\nseed {}", command, options.seed);
  run.detectors = fmt::format("{} ({})", fmt::join(options.detectors, ","), options.sensitivity);
  run.size = options.size;
  run.faults = faults_wanted(options);
  std::vector<std::string> intervals;
  for (const auto& rate : rates()) {
    run.tables.push_back({scaled(rate, options), {}});
    intervals.emplace_back(rate.name);
  }
  check_names(options.intervals, intervals, "--interval");
  check_names(options.families, {families().begin(), families().end()}, "--family");

  const auto plan = plan_of(options);
  const std::uint64_t seeds = options.seeds > 0 ? options.seeds : options.quick ? 6 : 20;
  const auto series = read_series(options);
  std::vector<Task> tasks;
  if (series.empty() || !options.families.empty()) add_synthetic(options, seeds, run, tasks);
  add_recorded(options, series, run, tasks);
  do_all(tasks, options.jobs, [&](const Task& task) {
    run.tables[task.table].rows[task.row].outcomes[task.outcome] =
        do_task(task, options, run, seeds, plan);
  });

  fmt::print("{}", as_text(run));
  if (options.json.empty()) return;
  std::ofstream out{options.json};
  out << as_json(run);
  if (!out.flush()) throw std::runtime_error("cannot write " + options.json);
}

void describe(CLI::App& app, Options& options) {
  app.add_flag("--quick", options.quick, "6 seeds instead of 20, a third of the healthy time");
  app.add_option("--detectors", options.detectors, "auto, or names of detectors with commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--sensitivity", options.sensitivity,
                 "low, normal, high, or a factor of the limit")
      ->capture_default_str();
  app.add_option("--family", options.families, "Only these backgrounds")->delimiter(',');
  app.add_option("--interval", options.intervals,
                 "Only these: \"5 min\", \"1 min\", \"1 s\", \"0.1 s\"")
      ->delimiter(',');
  app.add_option("--type", options.faults, "Only these faults")->delimiter(',');
  app.add_option("--series", options.series,
                 "FILE.csv[:COLUMN] with a healthy recorded series; then no synthetic ones, unless "
                 "--family names them");
  app.add_option("--seed", options.seed, "First seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "Number of seeds");
  app.add_option("--size", options.size, "Size of the faults in local noise")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--sigma", options.sigma,
                 "Local noise against the median of four neighbours, or of all five readings")
      ->check(CLI::IsMember({"neighbours", "five"}))
      ->capture_default_str();
  app.add_option("--learn", options.learn,
                 "Factor of the time before the first fault, on synthetic backgrounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--healthy", options.healthy_days,
                 "Days without faults on which false alerts are counted, at every interval");
  app.add_option("--jobs", options.jobs, "Threads")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--json", options.json, "Write the figures into this file too");
}

}  // namespace
}  // namespace millwright::bench

int main(int argc, char** argv) {
  using namespace millwright::bench;
  Options options;
  CLI::App app{"Injects faults into healthy readings and tells what the engine finds"};
  describe(app, options);
  CLI11_PARSE(app, argc, argv);
  std::string command = "bench_injection";
  for (int i = 1; i < argc; ++i) command.append(" ").append(argv[i]);
  try {
    measure(options, command);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_injection: {}\n", error.what());
    return 1;
  }
  return 0;
}
