#include "detectors/model.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "detectors/shift.h"
#include "detectors/spike.h"
#include "detectors/spread.h"
#include "tests/detectors/alone.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

// An autoregression of order 2 with poles rho e^(+-i theta) and variance 1: the noise that it takes
// follows from the Yule-Walker equations.
struct Resonance {
  double rho, theta, last = 0, before = 0;
  double next(Random& random) {
    const double a = 2 * rho * std::cos(theta), b = -rho * rho;
    const double noise = std::sqrt((1 + b) * ((1 - b) * (1 - b) - a * a) / (1 - b));
    const double value = a * last + b * before + noise * random.normal();
    before = last;
    last = value;
    return value;
  }
};

TEST_CASE("least squares find the coefficients of an autoregression") {
  LeastSquares learner;
  Resonance signal{.rho = 0.9, .theta = 1};
  Random random{1};
  LeastSquares::Vector past{};
  for (int i = 0; i < 20000; ++i) {
    const double value = signal.next(random);
    learner.learn(past, value - learner.predict(past), 1 - 1.0 / 5000);
    past = {value, past[0], past[1], past[2]};
  }
  CHECK(learner.weights[0] == doctest::Approx(1.8 * std::cos(1.0)).epsilon(0.05));
  CHECK(learner.weights[1] == doctest::Approx(-0.81).epsilon(0.05));
  CHECK(std::abs(learner.weights[2]) < 0.06);
  CHECK(std::abs(learner.weights[3]) < 0.06);
}

TEST_CASE("the covariance stays symmetric, positive and bounded without excitation") {
  LeastSquares learner;
  Random random{2};
  for (int i = 0; i < 200000; ++i) {
    const double one = i % 1000 == 0 ? random.normal() : 0;
    learner.learn({one, 0, one, 0}, random.normal(), 0.99);
  }
  double trace = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(learner.covariance[i * 5] > 0);
    trace += learner.covariance[i * 5];
    for (std::size_t j = 0; j < i; ++j) {
      CHECK(learner.covariance[i * 4 + j] == learner.covariance[j * 4 + i]);
    }
  }
  CHECK(trace <= 4 * LeastSquares::ridge * (1 + 1e-9));
}

TEST_CASE("a resonance that moves is found, which shift, spread and spike do not see") {
  std::vector<int> delays;
  int others = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    One<Model> model;
    One<Shift> shift;
    One<Spread> spread;
    One<Spike> spike;
    model.spacing = shift.spacing = spread.spacing = spike.spacing = std::chrono::minutes{1};
    Random random{seed};
    Resonance signal{.rho = 0.95, .theta = 1.4};
    int delay = 300;
    for (int i = -5000; i < 300; ++i) {
      if (i == 0) signal.theta = 2;
      const double value = 50 + signal.next(random);
      const bool other = std::max({shift.feed(value), spread.feed(value), spike.feed(value)}) >= 1;
      const bool found = model.feed(value) >= 1;
      if (i < 0) {
        CHECK_FALSE(found);
      } else {
        others += other ? 1 : 0;
        if (found) delay = std::min(delay, i);
      }
    }
    delays.push_back(delay);
  }
  std::sort(delays.begin(), delays.end());
  MESSAGE("readings in the median: ", delays[10]);
  CHECK(delays[10] <= 50);
  CHECK(delays[19] <= 150);
  CHECK(others == 0);
}

