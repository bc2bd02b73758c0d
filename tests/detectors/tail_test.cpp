#include "detectors/tail.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.h"
#include "tests/detectors/bytes.h"
#include "tests/detectors/sources.h"

namespace millwright::detectors {
namespace {

Tail taught(const Source& source, int values, std::uint64_t seed) {
  Tail tail;
  Random random{seed};
  for (int i = 0; i < values; ++i) tail.learn(log2_of(source.draw(random)));
  return tail;
}

TEST_CASE("the logarithm of a statistic is that to base 2, and finite for every number") {
  for (const double u : {1e-300, 1e-9, 0.3, 1.0, 7.0, 1e12, 1e300}) {
    CAPTURE(u);
    CHECK(log2_of(u) == doctest::Approx(std::log2(u)).epsilon(1e-6));
  }
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const Tail tail = taught(normal, 1000, 41);
  for (const double u : {0.0, -0.0, -1.0, -infinite, std::nan("")}) {
    CHECK(tail.evidence(log2_of(u)) == 0);
  }
  for (const double u : {5e-324, 1e308}) {
    CHECK(std::isfinite(log2_of(u)));
    CHECK(std::isfinite(tail.evidence(log2_of(u))));
  }
}

TEST_CASE("fewer than 30 values are no evidence") {
  Tail tail;
  Random random{42};
  for (int i = 0; i < 29; ++i) {
    tail.learn(log2_of(exponential.draw(random)));
  }
  CHECK(tail.evidence(log2_of(1e6)) == 0);
  tail.learn(log2_of(1));
  CHECK(tail.evidence(log2_of(1e6)) > 1);
}

TEST_CASE("evidence grows with the statistic") {
  for (const auto& source : {exponential, normal}) {
    for (const int values : {100, 2000, 20000}) {
      for (std::uint64_t seed = 51; seed < 54; ++seed) {
        const Tail tail = taught(source, values, seed);
        double most = 0, furthest_down = 0;
        for (double u = 1e-3; u < 1e4; u *= 1.01) {
          const double digits = tail.evidence(log2_of(u));
          REQUIRE(std::isfinite(digits));
          most = std::max(most, digits);
          furthest_down = std::max(furthest_down, most - digits);
        }
        const auto what = fmt::format("{} values, {}, seed {}: falls by {:.2f} digits at most",
                                      values, source.name, seed, furthest_down);
        // Where the histogram passes from what it counted to the tail it assumes, it may fall back
        // a little; from one octave to the next it must not.
        CHECK_MESSAGE(furthest_down < 0.7, what);
        for (double u = 0.1; u < 1e3; u *= 2) {
          CHECK(tail.evidence(log2_of(2 * u)) >= tail.evidence(log2_of(u)));
        }
        CHECK(tail.evidence(log2_of(0.1)) == 0);
        CHECK(tail.evidence(log2_of(1e4)) > 6);
      }
    }
  }
}

TEST_CASE("evidence of d digits is as rare as it says, and rarer where tails fall fast") {
  constexpr int asked = 200000;
  for (const auto& source : {exponential, normal}) {
    for (std::uint64_t seed = 61; seed < 64; ++seed) {
      const Tail tail = taught(source, 20000, seed);
      Random random{seed + 1000};
      struct {
        double digits;
        int more = 0;
      } counts[] = {{0}, {0.5}, {1}, {2}};
      for (int i = 0; i < asked; ++i) {
        const double digits = tail.evidence(log2_of(source.draw(random)));
        for (auto& c : counts) c.more += digits > c.digits ? 1 : 0;
      }
      for (const auto& c : counts) {
        // The usual tenth has none: d digits are 10^-(d+1) of all.
        const double share = c.more / (asked * std::pow(10, -1 - c.digits));
        const auto what = fmt::format("{}, seed {}: {:.2f} times as many as {} digits say",
                                      source.name, seed, share, c.digits);
        CHECK_MESSAGE(share < 1.5, what);  // a Pareto tail is the careful assumption
        if (c.digits <= 0.5) CHECK_MESSAGE(share > 0.5, what);
        if (c.digits == 1) CHECK_MESSAGE(share > 0.15, what);
      }
    }
  }
}

TEST_CASE("evidence does not depend on the unit, in powers of two") {
  Tail small, large;
  Random random{71};
  for (int i = 0; i < 5000; ++i) {
    const double u = normal.draw(random);
    small.learn(log2_of(u));
    large.learn(log2_of(std::ldexp(u, 20)));
  }
  for (double u = 0.5; u < 100; u *= 1.1) {
    CHECK(large.evidence(log2_of(std::ldexp(u, 20))) ==
          doctest::Approx(small.evidence(log2_of(u))).epsilon(1e-3));
  }
}

TEST_CASE("full counters are halved, and the tail stays where it was") {
  const Tail early = taught(exponential, 60000, 95), late = taught(exponential, 600000, 95);
  for (const double u : {4.0, 6.0, 9.0}) {
    CHECK(late.evidence(log2_of(u)) == doctest::Approx(early.evidence(log2_of(u))).epsilon(0.2));
  }
}

TEST_CASE("a restored tail has the same bytes and goes on as the original") {
  for (const int values : {0, 1, 29, 64, 65, 1000, 200000}) {
    CAPTURE(values);
    Tail original = taught(normal, values, 97);
    Tail copy = restored(original);
    Random random{98};
    for (int i = 0; i < 500; ++i) {
      const float u = log2_of(2 * normal.draw(random));
      REQUIRE(copy.evidence(u) == original.evidence(u));
      original.learn(u);
      copy.learn(u);
    }
    CHECK(bytes_of(copy) == bytes_of(original));
  }
}

TEST_CASE("bytes that are no tail are refused: cut short, or with figures that are none") {
  // All floats of its own and of its upper share.
  check_refusals(taught(normal, 1000, 99), {4, 8, 12, 16, 20, 24});
}

}  // namespace
}  // namespace millwright::detectors
