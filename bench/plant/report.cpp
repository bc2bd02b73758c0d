// What a run of a plant says, as text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/plant/plant.h"

namespace millwright::bench {
namespace {

// The value at this share, of what is sorted here.
std::string quantile(std::vector<Duration> values, double share) {
  if (values.empty()) return "-";
  std::sort(values.begin(), values.end());
  const auto at =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)));
  return describe_duration(values[at]);
}

std::string detection(const PlantResult& result) {
  std::string out = fmt::format(
      "faults in a case that people were told of: {} of {}\n"
      "  {:<14} {:>9} {:>10} {:>10} {:>10} {:>10}\n",
      result.found(), result.faults.size(), "kind", "in a case", "median", "90 %", "told med.",
      "told 90 %");
  std::map<std::string, std::vector<const FaultOutcome*>> kinds;
  for (const auto& one : result.faults) {
    kinds[std::string{name_of(one.label.kind)}].push_back(&one);
    kinds["~ all"].push_back(&one);
  }
  for (const auto& [kind, ones] : kinds) {
    std::vector<Duration> to_part, to_told;
    for (const auto* one : ones) {
      if (!one->found()) continue;
      to_part.push_back(*one->part - one->label.start);
      if (one->told) to_told.push_back(*one->told - one->label.start);
    }
    out += fmt::format("  {:<14} {:>3} of {:>2} {:>10} {:>10} {:>10} {:>10}\n",
                       kind.starts_with("~") ? "all" : kind, to_part.size(), ones.size(),
                       quantile(to_part, 0.5), quantile(to_part, 0.9), quantile(to_told, 0.5),
                       quantile(to_told, 0.9));
  }
  const auto joined = std::count_if(result.faults.begin(), result.faults.end(),
                                    [](const auto& f) { return f.case_was_open; });
  const auto held = std::count_if(result.faults.begin(), result.faults.end(),
                                  [](const auto& f) { return f.in_any_case && !f.found(); });
  out += fmt::format("  in a case, but people were not told of it: {}\n", held);
  out += fmt::format("  found in a case that had been told before the fault began: {}\n", joined);
  return out;
}

std::string false_cases(const PlantResult& result) {
  const auto rate = [&](Cause cause) {
    return static_cast<double>(result.cases_of(cause)) / result.machine_months();
  };
  const auto sensor_cases = std::count_if(result.cases.begin(), result.cases.end(),
                                          [](const auto& c) { return c.of == AlertClass::sensor; });
  const auto false_sensor = std::count_if(
      result.cases.begin(), result.cases.end(),
      [](const auto& c) { return c.of == AlertClass::sensor && c.cause == Cause::nothing; });
  const auto early = std::count_if(result.cases.begin(), result.cases.end(), [&](const auto& c) {
    return c.of == AlertClass::machine && c.cause == Cause::nothing && !c.with_others &&
           c.told < result.cases.front().told + std::chrono::hours{24 * 7};
  });
  std::string out = fmt::format(
      "cases of machines that people were told of one by one: {} of a planted fault\n"
      "  false, per machine-month: {:.3f} with nothing planted ({}; {} of them in the week after "
      "the first case),\n"
      "    {:.3f} during or soon after trouble of a sensor or gateway ({}), {:.3f} soon after "
      "maintenance ({})\n"
      "  many machines at once: {} notifications, of {} cases with nothing planted and {} of a "
      "planted fault, which are not in the lines above\n"
      "cases of sensors: {}, {} of them with nothing planted\n",
      result.cases_of(Cause::fault), rate(Cause::nothing), result.cases_of(Cause::nothing), early,
      rate(Cause::sensor_trouble), result.cases_of(Cause::sensor_trouble), rate(Cause::maintenance),
      result.cases_of(Cause::maintenance), result.crowds, result.cases_of(Cause::nothing, true),
      result.cases_of(Cause::fault, true), sensor_cases, false_sensor);
  out += fmt::format("notifications for each gateway that dropped out: {}\n",
                     fmt::join(result.per_gateway, " "));
  return out;
}

std::size_t most_within(std::vector<Timestamp> times, Duration window) {
  std::sort(times.begin(), times.end());
  std::size_t most = 0, from = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    while (times[i] - times[from] >= window) ++from;
    most = std::max(most, i - from + 1);
  }
  return most;
}

std::string load(const PlantResult& result) {
  using std::chrono::hours;
  using std::chrono::minutes;
  const double ten = to_seconds(result.options.duration) / 600;
  const auto& f = result.figures;
  const auto critical =
      std::count(result.notified_as.begin(), result.notified_as.end(), Severity::critical);
  const auto budget = result.options.budget == 0 ? std::string{"none"}
                                                 : fmt::format("{}/hour", result.options.budget);
  return fmt::format(
      "notifications: {}, {} of them critical; most in any hour {} (without critical ones {}), "
      "budget {}\n"
      "  per ten minutes: mean {:.4f}, most {}\n"
      "  held back and over before people were told: {}; most waiting at any full hour: {}\n"
      "without cases and budget: {} alerts raised, most in any hour {}, per ten minutes: mean "
      "{:.3f}, most {}\n"
      "alerts raised, by severity: notice {}, warning {}, critical {}\n"
      "at any full hour at most {} chattering, {} stale (open for more than a day); alerts raised "
      "as chattering: {}; open at the end: {}\n",
      result.notified.size(), critical, result.most_notified(hours{1}),
      result.most_notified(hours{1}, false), budget,
      static_cast<double>(result.notified.size()) / ten, result.most_notified(minutes{10}),
      f.held_back, result.most_waiting, result.raised.size(), most_within(result.raised, hours{1}),
      static_cast<double>(result.raised.size()) / ten, most_within(result.raised, minutes{10}),
      f.by_severity[0], f.by_severity[1], f.by_severity[2], result.most_chattering,
      result.most_stale, result.chattering, f.open);
}

std::string listing(const PlantResult& result) {
  std::string out = "\nfaults\n";
  for (const auto& one : result.faults) {
    out += fmt::format("  {} {} {} {}..{}: {}\n", one.label.machine, name_of(one.label.kind),
                       one.label.meaning, format_time(one.label.start).substr(5, 11),
                       format_time(one.label.end).substr(5, 11),
                       !one.found() ? (one.in_any_case ? "in a case, not told" : "not found")
                       : one.told   ? fmt::format("part after {}, told after {}",
                                                  describe_duration(*one.part - one.label.start),
                                                  describe_duration(*one.told - one.label.start))
                                    : fmt::format("part after {}, told before",
                                                  describe_duration(*one.part - one.label.start)));
  }
  out += "cases\n";
  for (const auto& one : result.cases) {
    out += fmt::format("  {} {:<15} {:<7} {:<8} {:<8} {}\n", format_time(one.told).substr(5, 11),
                       name_of(one.cause), name_of(one.of), name_of(one.severity),
                       name_of(one.kind), one.message);
  }
  return out;
}

}  // namespace

std::string as_text(const PlantResult& result, bool list) {
  const auto& o = result.options;
  auto out = fmt::format(
      "{} machines, {} sensors each and their program, a message every {}, {}; seed {}: {} "
      "readings\n\n",
      o.machines, o.sensors, describe_duration(o.period), describe_duration(o.duration), o.seed,
      result.readings);
  out += detection(result) + false_cases(result) + load(result);
  if (list) out += listing(result);
  return out;
}

}  // namespace millwright::bench
