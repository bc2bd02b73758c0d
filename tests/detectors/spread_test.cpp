#include "detectors/spread.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tests/detectors/alone.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

constexpr std::array spacings{Duration{100'000}, Duration{1'000'000}, Duration{60'000'000},
                              Duration{300'000'000}};

// Readings until the alarm after the scatter has become `factor` times as large, or 1000.
int delay_of(Duration spacing, int learned, double factor, std::uint64_t seed,
             One<Spread>* keep = nullptr) {
  One<Spread> one;
  one.spacing = spacing;
  Random random{seed};
  for (int i = 0; i < learned; ++i) one.feed(50 + random.normal());
  int delay = 0;
  while (one.feed(50 + factor * random.normal()) < 1 && delay < 1000) ++delay;
  if (keep) *keep = one;
  return delay;
}

TEST_CASE("four times the variance is found within about 50 readings, at every spacing") {
  for (const auto spacing : spacings) {
    std::vector<int> delays;
    for (std::uint64_t seed = 0; seed < 41; ++seed) {
      delays.push_back(delay_of(spacing, 5000, 2, seed));
    }
    std::sort(delays.begin(), delays.end());
    CAPTURE(spacing.count());
    MESSAGE("readings, median and nine of ten: ", delays[20], " ", delays[36]);
    CHECK(delays[20] <= 55);
    CHECK(delays[36] <= 100);
  }
}

TEST_CASE("noise that falls to a tenth is found within 50 readings, and so is a dead transducer") {
  for (const auto spacing : spacings) {
    CAPTURE(spacing.count());
    for (const double factor : {0.1, 0.0}) {
      std::vector<int> delays;
      for (std::uint64_t seed = 0; seed < 21; ++seed) {
        delays.push_back(delay_of(spacing, 2000, factor, seed));
      }
      std::sort(delays.begin(), delays.end());
      MESSAGE("to ", factor, ", readings in the median: ", delays[10]);
      CHECK(delays[10] <= 50);
      CHECK(delays[20] <= 80);
    }
  }
}

TEST_CASE("the onset is near the change, and the band is the level and three deviations") {
  int near = 0;
  for (std::uint64_t seed = 50; seed < 70; ++seed) {
    One<Spread> one;
    delay_of(std::chrono::minutes{1}, 5000, 3, seed, &one);
    REQUIRE(one.last);
    REQUIRE(one.last->onset);
    const auto changed = epoch + 5000 * one.spacing;
    near += *one.last->onset >= changed - 24 * one.spacing &&
                    *one.last->onset <= changed + 24 * one.spacing
                ? 1
                : 0;
    CHECK(one.last->expected == doctest::Approx(50).epsilon(0.1));
    // The logarithm's mean lies below that of the variance, and the quarter above: near 3 sigma.
    CHECK(one.last->high - one.last->low == doctest::Approx(6).epsilon(0.15));
  }
  CHECK(near >= 16);
}

TEST_CASE("level shifts, ramps and slow cycles are no change of scatter") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    One<Spread> one;
    one.spacing = std::chrono::minutes{1};
    Random random{seed};
    double most = 0;
    for (int i = 0; i < 20000; ++i) {
      const double t = i * 60.0;
      const double level = (i > 8000 ? 12.0 : 0) + (i > 12000 ? 0.2 * (i - 12000) : 0.0) +
                           20 * std::sin(2 * std::numbers::pi * t / 86400);
      most = std::max(most, one.feed(level + random.normal()));
    }
    CHECK(most < 1);
  }
}

TEST_CASE("a scatter with a daily rhythm becomes known, and stays without alarm") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Alone<Spread> alone;
    alone.one.spacing = std::chrono::minutes{1};
    Random random{seed};
    int before = 0;
    for (int i = 0; i < 20 * 1440; ++i) {
      if (i == 7 * 1440) before = alone.alerts;
      const bool shift = i % 1440 >= 360 && i % 1440 < 1320;
      alone.feed(50 + (shift ? 1.5 : 0.5) * random.normal());
    }
    CAPTURE(seed);
    CHECK(alone.alerts == before);
  }
}

TEST_CASE("spread alone raises less than one alert a month on every healthy background") {
  const int sensors = test::scaled(4, 100);
  for (const auto& background : backgrounds) {
    const double rate =
        static_cast<double>(alerts_on<Spread>(background, sensors, 31000)) / sensors;
    CAPTURE(background.name);
    MESSAGE(rate);
    CHECK(rate < 1);
  }
}

TEST_CASE("suspicious scatter teaches nothing, and is accepted when it has stayed for a day") {
  One<Spread> one;
  one.spacing = std::chrono::minutes{1};
  Random random{7};
  for (int i = 0; i < 5000; ++i) one.feed(random.normal());
  while (one.feed(4 * random.normal()) < 1) {
  }
  for (int i = 0; i < 16; ++i) one.feed(4 * random.normal());
  const double mean = one.state.sums.mean, scale = one.state.scale;
  for (int i = 0; i < 600; ++i) one.feed(4 * random.normal());
  CHECK(one.state.sums.mean == mean);
  CHECK(one.state.scale == scale);
  bool accepted = false;
  for (int i = 0; i < 1440 && !accepted; ++i) {
    accepted = Spread::learn(one.params, one.state, {one.time, 4 * random.normal()},
                             Trust::suspicious) == Learned::accepted;
    one.time += one.spacing;
  }
  CHECK(accepted);
  double most = 0;
  for (int i = 0; i < 5000; ++i) most = std::max(most, one.feed(4 * random.normal()));
  CHECK(most < 1);
  CHECK(std::exp(one.state.sums.mean / 2) == doctest::Approx(4).epsilon(0.2));
}

TEST_CASE("confidence grows with what the baseline has learned") {
  One<Spread> one;
  one.spacing = std::chrono::minutes{1};
  Random random{8};
  CHECK(Spread::confidence(one.params, one.state) == 0);
  for (int i = 0; i < 1440; ++i) one.feed(random.normal());
  const double day = Spread::confidence(one.params, one.state);
  CHECK(day == doctest::Approx(1.0 / 3).epsilon(0.05));
  for (int i = 0; i < 3 * 1440; ++i) one.feed(random.normal());
  CHECK(Spread::confidence(one.params, one.state) == 1);
}

TEST_CASE("a state of spread goes through bytes at any moment") {
  Random random{9};
  std::vector<double> values;
  for (int i = 0; i < 3000; ++i) values.push_back((i < 2000 ? 1 : 5) * random.normal());
  for (const std::size_t cut : {5u, 403u, 1999u, 2040u}) {
    CHECK(continues_exactly<Spread>(values, cut, std::chrono::seconds{10}));
  }
}

}  // namespace
}  // namespace millwright::detectors
