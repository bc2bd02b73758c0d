// A statistic watched for lasting changes: Page's two-sided cumulative sum (Page 1954, Biometrika
// 41:100) of its standardised value against its own slow baseline. What `shift` does with readings,
// for statistics of readings (a scatter, a prediction error).
//
//   z    = clip((value - mean) / deviation, +-4)
//   high = max(0, high + z - reference), low = max(0, low - z - reference), capped at 1.5 limits
//   ratio = max(high, low) / limit, limit = max(limit * ringing, reach of the habit)
//
// The baseline learns from trusted values only, clipped, and less and less while a sum is past half
// its limit. A change that stays above the limit for `accept_after` is accepted.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/score.h"
#include "detectors/habit.h"
#include "detectors/numbers.h"
#include "detectors/ringing.h"

namespace millwright::detectors {

struct Cusum {
  struct Rules {
    double reference = 0.5, limit = 12, margin = 1.5;
    Duration memory = std::chrono::hours{72};
    Duration accept_after = std::chrono::hours{24};
    double least = 100;  // values that the baseline keeps at least
    // The slowest cycle that habit has to know; slower ones ring. Zero: the values have no cycles.
    Duration cycle = std::chrono::hours{24};
  };
  // One side's sum and the excursion it is on.
  struct Side {
    double sum = 0, peak = 0;
    Timestamp onset{};
    bool suspicious = false;
    static void fields(auto& io, auto& self) {
      io(self.sum, self.peak, self.onset, self.suspicious);
      refuse_unless(io, positive_in_bounds(self.sum, self.peak));
    }
  };
  struct View {
    double ratio = 0;
    bool high = false;  // which side leads
    std::optional<Timestamp> onset{};
  };
  static constexpr std::uint64_t settled = 40;  // values after which a deviation means something

  std::uint64_t count = 0;  // values that taught the baseline
  double mean = 0, variance = 0;
  double inflation = 1;  // what ringing says
  Duration age{0};       // of the baseline, silences left out
  Duration standing{0};  // for how long a sum has been above the limit
  Side high, low;
  Habit habit;
  Ringing ringing;

  static void fields(auto& io, auto& self) {
    io(self.count, self.mean, self.variance, self.inflation, self.age, self.standing, self.high,
       self.low, self.habit, self.ringing);
    refuse_unless(io, in_bounds(self.mean, self.inflation) && self.inflation >= 1 &&
                          self.variance >= 0 && self.variance <= largest_square &&
                          self.age >= Duration{0} && self.standing >= Duration{0} &&
                          self.standing <= Duration::max() / 2);
  }

  bool ready() const { return count >= settled && variance > 0; }

  // As it stands.
  View view(const Rules& rules) const { return view_of(high, low, limit_of(rules)); }
  // As it would stand with this value, which belongs to the time from `begun` on.
  View view(const Rules& rules, double value, Timestamp begun) const {
    const double limit = limit_of(rules), z = residual(value);
    return view_of(advanced(high, z - rules.reference, limit, begun),
                   advanced(low, -z - rules.reference, limit, begun), limit);
  }
  // `elapsed` since the value before.
  Learned add(const Rules& rules, double value, Duration elapsed, Timestamp begun, Timestamp now,
              Trust trust) {
    if (elapsed > rules.memory) high = low = Side{};
    const double z = ready() ? residual(value) : 0;
    if (ready()) sum_up(rules, z, begun, now, trust);
    const double share = forgotten(elapsed, rules.memory, rules.least);
    habit.pass(elapsed, share / 7);
    if (trust == Trust::normal) {
      standing -= std::min(standing, std::min(elapsed, rules.accept_after / 100) / 2);
      teach(rules, value, z, share, elapsed);
      return Learned::as_usual;
    }
    if (std::max(high.sum, low.sum) < limit_of(rules)) return Learned::as_usual;
    standing += std::min(elapsed, rules.accept_after / 4);
    if (standing < rules.accept_after) return Learned::as_usual;
    start_anew();
    return Learned::accepted;
  }
  // The habit stays: it is how the statistic moves, not where it is.
  void start_anew() {
    const Habit kept = habit;
    *this = Cusum{};
    habit = kept;
  }
  // 0..1: how much of what the baseline can hold it has learned.
  double fullness(const Rules& rules) const {
    const double by_count = static_cast<double>(count) / rules.least;
    const double by_age = to_seconds(age) / std::max(to_seconds(rules.memory), 1e-6);
    return std::clamp(std::min(by_count, std::max(by_age, 0.01)), 0.0, 1.0);
  }

