#include "detectors/seasonal.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "detectors/shift.h"
#include "detectors/spike.h"
#include "tests/detectors/alone.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

double sine(double phase) { return std::sin(2 * std::numbers::pi * phase); }
double day(double t) { return 20 + 5 * sine(t / 86400); }
double shifts(double t) { return 20 + (std::fmod(t / 3600, 8) < 6 ? 5.0 : 0.0); }
double week(double t) {
  const double of_week = std::fmod(t / 86400, 7), hour = std::fmod(t / 3600, 24);
  return 20 + (of_week < 5 && hour >= 6 && hour < 22 ? 5.0 : 0.0);
}
double machine(double t) { return 20 + 5 * sine(t / 47.3) + 2 * sine(2 * t / 47.3); }

template <class F>
void feed(One<Seasonal>& one, Random& random, double seconds, F value) {
  const double spacing = to_seconds(one.spacing);
  for (double t = 0; t < seconds; t += spacing) {
    one.feed(value(to_seconds(one.time - epoch)) + 0.5 * random.normal());
  }
}

TEST_CASE("the period is found by itself: shift, day, week and a machine's own, fast and slow") {
  struct {
    double (*value)(double);
    double spacing, seconds, period;
  } const cases[] = {
      {shifts, 60, 5 * 86400, 8 * 3600}, {shifts, 300, 8 * 86400, 8 * 3600},
      {day, 10, 12 * 86400, 86400},      {day, 60, 12 * 86400, 86400},
      {day, 300, 12 * 86400, 86400},     {week, 600, 80 * 86400, 7 * 86400},
      {machine, 1, 6 * 3600, 47.3},      {machine, 0.1, 2 * 3600, 47.3},
  };
  for (const auto& c : cases) {
    CAPTURE(c.period);
    CAPTURE(c.spacing);
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      One<Seasonal> one;
      one.spacing = from_seconds(c.spacing);
      Random random{seed};
      feed(one, random, c.seconds, c.value);
      CHECK(one.state.confirmed);
      CHECK(one.state.period == doctest::Approx(c.period).epsilon(0.005));
      REQUIRE(one.last);
      CHECK(one.last->ratio < 1);
    }
  }
}

TEST_CASE("where there is no period there is no score: noise, wandering, a ramp, programs") {
  const std::function<double(double, Random&, double&)> signals[] = {
      [](double, Random&, double&) { return 0.0; },
      [](double, Random& random, double& memory) { return memory += 0.2 * random.normal(); },
      [](double, Random& random, double& memory) {
        return memory = 0.999 * memory + 0.2 * random.normal();
      },
      [](double t, Random&, double&) { return t / 20000; },
      [](double, Random& random, double& memory) {
        if (random.chance(0.05)) memory = memory == 0 ? 8 : 0;
        return memory;
      },
  };
  for (const auto& signal : signals) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      One<Seasonal> one;
      one.spacing = std::chrono::minutes{1};
      Random random{seed};
      double memory = 0;
      int scored = 0;
      for (int i = 0; i < 30 * 1440; ++i) {
        scored += one.feed(signal(i * 60.0, random, memory) + 0.5 * random.normal()) >= 0 ? 1 : 0;
      }
      CAPTURE(&signal - signals);
      CHECK(scored == 0);
    }
  }
}

TEST_CASE("what is usual by day is found at night, though shift and spike know the level") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    One<Seasonal> one;
    One<Shift> shift;
    One<Spike> spike;
    one.spacing = shift.spacing = spike.spacing = std::chrono::minutes{1};
    Random random{seed};
    bool before = false, others = false;
    int delay = 10000;
    // The machine stays on from the evening of the 21st day on.
    for (int i = 0; i < 20 * 1440 + 22 * 60 + 120; ++i) {
      const int minute = i % 1440;
      const int past = i - (20 * 1440 + 22 * 60);
      const bool on = (minute >= 360 && minute < 1320) || past >= 0;
      const double value = 20 + (on ? 5.0 : 0.0) + 0.5 * random.normal();
      const bool other = std::max(shift.feed(value), spike.feed(value)) >= 1;
      const bool found = one.feed(value) >= 1;
      if (past < 0 && i > 10 * 1440) before = before || found;
      if (past >= 0) others = others || other;
      if (past >= 0 && found) delay = std::min(delay, past);
    }
    CAPTURE(seed);
    CHECK_FALSE(before);
    CHECK_FALSE(others);
    CHECK(delay < 60);
  }
}

TEST_CASE("expected value and band follow the time of day") {
  One<Seasonal> one;
  one.spacing = std::chrono::minutes{1};
  Random random{1};
  feed(one, random, 20 * 86400, day);
  double worst = 0;
  for (int i = 0; i < 1440; ++i) {
    const double t = to_seconds(one.time - epoch);
    one.feed(day(t) + 0.5 * random.normal());
    REQUIRE(one.last);
    worst = std::max(worst, std::abs(one.last->expected - day(t)));
    CHECK(one.last->high - one.last->low == doctest::Approx(2 * 7 * 0.5).epsilon(0.2));
  }
  CHECK(worst < 0.4);
}

