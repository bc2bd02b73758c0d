#include "detectors/trend.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "tests/detectors/one.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

constexpr double day = 86400;

double cycle(double seconds) { return 3 * std::sin(2 * std::numbers::pi * seconds / day); }

std::string bytes_of(const Trend::State& state) {
  std::string out;
  Writer writer{out};
  writer(state);
  return out;
}
One<Trend> every(Duration spacing) {
  One<Trend> one;
  one.spacing = spacing;
  return one;
}
std::optional<Forecast> forecast_of(const One<Trend>& one) {
  return Trend::forecast(one.params, one.state, {one.time - one.spacing, 0});
}
double days_from_start(Timestamp time) { return to_seconds(time - epoch) / day; }

TEST_CASE("the slope is the median of the slopes of all pairs of block means") {
  // 28 blocks of 12 readings, a second apart; each block closes with the first reading of the next.
  One<Trend> one;
  one.params.window = std::chrono::seconds{28 * 12};
  Random random{1};
  std::vector<double> means;
  for (int block = 0; block < 28; ++block) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) {
      const double value = random.normal() + 0.1 * block;
      one.feed(value);
      sum += value;
    }
    means.push_back(sum / 12);
  }
  one.feed(0);
  std::vector<double> slopes;
  for (std::size_t i = 0; i < means.size(); ++i) {
    for (std::size_t k = i + 1; k < means.size(); ++k) {
      slopes.push_back((means[k] - means[i]) / (12.0 * static_cast<double>(k - i)));
    }
  }
  std::sort(slopes.begin(), slopes.end());
  REQUIRE(one.state.known);
  CHECK(one.state.line.slope == doctest::Approx(slopes[slopes.size() / 2]).epsilon(1e-9));
}

TEST_CASE("a straight line reaches its limit when it does, up and down, at 10 Hz and 5 min alike") {
  for (const double sign : {1.0, -1.0}) {
    for (const double spacing : {0.1, 1.0, 300.0}) {
      CAPTURE(spacing);
      auto one = every(from_seconds(spacing));
      one.params.window = from_seconds(28 * 12 * spacing);
      one.params.horizon = from_seconds(100 * spacing);
      (sign > 0 ? one.params.high : one.params.low) = sign * 1000;
      Random random{2};
      double ratio = 0;
      for (int i = 0; i < 600; ++i) {
        ratio = one.feed(sign * i + 0.01 * random.normal());
        CHECK(ratio < 1);  // further off than the horizon
      }
      const auto forecast = forecast_of(one);
      REQUIRE(forecast);
      CHECK(forecast->limit == sign * 1000);
      const double reaches = to_seconds(forecast->reaches - epoch) / spacing;
      CHECK(reaches == doctest::Approx(1000).epsilon(0.001));
      CHECK(forecast->earliest <= forecast->reaches);
      REQUIRE(forecast->latest);
      CHECK(*forecast->latest >= forecast->reaches);
      for (int i = 600; i < 950; ++i) ratio = one.feed(sign * i + 0.01 * random.normal());
      CHECK(ratio >= 1);
    }
  }
}

