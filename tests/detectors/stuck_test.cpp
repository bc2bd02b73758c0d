#include "detectors/stuck.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

// Readings of one value until the ratio is 1; -1 if it is not in 10,000.
int readings_until_stuck(One<Stuck>& one, double value) {
  for (int i = 1; i <= 10000; ++i) {
    if (one.feed(value) >= 1) return i;
  }
  return -1;
}

TEST_CASE("a sensor that stands still is found after 16 readings and a minute") {
  struct {
    double seconds;
    int readings;
  } const cases[] = {{0.1, 601}, {1, 61}, {10, 16}, {300, 16}};
  for (const auto& c : cases) {
    CAPTURE(c.seconds);
    One<Stuck> one;
    one.spacing = from_seconds(c.seconds);
    Random random{1};
    for (int i = 0; i < 500; ++i) CHECK(one.feed(random.normal()) <= 0.1);
    const auto began = one.time;
    CHECK(readings_until_stuck(one, 3.25) == c.readings);
    REQUIRE(one.last->onset);
    CHECK(*one.last->onset == began);
  }
}

TEST_CASE("a sensor that is normally flat never alarms") {
  One<Stuck> one;
  Random random{2};
  double level = 20;
  for (int i = 0; i < 1000; ++i) {
    if (random.chance(0.1)) level += 0.5;
    CHECK(one.feed(level) <= 0);
  }
  CHECK(readings_until_stuck(one, level) == -1);
}

TEST_CASE("a constant sensor never alarms") {
  One<Stuck> one;
  CHECK(readings_until_stuck(one, 5) == -1);
}

TEST_CASE("a run has to be twice the longest of normal operation") {
  One<Stuck> one;
  one.spacing = std::chrono::minutes{1};
  Random random{3};
  for (int i = 0; i < 500; ++i) {
    one.feed(random.normal());
    if (i % 100 == 0) {
      for (int k = 0; k < 12; ++k) one.feed(9);
    }
  }
  // 12 readings, faded a little over the 100 readings since.
  CHECK(readings_until_stuck(one, 1) >= 23);
}

TEST_CASE("a stuck run does not teach") {
  One<Stuck> one;
  one.spacing = std::chrono::minutes{1};
  Random random{4};
  for (int i = 0; i < 500; ++i) one.feed(random.normal());
  for (int fault = 0; fault < 3; ++fault) {
    CHECK(readings_until_stuck(one, 1) == 16);
    for (int i = 0; i < 1000; ++i) one.feed(1);
    for (int i = 0; i < 100; ++i) one.feed(random.normal());
  }
}

TEST_CASE("a machine that stands still every night is known after a few nights") {
  One<Stuck> one;
  one.spacing = std::chrono::minutes{1};
  Random random{5};
  double first = 0, last = 0;
  for (int night = 0; night < 7; ++night) {
    for (int i = 0; i < 960; ++i) one.feed(random.normal());
    for (int i = 0; i < 480; ++i) last = one.feed(0);
    if (night == 0) first = last;
  }
  CHECK(first > 1);
  CHECK(last < 1);
}

TEST_CASE("stuck: confidence grows with the baseline to 1; its runs go on in faulty readings") {
  One<Stuck> one;
  one.spacing = std::chrono::minutes{1};
  Random random{11};
  double before = 0;
  for (int i = 0; i < 1500; ++i) {
    one.feed(random.normal());
    const double confidence = Stuck::confidence(one.params, one.state);
    REQUIRE(confidence >= before);
    before = confidence;
    if (i == 500) CHECK(confidence == doctest::Approx(500.0 / 1440).epsilon(0.02));
  }
  CHECK(before == 1);
  const double longest = one.state.longest.record;
  for (int i = 0; i < 100; ++i) {
    Stuck::learn(one.params, one.state, {one.time, 7}, Trust::faulty);
    one.time += one.spacing;
  }
  CHECK(one.state.run == 100);
  one.feed(random.normal());
  CHECK(one.state.longest.record <= longest);
}

}  // namespace
}  // namespace millwright::detectors
