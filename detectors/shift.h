// Lasting changes of level: the two-sided cumulative sum (Page 1954, Biometrika 41:100) of the
// standardised residual z = clip((x - mean) / deviation, +-4) against a baseline that moves slowly:
//   high = max(0, high + z - reference), low = max(0, low - z - reference)
//   ratio = max(high, low) / limit, sums capped at 1.5 limits so that they come down in bounded
//   time limit = max(limit * ringing, margin * habit)
// With `page_hinkley` the mean is that of all readings since the baseline began, not a moving one,
// as in the test of Page and Hinkley (Hinkley 1971, Biometrika 58:509). Its statistic, m_n - min m
// with m_n the sum of z - reference, is the same cumulative sum.
// ringing: how much the residual's autocorrelation inflates sums (ringing.h); habit: the highest
// sum of an excursion that came back to zero by itself without an alarm, fading over 7 * memory. An
// excursion under way teaches nothing, so slow wear cannot carry its own limit upwards.
//
// Learning begins with the 16th change of value: a machine that stands still says nothing of how
// far it goes. Suspicious readings move the sums but not the baseline. A shift that stays for
// `accept_after` is accepted: the baseline is learned anew, with no score meanwhile.
#pragma once

#include <cmath>
#include <limits>
#include <optional>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/detector.h"
#include "detectors/habit.h"
#include "detectors/numbers.h"
#include "detectors/ringing.h"

namespace millwright::detectors {

struct Shift {
  static constexpr std::string_view name = "shift";
  static constexpr AlertKind kind = AlertKind::shift;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    double reference = 0.5;
    double limit = 12;
    double margin = 1.5;
    Duration memory = std::chrono::hours{72};
    Duration cycle = std::chrono::hours{24};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 300;
    bool page_hinkley = false;
    static void describe(auto& visit, auto& p) {
      visit("reference", "sigma", Range{0.05, 5},
            "Half the shift to be found soonest; smaller moves do not add up", p.reference);
      visit("limit", "sigma", Range{1, 10000}, "Sum that is a shift, for independent readings",
            p.limit);
      visit("margin", "1", Range{1, 100},
            "A shift's sum is this many times the highest in normal operation", p.margin);
      visit("memory_s", "s", Range{60, 315360000},
            "Time constant of the baseline, at least 500 readings", p.memory);
      visit("cycle_s", "s", Range{1, 315360000},
            "The slowest cycle that is part of normal operation", p.cycle);
      visit("accept_after_s", "s", Range{60, 315360000},
            "A shift that stays this long becomes the new baseline", p.accept_after);
      visit("warmup", "readings", Range{50, 1000000}, "Readings before the first score", p.warmup);
      visit("page_hinkley", "0 or 1", Range{0, 1},
            "Hold against the mean of the whole baseline, not of `memory_s`", p.page_hinkley);
    }
  };

  // One side's sum and the excursion it is on.
  struct Excursion {
    double sum = 0, peak = 0;
    Timestamp onset{};        // the reading with which the sum left zero
    bool suspicious = false;  // a reading of it was
    static void fields(auto& io, auto& self) {
      io(self.sum, self.peak, self.onset, self.suspicious);
      refuse_unless(io, positive_in_bounds(self.sum, self.peak));
    }
  };
  struct State {
    std::uint64_t count = 0;  // readings that taught the baseline
    double mean = 0, variance = 0;
    double inflation = 1;  // what ringing says
    Duration age{0};       // of the baseline: time that taught it, silences left out
    Excursion high, low;
    Habit habit;
    Ringing ringing;
    double previous = 0;
    std::uint32_t changes = 0;  // of value, up to `enough_changes`
    Timestamp last{};
    Duration shifted{0};  // for how long the sums have stood above the limit
    static void fields(auto& io, auto& self) {
      io(self.count, self.mean, self.variance, self.inflation, self.age, self.high, self.low,
         self.habit, self.ringing, self.previous, self.changes, self.last, self.shifted);
      refuse_unless(io, in_bounds(self.mean, self.previous, self.inflation) &&
                            self.inflation >= 1 && self.variance >= 0 &&
                            self.variance <= largest_square && self.age >= Duration{0} &&
                            self.shifted >= Duration{0} && self.shifted <= Duration::max() / 2);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup || s.variance <= 0) return std::nullopt;
    const double limit = limit_of(p, s), deviation = std::sqrt(s.variance);
    const double z = residual(s, sample.value);
    const bool fresh = elapsed_between(s.last, sample.time) > p.memory;
    const auto high = advanced(fresh ? Excursion{} : s.high, z - p.reference, limit, sample.time);
    const auto low = advanced(fresh ? Excursion{} : s.low, -z - p.reference, limit, sample.time);
    const auto& leading = high.sum >= low.sum ? high : low;
    Score score{.ratio = ratio_of(leading.sum, limit),
                .expected = s.mean,
                .low = s.mean - band * deviation,
                .high = s.mean + band * deviation};
    if (leading.sum > 0) score.onset = leading.onset;
    return score;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    const auto elapsed = s.count > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    if (elapsed > p.memory) s.high = s.low = Excursion{};
    s.last = sample.time;
    if (s.changes < enough_changes) {
      s.changes += sample.value != s.previous ? 1 : 0;
      s.previous = without_sign_of_zero(sample.value);
      return Learned::as_usual;
    }
    const double z = s.count >= settled ? residual(s, sample.value) : 0;
    if (s.count >= settled) sum_up(p, s, z, sample.time, trust);

