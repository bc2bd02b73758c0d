// An event of an alert's life, as it goes to the archive and to subscribers. The JSON form is in
// daemon/documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/reading.h"
#include "core/score.h"

namespace millwright {

enum class AlertEvent : std::uint8_t {
  raised,
  updated,
  escalated,
  cleared,
  acknowledged,
  shelved,
  unshelved,
  closed
};
enum class AlertState : std::uint8_t { active, cleared };
enum class Severity : std::uint8_t { notice, warning, critical };

std::string_view name_of(AlertEvent event);
std::string_view name_of(AlertState state);
std::string_view name_of(Severity severity);

struct Contributor {
  std::string sensor;
  double share = 0;  // 0..1
};

// What spoke, of a detector that looks at several features of the readings.
struct Feature {
  std::string name;
  double share = 0;  // 0..1
};

struct Evidence {
  std::vector<Timestamp> times;
  std::vector<double> values;  // in the sensor's unit
};

struct Alert {
  std::string
      id;  // machine/sensor/kind/onset in ms: a function of the input, so a replay repeats it
  std::uint32_t revision = 1;  // rises by one with every event of this id
  AlertEvent event{};
  AlertState state{};
  bool acknowledged = false;
  AlertKind kind{};
  Severity severity{};
  int priority = 0;  // 1..100
  std::string machine, sensor, unit;
  Timestamp onset, time;  // when it began; the event time of this event
  std::optional<Timestamp> cleared;
  double value = 0, expected = 0, low = 0, high = 0, score = 0;
  std::optional<Forecast> forecast;
  std::vector<Contributor> contributors;
  std::string detector;
  std::uint32_t detector_version = 1;
  std::uint64_t configuration = 0;     // fingerprint of the parameters
  std::uint32_t baseline = 1;          // version of what the detector had learned
  std::uint64_t learned_readings = 0;  // that taught this baseline
  std::optional<double> confidence;    // 0..1, how much of what the baseline can hold it has
                                       // learned; nothing: it is gone
  std::vector<Feature> features;       // loudest first
  std::string regime;                  // what the machine was doing; empty: not told apart
  std::uint64_t regime_readings = 0;   // learned of this sensor in that regime
  Evidence evidence;
  std::string message, advice;
  Position position = 0;  // the journal record that caused it

  AlertClass alert_class() const { return class_of(kind); }
};

}  // namespace millwright
