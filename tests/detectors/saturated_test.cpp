#include "detectors/saturated.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

std::string bytes_of(const Saturated::State& state) {
  std::string out;
  Writer writer{out};
  writer(state);
  return out;
}

// Readings of `value` until the ratio is 1; -1 if it is not in `most`.
int readings_until_saturated(One<Saturated>& one, const std::function<double()>& value,
                             int most = 5000) {
  for (int i = 1; i <= most; ++i) {
    if (one.feed(value()) >= 1) return i;
  }
  return -1;
}

TEST_CASE("the share is that of exponentially weighted readings, the onset the first at the end") {
  One<Saturated> one;
  one.params.memory = std::chrono::hours{24 * 365};
  Random random{1};
  for (int i = 0; i < 5000; ++i) one.feed(random.normal());
  const auto began = one.time;
  for (int k = 1; k <= 40; ++k) {
    const double ratio = one.feed(20);
    const double share = 1 - std::pow(63.0 / 64, k);
    // Fewer than 8 readings make no pile.
    CHECK(ratio == doctest::Approx(64 * share < 8 ? 0 : share / 0.25));
  }
  REQUIRE(one.last->onset);
  CHECK(*one.last->onset == began);
  CHECK(one.last->low < -2.5);
  CHECK(one.last->high > 2.5);
}

TEST_CASE("a sensor at its rail is found, above and below, at 10 Hz, 1 Hz, 10 s and 5 min alike") {
  struct {
    double spacing;
    int most;
  } const cases[] = {{0.1, 200}, {1, 30}, {10, 30}, {300, 30}};
  for (const auto& c : cases) {
    for (const double sign : {1.0, -1.0}) {
      CAPTURE(c.spacing);
      One<Saturated> one;
      one.spacing = from_seconds(c.spacing);
      Random random{2};
      for (int i = 0; i < 3000; ++i) CHECK(one.feed(sign * random.normal()) < 1);
      const int readings = readings_until_saturated(one, [&] { return sign * 8; });
      CHECK(readings > 8);
      CHECK(readings <= c.most);
    }
  }
}

TEST_CASE("noise of which the upper third is cut off is found") {
  One<Saturated> one;
  Random random{3};
  for (int i = 0; i < 3000; ++i) one.feed(random.normal());
  const int found = readings_until_saturated(
      one, [&] { return std::min(6.0, 5.6 + random.normal()); }, 1000);
  CHECK(found > 0);
}

TEST_CASE("what normally sits at an end of its range is never saturated") {
  Random random{4};
  double level = 0, coarse = 20, total = 0;
  struct {
    const char* name;
    std::function<double(int)> value;
  } const cases[] = {
      {"valve, closed two of five minutes",
       [&](int i) { return i / 60 % 5 < 2 ? 0 : 30 + 5 * random.normal(); }},
      {"load, at 100 % for a part of each cycle",
       [&](int i) { return std::min(100.0, 80 + 40 * std::sin(i / 40.0) + random.normal()); }},
      {"counter of parts", [&](int i) { return total += i > 2000 && i % 20 == 0 ? 1 : 0; }},
      {"switch", [&](int) { return level = random.chance(0.003) ? 1 - level : level; }},
      {"random bit", [&](int) { return random.chance(0.5) ? 1.0 : 0.0; }},
      {"quantised noise", [&](int) { return std::round(random.normal() / 0.7) * 0.7; }},
      {"coarse temperature",
       [&](int i) {
         coarse += 0.02 * random.normal() - 0.001 * (coarse - 20);
         return std::round((coarse + i / 20000.0) * 8) / 8;
       }},
      {"saw tooth", [](int i) { return i % 700 / 7.0; }},
      {"ramp", [](int i) { return i * 0.1; }},
      {"constant", [](int) { return 5.0; }},
  };
  for (const auto& c : cases) {
    One<Saturated> one;
    double most = 0;
    for (int i = 0; i < 50000; ++i) most = std::max(most, one.feed(c.value(i)));
    CAPTURE(c.name);
    CHECK(most < 1);
  }
}

