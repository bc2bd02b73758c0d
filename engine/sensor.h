// All that the engine keeps of one sensor beside its detectors' states.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/accounting.h"
#include "core/reading.h"
#include "core/summary.h"
#include "detectors/detector.h"
#include "engine/alarm.h"
#include "engine/history.h"
#include "engine/plan.h"
#include "engine/regime.h"
#include "engine/service.h"
#include "engine/stillness.h"
#include "engine/wave.h"

namespace millwright::engine {

// Which baseline the detector works with: a new version when the old one no longer counts.
struct Baseline {
  std::uint32_t version = 1;
  std::optional<Timestamp> since{};  // event time of the first reading that taught it
  std::uint64_t learned = 0;         // readings that taught it

  Baseline next(std::optional<Timestamp> from = {}) const { return {version + 1, from, 0}; }
  static void fields(auto& io, auto& b) { io(b.version, b.since, b.learned); }
};

// One detector at work on the sensor.
struct Watch {
  std::size_t type = 0;      // index in detectors::types()
  detectors::Slot slot = 0;  // in that type's column
  Alarm alarm;
  Baseline baseline;
  double limit = 1;  // ratio of an alarm, by the configuration
};

// An alert whose detector the configuration took away: it is closed at the next tick.
struct Leftover {
  std::string detector;
  Alarm alarm;
  Baseline baseline;
  static void fields(auto& io, auto& l) { io(l.detector, l.alarm, l.baseline); }
};

// A reading that waits in the reorder buffer.
struct Waiting {
  Sample sample;
  Timestamp arrival;
  static void fields(auto& io, auto& w) { io(w.sample.time, w.sample.value, w.arrival); }
};

// How a sensor hangs together with waveforms; follows from the plan, but for `parent`.
struct Kinship {
  std::string unit, label;             // where they are not those of the profile
  std::string parent;                  // the waveform whose windows it tells of; empty: none
  std::uint64_t meaning = 0;           // with a parent: see DerivedSensor
  std::optional<std::size_t> wave;     // it is a waveform
  std::vector<std::size_t> speeds_of;  // waveforms whose shaft's speed it says
};

struct Sensor {
  MachineId machine{};
  std::string name;
  const Profile* profile = nullptr;
  std::vector<Watch> watches;
  std::vector<Leftover> leftovers;
  IssuedOnsets issued;

  bool seen = false;  // any reading taken in
  bool warming = true;
  std::uint64_t taught = 0;  // readings learned from
  Timestamp newest;          // event time of the newest reading released to the detectors
  Timestamp last_arrival;    // processing time of the newest reading of any kind
  double last_value = 0;
  Summary open;  // the minute being filled; count 0: none
  History history;
  Stillness stillness;
  std::vector<Waiting> waiting;    // sorted by event time
  UsualValues usual;               // by regime, where the machine has regimes
  Baseline of_usual;               // its version; its count is the values' own
  RegimeId regime = no_regime;     // of the newest reading
  std::optional<Trouble> trouble;  // what a service may be for
  std::optional<AfterService> after_service;
  std::optional<std::size_t> place{};  // not state: its machine's (Machine::placed)
  bool names_regime = false;           // not state: its values tell what the machine does
  Kinship kin;                         // not state
  std::uint64_t round = 0;             // not state: the round that holds a reading of this sensor

  std::string_view unit() const { return parent_or(kin.unit, profile->unit); }
  // What a mechanic calls it.
  std::string_view label() const {
    return parent_or(kin.label, profile->label.empty() ? name : profile->label);
  }
  std::string_view parent_or(std::string_view own, std::string_view of_profile) const {
    return kin.parent.empty() ? of_profile : own;
  }

  static void fields(auto& io, auto& s) {
    io(s.seen, s.warming, s.taught, s.newest, s.last_arrival, s.last_value, s.open, s.history,
       s.stillness, s.waiting, s.leftovers, s.issued, s.usual, s.of_usual, s.regime, s.trouble,
       s.after_service);
    detectors::refuse_unless(io, s.regime < Regimes::most + first_regime);
  }
};

}  // namespace millwright::engine
