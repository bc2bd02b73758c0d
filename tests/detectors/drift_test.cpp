#include "detectors/drift.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "detectors/shift.h"
#include "tests/detectors/one.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

constexpr double day = 86400;

double cycle(double seconds) { return 3 * std::sin(2 * std::numbers::pi * seconds / day); }

template <class State>
std::string bytes_of(const State& state) {
  std::string out;
  Writer writer{out};
  writer(state);
  return out;
}

// A week and a bit of white noise of deviation 1 about 50, every 5 minutes.
One<Drift> settled(std::uint64_t seed) {
  One<Drift> one;
  one.spacing = std::chrono::minutes{5};
  Random random{seed};
  for (int i = 0; i < 9 * 288; ++i) one.feed(50 + random.normal());
  return one;
}

TEST_CASE("Student's t is as in the tables") {
  // Upper 5 %, 2.5 % and 0.1 % points.
  struct {
    double sigma, freedom, t;
  } const cases[] = {{1.6449, 5, 2.015},  {1.6449, 10, 1.812}, {1.9600, 4, 2.776},
                     {1.9600, 10, 2.228}, {3.0902, 8, 4.501},  {3.0902, 20, 3.552}};
  for (const auto& c : cases) {
    CAPTURE(c.freedom);
    CHECK(student(c.sigma, c.freedom) == doctest::Approx(c.t).epsilon(0.02));
  }
}

TEST_CASE("the limit of white noise is half a deviation, or what its window means stray") {
  One<Drift> one;
  one.spacing = std::chrono::minutes{1};
  Random readings{1};
  for (int i = 0; i < 8 * 1440; ++i) one.feed(50 + readings.normal());
  REQUIRE(one.last);
  CHECK(one.last->expected == doctest::Approx(50).epsilon(0.002));
  CHECK(one.last->high - one.last->expected == doctest::Approx(0.5).epsilon(0.05));
  CHECK(one.last->expected - one.last->low == doctest::Approx(0.5).epsilon(0.05));

  // Means of 288 readings stray by 1/sqrt(288), 7.7 deviations of t with 8.1 degrees of freedom are
  // the limit. Each reference knows its own stray to about a quarter.
  double sum = 0;
  constexpr int seeds = 20;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    One<Drift> other;
    other.spacing = std::chrono::minutes{5};
    other.params.least = 0;
    Random random{seed};
    for (int i = 0; i < 8 * 288; ++i) other.feed(random.normal());
    REQUIRE(other.state.frozen);
    sum += other.state.limit;
  }
  const double stray = std::sqrt((1 + 8.0 / 56) / 288);
  CHECK(sum / seeds == doctest::Approx(student(4, 8.1) * stray).epsilon(0.2));
}

TEST_CASE("wear of 0.3 sigma a day under a daily cycle is found within a week; shift misses it") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    One<Drift> drift;
    One<Shift> shift;
    drift.spacing = shift.spacing = std::chrono::minutes{5};
    Random random{seed};
    double found = -1, by_shift = 0;
    for (int i = 0; i < 25 * 288; ++i) {
      const double t = i * 300.0, worn = std::max(0.0, t / day - 10);
      const double value = cycle(t) + 0.3 * worn + random.normal();
      const double ratio = drift.feed(value);
      by_shift = std::max(by_shift, shift.feed(value));
      if (worn <= 0) REQUIRE(ratio < 1);
      if (found < 0 && ratio >= 1) {
        found = worn;
        REQUIRE(drift.last->onset);
        const double onset = to_seconds(*drift.last->onset - epoch) / day - 10;
        CHECK(onset > -0.5);
        CHECK(onset < found);
      }
    }
    CHECK(found > 0);
    CHECK(found < 7);
    CHECK(by_shift < 1);
  }
}

