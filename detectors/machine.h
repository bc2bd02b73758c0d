// The machine as a whole: what no single sensor shows, or several show a little. Looks at all
// sensors of a machine at once (a frame) and says one ratio, by seven heads; the loudest counts.
//
// state      sum over sensors of how far the means of the newest 10, 20 and 40 frames stand outside
//            the band of normal levels. A level that deviates does not move its band (key rule).
// change     sum over sensors of unusual steps between neighbouring windows of 10 and 30 frames.
// t_squared  Hotelling's T^2 in the kept principal components of this frame and the one before.
// spe        squared prediction error outside them: sensors that no longer go together.
// spe_mean   the same of slowly averaged deviations: small, lasting.
// spe_energy averaged spe: deviations that are no larger but more frequent.
// drift      slow degradation, against the frozen reference; only of sensors that were steady.
//
// Limits come from the statistics' own past (gamma by their moments) or, for state and drift, grow
// with the number of independent sensors: a machine of many sensors raises hardly more false alarms
// than one of few. Formulae, parameters, cost, what it misses, papers: docs/detectors/machine.md.
// Constants marked * were chosen on labelled data (SKAB, Tennessee Eastman, C-MAPSS), one set for
// all; the others follow from theory.
//
// Unit of time: the frame. Thread rule: pure functions of their arguments.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "core/time.h"
#include "detectors/habit.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

// One look at a machine: the newest value of each of its sensors. NaN: none that is fresh (gap, not
// reporting, faulty sensor). values[i] belongs to the machine's i-th sensor for ever; more may join
// at the end. Those beyond MachineLevel::most_sensors are not looked at.
struct MachineFrame {
  Timestamp time;
  std::span<const double> values;
  std::uint8_t regime = 0;  // what the machine does meanwhile, see MachineLevel::State
};

struct MachineScore {
  double ratio = 0;  // 1 is the alarm limit at normal sensitivity
  std::optional<Timestamp> onset{};
  std::string_view head{};
};

// Mean and variance of a statistic, learned value by value.
struct Moments {
  double count = 0, mean = 0, variance = 0;

  // The newest value counts 1/count, and at least `slowest`.
  void learn(double value, double slowest = 0);
  // What a gamma variable of these moments exceeds as rarely as a normal one exceeds `sigma`
  // (Box 1954; Wilson and Hilferty 1931). `fresh` is the share of values that are not repetitions
  // of their neighbours: of few, the variance is not well known, and the limit is wider. 0 when
  // nothing is known.
  double limit(double sigma, double fresh = 1) const;

  static void fields(auto& io, auto& self) {
    io(self.count, self.mean, self.variance);
    refuse_unless(io, self.count >= 0 && self.count <= 1e12 && in_bounds(self.mean) &&
                          self.variance >= 0 && self.variance <= largest_square);
  }
};

struct MachineLevel {
  static constexpr std::string_view name = "machine";
  static constexpr AlertKind kind = AlertKind::machine;
  static constexpr std::uint16_t state_version = 3;
  static constexpr std::size_t most_sensors = 64;

  struct Params {
    std::uint32_t warmup = 300;
    Duration learning = std::chrono::hours{24};
    static void describe(auto& visit, auto& p) {
      visit("warmup", "frames", Range{16, 1000000}, "Frames a sensor is learned for, at least",
            p.warmup);
      visit("learning_s", "s", Range{0, 315360000}, "Time a sensor is learned for, at least",
            p.learning);
    }
  };

  enum Head : std::uint8_t {
    by_state,
    by_change,
    by_t_squared,
    by_spe,
    by_mean,
    by_energy,
    by_drift
  };
  static constexpr std::array<std::string_view, 7> heads{
      "state", "change", "t_squared", "spe", "spe_mean", "spe_energy", "drift"};
  using PerHead = std::array<double, heads.size()>;

  static constexpr std::array<std::size_t, 3> windows{10, 20, 40};  // frames *
  static constexpr std::array<std::size_t, 2> steps{10, 30};        // frames *
  static constexpr std::size_t kept = 60;  // frames: two of the longest step
  static constexpr std::uint32_t most_blocks = 32;

  // Normal levels of one feature: an interval. What lies outside for one and a half learning
  // periods is taken in.
  struct Band {
    float low = 0, high = 0;
    float spread = 0;           // deviation of a normal level from the band; 0: too little was seen
    float slow = 0, stray = 0;  // mean of normal levels and their variance about it, of late
    float candidate = 0;        // level while outside
    std::uint32_t outside = 0;  // frames

    double distance(double level) const;
    // A normal level, of `period` frames of learning.
    void learn_straying(double level, std::uint32_t period);
    // `z` is distance / spread. True when what was outside has just been taken in.
    bool follow(double level, double z, double rate, double forgotten, std::uint32_t patience);
    static void fields(auto& io, auto& b) {
      io(b.low, b.high, b.spread, b.slow, b.stray, b.candidate, b.outside);
      refuse_unless(io, in_bounds(b.low, b.high, b.slow, b.candidate) &&
                            positive_in_bounds(b.spread) && b.stray >= 0 &&
                            b.stray <= largest_square);
    }
  };

