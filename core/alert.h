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
  closed,
  latched,     // the condition is over, and the alert stays until somebody has taken note
  suppressed,  // its machine is under maintenance
  unsuppressed,
  commented
};
enum class AlertState : std::uint8_t {
  active,
  unknown,  // the sensor that told it is at fault: nobody knows
  latched,
  cleared
};
enum class Severity : std::uint8_t { notice, warning, critical };

std::string_view name_of(AlertEvent event);
std::string_view name_of(AlertState state);
std::string_view name_of(Severity severity);

struct Contributor {
  std::string sensor;
  double share = 0;  // 0..1
  static void fields(auto& io, auto& c) { io(c.sensor, c.share); }
};

// What spoke, of a detector that looks at several features of the readings.
struct Feature {
  std::string name;
  double share = 0;  // 0..1
  static void fields(auto& io, auto& f) { io(f.name, f.share); }
};

struct Evidence {
  std::vector<Timestamp> times;
  std::vector<double> values;    // in the sensor's unit
  std::vector<double> expected;  // likewise, as many; NaN: nothing yet. Empty: not known
  static void fields(auto& io, auto& e) { io(e.times, e.values, e.expected); }
};

// A figure that went into the score, by its detector's name for it.
struct ScoreNumber {
  std::string name;
  double value = 0;
  static void fields(auto& io, auto& n) { io(n.name, n.value); }
};

// What a person did last with an alert.
struct Note {
  Timestamp time;
  std::string by, comment;
  static void fields(auto& io, auto& n) { io(n.time, n.by, n.comment); }
};

// One of the alerts that make up a case.
struct CasePart {
  std::string id, sensor;
  AlertKind kind{};
  Severity severity{};
  AlertState state{};
  double score = 0;  // the highest so far
  static void fields(auto& io, auto& p) {
    io(p.id, p.sensor, p.kind, p.severity, p.state, p.score);
  }
};

struct Alert {
  std::string
      id;  // machine/sensor/kind/onset in ms: a function of the input, so a replay repeats it
  std::uint32_t revision = 1;  // rises by one with every event of this id
  AlertEvent event{};
  AlertState state{};
  bool acknowledged = false;
  std::optional<Timestamp> shelved_until;
  bool suppressed = false;        // its machine is under maintenance
  std::uint32_t occurrences = 1;  // how often it came
  bool chattering = false;        // it comes and goes: one alert until it is quiet
  std::optional<Note> note;
  std::string of_case;          // id of the case that it is part of; empty: none
  std::vector<CasePart> parts;  // of a case: worst first
  bool notify = false;          // of a case: this event is for people
  bool held_back = false;       // of a case: over the budget, people have not been told
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
  std::vector<ScoreNumber> numbers;    // from which the score can be worked out again
  std::string regime;                  // what the machine was doing; empty: not told apart
  std::uint64_t regime_readings = 0;   // learned of this sensor in that regime
  Evidence evidence;
  std::string message, advice;
  Position position = 0;  // the journal record that caused it

  AlertClass alert_class() const { return class_of(kind); }

  static void fields(auto& io, auto& a) {
    io(a.id, a.revision, a.event, a.state, a.acknowledged, a.shelved_until, a.suppressed,
       a.occurrences, a.chattering, a.note, a.of_case, a.parts, a.notify, a.held_back, a.kind,
       a.severity, a.priority, a.machine, a.sensor, a.unit, a.onset, a.time, a.cleared, a.value,
       a.expected, a.low, a.high, a.score, a.forecast, a.contributors, a.detector,
       a.detector_version, a.configuration, a.baseline, a.learned_readings, a.confidence,
       a.features, a.numbers, a.regime, a.regime_readings, a.evidence, a.message, a.advice,
       a.position);
  }
};

}  // namespace millwright
