// Readings that pile up at an end of the range, as those of a converter at its rail do.
//
// For each end, over the newest `window` (at least 64 readings, fading exponentially):
//   share = readings at the peak / readings, if the peak is beyond all that was normal, else 0
//   ratio = share / max(min_share, margin * habit, 3 * ties)
// peak: the newest highest (lowest) value, to within `resolution`; all that was normal: the highest
// trusted reading of this and the last `memory`; habit: the highest share of normal operation;
// ties: how often a reading normally repeats the one before. A quantised sensor repeats its
// highest value too; where half of the readings are repeated (a switch, a set point) the ratio is
// 0. A rail that is named in `high` or `low` is taken at its word: share / min_share.
//
// A share teaches when it has gone down by itself. In the warm-up everything is normal.
#pragma once

#include <algorithm>
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

struct Saturated {
  static constexpr std::string_view name = "saturated";
  static constexpr AlertKind kind = AlertKind::saturated;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    std::optional<double> high, low;
    double resolution = 0;
    double min_share = 0.25;
    double margin = 1.5;
    Duration window = std::chrono::seconds{60};
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 300;
    static void describe(auto& visit, auto& p) {
      visit("high", "sensor unit", Range{-largest_magnitude, largest_magnitude},
            "Upper end of what the sensor can say; unset: learned", p.high);
      visit("low", "sensor unit", Range{-largest_magnitude, largest_magnitude},
            "Lower end of what the sensor can say; unset: learned", p.low);
      visit("resolution", "sensor unit", Range{0, largest_magnitude},
            "Readings this close to an end are at it", p.resolution);
      visit("min_share", "1", Range{0.01, 1}, "Smaller shares of readings are never an alarm",
            p.min_share);
      visit("margin", "1", Range{1, 100},
            "An alarm is this many times the largest share of normal operation", p.margin);
      visit("window_s", "s", Range{0.001, 31536000},
            "Time over which the share is taken, at least 64 readings", p.window);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Shares that recur over this time become normal", p.accept_after);
      visit("warmup", "readings", Range{64, 1000000}, "Readings before the first score", p.warmup);
    }
  };

  // One end; the lower one sees the readings with their sign turned.
  struct End {
    double peak = 0;
    double visits = 0;           // of the peak, fading
    double now = 0, before = 0;  // highest trusted reading of this and the last `memory`
    Timestamp since{};           // first visit of the peak
    Habit habit;                 // of the share
    static void fields(auto& io, auto& self) {
      io(self.peak, self.visits, self.now, self.before, self.since, self.habit);
      refuse_unless(io,
                    in_bounds(self.peak, self.now, self.before) && positive_in_bounds(self.visits));
    }
  };
  struct State {
    std::uint64_t count = 0;
    double weight = 0;  // of the readings in the window
    End high, low;
    double mean = 0;  // of trusted readings, to be shown
    double ties = 0;
    double previous = 0;
    Timestamp last{}, period{};  // newest reading; begin of this `memory`
    static void fields(auto& io, auto& self) {
      io(self.count, self.weight, self.high, self.low, self.mean, self.ties, self.previous,
         self.last, self.period);
      refuse_unless(io, positive_in_bounds(self.weight) && self.ties >= 0 && self.ties <= 1 &&
                            in_bounds(self.mean, self.previous));
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup) return std::nullopt;
    const auto [high, low, weight] = ends(p, s, sample);
    const double above = ratio_at(p, s, high, p.high, weight);
    const double below = ratio_at(p, s, low, turned(p.low), weight);
    Score score{.ratio = std::max(above, below),
                .expected = s.mean,
                .low = without_sign_of_zero(-std::max(s.low.now, s.low.before)),
                .high = std::max(s.high.now, s.high.before)};
    if (score.ratio > 0) score.onset = above >= below ? high.since : low.since;
    return score;
  }

  static void learn(const Params& p, State& s, Sample sample, Trust trust) {
    const auto elapsed = s.count > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    const bool warming = s.count < p.warmup;
    if (s.count == 0) begin(s, sample);
    const double kept = 1 - forgotten(elapsed, p.window, least);
    s.weight = kept * s.weight + 1;
    s.high = visited(p, s.high, p.high, sample.value, kept, sample.time);
    s.low = visited(p, s.low, turned(p.low), -sample.value, kept, sample.time);
    const double above = share_at(p, s.high, p.high, s.weight);
    const double below = share_at(p, s.low, turned(p.low), s.weight);
    const bool trusted = warming || trust == Trust::normal;
    // A pile under way may be the fault: what belongs to it must not become normal.
    if (trusted && (warming || std::max(above, below) < p.min_share / 2)) teach(s, sample.value);
    ++s.count;
    s.previous = without_sign_of_zero(sample.value);
    s.last = sample.time;
    if (trusted) widen(p, s, sample);
    const double faded = forgotten(elapsed, p.memory, 1000);
    follow(p, s, s.high, above, elapsed, faded, sample.time, warming, trust);
    follow(p, s, s.low, below, elapsed, faded, sample.time, warming, trust);
  }

  static double confidence(const Params&, const State& s) {
    return std::min(s.high.habit.maturity(), static_cast<double>(s.count) / settled);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample sample) {
    const auto [high, low, weight] = ends(p, s, sample);
    const bool above =
        ratio_at(p, s, high, p.high, weight) >= ratio_at(p, s, low, turned(p.low), weight);
    const End& end = above ? high : low;
    const auto rail = above ? p.high : turned(p.low);
    const bool counts = rail || s.ties < 0.5;
    return {{"share", counts ? share_at(p, end, rail, weight) : 0},
            {"share_limit", limit_at(p, s, end, rail.has_value())},
            {"end", above ? end.peak : -end.peak}};
  }
  static std::optional<double> recompute(const Told& told) {
    const auto share = told.number("share"), limit = told.number("share_limit");
    if (!share || !limit) return std::nullopt;
    return ratio_of(*share, *limit);
  }

 private:
  // Both ends with the sample, and the weight of all readings.
  struct Ends {
    End high, low;
    double weight = 0;
  };
  static Ends ends(const Params& p, const State& s, Sample sample) {
    const double kept = 1 - forgotten(elapsed_between(s.last, sample.time), p.window, least);
    return {visited(p, s.high, p.high, sample.value, kept, sample.time),
            visited(p, s.low, turned(p.low), -sample.value, kept, sample.time),
            kept * s.weight + 1};
  }

  static constexpr double least = 64;      // readings in the window
  static constexpr double enough = 8;      // visits that make a pile
  static constexpr double deserted = 0.3;  // visits: the peak was not seen for a window
  static constexpr double ground = 0.05;   // share of no pile
  static constexpr double settled = 1000;  // readings over which mean and ties are averaged

  static std::optional<double> turned(std::optional<double> rail) {
    return rail ? std::optional{-*rail} : rail;
  }
  static void begin(State& s, Sample sample) {
    s.period = sample.time;
    s.high.now = s.high.before = s.high.peak = without_sign_of_zero(sample.value);
    s.low.now = s.low.before = s.low.peak = without_sign_of_zero(-sample.value);
    s.previous = s.high.now;
  }
  static End visited(const Params& p, End end, std::optional<double> rail, double value,
                     double kept, Timestamp now) {
    end.visits *= kept;
    const double peak = rail ? *rail : end.peak;
    const bool at_peak = value >= peak - p.resolution;
    const bool anew = rail ? at_peak && end.visits < deserted
                           : end.visits < deserted || value > peak + p.resolution;
    if (anew) {
      end.peak = without_sign_of_zero(rail ? peak : value);
      end.visits = 0;
      end.since = now;
    }
    if (anew || at_peak) end.visits += 1;
    return end;
  }
  static double share_at(const Params& p, const End& end, std::optional<double> rail,
                         double weight) {
    if (end.visits < enough || weight <= 0) return 0;
    const bool extreme = rail || end.peak >= std::max(end.now, end.before) - p.resolution;
    return extreme ? std::min(end.visits / weight, 1.0) : 0;
  }
  static double limit_at(const Params& p, const State& s, const End& end, bool named) {
    if (named) return p.min_share;
    return std::max({p.min_share, end.habit.reach(p.margin), 3 * s.ties});
  }
  static double ratio_at(const Params& p, const State& s, const End& end,
                         std::optional<double> rail, double weight) {
    if (!rail && s.ties >= 0.5) return 0;
    return ratio_of(share_at(p, end, rail, weight), limit_at(p, s, end, rail.has_value()));
  }
  static void teach(State& s, double value) {
    const double rate = 1 / std::min(static_cast<double>(s.count + 1), settled);
    s.mean += rate * (value - s.mean);
    if (s.count == 0) return;
    const double of_ties = 1 / std::min(static_cast<double>(s.count), settled);
    s.ties += of_ties * ((value == s.previous ? 1 : 0) - s.ties);
  }
  static void widen(const Params& p, State& s, Sample sample) {
    const bool over = elapsed_between(s.period, sample.time) >= p.memory;
    if (over) s.period = sample.time;
    for (auto* end : {&s.high, &s.low}) {
      const double value = without_sign_of_zero(end == &s.high ? sample.value : -sample.value);
      if (over) end->before = end->now;
      end->now = over ? value : std::max(end->now, value);
    }
  }
  static void follow(const Params& p, const State& s, End& end, double share, Duration elapsed,
                     double faded, Timestamp now, bool warming, Trust trust) {
    end.habit.pass(elapsed, faded);
    if (warming) return end.habit.teach(share);
    const auto doubt = trust == Trust::normal ? Trust::normal : Trust::suspicious;
    end.habit.follow(share, ground, limit_at(p, s, end, false), now, doubt, p.accept_after);
  }
};

}  // namespace millwright::detectors
