#include "engine/message.h"

#include <fmt/format.h>

#include <cmath>

namespace millwright::engine {
namespace {

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

std::string what_is_wrong(const Alert& alert, std::string_view label) {
  const auto value = with_unit(alert.value, alert.unit);
  const auto off = with_unit(std::abs(alert.value - alert.expected), alert.unit);
  const auto since = clock_time(alert.onset, alert.time);
  const auto lasting = describe_duration(alert.time - alert.onset);
  switch (alert.kind) {
    case AlertKind::limit:
      return alert.value >= alert.high ? fmt::format("{} is {}, at or above its limit of {}", label,
                                                     value, with_unit(alert.high, alert.unit))
             : alert.value <= alert.low
                 ? fmt::format("{} is {}, at or below its limit of {}", label, value,
                               with_unit(alert.low, alert.unit))
                 : fmt::format("{} is {}, still close to its limit", label, value);
    case AlertKind::spike:
      return fmt::format("{} jumped to {}, {} {} what the minutes before lead to expect ({})",
                         label, value, off, direction(alert), band(alert));
    case AlertKind::rate:
      return fmt::format("{} changes faster than it normally does: {} where {} would be usual",
                         label, value, band(alert));
    case AlertKind::gap:
      return fmt::format("{} has sent nothing since {} ({})", label, since, lasting);
    case AlertKind::stuck:
      return fmt::format("{} shows exactly {} since {} ({}), although it normally varies", label,
                         value, since, lasting);
    default:
      return fmt::format("{} is {} {} normal ({} instead of {}) since {}", label, off,
                         direction(alert), value, with_unit(alert.expected, alert.unit), since);
  }
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
    if (alert.kind == AlertKind::gap) {
      return fmt::format("{} reports again, after {}", label,
                         describe_duration(alert.time - alert.onset));
    }
    return fmt::format("{} is back to normal at {}, after {}", label,
                       with_unit(alert.value, alert.unit),
                       describe_duration(alert.time - alert.onset));
  }
  if (alert.event == AlertEvent::closed) {
    return fmt::format("{}: the {} detector no longer watches this sensor", label, alert.detector);
  }
  return what_is_wrong(alert, label);
}

}  // namespace millwright::engine
