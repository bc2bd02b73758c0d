// What the engine is to do, as immutable data: profiles, alarm rules, limits. Filled in by config,
// read by the engine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "core/time.h"
#include "engine/budget.h"
#include "engine/wave_profile.h"

namespace millwright::engine {

struct DetectorChoice {
  std::string name;            // one of detectors::types()
  ParameterValues parameters;  // overlaid on the detector's defaults
  friend bool operator==(const DetectorChoice&, const DetectorChoice&) = default;
};

// When a score becomes an alert and when the alert is over.
struct AlarmRule {
  Duration on_delay{0};  // the score must stay at the limit this long (event time)
  Duration off_delay =
      std::chrono::seconds{60};  // and below `clear_ratio` this long, before the alert clears
  double limit = 1;              // alarm at this ratio: `sensitivity` low 1.5, normal 1, high 0.7
  double clear_ratio = 0.8;      // of that limit
  bool latch = false;            // what is over stays until somebody has taken note
  friend bool operator==(const AlarmRule&, const AlarmRule&) = default;
};

// How sensors whose `machine/sensor` matches are treated. First match gives the profile.
struct Profile {
  std::string match =
      "*";  // glob over machine/sensor: * any run (a slash too), ? one character, [abc] one of
  std::string unit;
  std::string advice;
  std::string label;  // what a mechanic calls it ("Joint 3 temperature"); empty: the sensor's name
  std::vector<DetectorChoice> detectors;
  AlarmRule alarm;
  std::optional<Waveform> waveform;  // its samples are watched by what windows of them say
  friend bool operator==(const Profile&, const Profile&) = default;
};

// What tells what a machine is doing. Values are then held against what is usual in that regime.
struct RegimeRule {
  std::string sensor;        // its values name the regimes; empty: they are not told apart
  std::vector<double> bins;  // rising edges between regimes; none: every value is one
  Duration settle = std::chrono::seconds{5};    // after a change: the transition
  std::uint32_t warmup = 50;                    // readings of a sensor in a regime, and
  Duration learning = std::chrono::minutes{5};  // time in it, before it is compared with
  std::uint32_t learned = 0;  // find at most so many where no sensor names them; 0: do not look
  Duration find = std::chrono::hours{24};  // for so long new ones may join
  bool used() const { return !sensor.empty() || learned > 0; }
  friend bool operator==(const RegimeRule&, const RegimeRule&) = default;
};

// How machines whose name matches are watched as a whole. First match counts.
struct MachineProfile {
  std::string match = "*";     // glob over the machine's name
  bool watched = true;         // by the detector `machine`, from two sensors on
  ParameterValues parameters;  // overlaid on that detector's defaults
  std::string advice;
  std::string label;  // what a mechanic calls it; empty: the machine's name
  RegimeRule regime;
  std::string model;  // machines of one model are held against each other; empty: it is not
  // Many sensors: a passing change is none, and one quiet minute is no recovery.
  AlarmRule alarm{.on_delay = std::chrono::seconds{60}, .off_delay = std::chrono::minutes{10}};
  friend bool operator==(const MachineProfile&, const MachineProfile&) = default;
};

// How alerts are put together and told to people.
struct DeskRule {
  BudgetRule budget;
  Duration gather = std::chrono::seconds{10};    // before people are told of a new case
  Duration together = std::chrono::minutes{10};  // a case goes on while alerts are no further apart
  std::uint32_t chatter_times = 3;               // raised so often
  Duration chatter_window = std::chrono::minutes{30};  // within this: it chatters, until quiet as
                                                       // long
  Duration escalate_after{0};   // open and nobody took note so long: critical; 0: never
  Duration escalate_within{0};  // the forecast may come true so soon: critical; 0: never
  friend bool operator==(const DeskRule&, const DeskRule&) = default;
};

struct Plan {
  std::string site = "site";
  std::vector<Profile> profiles;  // overrides of single sensors stand first
  std::vector<MachineProfile> machines;
  ParameterValues fleet;  // overlaid on the defaults of engine/fleet.h
  DeskRule desk;
  std::uint32_t max_sensors = 20000;
  Duration reorder{0};  // readings are held back this long to be put in order; 0: not at all
  Duration future_tolerance = std::chrono::minutes{5};
  Duration lag_limit = std::chrono::hours{24};  // what is further behind may have a wrong clock
  Duration oldest_accepted = std::chrono::hours{24 * 366 * 100};
  friend bool operator==(const Plan&, const Plan&) = default;
};

// The detectors of a ready-made set: `auto` or `precise`, each with what finds faults of the sensor
// itself. Nothing for another name.
std::optional<std::vector<DetectorChoice>> detector_set(std::string_view name);
std::vector<DetectorChoice> auto_detectors();

// The profile for a sensor: the first match, else `auto` alone.
const Profile& profile_for(const Plan& plan, std::string_view machine, std::string_view sensor);
// The profile for a machine as a whole: the first match, else the defaults.
const MachineProfile& machine_profile_for(const Plan& plan, std::string_view machine);

// Does the glob match the whole text? `*` any run of characters, `?` one, `[abc]` and `[a-z]` one
// of.
bool glob_matches(std::string_view glob, std::string_view text);

}  // namespace millwright::engine
