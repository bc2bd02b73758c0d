// The sentence of an alert: what a mechanic reads.
#pragma once

#include <string>
#include <string_view>

#include "core/alert.h"

namespace millwright::engine {

// From kind, value, expected, band, onset and time of the alert. `label` is what the mechanic calls
// the sensor.
std::string alert_message(const Alert& alert, std::string_view label);

// 71.4, 0.0312, 12340: four significant digits, no exponent between 1e-4 and 1e7.
std::string format_value(double value);

}  // namespace millwright::engine
