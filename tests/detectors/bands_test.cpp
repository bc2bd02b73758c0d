#include "detectors/bands.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "core/random.h"

namespace millwright::detectors {
namespace {

constexpr Bands::Memory memory{.window = 160, .past = 4000};
constexpr int learned = 4000;

// The bank over a series, from its second reading on.
struct Bank {
  Bands bands;
  double before = 0;
  int readings = 0;

  double feed(double value) {
    if (readings++ > 0) bands.learn(value - before, memory);
    before = value;
    if (!bands.known(memory)) return 0;
    const double unusual = bands.unusual();
    return bands.louder() == unusual ? unusual : -unusual;
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
    double level = 0;
    const Signal wander = [&](int, Random& random) {
      return level = 0.9 * level + std::sqrt(0.19) * random.normal();
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

// What a bank says of noise of this size, at its loudest and at its quietest for long.
struct Said {
  double louder = 0, quieter = 0;
};
Said said_of(Bands& bands, const Bands::Memory& of, Random& random, double size, int readings) {
  Said out;
  for (int i = 0; i < readings; ++i) {
    bands.learn(size * random.normal(), of);
    if (!bands.known(of)) continue;
    out.louder = std::max(out.louder, bands.louder());
    out.quieter = std::max(out.quieter, bands.quieter());
  }
  return out;
}

TEST_CASE("bands: a machine that stood still for days is as loud as ever when it works again") {
  const Bands::Memory never{.window = 160, .past = 20000};
  Bands::Memory rests = never;
  rests.may_rest = true;
  for (std::uint64_t seed = 41; seed <= 45; ++seed) {
    Random random{seed};
    Bands bands;
    said_of(bands, rests, random, 1, 20000);
    CHECK_FALSE(bands.rests(rests));
    const auto stops = said_of(bands, rests, random, 0.02, 60000);
    CHECK(bands.rests(rests));
    CHECK(bands.quieter() == 0);
    CHECK(stops.quieter < 8);  // on its way there
    CHECK(said_of(bands, rests, random, 1, 2000).louder < 7);
    // Where it is not known to rest, standing still has become usual.
    Bands other;
    said_of(other, never, random, 1, 20000);
    said_of(other, never, random, 0.02, 60000);
    CHECK(said_of(other, never, random, 1, 2000).louder > 10);
  }
}

TEST_CASE("bands: noise that falls to two fifths and stays there is quieter, and no rest") {
  Bands::Memory rests = memory;
  rests.may_rest = true;
  for (std::uint64_t seed = 51; seed <= 55; ++seed) {
    Random random{seed};
    Bands bands;
    CHECK(said_of(bands, rests, random, 1, 20000).quieter < 4);
    CHECK(said_of(bands, rests, random, 0.4, 500).quieter > 5);
    CHECK_FALSE(bands.rests(rests));
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
