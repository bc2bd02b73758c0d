#include <doctest/doctest.h>

#include <vector>

#include "core/accounting.h"
#include "core/random.h"
#include "core/summary.h"

using namespace millwright;

TEST_CASE("merging summaries of parts gives the moments of the whole, also far from zero") {
  Random random{3};
  for (const double offset : {0.0, 1e6, 1e8}) {
    CAPTURE(offset);
    std::vector<double> values;
    Summary whole, left, right;
    for (int i = 0; i < 1000; ++i) values.push_back(offset + 1e-2 * random.normal());
    for (std::size_t i = 0; i < values.size(); ++i) {
      whole.add(values[i]);
      (i < 300 ? left : right).add(values[i]);
    }
    left.merge(right);
    CHECK(left.count == whole.count);
    CHECK(left.min == whole.min);
    CHECK(left.max == whole.max);
    CHECK(left.first == values.front());
    CHECK(left.last == values.back());
    CHECK(left.mean == doctest::Approx(whole.mean).epsilon(1e-12));
    // Two-pass reference of the spread, about the exact mean of the parts.
    double mean = 0, m2 = 0;
    for (const double x : values) mean += (x - offset) / 1000;
    for (const double x : values) m2 += (x - offset - mean) * (x - offset - mean);
    CHECK(left.m2 == doctest::Approx(m2).epsilon(offset == 1e8 ? 1e-3 : 1e-6));
  }
}

TEST_CASE("an empty summary merges into nothing and takes over everything") {
  Summary empty, one;
  one.add(5);
  Summary sum = one;
  sum.merge(empty);
  CHECK(sum.count == 1);
  empty.merge(one);
  CHECK(empty.count == 1);
  CHECK(empty.mean == 5);
}

TEST_CASE("every outcome and every reason has a name of its own") {
  for (int i = 0; i < static_cast<int>(Outcome::count_); ++i) {
    CHECK_FALSE(name_of(static_cast<Outcome>(i)).empty());
    for (int k = 0; k < i; ++k)
      CHECK(name_of(static_cast<Outcome>(i)) != name_of(static_cast<Outcome>(k)));
  }
  for (int i = 0; i < static_cast<int>(Reject::count_); ++i) {
    CHECK_FALSE(name_of(static_cast<Reject>(i)).empty());
    for (int k = 0; k < i; ++k)
      CHECK(name_of(static_cast<Reject>(i)) != name_of(static_cast<Reject>(k)));
  }
}
