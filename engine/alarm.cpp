#include "engine/alarm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millwright::engine {
namespace {

constexpr double critical_ratio = 2;
constexpr double worth_telling =
    1.25;  // an update says that it grew by a quarter since the last event
constexpr std::size_t most_contributors = 8;
constexpr Duration update_spacing = std::chrono::minutes{1};

AlertEvent raise(Alarm& alarm, AlertKind kind, Timestamp time, double ratio) {
  alarm.phase = Phase::active;
  alarm.kind = kind;
  alarm.severity = severity_of(kind, ratio);
  alarm.revision = 1;
  alarm.raised = alarm.told = time;
  alarm.told_ratio = ratio;
  alarm.below.reset();
  return AlertEvent::raised;
}

std::optional<AlertEvent> while_active(Alarm& alarm, const AlarmRule& rule, Timestamp time,
                                       double ratio) {
  if (ratio < rule.clear_ratio) {
    if (!alarm.below) alarm.below = time;
    const auto patience = alarm.kind == AlertKind::gap ? Duration{0} : rule.off_delay;
    if (time - *alarm.below < patience) return std::nullopt;
    close(alarm, time);
    return AlertEvent::cleared;
  }
  alarm.below.reset();
  const auto severity = severity_of(alarm.kind, ratio);
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

bool waits_for_proof(const Alarm& alarm, const AlarmRule& rule) {
  return alarm.phase == Phase::pending && rule.on_delay == Duration{0};
}

std::optional<AlertEvent> advance(Alarm& alarm, const AlarmRule& rule, AlertKind kind,
                                  Timestamp time, const std::optional<Score>& score, bool may_raise,
                                  double alone) {
  if (!score) return std::nullopt;
  const double ratio = score->ratio;
  if (alarm.phase == Phase::active) return while_active(alarm, rule, time, ratio);
  const bool proof_wanted = alone > 1 && rule.on_delay == Duration{0};
  const bool borne_out =
      alone > 1 && waits_for_proof(alarm, rule) && alarm.kind == kind && ratio >= rule.clear_ratio;
  // Held back just below the limit after an alarm of its own, a detector still means the same.
  const bool goes_on =
      alarm.phase == Phase::pending && rule.on_delay > Duration{0} && ratio >= just_below_limit;
  if (ratio < 1 && !borne_out && !goes_on) {
    alarm.phase = Phase::normal;
    return std::nullopt;
  }
  if (alarm.phase == Phase::normal) {
    alarm.phase = Phase::pending;
    alarm.reached = time;
    alarm.onset = std::min(score->onset.value_or(time), time);
    alarm.told_ratio = ratio;
  } else if (alarm.kind != kind) {
    alarm.told_ratio = ratio;  // another deviation: what was seen of the first proves nothing
  }
  alarm.kind = kind;
  alarm.told_ratio = std::max(alarm.told_ratio, ratio);
  if (!may_raise || time - alarm.reached < rule.on_delay) return std::nullopt;
  if (!proof_wanted) return raise(alarm, kind, time, goes_on ? alarm.told_ratio : ratio);
  if (!borne_out && ratio < alone) return std::nullopt;
  return raise(alarm, kind, time, alarm.told_ratio);
}

void interrupt(Alarm& alarm) {
  alarm.below.reset();
  if (alarm.phase == Phase::pending) alarm.phase = Phase::normal;
}

void close(Alarm& alarm, Timestamp time) {
  alarm.phase = Phase::normal;
  ++alarm.revision;
  alarm.told = time;
}

std::int64_t IssuedOnsets::issue(AlertKind kind, Timestamp onset) {
  auto found = std::find_if(newest_.begin(), newest_.end(),
                            [&](const Newest& newest) { return newest.kind == kind; });
  const auto wanted = to_microseconds(onset) / 1000;
  if (found == newest_.end()) {
    newest_.push_back({kind, wanted});
    return wanted;
  }
  found->onset_ms = std::max(wanted, found->onset_ms + 1);
  return found->onset_ms;
}

std::vector<Contributor> largest_first(std::vector<Contributor> contributors) {
  std::stable_sort(contributors.begin(), contributors.end(),
                   [](const auto& a, const auto& b) { return a.share > b.share; });
  if (contributors.size() > most_contributors) contributors.resize(most_contributors);
  return contributors;
}

std::string alert_id(std::string_view machine, std::string_view sensor, AlertKind kind,
                     std::int64_t onset_ms) {
  return fmt::format("{}/{}/{}/{}", machine, sensor, name_of(kind), onset_ms);
}

Alert alert_of(const Alarm& alarm, std::string_view machine, std::string_view sensor,
               AlertEvent event, Timestamp time, Position position) {
  Alert alert;
  alert.id = alert_id(machine, sensor, alarm.kind, alarm.onset_ms);
  alert.revision = alarm.revision;
  alert.event = event;
  const bool over = event == AlertEvent::cleared || event == AlertEvent::closed;
  alert.state = over ? AlertState::cleared : AlertState::active;
  if (over) alert.cleared = time;
  alert.kind = alarm.kind;
  alert.severity = alarm.severity;
  alert.machine = machine;
  alert.sensor = sensor;
  alert.onset = alarm.onset;
  alert.time = time;
  alert.position = position;
  return alert;
}

}  // namespace millwright::engine
