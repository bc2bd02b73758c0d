#include "detectors/cycle.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <optional>

#include "core/random.h"
#include "detectors/auto.h"
#include "tests/detectors/bytes.h"
#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

// Two harmonics of heights 5 and 2.
double wave(double cycles) {
  const double angle = 2 * std::numbers::pi * cycles;
  return 5 * std::sin(angle) + 2 * std::sin(2 * angle + 1);
}

// A cycle as a detector sees it, beside the interpolation that it has to beat.
struct Followed {
  Random random;
  double period;                  // readings
  std::optional<double> named{};  // seconds
  double noise = 1;
  double at = 0;  // cycles
  double spacing = 1;
  Cycle cycle{};
  Neighbours plain{};
  Ring<float, 8> values{};

  Cycle::Change feed(double value, double elapsed) {
    plain.learn(value, 0, 100, values);
    values.add(static_cast<float>(value));
    return cycle.learn(value, elapsed, 1, named, plain);
  }
  Cycle::Change turn() {
    at += 1 / period;
    return feed(wave(at) + noise * random.normal(), spacing);
  }
  Cycle::Change rest() { return feed(noise * random.normal(), spacing); }
  // Root mean square of what the cycle leaves of so many readings, in the sensor's unit.
  double left(int readings) {
    double sum = 0;
    int known = 0;
    for (int i = 0; i < readings; ++i) {
      const double next = wave(at + 1 / period) + noise * random.normal();
      if (const auto z = cycle.residual(next, spacing)) {
        const double r = *z * cycle.deviation(0);
        sum += r * r;
        ++known;
      }
      turn();
    }
    REQUIRE(known == readings);
    return std::sqrt(sum / known);
  }
};

TEST_CASE("cycle: a period is found by itself, to a hundredth, and little is left of the values") {
  for (const double period : {17.3, 24.0, 40.0, 100.0, 230.0}) {
    for (const double spacing : {0.1, 60.0}) {
      CAPTURE(period);
      CAPTURE(spacing);
      Followed sensor{.random = Random{7}, .period = period, .spacing = spacing};
      for (int i = 0; i < 12000; ++i) sensor.turn();
      CHECK(sensor.cycle.period() == doctest::Approx(period * spacing).epsilon(0.01));
      CHECK(sensor.left(2000) < 1.2);
    }
  }
}

TEST_CASE("cycle: it leads where neighbours tell less, and does not where they tell as much") {
  Followed quick{.random = Random{8}, .period = 24};
  for (int i = 0; i < 5000; ++i) quick.turn();
  CHECK(quick.cycle.leads());
  CHECK(quick.cycle.smooth());
  // Slow, below a level that wanders: what neighbours cannot tell of it is not the cycle.
  Followed slow{.random = Random{8}, .period = 200};
  double level = 0;
  for (int i = 0; i < 20000; ++i) {
    level = 0.95 * level + 0.3 * slow.random.normal();
    slow.feed(wave(i / 200.0) + level, 1);
  }
  CHECK_FALSE(slow.cycle.leads());
}

TEST_CASE("cycle: noise, and values that wander, have none") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Followed white{.random = Random{seed}, .period = 24};
    Followed wandering{.random = Random{seed + 100}, .period = 24};
    double value = 0;
    for (int i = 0; i < 20000; ++i) {
      white.rest();
      value = 0.9 * value + wandering.random.normal();
      wandering.feed(value, 1);
    }
    CHECK_FALSE(white.cycle.leads());
    CHECK_FALSE(wandering.cycle.leads());
  }
}

TEST_CASE("cycle: a named period needs no search, and one of a few readings is none") {
  Followed named{.random = Random{9}, .period = 30, .named = 30};
  for (int i = 0; i < 100; ++i) named.turn();
  CHECK(named.cycle.period() == doctest::Approx(30));
  for (int i = 0; i < 600; ++i) named.turn();
  CHECK(named.cycle.leads());
  CHECK(named.left(1000) < 1.2);
  Followed short_one{.random = Random{9}, .period = 30, .named = 5};
  for (int i = 0; i < 1000; ++i) short_one.turn();
  CHECK(short_one.cycle.period() == 0);
  CHECK_FALSE(short_one.cycle.leads());
}

