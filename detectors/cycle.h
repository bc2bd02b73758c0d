// A machine's own cycle, for the composite (composite.h): found by itself or named, followed
// through turns that are longer and shorter, and taken off: what is left of a reading at its moment
// of the cycle.
//
//   x = profile(place) + deviation(place) z,   place moves on by time / period and by what z says
//
// Search: means over 64 blocks of two readings and of 4, 8, 16 (periods.h). The profile has a knot
// a reading, 8 to 64, linear between them; a knot learns 1/16 of what its readings leave
// (normalised least mean squares), and its deviation the mean size of that: where a robot moves, it
// is larger. The place is that of a scalar Kalman filter: a turn strays by as much as turns did, 1
// % of the cycle at first, a reading by the deviation, and the slope of the profile ties both. The
// period follows the place's corrections, a tenth of them each turn.
//
// A cycle leads once it has been followed for eight turns and a reading's interpolation from its
// neighbours (neighbours.h) errs by a tenth less on what it leaves than on the values: a cycle
// whose course the neighbours tell as well is none to go by. What explains too little in the end,
// or is far off for a dozen readings, is searched anew.
//
// Values are float, relative to the sensor's origin; the table is in 400ths of their mean
// deviation, deviations in twelfths of an octave.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <optional>

#include "detectors/neighbours.h"
#include "detectors/numbers.h"
#include "detectors/periods.h"
#include "detectors/recent.h"

namespace millwright::detectors {

class Cycle {
 public:
  static constexpr std::size_t kept = 8;  // residuals before the newest
  enum class Change : std::uint8_t { none, gained, lost };

  // Are readings to be judged by what the cycle leaves of them?
  bool leads() const { return leads_; }
  // Without jumps: where a machine moves at once, being late by a reading is a deviation that
  // lasts.
  bool smooth() const { return smooth_; }
  const Ring<float, kept>& residuals() const { return residuals_; }
  const Neighbours& dynamics() const { return dynamics_; }
  // Seconds; 0: none is known.
  double period() const { return bins_ > 0 ? static_cast<double>(length_) : 0; }
  // What the cycle leaves of `x`, `elapsed` seconds after the reading before, in the mean
  // deviations of its moment; none while it is unknown.
  std::optional<double> residual(double x, double elapsed) const {
    if (bins_ == 0 || elapsed > static_cast<double>(length_) / 2) return std::nullopt;
    const auto here = at(moved(elapsed));
    if (!here) return std::nullopt;
    return (x - here->value) / here->deviation;
  }
  // The mean deviation `readings` before the newest, in the sensor's unit.
  double deviation(double readings) const {
    const auto here =
        bins_ > 0 ? at(moved(-readings * static_cast<double>(spacing_))) : std::nullopt;
    return here ? here->deviation : 0;
  }

  // `share`: of what the profile is to learn of this reading; `plain`: of the values themselves.
  Change learn(double x, double elapsed, double share, std::optional<double> named,
               const Neighbours& plain) {
    survey(x, elapsed);
    if (leads_ && bins_ > 0) {
      patience_ = std::min(patience_ + patience_gain, most_patience);
    } else if (leads_ && --patience_ == 0) {
      return give_up();
    }
    if (bins_ > 0) return follow(x, elapsed, share, named.has_value(), plain);
    return named ? begin_named(*named) : search(x, elapsed);
  }

  static void fields(auto& io, auto& self) {
    io(self.table_, self.deviations_, self.residuals_, self.dynamics_, self.middle_, self.size_,
       self.spacing_, self.length_, self.place_, self.unit_, self.anchor_, self.sum_, self.error_,
       self.unsure_, self.astray_, self.stray_, self.typical_, self.readings_, self.wait_,
       self.patience_, self.count_, self.turns_, self.filled_, self.bins_, self.failures_,
       self.leads_, self.smooth_);
    bool sound = self.filled_ <= places && self.bins_ <= places &&
                 (self.bins_ == 0 || (self.bins_ >= least_bins && self.length_ > 0)) &&
                 (self.length_ <= 0 || self.unit_ > 0) && self.failures_ <= most_failures &&
                 self.patience_ <= most_patience && (!self.leads_ || self.patience_ > 0) &&
                 self.place_ >= 0 &&
                 (self.bins_ == 0 || self.place_ < static_cast<float>(self.bins_));
    for (const float v : {self.middle_, self.anchor_, self.sum_})
      sound = sound && std::abs(v) <= largest;
    for (const float v : {self.size_, self.spacing_, self.length_, self.place_, self.unit_,
                          self.error_, self.unsure_, self.astray_, self.stray_, self.typical_})
      sound = sound && v >= 0 && v <= largest;
    refuse_unless(io, sound);
  }

