// A plant of 200 machines for 30 days, faster than real time: what its crew would have been told.
// bench/README.md says what is planted and how it is judged.
//
//   bench_plant [--machines 200] [--days 30] [--seed 1] [--budget 6/hour] [--list]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include "bench/plant/plant.h"

namespace {

using namespace millwright;

std::uint32_t per_hour(const std::string& text) {
  char* end = nullptr;
  const auto most = std::strtoul(text.c_str(), &end, 10);
  const std::string rest = end;
  if (end == text.c_str() || most > 100000 || (!rest.empty() && rest != "/hour"))
    throw std::invalid_argument{"--budget is a number with /hour, as 6/hour; 0: none"};
  return static_cast<std::uint32_t>(most);
}

}  // namespace

int main(int argc, char** argv) {
  bench::PlantOptions options;
  double days = 30, period = 60, tick = 30;
  std::string budget = "6/hour";
  bool list = false;
  CLI::App app{"A simulated plant, and what its crew would have been told"};
  app.add_option("--machines", options.machines, "Machines");
  app.add_option("--sensors", options.sensors, "Sensors a machine, 1 to 12");
  app.add_option("--days", days, "Days of event time")->check(CLI::Range(0.5, 3650.0));
  app.add_option("--interval", period, "Seconds between two messages of a machine")
      ->check(CLI::Range(1.0, 3600.0));
  app.add_option("--tick", tick, "Seconds between two ticks")->check(CLI::Range(1.0, 600.0));
  app.add_option("--seed", options.seed, "Of plant and story");
  app.add_option("--budget", budget, "Notifications: N/hour; 0: as many as there are");
  app.add_option("--faults", options.faults, "Machines at fault");
  app.add_option("--sensor-deaths", options.sensor_deaths, "Sensors that die or stick");
  app.add_option("--loose", options.loose, "Sensors that come and go, or have a loose contact");
  app.add_option("--gateways", options.gateways, "Drop-outs of a gateway");
  app.add_option("--maintenance", options.windows, "Maintenance windows");
  app.add_flag("--list", list, "Each fault and each case that people were told of");
  CLI11_PARSE(app, argc, argv);
  try {
    options.budget = per_hour(budget);
    options.duration = from_seconds(days * 86400);
    options.period = from_seconds(period);
    options.tick = from_seconds(tick);
    const auto begin = std::chrono::steady_clock::now();
    const auto result = bench::run_plant(options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print("{}", bench::as_text(result, list));
    fmt::print("run time: {:.1f} s, {:.0f} readings/s, {:.0f} times real time\n", took.count(),
               static_cast<double>(result.readings) / took.count(), days * 86400 / took.count());
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_plant: {}\n", e.what());
    return 1;
  }
  return 0;
}
