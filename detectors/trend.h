// A steady slope, and when it will reach a limit.
//
// The newest `window` is kept as 28 block means y at times t. At the end of each block:
//   slope = median of all pairwise slopes (Theil 1950, Sen 1968), level = median of y - slope * t
//   s^2 = sum r^2 / (m - 2), r: residuals, m = 28 (1 - rho) / (1 + rho), rho: their autocorrelation
//   slope_error = s / sqrt(0.95 S_tt), level_error = s / sqrt(28)        (Santer 2000)
//   strength = |slope| / (student(threshold, m - 2) * slope_error) * shape * goes_on
// Where the four quarters of `cycle` differ by more than chance about the slope of pairs in the
// same quarter (Hirsch, Slack and Smith 1982), the means of the quarters are taken out first.
// shape: 1 where a line fits better than a single step does, else the square of their sums of
// squares' ratio; goes_on: slope of the newer half over half the slope, at most 1. Theil and Sen's
// slope bears 29 % of bad blocks and has 95 % of the efficiency of least squares; a Kalman filter
// would need the very noise ratios that are not known.
//   without limits:
//     ratio = min(strength, |slope| * window / (least * stray)) / max(1, margin * habit)
//   with `high` or `low`:
//     ratio = min(strength / max(1, margin * habit), horizon / time to `latest`)
// stray: deviation of single readings from the line; habit: highest strength of a trend that ended
// by itself without an alarm. earliest and latest: Fieller's interval (1954) for where the line,
// and on it the cycle's peaks, reaches the limit: 80 %.
//
// All is measured within the window, about the line, so a slow fault cannot widen its own limit.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/blocks.h"
#include "detectors/detector.h"
#include "detectors/habit.h"
#include "detectors/line.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Trend {
  static constexpr std::string_view name = "trend";
  static constexpr AlertKind kind = AlertKind::trend;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;
  static constexpr bool absolute = true;
  static constexpr std::size_t blocks = 28;

  struct Params {
    std::optional<double> high, low;
    Duration horizon = std::chrono::hours{24 * 7};
    Duration window = std::chrono::hours{24 * 7};
    double threshold = 4;
    double least = 1;
    double margin = 1.5;
    Duration cycle = std::chrono::hours{24};
    Duration memory = std::chrono::hours{24 * 28};
    Duration accept_after = std::chrono::hours{24 * 28};
    std::uint32_t warmup = 336;
    static void describe(auto& visit, auto& p) {
      visit("high", "sensor unit", Range{-largest_magnitude, largest_magnitude},
            "Upper limit of which the trend tells when it will be reached", p.high);
      visit("low", "sensor unit", Range{-largest_magnitude, largest_magnitude},
            "Lower limit of which the trend tells when it will be reached", p.low);
      visit("horizon_s", "s", Range{1, 315360000}, "Alarm when a limit is reached within this time",
            p.horizon);
      visit("window_s", "s", Range{28, 315360000}, "Time over which the slope is taken", p.window);
      visit("threshold", "sigma", Range{1, 100}, "Errors of the slope that are a trend",
            p.threshold);
      visit("least", "sigma", Range{0, 100},
            "Without a limit: deviations of the readings that a trend moves over the window",
            p.least);
      visit("margin", "1", Range{1, 100},
            "A trend is this many times as strong as those of normal operation", p.margin);
      visit("cycle_s", "s", Range{4, 315360000},
            "A cycle that is no trend, where the window holds at least three of it", p.cycle);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Trends that recur over this time become normal", p.accept_after);
      visit("warmup", "readings", Range{56, 1000000}, "Readings in the window at least", p.warmup);
    }
  };

  // The line through the window; times in seconds from its newest block, `origin`.
  struct Line {
    double slope = 0, level = 0;  // level: at the centre
    double centre = 0;            // of the window's times, not above 0
    double slope_error = 0, level_error = 0;
    double freedom = 1;
    double strength = 0;  // against its own error, with shape and persistence
    double movement = 0;  // over the window, in what readings stray
    double stray = 0;
    double above = 0, below = 0;  // how far the cycle goes from the line
    double span = 0;              // seconds from the oldest block to the newest
    Timestamp origin{};
    static void fields(auto& io, auto& self) {
      io(self.slope, self.level, self.centre, self.slope_error, self.level_error, self.freedom,
         self.strength, self.movement, self.stray, self.above, self.below, self.span, self.origin);
      refuse_unless(io, in_bounds(self.slope, self.level, self.centre) &&
                            positive_in_bounds(self.slope_error, self.level_error, self.freedom,
                                               self.strength, self.movement, self.stray, self.above,
                                               self.below, self.span));
    }
  };
  struct State {
    std::array<double, blocks> means{};
    std::array<Timestamp, blocks> times{};
    std::uint8_t filled = 0, next = 0;
    Block block;
    ClippedMean spread;  // of the readings, to clip them
    double within = 0;   // mean variance inside a block
    bool known = false;  // is there a line
    Line line;
    bool rising = false;  // the strength is above `ground` since `since`
    Timestamp since{};
    Habit habit;
    double spacing = 0;  // mean seconds between readings
    Timestamp last{};
    static void fields(auto& io, auto& self) {
      io(self.means, self.times, self.filled, self.next, self.block, self.spread, self.within,
         self.known, self.line, self.rising, self.since, self.habit, self.spacing, self.last);
      for (const double mean : self.means) refuse_unless(io, in_bounds(mean));
      refuse_unless(io, self.filled <= blocks && self.next < blocks &&
                            (self.filled == blocks || self.next == self.filled) &&
                            self.within >= 0 && self.within <= largest_square &&
                            positive_in_bounds(self.spacing));
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (!s.known || silent(p, s, elapsed_between(s.last, sample.time))) return std::nullopt;
    const auto& line = s.line;
    const double usual = std::max(1.0, p.margin * s.habit.record);
    const double strength = line.strength / usual;
    double ratio = std::min(strength, line.movement / usual);
    if (p.high || p.low) ratio = std::min(strength, urgency(p, line, sample.time));
    // What it was before the trend, give or take what readings stray.
    const double before = line.level - line.slope * line.span / 2;
    const double expected = std::clamp(before, -largest_learned, largest_learned);
    Score score{.ratio = std::min(ratio, largest_ratio),
                .expected = expected,
                .low = expected - band * line.stray,
                .high = expected + band * line.stray};
    if (s.rising) score.onset = s.since;
    return score;
  }

  static void learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return;
    const auto elapsed = s.spread.count > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    s.last = sample.time;
    if (silent(p, s, elapsed)) {
      s.block = Block{};
      s.filled = s.next = 0;
      s.known = s.rising = false;
    }
    s.spacing += (s.spacing > 0 ? 0.05 : 1) * (to_seconds(elapsed) - s.spacing);
    s.habit.pass(elapsed, forgotten(elapsed, p.memory, 1000));
    const std::uint32_t least = std::max<std::uint32_t>(p.warmup / blocks, 2);
    if (s.block.due(sample.time, p.window / static_cast<int>(blocks), least)) {
      close(p, s, sample.time, trust);
    }
    s.block.add(sample.time, s.spread.clipped(sample.value, s.spread.mean));
    s.spread.add(sample.value, forgotten(elapsed, p.window, 512));
  }

  static double confidence(const Params&, const State& s) {
    return static_cast<double>(s.filled) / blocks;
  }

  static std::optional<Forecast> forecast(const Params& p, const State& s, Sample sample) {
    if (!s.known || s.line.strength < std::max(1.0, p.margin * s.habit.record)) return {};
    const auto limit = limit_ahead(p, s.line);
    const auto crossing = limit ? crossing_of(s.line, *limit) : std::nullopt;
    if (!crossing || !crossing->latest) return {};
    const double now = seconds_of(sample.time) - seconds_of(s.line.origin);
    const double reaches = crossing->reaches - now;
    const double earliest = std::max(crossing->earliest - now, 0.0);
    const double latest = *crossing->latest - now;
    if (reaches <= 0 || latest > farthest || latest - earliest > widest * reaches) return {};
    const auto at = [&](double ahead) { return after(sample.time, from_seconds(ahead)); };
    return Forecast{*limit, at(reaches), at(earliest), at(latest)};
  }

 private:
  static constexpr std::size_t quarters = 4;  // of the cycle
  static constexpr double ground = 0.25;      // of the alarm limit: a trend under way
  static constexpr double band = 3;           // deviations, shown to the reader
  static constexpr double interval = 1.2816;  // sigma: 80 % lie between
  static constexpr double widest = 3;         // a wider interval, in times to the limit, is no use
  static constexpr double farthest = 315360000;  // s: nobody plans further than ten years

  static double seconds_of(Timestamp time) {
    return static_cast<double>(to_microseconds(time)) / 1e6;
  }
  static Timestamp after(Timestamp time, Duration ahead) {
    std::int64_t sum = 0;
    const bool over = __builtin_add_overflow(to_microseconds(time), ahead.count(), &sum);
    return over ? Timestamp::max() : from_microseconds(sum);
  }
  static bool silent(const Params& p, const State& s, Duration elapsed) {
    return elapsed > p.window && s.spacing > 0 && to_seconds(elapsed) > 8 * s.spacing;
  }

  static std::optional<double> limit_ahead(const Params& p, const Line& line) {
    return line.slope > 0 ? p.high : p.low;
  }
  // Where the line crosses a limit, in seconds from its origin.
  struct Crossing {
    double reaches, earliest;
    std::optional<double> latest;
  };
  // Fieller: (h - slope t)^2 = q^2 (level_error^2 + slope_error^2 t^2), t from the centre. Nothing
  // where the interval is not one, because the slope may as well be the other way.
  static std::optional<Crossing> crossing_of(const Line& line, double limit) {
    if (line.slope == 0) return std::nullopt;
    const double q = student(interval, line.freedom);
    const double level = line.slope > 0 ? line.level + line.above : line.level - line.below;
    const double time = (limit - level) / line.slope;
    const double relative = q * line.slope_error / line.slope;
    const double g = relative * relative;
    if (g >= 1) return std::nullopt;
    const double offset = q * line.level_error / line.slope;
    const double half = std::sqrt((1 - g) * offset * offset + g * time * time) / (1 - g);
    const double middle = time / (1 - g);
    if (!std::isfinite(middle + half)) return std::nullopt;
    return Crossing{line.centre + time, line.centre + middle - half, line.centre + middle + half};
  }
  static double urgency(const Params& p, const Line& line, Timestamp now) {
    const auto limit = limit_ahead(p, line);
    const auto crossing = limit ? crossing_of(line, *limit) : std::nullopt;
    if (!crossing || !crossing->latest) return 0;
    const double ahead = *crossing->latest - (seconds_of(now) - seconds_of(line.origin));
    return ratio_of(to_seconds(p.horizon), std::max(ahead, 1e-6));
  }

  static void close(const Params& p, State& s, Timestamp now, Trust trust) {
    s.means[s.next] = s.block.mean;
    s.times[s.next] = s.block.middle();
    s.next = static_cast<std::uint8_t>((s.next + 1) % blocks);
    if (s.filled < blocks) ++s.filled;
    const bool first = s.within <= 0;
    s.within += (first ? 1 : 1.0 / blocks) * (s.block.variance - s.within);
    s.block = Block{};
    if (s.filled < blocks) return;
    const auto line = line_through(p, s);
    const bool first_line = !s.known;
    s.known = line.has_value();
    if (!line) return;
    s.line = *line;
    const double limit = std::max(1.0, p.margin * s.habit.record);
    s.habit.follow(line->strength, ground, limit, now, trust, p.accept_after);
    const bool rising = line->strength > ground;
    // At the first line it has been so since the oldest block or longer.
    if (rising && !s.rising) s.since = first_line ? s.times[s.next] : line->origin;
    s.rising = rising;
  }

  struct Points {
    std::array<double, blocks> time, value;    // oldest first; time from the newest
    std::array<std::uint8_t, blocks> quarter;  // of the cycle
  };
  // Of pairs in the same quarter, among the points from `from` on.
  static std::optional<double> slope_from(const Points& points, std::size_t from) {
    return median_slope<blocks>(
        points.time, points.value, from, blocks, blocks / 4,
        [&](std::size_t i, std::size_t k) { return points.quarter[i] == points.quarter[k]; });
  }
  // Means of the quarters, less the mean of all; all 0 where they differ by no more than chance
  // explains (F test, 1 %), or where the blocks do not show the cycle.
  using Quarters = std::array<double, quarters>;
  static Quarters cycle_in(const Params& p, const Points& points) {
    Quarters means{};
    const double length = -points.time[0] / (blocks - 1), quarter = to_seconds(p.cycle) / quarters;
    if (p.window / 3 < p.cycle || length < 0.75 * quarter || length > 1.25 * quarter) return means;
    const auto slope = slope_from(points, 0);
    if (!slope) return means;
    Quarters counts{};
    double mean = 0, total = 0, between = 0;
    for (std::size_t i = 0; i < blocks; ++i) {
      const double level = points.value[i] - *slope * points.time[i];
      means[points.quarter[i]] += level;
      ++counts[points.quarter[i]];
      mean += level / blocks;
    }
    for (std::size_t i = 0; i < blocks; ++i) {
      total += std::pow(points.value[i] - *slope * points.time[i] - mean, 2);
    }
    for (std::size_t q = 0; q < quarters; ++q) {
      if (counts[q] < 2) return Quarters{};
      means[q] = means[q] / counts[q] - mean;
      between += counts[q] * means[q] * means[q];
    }
    const double within = std::max(total - between, 0.0);
    constexpr double f = 4.72, freedom = blocks - quarters - 1;  // F(3, 23), 1 %
    const bool there = between / (quarters - 1) > f * within / freedom;
    return there && total < largest_square ? means : Quarters{};
  }
  // The amplitude of the sine whose means over quarters they are.
  static double swing_of(const Quarters& means) {
    constexpr double damping = 0.9003;  // sin(pi/4) / (pi/4)
    return std::hypot((means[0] - means[2]) / 2, (means[1] - means[3]) / 2) / damping;
  }
  // Sum of squares about the better of two levels, the change between any two blocks.
  static double squares_about_step(const Points& points, double centre) {
    double total = 0, squares = 0;
    for (const double value : points.value) {
      total += value - centre;
      squares += (value - centre) * (value - centre);
    }
    double best = squares - total * total / blocks, left = 0;
    for (std::size_t i = 0; i + 1 < blocks; ++i) {
      left += points.value[i] - centre;
      const double n = static_cast<double>(i + 1), right = total - left;
      best = std::min(best, squares - left * left / n - right * right / (blocks - n));
    }
    return std::max(best, 0.0);
  }

  static std::optional<Line> line_through(const Params& p, const State& s) {
    Points points;
    Line line;
    const std::size_t newest = (s.next + blocks - 1) % blocks;
    line.origin = s.times[newest];
    for (std::size_t i = 0; i < blocks; ++i) {
      const std::size_t at = (s.next + i) % blocks;
      points.time[i] = seconds_of(s.times[at]) - seconds_of(line.origin);
      points.value[i] = s.means[at];
      line.centre += points.time[i] / blocks;
      const double turns = points.time[i] / to_seconds(p.cycle);
      const double part = std::round(quarters * (turns - std::floor(turns)));
      points.quarter[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(part) % quarters);
    }
    const auto cycle = cycle_in(p, points);
    const double swing = swing_of(cycle);
    line.above = std::max(swing, *std::max_element(cycle.begin(), cycle.end()));
    line.below = std::max(swing, -*std::min_element(cycle.begin(), cycle.end()));
    for (std::size_t i = 0; i < blocks; ++i) points.value[i] -= cycle[points.quarter[i]];
    points.quarter.fill(0);
    const auto slope = slope_from(points, 0), newer = slope_from(points, blocks / 2);
    if (!slope || !newer) return std::nullopt;
    line.slope = *slope;
    line.span = -points.time[0];

    std::array<double, blocks> residuals;
    double centre = 0;
    for (std::size_t i = 0; i < blocks; ++i) {
      residuals[i] = points.value[i] - line.slope * (points.time[i] - line.centre);
      centre += points.value[i] / blocks;
    }
    auto sorted = residuals;
    line.level = median_of(sorted.data(), blocks);
    double squares = 0, neighbours = 0, of_times = 0;
    for (std::size_t i = 0; i < blocks; ++i) {
      residuals[i] -= line.level;
      squares += residuals[i] * residuals[i];
      if (i > 0) neighbours += residuals[i] * residuals[i - 1];
      of_times += (points.time[i] - line.centre) * (points.time[i] - line.centre);
    }
    if (!(squares < largest_square) || !(of_times > 0)) return std::nullopt;
    judge(p, s, line, *newer, squares, neighbours, of_times, squares_about_step(points, centre));
    const bool sound = in_bounds(line.slope, line.level, line.centre) &&
                       positive_in_bounds(line.slope_error, line.level_error, line.stray,
                                          line.above, line.below, line.span);
    return sound ? std::optional{line} : std::nullopt;
  }
  // What the line is worth. With a cycle taken out, three degrees of freedom fewer.
  static void judge(const Params& p, const State& s, Line& line, double newer, double squares,
                    double neighbours, double of_times, double about_step) {
    const double effective = independent_of(squares, neighbours, blocks);
    line.freedom = std::max(effective - 2 - (line.above > 0 ? quarters - 1 : 0), 1.0);
    const double residual = squares / line.freedom;
    line.slope_error = std::sqrt(residual / of_times / slope_efficiency);
    line.level_error = std::sqrt(residual / blocks);
    line.stray = std::sqrt(squares / (blocks - 2) + line.above * line.below / 2 + s.within);
    const double steeper = line.slope != 0 ? std::clamp(2 * newer / line.slope, 0.0, 1.0) : 0;
    const double shape = squares > about_step ? about_step / squares : 1;
    const double size = std::abs(line.slope);
    line.strength = ratio_of(size, student(p.threshold, line.freedom) * line.slope_error) * shape *
                    shape * steeper;
    line.movement = std::min(ratio_of(size * line.span, p.least * line.stray), largest_ratio);
  }
};

}  // namespace millwright::detectors