 private:
  static constexpr double clip = 4;  // one outlier is no lasting change
  static constexpr double cap = 1.5;

  double residual(double value) const {
    const double difference = value - mean;
    if (variance <= 0) return difference == 0 ? 0 : std::copysign(clip, difference);
    return std::clamp(difference / std::sqrt(variance), -clip, clip);
  }
  double limit_of(const Rules& rules) const {
    const double noise = rules.limit * inflation;
    return std::max(noise, habit.reach(rules.margin, noise));
  }
  static View view_of(const Side& up, const Side& down, double limit) {
    const Side& leading = up.sum >= down.sum ? up : down;
    View out{ratio_of(leading.sum, limit), up.sum >= down.sum, std::nullopt};
    if (leading.sum > 0) out.onset = leading.onset;
    return out;
  }
  static Side advanced(Side side, double step, double limit, Timestamp begun) {
    const double sum = std::min(side.sum + step, cap * limit);
    if (sum <= 0) return Side{};
    if (side.sum <= 0) side.onset = begun;
    side.sum = sum;
    side.peak = std::max(side.peak, sum);
    return side;
  }
  void sum_up(const Rules& rules, double z, Timestamp begun, Timestamp now, Trust trust) {
    const double limit = limit_of(rules);
    for (auto* side : {&high, &low}) {
      const Side before = *side;
      *side = advanced(before, (side == &high ? z : -z) - rules.reference, limit, begun);
      side->suspicious = side->sum > 0 && (side->suspicious || trust != Trust::normal);
      if (side->sum > 0 || before.sum <= 0) continue;
      if (!before.suspicious) {
        habit.teach(before.peak);
      } else if (before.peak >= limit) {
        habit.suspect(before.peak, now, rules.accept_after);
      }
    }
  }
  // A sum on its way up may be a fault that has not reached its limit yet. A young baseline stays
  // open: it does not know its cycles yet.
  double openness(const Rules& rules) const {
    const double doubt = std::max(high.sum, low.sum) / std::max(limit_of(rules), 1e-9);
    return 1 - habit.maturity() * std::clamp(2 * doubt - 1, 0.0, 1.0);
  }
  void teach(const Rules& rules, double value, double z, double share, Duration elapsed) {
    const bool known = ready();
    const double open = openness(rules), n = static_cast<double>(++count);
    const double rate = open * std::max(share, 1 / n);
    double difference = value - mean;
    if (known) {
      const double widest = clip * std::sqrt(variance);
      difference = std::clamp(difference, -widest, widest);
    }
    mean = without_sign_of_zero(mean + rate * difference);
    const double spread_rate = open * std::max(share / 4, 1 / n);
    variance += spread_rate * ((1 - rate) * difference * difference - variance);
    age += std::min({elapsed, rules.memory / 50, Duration::max() - age});
    if (!known || open < 0.5) return;
    ringing.add(z, share / 4);
    if (ringing.count % 16 == 0) inflation = ringing.factor(longest_block(rules));
  }
  // Values. A young baseline cannot tell a slow cycle from a change by its habits yet: it lets its
  // limit be raised by whatever moves slowly.
  double longest_block(const Rules& rules) const {
    if (rules.cycle <= Duration{0} || age / 2 < rules.cycle) {
      return std::numeric_limits<double>::infinity();
    }
    const double values = to_seconds(rules.cycle) / to_seconds(age) * static_cast<double>(count);
    return std::max(values / 16, 32.0);
  }
};

}  // namespace millwright::detectors
