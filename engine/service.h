// Did the service help? For a sensor that had an alert of class machine: what it said while the
// alert was active, against what it says once it is learned anew. Only readings of the same regime
// are compared, and none of a faulty sensor.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "core/service.h"
#include "engine/alarm.h"
#include "engine/regime.h"

namespace millwright::engine {

// An alert that ended longer ago than this is no reason for a service.
inline constexpr Duration trouble_counts = std::chrono::hours{24 * 7};
// So long, and so many readings, are looked at after the relearning; no longer than this is waited
// for them, since the service.
inline constexpr Duration look_after = std::chrono::hours{8};
inline constexpr std::uint64_t least_looked_after = 100;
inline constexpr Duration longest_look = std::chrono::hours{24 * 7};

// Mean and scatter of readings.
struct Figure {
  std::uint64_t count = 0;
  double mean = 0, m2 = 0;
  void add(double value);
  double deviation() const;
  static void fields(auto& io, auto& f) { io(f.count, f.mean, f.m2); }
};

// What an alert said of the sensor, kept for a while after it.
struct Trouble {
  AlertKind kind{};
  std::int64_t onset_ms = 0;  // in the alert's id
  RegimeId regime = no_regime;
  std::optional<double> usual{};  // before the onset
  // Of a limit: what is permitted.
  double low = -std::numeric_limits<double>::infinity(), high = -low;
  bool open = true;  // an alert of the sensor is active
  Timestamp last;    // when it was heard of last
  Figure readings;   // that deviated
  double level = 0;  // of late, of all readings
  static void fields(auto& io, auto& t) {
    io(t.kind, t.onset_ms, t.regime, t.usual, t.low, t.high, t.open, t.last, t.readings, t.level);
  }
};

// A sensor after the service.
struct AfterService {
  Trouble before;
  std::optional<Timestamp> since{};  // learned anew, and looked at
  Figure readings;
  bool done = false;
  static void fields(auto& io, auto& a) { io(a.before, a.since, a.readings, a.done); }
};

// A machine whose sensors are looked at.
struct ServiceWait {
  Timestamp serviced;  // event time
  Timestamp asked;     // processing time
  static void fields(auto& io, auto& w) { io(w.serviced, w.asked); }
};

// Can it be the reason for a service at `now`?
bool counts(const Trouble& trouble, Timestamp now);
// May the reading be compared with those of the trouble?
bool is_comparable(const Trouble& trouble, RegimeId regime);
// A reading while the alert is active. Not all are of the trouble: a detector with a long memory
// still speaks for a while after the crew has stopped the machine.
void take_trouble(Trouble& trouble, double value);
// Takes in a reading of the relearned sensor; true when it was the last one needed.
bool look(AfterService& after, const Sample& sample);
// Figures and verdict; the names are the caller's.
ServicedSensor compare(const AfterService& after);
// Of all sensors together.
Helped helped(const std::vector<ServicedSensor>& sensors);

}  // namespace millwright::engine
