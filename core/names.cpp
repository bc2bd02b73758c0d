// The texts of the enumerations: what stands in documents, metrics and the archive.
#include <array>

#include "core/accounting.h"
#include "core/alert.h"
#include "core/baseline.h"
#include "core/command.h"
#include "core/score.h"
#include "core/service.h"

namespace millwright {
namespace {

template <class E, std::size_t n>
std::string_view look_up(const std::array<std::string_view, n>& names, E value) {
  const auto i = static_cast<std::size_t>(value);
  return i < n ? names[i] : std::string_view{"unknown"};
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Outcome::count_)> names{
      "learned",      "warming", "held",    "faulty",       "duplicate", "late",     "not_finite",
      "out_of_range", "future",  "too_old", "sensor_limit", "bad_name",  "two_lanes"};
  return look_up(names, outcome);
}

std::string_view name_of(Reject reject) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Reject::count_)> names{
      "none",         "unknown_topic", "retained",          "empty",
      "too_large",    "too_deep",      "not_utf8",          "not_json",
      "not_a_number", "missing_value", "missing_time",      "bad_time",
      "missing_name", "wrong_length",  "too_many_readings", "journal_full"};
  return look_up(names, reject);
}

std::string_view name_of(AlertKind kind) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(AlertKind::count_)> names{
      "limit",   "spike",     "shift", "drift",     "trend", "spread",
      "pattern", "vibration", "rate",  "seasonal",  "model", "machine",
      "case",    "gap",       "stuck", "saturated", "clock", "sensor_case"};
  return look_up(names, kind);
}

std::string_view name_of(Helped helped) {
  static constexpr std::array<std::string_view, 4> names{"yes", "in_part", "no", "unknown"};
  return look_up(names, helped);
}

std::string_view name_of(AlertClass alert_class) {
  return alert_class == AlertClass::sensor ? "sensor" : "machine";
}

std::string_view name_of(AlertEvent event) {
  static constexpr std::array<std::string_view, 12> names{
      "raised",    "updated", "escalated", "cleared",    "acknowledged", "shelved",
      "unshelved", "closed",  "latched",   "suppressed", "unsuppressed", "commented"};
  return look_up(names, event);
}

std::string_view name_of(CommandKind kind) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(CommandKind::count_)>
      names{"acknowledge",       "comment",          "shelve",   "unshelve",  "close",
            "maintenance_start", "maintenance_stop", "serviced", "rebaseline"};
  return look_up(names, kind);
}

std::string_view name_of(AlertState state) {
  static constexpr std::array<std::string_view, 4> names{"active", "unknown", "latched", "cleared"};
  return look_up(names, state);
}

std::string_view name_of(Severity severity) {
  static constexpr std::array<std::string_view, 3> names{"notice", "warning", "critical"};
  return look_up(names, severity);
}

std::string_view name_of(BaselineEnd why) {
  static constexpr std::array<std::string_view, 4> names{"accepted", "serviced", "rebaseline",
                                                         "regimes"};
  return look_up(names, why);
}

}  // namespace millwright
