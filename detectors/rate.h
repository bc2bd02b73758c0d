// Rate of change: the least-squares slope over a window that fades exponentially, against a limit
// somebody set or against how steep the sensor normally is.
//
// slope = S_tx / S_tt, the moments fading with time constant window / 3, so that 95 % of the weight
// lies in the window. A slope through all readings is steadier than the difference of the two end
// points, by about the square root of their number, and takes five numbers instead of a ring of
// readings: the same at 10 Hz and at 5 minutes. ratio = |slope| / limit, limit = `limit_per_s` if
// set, else the larger of
//   threshold * 1.2533 * mean |slope|   (the standard deviation, were the slopes normal)
//   margin * habit                      habit: the steepest normal slope, fading over `memory`
// No score until a whole window has been seen, at the start and after a silence longer than it.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/detector.h"
#include "detectors/habit.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Rate {
  static constexpr std::string_view name = "rate";
  static constexpr AlertKind kind = AlertKind::rate;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;
  static constexpr bool absolute = true;

  struct Params {
    std::optional<double> limit_per_s;
    Duration window = std::chrono::seconds{60};
    double threshold = 4;
    double margin = 2;
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 300;
    static void describe(auto& visit, auto& p) {
      visit("limit_per_s", "sensor unit/s", Range{1e-100, largest_magnitude},
            "Alarm at this rate of change, up or down; unset: learned", p.limit_per_s);
      visit("window_s", "s", Range{0.001, 31536000}, "Time over which the slope is taken",
            p.window);
      visit("threshold", "sigma", Range{1, 1000}, "Learned limit: deviations of the slope",
            p.threshold);
      visit("margin", "1", Range{1, 100},
            "Learned limit: this many times the steepest normal slope", p.margin);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Slopes that recur over this time become normal", p.accept_after);
      visit("warmup", "readings", Range{2, 1000000},
            "Readings before the first score against the learned limit", p.warmup);
    }
  };

  struct State {
    std::uint64_t count = 0;  // slopes that taught
    double weight = 0;        // of the readings in the window
    double mean_time = 0;     // seconds before `last`, not above 0
    double mean_value = 0;
    double spread_time = 0;  // S_tt and S_tx over the weight
    double spread_both = 0;
    double spacing = 0;         // mean seconds between readings
    double size = 0;            // mean |slope|
    Timestamp last{}, since{};  // newest reading; first one since the last silence
    Habit habit;
    static void fields(auto& io, auto& self) {
      io(self.count, self.weight, self.mean_time, self.mean_value, self.spread_time,
         self.spread_both, self.spacing, self.size, self.last, self.since, self.habit);
      refuse_unless(io,
                    positive_in_bounds(self.weight, self.spread_time, self.spacing, self.size) &&
                        in_bounds(self.mean_time, self.mean_value) &&
                        std::abs(self.spread_both) <= largest_square);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    const State next = advanced(p, s, sample);
    const auto slope = slope_of(p, next);
    if (!slope || (!p.limit_per_s && s.count < p.warmup)) return std::nullopt;
    const double limit = limit_of(p, s);
    if (limit <= 0 && *slope != 0) return std::nullopt;
    // What the value would be had it kept its mean since the middle of the window, give or take the
    // limit.
    const double reach = std::min(limit * -next.mean_time, largest_learned);
    return Score{.ratio = ratio_of(std::abs(*slope), limit),
                 .expected = next.mean_value,
                 .low = next.mean_value - reach,
                 .high = next.mean_value + reach};
  }

  static void learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return;
    const auto elapsed = s.weight > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    const double share = forgotten(elapsed, p.memory, least_readings);
    s = advanced(p, s, sample);
    s.habit.pass(elapsed, share);
    const auto slope = slope_of(p, s);
    if (!slope) return;
    const double size = std::abs(*slope);
    s.habit.follow(size, s.size, limit_of(p, s), sample.time, trust, p.accept_after);
    if (trust == Trust::suspicious) return;
    ++s.count;
    s.size += std::max(share, 1.0 / static_cast<double>(s.count)) * (size - s.size);
  }

  static double confidence(const Params& p, const State& s) {
    if (p.limit_per_s) return 1;
    return std::min(s.habit.maturity(), static_cast<double>(s.count) / least_readings);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample sample) {
    const auto slope = slope_of(p, advanced(p, s, sample));
    if (!slope) return {};
    return {{"slope_per_s", *slope}, {"limit_per_s", limit_of(p, s)}};
  }
  static std::optional<double> recompute(const Told& told) {
    const auto slope = told.number("slope_per_s"), limit = told.number("limit_per_s");
    if (!slope || !limit) return std::nullopt;
    return ratio_of(std::abs(*slope), *limit);
  }

 private:
  static constexpr double least_readings = 1000;  // that the baseline keeps

  static State advanced(const Params& p, State s, Sample sample) {
    const double gap = s.weight > 0 ? to_seconds(elapsed_between(s.last, sample.time)) : 0;
    const double window = to_seconds(p.window);
    if (s.weight <= 0 || (gap > window && gap > 8 * s.spacing && s.count > 0)) {
      s.weight = 1;
      s.mean_time = s.spread_time = s.spread_both = 0;
      s.mean_value = without_sign_of_zero(sample.value);
      s.last = s.since = sample.time;
      return s;
    }
    const double kept = std::exp(-3 * gap / window);
    const double old = kept * s.weight;
    s.weight = old + 1;
    const double time = gap - s.mean_time;  // of this reading after the old mean time
    const double value = sample.value - s.mean_value;
    const double share = 1 / s.weight;
    s.spread_time = (1 - share) * (s.spread_time + share * time * time);
    s.spread_both = (1 - share) * (s.spread_both + share * time * value);
    s.mean_time = (share - 1) * time;
    s.mean_value += share * value;
    s.spacing += (s.spacing > 0 ? 0.05 : 1) * (gap - s.spacing);
    s.last = sample.time;
    return s;
  }
  // Nothing until a whole window has been seen.
  static std::optional<double> slope_of(const Params& p, const State& s) {
    if (s.spread_time <= 0 || elapsed_between(s.since, s.last) < p.window) return std::nullopt;
    return std::clamp(s.spread_both / s.spread_time, -largest_learned, largest_learned);
  }
  static double limit_of(const Params& p, const State& s) {
    if (p.limit_per_s) return *p.limit_per_s;
    const double noise = p.threshold * normal_size * s.size;
    return std::max(noise, s.habit.reach(p.margin));
  }
};

}  // namespace millwright::detectors
