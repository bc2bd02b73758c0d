// The JSON documents that go out: alerts and status. Their schemas are in config/schemas and shipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/alert.h"

namespace millwright::daemon {

// One alert event as in docs/alerts.md: one line, no trailing newline, always valid UTF-8 and valid against the schema.
std::string alert_document(const Alert& alert, std::string_view site);

// JSON Schema (draft 2020-12) of an alert document, pretty-printed.
std::string alert_schema();

// `<root>/state/<machine>/<sensor>/<kind>`, with `/`, `+`, `#` and NUL in names replaced by `_`.
std::string state_topic(std::string_view root, std::string_view machine, std::string_view sensor, std::string_view kind);

// One readable line for people: time, severity, machine/sensor, message.
std::string alert_line(const Alert& alert);

}  // namespace millwright::daemon
