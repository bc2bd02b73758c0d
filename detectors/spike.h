// Single readings far from their neighbours: the Hampel identifier (median and median absolute
// deviation of a sliding window; Hampel 1974, J. Am. Stat. Assoc. 69:383), held against how far the
// sensor normally strays.
//
// ratio = |x - median| / limit, limit = the largest of
//   threshold * scale    scale: mean of 1.4826 MAD of the window and its average over `memory`
//   steps * step         step: mean size of the sensor's own changes, so that coarse or
//   seldom-changing values are not spikes margin * habit       habit: the largest normal |x -
//   median|, fading over `memory`: programs that switch levels 5 % of |median|      only while the
//   sensor has changed less than 16 times: nothing else is known of it
// A sensor that has stood at 0 ever since has no scale at all: its first movement gets no score.
//
// No score either in the first 16 readings after a silence longer than the whole window.
// Suspicious readings enter the window (the median bears up to half of them) but teach neither
// scale, step nor habit.
#pragma once

#include <cmath>
#include <optional>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/detector.h"
#include "detectors/habit.h"
#include "detectors/numbers.h"
#include "detectors/window.h"

namespace millwright::detectors {

struct Spike {
  static constexpr std::string_view name = "spike";
  static constexpr AlertKind kind = AlertKind::spike;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    double threshold = 5;
    double steps = 3;
    double margin = 1.25;
    Duration window = std::chrono::hours{24};
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 300;
    static void describe(auto& visit, auto& p) {
      visit("threshold", "sigma", Range{1, 1000},
            "Deviations from the window's median that are a spike", p.threshold);
      visit("steps", "steps", Range{0, 1000},
            "Sizes of the sensor's usual change that are a spike at least", p.steps);
      visit("margin", "1", Range{1, 100},
            "A spike goes this many times as far as the sensor normally strays", p.margin);
      visit("window_s", "s", Range{1, 31536000}, "Older readings leave the window of the newest 64",
            p.window);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which what is normal fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Spikes that recur over this time become normal", p.accept_after);
      visit("warmup", "readings", Range{16, 1000000}, "Readings before the first score", p.warmup);
    }
  };

  using Window = SlidingWindow<64>;
  struct State {
    Window window;
    std::uint64_t count = 0;
    double scale = 0;         // average of the window's scale
    double step = 0;          // average size of the changes that were not zero
    std::uint32_t moves = 0;  // how many there were, up to a bound
    double last = 0;          // the last trusted value
    Habit habit;
    static void fields(auto& io, auto& self) {
      io(self.window, self.count, self.scale, self.step, self.moves, self.last, self.habit);
      refuse_unless(io, positive_in_bounds(self.scale, self.step) && in_bounds(self.last));
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup) return std::nullopt;
    const auto seen = judge(p, s, sample);
    if (!seen || (seen->limit <= 0 && seen->deviation > 0)) return std::nullopt;
    return Score{.ratio = ratio_of(seen->deviation, seen->limit),
                 .expected = seen->median,
                 .low = seen->median - seen->limit,
                 .high = seen->median + seen->limit};
  }

  static void learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return;
    const auto seen = judge(p, s, sample);
    const auto elapsed =
        s.window.size() > 0 ? elapsed_between(s.window.newest(), sample.time) : Duration{0};
    const double share = forgotten(elapsed, p.memory, least_readings);
    s.habit.pass(elapsed, share);
    if (seen)
      s.habit.follow(seen->deviation, s.scale, seen->limit, sample.time, trust, p.accept_after);
    if (trust == Trust::normal) {
      if (seen) {
        const double rate = std::max(
            share, 1.0 / static_cast<double>(std::max<std::uint64_t>(s.count, least) + 1 - least));
        s.scale += rate * (seen->scale - s.scale);
        // At once, not at the excursion's end: what comes about step by step is no spike.
        s.habit.teach(seen->deviation);
      }
      if (const double change = std::abs(sample.value - s.last); s.count > 0 && change > 0) {
        if (s.moves < most_moves) ++s.moves;
        s.step += (change - s.step) / s.moves;
      }
      s.last = without_sign_of_zero(sample.value);
    }
    if (s.window.size() > 0) {
      if (s.window.size() >= least && stale(s.window, sample.time)) s.window.clear();
      s.window.drop_before(sample.time - p.window);
    }
    s.window.add(sample);
    ++s.count;
  }

  static double confidence(const Params&, const State& s) {
    return std::min(s.habit.maturity(), static_cast<double>(s.count) / least_readings);
  }

 private:
  static constexpr double least_readings = 1000;    // that the baseline keeps
  static constexpr std::size_t least = 16;          // readings in the window that carry a median
  static constexpr std::uint32_t most_moves = 200;  // the step averages over so many changes
  static constexpr std::uint32_t enough_moves = 16;
  static constexpr double normal_scale =
      1.4826;  // of the MAD, for the standard deviation of normal noise
  static constexpr double blind_share = 0.05;

  // After a silence longer than the whole window the machine may be in another state: its old
  // readings say nothing.
  static bool stale(const Window& window, Timestamp now) {
    return elapsed_between(window.newest(), now) >
           elapsed_between(window.oldest(), window.newest());
  }

  struct Judgement {
    double median, scale, deviation, limit;
  };
  static std::optional<Judgement> judge(const Params& p, const State& s, Sample sample) {
    if (s.window.size() < least || stale(s.window, sample.time)) return std::nullopt;
    const auto horizon = sample.time - p.window;
    if (s.window.oldest() < horizon) {
      Window fresh = s.window;
      fresh.drop_before(horizon);
      return judge_in(fresh, p, s, sample);
    }
    return judge_in(s.window, p, s, sample);
  }
  static std::optional<Judgement> judge_in(const Window& window, const Params& p, const State& s,
                                           Sample sample) {
    if (window.size() < least) return std::nullopt;
    const double median = window.median();
    const double here = normal_scale * window.median_deviation(median);
    const double scale = s.scale > 0 ? (here + s.scale) / 2 : here;
    const double floor = s.moves < enough_moves ? blind_share * std::abs(median) : 0;
    const double limit = std::max({p.threshold * scale, p.steps * s.step,
                                   s.habit.reach(p.margin, p.threshold * scale), floor});
    return Judgement{median, here, std::abs(sample.value - median), limit};
  }
};

}  // namespace millwright::detectors