TEST_CASE("four in five forecasts hold the time at which noise on a ramp reaches the limit") {
  // Ramps of 0.5 sigma a day to a limit 10 sigma off, asked every two days.
  const int sensors = test::scaled(60, 600);
  struct {
    const char* name;
    double rho, daily;
    int seconds;
  } const cases[] = {
      {"white noise, 1 min", 0, 0, 60},           {"white noise, 5 min", 0, 0, 300},
      {"autoregression 0.9, 1 min", 0.9, 0, 60},  {"autoregression 0.9, 5 min", 0.9, 0, 300},
      {"daily cycle and noise, 1 min", 0, 1, 60}, {"daily cycle and noise, 5 min", 0, 1, 300}};
  for (const auto& c : cases) {
    int told = 0, held = 0, too_late = 0;
    for (int sensor = 0; sensor < sensors; ++sensor) {
      auto one = every(std::chrono::seconds{c.seconds});
      one.params.high = 10;
      Random random{500 + static_cast<std::uint64_t>(sensor)};
      double memory = 0;
      const double reaches = (10 - c.daily * 3) / 0.5;  // with the peaks of the cycle
      for (int i = 0; i * c.seconds < reaches * day; ++i) {
        const double t = static_cast<double>(i) * c.seconds;
        memory = c.rho * memory + std::sqrt(1 - c.rho * c.rho) * random.normal();
        one.feed(0.5 * t / day + c.daily * cycle(t) + memory);
        if (std::fmod(t, 2 * day) > 0) continue;
        const auto forecast = forecast_of(one);
        if (!forecast) continue;
        ++told;
        const bool before = days_from_start(forecast->earliest) <= reaches;
        const bool after = days_from_start(*forecast->latest) >= reaches;
        held += before && after ? 1 : 0;
        too_late += before ? 0 : 1;
      }
    }
    REQUIRE(told > 2 * sensors);
    const double coverage = static_cast<double>(held) / told;
    const double optimistic = static_cast<double>(too_late) / told;
    const auto what = fmt::format("{}: {} forecasts, {:.3f} held, {:.3f} too late", c.name, told,
                                  coverage, optimistic);
    CHECK_MESSAGE(coverage > 0.7, what);
    CHECK_MESSAGE(coverage < 0.95, what);
    CHECK_MESSAGE(optimistic < 0.15, what);
  }
}

TEST_CASE("without limits, wear of 0.5 sigma a day is found, under a daily cycle too") {
  for (const bool daily : {false, true}) {
    CAPTURE(daily);
    auto one = every(std::chrono::minutes{5});
    Random random{3};
    const auto value = [&](int i) { return (daily ? cycle(i * 300.0) : 0) + random.normal(); };
    int i = 0;
    for (; i < 10 * 288; ++i) CHECK(one.feed(value(i)) < 1);
    int worn = 0;
    while (one.feed(value(i++) + 0.5 * worn / 288) < 1) REQUIRE(++worn < 8 * 288);
    REQUIRE(one.last->onset);
    CHECK(days_from_start(*one.last->onset) > 9);
    CHECK(*one.last->onset < one.time);
    CHECK_FALSE(forecast_of(one));  // of no limit
  }
}

TEST_CASE("steps, cycles, correlated noise and programs are no trend") {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    std::array<One<Trend>, 5> sensors;
    Random random{seed};
    double memory = 0, program = 0;
    const double step = 1 + 2.0 * static_cast<double>(seed);
    double most = 0;
    for (int i = 0; i < 40 * 1440; ++i) {
      memory = 0.9 * memory + std::sqrt(1 - 0.81) * random.normal();
      if (random.chance(0.05)) program = 8 - program;
      const double noise = random.normal();
      const double values[] = {noise + (i > 20 * 1440 ? step : 0), cycle(i * 60.0) + noise, memory,
                               program + noise, noise + (i / 1440 % 7 >= 5 ? -4 : 0)};
      for (std::size_t k = 0; k < sensors.size(); ++k) {
        sensors[k].spacing = std::chrono::minutes{1};
        most = std::max(most, sensors[k].feed(values[k]));
      }
    }
    CHECK(most < 1);
    for (const auto& sensor : sensors) CHECK(sensor.last);
  }
}

TEST_CASE("a trend away from the only limit is none, nor is one that has come to rest") {
  auto one = every(std::chrono::minutes{5});
  one.params.high = 20;
  Random random{4};
  for (int i = 0; i < 10 * 288; ++i) CHECK(one.feed(-1.0 * i / 288 + random.normal()) < 1);
  CHECK_FALSE(forecast_of(one));

  auto resting = every(std::chrono::minutes{5});
  resting.params.high = 8;
  for (int i = 0; i < 20 * 288; ++i) {
    resting.feed(7 * (1 - std::exp(-i / 600.0)) + 0.3 * random.normal());
  }
  CHECK(resting.last->ratio < 1);
  CHECK_FALSE(forecast_of(resting));
}

