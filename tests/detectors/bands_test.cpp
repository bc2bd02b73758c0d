#include "detectors/bands.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "core/random.h"

namespace millwright::detectors {
namespace {

constexpr double window = 160;
constexpr int learned = 4000;

// The bank over a series, from its second reading on.
struct Bank {
  Bands bands;
  double before = 0;
  int readings = 0;

  double feed(double value) {
    if (readings++ > 0) bands.learn(value - before, window);
    before = value;
    return bands.known(window) ? bands.unusual() : 0;
  }
};

// How far `faulty` goes within 400 readings after `healthy`, at its loudest and at its quietest.
struct Reach {
  double up = 0, down = 0;
};
using Signal = std::function<double(int i, Random& random)>;
Reach reach(std::uint64_t seed, const Signal& healthy, const Signal& faulty) {
  Random random{seed};
  Bank bank;
  for (int i = 0; i < learned; ++i) bank.feed(healthy(i, random));
  Reach out;
  for (int i = learned; i < learned + 400; ++i) {
    const double said = bank.feed(faulty(i, random));
    out.up = std::max(out.up, said);
    out.down = std::min(out.down, said);
  }
  return out;
}

double turn(int i, double period) { return std::sin(2 * std::numbers::pi * i / period); }

TEST_CASE("bands: noise that stays as it is goes no further than seven deviations") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Random random{seed};
    Bank bank;
    double most = 0;
    for (int i = 0; i < 20000; ++i) most = std::max(most, std::abs(bank.feed(random.normal())));
    CHECK(most > 2);
    CHECK(most < 7);
  }
}

TEST_CASE("bands: a swing within a wandering sensor's own deviation stands out") {
  for (std::uint64_t seed = 11; seed <= 15; ++seed) {
    double memory = 0;
    const Signal wander = [&](int, Random& random) {
      return memory = 0.9 * memory + std::sqrt(0.19) * random.normal();
    };
    const auto swings = reach(
        seed, wander, [&](int i, Random& random) { return wander(i, random) + 1.2 * turn(i, 12); });
    CHECK(swings.up > 6);
  }
}

TEST_CASE("bands: noise that is lost or doubled shows behind a cycle ten times as loud") {
  for (std::uint64_t seed = 21; seed <= 25; ++seed) {
    const auto cycle = [](double noise) -> Signal {
      return [noise](int i, Random& random) {
        return 10 * turn(i, 30) + 2 * turn(i, 15) + noise * random.normal();
      };
    };
    CHECK(reach(seed, cycle(1), cycle(0.1)).down < -7);
    // Louder noise has more changes clipped, and with them the cycle: one or the other shows.
    const auto louder = reach(seed, cycle(1), cycle(2));
    CHECK(std::max(louder.up, -louder.down) > 6);
  }
}

TEST_CASE("bands: what changes programs goes no further than noise does") {
  for (std::uint64_t seed = 31; seed <= 35; ++seed) {
    double level = 40;
    const Signal programs = [&](int, Random& random) {
      if (random.chance(1.0 / 20)) level = 100 - level;
      return level + random.normal();
    };
    const auto same = reach(seed, programs, programs);
    CHECK(same.up < 7);
    CHECK(same.down > -7);
    const auto swings = reach(seed, programs, [&](int i, Random& random) {
      return programs(i, random) + 3 * turn(i, 12);
    });
    CHECK(swings.up > 7);
  }
}

TEST_CASE("bands: readings that do not change, or by a huge value, leave finite figures") {
  Bank bank;
  for (int i = 0; i < 3000; ++i) REQUIRE(bank.feed(5) == 0);
  for (int i = 0; i < 3000; ++i) REQUIRE(std::isfinite(bank.feed(i % 7 == 0 ? 1e30 : -1e30)));
  for (int i = 0; i < 3000; ++i) REQUIRE(std::isfinite(bank.feed(5)));
}

}  // namespace
}  // namespace millwright::detectors
