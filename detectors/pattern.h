// Shapes that were not seen before. Readings are condensed to block means; the newest 8 of them,
// without their mean, are a shape, held against at most 48 prototypes of shapes that were normal.
//
//   u     = root mean square distance to the nearest prototype
//   ratio = max(u / limit, cumulative sum of y / its limit), rising side only (cusum.h)
//   y     = mean of log(u + step / 2) over 4 shapes; counts only while those shapes are on average
//           farther than half a step
//   limit = max(2 step, mean + threshold * deviation of past u, reach of the habit)
//   step  = resolution * range, range = 3 deviations of the block means
//
// Learning: what is nearer than a step moves its prototype by 10 %; what is farther becomes one, in
// place of the least hit (hits fade by 0.001 a shape). Doubtful shapes, past half their limit,
// teach nothing once the record is a day old, suspicious ones never do.
//
// Block: `block_s` if set. Else a tenth of the sensor's own rhythm, 2 to 64 readings, taken once
// from its first 256 moving readings by counting crossings of its mean (with a hysteresis of half a
// deviation, so that noise on a cycle does not count), so that a shape is most of a cycle. Blocks
// of white noise are 2 readings, of a slower sensor more.
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

struct Pattern {
  static constexpr std::string_view name = "pattern";
  static constexpr AlertKind kind = AlertKind::pattern;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    std::optional<double> block_s;
    double resolution = 0.05;
    double threshold = 10;
    double limit = 7;
    double margin = 1.5;
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 100;
    static void describe(auto& visit, auto& p) {
      visit("block_s", "s", Range{0.001, 31536000},
            "Length of a block, an eighth of a shape; unset: learned", p.block_s);
      visit("resolution", "1", Range{0.001, 1},
            "Shapes nearer than this share of the range are the same", p.resolution);
      visit("threshold", "sigma", Range{1, 1000},
            "Deviations of the usual distance that are a new shape", p.threshold);
      visit("limit", "sigma", Range{1, 10000}, "Sum of smaller distances that is a new shape",
            p.limit);
      visit("margin", "1", Range{1, 100},
            "A new shape is this many times as far as any in normal operation", p.margin);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Shapes that stay or recur over this time become normal", p.accept_after);
      visit("warmup", "shapes", Range{50, 1000000}, "Shapes before the first score", p.warmup);
    }
  };

  static constexpr std::size_t blocks = 8, most = 48;
  static constexpr std::uint32_t together = 4;  // shapes of one value of the sum
  using Shape = std::array<float, blocks>;
  using Row = std::array<float, most>;

  struct State {
    // The rhythm, from the first readings that move.
    std::uint32_t surveyed = 0, changes = 0, crossings = 0;
    std::int32_t side = 0;          // of the mean, on which it was last
    double mean = 0, variance = 0;  // of readings, then of block means
    double spacing = 0;             // mean seconds between readings
    std::uint32_t length = 0;       // readings of a block; 0 while surveying
    // The block under way and those before it, the newest last.
    double unit = 0, anchor = 0;  // what stands in `window` is (block mean - anchor) / unit
    double sum = 0;               // of readings - anchor
    std::uint32_t filled = 0, held = 0;
    std::uint32_t clean = 0;  // blocks since the last suspicious one, up to 8
    bool suspicious = false;
    Timestamp begun{}, last{}, last_shape{};
    Shape window{};
    // What is normal. One row per block, so that one shape is compared with all at once.
    std::array<Row, blocks> prototypes{};
    Row hits{};
    std::uint32_t known = 0;               // prototypes
    std::uint64_t count = 0;               // shapes that taught
    double usual = 0, usual_variance = 0;  // of u
    double distance = 0, expected = 0;     // of the last shape: u; what its last block should be
    // Of up to 4 shapes, for the sum.
    double logs = 0, distances = 0, average = 0;  // average: of the 4 before, of u
    std::uint32_t summed = 0;
    bool doubted = false;  // one of them was suspicious
    Timestamp since{};
    Habit habit;
    Cusum sums;

    static void fields(auto& io, auto& self) {
      io(self.surveyed, self.changes, self.crossings, self.side, self.mean, self.variance,
         self.spacing, self.length, self.unit, self.anchor, self.sum, self.filled, self.held,
         self.clean, self.suspicious, self.begun, self.last, self.last_shape, self.window,
         self.prototypes, self.hits, self.known, self.count, self.usual, self.usual_variance,
         self.distance, self.expected, self.logs, self.distances, self.average, self.summed,
         self.doubted, self.since, self.habit, self.sums);
      bool sound = self.surveyed <= longest_survey && self.length <= longest &&
                   self.held <= blocks && self.known <= most &&
                   (self.length == 0 || self.unit > 0) && self.filled < most_filled &&
                   in_bounds(self.mean, self.anchor, self.sum / most_filled, self.expected) &&
                   positive_in_bounds(self.spacing, self.unit, self.usual, self.distance,
                                      self.distances, self.average) &&
                   in_bounds(self.logs) && self.summed < together && self.variance >= 0 &&
                   self.variance <= largest_square && self.usual_variance >= 0 &&
                   self.usual_variance <= largest_square;
      for (const float v : self.window) sound = sound && std::abs(v) <= widest;
      for (const auto& row : self.prototypes) {
        for (const float v : row) sound = sound && std::abs(v) <= 2 * widest;
      }
      for (const float v : self.hits) sound = sound && v >= 0 && v <= 2000;
      refuse_unless(io, sound);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.length == 0 || s.count < p.warmup) return std::nullopt;
    if (silent(p, s, sample.time) || s.held + 1 < blocks) return std::nullopt;
    const double limit = limit_of(p, s);
    double distance = s.distance, expected = s.expected;
    if (closes(p, s, sample.time)) {
      const auto seen = nearest(s, with(s, block_mean(s, sample.value)));
      distance = seen.distance;
      expected = seen.expected;
    } else if (s.held < blocks) {
      return std::nullopt;
    }
    const double reach =
        std::min(limit * s.unit * std::sqrt(static_cast<double>(blocks)), largest_learned);
    Score score{.ratio = ratio_of(distance, limit),
                .expected = expected,
                .low = expected - reach,
                .high = expected + reach,
                .onset = s.begun};
    if (const auto summed = sum_ratio(p, s); summed.ratio > score.ratio) {
      score.ratio = summed.ratio;
      score.onset = summed.onset;
    }
    return score;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    const auto elapsed =
        s.surveyed > 0 || s.changes > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    if (s.length == 0) {
      if (trust == Trust::normal) look_over(p, s, sample, elapsed);
      s.last = sample.time;
      return Learned::as_usual;
    }
    if (silent(p, s, sample.time)) s.held = s.filled = 0;
    pace(s, elapsed);
    if (s.filled == 0) {
      s.begun = sample.time;
      s.suspicious = false;
      s.sum = 0;
    }
    s.suspicious = s.suspicious || trust != Trust::normal;
    const bool whole = closes(p, s, sample.time);
    const double mean = block_mean(s, sample.value);
    s.sum = without_sign_of_zero(s.sum + bounded(sample.value - s.anchor));
    ++s.filled;
    s.last = sample.time;
    if (!whole) return Learned::as_usual;
    s.filled = 0;
    s.clean = s.suspicious ? 0 : std::min<std::uint32_t>(s.clean + 1, blocks);
    s.window = with(s, mean);
    if (s.held < blocks) ++s.held;
    const auto learned = s.held == blocks ? take(p, s, sample.time) : Learned::as_usual;
    if (learned == Learned::accepted) {
      start_anew(s);
    } else if (!s.suspicious) {
      range_over(p, s, mean, elapsed);
    }
    return learned;
  }

  static double confidence(const Params& p, const State& s) { return s.sums.fullness(rules_of(p)); }

 private:
  static constexpr std::uint32_t survey = 256, longest_survey = 2048, enough_crossings = 8;
  static constexpr std::uint32_t enough_changes = 16, longest = 64;
  static constexpr std::uint32_t most_filled = 1u << 30;
  static constexpr float widest = 1e6F;  // units: farther says no more

  static Cusum::Rules rules_of(const Params& p) {
    return {1, p.limit, p.margin, p.memory, p.accept_after, 250};
  }
  static double bounded(double v) { return std::clamp(v, -largest_learned, largest_learned); }
  static double block_mean(const State& s, double value) {
    return (s.sum + bounded(value - s.anchor)) / (s.filled + 1);
  }
  static bool closes(const Params& p, const State& s, Timestamp now) {
    if (s.filled + 1 >= most_filled) return true;
    if (!p.block_s) return s.filled + 1 >= s.length;
    // The reading that completes the block's time is its last.
    return s.filled > 0 &&
           to_seconds(elapsed_between(s.begun, now)) + s.spacing / 2 >= *p.block_s - s.spacing;
  }
  static bool silent(const Params& p, const State& s, Timestamp now) {
    const double block = p.block_s.value_or(s.length * s.spacing);
    return s.spacing > 0 &&
           to_seconds(elapsed_between(s.last, now)) > 4 * std::max(block, s.spacing);
  }
  static void pace(State& s, Duration elapsed) {
    const double gap = std::min(to_seconds(elapsed), s.spacing > 0 ? 8 * s.spacing : 1e9);
    s.spacing += (s.spacing > 0 ? 0.02 : 1) * (gap - s.spacing);
  }

  // The first readings: where the sensor is, how far it goes, how fast its rhythm is.
  static void look_over(const Params&, State& s, Sample sample, Duration elapsed) {
    pace(s, elapsed);
    if (s.changes < enough_changes) {
      s.changes += sample.value != s.anchor ? 1 : 0;
      s.anchor = without_sign_of_zero(sample.value);
      return;
    }
    const double n = static_cast<double>(++s.surveyed);
    const double difference = sample.value - s.mean;
    s.mean = without_sign_of_zero(s.mean + difference / n);
    s.variance += ((1 - 1 / n) * difference * difference - s.variance) / n;
    const double off = sample.value - s.mean, threshold = std::sqrt(s.variance) / 2;
    if (const int side = off > threshold ? 1 : off < -threshold ? -1 : 0; side != 0) {
      s.crossings += s.side != 0 && side != s.side ? 1 : 0;
      s.side = side;
    }
    if (s.surveyed < survey) return;
    if (s.crossings < enough_crossings && s.surveyed < longest_survey) return;
    if (s.variance <= 0) {
      s.surveyed = 0;
      return;
    }
    const double period = 2.0 * s.surveyed / std::max<std::uint32_t>(s.crossings, 1);
    s.length = static_cast<std::uint32_t>(std::clamp(std::round(period / 10), 2.0, 64.0));
    s.unit = std::sqrt(s.variance);
    s.anchor = s.mean;
    s.mean = 0;
  }

  static Shape with(const State& s, double mean) {
    Shape out;
    std::copy(s.window.begin() + 1, s.window.end(), out.begin());
    out.back() = static_cast<float>(std::clamp<double>(mean / s.unit, -widest, widest)) + 0.0F;
    return out;
  }
  struct Seen {
    double distance = 0, expected = 0;
    std::size_t at = 0;
    Shape shape{};
  };
  static Seen nearest(const State& s, const Shape& window) {
    Seen seen;
    float mean = 0;
    for (const float v : window) mean += v / blocks;
    for (std::size_t i = 0; i < blocks; ++i) seen.shape[i] = window[i] - mean;
    Row square{};
    for (std::size_t i = 0; i < blocks; ++i) {
      for (std::size_t k = 0; k < most; ++k) {
        const float d = seen.shape[i] - s.prototypes[i][k];
        square[k] += d * d;
      }
    }
    for (std::size_t k = 1; k < s.known; ++k) {
      if (square[k] < square[seen.at]) seen.at = k;
    }
    // Nothing is known yet: the flat shape is.
    seen.distance = std::sqrt(static_cast<double>(square[seen.at]) / blocks);
    seen.expected = bounded(s.anchor + s.unit * (mean + s.prototypes[blocks - 1][seen.at]));
    return seen;
  }
  static double step_of(const Params& p, const State& s) {
    return p.resolution * 3 * std::sqrt(s.variance) / s.unit;
  }
  // What is nearer than a step is the same shape, however often.
  static Cusum::View sum_ratio(const Params& p, const State& s) {
    if (!s.sums.ready() || s.average <= step_of(p, s) / 2) return {};
    return s.sums.view(rules_of(p));
  }
  static double limit_of(const Params& p, const State& s) {
    const double noise =
        std::max(2 * step_of(p, s), s.usual + p.threshold * std::sqrt(s.usual_variance));
    return std::max(noise, s.habit.reach(p.margin, noise));
  }

  // A whole shape.
  static Learned take(const Params& p, State& s, Timestamp now) {
    const auto seen = nearest(s, s.window);
    const auto elapsed = s.count > 0 ? elapsed_between(s.last_shape, now) : Duration{0};
    s.last_shape = now;
    s.distance = seen.distance;
    s.expected = seen.expected;
    const auto trust = s.clean == blocks ? Trust::normal : Trust::suspicious;
    const double share = forgotten(elapsed, p.memory, 1000), limit = limit_of(p, s);
    auto learned = Learned::as_usual;
    s.habit.pass(elapsed, share);
    if (s.count >= p.warmup / 2) {
      s.habit.follow(seen.distance, s.usual, limit, now, trust, p.accept_after);
      if (trust == Trust::normal) s.habit.teach(seen.distance);
      learned = sum_up(p, s, seen.distance, now, trust);
    }
    if (trust != Trust::normal) return learned;
    ++s.count;
    const double rate = std::max(share, 2.0 / static_cast<double>(s.count + 1));
    double difference = seen.distance - s.usual;
    if (s.count > 50) {
      const double most_off = 4 * std::sqrt(s.usual_variance);
      difference = std::clamp(difference, -most_off, most_off);
    }
    s.usual = std::max(0.0, s.usual + rate * difference);
    s.usual_variance += rate * ((1 - rate) * difference * difference - s.usual_variance);
    if (s.habit.maturity() < 1 || !doubtful(p, s, seen.distance)) keep(s, seen, step_of(p, s));
    return learned;
  }
  static Learned sum_up(const Params& p, State& s, double distance, Timestamp now, Trust trust) {
    const auto since = s.since;
    if (s.summed == 0) {
      s.logs = s.distances = 0;
      s.doubted = false;
    }
    s.logs += std::log(distance + std::max(step_of(p, s) / 2, 1e-30)) / together;
    s.distances += distance / together;
    s.doubted = s.doubted || trust != Trust::normal;
    if (++s.summed < together) return Learned::as_usual;
    s.summed = 0;
    s.since = now;
    s.average = s.distances;
    const auto learned = s.sums.add(rules_of(p), s.logs,
                                    s.sums.count > 0 ? elapsed_between(since, now) : Duration{0},
                                    since, now, s.doubted ? Trust::suspicious : Trust::normal);
    // Nearer than ever is no news: the prototypes have become better.
    s.sums.low = Cusum::Side{};
    return learned;
  }
  // It may be the first of a fault's shapes: those must not become prototypes.
  static bool doubtful(const Params& p, const State& s, double distance) {
    const double usual = s.usual + 4 * std::sqrt(s.usual_variance);
    return distance > std::max(usual, step_of(p, s)) || sum_ratio(p, s).ratio > 0.5;
  }
  static void keep(State& s, const Seen& seen, double step) {
    for (float& hits : s.hits) hits *= 0.999F;
    std::size_t at = seen.at;
    float share = 0.1F;
    if (s.known == 0 || seen.distance > step) {
      share = 1;
      at = s.known;
      if (s.known < most) {
        ++s.known;
      } else {
        at = static_cast<std::size_t>(std::min_element(s.hits.begin(), s.hits.end()) -
                                      s.hits.begin());
      }
      s.hits[at] = 0;
    }
    s.hits[at] += 1;
    for (std::size_t i = 0; i < blocks; ++i) {
      s.prototypes[i][at] += share * (seen.shape[i] - s.prototypes[i][at]);
      s.prototypes[i][at] += 0.0F;
    }
  }
  // How far the blocks' means go.
  static void range_over(const Params& p, State& s, double mean, Duration elapsed) {
    const double spaced = to_seconds(elapsed) * s.length;
    const double share = std::clamp(spaced / std::max(to_seconds(p.memory), 1e-6), 0.0, 1e-3);
    const double rate = std::max(share, 1.0 / (survey + static_cast<double>(s.count)));
    const double reach = 4 * std::max(std::sqrt(s.variance), 1e-30);
    const double difference = std::clamp(mean - s.mean, -reach, reach);
    s.mean = without_sign_of_zero(s.mean + rate * difference);
    s.variance += rate * ((1 - rate) * difference * difference - s.variance);
  }
  // The habit and the rate stay: they are how the sensor reads, not what the machine does.
  static void start_anew(State& s) {
    State fresh;
    fresh.changes = s.changes;
    fresh.spacing = s.spacing;
    fresh.last = s.last;
    fresh.sums.habit = s.sums.habit;
    s = fresh;
  }
};

}  // namespace millwright::detectors
