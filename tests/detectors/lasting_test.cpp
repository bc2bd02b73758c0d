// Faults that last, where frames come fast and the windows of the features are short.
#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include "core/random.h"
#include "core/score.h"
#include "detectors/auto.h"

namespace millwright::detectors {
namespace {

// One sensor, from its first reading.
template <class D>
struct Run {
  typename D::Params params;
  typename D::State state;
  Timestamp now = from_microseconds(1'732'250'000'000'000);
  Duration spacing;
  std::optional<Score> last;

  double feed(double value) {
    now += spacing;
    last = D::score(params, state, {now, value});
    const double ratio = last ? last->ratio : 0;
    D::learn(params, state, {now, value}, ratio >= 1 ? Trust::suspicious : Trust::normal);
    return ratio;
  }
};

double wander(double& memory, Random& random) {
  memory = 0.9 * memory + std::sqrt(0.19) * random.normal();
  return 50 + memory;
}

// A step by the sensor's own deviation is nothing to a single reading, nor to a window of 72.
TEST_CASE_TEMPLATE("auto finds a lasting step within the wandering of a fast sensor", D, Auto,
                   Precise) {
  int found = 0, tried = 0;
  for (std::uint64_t seed = 300; seed < 310; ++seed) {
    Random random{seed};
    Run<D> run{.spacing = std::chrono::seconds{1}};
    double memory = 0;
    for (int i = 0; i < 6 * 3600; ++i) run.feed(wander(memory, random));
    bool alarm = false;
    for (int i = 0; i < 900 && !alarm; ++i) {
      alarm = run.feed(wander(memory, random) + 1) >= 1;
      if (!alarm) continue;
      CHECK(run.last->kind == AlertKind::shift);
      CHECK(std::abs(run.last->expected - 50) < 0.5);
      REQUIRE(run.last->value);
      CHECK(*run.last->value > run.last->high);
    }
    ++tried;
    found += alarm ? 1 : 0;
  }
  CAPTURE(found);
  CHECK(found >= tried * 8 / 10);
}

// 20 deviations between two programs every 20 readings hide a lost noise from any mean.
TEST_CASE_TEMPLATE("auto finds lost noise behind changes of program", D, Auto, Precise) {
  int found = 0, tried = 0;
  for (std::uint64_t seed = 320; seed < 328; ++seed) {
    Random random{seed};
    Run<D> run{.spacing = std::chrono::minutes{1}};
    double level = 40;
    const auto next = [&](double noise) {
      if (random.chance(1.0 / 20)) level = 100 - level;
      return level + noise * random.normal();
    };
    for (int i = 0; i < 3 * 1440; ++i) run.feed(next(1));
    bool alarm = false;
    for (int i = 0; i < 400 && !alarm; ++i) {
      alarm = run.feed(next(0.1)) >= 1;
      if (alarm) CHECK(run.last->kind == AlertKind::spread);
    }
    ++tried;
    found += alarm ? 1 : 0;
  }
  CAPTURE(found);
  CHECK(found >= tried * 8 / 10);
}

}  // namespace
}  // namespace millwright::detectors