    const double share = forgotten(elapsed, p.memory, least_readings);
    s.habit.pass(elapsed, share / 7);
    if (trust == Trust::normal) {
      s.shifted -= std::min(s.shifted, std::min(elapsed, p.accept_after / 100) / 2);
      teach(p, s, sample.value, z, share, elapsed);
    } else if (std::max(s.high.sum, s.low.sum) >= limit_of(p, s)) {
      s.shifted += std::min(elapsed, p.accept_after / 4);
      if (s.shifted >= p.accept_after) {
        start_anew(s);
        return Learned::accepted;
      }
    }
    return Learned::as_usual;
  }

  static double confidence(const Params& p, const State& s) {
    const double readings = static_cast<double>(s.count) / least_readings;
    return std::min({readings, to_seconds(s.age) / std::max(to_seconds(p.memory), 1e-6), 1.0});
  }

 private:
  static constexpr std::uint32_t enough_changes = 16;
  static constexpr std::uint64_t settled = 50;   // readings after which a residual means something
  static constexpr double least_readings = 500;  // that the baseline keeps
  static constexpr double clip = 4;              // sigma: one outlier is no shift
  static constexpr double cap = 1.5;             // limits
  static constexpr double band = 3;              // sigma, shown to the reader

  static double residual(const State& s, double x) {
    const double difference = x - s.mean, deviation = std::sqrt(s.variance);
    if (deviation <= 0) return difference == 0 ? 0 : std::copysign(clip, difference);
    return std::clamp(difference / deviation, -clip, clip);
  }
  static double limit_of(const Params& p, const State& s) {
    const double noise = p.limit * s.inflation;
    return std::max(noise, s.habit.reach(p.margin));
  }
  static Excursion advanced(Excursion e, double step, double limit, Timestamp now) {
    const double sum = std::min(e.sum + step, cap * limit);
    if (sum <= 0) return Excursion{};
    if (e.sum <= 0) e.onset = now;
    e.sum = sum;
    e.peak = std::max(e.peak, sum);
    return e;
  }
  static void sum_up(const Params& p, State& s, double z, Timestamp now, Trust trust) {
    const double limit = limit_of(p, s);
    for (auto* side : {&s.high, &s.low}) {
      const auto before = *side;
      *side = advanced(before, (side == &s.high ? z : -z) - p.reference, limit, now);
      side->suspicious = side->sum > 0 && (side->suspicious || trust == Trust::suspicious);
      if (side->sum > 0 || before.sum <= 0) continue;
      if (!before.suspicious) {
        s.habit.teach(before.peak);
      } else if (before.peak >= limit) {
        s.habit.suspect(before.peak, now, p.accept_after);
      }
    }
  }
  // How far a trusted reading may move the baseline, 0..1: a sum on its way up may be a fault that
  // has not reached its limit yet, and must not widen the band that it is held against. A young
  // baseline stays open: it does not know its cycles yet.
  static double openness(const Params& p, const State& s) {
    const double doubt = std::max(s.high.sum, s.low.sum) / std::max(limit_of(p, s), 1e-9);
    return 1 - s.habit.maturity() * std::clamp(2 * doubt - 1, 0.0, 1.0);
  }
  static void teach(const Params& p, State& s, double x, double z, double share, Duration elapsed) {
    ++s.count;
    const double n = static_cast<double>(s.count);
    const double open = openness(p, s);
    const double rate = open * std::max(p.page_hinkley ? 0 : share, 1 / n);
    double difference = x - s.mean;
    if (s.count > settled && s.variance > 0) {
      const double widest = clip * std::sqrt(s.variance);
      difference = std::clamp(difference, -widest, widest);
    }
    s.mean += rate * difference;
    const double spread_rate = open * std::max(share / 4, 1 / n);
    s.variance += spread_rate * ((1 - rate) * difference * difference - s.variance);
    s.age += std::min({elapsed, p.memory / 50, Duration::max() - s.age});
    if (s.count <= settled || open < 0.5) return;
    s.ringing.add(z, share / 4);
    if (s.ringing.count % 16 == 0) {
      s.inflation = s.ringing.factor(std::max(longest_block(p, s), 32.0));
    }
  }
  // Readings. A young baseline cannot tell a slow cycle from a shift by its habits yet: it lets its
  // limit be raised by whatever moves slowly.
  static double longest_block(const Params& p, const State& s) {
    if (s.age / 2 < p.cycle) return std::numeric_limits<double>::infinity();
    return to_seconds(p.cycle) / 16 * static_cast<double>(s.count) / to_seconds(s.age);
  }
  // The habit stays: it is how the sensor moves, not where.
  static void start_anew(State& s) {
    State fresh;
    fresh.changes = s.changes;
    fresh.habit = s.habit;
    fresh.last = s.last;
    s = fresh;
  }
};

}  // namespace millwright::detectors
