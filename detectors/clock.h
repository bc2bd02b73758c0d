// Time stamps that cannot be right: readings come, and the time of none of them is in order. On
// stamps: the value is how far a wrong time is from the gateway's, in seconds, and 0 when it is in
// order.
//
// ratio = min(duration / limit, readings / `readings`) over the readings with a wrong time since
// the last with a right one; limit = the larger of
//   min_duration
//   factor * mean interval   of readings with a right time: a batch is one
// A reading with a right time ends it: its own score is 0. So is that of one that is behind, while
// what is behind changes by more than half of the time that goes by: a wrong clock runs like any
// other, and what was kept while something was down comes faster. One longer interval moves the
// mean as if it were `factor` times as long, at most: an outage teaches little.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/detector.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Clock {
  static constexpr std::string_view name = "clock";
  static constexpr AlertKind kind = AlertKind::clock;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::stamp;

  struct Params {
    Duration min_duration = std::chrono::seconds{60};
    double factor = 10;
    std::uint32_t readings = 5;
    static void describe(auto& visit, auto& p) {
      visit("min_duration_s", "s", Range{0.001, 31536000},
            "Wrong times for a shorter while are never an alarm", p.min_duration);
      visit("factor", "1", Range{1, 10000}, "Wrong for this many usual intervals is an alarm",
            p.factor);
      visit("readings", "readings", Range{1, 1000000},
            "Fewer with a wrong time in a row are never an alarm", p.readings);
    }
  };

  struct State {
    std::uint64_t count = 0;  // readings with a right time, at different instants
    Timestamp last{};         // the last of them
    double interval = 0;      // their mean, seconds
    std::uint64_t wrong = 0;  // readings with a wrong time since
    Timestamp since{};        // the first of them
    double first_error = 0;   // its
    static void fields(auto& io, auto& self) {
      io(self.count, self.last, self.interval, self.wrong, self.since, self.first_error);
      refuse_unless(io, positive_in_bounds(self.interval) && in_bounds(self.first_error));
    }
  };

  // The onset is the arrival of the first reading with a wrong time.
  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    const auto run = run_with(s, sample);
    Score score;
    const bool excused = catches_up(sample.value, run.change, to_seconds(run.duration));
    score.ratio = excused ? 0 : ratio_over(p, s, run);
    if (run.readings > 0) score.onset = run.since;
    return score;
  }

  // Trust is about the value.
  static void learn(const Params& p, State& s, Sample sample, Trust) {
    const auto run = run_with(s, sample);
    s.wrong = run.readings;
    s.since = run.since;
    s.first_error = run.first_error;
    if (run.readings > 0) return;
    if (s.count > 0) {
      const auto elapsed = elapsed_between(s.last, sample.time);
      if (elapsed == Duration::zero()) return;
      double seconds = to_seconds(elapsed);
      if (s.count > first_ones) seconds = std::min(seconds, p.factor * s.interval);
      s.interval = mean_with(s.interval, s.count, seconds, averaged);
    }
    s.last = sample.time;
    ++s.count;
  }

  static double confidence(const Params&, const State& s) {
    return std::min(1.0, static_cast<double>(s.count) / averaged);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample now) {
    const auto run = run_with(s, now);
    return {{"duration_s", to_seconds(run.duration)},
            {"limit_s", limit_of(p, s)},
            {"readings", static_cast<double>(run.readings)},
            {"least_readings", static_cast<double>(p.readings)},
            {"change_s", run.change},
            {error_number, without_sign_of_zero(now.value)}};
  }
  static std::optional<double> recompute(const Told& told) {
    const auto duration = told.number("duration_s"), limit = told.number("limit_s"),
               readings = told.number("readings"), least = told.number("least_readings"),
               change = told.number("change_s"), error = told.number(error_number);
    if (!duration || !limit || !readings || !least || !change || !error) return std::nullopt;
    if (catches_up(*error, *change, *duration)) return 0;
    return std::min(ratio_of(*duration, *limit), ratio_of(*readings, *least));
  }

  static constexpr std::string_view error_number = "error_s";
  // The engine adds it: what is further behind is behind though it was taken in.
  static constexpr std::string_view lag_number = "lag_limit_s";

 private:
  static constexpr double averaged = 50;  // intervals in the mean
  static constexpr std::uint64_t first_ones = 10;

  // Wrong times in a row.
  struct Run {
    std::uint64_t readings = 0;
    Timestamp since{};
    double first_error = 0, change = 0;  // of the error since the first
    Duration duration{};
  };
  static Run run_with(const State& s, Sample sample) {
    if (sample.value == 0) return {};
    if (s.wrong == 0) return {1, sample.time, sample.value, 0, Duration{0}};
    return {s.wrong + 1, s.since, s.first_error, sample.value - s.first_error,
            elapsed_between(s.since, sample.time)};
  }
  static bool catches_up(double error, double change, double duration) {
    return error < 0 && std::abs(change) > duration / 2;
  }
  static double limit_of(const Params& p, const State& s) {
    return std::max(to_seconds(p.min_duration), p.factor * s.interval);
  }
  static double ratio_over(const Params& p, const State& s, const Run& run) {
    return std::min(ratio_of(to_seconds(run.duration), limit_of(p, s)),
                    ratio_of(static_cast<double>(run.readings), static_cast<double>(p.readings)));
  }
};

}  // namespace millwright::detectors
