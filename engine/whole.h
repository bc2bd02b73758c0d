// A machine as a whole: its sensors' readings gathered into frames for the detector `machine`, and
// what the engine keeps of that detector.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/reading.h"
#include "detectors/machine.h"
#include "detectors/numbers.h"
#include "engine/alarm.h"
#include "engine/sensor.h"

namespace millwright::engine {

// The name under which alerts of a whole machine go; no sensor may have it.
inline constexpr std::string_view whole_machine = "_machine";

// Puts readings of sensors that report at their own times and rates side by side. A frame is over
// when one of its sensors reports again, at the earliest half a second after it began: rows stay
// rows, whatever their jitter, and what is faster is averaged.
class Frames {
 public:
  // Would this reading begin a new frame? Then close the old one first.
  bool is_over(std::size_t sensor, Timestamp time) const;
  void take(std::size_t sensor, const Sample& sample);
  // The sensor is at fault: it says nothing until it is well again.
  void distrust(std::size_t sensor);

  // How many sensors have had a reading taken in.
  std::size_t known() const;
  // Event time of the newest reading ever; does not fall when sensors' clocks differ.
  Timestamp newest() const { return newest_; }
  // By sensor: the mean of its readings in the frame, or its last value while that is no older than
  // three of its usual intervals; NaN else. Into `values`.
  void read(std::vector<double>& values) const;
  // Forgets the frame's readings; the last values stay.
  void clear();
  // Forgets all values.
  void forget();

  static void fields(auto& io, auto& f) {
    io(f.members_, f.open_, f.opened_, f.newest_);
    detectors::refuse_unless(io, f.members_.size() <= detectors::MachineLevel::most_sensors);
  }

 private:
  struct Member {
    double mean = 0;  // of the frame's readings
    std::uint32_t count = 0;
    bool known = false, faulty = false;
    double value = 0;  // the newest
    Timestamp last{};
    float interval = 0;  // s, usual
    static void fields(auto& io, auto& m) {
      io(m.mean, m.count, m.known, m.faulty, m.value, m.last, m.interval);
      detectors::refuse_unless(io, detectors::in_bounds(m.mean, m.value) && m.count <= most_count &&
                                       detectors::positive_in_bounds(m.interval));
    }
    static constexpr std::uint32_t most_count = 1U << 30;
    void forget_readings() {
      mean = 0;
      count = 0;
    }
  };
  Member& member(std::size_t sensor);

  std::vector<Member> members_;
  bool open_ = false;
  Timestamp opened_{}, newest_{};
};

struct Whole {
  Frames frames;
  detectors::MachineLevel::State state;
  Alarm alarm;
  Baseline baseline;
  IssuedOnsets issued;

  static void fields(auto& io, auto& w) { io(w.frames, w.alarm, w.baseline, w.issued); }
};

}  // namespace millwright::engine
