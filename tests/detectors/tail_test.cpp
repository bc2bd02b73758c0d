#include "detectors/tail.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include "core/codec.h"
#include "core/random.h"

namespace millwright::detectors {
namespace {

// Statistics as features have them: never negative, with tails that end, fall fast or fall slowly.
struct Source {
  const char* name;
  double (*draw)(Random&);
  double (*reached)(double values);  // the value that is reached once in so many
};
const Source exponential{"exponential",
                         [](Random& random) { return -std::log(1 - random.uniform()); },
                         [](double values) { return std::log(values); }};
// Two-sided upper tail 1e-6: 4.8916 (tables of the normal distribution); 1e-8: 5.7307.
const Source normal{"normal", [](Random& random) { return std::abs(random.normal()); },
                    [](double values) { return values < 1e7 ? 4.8916 : 5.7307; }};

Tail taught(const Source& source, int values, std::uint64_t seed) {
  Tail tail;
  Random random{seed};
  for (int i = 0; i < values; ++i) {
    const double u = source.draw(random);
    tail.learn(Tail::logarithm(u));
    tail.raise_record(u, 1e30, 0);
  }
  return tail;
}

template <class T>
std::string bytes_of(const T& object) {
  std::string out;
  Writer writer{out};
  writer(object);
  return out;
}

TEST_CASE("the logarithm of a statistic is that to base 2, and finite for every number") {
  for (const double u : {1e-300, 1e-9, 0.3, 1.0, 7.0, 1e12, 1e300}) {
    CAPTURE(u);
    CHECK(Tail::logarithm(u) == doctest::Approx(std::log2(u)).epsilon(1e-6));
  }
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const Tail tail = taught(normal, 1000, 41);
  for (const double u : {0.0, -0.0, -1.0, -infinite, std::nan("")}) {
    CHECK(tail.evidence(Tail::logarithm(u)) == 0);
  }
  for (const double u : {5e-324, 1e308}) {
    CHECK(std::isfinite(Tail::logarithm(u)));
    CHECK(std::isfinite(tail.evidence(Tail::logarithm(u))));
  }
}

TEST_CASE("fewer than 30 values are no evidence and no limit") {
  Tail tail;
  Random random{42};
  for (int i = 0; i < 29; ++i) {
    const double u = exponential.draw(random);
    tail.learn(Tail::logarithm(u));
    tail.raise_record(u, 1e30, 0);
  }
  CHECK(tail.evidence(Tail::logarithm(1e6)) == 0);
  CHECK(tail.limit(1e6, 1.25, tail.record()) == 0);
  tail.learn(Tail::logarithm(1));
  CHECK(tail.evidence(Tail::logarithm(1e6)) > 1);
  CHECK(tail.limit(1e6, 1.25, tail.record()) > tail.record());
}

TEST_CASE("evidence grows with the statistic") {
  for (const auto& source : {exponential, normal}) {
    for (const int values : {100, 2000, 20000}) {
      for (std::uint64_t seed = 51; seed < 54; ++seed) {
        const Tail tail = taught(source, values, seed);
        double most = 0, furthest_down = 0;
        for (double u = 1e-3; u < 1e4; u *= 1.01) {
          const double digits = tail.evidence(Tail::logarithm(u));
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
          CHECK(tail.evidence(Tail::logarithm(2 * u)) >= tail.evidence(Tail::logarithm(u)));
        }
        CHECK(tail.evidence(Tail::logarithm(0.1)) == 0);
        CHECK(tail.evidence(Tail::logarithm(1e4)) > 6);
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
        const double digits = tail.evidence(Tail::logarithm(source.draw(random)));
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
    small.learn(Tail::logarithm(u));
    large.learn(Tail::logarithm(std::ldexp(u, 20)));
  }
  for (double u = 0.5; u < 100; u *= 1.1) {
    CHECK(large.evidence(Tail::logarithm(std::ldexp(u, 20))) ==
          doctest::Approx(small.evidence(Tail::logarithm(u))).epsilon(1e-3));
  }
}

TEST_CASE("the limit beyond the record is about where the tail goes") {
  for (const auto& source : {exponential, normal}) {
    for (const double values : {1e6, 1e8}) {
      double sum = 0;
      constexpr int seeds = 30;
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const Tail tail = taught(source, 20000, 80 + seed);
        const double limit = tail.limit(values, 1, tail.record());
        REQUIRE(limit >= tail.record());
        REQUIRE(limit <= 4 * tail.record());
        CHECK(limit > 0.7 * source.reached(values));
        CHECK(limit < 2 * source.reached(values));
        sum += limit;
      }
      const auto what = fmt::format("{}: {:.2f}, in truth {:.2f}", source.name, sum / seeds,
                                    source.reached(values));
      CHECK_MESSAGE(sum / seeds == doctest::Approx(source.reached(values)).epsilon(0.2), what);
    }
  }
}

TEST_CASE("the limit is at least the margin times the record and at most four times the record") {
  const Tail tail = taught(normal, 20000, 91);
  double before = 0;
  for (const double values : {10.0, 1e3, 1e5, 1e8, 1e12}) {
    const double limit = tail.limit(values, 1.25, tail.record());
    CHECK(limit >= 1.25 * tail.record());
    CHECK(limit >= before);
    before = limit;
  }
  // A tail that falls slowly has no end in sight.
  Tail heavy;
  Random random{92};
  for (int i = 0; i < 20000; ++i) {
    const double u = 1 / (1 - random.uniform());  // Pareto of index 1
    heavy.learn(Tail::logarithm(u));
    heavy.raise_record(u, 1e30, 0);
  }
  CHECK(heavy.limit(1e30, 1.25, heavy.record()) <= doctest::Approx(4 * heavy.record()));
}

TEST_CASE("a record is raised by its growth at most, and fades by its share") {
  Tail tail;
  tail.raise_record(2, 1.5, 0);
  CHECK(tail.record() == doctest::Approx(2));
  tail.raise_record(100, 1.5, 0);
  CHECK(tail.record() == doctest::Approx(3));
  tail.raise_record(3.3, 1.5, 0);
  CHECK(tail.record() == doctest::Approx(3.3));
  tail.raise_record(0, 1.5, 0.1);
  CHECK(tail.record() == doctest::Approx(2.97));
  tail.raise_record(1e300, 1e300, 0);
  CHECK(std::isfinite(tail.record()));
}

TEST_CASE("a record that waits counts when two blocks are over") {
  Tail tail;
  tail.reach(5);
  tail.reach(4);
  CHECK(tail.record() == 0);
  tail.settle_record(1e30, 0);
  CHECK(tail.record() == 0);
  tail.reach(7);
  tail.settle_record(1e30, 0);
  CHECK(tail.record() == 5);
  tail.settle_record(1e30, 0);
  CHECK(tail.record() == 7);
}

TEST_CASE("full counters are halved, and the tail stays where it was") {
  const Tail early = taught(exponential, 60000, 95), late = taught(exponential, 600000, 95);
  for (const double u : {4.0, 6.0, 9.0}) {
    CHECK(late.evidence(Tail::logarithm(u)) ==
          doctest::Approx(early.evidence(Tail::logarithm(u))).epsilon(0.2));
  }
}

TEST_CASE("a restored tail has the same bytes and goes on as the original") {
  for (const int values : {0, 1, 29, 64, 65, 1000, 200000}) {
    CAPTURE(values);
    Tail original = taught(normal, values, 97);
    original.reach(3);
    original.settle_record(1.5, 0.01);
    original.reach(9);
    const auto bytes = bytes_of(original);
    Tail copy;
    Reader reader{bytes};
    reader(copy);
    REQUIRE(reader.ok());
    REQUIRE(reader.at_end());
    CHECK(bytes_of(copy) == bytes);
    Random random{98};
    for (int i = 0; i < 500; ++i) {
      const double u = 2 * normal.draw(random);
      REQUIRE(copy.evidence(Tail::logarithm(u)) == original.evidence(Tail::logarithm(u)));
      REQUIRE(copy.limit(1e6, 1.25, copy.record()) == original.limit(1e6, 1.25, original.record()));
      for (auto* tail : {&original, &copy}) {
        tail->learn(Tail::logarithm(u));
        tail->raise_record(u, 1.5, 1e-4);
        if (i % 16 == 15) tail->settle_record(1.5, 1e-3);
      }
    }
    CHECK(bytes_of(copy) == bytes_of(original));
  }
}

TEST_CASE("bytes that are no tail are refused: cut short, or with figures that are none") {
  const auto bytes = bytes_of(taught(normal, 1000, 99));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Tail tail;
    Reader reader{std::string_view{bytes}.substr(0, size)};
    reader(tail);
    REQUIRE(!reader.ok());
  }
  // The last eight floats are figures; NaN is none of them.
  for (std::size_t back = 1; back <= 8; ++back) {
    CAPTURE(back);
    auto wrong = bytes;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(wrong.data() + wrong.size() - 4 * back, &nan, 4);
    Tail tail;
    Reader reader{wrong};
    reader(tail);
    CHECK(!reader.ok());
  }
}

}  // namespace
}  // namespace millwright::detectors