 private:
  static constexpr std::size_t places = 64;
  static constexpr std::uint8_t least_bins = 8, most_failures = 5;
  static constexpr std::int16_t missing = std::numeric_limits<std::int16_t>::min();
  static constexpr float largest = 1e37F;
  static constexpr double resolution = 1.0 / 400;            // of the mean deviation
  static constexpr std::uint32_t surveyed = 64;              // readings before the search
  static constexpr std::uint32_t memory = 500;               // readings, of middle and deviation
  static constexpr double first_block = 2, last_block = 16;  // readings
  static constexpr std::uint32_t short_pause = 256;          // readings, of a machine that rests
  // Readings: what led goes on leading while it is there a ninth of the time.
  static constexpr std::uint32_t patience_gain = 8, most_patience = 1U << 20U;
  static constexpr std::uint32_t pause = 1024;       // readings, doubled with each failure
  static constexpr double profile_share = 1.0 / 16;  // of a visit
  static constexpr double usual_stray = 0.01, least_stray = 0.0005, most_stray = 0.05,
                          stray_share = 0.05, first_stray = 0.05;  // of the cycle
  static constexpr double period_share = 0.1, most_turned = 0.02;
  static constexpr std::uint16_t least_turns = 8, most_turns = 24;  // of a trial
  static constexpr std::uint32_t least_dynamics = 200;              // readings of a trial
  static constexpr double better = 0.9;                       // of the plain interpolation's error
  static constexpr double explains_none = 0.8;                // of the mean deviation, left
  static constexpr double clip = 3, outlier = 6, widest = 5;  // mean deviations
  static constexpr double astray_share = 1.0 / 16, far_off = 4;  // likewise
  static constexpr double outlying = 3;    // deviations of a reading from its forecast
  static constexpr double most_off = 0.1;  // of the cycle
  static constexpr double per_octave = 12, most_code = 255;
  static constexpr std::uint16_t settled_turns = 32;
  static constexpr double by_chance = 5;          // twelfths of an octave
  static constexpr double finest = 2;             // units: of a deviation
  static constexpr double first_deviation = 0.3;  // of the values' own

  struct Here {
    double value = 0, slope = 0;  // a bin
    std::size_t a = 0, b = 0;     // knots
    double share = 0;             // of b
    double deviation = 0;         // mean size of what is left
  };

  void survey(double x, double elapsed) {
    if (readings_ < std::numeric_limits<std::uint32_t>::max()) ++readings_;
    const double rate = std::max(1.0 / readings_, 1.0 / memory);
    if (readings_ > 1) {
      const double usual = static_cast<double>(spacing_);
      const double since = usual > 0 ? std::min(elapsed, 8 * usual) : elapsed;
      spacing_ = as_float(usual + (since - usual) / std::min(readings_ - 1, memory));
    }
    const double off = x - static_cast<double>(middle_);
    middle_ = as_float(static_cast<double>(middle_) + rate * off);
    const double size = static_cast<double>(size_);
    const double capped =
        readings_ > surveyed ? std::min(std::abs(off), outlier * size) : std::abs(off);
    size_ = as_float(size + rate * (capped - size));
  }

  // --- search ---

