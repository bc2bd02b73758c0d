#include "daemon/storage_alerts.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <sstream>
#include <utility>

#include "engine/desk.h"

namespace millwright::daemon {
namespace {

constexpr std::size_t longest_message = 1000;
constexpr std::string_view unknown_trouble = "An earlier run could not use its storage";

std::string_view advice_for(StorageTrouble what) {
  switch (what) {
    case StorageTrouble::archive:
    case StorageTrouble::checkpoint:
    case StorageTrouble::journal:
      return "Free space, or look after the gateway's disk or memory card";
    case StorageTrouble::damage:
      return "Look after the gateway's power supply and its disk or memory card";
    case StorageTrouble::messages:
      return "Look after the broker and the line to it, or give the archive more room";
    case StorageTrouble::count_:
      break;
  }
  return "";
}

// One that nobody measured: it has no value, and no band.
Alert blank(StorageTrouble what) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  Alert alert;
  alert.kind = AlertKind::sensor_case;
  alert.machine = engine::Desk::whole_plant;
  alert.sensor = sensor_of(what);
  alert.value = alert.expected = alert.low = alert.high = none;
  alert.score = 1;
  alert.detector = "storage";
  alert.advice = advice_for(what);
  return alert;
}

// It has happened, and does not last.
bool is_past(StorageTrouble what) {
  return what == StorageTrouble::damage || what == StorageTrouble::messages;
}

int priority_of(Severity severity) { return severity == Severity::critical ? 90 : 60; }

// Ids end with the onset in milliseconds.
std::optional<Timestamp> onset_in(std::string_view id) {
  const auto digits = id.substr(id.rfind('/') + 1);
  std::int64_t milliseconds = 0;
  const auto end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, milliseconds);
  if (error != std::errc{} || stop != end) return std::nullopt;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1000;
  if (milliseconds < 0 || milliseconds > most) return std::nullopt;
  return from_microseconds(milliseconds * 1000);
}

}  // namespace

std::string_view sensor_of(StorageTrouble what) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(StorageTrouble::count_)> names{
      "_archive", "_checkpoint", "_journal", "_damage", "_outbox"};
  return names.at(static_cast<std::size_t>(what));
}

StorageAlerts::StorageAlerts(std::string_view note, Delays delays, const Now& now)
    : delays_(delays), noted_(note) {
  std::istringstream lines{noted_};
  std::string sensor, id;
  std::uint32_t revision = 0;
  while (lines >> sensor >> id >> revision) adopt(sensor, id, revision, now);
}

void StorageAlerts::adopt(std::string_view sensor, std::string_view id, std::uint32_t revision,
                          const Now& now) {
  const auto onset = onset_in(id);
  for (std::size_t i = 0; i < conditions; ++i) {
    const auto what = static_cast<StorageTrouble>(i);
    if (sensor != sensor_of(what) || !onset) continue;
    auto& condition = of(what);
    if (condition.told && condition.told->id == id && condition.told->revision >= revision) return;
    // A newer one was told by this run: then the old one is over, and nobody asks for it.
    if (condition.told && condition.told->onset > *onset) return;
    auto alert = blank(what);
    alert.id = id;
    alert.revision = revision;
    alert.onset = *onset;
    alert.severity = Severity::warning;
    alert.message = unknown_trouble;
    condition.onset = *onset;
    condition.severity = alert.severity;
    condition.told = std::move(alert);
    condition.adopted = true;
    if (!condition.since && !condition.well_since) condition.well_since = now.clock;
  }
}

void StorageAlerts::trouble(StorageTrouble what, std::string message, Severity severity,
                            const Now& now) {
  auto& condition = of(what);
  condition.well_since.reset();
  if (!condition.since) {
    condition.since = now.clock;
    if (!condition.told) condition.onset = now.time;
    condition.severity = severity;
  }
  const bool more = what == StorageTrouble::damage && !condition.message.empty() &&
                    condition.message.size() < longest_message;
  if (more && now.clock - *condition.since < delays_.past)
    condition.message += ". " + message;
  else
    condition.message = std::move(message);
  if (is_past(what)) condition.since = now.clock;
  condition.severity = std::max(condition.severity, severity);
}

void StorageAlerts::well(StorageTrouble what, const Now& now) {
  auto& condition = of(what);
  if (!condition.since) return;
  condition.since.reset();
  if (condition.told) condition.well_since = now.clock;
}

Alert StorageAlerts::first_event(StorageTrouble what, const Condition& condition) {
  auto alert = blank(what);
  alert.onset = condition.onset;
  alert.id = fmt::format("{}/{}/{}/{}", alert.machine, alert.sensor, name_of(alert.kind),
                         to_microseconds(alert.onset) / 1000);
  alert.severity = condition.severity;
  alert.message = condition.message;
  return alert;
}

void StorageAlerts::next_event(Alert& alert, AlertEvent event, const Now& now) {
  alert.event = event;
  alert.state = event == AlertEvent::cleared ? AlertState::cleared : AlertState::active;
  alert.time = now.time;
  alert.priority = priority_of(alert.severity);
  alert.notify = event != AlertEvent::cleared;
  if (event == AlertEvent::cleared) alert.cleared = now.time;
}

std::vector<Alert> StorageAlerts::due(const Now& now) {
  std::vector<Alert> events;
  for (std::size_t i = 0; i < conditions; ++i) {
    const auto what = static_cast<StorageTrouble>(i);
    auto& condition = conditions_[i];
    const bool past = is_past(what);
    if (condition.since && past && now.clock - *condition.since >= delays_.past) well(what, now);
    if (!condition.since && !condition.told) continue;
    if (!condition.told) {
      if (!past && now.clock - *condition.since < delays_.raise) continue;
      condition.told = first_event(what, condition);
      next_event(*condition.told, AlertEvent::raised, now);
      events.push_back(*condition.told);
    } else if (const bool worse = condition.severity > condition.told->severity;
               condition.since &&
               (worse || (past && condition.message != condition.told->message))) {
      condition.told->severity = condition.severity;
      condition.told->message = condition.message;
      ++condition.told->revision;
      next_event(*condition.told, worse ? AlertEvent::escalated : AlertEvent::updated, now);
      condition.adopted = false;
      events.push_back(*condition.told);
    } else if (condition.told && condition.well_since &&
               (past || now.clock - *condition.well_since >= delays_.clear)) {
      ++condition.told->revision;
      next_event(*condition.told, AlertEvent::cleared, now);
      events.push_back(*condition.told);
      condition = {};
    }
  }
  return events;
}

std::vector<Alert> StorageAlerts::open() const {
  std::vector<Alert> alerts;
  for (const auto& condition : conditions_)
    if (condition.told && !condition.adopted) alerts.push_back(*condition.told);
  return alerts;
}

std::optional<std::string> StorageAlerts::note() {
  std::string text;
  for (const auto& condition : conditions_)
    if (const auto& alert = condition.told)
      text += fmt::format("{} {} {}\n", alert->sensor, alert->id, alert->revision);
  if (text == noted_) return std::nullopt;
  noted_ = text;
  return text;
}

}  // namespace millwright::daemon
