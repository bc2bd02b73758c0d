#include "detectors/places.h"

#include <doctest/doctest.h>

#include "core/random.h"

namespace millwright::detectors {
namespace {

// `gap` deviations between two programs, changed every 20 values on average.
struct Programs {
  Random random;
  double gap;
  double level = 0;
  Places places;
  int n = 0;

  void feed(double shift) {
    if (random.chance(1.0 / 20)) level = gap - level;
    places.learn(level + shift + random.normal(), gap / 2, ++n);
  }
};

TEST_CASE("places: a step within both programs is told by its own size") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Programs sensor{Random{seed}, 20};
    for (int i = 0; i < 3000; ++i) sensor.feed(0);
    CHECK(sensor.places.apart());
    // The mean of 24 values of deviation 1 has one of 0.15.
    CHECK(std::abs(sensor.places.astray()) < 1);
    for (int i = 0; i < 100; ++i) sensor.feed(3);
    CHECK(sensor.places.astray() == doctest::Approx(3).epsilon(0.35));
  }
}

TEST_CASE("places: where it went only a few times is no place yet") {
  Random random{1};
  Places places;
  int n = 0;
  const auto stay = [&](double level, int values) {
    for (int i = 0; i < values; ++i) places.learn(level + random.normal(), 10, ++n);
  };
  // Warm at work and cool in some breaks.
  for (int k = 0; k < 20; ++k) {
    stay(0, 100);
    stay(20, 100);
  }
  CHECK_FALSE(places.apart());
  for (int k = 0; k < 20; ++k) {
    stay(0, 100);
    stay(20, 100);
  }
  CHECK(places.apart());
}

TEST_CASE("places: one place is not two") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Random random{seed};
    Places places;
    for (int i = 1; i <= 5000; ++i) {
      places.learn(random.normal(), 0.8, i);
      CHECK_FALSE(places.apart());
    }
  }
}

}  // namespace
}  // namespace millwright::detectors