TEST_CASE("wear is found within days") {
  const int sensors = test::scaled(5, 100);
  struct {
    const char* name;
    double rho, daily, wear, days;
  } const cases[] = {{"white noise, 0.2 a day", 0, 0, 0.2, 5},
                     {"white noise, 0.3 a day", 0, 0, 0.3, 4},
                     {"white noise, 0.5 a day", 0, 0, 0.5, 3},
                     {"autoregression 0.9, 0.2 a day", 0.9, 0, 0.2, 14},
                     {"autoregression 0.9, 0.3 a day", 0.9, 0, 0.3, 10},
                     {"autoregression 0.9, 0.5 a day", 0.9, 0, 0.5, 7},
                     {"daily cycle of 3, 0.2 a day", 0, 1, 0.2, 9},
                     {"daily cycle of 3, 0.3 a day", 0, 1, 0.3, 6},
                     {"daily cycle of 3, 0.5 a day", 0, 1, 0.5, 4}};
  for (const auto& c : cases) {
    int found = 0;
    double delay = 0;
    for (int sensor = 0; sensor < sensors; ++sensor) {
      One<Drift> one;
      one.spacing = std::chrono::minutes{5};
      Random random{700 + static_cast<std::uint64_t>(sensor)};
      double memory = 0;
      for (int i = 0; i < 40 * 288; ++i) {
        memory = c.rho * memory + std::sqrt(1 - c.rho * c.rho) * random.normal();
        const double worn = std::max(0.0, i / 288.0 - 10);
        if (one.feed(c.daily * cycle(i * 300.0) + c.wear * worn + memory) < 1) continue;
        found += worn > 0 ? 1 : 0;
        delay += worn;
        break;
      }
    }
    const auto what = fmt::format("{}: {} of {} found, after {:.1f} days", c.name, found, sensors,
                                  delay / std::max(found, 1));
    CHECK_MESSAGE(found == sensors, what);
    CHECK_MESSAGE(delay < c.days * sensors, what);
  }
}

TEST_CASE("wear of half a reference's deviation is found at 10 Hz and at one reading an hour") {
  struct {
    double spacing, reference;
  } const cases[] = {{0.1, 3600}, {3600, 7 * day}};
  for (const auto& c : cases) {
    CAPTURE(c.spacing);
    One<Drift> one;
    one.spacing = from_seconds(c.spacing);
    one.params.reference = from_seconds(c.reference);
    one.params.window = one.params.reference / 7;
    Random random{3};
    int learned = 0;
    while (one.feed(random.normal()) < 0) REQUIRE(++learned < 40000);
    CHECK(learned >= 560);
    int worn = 0;
    const double window = std::max(to_seconds(one.params.window) / c.spacing, 80.0);
    while (one.feed(random.normal() + 0.3 * worn / window) < 1) REQUIRE(++worn < 12 * window);
    CHECK(worn > window);
  }
}

TEST_CASE("cycles, autocorrelated noise and programs are no drift in two months") {
  for (const int seconds : {60, 300}) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      One<Drift> cyclic, correlated, switching;
      cyclic.spacing = correlated.spacing = switching.spacing = std::chrono::seconds{seconds};
      Random random{seed};
      double memory = 0, program = 0;
      for (int i = 0; i < static_cast<int>(60 * day) / seconds; ++i) {
        memory = 0.9 * memory + std::sqrt(1 - 0.81) * random.normal();
        if (random.chance(0.05)) program = 8 - program;
        REQUIRE(cyclic.feed(cycle(static_cast<double>(i) * seconds) + random.normal()) < 1);
        REQUIRE(correlated.feed(memory) < 1);
        REQUIRE(switching.feed(program + random.normal()) < 1);
      }
      CHECK(cyclic.last);
    }
  }
}

TEST_CASE("a working week with other weekends is no drift") {
  One<Drift> one;
  one.spacing = std::chrono::minutes{5};
  Random random{4};
  for (int i = 0; i < 42 * 288; ++i) {
    REQUIRE(one.feed((i / 288 % 7 >= 5 ? -4 : 0) + random.normal()) < 1);
  }
}

TEST_CASE("an outlier and three hours far off are no drift") {
  auto one = settled(5);
  Random random{6};
  CHECK(one.feed(1e9) < 1);
  for (int i = 0; i < 288; ++i) CHECK(one.feed(50 + random.normal()) < 1);
  for (int i = 0; i < 30; ++i) one.feed(70);
  for (int i = 0; i < 288; ++i) CHECK(one.feed(50 + random.normal()) < 1.4);
  for (int i = 0; i < 288; ++i) CHECK(one.feed(50 + random.normal()) < 1);
}

