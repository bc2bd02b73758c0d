// The sensor's dynamics: how a reading follows from those before. An autoregression of order 4,
// learned by recursive least squares with forgetting (Haykin, Adaptive Filter Theory, ch. 9);
// what it does not foresee is held against what it normally does not foresee.
//
//   u     = (x - mean) / deviation, slow; x^ = mean + deviation * sum a_i u_{t-i}, i = 1..4
//   r     = x - x^, scale: slow root mean square of r
//   ratio = max(|r| / limit, cumulative sum of y against its own baseline / its limit)
//   limit = max(threshold * scale, reach of the habit)
//   y     = log(mean of 8 r^2 + scale^2 / 4), two-sided (cusum.h)
//
// The first part finds single surprises, the second changed dynamics: a resonance that moves, lost
// or gained damping, also where level and scatter stay as they are. Only trusted readings teach,
// with r clipped at 4 scales. After a silence of four spacings the last readings are forgotten.
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

// Recursive least squares of fixed order with exponential forgetting, kept safe: a ridge at the
// start, a symmetric covariance of bounded trace, a fresh start should it stop being positive.
struct LeastSquares {
  static constexpr std::size_t order = 4;
  using Vector = std::array<double, order>;
  static constexpr double ridge = 100;  // the covariance's diagonal at the start

  Vector weights{};
  std::array<double, order* order> covariance = start();  // symmetric

  static void fields(auto& io, auto& self) {
    io(self.weights, self.covariance);
    bool sound = true;
    for (const double w : self.weights) sound = sound && std::abs(w) <= largest_weight;
    for (const double c : self.covariance) sound = sound && std::abs(c) <= 2 * order * ridge;
    refuse_unless(io, sound);
  }
  double predict(const Vector& inputs) const {
    double sum = 0;
    for (std::size_t i = 0; i < order; ++i) sum += weights[i] * inputs[i];
    return sum;
  }
  // `error`: of the prediction from `inputs`; `kept`: share of the past that is not forgotten.
  void learn(const Vector& inputs, double error, double kept);

 private:
  static constexpr double largest_weight = 100;
  static constexpr std::array<double, order * order> start() {
    std::array<double, order * order> out{};
    for (std::size_t i = 0; i < order; ++i) out[i * order + i] = ridge;
    return out;
  }
};

struct Model {
  static constexpr std::string_view name = "model";
  static constexpr AlertKind kind = AlertKind::model;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;

  struct Params {
    double threshold = 6;
    double reference = 1;
    double limit = 7;
    double margin = 1.5;
    Duration memory = std::chrono::hours{72};
    Duration accept_after = std::chrono::hours{24};
    std::uint32_t warmup = 400;
    static void describe(auto& visit, auto& p) {
      visit("threshold", "sigma", Range{1, 1000},
            "Deviations of the prediction error that are a surprise", p.threshold);
      visit("reference", "sigma", Range{0.05, 4},
            "Half the change of the logarithm of the squared error to be found soonest",
            p.reference);
      visit("limit", "sigma", Range{1, 10000}, "Sum that is a change of dynamics", p.limit);
      visit("margin", "1", Range{1, 100},
            "An alarm goes this many times as far as normal operation", p.margin);
      visit("memory_s", "s", Range{60, 315360000},
            "Time constant of model and baseline, at least 2000 readings", p.memory);
      visit("accept_after_s", "s", Range{60, 315360000},
            "Dynamics that stay this long become the new model", p.accept_after);
      visit("warmup", "readings", Range{50, 1000000}, "Readings before the first score", p.warmup);
    }
  };

  static constexpr std::uint32_t length = 8;  // residuals of a block

