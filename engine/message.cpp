#include "engine/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "detectors/clock.h"

namespace millwright::engine {
namespace {

// The noise is gone rather than grown, as far as the detector says.
bool is_quieter(const Alert& alert) {
  constexpr std::array<std::string_view, 6> of_scatter{"smoother", "quieter", "rougher",
                                                       "wider",    "scatter", "fluctuation"};
  const auto loudest = std::find_first_of(
      alert.features.begin(), alert.features.end(), of_scatter.begin(), of_scatter.end(),
      [](const auto& feature, std::string_view name) { return feature.name == name; });
  return loudest != alert.features.end() &&
         (loudest->name == of_scatter[0] || loudest->name == of_scatter[1]);
}

std::string with_unit(double value, const std::string& unit) {
  return unit.empty() ? format_value(value) : format_value(value) + " " + unit;
}

// `04:33 UTC`, with the date when the day is another one.
std::string clock_time(Timestamp time, Timestamp now) {
  const auto text = format_time(time);  // 2024-11-22T04:33:20.123Z
  const bool same_day =
      std::chrono::floor<std::chrono::days>(time) == std::chrono::floor<std::chrono::days>(now);
  return same_day ? text.substr(11, 5) + " UTC"
                  : text.substr(0, 10) + " " + text.substr(11, 5) + " UTC";
}

std::string direction(const Alert& alert) {
  return alert.value >= alert.expected ? "above" : "below";
}

std::string band(const Alert& alert) {
  return fmt::format("{} to {}", format_value(alert.low), with_unit(alert.high, alert.unit));
}

// `since 04:33 UTC (2 h)`; without the length while there is none.
std::string since_when(const Alert& alert) {
  auto start = "since " + clock_time(alert.onset, alert.time);
  if (alert.time <= alert.onset) return start;
  return fmt::format("{} ({})", start, describe_duration(alert.time - alert.onset));
}

// `, where 58.1 to 66 degC is usual`; nothing when the band is open.
std::string usual_band(const Alert& alert) {
  if (!std::isfinite(alert.low) || !std::isfinite(alert.high)) return "";
  return fmt::format(", where {} is usual", band(alert));
}

// `; going on like this, it reaches 90 degC on 2024-12-03`
std::string outlook(const Alert& alert) {
  if (!alert.forecast) return "";
  const auto day = format_time(alert.forecast->reaches).substr(0, 10);
  const auto now = format_time(alert.time).substr(0, 10);
  const auto when =
      day == now ? "at " + clock_time(alert.forecast->reaches, alert.time) : "on " + day;
  if (alert.kind == AlertKind::machine)
    return fmt::format("; going on like this, its health is gone {}", when);
  return fmt::format("; going on like this, it reaches {} {}",
                     with_unit(alert.forecast->limit, alert.unit), when);
}

// `most of it in j3_current (61 %), j3_torque (20 %)`
std::string who_stands_out(const Alert& alert) {
  if (alert.contributors.empty()) return "many sensors a little";
  std::string out = "most of it in ";
  for (std::size_t i = 0; i < std::min<std::size_t>(alert.contributors.size(), 3); ++i) {
    const auto& [sensor, share] = alert.contributors[i];
    if (i > 0) out += ", ";
    out += fmt::format("{} ({:.0f} %)", sensor, 100 * share);
  }
  return out;
}

// ` since 04:33 UTC (2 h)`; nothing when it has only begun.
std::string so_far(const Alert& alert) {
  return alert.time > alert.onset ? " " + since_when(alert) : "";
}

// `2 h ahead of this gateway's clock, and are not taken in`
std::string how_wrong(const Alert& alert) {
  double error = 0, lag_limit = 0;
  for (const auto& [name, value] : alert.numbers) {
    if (name == detectors::Clock::error_number) error = value;
    if (name == detectors::Clock::lag_number) lag_limit = value;
  }
  const auto far = describe_duration(from_seconds(std::abs(error)));
  if (error > 0) return far + " ahead of this gateway's clock, and are not taken in";
  if (error < -lag_limit) return far + " behind this gateway's clock";
  const auto behind = error <= -1 ? far + " behind this gateway's clock and " : std::string{};
  return behind + "older than the newest one, and are not taken in";
}

std::string what_is_wrong(const Alert& alert, std::string_view label) {
  const auto value = with_unit(alert.value, alert.unit);
  const auto off = with_unit(std::abs(alert.value - alert.expected), alert.unit);
  const auto since = clock_time(alert.onset, alert.time);
  const auto lasting = describe_duration(alert.time - alert.onset);
  switch (alert.kind) {
    case AlertKind::limit:
      return alert.value >= alert.high
                 ? fmt::format("{} is {}, at or above its limit of {}{}", label, value,
                               with_unit(alert.high, alert.unit), so_far(alert))
             : alert.value <= alert.low
                 ? fmt::format("{} is {}, at or below its limit of {}{}", label, value,
                               with_unit(alert.low, alert.unit), so_far(alert))
                 : fmt::format("{} is {}, still close to its limit{}", label, value, so_far(alert));
    case AlertKind::spike:
      return fmt::format("{} jumped to {}, {} {} what the minutes before lead to expect ({})",
                         label, value, off, direction(alert), band(alert));
    case AlertKind::rate:
      return fmt::format("{} changes faster than it normally does: {} where {} would be usual{}",
                         label, value, band(alert), so_far(alert));
    case AlertKind::gap:
      return fmt::format("{} has sent nothing since {} ({})", label, since, lasting);
    case AlertKind::stuck:
      return fmt::format("{} shows exactly {} since {} ({}), although it normally varies", label,
                         value, since, lasting);
    case AlertKind::clock:
      return fmt::format("{} has the wrong time {}: its readings say they are {}", label,
                         since_when(alert), how_wrong(alert));
    case AlertKind::saturated:
      return fmt::format("{} stays at the end of its range, {}, {}: the true value may lie beyond",
                         label, value, since_when(alert));
    case AlertKind::drift:
      return fmt::format("{} has drifted {} {} its reference ({} instead of {}) {}", label, off,
                         direction(alert), value, with_unit(alert.expected, alert.unit),
                         since_when(alert));
    case AlertKind::trend:
      return fmt::format("{} keeps {} {}: it is {} {} normal ({} instead of {})", label,
                         alert.value >= alert.expected ? "rising" : "falling", since_when(alert),
                         off, direction(alert), value, with_unit(alert.expected, alert.unit));
    case AlertKind::spread:
      return fmt::format("{} scatters {} than usual {}: {} now{}", label,
                         is_quieter(alert) ? "less" : "more", since_when(alert), value,
                         usual_band(alert));
    case AlertKind::pattern:
      return fmt::format("{} moves in a way not seen before {}: {} now{}", label, since_when(alert),
                         value, usual_band(alert));
    case AlertKind::seasonal:
      return fmt::format(
          "{} is {} {} what is usual at this time of its cycle ({} instead of {}) {}", label, off,
          direction(alert), value, with_unit(alert.expected, alert.unit), since_when(alert));
    case AlertKind::machine:
      return fmt::format("{} as a whole is not as usual {}: {}", label, since_when(alert),
                         who_stands_out(alert));
    case AlertKind::model:
      return fmt::format("{} does not follow its usual dynamics {}: {} where {} was expected",
                         label, since_when(alert), value, with_unit(alert.expected, alert.unit));
    default:
      return fmt::format("{} is {} {} normal ({} instead of {}) since {}", label, off,
                         direction(alert), value, with_unit(alert.expected, alert.unit), since);
  }
}

std::string listed(std::span<const std::string> names) {
  constexpr std::size_t most_named = 8;
  const auto named = names.first(std::min(names.size(), most_named));
  auto text = fmt::format("{}", fmt::join(named, ", "));
  if (names.size() > named.size()) text += fmt::format(" and {} more", names.size() - named.size());
  return text;
}

}  // namespace

std::string format_value(double value) {
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e7)) return fmt::format("{:.3e}", value);
  if (size >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string alert_message(const Alert& alert, std::string_view label) {
  if (alert.event == AlertEvent::cleared) {
    const auto lasted = describe_duration(alert.time - alert.onset);
    const std::string_view again = alert.kind == AlertKind::gap     ? "reports again"
                                   : alert.kind == AlertKind::clock ? "has the right time again"
                                   : alert.kind == AlertKind::machine
                                       ? "as a whole is as usual again"
                                       : "";
    if (!again.empty()) return fmt::format("{} {}, after {}", label, again, lasted);
    return fmt::format("{} is back to normal at {}, after {}", label,
                       with_unit(alert.value, alert.unit), lasted);
  }
  // What a person has set as a limit holds whatever the machine does, and so does a dead sensor.
  const bool goes_by_regime = !alert.regime.empty() && alert.kind != AlertKind::limit &&
                              alert.alert_class() == AlertClass::machine;
  const auto meanwhile = goes_by_regime ? fmt::format(" (in {})", alert.regime) : std::string{};
  return what_is_wrong(alert, label) + meanwhile + outlook(alert);
}

std::string fleet_message(const Alert& alert, std::string_view label, std::size_t sisters) {
  const auto who = fmt::format("{}: {}", alert.machine, label);
  if (alert.event == AlertEvent::closed)
    return fmt::format("{}: closed, how it differs from its sisters is learned anew", who);
  if (alert.event == AlertEvent::cleared) {
    return fmt::format("{} runs with its {} sisters again, after {}", who, sisters,
                       describe_duration(alert.time - alert.onset));
  }
  const auto off = with_unit(std::abs(alert.value - alert.expected), alert.unit);
  return fmt::format("{} runs {} {} the nearest of its {} sisters {}", who, off, direction(alert),
                     sisters, since_when(alert));
}

std::string case_message(const Alert& alert, std::string_view machine, const Alert& worst) {
  auto text = fmt::format("{}: {}", machine, worst.message);
  constexpr std::size_t most_named = 4;
  std::size_t others = 0;
  for (const auto& part : alert.parts) {
    if (part.id == worst.id || part.state == AlertState::cleared) continue;
    if (++others > most_named) continue;
    text +=
        fmt::format("{}{} ({})", others == 1 ? "; also " : ", ", part.sensor, name_of(part.kind));
  }
  if (others > most_named) text += fmt::format(" and {} more", others - most_named);
  return text;
}

std::string case_over_message(const Alert& alert, std::string_view machine, Timestamp now) {
  const auto prefix = fmt::format("{}: ", machine);
  std::string_view was = alert.message;
  if (was.starts_with(prefix)) was.remove_prefix(prefix.size());
  return fmt::format("{}over after {}; it was: {}", prefix, describe_duration(now - alert.onset),
                     was);
}

std::string outage_message(AlertKind kind, std::span<const std::string> machines, Timestamp onset,
                           Timestamp now) {
  if (kind == AlertKind::clock) {
    return fmt::format(
        "Plant: {} machines have the wrong time, {} ({}): {}; look for what they share: this "
        "gateway's own clock, a time server, a time zone",
        machines.size(), clock_time(onset, now), describe_duration(now - onset), listed(machines));
  }
  return fmt::format(
      "Plant: {} machines fell silent at about the same time, {} ({}): {}; look for what they "
      "share: a gateway, the network, the power",
      machines.size(), clock_time(onset, now), describe_duration(now - onset), listed(machines));
}

std::string crowd_message(std::span<const std::string> machines, Timestamp onset, Timestamp now,
                          std::string_view worst) {
  return fmt::format(
      "Plant: {} machines are not as usual at about the same time, {}: {}; look for what they "
      "share: a shift, the weather, power, air, material; the worst of them is {}",
      machines.size(), clock_time(onset, now), listed(machines), worst);
}

std::string service_message(const ServiceOutcome& outcome, std::string_view machine) {
  constexpr std::size_t most_named = 4;
  const auto verdict = outcome.helped == Helped::yes       ? "helped"
                       : outcome.helped == Helped::in_part ? "helped in part"
                       : outcome.helped == Helped::no      ? "did not help"
                                                           : "cannot be judged";
  std::string text;
  for (std::size_t i = 0; i < std::min(outcome.sensors.size(), most_named); ++i) {
    const auto& one = outcome.sensors[i];
    text += fmt::format("{} {}{}{} before", i == 0 ? "" : ";", one.label,
                        one.scatter ? " scattered by " : " ", with_unit(one.before, one.unit));
    text += one.after ? fmt::format(", {} after", with_unit(*one.after, one.unit))
                      : std::string{", too few readings since"};
    if (one.usual)
      text += fmt::format(", {} before the trouble began", with_unit(*one.usual, one.unit));
  }
  if (outcome.sensors.size() > most_named)
    text += fmt::format("; and {} more", outcome.sensors.size() - most_named);
  if (text.starts_with(' ')) text.erase(0, 1);
  return fmt::format("{}: the service of {} {}: {}", machine,
                     format_time(outcome.serviced).substr(0, 10), verdict, text);
}

std::string closing_message(const Alert& alert, std::string_view label,
                            std::optional<BaselineEnd> why) {
  if (!why) {
    return fmt::format("{}: the {} detector no longer watches this {}", label, alert.detector,
                       alert.kind == AlertKind::machine ? "machine" : "sensor");
  }
  switch (*why) {
    case BaselineEnd::accepted:
      return fmt::format("{} has stayed as it is for {}: this is taken as normal from now on ({})",
                         label, describe_duration(alert.time - alert.onset),
                         with_unit(alert.value, alert.unit));
    case BaselineEnd::serviced:
      return fmt::format("{}: closed, the machine was serviced; what is normal is learned anew",
                         label);
    case BaselineEnd::rebaseline:
      return fmt::format("{}: closed, a new baseline was asked for; what is normal is learned anew",
                         label);
    case BaselineEnd::regimes:
      return fmt::format(
          "{}: closed, the machine has several regimes; what is normal in each is "
          "learned anew",
          label);
  }
  return fmt::format("{}: closed", label);
}

}  // namespace millwright::engine
