// Silence: how long since the sensor last gave a sign of life, against its own habit. On arrival
// time.
//
// ratio = (now - last arrival) / limit, limit = the largest of
//   min_silence
//   factor * mean interval      of arrivals at different instants: a batch is one arrival
//   margin * longest interval   in normal operation, fading over `memory`
// With `expected_interval` set, factor * expected_interval takes the place of what is learned. A
// reading ends the silence: its own score is 0. Intervals beyond the limit were outages and do not
// teach, unless they recur (habit.h).
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

struct Gap {
  static constexpr std::string_view name = "gap";
  static constexpr AlertKind kind = AlertKind::gap;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::arrival;

  struct Params {
    std::optional<double> expected_interval_s;
    Duration min_silence = std::chrono::seconds{30};
    double factor = 10;
    double margin = 2.5;
    Duration memory = std::chrono::hours{24};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 10;
    static void describe(auto& visit, auto& p) {
      visit("expected_interval_s", "s", Range{0.001, 31536000},
            "Time between readings; unset: learned", p.expected_interval_s);
      visit("min_silence_s", "s", Range{0.001, 31536000}, "Shorter silences are never an alarm",
            p.min_silence);
      visit("factor", "1", Range{1, 10000}, "Silence of this many usual intervals is an alarm",
            p.factor);
      visit("margin", "1", Range{1, 100}, "Silence is this many times the longest normal interval",
            p.margin);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which the longest interval fades",
            p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Silences that recur over this time become normal", p.accept_after);
      visit("warmup", "arrivals", Range{2, 1000000}, "Arrivals before silence is judged", p.warmup);
    }
  };

  struct State {
    std::uint64_t count = 0;  // arrivals at different instants
    Timestamp last{};
    double value = 0;     // the last one, to be shown
    double interval = 0;  // mean, seconds
    Habit longest;        // seconds
    static void fields(auto& io, auto& self) {
      io(self.count, self.last, self.value, self.interval, self.longest);
      refuse_unless(io, in_bounds(self.value) && positive_in_bounds(self.interval));
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (warming(p, s)) return std::nullopt;
    return Score{.ratio = 0, .expected = sample.value, .low = sample.value, .high = sample.value};
  }

  // The expected value and the band are the last value seen.
  static std::optional<Score> silence(const Params& p, const State& s, Timestamp now) {
    if (warming(p, s)) return std::nullopt;
    return Score{.ratio = ratio_of(to_seconds(elapsed_between(s.last, now)), limit_of(p, s)),
                 .expected = s.value,
                 .low = s.value,
                 .high = s.value};
  }

  // Trust is about the value; any sign of life is one.
  static void learn(const Params& p, State& s, Sample sample, Trust) {
    s.value = without_sign_of_zero(sample.value);
    if (s.count == 0) {
      s.count = 1;
      s.last = sample.time;
      return;
    }
    const auto elapsed = elapsed_between(s.last, sample.time);
    if (elapsed == Duration::zero()) return;
    const double seconds = to_seconds(elapsed);
    s.longest.pass(elapsed, forgotten(elapsed, p.memory, 1000));
    if (!warming(p, s) && seconds >= limit_of(p, s)) {
      s.longest.suspect(seconds, sample.time, p.accept_after);
    } else {
      s.interval = mean_with(s.interval, s.count, seconds, averaged);
      s.longest.teach(seconds);
    }
    s.last = sample.time;
    ++s.count;
  }

  static double confidence(const Params& p, const State& s) {
    if (p.expected_interval_s) return 1;
    return std::min(s.longest.maturity(), static_cast<double>(s.count) / averaged);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample now) {
    return {{"silence_s", to_seconds(elapsed_between(s.last, now.time))},
            {"limit_s", limit_of(p, s)}};
  }
  static std::optional<double> recompute(const Told& told) {
    const auto silence = told.number("silence_s"), limit = told.number("limit_s");
    if (!silence || !limit) return std::nullopt;
    const bool ended = !told.evidence.empty() && told.evidence.back().time == told.time;
    return ended ? 0 : ratio_of(*silence, *limit);
  }

 private:
  static constexpr double averaged = 50;  // intervals in the mean

  static bool warming(const Params& p, const State& s) {
    return s.count == 0 || (!p.expected_interval_s && s.count < p.warmup);
  }
  static double limit_of(const Params& p, const State& s) {
    const double least = to_seconds(p.min_silence);
    if (p.expected_interval_s) return std::max(least, p.factor * *p.expected_interval_s);
    return std::max({least, p.factor * s.interval, p.margin * s.longest.record});
  }
};

}  // namespace millwright::detectors
