// Machines of one model against each other: the odd one out, with the sensor that sets it apart.
//
// A small engine of its own after the lanes, under the same contract: a pure function of the
// summaries that it is fed, in their order; state is bytes; alerts have ids that a replay repeats.
//
// Per model, sensor name and window of event time (an hour):
//   x      median of the minute means in the window, less the machine's own offset
//   off    from x to that of the last of the nearest quarter of its sisters
//   scale  the largest of: the machine's own learned root mean square of off; the median of all
//          machines'; the median of |off| over the machines in this window
//   ratio  |off| / (threshold scale)
// Offset (machines differ from the start: from the median of the others) and scale are learned over
// `learning` windows; afterwards the offset stays, and the scale follows only windows below half
// the limit. A machine that keeps company with a quarter of its sisters is not odd: when half a
// fleet drifts with the weather, none is. An alert is raised by the machine's loudest sensor after
// `windows` windows in a row at the limit, and cleared when that sensor was below 0.6 for as many.
// At least four machines.
//
// Page: docs/fleet.md. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert.h"
#include "core/codec.h"
#include "core/parameters.h"
#include "core/summary.h"
#include "detectors/numbers.h"
#include "engine/alarm.h"
#include "engine/engine.h"
#include "engine/plan.h"

namespace millwright::engine {

class Fleet {
 public:
  static constexpr std::string_view name = "fleet";
  static constexpr std::uint16_t state_version = 1;
  static constexpr std::size_t least_machines = 4;

  struct Params {
    Duration window = std::chrono::hours{1};
    double threshold = 6;
    std::uint32_t windows = 3;
    std::uint32_t learning = 72;
    static void describe(auto& visit, auto& p) {
      visit("window_s", "s", Range{300, 604800}, "Machines are compared once in this time",
            p.window);
      visit("threshold", "sigma", Range{1, 100},
            "Deviations from its sisters that set a machine apart", p.threshold);
      visit("windows", "windows", Range{1, 1000}, "For so many windows in a row", p.windows);
      visit("learning", "windows", Range{8, 100000},
            "How long it is learned how the machines differ from each other", p.learning);
    }
  };

  explicit Fleet(std::shared_ptr<const Plan> plan);  // shared: as the engine's

  // One sensor's minute, in the order in which they are told. Appends alerts.
  void take(const SensorInfo& who, const Summary& summary, std::vector<Alert>& alerts);
  // What a step of the engine brought, in the order of the journal; `alerts` may be the effects'
  // own.
  void follow(const Engine& engine, const Effects& effects, std::vector<Alert>& alerts);
  // The machine was serviced or is to be learned anew: how it differs from its sisters, too.
  void renew(std::string_view machine, std::vector<Alert>& alerts);
  // All machines are to be learned anew, as they will be compared with others.
  void renew_all(std::vector<Alert>& alerts);

  std::string save() const;
  // Under another plan, machines whose model changed begin anew, all of them when the parameters
  // did; their alerts are closed. False, and nothing is changed, when the bytes cannot be read.
  bool restore(std::string_view bytes, std::vector<Alert>& alerts);

  // One machine's sensor, and what is known of how it differs from its sisters.
  struct Sensor {
    std::string name, unit, label;
    std::vector<double> open, next;  // minute means in this window and the one after
    std::uint64_t learned = 0;       // windows
    double offset = 0, variance = 0;
    double ratio = 0;  // in the window before
    double off = 0;    // e in the window before
    static void fields(auto& io, auto& s) {
      io(s.name, s.unit, s.label, s.open, s.next, s.learned, s.offset, s.variance, s.ratio, s.off);
      detectors::refuse_unless(io, detectors::in_bounds(s.offset, s.off) && s.variance >= 0 &&
                                       s.variance <= detectors::largest_square &&
                                       detectors::positive_in_bounds(s.ratio) && s.sound());
    }
    bool sound() const;
  };
  struct Member {
    std::string machine;
    std::vector<Sensor> sensors;  // by name
    Alarm alarm;
    std::string apart;  // the sensor of the alarm
    IssuedOnsets issued;
    static void fields(auto& io, auto& m) {
      io(m.machine, m.sensors, m.alarm, m.apart, m.issued);
      detectors::refuse_unless(io, m.sound());
    }
    bool sound() const;
  };
  struct Model {
    std::string name;
    Timestamp window{};           // start of the open one
    std::vector<Member> members;  // by name
    static void fields(auto& io, auto& m) { io(m.name, m.window, m.members); }
  };

 private:
  void close_window(Model& model, std::vector<Alert>& alerts);
  void compare(Model& model, std::string_view sensor);
  void judge(Model& model, Member& member, std::vector<Alert>& alerts);
  void begin_anew(const Model& model, Member& member, std::vector<Alert>& alerts) const;
  Alert alert_of(const Model& model, const Member& member, AlertEvent event, Timestamp time) const;
  Timestamp window_of(Timestamp time) const;

  std::shared_ptr<const Plan> plan_;
  Params params_;
  std::uint64_t fingerprint_ = 0;
  AlarmRule rule_;
  std::vector<Model> models_;  // by name
  Position position_ = 0;      // of the newest summary
};

}  // namespace millwright::engine