  Change search(double x, double elapsed) {
    if (wait_ > 0) {
      --wait_;
      return Change::none;
    }
    if (readings_ < surveyed || !(size_ > 0) || !(spacing_ > 0)) return Change::none;
    if (!(length_ > 0)) begin_sweep();
    place_ = as_float(static_cast<double>(place_) + elapsed);
    if (place_ >= length_ * static_cast<float>(places)) begin_sweep();  // a silence
    while (place_ >= length_ && filled_ < places) {
      table_[filled_++] = count_ > 0 ? narrow(static_cast<double>(sum_) / count_) : missing;
      sum_ = 0;
      count_ = 0;
      place_ -= length_;
    }
    auto change = Change::none;
    if (filled_ == places) change = look();
    if (bins_ > 0) return change;
    sum_ = as_float(static_cast<double>(sum_) + x);
    ++count_;
    return change;
  }
  void begin_sweep() {
    filled_ = 0;
    count_ = 0;
    place_ = sum_ = 0;
    length_ = as_float(first_block * static_cast<double>(spacing_));
    set_scale();
  }
  void set_scale() {
    anchor_ = middle_;
    unit_ = as_float(std::max(resolution * static_cast<double>(size_), 1e-30));
  }
  std::int16_t narrow(double x) const {
    const double in_units = (x - static_cast<double>(anchor_)) / static_cast<double>(unit_);
    return static_cast<std::int16_t>(std::lround(within(in_units, -32767.0, 32767.0)));
  }
  Change look() {
    PeriodBlocks<places> blocks;
    blocks.filled = places;
    std::transform(table_.begin(), table_.end(), blocks.mean.begin(), [](std::int16_t v) {
      return v == missing ? missing_block : static_cast<float>(v);
    });
    const double length = static_cast<double>(length_);
    const auto found = blocks.look(length);
    // What follows the clock is what profiles by the clock are for.
    if (found && !is_of_calendar(found->seconds)) {
      adopt(blocks, found->seconds);
      return Change::none;
    }
    if (length < last_block * static_cast<double>(spacing_)) {
      blocks.join();
      std::transform(blocks.mean.begin(), blocks.mean.end(), table_.begin(), [](float v) {
        return std::isnan(v) ? missing : static_cast<std::int16_t>(std::lround(v));
      });
      filled_ = places / 2;
      length_ *= 2;
      return Change::none;
    }
    return give_up();
  }
  Change give_up() {
    length_ = 0;
    filled_ = bins_ = 0;
    wait_ = static_cast<std::uint16_t>(leads_ && patience_ > 0 ? short_pause : pause << failures_);
    if (leads_ && patience_ > 0) return Change::none;  // a machine that rests for a while
    if (failures_ < most_failures) ++failures_;
    if (!leads_) return Change::none;
    leads_ = false;
    return Change::lost;
  }
  void adopt(const PeriodBlocks<places>& blocks, double period) {
    const double length = static_cast<double>(length_), lag = period / length;
    const double since = length * static_cast<double>(places) + static_cast<double>(place_);
    start_profile(period);
    const double cycles = since / period;
    place_ = within_cycle((cycles - std::floor(cycles)) * bins_);
    for (std::size_t knot = 0; knot < bins_; ++knot) {
      const double mean = blocks.mean_from(static_cast<double>(knot) / bins_ * lag - 0.5, lag);
      if (!std::isnan(mean)) table_[knot] = static_cast<std::int16_t>(std::lround(mean));
    }
  }
  void start_profile(double period) {
    length_ = as_float(period);
    const double readings = period / static_cast<double>(spacing_);
    bins_ = static_cast<std::uint8_t>(std::lround(
        within(readings, static_cast<double>(least_bins), static_cast<double>(places))));
    table_.fill(missing);
    filled_ = 0;
    place_ = sum_ = 0;
    count_ = turns_ = 0;
    error_ = size_;
    astray_ = 0;
    stray_ = as_float(usual_stray);
    const double code = per_octave * std::log2(first_deviation / resolution / finest);
    deviations_.fill(static_cast<std::uint8_t>(std::lround(code)));
    typical_ = deviations_[0];
    unsure_ = as_float(first_stray * first_stray * bins_ * bins_);
    residuals_.clear();
    if (!leads_) dynamics_ = {};
  }
  Change begin_named(double period) {
    if (readings_ < surveyed || !(size_ > 0) || !(spacing_ > 0)) return Change::none;
    if (period < static_cast<double>(least_bins) * static_cast<double>(spacing_))
      return Change::none;
    set_scale();
    start_profile(period);
    return Change::none;
  }

  // --- the cycle ---