TEST_CASE("after a reset or a service nothing is foretold before the new window is full") {
  auto one = every(std::chrono::minutes{5});
  one.params.high = 20;
  Random random{5};
  const auto worn = [&](int i) { return 1.5 * i / 288 + random.normal(); };
  for (int i = 0; i < 8 * 288; ++i) one.feed(worn(i));
  REQUIRE(forecast_of(one));

  auto reset = one;
  reset.state = Trend::State{};
  for (int i = 8 * 288; i < 12 * 288; ++i) {
    CHECK(reset.feed(worn(i)) == -1);
    CHECK_FALSE(forecast_of(reset));
  }
  // Repaired without telling: the fall back is no slope, and as long as the window holds it there
  // is no forecast that lies further off than the wear that begins again.
  for (int i = 0; i < 12 * 288; ++i) {
    const double ratio = one.feed(worn(i));
    if (i > 72 && i < 6 * 288) CHECK(ratio < 1);
    const auto forecast = forecast_of(one);
    if (i > 288 && forecast) {
      CHECK(to_seconds(forecast->earliest - one.time) / day < (20 - 1.5 * i / 288) / 1.5 + 1);
    }
  }
  CHECK(forecast_of(one));
}

TEST_CASE("a trend that goes on for two months does not carry its own limit") {
  auto one = every(std::chrono::minutes{5});
  Random random{6};
  int found = 0;
  for (int i = 0; i < 60 * 288; ++i) {
    const double ratio = one.feed(0.5 * i / 288 + random.normal());
    found += i >= 10 * 288 && ratio >= 1 ? 1 : 0;
  }
  CHECK(found > 49 * 288);
  CHECK(one.state.habit.record < 1);
}

TEST_CASE("one spike in fifty readings neither makes nor hides a trend") {
  auto flat = every(std::chrono::minutes{5}), worn = flat;
  Random random{7};
  for (int i = 0; i < 20 * 288; ++i) {
    const double value = random.normal() + (random.chance(0.02) ? 1000 : 0);
    CHECK(flat.feed(value) < 1);
    worn.feed(value + 15.0 * i / 288);
  }
  CHECK(worn.last->ratio > 1);
}

TEST_CASE(
    "readings of a faulty sensor move nothing; a silence longer than the window starts anew") {
  auto one = every(std::chrono::minutes{5});
  Random random{8};
  for (int i = 0; i < 8 * 288; ++i) one.feed(random.normal());
  const auto before = bytes_of(one.state);
  for (int i = 0; i < 50; ++i) Trend::learn(one.params, one.state, {one.time, 99}, Trust::faulty);
  CHECK(bytes_of(one.state) == before);
  CHECK(Trend::confidence(one.params, one.state) == 1);
  one.time += std::chrono::hours{24 * 10};
  for (int i = 0; i < 6 * 288; ++i) CHECK(one.feed(random.normal()) == -1);
  CHECK(Trend::confidence(one.params, one.state) < 1);
}

TEST_CASE("a trend restored while it is under way continues exactly") {
  auto one = every(std::chrono::minutes{5});
  one.params.high = 30;
  Random random{9};
  for (int i = 0; i < 9 * 288; ++i) one.feed(0.001 * i + random.normal());
  auto other = one;
  const auto bytes = bytes_of(one.state);
  other.state = Trend::State{};
  Reader reader{bytes};
  reader(other.state);
  REQUIRE(reader.ok());
  for (int i = 0; i < 5 * 288; ++i) {
    const double value = 3 + 0.002 * i + random.normal();
    REQUIRE(one.feed(value) == other.feed(value));
  }
  CHECK(bytes_of(one.state) == bytes_of(other.state));
}

}  // namespace
}  // namespace millwright::detectors
