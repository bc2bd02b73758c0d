// The JSON documents that go out: alerts, health and status, and schemas. What they mean:
// docs/alerts.md, docs/health.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/accounting.h"
#include "core/alert.h"
#include "core/health.h"
#include "daemon/publisher_figures.h"
#include "daemon/storage_figures.h"
#include "engine/alarm_figures.h"
#include "engine/wave.h"

namespace millwright::daemon {

// One alert event as in docs/alerts.md: one line, no trailing newline, always valid UTF-8 and valid
// against the schema.
std::string alert_document(const Alert& alert, std::string_view site);

// JSON Schema (draft 2020-12) of an alert document, pretty-printed.
std::string alert_schema();

// How a machine is, as in docs/health.md: likewise, against `health_schema`.
std::string health_document(const MachineHealth& health, std::string_view site);
std::string health_schema();
// The index that such a document tells; nothing when it is not learned.
std::optional<double> health_of(std::string_view document);

// `<root>/state/<machine>/<sensor>/<kind>`, with `/`, `+`, `#` and NUL in names replaced by `_`.
std::string state_topic(std::string_view root, std::string_view machine, std::string_view sensor,
                        std::string_view kind);

// One readable line for people: time, severity, machine/sensor, message.
std::string alert_line(const Alert& alert);

// What `<root>/status` says of the daemon: retained, and with `online` false the Will.
struct Status {
  bool online = false;
  std::string version, site;
  std::optional<Timestamp> since;    // when the daemon started
  std::uint64_t messages = 0;        // accepted into the journals
  std::uint64_t broker_dropped = 0;  // by the broker's own count, since the start
  Counters<Reject>
      rejected;  // messages and fields, by reason; kept over restarts, like the outcomes
  Counters<Outcome> outcomes;  // readings, by what became of them
  std::uint64_t sensors = 0, machines = 0, active_alerts = 0;
  std::uint64_t sensors_learning = 0;  // that are still warming up
  engine::WindowCounts windows;        // of waveforms
  engine::AlarmFigures alarms;
  std::uint64_t commands_done = 0, commands_refused = 0;
  PublisherFigures delivery;
  StorageFigures storage;
};
// One line, no trailing newline, always valid UTF-8.
std::string status_document(const Status& status);
std::string status_schema();

}  // namespace millwright::daemon