  float within_cycle(double place) const {
    const auto most = static_cast<double>(bins_);
    double turned = std::fmod(place, most);
    if (turned < 0) turned += most;
    const auto out = as_float(turned);
    return out < static_cast<float>(bins_) ? out : 0;
  }
  double moved(double elapsed) const {
    return static_cast<double>(place_) + elapsed / static_cast<double>(length_) * bins_;
  }
  std::optional<Here> at(double place) const {
    const double here = static_cast<double>(within_cycle(place));
    Here out;
    out.a = static_cast<std::size_t>(here);
    out.b = out.a + 1 < bins_ ? out.a + 1 : 0;
    out.share = here - static_cast<double>(out.a);
    if (table_[out.a] == missing || table_[out.b] == missing) return std::nullopt;
    const double unit = static_cast<double>(unit_), a = table_[out.a], b = table_[out.b];
    out.slope = unit * (b - a);
    out.value = static_cast<double>(anchor_) + unit * a + out.share * out.slope;
    // Smoothed over the neighbours, and only what goes beyond chance is a knot's own: it sees few
    // readings.
    const std::size_t before = out.a > 0 ? out.a - 1 : bins_ - 1U,
                      after = out.b + 1 < bins_ ? out.b + 1 : 0;
    const double smooth =
        (deviations_[out.a] * (2 - out.share) + deviations_[out.b] * (1 + out.share) +
         deviations_[before] * (1 - out.share) + deviations_[after] * out.share) /
        4;
    const double typical = static_cast<double>(typical_), own = smooth - typical;
    const double code = typical + own - within(own, -by_chance, by_chance);
    out.deviation = deviation_of(code);
    return out;
  }
  Change follow(double x, double elapsed, double share, bool named, const Neighbours& plain) {
    if (elapsed > static_cast<double>(length_) / 2) {  // the place does not outlast a silence
      lose();
      return Change::none;
    }
    const double place = moved(elapsed);
    const auto here = at(place);
    double corrected = place;
    if (here) {
      const double r = x - here->value, z = r / here->deviation;
      learn_residual(r, z);
      corrected += correction(*here, r, elapsed);
      learn_profile(*here, r, share);
      if (turns_ >= 2 && astray_ > static_cast<float>(far_off)) {
        lose();
        return Change::none;
      }
    } else {
      const auto nearest =
          static_cast<std::size_t>(std::lround(static_cast<double>(within_cycle(place)))) % bins_;
      if (table_[nearest] == missing) table_[nearest] = narrow(x);
    }
    if (count_ < std::numeric_limits<std::uint16_t>::max()) ++count_;
    const bool turned = corrected >= static_cast<double>(bins_) && count_ > per_turn() / 2;
    place_ = within_cycle(corrected);
    return turned ? finish_turn(named, plain) : Change::none;
  }
  double per_turn() const {
    return static_cast<double>(length_) / std::max(static_cast<double>(spacing_), 1e-9);
  }
  void learn_residual(double r, double z) {
    const double size = std::abs(r), usual = static_cast<double>(error_);
    const double known = turns_ * per_turn() + count_ + 1;
    const double rate = std::max(1 / known, 0.5 / per_turn());
    error_ =
        as_float(usual + rate * (std::min(size, outlier * static_cast<double>(size_)) - usual));
    const double astray = static_cast<double>(astray_);
    astray_ = as_float(astray + astray_share * (std::min(std::abs(z), outlier) - astray));
    dynamics_.learn(z, 0, widest, residuals_);
    residuals_.add(as_float(z));
  }
  // How far the place is off, bins.
  double correction(const Here& here, double r, double elapsed) {
    const double step = elapsed / static_cast<double>(length_) * bins_;
    const double typical = deviation_of(static_cast<double>(typical_)), slope = here.slope;
    // What strays on a steep part is the place, not the noise.
    const double noise = normal_size * std::min(here.deviation, 2 * typical);
    if (is_steep(slope)) {
      const double seen = normal_size * std::min(std::abs(r / slope), 2.0) / bins_,
                   known = static_cast<double>(stray_);
      stray_ = as_float(within(known + stray_share * (seen - known), least_stray, most_stray));
    }
    const double stray = static_cast<double>(stray_);
    const double before = static_cast<double>(unsure_) + stray * stray * bins_ * step;
    const double variance = slope * slope * before + noise * noise;  // of r
    double off = 0, left = before;
    if (r * r <= outlying * outlying * variance) {  // an outlier says nothing of the place
      const double trust = before * slope / variance;
      left = (1 - trust * slope) * before;
      off = within(trust * r, -most_off * bins_, most_off * bins_);
    }
    unsure_ = as_float(std::min(left, most_off * most_off * bins_ * bins_));
    sum_ = as_float(static_cast<double>(sum_) + off);
    return off;
  }
  // Does the usual stray of the place count for more than the noise?
  bool is_steep(double slope) const {
    return std::abs(slope) * usual_stray * bins_ > 2 * deviation_of(static_cast<double>(typical_));
  }
  bool has_jumps() const {
    for (std::size_t i = 0; i < bins_; ++i) {
      const int here = table_[i], next = table_[i + 1U < bins_ ? i + 1U : 0];
      if (is_steep(static_cast<double>(unit_) * (next - here))) return true;
    }
    return false;
  }
  void learn_profile(const Here& here, double r, double share) {
    const double most = clip * here.deviation;
    const double rate = share * std::max(profile_share, 1.0 / (turns_ + 3.0));
    const double by = rate * within(r, -most, most) / static_cast<double>(unit_);
    const auto move = [&](std::size_t knot, double weight) {
      table_[knot] = static_cast<std::int16_t>(
          std::lround(within(table_[knot] + weight * by, -32767.0, 32767.0)));
    };
    move(here.a, 1 - here.share);
    move(here.b, here.share);
    // In proportion, of the nearer knot; in the end in every fourth turn, or what swings for long
    // would soon be its own yardstick.
    if (turns_ > settled_turns && turns_ % 4 != 0) return;
    auto& code = deviations_[here.share < 0.5 ? here.a : here.b];
    const double excess = std::min(std::abs(r) / here.deviation, outlier) - 1;
    const double moved = code + rate * excess * per_octave / std::numbers::ln2;
    const int before = code;
    code = static_cast<std::uint8_t>(std::lround(within(moved, 0, most_code)));
    typical_ = static_cast<float>(
        within(static_cast<double>(typical_) + (code - before) / static_cast<double>(bins_), 0,
               most_code));
  }
  Change finish_turn(bool named, const Neighbours& plain) {
    if (turns_ < std::numeric_limits<std::uint16_t>::max()) ++turns_;
    count_ = 0;
    const double turned = period_share * static_cast<double>(sum_) / bins_;
    length_ =
        as_float(static_cast<double>(length_) * (1 - within(turned, -most_turned, most_turned)));
    sum_ = 0;
    if (turns_ >= 3 && static_cast<double>(error_) > explains_none * static_cast<double>(size_)) {
      lose();
      return leads_ || named ? Change::none : give_up();
    }
    if (leads_ || turns_ < least_turns || dynamics_.count() < least_dynamics) return Change::none;
    if (typical_error() < better * plain.error()) {
      leads_ = true;
      smooth_ = !has_jumps();
      failures_ = 0;
      patience_ = patience_gain * least_dynamics;
      return Change::gained;
    }
    if (turns_ < most_turns || named) return Change::none;
    return give_up();
  }
  // Of the interpolation of what is left, in the sensor's unit: at the geometric mean of
  // deviations.
  double typical_error() const {
    return dynamics_.error() * deviation_of(static_cast<double>(typical_));
  }
  double deviation_of(double code) const {
    return finest * static_cast<double>(unit_) * std::exp2(code / per_octave);
  }
  // Back to the search, at once.
  void lose() {
    bins_ = filled_ = 0;
    length_ = 0;
    place_ = 0;
    residuals_.clear();
  }

