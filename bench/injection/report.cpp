#include "bench/injection/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "bench/injection/bound.h"

namespace millwright::bench {
namespace {

constexpr double month_seconds = 86400 * 365.25 / 12;
constexpr double quiet = 0.3;  // alerts per sensor and month that the product aims at

// One fault on one row, or on all rows.
struct Tally {
  std::size_t tried = 0, found = 0, by_chance = 0;
  std::vector<double> delays;  // seconds, of what was found
  std::map<std::string_view, std::size_t> kinds;

  double recall() const { return share(found); }
  double chance() const { return share(by_chance); }
  double share(std::size_t part) const {
    return static_cast<double>(part) / static_cast<double>(std::max<std::size_t>(1, tried));
  }
  std::optional<double> median_delay() const {
    if (delays.empty()) return std::nullopt;
    auto sorted = delays;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
  }
};

struct FalseAlerts {
  std::size_t readings = 0, alerts = 0, test_readings = 0, test_alerts = 0;
  double seconds = 0, test_seconds = 0;
  std::map<std::string_view, std::size_t> kinds;

  double a_month() const { return seconds > 0 ? month_seconds * count(alerts) / seconds : 0; }
  double test_a_month() const {
    return test_seconds > 0 ? month_seconds * count(test_alerts) / test_seconds : 0;
  }
  double a_thousand() const { return readings > 0 ? 1000 * count(alerts) / count(readings) : 0; }
  static double count(std::size_t n) { return static_cast<double>(n); }
};

void add(Tally& tally, const Row& row, Fault fault) {
  for (const auto& outcomes : row.outcomes) {
    for (const auto& trial : outcomes.trials) {
      if (trial.fault != fault) continue;
      ++tally.tried;
      tally.by_chance += trial.by_chance;
      if (!trial.found) continue;
      ++tally.found;
      tally.delays.push_back(to_seconds(trial.delay));
      for (const auto kind : trial.kinds) ++tally.kinds[name_of(kind)];
    }
  }
}

void add(FalseAlerts& sum, const Row& row) {
  for (const auto& outcomes : row.outcomes) {
    sum.readings += outcomes.readings;
    sum.seconds += to_seconds(outcomes.watched);
    sum.alerts += outcomes.false_alerts.size();
    sum.test_readings += outcomes.test_readings;
    sum.test_alerts += outcomes.test_false_alerts;
    if (outcomes.readings > 0)
      sum.test_seconds += to_seconds(outcomes.watched) *
                          static_cast<double>(outcomes.test_readings) /
                          static_cast<double>(outcomes.readings);
    for (const auto kind : outcomes.false_alerts) ++sum.kinds[name_of(kind)];
  }
}

Tally tally_of(const Row& row, Fault fault) {
  Tally tally;
  add(tally, row, fault);
  return tally;
}

Tally tally_of(const Table& table, Fault fault) {
  Tally tally;
  for (const auto& row : table.rows) add(tally, row, fault);
  return tally;
}

FalseAlerts false_alerts_of(const Row& row) {
  FalseAlerts sum;
  add(sum, row);
  return sum;
}

FalseAlerts false_alerts_of(const Table& table) {
  FalseAlerts sum;
  for (const auto& row : table.rows) add(sum, row);
  return sum;
}

double mean_sigma(const Row& row) {
  double sum = 0;
  for (const auto& outcomes : row.outcomes) sum += outcomes.sigma;
  return sum / static_cast<double>(std::max<std::size_t>(1, row.outcomes.size()));
}

// The upper tail of the standard normal distribution, and its inverse by bisection.
double beyond(double z) { return std::erfc(z / std::numbers::sqrt2) / 2; }
double normal_quantile(double tail) {
  double low = 0, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (beyond(middle) > tail ? low : high) = middle;
  }
  return low;
}

// What the best test that knows the background finds: the mean over the seeds' local noise.
std::optional<double> bound_of(const Run& run, const Table& table, const Row& row, Fault fault) {
  if (!row.family) return std::nullopt;
  double sum = 0;
  for (const auto& outcomes : row.outcomes) {
    const auto one = bound(table.rate, *row.family, fault, run.size * outcomes.sigma);
    if (!one) return std::nullopt;
    sum += *one;
  }
  return sum / static_cast<double>(std::max<std::size_t>(1, row.outcomes.size()));
}

std::string in_short(std::optional<double> seconds) {
  if (!seconds) return "-";
  const auto with = [](double value, std::string_view unit) {
    return value < 9.95 ? fmt::format("{:.1f}{}", value, unit)
                        : fmt::format("{:.0f}{}", value, unit);
  };
  if (*seconds == 0) return "0";
  if (*seconds < 100) return with(*seconds, "s");
  if (*seconds < 6000) return with(*seconds / 60, "min");
  if (*seconds < 48 * 3600) return with(*seconds / 3600, "h");
  return with(*seconds / 86400, "d");
}

std::string percent(const Tally& tally) {
  return tally.tried == 0 ? "-" : fmt::format("{:.0f}", 100 * tally.recall());
}

std::string list_of(const std::map<std::string_view, std::size_t>& kinds) {
  std::string out;
  for (const auto& [kind, count] : kinds)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", kind, count);
  return out.empty() ? "none" : out;
}

// A line of the table: its name, a cell per fault, and what comes after.
std::string line_of(std::string_view name, const Run& run, auto&& cell, std::string_view rest) {
  std::string out = fmt::format("  {:<26.26}", name);
  for (const auto fault : run.faults) {
    const auto width = std::max<std::size_t>(8, name_of(fault).size() + 1);
    out += fmt::format("{:>{}}", std::string{cell(fault)}, width);
  }
  return out.append(rest).append("\n");
}

// A row's name with its noise.
std::string title_of(const Row& row) {
  return fmt::format("{:<18.18}{:>8.3g}", row.name, mean_sigma(row));
}

std::string false_alert_cells(const FalseAlerts& sum) {
  return fmt::format("  |{:>9.2f}{:>9.2f}{:>9.3f}  {}", sum.a_month(), sum.test_a_month(),
                     sum.a_thousand(), list_of(sum.kinds));
}

std::string table_text(const Run& run, const Table& table) {
  std::string out =
      fmt::format("\nSampling interval {}: {} rows, {:.1f} sensor-days healthy\n", table.rate.name,
                  table.rows.size(), false_alerts_of(table).seconds / 86400);
  out += line_of(
      "recall, %            sigma", run, [](Fault fault) { return name_of(fault); },
      "  |  a month     test   a 1000  false alerts by kind");
  for (const auto& row : table.rows) {
    out += line_of(
        title_of(row), run, [&](Fault fault) { return percent(tally_of(row, fault)); },
        false_alert_cells(false_alerts_of(row)));
  }
  out += line_of(
      "all", run, [&](Fault fault) { return percent(tally_of(table, fault)); },
      false_alert_cells(false_alerts_of(table)));
  out += line_of(
      "by chance", run,
      [&](Fault fault) { return fmt::format("{:.0f}", 100 * tally_of(table, fault).chance()); },
      "  |");
  const auto best = [&](const Row& row, Fault fault) {
    const auto share = bound_of(run, table, row, fault);
    return share ? fmt::format("{:.0f}", 100 * *share) : std::string{"-"};
  };
  out += "  best test that knows the background, 1 false alert a sensor-month\n";
  for (const auto& row : table.rows)
    out += line_of(
        row.name, run, [&](Fault fault) { return best(row, fault); }, "");
  out += "  median delay\n";
  for (const auto& row : table.rows) {
    out += line_of(
        row.name, run, [&](Fault fault) { return in_short(tally_of(row, fault).median_delay()); },
        "");
  }
  out += line_of(
      "all", run, [&](Fault fault) { return in_short(tally_of(table, fault).median_delay()); }, "");
  out += "  kinds raised\n";
  for (const auto fault : run.faults) {
    const auto tally = tally_of(table, fault);
    out += fmt::format("  {:<14}{} of {} found: {}\n", name_of(fault), tally.found, tally.tried,
                       list_of(tally.kinds));
  }
  if (std::find(run.faults.begin(), run.faults.end(), Fault::spike) != run.faults.end()) {
    out += fmt::format(
        "  best one-reading test on white noise at {} false alerts a sensor-month: spike recall "
        "{:.1f} %\n",
        quiet, 100 * best_recall(run.size, table.rate.interval, quiet));
  }
  return out;
}

nlohmann::json to_json(const Tally& tally) {
  nlohmann::json out{{"tried", tally.tried},
                     {"found", tally.found},
                     {"recall", tally.recall()},
                     {"by_chance", tally.chance()}};
  const auto delay = tally.median_delay();
  out["median_delay_s"] = delay ? nlohmann::json(*delay) : nlohmann::json(nullptr);
  out["kinds"] = nlohmann::json::object();
  for (const auto& [kind, count] : tally.kinds) out["kinds"][std::string{kind}] = count;
  return out;
}

nlohmann::json to_json(const FalseAlerts& sum) {
  nlohmann::json out{{"alerts", sum.alerts},
                     {"readings", sum.readings},
                     {"sensor_days", sum.seconds / 86400},
                     {"a_sensor_month", sum.a_month()},
                     {"a_sensor_month_in_test", sum.test_a_month()},
                     {"a_thousand_readings", sum.a_thousand()}};
  out["kinds"] = nlohmann::json::object();
  for (const auto& [kind, count] : sum.kinds) out["kinds"][std::string{kind}] = count;
  return out;
}

// Of a row or of a table.
nlohmann::json to_json(const Run& run, const auto& of) {
  nlohmann::json out{{"false_alerts", to_json(false_alerts_of(of))}};
  for (const auto fault : run.faults)
    out["faults"][std::string{name_of(fault)}] = to_json(tally_of(of, fault));
  return out;
}

}  // namespace