  struct State {
    std::uint64_t count = 0;      // readings that taught mean and deviation
    std::uint32_t changes = 0;    // of value, up to `enough_changes`
    std::uint32_t known = 0;      // how many of `past` are filled
    LeastSquares::Vector past{};  // the readings before, newest first
    double mean = 0, variance = 0;
    double spacing = 0;  // mean seconds between readings
    double square = 0;   // slow mean of r^2
    std::uint64_t residuals = 0;
    LeastSquares learner;
    double sum = 0;  // of the squares of the block under way
    std::uint32_t filled = 0;
    bool suspicious = false;  // a reading of it was
    Timestamp last{}, begun{}, last_block{};
    Habit habit;
    Cusum sums;
    static void fields(auto& io, auto& self) {
      io(self.count, self.changes, self.known, self.past, self.mean, self.variance, self.spacing,
         self.square, self.residuals, self.learner, self.sum, self.filled, self.suspicious,
         self.last, self.begun, self.last_block, self.habit, self.sums);
      bool sound = self.known <= LeastSquares::order && self.filled < length &&
                   in_bounds(self.mean) && positive_in_bounds(self.spacing) && self.variance >= 0 &&
                   self.variance <= largest_square && self.square >= 0 &&
                   self.square <= largest_square && self.sum >= 0 && self.sum <= largest_square;
      for (const double value : self.past) sound = sound && in_bounds(value);
      refuse_unless(io, sound);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (s.count < p.warmup || s.residuals < adapted || s.square <= 0) return std::nullopt;
    const auto expected = foreseen(s, sample.time);
    if (!expected) return std::nullopt;
    const double residual = residual_of(s, sample.value, *expected);
    const double limit = limit_of(p, s);
    const auto rules = rules_of(p);
    const auto view = s.sums.ready() && s.filled + 1 == length
                          ? s.sums.view(rules, statistic(s, s.sum + residual * residual), s.begun)
                          : s.sums.view(rules);
    Score score{.ratio = ratio_of(std::abs(residual), limit),
                .expected = *expected,
                .low = *expected - limit,
                .high = *expected + limit};
    if (s.sums.ready() && view.ratio > score.ratio) {
      score.ratio = view.ratio;
      score.onset = view.onset;
    }
    return score;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    if (trust == Trust::faulty) return Learned::as_usual;
    const double value = without_sign_of_zero(sample.value);
    if (s.changes < enough_changes) {
      s.changes += value != s.past[0] ? 1 : 0;
      push(s, value, sample.time);
      return Learned::as_usual;
    }
    const auto elapsed = elapsed_between(s.last, sample.time);
    const double share = forgotten(elapsed, p.memory, full);
    auto learned = Learned::as_usual;
    if (const auto expected = foreseen(s, sample.time); expected && s.count >= settled) {
      learned = surprise(p, s, {sample.time, value}, *expected, elapsed, share, trust);
    } else if (s.known > 0 && silent(s, sample.time)) {
      s.known = s.filled = 0;
    }
    if (learned == Learned::accepted) {
      start_anew(s);
    } else if (trust == Trust::normal) {
      locate(s, value, share);
    }
    const double gap = std::min(to_seconds(elapsed), s.spacing > 0 ? 8 * s.spacing : 1e9);
    s.spacing += (s.spacing > 0 ? 0.02 : 1) * (gap - s.spacing);
    push(s, value, sample.time);
    return learned;
  }

  static double confidence(const Params& p, const State& s) { return s.sums.fullness(rules_of(p)); }
  static std::vector<Contribution> contributions(const Params& p, const State& s, Sample sample) {
    const auto expected = foreseen(s, sample.time);
    if (!expected) return {};
    const double surprise =
        ratio_of(std::abs(residual_of(s, sample.value, *expected)), limit_of(p, s));
    const double dynamics = s.sums.view(rules_of(p)).ratio, both = surprise + dynamics;
    if (both <= 0) return {};
    std::vector<Contribution> out{{"surprise", surprise / both}, {"dynamics", dynamics / both}};
    if (dynamics > surprise) std::swap(out[0], out[1]);
    return out;
  }

 private:
  static constexpr std::uint32_t enough_changes = 16;
  static constexpr std::uint64_t settled = 50;   // readings after which a deviation means something
  static constexpr std::uint64_t adapted = 150;  // residuals after which the model means something
  static constexpr std::uint64_t full = 2000;    // readings that it keeps at least
  static constexpr double clip = 4;
  static constexpr double widest_input = 8;  // deviations: one outlier must not steer the model

