#include "detectors/record.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "tests/detectors/bytes.h"
#include "tests/detectors/sources.h"

namespace millwright::detectors {
namespace {

Record taught(const Source& source, int values, std::uint64_t seed) {
  Record record;
  Random random{seed};
  for (int i = 0; i < values; ++i) {
    const double u = source.draw(random);
    record.learn(u);
    record.raise(u, 1e30, 0);
  }
  return record;
}

TEST_CASE("fewer than 30 values are no limit") {
  Record record;
  Random random{42};
  for (int i = 0; i < 29; ++i) {
    const double u = exponential.draw(random);
    record.learn(u);
    record.raise(u, 1e30, 0);
  }
  CHECK(record.limit(1e6, 1.25, record.record()) == 0);
  record.learn(1);
  CHECK(record.limit(1e6, 1.25, record.record()) > record.record());
}

TEST_CASE("the limit beyond the record is about where the tail goes") {
  for (const auto& source : {exponential, normal}) {
    for (const double values : {1e6, 1e8}) {
      double sum = 0;
      constexpr int seeds = 30;
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const Record record = taught(source, 20000, 80 + seed);
        const double limit = record.limit(values, 1, record.record());
        REQUIRE(limit >= record.record());
        REQUIRE(limit <= 4 * record.record());
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
  const Record record = taught(normal, 20000, 91);
  double before = 0;
  for (const double values : {10.0, 1e3, 1e5, 1e8, 1e12}) {
    const double limit = record.limit(values, 1.25, record.record());
    CHECK(limit >= 1.25 * record.record());
    CHECK(limit >= before);
    before = limit;
  }
  // A tail that falls slowly has no end in sight.
  Record heavy;
  Random random{92};
  for (int i = 0; i < 20000; ++i) {
    const double u = 1 / (1 - random.uniform());  // Pareto of index 1
    heavy.learn(u);
    heavy.raise(u, 1e30, 0);
  }
  CHECK(heavy.limit(1e30, 1.25, heavy.record()) <= doctest::Approx(4 * heavy.record()));
}

TEST_CASE("a record is raised by its growth at most, and fades by its share") {
  Record record;
  record.raise(2, 1.5, 0);
  CHECK(record.record() == doctest::Approx(2));
  record.raise(100, 1.5, 0);
  CHECK(record.record() == doctest::Approx(3));
  record.raise(3.3, 1.5, 0);
  CHECK(record.record() == doctest::Approx(3.3));
  record.raise(0, 1.5, 0.1);
  CHECK(record.record() == doctest::Approx(2.97));
  record.raise(1e300, 1e300, 0);
  CHECK(std::isfinite(record.record()));
}

TEST_CASE("a record that waits counts when two blocks are over") {
  Record record;
  record.reach(5);
  record.reach(4);
  CHECK(record.record() == 0);
  record.settle(1e30, 0);
  CHECK(record.record() == 0);
  record.reach(7);
  record.settle(1e30, 0);
  CHECK(record.record() == 5);
  record.settle(1e30, 0);
  CHECK(record.record() == 7);
}

TEST_CASE("the limit does not depend on the unit, whatever the first value is") {
  for (const double first : {0.0, 1.0}) {
    Record small, large;
    Random random{96};
    for (int i = 0; i < 5000; ++i) {
      const double u = i == 0 ? first : normal.draw(random);
      for (auto* one : {&small, &large}) {
        const double scaled = std::ldexp(u, one == &small ? -30 : 0);
        one->learn(scaled);
        one->raise(scaled, 1e30, 0);
      }
    }
    CHECK(std::ldexp(small.limit(1e6, 1, small.record()), 30) ==
          doctest::Approx(large.limit(1e6, 1, large.record())).epsilon(1e-3));
  }
}

TEST_CASE("what was reached in doubt counts for a while") {
  Record record;
  record.raise(2, 1.5, 0);
  record.raise_for_a_while(100, 1.5);
  CHECK(record.record() == 2);
  CHECK(record.record_of_late() == doctest::Approx(3));
  record.raise_for_a_while(100, 1.5);
  CHECK(record.record_of_late() == doctest::Approx(4.5));
  for (int i = 0; i < 10; ++i) record.forget_doubtful(0.1);
  CHECK(record.record_of_late() == 2);
}

// Of the furthest of six standard normal sizes, 12 Q(z) is the share beyond z: what is passed once
// in 40000 values has 2 Q(z) = 4.17e-6, so z = 4.60 (tables of the normal distribution).
TEST_CASE("the limit of the furthest of six goes on as steeply as its own tail") {
  Random random{96};
  Record record;
  for (int i = 0; i < 200000; ++i) {
    double most = 0;
    for (int k = 0; k < 6; ++k) most = std::max(most, std::abs(random.normal()));
    record.learn(most);
  }
  record.raise(1e-6, 1e30, 0);
  // In a window of 16 every value is a chance.
  const double limit = record.limit_of_mean(40000, 1, record.record(), 16, 6);
  CHECK(limit == doctest::Approx(4.60).epsilon(0.05));
  CHECK(record.limit_of_mean(40000, 1, record.record(), 16) > 1.15 * limit);
}

TEST_CASE("a restored record has the same bytes and goes on as the original") {
  for (const int values : {0, 1, 29, 1000}) {
    CAPTURE(values);
    Record original = taught(normal, values, 97);
    original.reach(3);
    original.settle(1.5, 0.01);
    original.reach(9);
    Record copy = restored(original);
    Random random{98};
    for (int i = 0; i < 500; ++i) {
      const double u = 2 * normal.draw(random);
      REQUIRE(copy.limit(1e6, 1.25, copy.record()) == original.limit(1e6, 1.25, original.record()));
      for (auto* record : {&original, &copy}) {
        record->learn(u);
        record->raise(u, 1.5, 1e-4);
        if (i % 16 == 15) record->settle(1.5, 1e-3);
      }
    }
    CHECK(bytes_of(copy) == bytes_of(original));
  }
}

TEST_CASE("bytes that are no record are refused: cut short, or with figures that are none") {
  check_refusals(taught(normal, 1000, 99), {4, 8, 12, 16, 20, 24});
}

}  // namespace
}  // namespace millwright::detectors