TEST_CASE("lost damping is found at 10 Hz and at five minutes alike") {
  for (const auto spacing : {Duration{100'000}, Duration{300'000'000}}) {
    int found = 0;
    for (std::uint64_t seed = 20; seed < 30; ++seed) {
      One<Model> one;
      one.spacing = spacing;
      Random random{seed};
      Resonance signal{.rho = 0.5, .theta = 1.2};
      for (int i = 0; i < 5000; ++i) one.feed(signal.next(random));
      signal.rho = 0.98;
      bool alarm = false;
      for (int i = 0; i < 800; ++i) alarm = one.feed(signal.next(random)) >= 1 || alarm;
      found += alarm ? 1 : 0;
    }
    CAPTURE(spacing.count());
    CHECK(found == 10);
  }
}

TEST_CASE("a reading that its past does not foretell is found though it is within the range") {
  One<Model> one;
  one.spacing = std::chrono::minutes{1};
  Random random{3};
  double level = 0, last = 0;
  for (int i = 0; i < 5000; ++i) {
    level = 0.999 * level + random.normal();
    one.feed(last = level);
  }
  const double jump = level > 0 ? -10.0 : 10.0;
  CHECK(std::abs(level + jump) < 3 * std::sqrt(one.state.variance));
  CHECK(one.feed(level + jump) >= 1);
  REQUIRE(one.last);
  CHECK(one.last->expected == doctest::Approx(last).epsilon(0.2));
  CHECK(one.last->high - one.last->low == doctest::Approx(12).epsilon(0.3));
}

TEST_CASE("model alone raises less than one alert a month on every healthy background") {
  const int sensors = test::scaled(4, 100);
  for (const auto& background : backgrounds) {
    const double rate = static_cast<double>(alerts_on<Model>(background, sensors, 32000)) / sensors;
    CAPTURE(background.name);
    MESSAGE(rate);
    CHECK(rate < 1);
  }
}

TEST_CASE("suspicious readings teach the model nothing; dynamics that stay are accepted") {
  One<Model> one;
  one.spacing = std::chrono::minutes{1};
  Random random{4};
  Resonance signal{.rho = 0.9, .theta = 0.5};
  for (int i = 0; i < 5000; ++i) one.feed(signal.next(random));
  const auto weights = one.state.learner.weights;
  const double square = one.state.square;
  signal.theta = 2.5;
  bool accepted = false;
  int standing = 0;
  for (; standing < 3000 && !accepted; ++standing) {
    accepted = Model::learn(one.params, one.state, {one.time, signal.next(random)},
                            Trust::suspicious) == Learned::accepted;
    if (!accepted) REQUIRE(one.state.learner.weights == weights);
    if (!accepted) REQUIRE(one.state.square == square);
    one.time += one.spacing;
  }
  CHECK(accepted);
  CHECK(standing >= 1440);
  CHECK(standing < 1600);
  double most = 0;
  for (int i = 0; i < 5000; ++i) most = std::max(most, one.feed(signal.next(random)));
  CHECK(most < 1);
  CHECK(one.state.learner.weights[0] == doctest::Approx(1.8 * std::cos(2.5)).epsilon(0.1));
}

TEST_CASE("an outlier does not steer the model") {
  One<Model> one;
  Random random{5};
  Resonance signal{.rho = 0.9, .theta = 0.5};
  for (int i = 0; i < 5000; ++i) one.feed(signal.next(random));
  // Taught as normal all the same: the residual and the inputs are clipped.
  Model::learn(one.params, one.state, {one.time, 1e9}, Trust::normal);
  one.time += one.spacing;
  for (int i = 0; i < 1000; ++i) one.feed(signal.next(random));
  CHECK(one.state.learner.weights[0] == doctest::Approx(1.8 * std::cos(0.5)).epsilon(0.1));
}

TEST_CASE("after a silence there is no score until four readings are known") {
  One<Model> one;
  Random random{6};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  REQUIRE(one.last);
  one.time += std::chrono::hours{1};
  for (int i = 0; i < 4; ++i) CHECK(one.feed(random.normal()) == -1);
  CHECK(one.feed(random.normal()) >= 0);
}

TEST_CASE("what speaks is named: the surprise or the dynamics") {
  One<Model> one;
  one.spacing = std::chrono::minutes{1};
  Random random{7};
  for (int i = 0; i < 5000; ++i) one.feed(random.normal());
  const auto features = Model::contributions(one.params, one.state, {one.time, 30});
  REQUIRE(features.size() == 2);
  CHECK(features[0].feature == "surprise");
  CHECK(features[0].share > 0.5);
  CHECK(features[0].share + features[1].share == doctest::Approx(1));
}

TEST_CASE("a state of model goes through bytes at any moment") {
  Random random{8};
  Resonance signal{.rho = 0.9, .theta = 0.5};
  std::vector<double> values;
  for (int i = 0; i < 4000; ++i) {
    if (i == 3000) signal.theta = 2;
    values.push_back(signal.next(random));
  }
  for (const std::size_t cut : {3u, 160u, 1000u, 3100u}) {
    CHECK(continues_exactly<Model>(values, cut, std::chrono::seconds{10}));
  }
}

}  // namespace
}  // namespace millwright::detectors