TEST_CASE("a machine's own cycle keeps its phase though its length varies from cycle to cycle") {
  One<Seasonal> one;
  Random random{2};
  double phase = 0, length = 60, most = 0;
  for (int i = 0; i < 86400; ++i) {
    phase += 1 / length;
    if (phase >= 1) {
      phase -= 1;
      length = 60 * (1 + 0.01 * random.normal());
    }
    most = std::max(most, one.feed(20 + 5 * sine(phase) + 0.5 * random.normal()));
  }
  CHECK(most < 1);
  CHECK(one.state.confirmed);
  CHECK(1 - one.state.errors / one.state.squares > 0.9);
}

TEST_CASE("a holiday is not learned: neither as suspicious nor at once as normal") {
  for (const bool suspicious : {true, false}) {
    One<Seasonal> one;
    one.spacing = std::chrono::minutes{1};
    Random random{3};
    const auto working = [](double t) {
      const double hour = std::fmod(t / 3600, 24);
      return 20 + (hour >= 6 && hour < 22 ? 5.0 : 0.0);
    };
    feed(one, random, 20 * 86400, working);
    REQUIRE(one.state.confirmed);
    const auto profile = one.state.level;
    for (int i = 0; i < 1440; ++i) {
      Seasonal::learn(one.params, one.state, {one.time, 20 + 0.5 * random.normal()},
                      suspicious ? Trust::suspicious : Trust::normal);
      one.time += one.spacing;
    }
    double moved = 0;
    for (std::size_t b = 0; b < one.state.bins; ++b) {
      moved = std::max(moved, std::abs(static_cast<double>(one.state.level[b] - profile[b])));
    }
    moved *= one.state.unit;
    CAPTURE(suspicious);
    // An eighth of what is left of 5 after clipping at four deviations of 0.5 to 0.6.
    CHECK(moved < (suspicious ? 0.2 : 0.8));
    double most = 0;
    for (int i = 0; i < 86400; i += 60) {
      most =
          std::max(most, one.feed(working(to_seconds(one.time - epoch)) + 0.5 * random.normal()));
    }
    if (suspicious) CHECK(most < 1.5);
  }
}

TEST_CASE("a deviation that stays for three days becomes the new profile") {
  One<Seasonal> one;
  one.spacing = std::chrono::minutes{5};
  Random random{4};
  feed(one, random, 20 * 86400, day);
  bool accepted = false;
  int standing = 0;
  for (; standing < 2000 && !accepted; ++standing) {
    const double value = day(to_seconds(one.time - epoch)) + 6 + 0.5 * random.normal();
    accepted = Seasonal::learn(one.params, one.state, {one.time, value}, Trust::suspicious) ==
               Learned::accepted;
    one.time += one.spacing;
  }
  CHECK(accepted);
  CHECK(standing >= 3 * 288);
  CHECK(standing < 4 * 288);
  feed(one, random, 10 * 86400, [](double t) { return day(t) + 6; });
  REQUIRE(one.last);
  CHECK(one.last->ratio < 1);
  const double t = to_seconds(one.time - one.spacing - epoch);
  CHECK(one.last->expected == doctest::Approx(day(t) + 6).epsilon(0.03));
}

TEST_CASE("seasonal alone raises less than one alert a month on every healthy background") {
  const int sensors = test::scaled(4, 100);
  for (const auto& background : backgrounds) {
    const double rate =
        static_cast<double>(alerts_on<Seasonal>(background, sensors, 34000)) / sensors;
    CAPTURE(background.name);
    MESSAGE(rate);
    CHECK(rate < 1);
  }
}

TEST_CASE("a named period scores after three of its cycles") {
  One<Seasonal> one;
  one.params.period_s = 47.3;
  Random random{5};
  int silent = 0;
  while (one.feed(machine(to_seconds(one.time - epoch)) + 0.5 * random.normal()) < 0) ++silent;
  CHECK(silent >= 64 + 16 + 3 * 47 - 1);
  CHECK(silent <= 64 + 16 + 4 * 48 + 1);
  CHECK(Seasonal::confidence(one.params, one.state) == doctest::Approx(3.0 / 8));
}

TEST_CASE("R^2 of a period: a cycle explains itself, noise explains nothing") {
  Season season;
  season.begin(epoch, 1);
  Random random{6};
  for (int i = 0; i < 180; ++i) {
    season.add(epoch + i * std::chrono::seconds{1}, sine(i / 20.0) + 0.1 * random.normal());
  }
  // Foretold from up to four others: 1 - (0.01 + 0.01 / k) / 0.51 for k of 2 to 4.
  CHECK(season.blocks.explained(20) == doctest::Approx(0.974).epsilon(0.01));
  // Half a period off: two of the four say the opposite, the mean of all says nothing.
  CHECK(season.blocks.explained(10) < 0.1);
  Season noise;
  noise.begin(epoch, 1);
  for (int i = 0; i < 190; ++i) noise.add(epoch + i * std::chrono::seconds{1}, random.normal());
  for (double lag = 8; lag <= 64; ++lag) CHECK(noise.blocks.explained(lag) < 0.2);
}

TEST_CASE("a state of seasonal goes through bytes while searching and while in use") {
  Random random{7};
  std::vector<double> values;
  for (int i = 0; i < 4000; ++i) values.push_back(machine(i) + 0.5 * random.normal());
  for (const std::size_t cut : {9u, 70u, 300u, 470u, 1200u}) {
    CHECK(continues_exactly<Seasonal>(values, cut, std::chrono::seconds{1}));
  }
}

}  // namespace
}  // namespace millwright::detectors
