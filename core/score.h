// What a detector says of one reading.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright {

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
  seasonal,
  model,
  machine,
  machine_case,  // alerts of a machine that belong together; class machine up to here
  gap,
  stuck,
  saturated,
  clock,
  sensor_case,  // sensors of a machine that cannot be trusted; class sensor
  count_
};

constexpr AlertClass class_of(AlertKind kind) {
  return kind >= AlertKind::gap ? AlertClass::sensor : AlertClass::machine;
}
constexpr bool is_case(AlertKind kind) {
  return kind == AlertKind::machine_case || kind == AlertKind::sensor_case;
}
std::string_view name_of(AlertKind kind);
std::string_view name_of(AlertClass alert_class);

// `ratio` is statistic / alarm limit: dimensionless, 1 is the limit, so detectors combine. Expected
// value and the band of normal values are in the sensor's unit. 'No score yet' (warming up) is
// std::nullopt, never 0.
struct Score {
  double ratio = 0;
  double expected = 0;
  double low = 0;
  double high = 0;
  std::optional<Timestamp> onset{};  // when the deviation began, where the detector can tell
  std::optional<double> value{};     // what it speaks of, where that is not the newest reading
  std::optional<AlertKind> kind{};   // what it looks like, where the detector tells several apart
};

// A ratio that is held back from an alarm stays here.
inline constexpr double just_below_limit = 0.99;

// Why a score is what it is, and how well founded: asked for when an alert is about to be told.
struct Contribution {
  std::string_view feature;  // "level", "spread", ...
  double share = 0;          // 0..1 of the score; the shares add up to 1
};
// When the value will reach a limit, if it goes on as it does. No `latest`: perhaps never.
struct Forecast {
  double limit = 0;  // in the sensor's unit
  Timestamp reaches{}, earliest{};
  std::optional<Timestamp> latest{};
  static void fields(auto& io, auto& f) { io(f.limit, f.reaches, f.earliest, f.latest); }
};
// A figure that went into a score; times in seconds, values in the sensor's unit.
struct Number {
  std::string_view name;
  double value = 0;
};
struct Explanation {
  std::vector<Contribution> features;  // loudest first; empty where the detector is one statistic
  double confidence = 1;  // 0..1: how much of what its baseline can hold it has learned
  std::optional<Forecast> forecast{};
  std::vector<Number> numbers{};  // from which the score can be worked out again; empty: it cannot
};

// May this reading teach the baseline? Suspicious ones do not; robust windows may still take them
// in. A reading of a faulty sensor (stuck, saturated) says nothing of the machine: the engine does
// not hand it to detectors of class machine at all, so they never see `faulty`.
enum class Trust : std::uint8_t { normal, suspicious, faulty };

// What a reading did to the baseline: `accepted` when a lasting change became the new normal, by
// the detector's rule.
enum class Learned : std::uint8_t { as_usual, accepted };

}  // namespace millwright
