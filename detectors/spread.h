// The scatter of readings rises or falls: noise that grows with wear or looseness, and noise that
// is lost when a transducer dies or a filter sticks.
//
//   v = variance of 8 readings about their own straight line, so that level, level shifts and slow
//       cycles do not count
//   y = log(v + scale / 4), scale: slow mean of v; the quarter cuts off the long tail that the
//       logarithm of a small sample has below
//   ratio = cumulative sum of y against its own baseline / its limit (cusum.h), both sides
//
// The logarithm makes "four times as much" the same step for every sensor and tames heavy tails;
// its own deviation takes in what switching programs do to a block. Between blocks the ratio
// stands.
#pragma once

#include <array>
#include <cmath>
#include <optional>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/cusum.h"
#include "detectors/detector.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Spread {
  static constexpr std::string_view name = "spread";
  static constexpr AlertKind kind = AlertKind::spread;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    double reference = 1;
    double limit = 6;
    double margin = 1.5;
    Duration memory = std::chrono::hours{72};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 400;
    static void describe(auto& visit, auto& p) {
      visit("reference", "sigma", Range{0.05, 4},
            "Half the change of the logarithm of the variance to be found soonest", p.reference);
      visit("limit", "sigma", Range{1, 10000},
            "Sum that is a change of scatter, for independent readings", p.limit);
      visit("margin", "1", Range{1, 100},
            "A change's sum is this many times the highest in normal operation", p.margin);
      visit("memory_s", "s", Range{60, 315360000},
            "Time constant of the baseline, at least 2000 readings", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "A scatter that stays this long becomes the new baseline", p.accept_after);
      visit("warmup", "readings", Range{50, 1000000}, "Readings before the first score", p.warmup);
    }
  };

  static constexpr std::size_t length = 8;  // readings of a block

  struct State {
    std::array<double, length> values{};
    std::uint32_t filled = 0;
    bool suspicious = false;          // a reading of the block under way was
    Timestamp begun{}, last_block{};  // its first reading; the last one of the block before
    std::uint64_t count = 0;          // readings
    double level = 0;                 // mean of the last whole block
    double scale = 0;                 // slow mean of v
    Cusum sums;
    static void fields(auto& io, auto& self) {
      io(self.values, self.filled, self.suspicious, self.begun, self.last_block, self.count,
         self.level, self.scale, self.sums);
      bool sound = self.filled < length && in_bounds(self.level) && self.scale >= 0 &&
                   self.scale <= largest_square;
      for (const double value : self.values) sound = sound && in_bounds(value);
      refuse_unless(io, sound);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup || !s.sums.ready()) return std::nullopt;
    const auto rules = rules_of(p);
    auto view = s.sums.view(rules);
    if (s.filled + 1 == length) {
      auto values = s.values;
      values.back() = sample.value;
      view = s.sums.view(rules, statistic(scatter(values), s.scale), s.begun);
    }
    const double usual = std::exp(std::min(s.sums.mean, 2 * std::log(largest_learned)) / 2);
    return Score{.ratio = view.ratio,
                 .expected = s.level,
                 .low = s.level - band * usual,
                 .high = s.level + band * usual,
                 .onset = view.onset};
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    ++s.count;
    if (s.filled == 0) {
      s.begun = sample.time;
      s.suspicious = false;
    }
    s.values[s.filled] = without_sign_of_zero(sample.value);
    s.suspicious = s.suspicious || trust != Trust::normal;
    if (++s.filled < length) return Learned::as_usual;
    s.filled = 0;

    double sum = 0;
    for (const double value : s.values) sum += value / length;
    s.level = without_sign_of_zero(sum);
    const double v = scatter(s.values);
    if (v <= 0 && s.scale <= 0) return Learned::as_usual;  // it has never moved
    const auto elapsed =
        s.sums.count > 0 ? elapsed_between(s.last_block, sample.time) : Duration{0};
    s.last_block = sample.time;
    const auto rules = rules_of(p);
    if (s.scale <= 0) s.scale = v;
    const auto block_trust = s.suspicious ? Trust::suspicious : Trust::normal;
    const auto learned =
        s.sums.add(rules, statistic(v, s.scale), elapsed, s.begun, sample.time, block_trust);
    if (learned == Learned::accepted) {
      s.scale = 0;
    } else if (!s.suspicious) {
      const double n = static_cast<double>(s.sums.count);
      const double rate = std::max(forgotten(elapsed, p.memory, rules.least), 1 / std::max(n, 1.0));
      // One wild block must not raise the floor of all that follow.
      s.scale += rate * (std::min(v, n > 8 ? widest * s.scale : v) - s.scale);
    }
    return learned;
  }

  static double confidence(const Params& p, const State& s) { return s.sums.fullness(rules_of(p)); }

 private:
  static constexpr double band = 3;     // sigma, shown to the reader
  static constexpr double widest = 16;  // times the scale, that one block teaches at most

  static Cusum::Rules rules_of(const Params& p) {
    return {p.reference, p.limit, p.margin, p.memory, p.accept_after, 250};
  }
  static double statistic(double v, double scale) {
    return std::log(std::max(v + scale / 4, 1e-300));
  }
  // Mean square about the least-squares line; 6 degrees of freedom.
  static double scatter(const std::array<double, length>& values) {
    constexpr double middle = (length - 1) / 2.0,
                     spread_time = static_cast<double>(length * (length * length - 1)) / 12;
    double sum = 0, sum_time = 0, squares = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const double d = values[i] - values[0];
      sum += d;
      sum_time += (static_cast<double>(i) - middle) * d;
      squares += d * d;
    }
    const double left = squares - sum * sum / length - sum_time * sum_time / spread_time;
    // What rounding alone would leave is no scatter.
    const double resolution = 4e-16 * (std::abs(values[0]) + std::sqrt(squares));
    const double floor = 64 * resolution * resolution + 1e-14 * squares;
    return left > floor ? left / (length - 2) : 0;
  }
};

}  // namespace millwright::detectors
