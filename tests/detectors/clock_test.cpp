#include "detectors/clock.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

constexpr double hour = 3600;

One<Clock> in_order(Duration spacing, int readings = 100) {
  One<Clock> one;
  one.spacing = spacing;
  for (int i = 0; i < readings; ++i) REQUIRE(one.feed(0) == 0);
  return one;
}

// Readings with that wrong time until the alarm; its duration in seconds.
double seconds_to_alarm(One<Clock> one, double error) {
  const auto begin = one.time;
  while (one.feed(error) < 1) REQUIRE(one.time - begin < std::chrono::hours{100});
  return to_seconds(one.time - one.spacing - begin);
}

TEST_CASE("a wrong time, ahead or behind, is an alarm after a minute or ten intervals") {
  struct {
    double interval, limit;
  } const cases[] = {{0.1, 60}, {1, 60}, {10, 100}, {300, 3000}};
  for (const auto& c : cases) {
    CAPTURE(c.interval);
    const auto one = in_order(from_seconds(c.interval));
    CHECK(seconds_to_alarm(one, 2 * hour) == doctest::Approx(c.limit));
    CHECK(seconds_to_alarm(one, -hour) == doctest::Approx(c.limit));
  }
}

TEST_CASE("a sensor that never had the right time is found, too") {
  CHECK(seconds_to_alarm({}, hour) == 60);
}

TEST_CASE("single wrong times, and those between right ones, are none") {
  auto one = in_order(std::chrono::seconds{1});
  for (int i = 0; i < 1000; ++i) REQUIRE(one.feed(i % 20 == 19 ? 0 : 3 * hour) < 1);
  One<Clock> seldom = in_order(std::chrono::hours{1});
  for (int i = 0; i < 4; ++i) REQUIRE(seldom.feed(3 * hour) < 1);
}

TEST_CASE("the onset is the first wrong time, and a right one ends it") {
  auto one = in_order(std::chrono::seconds{1});
  const auto onset = one.time;
  for (int i = 0; i < 200; ++i) one.feed(hour);
  REQUIRE(one.last->onset);
  CHECK(*one.last->onset == onset);
  CHECK(one.feed(0) == 0);
  CHECK_FALSE(one.last->onset);
}

TEST_CASE("a burst of old readings between live ones is none") {
  auto one = in_order(std::chrono::seconds{300});
  for (int live = 0; live < 20; ++live) {
    one.spacing = std::chrono::milliseconds{500};
    for (int i = 0; i < 500; ++i) REQUIRE(one.feed(-hour) < 1);
    one.spacing = std::chrono::seconds{50};
    one.feed(0);
  }
}

TEST_CASE("what catches up, or goes back in time, is no wrong clock") {
  for (const double speed : {-3.0, 3.0}) {
    auto one = in_order(std::chrono::seconds{1});
    double error = -30 * 86400;
    for (int i = 0; i < 1000; ++i) REQUIRE(one.feed(error += speed) < 1);
  }
  // What is in the future is refused, whatever it does.
  auto one = in_order(std::chrono::seconds{1});
  double error = 30 * 86400;
  for (int i = 0; i < 100; ++i) one.feed(error += 3);
  CHECK(one.last->ratio > 1);
}

TEST_CASE("an outage hardly teaches, and a new rate is learned") {
  auto one = in_order(std::chrono::seconds{10});
  one.time += std::chrono::hours{1000};
  one.feed(0);
  CHECK(one.state.interval < 12);
  one.spacing = std::chrono::seconds{300};
  for (int i = 0; i < 300; ++i) one.feed(0);
  CHECK(one.state.interval == doctest::Approx(300).epsilon(0.02));
}

TEST_CASE("a batch at one instant is one arrival") {
  One<Clock> one;
  one.spacing = Duration{0};
  for (int batch = 0; batch < 50; ++batch) {
    for (int i = 0; i < 100; ++i) one.feed(0);
    one.time += std::chrono::seconds{60};
  }
  CHECK(one.state.interval == doctest::Approx(60));
}

}  // namespace
}  // namespace millwright::detectors
