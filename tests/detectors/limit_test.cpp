#include "detectors/limit.h"

#include <doctest/doctest.h>

#include <array>
#include <optional>

namespace millwright::detectors {
namespace {

// Scores a reading and learns it.
double ratio(const Limit::Params& params, Limit::State& state, double value) {
  const Sample sample{from_microseconds(0), value};
  const auto score = Limit::score(params, state, sample);
  REQUIRE(score);
  Limit::learn(params, state, sample, Trust::normal);
  return score->ratio;
}

TEST_CASE("the ratio is 1 at the limit and follows the formula beside it") {
  struct Case {
    std::optional<double> high, low;
    double value, expected;
  };
  constexpr std::array<Case, 12> cases{{
      {90, {}, 90, 1},
      {90, {}, 99, 1.1},
      {90, {}, 45, 0.5},
      {90, {}, -90, 0},
      {-10, {}, -5, 1.5},
      {0, {}, 0.5, 1.5},
      {{}, 10, 10, 1},
      {{}, 10, 5, 1.5},
      {{}, 10, 30, 0},
      {20, 10, 15, 0},
      {20, 10, 20, 1},
      {20, 10, 5, 2},
  }};
  for (const auto& c : cases) {
    CAPTURE(c.value);
    Limit::State state;
    CHECK(ratio({.high = c.high, .low = c.low}, state, c.value) == doctest::Approx(c.expected));
  }
}

TEST_CASE("without a limit there is no score") {
  CHECK_FALSE(Limit::score({}, {}, {from_microseconds(0), 1e9}));
}

TEST_CASE(
    "inside the hysteresis the ratio stays at exactly 1 until the value is back by that much") {
  const Limit::Params params{.high = 90, .low = {}, .hysteresis = 5};
  Limit::State state;
  CHECK(ratio(params, state, 86) < 1);  // not yet in alarm: hysteresis plays no part
  CHECK(ratio(params, state, 91) > 1);
  CHECK(ratio(params, state, 86) == 1);
  CHECK(ratio(params, state, 85.1) == 1);
  CHECK(ratio(params, state, 85) < 1);
  CHECK(ratio(params, state, 86) < 1);
}

TEST_CASE("a fall from above the high limit to below the low one is an alarm of the low side") {
  const Limit::Params params{.high = 20, .low = 10, .hysteresis = 2};
  Limit::State state;
  ratio(params, state, 25);
  CHECK(ratio(params, state, 5) == 2);
  CHECK(ratio(params, state, 11) == 1);
  CHECK(ratio(params, state, 19) < 1);
}

TEST_CASE("the expected value is the nearest permitted one and the band is the limits") {
  const Limit::Params both{.high = 20, .low = 10};
  const auto above = Limit::score(both, {}, {from_microseconds(0), 26});
  REQUIRE(above);
  CHECK(above->expected == 20);
  CHECK(above->low == 10);
  CHECK(above->high == 20);
  const auto open = Limit::score({.high = 20}, {}, {from_microseconds(0), 12});
  REQUIRE(open);
  CHECK(open->expected == 12);
  CHECK(open->low == 12);
  CHECK(open->high == 20);
  // Told of an alert: with one limit the expected value was once the reading itself.
  CHECK(Limit::score({.high = 20}, {}, {from_microseconds(0), 26})->expected == 20);
  CHECK(Limit::score({.low = 10}, {}, {from_microseconds(0), 4})->expected == 10);
}

TEST_CASE("limits in the wrong order alarm on every value instead of breaking") {
  const Limit::Params crossed{.high = 10, .low = 20};
  for (const double value : {5.0, 15.0, 25.0}) {
    const auto score = Limit::score(crossed, {}, {from_microseconds(0), value});
    REQUIRE(score);
    CHECK(score->ratio >= 1);
  }
}

}  // namespace
}  // namespace millwright::detectors