  std::array<std::int16_t, places> table_{};  // of the search its blocks, then the profile's knots
  std::array<std::uint8_t, places> deviations_{};  // of the knots
  Ring<float, kept> residuals_;
  Neighbours dynamics_;           // of the residuals
  float middle_ = 0, size_ = 0;   // of the values: mean, and mean deviation
  float spacing_ = 0;             // s, of the readings
  float length_ = 0;              // s, of a block, then of the cycle
  float place_ = 0;               // s in the block, then bins in the cycle
  float unit_ = 0, anchor_ = 0;   // of the table
  float sum_ = 0;                 // of the block under way, then of the turn's corrections, bins
  float error_ = 0, unsure_ = 0;  // mean size of a residual; variance of the place, bins^2
  float stray_ = 0;               // by how much of the cycle a turn strays
  float typical_ = 0;             // mean of the deviations
  float astray_ = 0;              // mean size of the newest residuals, in deviations
  std::uint32_t readings_ = 0, patience_ = 0;
  std::uint16_t wait_ = 0, count_ = 0, turns_ = 0;  // readings of the block or turn
  std::uint8_t filled_ = 0, bins_ = 0;              // blocks; bins: 0 while there is no cycle
  std::uint8_t failures_ = 0;
  bool leads_ = false, smooth_ = true;
};

}  // namespace millwright::detectors
