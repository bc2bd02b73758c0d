#include "detectors/pattern.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "detectors/shift.h"
#include "tests/detectors/alone.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

double sine(double phase) { return std::sin(2 * std::numbers::pi * phase); }
double half_missing(double phase) { return phase < 0.5 ? sine(phase) : 0; }
double with_oscillation(double phase) { return sine(phase) + 0.4 * sine(4 * phase); }
double distorted(double phase) {
  return phase < 0.5 ? sine(phase) : 0.4 * sine(phase) + 0.3 * sine(2 * phase);
}

// A machine's cycle of about `length` readings, whose length and amplitude vary by `jitter`.
struct Cycle {
  double length, jitter, noise = 0.05;
  double phase = 0, now = 0, amplitude = 1;
  double next(Random& random, double (*shape)(double)) {
    if (now == 0 || phase >= 1) {
      phase -= now == 0 ? 0 : 1;
      now = length * std::max(0.5, 1 + jitter * random.normal());
      amplitude = 1 + jitter * random.normal();
    }
    const double value = 20 + amplitude * shape(phase) + noise * random.normal();
    phase += 1 / now;
    return value;
  }
};

// Readings until the alarm after the shape has changed, 10000 if there is none in 12 cycles.
int delay_of(double length, double (*shape)(double), Duration spacing, std::uint64_t seed,
             bool* shifted = nullptr) {
  One<Pattern> one;
  One<Shift> shift;
  one.spacing = shift.spacing = spacing;
  Random random{seed};
  Cycle cycle{.length = length, .jitter = 0.03};
  // Old enough for its habits, with enough cycles.
  const int learned =
      std::max(static_cast<int>(150 * length), static_cast<int>(2 * Habit::grown_up / spacing));
  for (int i = 0; i < learned; ++i) {
    const double value = cycle.next(random, sine);
    one.feed(value);
    if (shifted) shift.feed(value);
  }
  for (int i = 0; i < 12 * length; ++i) {
    const double value = cycle.next(random, shape);
    if (shifted) *shifted = shift.feed(value) >= 1 || *shifted;
    if (one.feed(value) >= 1) return i;
  }
  return 10000;
}

TEST_CASE("a cycle whose shape changes is found within a few cycles, at any length") {
  for (const double length : {24.0, 60.0, 200.0}) {
    for (const auto shape : {half_missing, distorted, with_oscillation}) {
      int found = 0;
      std::vector<double> cycles;
      for (std::uint64_t seed = 0; seed < 15; ++seed) {
        const int delay = delay_of(length, shape, std::chrono::minutes{1}, seed);
        found += delay < 10000 ? 1 : 0;
        cycles.push_back(delay / length);
      }
      std::sort(cycles.begin(), cycles.end());
      CAPTURE(length);
      CAPTURE(shape(0.3) + shape(0.8));
      MESSAGE("cycles in the median: ", cycles[7]);
      CHECK(found >= 12);
      CHECK(cycles[7] <= 7);
    }
  }
}

TEST_CASE("so it is at 1 Hz and at five minutes; the level's own detector does not see it") {
  for (const auto spacing : {Duration{1'000'000}, Duration{300'000'000}}) {
    int found = 0;
    bool shifted = false;
    for (std::uint64_t seed = 40; seed < 44; ++seed) {
      found += delay_of(60, half_missing, spacing, seed, &shifted) < 10000 ? 1 : 0;
    }
    CAPTURE(spacing.count());
    CHECK(found >= 3);
    CHECK_FALSE(shifted);
  }
}

TEST_CASE("cycles with jitter of phase and amplitude raise nothing") {
  for (const double length : {24.0, 60.0, 200.0, 1440.0}) {
    for (const double jitter : {0.0, 0.03, 0.06}) {
      int alerts = 0;
      const int sensors = test::scaled(4, 40);
      for (int k = 0; k < sensors; ++k) {
        Alone<Pattern> alone;
        alone.one.spacing = std::chrono::minutes{1};
        Random random{500 + static_cast<std::uint64_t>(k)};
        Cycle cycle{.length = length, .jitter = jitter};
        for (int i = 0; i < 30 * 1440; ++i) alone.feed(cycle.next(random, sine));
        alerts += alone.alerts;
      }
      CAPTURE(length);
      CAPTURE(jitter);
      CHECK(alerts < sensors);
    }
  }
}

