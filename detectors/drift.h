// Slow movement against a frozen reference.
//
// The first `reference` of a sensor is condensed to 56 block means b. At its end are fixed, for
// good: level = mean b; deviation of the readings; stray = how far a mean over `window` (w blocks)
// strays from the level by itself, measured on all overlapping windows of the reference, so that
// autocorrelation and cycles count as they are:
//   stray^2 = mean (window mean - level)^2 / (1 - w/56) * (1 + w/56)
// (the level shares its blocks with the windows, and is itself only an estimate), but no less than
// blocks would stray that are independent of those a window later. From then on, with now = mean of
// the newest w blocks:
//   ratio = |now - level| / limit, limit = max(student(threshold) * stray, least * deviation)
// student(): the reference holds few windows, 1.3 * 56/w - 1 degrees of freedom (by
// simulation).
//
// Readings are clipped at 5 deviations, so that spikes do not count. Suspicious readings are left
// out of the reference but move `now`. Nothing moves the reference afterwards, unless
// `accept_after_s` is set. A window of a whole day does not see the daily cycle at all.
#pragma once

#include <array>
#include <cmath>
#include <optional>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/blocks.h"
#include "detectors/detector.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Drift {
  static constexpr std::string_view name = "drift";
  static constexpr AlertKind kind = AlertKind::drift;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;
  static constexpr std::size_t blocks = 56;  // of the reference

  struct Params {
    Duration reference = std::chrono::hours{24 * 7};
    Duration window = std::chrono::hours{24};
    double threshold = 4;
    double least = 0.5;
    std::optional<double> accept_after_s;
    std::uint32_t warmup = 560;
    static void describe(auto& visit, auto& p) {
      visit("reference_s", "s", Range{60, 315360000},
            "Time over which the reference is learned, then frozen", p.reference);
      visit("window_s", "s", Range{1, 78840000},
            "The mean of now is over this time, at most a quarter of the reference", p.window);
      visit("threshold", "sigma", Range{1, 100},
            "Drift is this many times what such means stray in the reference", p.threshold);
      visit("least", "sigma", Range{0, 100},
            "Drift is at least so many deviations of the readings in the reference", p.least);
      visit("accept_after_s", "s", Range{86400, 315360000},
            "A drift that stays this long becomes the new reference; unset: never",
            p.accept_after_s);
      visit("warmup", "readings", Range{112, 1000000}, "Readings the reference takes at least",
            p.warmup);
    }
  };

  struct State {
    std::array<double, blocks> means{};  // of the reference; once frozen, of the newest window
    std::uint8_t filled = 0, next = 0;
    bool frozen = false;
    Block block;          // under way
    ClippedMean spread;   // of the reference's readings
    double level = 0;     // of the reference
    double limit = 0;     // distance from the level that is a drift
    double now = 0;       // mean of the newest window
    Timestamp left{};     // when `now` was last within a quarter of the limit
    bool away = false;    // it is not
    Duration drifted{0};  // for how long `now` has been beyond the limit
    double spacing = 0;   // mean seconds between readings
    Timestamp last{};
    double previous = 0;
    std::uint32_t changes = 0;  // of value, up to `enough_changes`
    static void fields(auto& io, auto& self) {
      io(self.means, self.filled, self.next, self.frozen, self.block, self.spread, self.level,
         self.limit, self.now, self.left, self.away, self.drifted, self.spacing, self.last,
         self.previous, self.changes);
      for (const double mean : self.means) refuse_unless(io, in_bounds(mean));
      refuse_unless(io, self.filled <= blocks && self.next < blocks &&
                            (self.frozen || self.filled < blocks) &&
                            in_bounds(self.level, self.now, self.previous) &&
                            positive_in_bounds(self.limit, self.spacing) &&
                            self.drifted >= Duration{0} && self.drifted <= Duration::max() / 2);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (!s.frozen || s.filled < window_blocks(p)) return std::nullopt;
    if (silent(p, s, elapsed_between(s.last, sample.time))) return std::nullopt;
    Score score{.ratio = ratio_of(std::abs(s.now - s.level), s.limit),
                .expected = s.level,
                .low = s.level - s.limit,
                .high = s.level + s.limit};
    if (s.away) score.onset = s.left;
    return score;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    if (s.changes < enough_changes) {  // a machine that stands still is no reference
      s.changes += sample.value != s.previous ? 1 : 0;
      s.previous = without_sign_of_zero(sample.value);
      s.last = sample.time;
      return Learned::as_usual;
    }
    const auto elapsed = elapsed_between(s.last, sample.time);
    s.last = sample.time;
    if (silent(p, s, elapsed)) forget_now(s);
    s.spacing += (s.spacing > 0 ? 0.05 : 1) * (to_seconds(elapsed) - s.spacing);
    if (!s.frozen && trust != Trust::normal) return Learned::as_usual;

    const std::uint32_t least = std::max<std::uint32_t>(p.warmup / blocks, 2);
    if (s.block.due(sample.time, p.reference / static_cast<int>(blocks), least)) close(p, s);
    const double centre = s.frozen ? s.now : s.spread.mean;
    s.block.add(sample.time, s.spread.clipped(sample.value, centre));
    if (!s.frozen) s.spread.add(sample.value, 0);
    return accept(p, s, elapsed);
  }

  static double confidence(const Params&, const State& s) {
    return s.frozen ? 1 : static_cast<double>(s.filled) / blocks;
  }

 private:
  static constexpr std::uint32_t enough_changes = 16;

  static std::size_t window_blocks(const Params& p) {
    const double share = to_seconds(p.window) / to_seconds(p.reference);
    return static_cast<std::size_t>(std::clamp(std::round(share * blocks), 1.0, blocks / 4.0));
  }
  // The newest window would be of before and after.
  static bool silent(const Params& p, const State& s, Duration elapsed) {
    return elapsed > p.window && s.spacing > 0 && to_seconds(elapsed) > 8 * s.spacing;
  }
  static void forget_now(State& s) {
    s.block = Block{};
    if (!s.frozen) return;
    s.filled = s.next = 0;
    s.away = false;
    s.drifted = Duration{0};
  }

  static void close(const Params& p, State& s) {
    const auto now = s.block.last;
    if (s.frozen) {
      const auto window = static_cast<std::uint8_t>(window_blocks(p));
      s.means[s.next] = s.block.mean;
      s.next = static_cast<std::uint8_t>((s.next + 1) % window);
      s.filled = std::min<std::uint8_t>(static_cast<std::uint8_t>(s.filled + 1), window);
      if (s.filled == window) compare(p, s, now);
    } else {
      s.means[s.filled++] = s.block.mean;
      if (s.filled == blocks) freeze(p, s);
    }
    s.block = Block{};
  }
  static void compare(const Params& p, State& s, Timestamp time) {
    s.now = mean_of(s.means, 0, s.filled);
    const bool away = std::abs(s.now - s.level) >= s.limit / 4;
    // The mean over a window shows what was half a window ago. (Never before 1970: restored times
    // must not overflow.)
    if (away && !s.away) s.left = time - std::min(p.window / 2, elapsed_between({}, time));
    s.away = away;
  }
  static void freeze(const Params& p, State& s) {
    const std::size_t window = window_blocks(p);
    const double share = static_cast<double>(window) / blocks;
    s.level = mean_of(s.means, 0, blocks);
    double of_windows = 0, of_blocks = 0;
    for (std::size_t i = 0; i + window < blocks; ++i) {  // a cycle of one window cancels
      of_blocks += std::pow(s.means[i + window] - s.means[i], 2);
    }
    of_blocks /= 2 * static_cast<double>(blocks - window);
    for (std::size_t i = 0; i + window <= blocks; ++i) {
      of_windows += std::pow(mean_of(s.means, i, window) - s.level, 2);
    }
    of_windows /= static_cast<double>(blocks - window + 1) * (1 - share);
    const double variance = std::max(of_windows, of_blocks / static_cast<double>(window));
    const double stray = std::sqrt((1 + share) * variance);
    const double wide = student(p.threshold, 1.3 / share - 1);
    s.limit = std::min(std::max(wide * stray, p.least * s.spread.deviation()), largest_learned);
    if (s.limit <= 0) {  // nothing moved: no reference
      s = State{};
      return;
    }
    std::copy(s.means.end() - static_cast<std::ptrdiff_t>(window), s.means.end(), s.means.begin());
    std::fill(s.means.begin() + static_cast<std::ptrdiff_t>(window), s.means.end(), 0.0);
    s.filled = static_cast<std::uint8_t>(window);
    s.next = 0;
    s.frozen = true;
    s.now = mean_of(s.means, 0, window);
  }
  static double mean_of(const std::array<double, blocks>& means, std::size_t from,
                        std::size_t count) {
    double mean = 0;
    for (std::size_t i = 0; i < count; ++i) {
      mean += (means[from + i] - mean) / static_cast<double>(i + 1);
    }
    return mean;
  }

  static Learned accept(const Params& p, State& s, Duration elapsed) {
    if (!p.accept_after_s || !s.frozen) return Learned::as_usual;
    const auto patience = from_seconds(*p.accept_after_s);
    if (std::abs(s.now - s.level) < s.limit) {
      s.drifted = Duration{0};
      return Learned::as_usual;
    }
    s.drifted += std::min(elapsed, patience / 4);
    if (s.drifted < patience) return Learned::as_usual;
    State fresh;
    fresh.changes = s.changes;
    fresh.previous = s.previous;
    fresh.spacing = s.spacing;
    fresh.last = s.last;
    s = fresh;
    return Learned::accepted;
  }
};

}  // namespace millwright::detectors
