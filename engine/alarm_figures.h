// How the alarm system itself does, by the figures of EEMUA 191 and IEC 62682: how many alarms
// people get in ten minutes, floods, standing and chattering ones, the worst sensors, the mix of
// severities.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/alert.h"
#include "core/codec.h"
#include "core/time.h"

namespace millwright::engine {

struct WorstSensor {
  std::string machine, sensor;
  std::uint64_t alerts = 0;  // raised in the last one to two days
  static void fields(auto& io, auto& w) { io(w.machine, w.sensor, w.alerts); }
};

struct AlarmFigures {
  std::uint64_t raised = 0, notified = 0, held_back = 0;  // since the state began
  std::array<std::uint64_t, 3> by_severity{};             // raised, notice first
  // Of the last 24 h, in slots of ten minutes:
  double notified_per_slot = 0;  // mean; at most 1 can be attended to
  std::uint32_t most_notified = 0, most_raised = 0;
  double flood_share = 0;  // of the time; a flood begins above 10 notifications, ends below 5
  // Now:
  std::uint64_t open = 0, unacknowledged = 0, shelved = 0, suppressed = 0;
  std::uint64_t chattering = 0, stale = 0;  // stale: open for more than a day
  std::uint64_t waiting = 0;                // cases over the budget that people were not told of
  std::vector<WorstSensor> worst;           // most alerts first, up to ten

  void merge(const AlarmFigures& other);  // of another lane
};

class AlarmCounts {
 public:
  void raise(const Alert& alert, Timestamp now);
  void notify(Timestamp now);
  void hold_back() { ++held_back_; }
  void fill(AlarmFigures& figures, Timestamp now) const;
  static void fields(auto& io, auto& c) {
    io(c.raised_, c.notified_, c.held_back_, c.by_severity_, c.slots_, c.day_, c.today_,
       c.yesterday_);
  }

 private:
  struct Slot {
    std::int64_t number = 0;  // of ten minutes since 1970
    std::uint32_t raised = 0, notified = 0;
    static void fields(auto& io, auto& s) { io(s.number, s.raised, s.notified); }
  };
  Slot& slot(Timestamp now);
  void begin_day(Timestamp now);

  std::uint64_t raised_ = 0, notified_ = 0, held_back_ = 0;
  std::array<std::uint64_t, 3> by_severity_{};
  std::vector<Slot> slots_;  // of the last 24 h in which anything was, oldest first
  std::int64_t day_ = 0;
  std::vector<WorstSensor> today_, yesterday_;
};

}  // namespace millwright::engine
