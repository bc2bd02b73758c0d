// A sensor that says the same value over and over, though it does not normally.
//
// ratio = min(run / max(min_run, margin * longest), duration / min_duration) while fewer than half
// of the sensor's past differences were zero, else 0. run: readings of the same value; longest: the
// longest run in normal operation, fading over `memory`. A sensor that is normally flat (a switch,
// a set point, a coarse thermometer) never alarms.
//
// A value that comes back in runs is where the sensor rests (0 for an idle machine): there a run
// must be `rest_margin` times longer.
//
// A run teaches when it ends, and only if no reading of it was suspicious; stuck runs that recur
// become normal by the rule in habit.h (a machine that stands still every night).
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

struct Stuck {
  static constexpr std::string_view name = "stuck";
  static constexpr AlertKind kind = AlertKind::stuck;
  static constexpr std::uint16_t state_version = 2;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    std::uint32_t min_run = 16;
    double margin = 2;
    double rest_margin = 3;
    Duration min_duration = std::chrono::seconds{60};
    Duration memory = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 100;
    static void describe(auto& visit, auto& p) {
      visit("min_run", "readings", Range{3, 1000000},
            "Shorter runs of one value are never an alarm", p.min_run);
      visit("margin", "1", Range{1, 100},
            "A stuck run is this many times the longest in normal operation", p.margin);
      visit("rest_margin", "1", Range{1, 1000},
            "At the value where it normally rests, a run must be this many times longer still",
            p.rest_margin);
      visit("min_duration_s", "s", Range{0, 31536000}, "Runs that last less are never an alarm",
            p.min_duration);
      visit("memory_s", "s", Range{60, 315360000}, "Time in which the longest run fades", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Runs that recur over this time become normal", p.accept_after);
      visit("warmup", "readings", Range{16, 1000000}, "Readings before the first score", p.warmup);
    }
  };

  struct State {
    std::uint64_t count = 0;
    double value = 0;
    std::uint64_t run = 0;      // readings of `value`
    Timestamp since{}, last{};  // the first and the newest of them
    bool suspicious = false;    // one of them was
    std::uint64_t changes = 0;  // differences of finished runs
    double zeros = 0;           // share of them that were zero
    double rest = 0;            // value of the newest finished run of at least `rest_run`
    bool rests = false;         // there was one
    Habit longest;
    static void fields(auto& io, auto& self) {
      io(self.count, self.value, self.run, self.since, self.last, self.suspicious, self.changes,
         self.zeros, self.rest, self.rests, self.longest);
      refuse_unless(io, in_bounds(self.value, self.rest) && self.zeros >= 0 && self.zeros <= 1 &&
                            (self.count == 0) == (self.run == 0));
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup) return std::nullopt;
    const bool same = sample.value == s.value;
    Score score{.ratio = 0, .expected = s.value, .low = s.value, .high = s.value};
    if (same) {
      score.ratio =
          ratio_for(p, s, static_cast<double>(s.run + 1), elapsed_between(s.since, sample.time));
      score.onset = s.since;
    } else {
      score.expected = score.low = score.high = sample.value;
    }
    return score;
  }

  static void learn(const Params& p, State& s, Sample sample, Trust trust) {
    const auto elapsed = s.count > 0 ? elapsed_between(s.last, sample.time) : Duration{0};
    s.longest.pass(elapsed, forgotten(elapsed, p.memory, least_readings));
    if (s.count == 0 || sample.value != s.value) {
      if (s.count > 0) finish_run(p, s, sample.time);
      s.value = without_sign_of_zero(sample.value);
      s.run = 0;
      s.since = sample.time;
      s.suspicious = false;
    }
    ++s.run;
    ++s.count;
    s.last = sample.time;
    s.suspicious = s.suspicious || trust != Trust::normal;
  }

  static double confidence(const Params&, const State& s) {
    const double readings = static_cast<double>(s.changes) / least_readings;
    return std::min(s.longest.maturity(), readings);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample sample) {
    const bool same = s.count > 0 && sample.value == s.value;
    const auto lasted = same ? elapsed_between(s.since, sample.time) : Duration{0};
    return {{"run", same ? static_cast<double>(s.run + 1) : 1},
            {"run_limit", may_stick(s) ? run_limit(p, s) : 0},
            {"lasted_s", to_seconds(lasted)},
            {"least_s", to_seconds(p.min_duration)}};
  }
  // The run by its number; that it is one, the evidence has to bear out.
  static std::optional<double> recompute(const Told& told) {
    const auto run = told.number("run"), limit = told.number("run_limit");
    const auto lasted = told.number("lasted_s"), least = told.number("least_s");
    if (!run || !limit || !lasted || !least || told.evidence.empty()) return std::nullopt;
    const auto newest = told.evidence.back();
    for (const auto& [time, value] : told.evidence) {
      const bool of_run = to_seconds(elapsed_between(time, newest.time)) <= *lasted;
      if (of_run && value != newest.value) return std::nullopt;
    }
    if (*limit <= 0 || *run <= 1) return 0;
    return ratio_of_run(ratio_of(*run, *limit), *lasted, *least);
  }

 private:
  static constexpr double least_readings = 1000;  // that the baseline keeps
  static constexpr std::uint64_t rest_run = 3;    // readings

  static double ratio_for(const Params& p, const State& s, double run, Duration duration) {
    if (!may_stick(s)) return 0;
    return ratio_of_run(ratio_of(run, run_limit(p, s)), to_seconds(duration),
                        to_seconds(p.min_duration));
  }
  // It is not normally flat.
  static bool may_stick(const State& s) { return s.changes > 0 && s.zeros < 0.5; }
  static double run_limit(const Params& p, const State& s) {
    const double at_rest = s.rests && s.value == s.rest ? p.rest_margin : 1;
    return at_rest * std::max(static_cast<double>(p.min_run), p.margin * s.longest.record);
  }
  static double ratio_of_run(double by_count, double lasted, double least) {
    return least > 0 ? std::min(by_count, ratio_of(lasted, least)) : by_count;
  }
  static void finish_run(const Params& p, State& s, Timestamp now) {
    const double run = static_cast<double>(s.run);
    if (s.suspicious && ratio_for(p, s, run, elapsed_between(s.since, s.last)) >= 1) {
      s.longest.suspect(run, now, p.accept_after);
      return;
    }
    // A run of n readings is n - 1 differences of zero and one that is not.
    const double n = static_cast<double>(s.changes += s.run);
    s.zeros += std::min(1.0, run / std::min(n, least_readings)) * ((run - 1) / run - s.zeros);
    if (s.suspicious) return;
    s.longest.teach(run);
    if (s.run >= rest_run) {
      s.rest = s.value;
      s.rests = true;
    }
  }
};

}  // namespace millwright::detectors