TEST_CASE("ends that are cut off little by little do not carry their own limit") {
  One<Saturated> one;
  one.spacing = std::chrono::seconds{10};
  Random random{5};
  for (int i = 0; i < 3 * 8640; ++i) CHECK(one.feed(random.normal()) < 1);
  // The gain rises for ten days; the converter ends at 5.
  double most = 0;
  for (int i = 0; i < 10 * 8640; ++i) {
    most = std::max(most, one.feed(std::min(5.0, (1 + i / 8640.0) * random.normal())));
  }
  CHECK(most > 1);
}

TEST_CASE("one gross outlier hides no rail") {
  One<Saturated> one;
  Random random{6};
  for (int i = 0; i < 3000; ++i) one.feed(random.normal());
  Saturated::learn(one.params, one.state, {one.time, 1e9}, Trust::suspicious);
  for (int i = 0; i < 300; ++i) CHECK(one.feed(random.normal()) < 1);
  CHECK(readings_until_saturated(one, [] { return 8.0; }) < 60);
}

TEST_CASE("a rail that is named is taken at its word, within the resolution") {
  One<Saturated> one, learned;
  one.params.high = 10;
  one.params.resolution = 0.05;
  Random random{7};
  const auto normal = [&](int i) {
    const double value = random.normal();
    return i % 100 < 60 ? 10 + 0.04 * random.uniform() : value;
  };
  for (int i = 0; i < 2000; ++i) {
    const double value = normal(i);
    one.feed(value);
    learned.feed(value);
  }
  for (int i = 0; i < 55; ++i) {
    const double value = normal(i);
    one.feed(value);
    learned.feed(value);
  }
  CHECK(one.last->ratio > 1);
  CHECK(learned.last->ratio < 1);
}

TEST_CASE("a pile that comes back every hour is normal after a day") {
  One<Saturated> one;
  one.spacing = std::chrono::seconds{10};
  Random random{8};
  for (int i = 0; i < 8640; ++i) one.feed(random.normal());
  double first = 0, last = 0;
  for (int episode = 0; episode < 30; ++episode) {
    last = 0;
    for (int i = 0; i < 360; ++i) {
      last = std::max(last, one.feed(i < 40 ? 9 : random.normal()));
    }
    if (episode == 0) first = last;
  }
  CHECK(first > 1);
  CHECK(last < 1);
}

TEST_CASE("its own alarm does not stop the count, nor teach, and clears when the sensor is back") {
  One<Saturated> one;
  Random random{9};
  for (int i = 0; i < 2000; ++i) one.feed(random.normal());
  CHECK(readings_until_saturated(one, [] { return 8.0; }) > 0);
  for (int i = 0; i < 20000; ++i) {
    const Sample sample{one.time, 8};
    REQUIRE(Saturated::score(one.params, one.state, sample)->ratio >= 1);
    Saturated::learn(one.params, one.state, sample, Trust::faulty);
    one.time += one.spacing;
  }
  CHECK(one.last->ratio > 1);
  int readings = 0;
  while (one.feed(random.normal()) > 0.8) REQUIRE(++readings < 200);
}

TEST_CASE("saturation restored while it is under way continues exactly") {
  One<Saturated> one;
  Random random{10};
  for (int i = 0; i < 2000; ++i) one.feed(random.normal());
  for (int i = 0; i < 20; ++i) one.feed(8);
  auto other = one;
  other.state = Saturated::State{};
  const auto bytes = bytes_of(one.state);
  Reader reader{bytes};
  reader(other.state);
  REQUIRE(reader.ok());
  for (int i = 0; i < 500; ++i) {
    const double value = i < 100 ? 8 : random.normal();
    REQUIRE(one.feed(value) == other.feed(value));
  }
  CHECK(bytes_of(one.state) == bytes_of(other.state));
}

}  // namespace
}  // namespace millwright::detectors