  static Cusum::Rules rules_of(const Params& p) {
    return {p.reference, p.limit, p.margin, p.memory, p.accept_after, 250};
  }
  static double limit_of(const Params& p, const State& s) {
    const double noise = p.threshold * std::sqrt(s.square);
    return std::max(noise, s.habit.reach(p.margin, noise));
  }
  static double statistic(const State& s, double sum) {
    return std::log(std::max(sum / length + s.square / 4, 1e-300));
  }
  static bool silent(const State& s, Timestamp now) {
    return s.spacing > 0 && to_seconds(elapsed_between(s.last, now)) > 4 * s.spacing;
  }
  static LeastSquares::Vector inputs_of(const State& s) {
    const double deviation = std::sqrt(s.variance);
    LeastSquares::Vector out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = std::clamp((s.past[i] - s.mean) / deviation, -widest_input, widest_input);
    }
    return out;
  }
  // Nothing while the readings before are not known.
  static std::optional<double> foreseen(const State& s, Timestamp now) {
    if (s.known < LeastSquares::order || s.variance <= 0 || silent(s, now)) return std::nullopt;
    const double u = s.learner.predict(inputs_of(s));
    return std::clamp(s.mean + std::sqrt(s.variance) * u, -largest_learned, largest_learned);
  }
  // What rounding alone would leave is no surprise.
  static double residual_of(const State& s, double value, double expected) {
    const double residual = value - expected;
    const double resolution = 1e-14 * (std::abs(value) + std::abs(s.mean));
    return std::abs(residual) <= resolution ? 0 : residual;
  }
  static Learned surprise(const Params& p, State& s, Sample sample, double expected,
                          Duration elapsed, double share, Trust trust) {
    const double residual = residual_of(s, sample.value, expected);
    const double limit = limit_of(p, s), scale = std::sqrt(s.square);
    const bool trusted = trust == Trust::normal;
    if (s.residuals >= adapted) {
      s.habit.pass(elapsed, share / 7);
      s.habit.follow(std::abs(residual), scale, limit, sample.time, trust, p.accept_after);
      if (trusted) s.habit.teach(std::abs(residual));
    }
    const double widest = s.residuals >= settled ? clip * scale : limitless;
    const double clipped = std::clamp(residual, -widest, widest);
    if (trusted) {
      ++s.residuals;
      const double deviation = std::sqrt(s.variance);
      s.learner.learn(inputs_of(s), std::clamp(clipped / deviation, -widest_input, widest_input),
                      1 - share);
      // Twice the plain average's: the first residuals are those of a model that knows nothing.
      const double rate = std::max(share, 2.0 / static_cast<double>(s.residuals + 1));
      s.square += rate * (clipped * clipped - s.square);
    }
    if (s.residuals < adapted) return Learned::as_usual;
    return sum_up(p, s, residual, sample.time, trust);
  }
  static Learned sum_up(const Params& p, State& s, double residual, Timestamp now, Trust trust) {
    if (s.filled == 0) {
      s.begun = now;
      s.suspicious = false;
      s.sum = 0;
    }
    s.sum += std::min(residual * residual, largest_square / length / 2);
    s.suspicious = s.suspicious || trust != Trust::normal;
    if (++s.filled < length) return Learned::as_usual;
    s.filled = 0;
    const auto elapsed = s.sums.count > 0 ? elapsed_between(s.last_block, now) : Duration{0};
    s.last_block = now;
    const auto learned = s.sums.add(rules_of(p), statistic(s, s.sum), elapsed, s.begun, now,
                                    s.suspicious ? Trust::suspicious : Trust::normal);
    // The errors of a young model become smaller because it learns.
    if (s.residuals < full) s.sums.low = Cusum::Side{};
    return learned;
  }
  static void locate(State& s, double value, double share) {
    const double rate = std::max(share, 1.0 / static_cast<double>(++s.count));
    double difference = value - s.mean;
    if (s.count > settled && s.variance > 0) {
      const double widest = clip * std::sqrt(s.variance);
      difference = std::clamp(difference, -widest, widest);
    }
    s.mean = without_sign_of_zero(s.mean + rate * difference);
    s.variance += rate * ((1 - rate) * difference * difference - s.variance);
  }
  static void push(State& s, double value, Timestamp now) {
    for (std::size_t i = s.past.size() - 1; i > 0; --i) s.past[i] = s.past[i - 1];
    s.past[0] = value;
    if (s.known < s.past.size()) ++s.known;
    s.last = now;
  }
  // The habit and the rate stay: they are how the sensor reads, not what the machine does.
  static void start_anew(State& s) {
    State fresh;
    fresh.changes = s.changes;
    fresh.spacing = s.spacing;
    fresh.habit = s.habit;
    fresh.sums.habit = s.sums.habit;
    s = fresh;
  }
  static constexpr double limitless = 1e120;
};

}  // namespace millwright::detectors
