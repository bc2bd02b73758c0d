// The sentence of an alert: what a mechanic reads.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/alert.h"
#include "core/baseline.h"
#include "core/service.h"

namespace millwright::engine {

// From kind, value, expected, band, onset, time and forecast of the alert. `label` is what the
// mechanic calls the sensor.
std::string alert_message(const Alert& alert, std::string_view label);
// Of an alert that ends without its score: its baseline came to an end, or (nothing) its detector
// was taken away.
std::string closing_message(const Alert& alert, std::string_view label,
                            std::optional<BaselineEnd> why);

// Of a machine that is not like the others of its model: `R017: joint 3 temperature runs 6.1 degC
// above the nearest of its 11 sisters since ...`.
std::string fleet_message(const Alert& alert, std::string_view label, std::size_t sisters);

// Of a case with its worst alert: `Press 7: joint 3 temperature is ...; also j3_vib (spread)`.
std::string case_message(const Alert& alert, std::string_view machine, const Alert& worst);
// `Press 7: over after 2 h; it was: ...`, of the case as it was told last.
std::string case_over_message(const Alert& alert, std::string_view machine, Timestamp now);

// `Plant: 24 machines fell silent at about the same time, ...: R001, R002 ...`; of kind clock, that
// they have the wrong time.
std::string outage_message(AlertKind kind, std::span<const std::string> machines, Timestamp onset,
                           Timestamp now);
// `Plant: 24 machines are not as usual at about the same time, ...`, with what the worst one says.
std::string crowd_message(std::span<const std::string> machines, Timestamp onset, Timestamp now,
                          std::string_view worst);

// `Press 7: the service of 2026-01-05 helped: vibration 7.1 mm/s before, 2.3 mm/s after, 2.2 mm/s
// before the trouble began`.
std::string service_message(const ServiceOutcome& outcome, std::string_view machine);

// 71.4, 0.0312, 12340: four significant digits, no exponent between 1e-4 and 1e7.
std::string format_value(double value);

}  // namespace millwright::engine
