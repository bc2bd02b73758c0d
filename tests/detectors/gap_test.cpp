#include "detectors/gap.h"

#include <doctest/doctest.h>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

double silent_for(const One<Gap>& one, Duration silence) {
  const auto score = Gap::silence(one.params, one.state, one.state.last + silence);
  return score ? score->ratio : -1;
}

TEST_CASE("silence is judged against the sensor's own interval") {
  struct {
    double interval, limit;
  } const cases[] = {{0.1, 30}, {1, 30}, {10, 100}, {300, 3000}, {3600, 36000}};
  for (const auto& c : cases) {
    CAPTURE(c.interval);
    One<Gap> one;
    one.spacing = from_seconds(c.interval);
    for (int i = 0; i < 200; ++i) one.feed(7);
    CHECK(silent_for(one, from_seconds(c.limit)) == doctest::Approx(1));
    CHECK(silent_for(one, from_seconds(c.limit / 2)) == doctest::Approx(0.5));
  }
}

TEST_CASE("nothing is said before ten arrivals, unless the interval is given") {
  One<Gap> learned, given;
  given.params.expected_interval_s = 60;
  for (int i = 0; i < 9; ++i) {
    CHECK(learned.feed(1) == -1);
    given.feed(1);
  }
  CHECK(silent_for(learned, std::chrono::hours{9}) == -1);
  CHECK(silent_for(given, std::chrono::seconds{300}) == doctest::Approx(0.5));
  learned.feed(1);
  CHECK(silent_for(learned, std::chrono::hours{9}) > 1);
}

TEST_CASE("a batch at one instant is one arrival") {
  One<Gap> one;
  one.spacing = Duration{0};
  for (int batch = 0; batch < 50; ++batch) {
    for (int i = 0; i < 100; ++i) one.feed(i);
    one.time += std::chrono::seconds{60};
  }
  CHECK(one.state.interval == doctest::Approx(60));
  CHECK(silent_for(one, std::chrono::seconds{300}) == doctest::Approx(0.5));
}

TEST_CASE("an irregular sensor is given time for its longest interval") {
  One<Gap> one;
  for (int i = 0; i < 1000; ++i) {
    one.spacing = from_seconds(i % 100 == 99 ? 90 : 10);
    one.feed(1);
  }
  // 2.5 times 90 s, where ten times the mean interval would be 108 s.
  CHECK(silent_for(one, std::chrono::seconds{200}) < 1);
  CHECK(silent_for(one, std::chrono::seconds{226}) > 1);
}

TEST_CASE("the reading that ends a silence scores 0 and the outage does not teach") {
  One<Gap> one;
  for (int i = 0; i < 100; ++i) one.feed(1);
  one.time += std::chrono::hours{5};
  CHECK(one.feed(1) == 0);
  CHECK(silent_for(one, std::chrono::seconds{31}) > 1);
}

TEST_CASE("a pause that comes every day is normal in the end") {
  One<Gap> one;
  one.spacing = std::chrono::minutes{1};
  double first = 0, last = 0;
  for (int day = 0; day < 6; ++day) {
    for (int i = 0; i < 16 * 60; ++i) one.feed(1);
    last = silent_for(one, std::chrono::hours{8});
    if (day == 0) first = last;
    one.time += std::chrono::hours{8};
  }
  CHECK(first > 1);
  CHECK(last < 1);
}

TEST_CASE("silence is never negative, and shows the last value") {
  One<Gap> one;
  for (int i = 0; i < 100; ++i) one.feed(42);
  CHECK(silent_for(one, std::chrono::seconds{-5}) == 0);
  const auto score = Gap::silence(one.params, one.state, one.time);
  REQUIRE(score);
  CHECK(score->expected == 42);
}

TEST_CASE("gap: confidence grows with the baseline to 1, and is 1 where the interval is given") {
  One<Gap> learned, given;
  given.params.expected_interval_s = 60;
  CHECK(Gap::confidence(given.params, given.state) == 1);
  learned.spacing = std::chrono::minutes{1};
  double before = 0;
  for (int i = 0; i < 1500; ++i) {
    learned.feed(1);
    const double confidence = Gap::confidence(learned.params, learned.state);
    REQUIRE(confidence >= before);
    before = confidence;
    if (i == 720) CHECK(confidence == doctest::Approx(0.5));
  }
  CHECK(before == 1);
}

}  // namespace
}  // namespace millwright::detectors
