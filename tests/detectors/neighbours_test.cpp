// The learned interpolation: its weights and residuals against the closed forms of known processes.
#include "detectors/neighbours.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/random.h"

namespace millwright::detectors {
namespace {

// The newest values, newest first.
struct History {
  std::vector<double> values = std::vector<double>(8, 0.0);
  double operator[](std::size_t back) const { return values[back]; }
  void add(double x) {
    values.insert(values.begin(), x);
    values.pop_back();
  }
};

struct Outcome {
  Neighbours::Weights weights;
  double deviation = 0;  // of the residuals of the second half
};

Outcome run(double keep, std::uint64_t seed) {
  Random random{seed};
  Neighbours neighbours;
  History history;
  double x = 0, square = 0;
  int count = 0;
  for (int i = 0; i < 40000; ++i) {
    x = keep * x + std::sqrt(1 - keep * keep) * random.normal();
    neighbours.learn(x, 0, 5, history);
    history.add(x);
    if (i < 20000) continue;
    const auto at = [&](std::size_t back) { return history[back]; };
    const double r = Neighbours::residual(neighbours.weights(), 0, 2, at);
    square += r * r;
    ++count;
  }
  return {neighbours.weights(), std::sqrt(square / count)};
}

TEST_CASE("the interpolation of AR(1) weighs the next neighbours with phi / (1 + phi^2)") {
  const auto it = run(0.9, 31);
  CHECK(it.weights.near == doctest::Approx(0.9 / 1.81).epsilon(0.1));
  CHECK(std::abs(it.weights.far) < 0.06);
  CHECK(it.deviation == doctest::Approx(std::sqrt(0.19 / 1.81)).epsilon(0.03));
}

TEST_CASE("the interpolation of white noise is its level") {
  const auto it = run(0, 32);
  CHECK(std::abs(it.weights.near) < 0.1);
  CHECK(std::abs(it.weights.far) < 0.1);
  CHECK(it.deviation == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("an interpolation that knows little is the level, and a constant has none") {
  Neighbours neighbours;
  const History history;
  CHECK(neighbours.weights().near == 0);
  for (int i = 0; i < 1000; ++i) neighbours.learn(7, 7, 0, history);
  CHECK_FALSE(neighbours.known());
  CHECK(neighbours.weights().near == 0);
  CHECK(neighbours.usual_step() == 0);
}

}  // namespace
}  // namespace millwright::detectors
