// Readings as NDJSON: one object a line,
// {"machine":"R017","sensor":"j3_temp","time":"2026-01-05T00:00:00Z","value":61.2}.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace millwright::daemon {

struct NamedReading {
  std::string machine, sensor;
  Timestamp time;
  double value = 0;  // may be NaN or infinite when the line says so as text
};

// Nothing for a blank line. Throws std::invalid_argument with a sentence for anything else that is
// no reading. `time` is ISO 8601 text or a number since the epoch.
std::optional<NamedReading> parse_reading(std::string_view line);

}  // namespace millwright::daemon
