// The value against what is usual at this time of its cycle. The period is named (`period_s`) or
// found by itself (season.h): shift, day, week, or a machine's own cycle.
//
//   expected = profile of the cycle, up to 48 bins (a week: 168), interpolated between neighbours
//   z        = (x - expected) / deviation of this time of the cycle
//   ratio    = max(|z| / max(threshold, reach of the habit), cumulative sum of z / its limit)
//
// The deviation is the mean of two: that of the bin, smoothed over its neighbours, and that of all
// bins, both 1.2533 mean |x - expected|. The sum is held against its own baseline (cusum.h). A
// found period scores only once its profile has foretold a further period, with R^2 of 0.3 or more;
// without a period there is no score. The phase of a machine's own cycle is tracked.
//
// Bins learn at 1 / memory_periods a visit, from trusted readings, clipped: an unusual day moves
// them by an eighth even if it raises nothing.
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
#include "detectors/season.h"

namespace millwright::detectors {

struct Seasonal {
  static constexpr std::string_view name = "seasonal";
  static constexpr AlertKind kind = AlertKind::seasonal;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    std::optional<double> period_s;
    double threshold = 7;
    double reference = 0.5;
    double limit = 15;
    double margin = 1.5;
    double memory_periods = 8;
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{72};
    static void describe(auto& visit, auto& p) {
      visit("period_s", "s", Range{0.01, 31536000}, "Length of the cycle; unset: found by itself",
            p.period_s);
      visit("threshold", "sigma", Range{1, 1000},
            "Deviations of this time of the cycle that one reading alarms at", p.threshold);
      visit("reference", "sigma", Range{0.05, 4}, "Half the lasting deviation to be found soonest",
            p.reference);
      visit("limit", "sigma", Range{1, 10000}, "Sum that is a lasting deviation", p.limit);
      visit("margin", "1", Range{1, 100},
            "An alarm goes this many times as far as normal operation", p.margin);
      visit("memory_periods", "periods", Range{2, 1000}, "Periods over which the profile averages",
            p.memory_periods);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "A deviation that stays this long becomes the new profile", p.accept_after);
    }
  };

  static constexpr std::size_t most_bins = 168, usual_bins = 48;
  using Bins = std::array<float, most_bins>;

  struct State {
    // Where the sensor is: all that follows is in (x - anchor) / unit.
    std::uint32_t changes = 0, surveyed = 0;
    double anchor = 0, unit = 0, spacing = 0;
    Timestamp last{};
    Season search;
    // The cycle; no bins: none found yet.
    std::uint32_t bins = 0;
    double period = 0;    // seconds
    Timestamp origin{};   // phase 0
    bool steady = false;  // of the calendar: its phase is not tracked
    bool confirmed = false;
    double periods = 0;         // that the profile has seen
    double seconds = 0;         // for which this profile has been kept
    double turned = 0;          // of those, at the last end of a period
    Bins level{}, deviation{};  // NaN: not seen yet
    double overall = 0;         // mean of the deviations
    // The visit to a bin under way.
    std::uint32_t bin = 0, visits = 0;
    double sum = 0, sizes = 0;
    // What the profile explains, and how far off its phase is.
    double middle = 0, errors = 0, squares = 0, weight = 0;
    double lead = 0, lead_weight = 0;
    Habit habit;
    Cusum sums;

    static void fields(auto& io, auto& self) {
      io(self.changes, self.surveyed, self.anchor, self.unit, self.spacing, self.last, self.search,
         self.bins, self.period, self.origin, self.steady, self.confirmed, self.periods,
         self.seconds, self.turned, self.level, self.deviation, self.overall, self.bin, self.visits,
         self.sum, self.sizes, self.middle, self.errors, self.squares, self.weight, self.lead,
         self.lead_weight, self.habit, self.sums);
      bool sound = self.surveyed <= survey && in_bounds(self.anchor) &&
                   positive_in_bounds(self.unit, self.spacing) &&
                   (self.surveyed < survey || self.unit > 0) && self.bins <= most_bins &&
                   (self.bins == 0 || self.surveyed == survey) && self.bin < most_bins &&
                   (self.bins == 0 || self.period > 1e-9) &&
                   positive_in_bounds(self.period, self.periods, self.seconds, self.turned) &&
                   self.overall >= 0 && self.overall <= static_cast<double>(widest) &&
                   std::abs(self.sum) <= 1e18 && self.sizes >= 0 && self.sizes <= 1e18 &&
                   std::abs(self.middle) <= 1e18 && self.errors >= 0 && self.errors <= 1e18 &&
                   self.squares >= 0 && self.squares <= 1e18 && self.weight >= 0 &&
                   self.weight <= 1e18 && std::abs(self.lead) <= 1e30 && self.lead_weight >= 0 &&
                   self.lead_weight <= 1e30;
      for (std::size_t i = 0; i < most_bins; ++i) {
        sound = sound && (std::isnan(self.level[i]) || std::abs(self.level[i]) <= widest) &&
                (std::isnan(self.deviation[i]) ||
                 (self.deviation[i] >= 0 && self.deviation[i] <= widest));
      }
      refuse_unless(io, sound);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (!s.confirmed || s.bins == 0) return std::nullopt;
    const auto usual = usual_at(s, place_of(s, sample.time));
    if (!usual) return std::nullopt;
    const double z = (scaled(s, sample.value) - usual->value) / usual->deviation;
    const double limit = limit_of(p, s);
    const double expected = s.anchor + s.unit * usual->value;
    const double reach = std::min(limit * usual->deviation * s.unit, largest_learned);
    Score score{.ratio = ratio_of(std::abs(z), limit),
                .expected = expected,
                .low = expected - reach,
                .high = expected + reach};
    if (s.sums.count < enough_sums) return score;
    const auto view = s.sums.view(rules_of(p), z, sample.time);
    if (view.ratio > score.ratio) {
      score.ratio = view.ratio;
      score.onset = view.onset;
    }
    return score;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    const bool first = s.changes == 0;
    const auto elapsed = first ? Duration{0} : elapsed_between(s.last, sample.time);
    s.last = sample.time;
    if (s.surveyed < survey) {
      if (trust == Trust::normal) look_over(p, s, sample, elapsed);
      return Learned::as_usual;
    }
    const double gap = std::min(to_seconds(elapsed), s.spacing > 0 ? 8 * s.spacing : 1e9);
    s.spacing += 0.02 * (gap - s.spacing);
    const double value = scaled(s, sample.value);
    // The phase of a machine's own cycle does not outlast a silence.
    if (s.bins > 0 && !s.steady && to_seconds(elapsed) > s.period / 2)
      lose_phase(p, s, sample.time);
    if (!p.period_s && trust == Trust::normal && s.search.length > 0 &&
        s.search.add(sample.time, value)) {
      if (const auto found = s.search.blocks.look(s.search.length); found && better(s, *found))
        adopt(s, *found);
      s.search.join(sample.time);
    }
    if (s.bins == 0) return Learned::as_usual;
    return follow(p, s, {sample.time, value}, elapsed, trust);
  }

  static double confidence(const Params& p, const State& s) {
    if (!s.confirmed) return 0;
    return std::clamp(s.periods / p.memory_periods, 0.0, 1.0);
  }

 private:
  static constexpr std::uint32_t enough_changes = 16, survey = 64;
  static constexpr float widest = 1e6F;   // units
  static constexpr double finest = 1e-6;  // units: float32 resolves no less
  static constexpr double explains = 0.3, explains_no_more = 0.1;  // R^2
  static constexpr double first_periods = 3;         // before the first score of a named period
  static constexpr std::uint64_t enough_sums = 300;  // values before the sum counts

  static Cusum::Rules rules_of(const Params& p) {
    return {p.reference, p.limit, p.margin, p.memory, p.accept_after, 1000, Duration{0}};
  }
  static double limit_of(const Params& p, const State& s) {
    return std::max(p.threshold, s.habit.reach(p.margin, p.threshold));
  }
  static double scaled(const State& s, double value) {
    const double u = (value - s.anchor) / s.unit;
    return std::clamp<double>(u, -widest, widest);
  }

  // Where the sensor is, how far it goes and how often it reads.
  static void look_over(const Params& p, State& s, Sample sample, Duration elapsed) {
    if (s.changes < enough_changes) {
      s.changes += sample.value != s.anchor || s.changes == 0 ? 1 : 0;
      s.anchor = without_sign_of_zero(sample.value);
      if (s.changes == enough_changes) s.unit = 0;
      return;
    }
    // `unit` holds the variance until the end of the survey.
    const double n = static_cast<double>(++s.surveyed), difference = sample.value - s.anchor;
    s.anchor = without_sign_of_zero(s.anchor + difference / n);
    const double variance = s.unit + ((1 - 1 / n) * difference * difference - s.unit) / n;
    s.unit = std::min(variance, largest_learned);
    s.spacing += (std::min(to_seconds(elapsed), 1e9) - s.spacing) / n;
    if (s.surveyed < survey) return;
    if (variance <= 0 || s.spacing <= 0) {
      s.surveyed = 0;
      s.unit = s.spacing = 0;
      return;
    }
    s.unit = std::max(std::sqrt(variance), 1e-300);
    s.search.begin(sample.time, 2 * s.spacing);
    if (p.period_s) start_profile(s, *p.period_s, sample.time);
  }
  static void start_profile(State& s, double period, Timestamp origin) {
    s.period = std::max(period, 1e-6);
    s.origin = origin;
    s.steady = is_of_calendar(period);
    const double readings = s.period / std::max(s.spacing, 1e-9);
    const std::size_t most = period == calendar_periods.back() ? most_bins : usual_bins;
    s.bins = static_cast<std::uint32_t>(std::clamp(readings / 2, 4.0, static_cast<double>(most)));
    forget_profile(s);
  }
  static void forget_profile(State& s) {
    s.level.fill(missing_block);
    s.deviation.fill(missing_block);
    s.overall = s.periods = s.seconds = s.turned = 0;
    s.bin = s.visits = 0;
    s.sum = s.sizes = 0;
    s.middle = s.errors = s.squares = s.weight = 0;
    s.lead = s.lead_weight = 0;
    s.confirmed = false;
  }
  // Only the calendar takes the place of another period: if both show in these blocks and it
  // explains a quarter of what the other leaves.
  static bool better(const State& s, const Period& found) {
    if (s.bins == 0) return true;
    if (!is_of_calendar(found.seconds)) return false;
    const double lag = s.period / s.search.length;
    if (found.seconds < 1.5 * s.period || lag < 4) return false;
    const double now = std::max(0.0, s.search.blocks.explained(lag));
    return found.explained > now + 0.25 * (1 - now);
  }
  // The levels begin with what the blocks say; how far readings stray from them is still to be
  // seen.
  static void adopt(State& s, const Period& found) {
    start_profile(s, found.seconds, s.search.start);
    s.sums.start_anew();
    const double lag = found.seconds / s.search.length;
    for (std::uint32_t b = 0; b < s.bins; ++b) {
      const double mean = s.search.blocks.mean_from((b + 0.5) / s.bins * lag - 0.5, lag);
      if (!std::isnan(mean)) s.level[b] = narrow(mean);
    }
    s.periods = 2;
  }
  static void lose_phase(const Params& p, State& s, Timestamp now) {
    if (p.period_s) {
      s.origin = now;
      forget_profile(s);
    } else {
      drop(s, now);
    }
  }
  // Back to the search, from the shortest blocks on.
  static void drop(State& s, Timestamp now) {
    s.bins = 0;
    s.confirmed = false;
    s.search.begin(now, s.search.first_length);
  }

  // The place in the cycle, 0 <= place < bins.
  static double place_of(const State& s, Timestamp now) {
    const double cycles = to_seconds(elapsed_between(s.origin, now)) / s.period;
    const double place = (cycles - std::floor(cycles)) * s.bins;
    return place >= 0 && place < s.bins ? place : 0;
  }
  struct Usual {
    double value = 0, deviation = 0, slope = 0;
  };
  static std::optional<Usual> usual_at(const State& s, double place) {
    const double shifted = place < 0.5 ? place + s.bins - 0.5 : place - 0.5;
    const auto a = std::min(static_cast<std::uint32_t>(shifted), s.bins - 1);
    const std::uint32_t b = a + 1 < s.bins ? a + 1 : 0;
    const double share = shifted - a;
    const bool known_a = !std::isnan(s.level[a]), known_b = !std::isnan(s.level[b]);
    if (!known_a && !known_b) return std::nullopt;
    const double at_a = static_cast<double>(s.level[known_a ? a : b]);
    const double at_b = static_cast<double>(s.level[known_b ? b : a]);
    double sum = 0, weight = 0;
    for (const auto& [i, w] : {std::pair{a, 1 - share},
                               {b, share},
                               {a > 0 ? a - 1 : s.bins - 1, 0.5},
                               {b + 1 < s.bins ? b + 1 : 0, 0.5}}) {
      if (std::isnan(s.deviation[i])) continue;
      sum += w * static_cast<double>(s.deviation[i]);
      weight += w;
    }
    const double own = weight > 0 ? sum / weight : s.overall;
    return Usual{at_a + share * (at_b - at_a),
                 std::max(normal_size * (own + s.overall) / 2, finest), at_b - at_a};
  }

  static Learned follow(const Params& p, State& s, Sample sample, Duration elapsed, Trust trust) {
    const double place = place_of(s, sample.time);
    const auto bin = static_cast<std::uint32_t>(place);
    if (bin != s.bin) {
      finish_visit(p, s);
      // Tracking may turn the phase back over its start: no second period.
      if (bin < s.bin && s.seconds - s.turned > s.period / 2) finish_period(p, s, sample.time);
      s.bin = bin;
      if (s.bins == 0) return Learned::as_usual;
    }
    s.seconds += std::min(to_seconds(elapsed), s.period);
    const auto usual = usual_at(s, place);
    if (!usual) {
      if (trust == Trust::normal) {
        s.sum += sample.value;
        ++s.visits;
      }
      return Learned::as_usual;
    }
    const double residual = sample.value - usual->value, z = residual / usual->deviation;
    auto learned = Learned::as_usual;
    // The sum comes to know the residual before anything is said of it.
    if (s.confirmed || s.periods >= first_periods)
      learned = judge(p, s, z, sample.time, elapsed, trust);
    if (learned == Learned::accepted) {
      forget_profile(s);
    } else if (trust == Trust::normal) {
      teach(s, sample.value, residual, *usual);
    }
    return learned;
  }
  static Learned judge(const Params& p, State& s, double z, Timestamp now, Duration elapsed,
                       Trust trust) {
    const double share = forgotten(elapsed, p.memory, 1000), size = std::min(std::abs(z), 1e9);
    s.habit.pass(elapsed, share);
    s.habit.follow(size, 1, limit_of(p, s), now, trust, p.accept_after);
    if (trust == Trust::normal) s.habit.teach(size);
    return s.sums.add(rules_of(p), std::clamp(z, -1e9, 1e9), elapsed, now, now, trust);
  }
  static void teach(State& s, double value, double residual, const Usual& usual) {
    // No level is learned from more than four deviations, none of a bin not seen before.
    const double widest_residual = 4 * usual.deviation;
    const bool fresh = std::isnan(s.deviation[s.bin]);
    const double clipped =
        fresh ? residual : std::clamp(residual, -widest_residual, widest_residual);
    if (std::isnan(s.level[s.bin])) {
      s.sum += value;
    } else {
      s.sum += clipped;
    }
    s.sizes += std::abs(clipped);
    ++s.visits;

    s.weight += 1;
    const double rate = std::max(1 / s.weight, s.spacing / (3 * s.period));
    const double off = value - s.middle;
    s.middle += rate * off;
    s.squares += rate * (std::min(off * off, 1e12) - s.squares);
    s.errors += rate * (std::min(residual * residual, 1e12) - s.errors);
    s.lead += clipped * usual.slope;
    s.lead_weight += usual.slope * usual.slope + usual.deviation * usual.deviation / 4;
  }
  static void finish_visit(const Params& p, State& s) {
    if (s.visits > 0) {
      const double n = s.visits;
      const double rate = std::max(1 / (s.periods + 1), 1 / p.memory_periods);
      float& level = s.level[s.bin];
      if (std::isnan(level)) {
        level = narrow(s.sum / n);
      } else {
        level = narrow(static_cast<double>(level) + rate * s.sum / n);
        float& deviation = s.deviation[s.bin];
        const double size = s.sizes / n;
        if (std::isnan(deviation)) {
          deviation = narrow(size);
          if (s.overall <= 0) s.overall = size;
        } else {
          deviation = narrow(static_cast<double>(deviation) +
                             rate * (size - static_cast<double>(deviation)));
        }
        s.overall += rate / s.bins * (size - s.overall);
      }
    }
    s.visits = 0;
    s.sum = s.sizes = 0;
  }
  static float narrow(double v) {
    return static_cast<float>(std::clamp<double>(v, -widest, widest)) + 0.0F;
  }
  static void finish_period(const Params& p, State& s, Timestamp now) {
    s.turned = s.seconds;
    s.periods = std::min(s.periods + 1, 1e9);
    double sum = 0, n = 0;
    for (std::uint32_t b = 0; b < s.bins; ++b) {
      if (std::isnan(s.deviation[b])) continue;
      sum += static_cast<double>(s.deviation[b]);
      n += 1;
    }
    if (n > 0) s.overall = sum / n;
    track(s, now);
    if (p.period_s) {
      s.confirmed = s.confirmed || (s.periods >= first_periods && n > 0.75 * s.bins);
      return;
    }
    const double r2 = s.squares > 0 ? 1 - s.errors / s.squares : 0;
    if (!s.confirmed && s.seconds >= 1.2 * s.period) s.confirmed = r2 >= explains;
    const bool never = !s.confirmed && s.seconds > 4 * s.period;
    if (never || (s.confirmed && r2 < explains_no_more)) drop(s, now);
  }
  // The residual along the profile's slope says how many bins the cycle leads.
  static void track(State& s, Timestamp now) {
    if (!s.steady && s.lead_weight > 0) {
      // The phase from here on: a change of the period must not turn what has passed.
      const double cycles = to_seconds(elapsed_between(s.origin, now)) / s.period;
      const double lead = std::clamp(s.lead / s.lead_weight, -2.0, 2.0) / s.bins;
      s.origin = now - from_seconds((cycles - std::floor(cycles) + lead / 2) * s.period);
      s.period *= 1 - lead / 10;
    }
    s.lead = s.lead_weight = 0;
  }
};

}  // namespace millwright::detectors
