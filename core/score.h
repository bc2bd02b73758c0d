// What a detector says of one reading.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/time.h"

namespace millwright {

// `ratio` is statistic / alarm limit: dimensionless, 1 is the limit, so detectors combine. Expected
// value and the band of normal values are in the sensor's unit. 'No score yet' (warming up) is
// std::nullopt, never 0.
struct Score {
  double ratio = 0;
  double expected = 0;
  double low = 0;
  double high = 0;
  std::optional<Timestamp> onset{};  // when the deviation began, where the detector can tell
};

// Machine faults need a mechanic; sensor faults (data quality) freeze learning and never clear a
// machine alert.
enum class AlertClass : std::uint8_t { machine, sensor };

enum class AlertKind : std::uint8_t {
  limit,
  spike,
  shift,
  drift,
  trend,
  spread,
  pattern,
  vibration,
  rate,
  machine,  // class machine
  gap,
  stuck,
  saturated,
  clock,  // class sensor
  count_
};

constexpr AlertClass class_of(AlertKind kind) {
  return kind >= AlertKind::gap ? AlertClass::sensor : AlertClass::machine;
}
std::string_view name_of(AlertKind kind);
std::string_view name_of(AlertClass alert_class);

// May this reading teach the baseline? Suspicious ones do not; robust windows may still take them
// in.
enum class Trust : std::uint8_t { normal, suspicious };

}  // namespace millwright