double best_recall(double size, Duration interval, double alerts_a_month) {
  const double readings = month_seconds / to_seconds(interval);
  const double limit = normal_quantile(alerts_a_month / readings / 2);
  return beyond(limit - size) + beyond(limit + size);
}

std::string as_text(const Run& run) {
  auto out = fmt::format("{}\ndetectors: {}; {} sigma\n", run.command, run.detectors, run.size);
  for (const auto& table : run.tables) {
    if (!table.rows.empty()) out += table_text(run, table);
  }
  return out;
}

std::string as_json(const Run& run) {
  nlohmann::json out{{"command", run.command}, {"detectors", run.detectors}, {"sigma", run.size}};
  out["intervals"] = nlohmann::json::array();
  for (const auto& table : run.tables) {
    if (table.rows.empty()) continue;
    auto entry = to_json(run, table);
    entry["interval_s"] = to_seconds(table.rate.interval);
    entry["best_spike_recall"] = best_recall(run.size, table.rate.interval, quiet);
    for (const auto& row : table.rows) {
      auto of_row = to_json(run, row);
      of_row["name"] = row.name;
      of_row["local_sigma"] = mean_sigma(row);
      for (const auto fault : run.faults) {
        const auto share = bound_of(run, table, row, fault);
        if (share) of_row["best_test"][std::string{name_of(fault)}] = *share;
      }
      entry["rows"].push_back(std::move(of_row));
    }
    out["intervals"].push_back(std::move(entry));
  }
  return out.dump(1) + "\n";
}

}  // namespace millwright::bench