TEST_CASE("cycle: a machine that rests comes back to it, one that does another thing does not") {
  Followed sensor{.random = Random{10}, .period = 40};
  for (int i = 0; i < 4000; ++i) sensor.turn();
  REQUIRE(sensor.cycle.leads());
  for (int i = 0; i < 3000; ++i) CHECK(sensor.rest() == Cycle::Change::none);
  CHECK_FALSE(sensor.cycle.residual(0, 1).has_value());
  CHECK(sensor.cycle.leads());
  for (int i = 0; i < 3000; ++i) sensor.turn();
  CHECK(sensor.left(500) < 1.2);
  // Eight times as long as it was there: no longer.
  auto change = Cycle::Change::none;
  int rested = 0;
  while (change == Cycle::Change::none && rested < 200000) {
    change = sensor.rest();
    ++rested;
  }
  CHECK(change == Cycle::Change::lost);
  CHECK(rested > 8 * 4000);
}

TEST_CASE("cycle: turns that are longer and shorter are followed; a silence is not bridged") {
  Followed sensor{.random = Random{11}, .period = 40};
  double period = 40;
  for (int i = 0; i < 20000; ++i) {
    if (std::floor(sensor.at + 1 / period) > std::floor(sensor.at))
      period = 40 * sensor.random.uniform(0.97, 1.03);
    sensor.period = period;
    sensor.turn();
  }
  REQUIRE(sensor.cycle.leads());
  CHECK(sensor.left(2000) < 1.4);
  CHECK(sensor.cycle.residual(0, 19).has_value());
  CHECK_FALSE(sensor.cycle.residual(0, 30).has_value());
}

TEST_CASE("cycle: a robot that jumps is not smooth, and is judged where it stands still") {
  Followed sensor{.random = Random{12}, .period = 40};
  const auto level = [](int i) { return i % 40 < 12 ? 20.0 : i % 40 < 29 ? 60.0 : 35.0; };
  for (int i = 0; i < 8000; ++i) sensor.feed(level(i) + 0.5 * sensor.random.normal(), 1);
  REQUIRE(sensor.cycle.leads());
  CHECK_FALSE(sensor.cycle.smooth());
  for (int i = 8000; i < 8004; ++i) sensor.feed(level(i) + 0.5 * sensor.random.normal(), 1);
  const auto z = sensor.cycle.residual(60, 1);  // where it is soon, and 20 now
  REQUIRE(z.has_value());
  CHECK(*z > 30);
}

TEST_CASE("cycle: a state goes through bytes and goes on as if it had not") {
  Followed sensor{.random = Random{13}, .period = 30};
  for (const int readings : {100, 700, 3000}) {
    for (int i = 0; i < readings; ++i) sensor.turn();
    CAPTURE(readings);
    auto copy = restored(sensor.cycle);
    auto other = sensor;
    other.cycle = copy;
    for (int i = 0; i < 200; ++i) {
      sensor.turn();
      other.turn();
    }
    CHECK(bytes_of(sensor.cycle) == bytes_of(other.cycle));
  }
}

// The value of another moment of the cycle, within all that the sensor does.
TEST_CASE("auto finds a value at the wrong moment of a machine's cycle") {
  int found = 0, false_alarms = 0;
  const int seeds = 20;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Random random{seed};
    One<Auto> sensor;
    sensor.spacing = std::chrono::minutes{1};
    const auto level = [](int i) { return wave(i / 24.0); };
    const auto feed = [&](double value) { return sensor.feed(value + 0.5 * random.normal()) >= 1; };
    int i = 0;
    for (; i < 4320; ++i) false_alarms += feed(level(i)) && i > 2000;
    while (i % 24 != 5) {
      feed(level(i));
      ++i;
    }
    bool alarm = feed(level(17));  // -5.7 where 3.9 is due; noise 0.5
    for (++i; i % 24 != 9; ++i) alarm = feed(level(i)) || alarm;
    found += alarm;
  }
  MESSAGE(found, " of ", seeds, ", ", false_alarms, " false alarms");
  CHECK(found >= 0.9 * seeds);
  CHECK(false_alarms <= 2);
}

}  // namespace
}  // namespace millwright::detectors
