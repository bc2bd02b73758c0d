// How a machine is, in one number: 100 like its baseline, 0 where its deviation reaches `limit`.
//
// Evidence, per frame: the ratios of the seven heads of the machine level, and of each sensor the
// highest ratio that its own detectors of class machine said. A ratio of 1 is an alarm limit.
//   x   = max(0, ratio - 0.5), averaged with rate 8 / learned, of every head and every sensor
//   level = (sum of x^2 over the heads and the worst sensor)^(1/4)
//   health = 100 max(0, 1 - level / limit)
// The heads' statistics are squares of deviations: the root is in deviations again, so that wear at
// a constant rate takes the health down at a constant rate. `learned` is how many frames the
// machine was learned for: an eighth of that is the time constant, a sixteenth a block of the
// prognosis (detectors/prognosis.h). More evidence never means more health.
//
// Page: docs/detectors/health.md. Pure; state 1.8 KB and 4 bytes a sensor.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/time.h"
#include "detectors/machine.h"
#include "detectors/numbers.h"
#include "detectors/prognosis.h"

namespace millwright::detectors {

struct Health {
  static constexpr std::string_view name = "health";
  static constexpr double best = 100;

  struct Params {
    double limit = 6;  // * chosen on C-MAPSS
    static void describe(auto& visit, auto& p) {
      visit("health_limit", "1", Range{1, 100},
            "Deviation at which the health is 0, in alarm limits: 6 is 36 times the squared "
            "deviation that raises an alert",
            p.limit);
    }
  };

  struct State {
    std::array<double, MachineLevel::heads.size()> heads{};
    std::vector<float> sensors{};
    std::uint32_t learned = 0;  // frames; 0: nothing was taken in
    Prognosis::State levels{};
    Prognosis::Outlook outlook{};
    std::optional<Timestamp> since{};  // when the level rose, if it has not gone back
    static void fields(auto& io, auto& s) {
      io(s.heads, s.sensors, s.learned, s.levels, s.outlook, s.since);
      for (const double x : s.heads) refuse_unless(io, positive_in_bounds(x));
      for (const float x : s.sensors) refuse_unless(io, positive_in_bounds(double{x}));
      refuse_unless(io, s.sensors.size() <= MachineLevel::most_sensors);
    }
  };

  // What was said in one frame.
  struct Evidence {
    Timestamp time{};
    std::span<const double> heads;   // ratios
    std::span<const float> sensors;  // ratios, by sensor; NaN: nothing was said
    std::uint32_t learned = 1;       // frames that the machine was learned for
  };
  static void learn(const Params&, State&, const Evidence&);

  static double level(const State&);
  static double index(const Params&, const State&);  // 0..100
  static double slope(const Params&, const State&);  // of the index, per second
  // Shares of the level by head and by sensor: all of them add up to 1, or are 0.
  struct Parts {
    std::array<double, MachineLevel::heads.size()> heads{};
    std::vector<double> sensors;
  };
  static Parts parts(const State&);
  // When the health will be 0, if the interval is narrow enough to act on: no longer than three
  // times the time in which it has been falling so far.
  static std::optional<Crossing> forecast(const State&, Timestamp now);

  // One sensor is learned anew: what it said does not count, and no forecast is made from before.
  static void forget(State&, std::size_t sensor);
};

}  // namespace millwright::detectors