TEST_CASE("nothing moves the reference: wear of 0.02 sigma a day is found, and stands for a year") {
  auto one = settled(7);
  Random random{8};
  const double level = one.state.level, limit = one.state.limit;
  double ratio = 0;
  for (int i = 0; i < 365 * 288; ++i) ratio = one.feed(50 + 0.02 * i / 288 + random.normal());
  CHECK(ratio > 7);
  CHECK(one.state.level == level);
  CHECK(one.state.limit == limit);
}

TEST_CASE("a drift becomes the reference only where a time for that is set, and says so once") {
  for (const bool set : {false, true}) {
    auto one = settled(9);
    if (set) one.params.accept_after_s = 14 * day;
    Random random{10};
    int accepted = 0, at = 0;
    for (int i = 0; i < 40 * 288; ++i) {
      const Sample sample{one.time, 55 + random.normal()};
      const auto score = Drift::score(one.params, one.state, sample);
      const bool far = score && score->ratio >= 1;
      const auto learned =
          Drift::learn(one.params, one.state, sample, far ? Trust::suspicious : Trust::normal);
      if (learned == Learned::accepted && ++accepted == 1) {
        at = i;
        CHECK_FALSE(Drift::score(one.params, one.state, sample));
        CHECK(Drift::confidence(one.params, one.state) == 0);
      }
      one.time += one.spacing;
    }
    CHECK(accepted == (set ? 1 : 0));
    if (!set) continue;
    CHECK(at > 14 * 288);
    CHECK(at < 15 * 288);
    CHECK(one.state.level == doctest::Approx(55).epsilon(0.01));
  }
}

TEST_CASE("suspicious readings are no reference, readings of a faulty sensor move nothing") {
  One<Drift> one;
  one.spacing = std::chrono::minutes{5};
  Random random{11};
  const auto learn = [&](double value, Trust trust) {
    Drift::learn(one.params, one.state, {one.time, value}, trust);
    one.time += one.spacing;
  };
  for (int i = 0; i < 10 * 288; ++i) {
    const bool bad = i % 3 == 0;
    learn(bad ? 80 : 50 + random.normal(), bad ? Trust::suspicious : Trust::normal);
  }
  REQUIRE(one.state.frozen);
  CHECK(one.state.level == doctest::Approx(50).epsilon(0.005));
  const auto before = bytes_of(one.state);
  for (int i = 0; i < 100; ++i) learn(0, Trust::faulty);
  CHECK(bytes_of(one.state) == before);
}

TEST_CASE("a machine that stands still is no reference") {
  One<Drift> one;
  one.spacing = std::chrono::minutes{5};
  for (int i = 0; i < 20 * 288; ++i) CHECK(one.feed(0) == -1);
  CHECK(Drift::confidence(one.params, one.state) == 0);
  Random random{12};
  for (int i = 0; i < 20 * 288; ++i) REQUIRE(one.feed(40 + random.normal()) < 1);
  CHECK(one.last);
  CHECK(Drift::confidence(one.params, one.state) == 1);
}

TEST_CASE(
    "after a month of silence there is no score before a new window, and the reference stays") {
  auto one = settled(13);
  const double level = one.state.level;
  one.time += std::chrono::hours{24 * 30};
  Random random{14};
  int waiting = 0;
  while (one.feed(53 + random.normal()) < 0) REQUIRE(++waiting < 400);
  CHECK(waiting >= 288);
  REQUIRE(one.last);
  CHECK(one.last->expected == level);
  CHECK(one.last->ratio > 1);
}

TEST_CASE("a drift restored while it is under way continues exactly") {
  auto one = settled(15);
  Random random{16};
  for (int i = 0; i < 5 * 288; ++i) one.feed(50 + 0.0005 * i + random.normal());
  const auto bytes = bytes_of(one.state);
  auto other = one;
  other.state = Drift::State{};
  Reader reader{bytes};
  reader(other.state);
  REQUIRE(reader.ok());
  for (int i = 0; i < 5 * 288; ++i) {
    const double value = 51 + 0.0005 * i + random.normal();
    REQUIRE(one.feed(value) == other.feed(value));
  }
  CHECK(bytes_of(one.state) == bytes_of(other.state));
}

}  // namespace
}  // namespace millwright::detectors
