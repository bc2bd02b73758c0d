#include "engine/alarm.h"

#include <algorithm>
#include <cmath>

namespace millwright::engine {
namespace {

constexpr double critical_ratio = 2;
constexpr double worth_telling =
    1.25;  // an update says that it grew by a quarter since the last event
constexpr Duration update_spacing = std::chrono::minutes{1};

AlertEvent raise(Alarm& alarm, AlertKind kind, Timestamp time, double ratio) {
  alarm.phase = Phase::active;
  alarm.onset_ms = std::max(to_microseconds(alarm.onset) / 1000, alarm.newest_onset_ms + 1);
  alarm.newest_onset_ms = alarm.onset_ms;
  alarm.severity = severity_of(kind, ratio);
  alarm.revision = 1;
  alarm.raised = alarm.told = time;
  alarm.told_ratio = ratio;
  alarm.below.reset();
  return AlertEvent::raised;
}

std::optional<AlertEvent> while_active(Alarm& alarm, const AlarmRule& rule, AlertKind kind,
                                       Timestamp time, double ratio) {
  if (ratio < rule.clear_ratio) {
    if (!alarm.below) alarm.below = time;
    const auto patience = kind == AlertKind::gap ? Duration{0} : rule.off_delay;
    if (time - *alarm.below < patience) return std::nullopt;
    alarm.phase = Phase::normal;
    ++alarm.revision;
    alarm.told = time;
    return AlertEvent::cleared;
  }
  alarm.below.reset();
  const auto severity = severity_of(kind, ratio);
  const bool escalates = severity > alarm.severity;
  const bool grew =
      ratio >= worth_telling * alarm.told_ratio && time - alarm.told >= update_spacing;
  if (!escalates && !grew) return std::nullopt;
  alarm.severity = std::max(alarm.severity, severity);
  ++alarm.revision;
  alarm.told = time;
  alarm.told_ratio = ratio;
  return escalates ? AlertEvent::escalated : AlertEvent::updated;
}

}  // namespace

Severity severity_of(AlertKind kind, double ratio) {
  if (class_of(kind) == AlertClass::sensor) return Severity::notice;
  return ratio >= critical_ratio ? Severity::critical : Severity::warning;
}

int priority_of(Severity severity, double ratio) {
  const int base = severity == Severity::critical ? 75 : severity == Severity::warning ? 45 : 15;
  const double beyond = 8 * std::log2(std::clamp(ratio, 1.0, 8.0));
  return base + static_cast<int>(beyond);
}

std::optional<AlertEvent> advance(Alarm& alarm, const AlarmRule& rule, AlertKind kind,
                                  Timestamp time, const std::optional<Score>& score) {
  if (!score) return std::nullopt;
  const double ratio = score->ratio;
  if (alarm.phase == Phase::active) return while_active(alarm, rule, kind, time, ratio);
  if (ratio < 1) {
    alarm.phase = Phase::normal;
    return std::nullopt;
  }
  if (alarm.phase == Phase::normal) {
    alarm.phase = Phase::pending;
    alarm.reached = time;
    alarm.onset = std::min(score->onset.value_or(time), time);
  }
  if (time - alarm.reached < rule.on_delay) return std::nullopt;
  return raise(alarm, kind, time, ratio);
}

}  // namespace millwright::engine