  // What is known of one sensor. All values are relative to its first (`origin`).
  struct Sensor {
    double origin = 0;
    Timestamp since{};
    std::uint32_t seen = 0;     // frames with a value, from the first change on
    std::uint32_t moved = 0;    // changes of value, up to least_moves
    std::uint32_t learned = 0;  // `seen` when learning ended; 0 before
    bool started = false;
    std::array<float, kept> recent;       // ring, by frame; NaN: no value
    double mean = 0, variance = 0;        // frozen when learned
    double center = 0;                    // slow level, what PCA measures deviations from
    double track = 0;                     // fast level, the same for sensors that wander
    float scale = 0;                      // deviation of the values
    float wander = 0;                     // 1: independent values; large: slow wandering
    float weight = 1;                     // 1/how many sensors say the same
    float lately = 0;                     // averaged deviation from `center` or `track`, in scales
    float drifted = 0;                    // averaged deviation from `mean`, in scales
    float energy = 0;                     // averaged part in spe
    float taken_low = 0, taken_high = 0;  // levels taken in since, from `mean`, in scales
    std::array<Moments, windows.size()> levels{};
    std::array<Band, windows.size()> bands{};
    std::array<Moments, steps.size()> changes{};
    std::array<float, most_blocks> blocks{};  // means of equally long runs of values
    std::uint32_t block_count = 0, block_length = 4, block_fill = 0;
    double block_sum = 0;

    Sensor() { recent.fill(std::numeric_limits<float>::quiet_NaN()); }
    bool ready() const { return learned > 0; }
    static void fields(auto& io, auto& s) {
      io(s.origin, s.since, s.seen, s.moved, s.learned, s.started, s.recent, s.mean, s.variance,
         s.center, s.track, s.scale, s.wander, s.weight, s.lately, s.drifted, s.energy, s.taken_low,
         s.taken_high, s.levels, s.bands, s.changes, s.blocks, s.block_count, s.block_length,
         s.block_fill, s.block_sum);
      refuse_unless(io, sound(s));
    }
  };

  // Principal components of two neighbouring frames.
  struct Model {
    std::vector<std::uint8_t> members;  // sensors it is of, rising
    std::vector<float> variances;       // of the components kept
    std::vector<float> vectors;         // 2 x members per component: this frame, the one before
    static void fields(auto& io, auto& m) { io(m.members, m.variances, m.vectors); }
  };

  // Habits without the wide reach of a record's first day: time is counted in frames here.
  static std::array<Habit, heads.size()> grown_up() {
    std::array<Habit, heads.size()> out;
    for (auto& habit : out) habit.age = Habit::grown_up;
    return out;
  }

  struct State {
    std::uint64_t frames = 0;
    std::uint32_t learned = 0;       // the longest learning of a sensor, frames; 0: none is ready
    std::uint32_t locked = 0;        // frames since spe and its kin were last calm
    bool alarmed = false;            // the state head, for its hysteresis
    std::optional<Timestamp> onset;  // since when the ratio is near the limit
    std::vector<Sensor> sensors;
    std::vector<double> now, before;  // covariances of a frame, and of a frame with the one before
    Model model;
    std::array<Moments, heads.size()> past{};             // of the statistics, while calm
    std::vector<Moments> usual_spe;                       // the same of spe, by regime
    std::array<Habit, heads.size()> habits = grown_up();  // of ratios: what recurs is normal
    static void fields(auto& io, auto& s) {
      io(s.frames, s.learned, s.locked, s.alarmed, s.onset, s.sensors, s.now, s.before, s.model,
         s.past, s.usual_spe, s.habits);
      refuse_unless(io, sound(s));
    }
  };

  // What `score` works out and `learn` needs again.
  struct Memo {
    struct Look {
      double value = 0;      // relative to the origin; NaN: none
      double deviation = 0;  // from the sensor's center, in scales
      double residual = 0;   // its part in spe
      std::array<double, windows.size()> levels{}, distances{};
      std::array<double, steps.size()> changes{};
      PerHead parts{};
    };
    std::vector<Look> looks;  // by sensor
    PerHead statistics{}, ratios{};
    PerHead heights{};     // ratios as they were without habits and hysteresis
    double whole_spe = 0;  // not yet measured against its regime
    bool scored = false, changes_known = false, modelled = false;
  };

  // Nothing while no sensor is learned.
  static std::optional<MachineScore> score(const Params&, const State&, const MachineFrame&);
  static std::optional<MachineScore> score(const Params&, const State&, const MachineFrame&, Memo&);
  // Follows score, once per frame; adds sensors as they join. Trust::suspicious: the frame teaches
  // neither covariances nor limits; bands follow their own rule.
  static void learn(const Params&, State&, const MachineFrame&, Trust);
  static void learn(const Params&, State&, const MachineFrame&, Trust, const Memo&);
  // What value `which` of the frames means has changed: it is learned anew, and so is how the
  // sensors go together. Without any learned sensor left, all is.
  static void forget(State&, std::size_t which);
  // Per value of the frame, >= 0, sum 1 (or all 0): parts in the loudest head.
  static std::vector<double> shares(const Params&, const State&, const MachineFrame&);
  // 0..1: how many frames are learned, of four times the learning period.
  static double confidence(const Params&, const State&);

  static bool sound(const Sensor&);
  static bool sound(const State&);
};

}  // namespace millwright::detectors
