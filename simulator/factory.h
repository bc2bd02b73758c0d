// A factory of robots that wear out: readings with programs, shifts, daily cycle, thermal lag,
// noise and quantisation, and planted faults with their labels. Pure: everything follows from the
// options, above all from the seed.
//
// The model, per robot (constants in factory.cpp, the story in docs/simulator.md):
//   program   idle or A, B, C, some minutes each; pauses at shift changes and breaks; no work on
//   Sundays current   of the program x the robot's own factor x slow load x friction of cold grease
//   torque    proportional to the current
//   heat      first-order lag (25 min joints, 55 min gearbox) behind the square of the current,
//   above ambient reading   truth + slow drift + noise, rounded to the sensor's step, now and then
//   missing
// A fault is a layer on top: what it does not touch is the same to the bit as without it. A robot's
// readings depend on the seed and its own number only, not on how many robots there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright::simulator {

enum class FaultKind : std::uint8_t {
  bearing_wear,  // vib_rms grows slowly to 2.4..3.2 times; friction: current, torque, temperature
                 // of one joint rise
  cooling_loss,  // all temperatures rise 15..20 degC beyond normal within one to two hours
  backlash,      // torque of one joint +25 % and much wider, its current with it, cycle_time +4 %
  collision,     // three to six readings of 3..6 times the current and torque of one joint
  stuck_sensor,  // one value frozen
  lost_sensor,   // one sensor no longer in the messages
  count_
};
std::string_view name_of(FaultKind kind);

// One planted fault.
struct Label {
  std::size_t robot = 0;
  std::string machine;
  FaultKind kind{};
  std::vector<std::string> sensors;  // all that it touches, the most telling first
  Timestamp start, end;              // end: repaired, or the end of the run
  bool repaired = false;
  double severity =
      0;  // at its worst: a factor, or degC for cooling_loss; 1 for stuck and lost sensors
  std::string meaning;  // the severity for people: "vib_rms x 2.7"
};

// A fault that the caller plants, instead of those the factory draws by itself.
struct PlannedFault {
  std::size_t robot = 0;  // one fault a robot at most
  FaultKind kind{};
  Timestamp start;
  Duration ramp{}, hold{};  // until it is at its worst; how long it stays so, then it is repaired
  double severity = 1;      // as in Label
  std::size_t joint = 0;    // 0..2
  std::size_t sensor = 0;   // of stuck and lost sensors: index in Factory::sensors()
};

struct FactoryOptions {
  std::size_t robots = 20;  // 1..100000
  std::uint64_t seed = 1;
  Timestamp start{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};  // a Monday
  Duration duration = std::chrono::hours{48};                               // of simulated time
  Duration period = std::chrono::seconds{10};  // between two messages of a robot; at least 1 ms
  bool faults = true;                          // about every third robot gets one
  std::vector<PlannedFault> planned;           // if any: these and no others
  // Every so many-th robot works from 6 to 22 o'clock, Monday to Friday, and stands still else; 0:
  // none.
  std::size_t day_shift_every = 0;
};

struct SensorType {
  std::string_view name, unit;
};

struct FrameValue {
  std::size_t sensor = 0;  // index in Factory::sensors()
  double value = 0;
};

// What one robot sends at one time.
struct Frame {
  std::size_t robot = 0;
  Timestamp time;
  std::string_view program;  // "idle", "A", "B", "C"
  std::vector<FrameValue> values;
};

// Thread rule: one thread.
class Factory {
 public:
  // Throws std::invalid_argument with one sentence for options out of range.
  explicit Factory(const FactoryOptions& options);
  ~Factory();
  Factory(const Factory&) = delete;
  Factory& operator=(const Factory&) = delete;

  static std::span<const SensorType> sensors();  // the same twelve for every robot
  std::size_t robots() const;
  const std::string& machine(std::size_t robot) const;  // R001..
  const std::string& line(std::size_t robot) const;     // line1.., ten robots each
  bool works_days_only(std::size_t robot) const;

  const std::vector<Label>& labels() const;  // by start
  Timestamp learning_until() const;          // no fault starts before: 45 % of the run
  Timestamp end() const;

  // The next message of all, in the order of time; false when the duration is over. `out` is
  // reused.
  bool next(Frame& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millwright::simulator