TEST_CASE("pattern alone raises less than one alert a month on every healthy background") {
  const int sensors = test::scaled(4, 100);
  for (const auto& background : backgrounds) {
    const double rate =
        static_cast<double>(alerts_on<Pattern>(background, sensors, 33000)) / sensors;
    CAPTURE(background.name);
    MESSAGE(rate);
    CHECK(rate < 1);
  }
}

TEST_CASE("the length of a block is a tenth of the rhythm, or as named") {
  for (const double length : {30.0, 100.0, 400.0}) {
    One<Pattern> one;
    Random random{1};
    Cycle cycle{.length = length, .jitter = 0};
    for (int i = 0; i < 3000; ++i) one.feed(cycle.next(random, sine));
    CAPTURE(length);
    CHECK(one.state.length == doctest::Approx(length / 10).epsilon(0.25));
  }
  One<Pattern> named;
  named.params.block_s = 30;
  Random random{2};
  for (int i = 0; i < 16 + 256 + 3000; ++i) named.feed(random.normal());
  // 100 blocks of 30 s, less the first 7, make shapes; the first reading only sets the scene.
  CHECK(named.state.count == doctest::Approx(93).epsilon(0.02));
}

TEST_CASE("suspicious shapes become no prototypes; a shape that stays is accepted in the end") {
  One<Pattern> one;
  one.spacing = std::chrono::minutes{1};
  Random random{3};
  Cycle cycle{.length = 60, .jitter = 0.02};
  for (int i = 0; i < 5 * 1440; ++i) one.feed(cycle.next(random, sine));
  const auto known = one.state.prototypes;
  bool accepted = false;
  int standing = 0;
  for (; standing < 4000 && !accepted; ++standing) {
    accepted = Pattern::learn(one.params, one.state, {one.time, cycle.next(random, half_missing)},
                              Trust::suspicious) == Learned::accepted;
    if (!accepted) REQUIRE(one.state.prototypes == known);
    one.time += one.spacing;
  }
  CHECK(accepted);
  CHECK(standing >= 1440);
  double most = 0;
  for (int i = 0; i < 5 * 1440; ++i) {
    most = std::max(most, one.feed(cycle.next(random, half_missing)));
  }
  CHECK(most < 1);
}

TEST_CASE("the expected value follows the cycle") {
  One<Pattern> one;
  one.spacing = std::chrono::minutes{1};
  Random random{4};
  Cycle cycle{.length = 120, .jitter = 0, .noise = 0.02};
  for (int i = 0; i < 4 * 1440; ++i) one.feed(cycle.next(random, sine));
  double worst = 0;
  for (int i = 0; i < 600; ++i) {
    const double phase = cycle.phase;
    one.feed(cycle.next(random, sine));
    if (one.state.filled != 0 || !one.last) continue;
    // The block's middle lies half a block back.
    const double middle = phase - (one.state.length - 1) / 2.0 / 120;
    worst = std::max(worst, std::abs(one.last->expected - 20 - sine(middle)));
    CHECK(one.last->low < one.last->expected);
    CHECK(one.last->high > one.last->expected);
  }
  CHECK(worst < 0.3);
}

TEST_CASE("after a long silence there is no score until a whole shape is known") {
  One<Pattern> one;
  Random random{5};
  Cycle cycle{.length = 40, .jitter = 0.02};
  for (int i = 0; i < 3000; ++i) one.feed(cycle.next(random, sine));
  REQUIRE(one.last);
  one.time += std::chrono::hours{3};
  for (std::uint32_t i = 0; i + 1 < 8 * one.state.length; ++i) {
    CHECK(one.feed(cycle.next(random, sine)) == -1);
  }
  CHECK(one.feed(cycle.next(random, sine)) >= 0);
}

TEST_CASE("a state of pattern takes at most 2.5 KiB and goes through bytes at any moment") {
  CHECK(sizeof(Pattern::State) <= 2560);
  Random random{6};
  Cycle cycle{.length = 40, .jitter = 0.03};
  std::vector<double> values;
  for (int i = 0; i < 4000; ++i) values.push_back(cycle.next(random, i < 3000 ? sine : distorted));
  for (const std::size_t cut : {9u, 200u, 1501u, 3105u}) {
    CHECK(continues_exactly<Pattern>(values, cut, std::chrono::seconds{10}));
  }
}

}  // namespace
}  // namespace millwright::detectors
