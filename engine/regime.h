// Regimes: what a machine is doing, told by one of its sensors (a program number, a speed), and how
// the values of its other sensors usually lie meanwhile. Detectors that learn see values measured
// against their regime, so that one baseline serves all programs and what is odd in one of them is
// odd.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/codec.h"
#include "core/reading.h"
#include "detectors/numbers.h"
#include "engine/plan.h"

namespace millwright::engine {

// Index of a regime of one machine, in the order in which they were first seen; for ever.
using RegimeId = std::uint8_t;
inline constexpr RegimeId no_regime = 0;          // nothing has named one yet
inline constexpr RegimeId regime_transition = 1;  // just after a change
inline constexpr RegimeId other_regimes = 2;      // all beyond the most
inline constexpr RegimeId first_regime = 3;

// Which regime a machine is in.
class Regimes {
 public:
  static constexpr std::size_t most = 48;  // named ones

  // A reading of the sensor that names them. True when its regime was never seen before.
  bool follow(const RegimeRule& rule, const Sample& named);
  // Without such a sensor: one more, and that the machine is in another since then.
  void add(double key);
  void change(Timestamp time, RegimeId to);
  // The regime at this time, as far as the newest changes tell.
  RegimeId at(const RegimeRule& rule, Timestamp time) const;
  // Such as `program-2`, `speed-20-to-40`, `transition`; `1`, `2`, ... where they were found; empty
  // for no_regime.
  std::string name(const RegimeRule& rule, RegimeId id) const;
  // The one named last.
  RegimeId newest() const { return changes_.front().to; }
  std::size_t size() const { return keys_.size() + first_regime; }

  static void fields(auto& io, auto& r) {
    io(r.keys_, r.changes_, r.known_);
    detectors::refuse_unless(io, r.keys_.size() <= most && r.known_ <= r.changes_.size());
    for (const auto& change : r.changes_)
      detectors::refuse_unless(io, change.to < r.keys_.size() + first_regime);
  }

 private:
  struct Change {
    Timestamp time{};
    RegimeId to = no_regime;
    static void fields(auto& io, auto& c) { io(c.time, c.to); }
  };
  std::vector<double> keys_;         // value, or number of the bin
  std::array<Change, 8> changes_{};  // newest first
  std::uint8_t known_ = 0;           // so many of them
};

// Where the middle of the usual values lies, and how far they scatter, in the sensor's unit.
struct Measure {
  double mean = 0, scale = 1;
  double confidence = 1;  // 0..1: how much of what can be known of them is
  // What was learned from little is not known well: limits are so many times wider.
  double caution() const { return 1 + most_caution * (1 - confidence); }
  static void fields(auto& io, auto& m) { io(m.mean, m.scale, m.confidence); }
  double from(double value) const { return (value - mean) / scale; }
  double to(double measured) const { return mean + measured * scale; }

 private:
  static constexpr double most_caution = 0.5;
};

// Of everything that shapes what is learned by regime.
std::uint64_t rule_fingerprint(const RegimeRule& rule);

// How the values of one sensor lie in each regime. What does not follow the regimes at once, such
// as a temperature with its thermal lag, is better left as it is: measured against them it would
// jump at every change. That is seen from the first changes: the first regime is compared until it
// is left, and after that nothing until it is seen.
class UsualValues {
 public:
  // Nothing while the regime is being learned.
  std::optional<Measure> measure(const RegimeRule& rule, RegimeId regime) const;
  // The same of what is sure to follow the regimes at once.
  std::optional<Measure> measure_at_once(const RegimeRule& rule, RegimeId regime) const;
  // Readings learned in the regime.
  std::uint32_t learned(RegimeId regime) const;
  std::uint64_t learned() const;  // in all of them
  // 0..1: how much of what its baseline can hold it has learned.
  double confidence(const RegimeRule& rule, RegimeId regime) const;
  // `normal`: no detector finds it suspicious; others teach only what is young, as its limits are
  // not yet to be believed. `alert`: since when there is one; it teaches nothing to regimes that
  // were known before.
  void learn(const RegimeRule& rule, RegimeId regime, const Sample& sample, bool normal,
             std::optional<Timestamp> alert = {});

  static void fields(auto& io, auto& u) {
    io(u.regimes_, u.last_, u.last_time_, u.last_value_, u.first_known_, u.has_left_, u.follows_,
       u.jumps_, u.jumped_, u.measured_, u.change_, u.frame_);
    detectors::refuse_unless(
        io, u.regimes_.size() <= Regimes::most + first_regime && u.last_ <= u.regimes_.size() &&
                u.first_known_.value_or(0) <= u.regimes_.size() &&
                u.change_.from <= u.regimes_.size() && u.follows_ <= Follows::not_at_once &&
                u.jumps_ <= enough_jumps &&
                detectors::in_bounds(u.last_value_, u.change_.before, u.change_.after) &&
                is_square(u.jumped_) && is_square(u.measured_) &&
                detectors::in_bounds(u.frame_.mean) && u.frame_.scale > 0 &&
                detectors::in_bounds(u.frame_.scale));
  }

 private:
  struct Usual {
    std::uint32_t count = 0;
    double mean = 0, variance = 0;
    Duration lasted{0};              // time in the regime, visits added up
    std::optional<Timestamp> known;  // since when

    static void fields(auto& io, auto& u) {
      io(u.count, u.mean, u.variance, u.lasted, u.known);
      detectors::refuse_unless(io, detectors::in_bounds(u.mean) && u.variance >= 0 &&
                                       u.variance <= detectors::largest_square &&
                                       u.lasted >= Duration{0});
    }
  };
  // The change of regime that began this visit.
  struct Change {
    RegimeId from = no_regime;
    bool open = false;
    double before = 0, after = 0;  // values
    static void fields(auto& io, auto& c) { io(c.from, c.open, c.before, c.after); }
  };
  enum class Follows : std::uint8_t { unknown, at_once, not_at_once };
  static constexpr std::uint8_t enough_jumps = 4;

  static bool is_square(double v) { return v >= 0 && v <= detectors::largest_square; }
  Measure measure_of(RegimeId regime, const RegimeRule& rule) const;
  void judge_change(const RegimeRule& rule);
  void decide(const RegimeRule& rule);
  bool is_known(const RegimeRule& rule, RegimeId regime) const;
  static bool is_known(const RegimeRule& rule, const Usual& usual);
  static bool is_young(const RegimeRule& rule, const Usual& usual);

  std::vector<Usual> regimes_;
  RegimeId last_ = no_regime;  // of the reading before
  Timestamp last_time_{};
  double last_value_ = 0;
  std::optional<RegimeId> first_known_;
  bool has_left_ = false;  // it, since it is known
  Follows follows_ = Follows::unknown;
  std::uint8_t jumps_ = 0;
  double jumped_ = 0, measured_ = 0;  // sums of squared jumps
  Change change_;
  Measure frame_;  // of the first regime, for what does not follow them
};

}  // namespace millwright::engine
