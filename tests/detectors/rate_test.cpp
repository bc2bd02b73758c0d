#include "detectors/rate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

TEST_CASE("a straight line has its slope, whatever the spacing and the offset") {
  for (const auto spacing :
       {Duration{100'000}, Duration{1'000'000}, Duration{10'000'000}, Duration{300'000'000}}) {
    for (const double offset : {0.0, 1e8}) {
      One<Rate> one;
      one.spacing = spacing;
      one.params.limit_per_s = 0.5;
      double ratio = 0;
      for (int i = 0; i < 1000; ++i) ratio = one.feed(offset - 0.25 * to_seconds(i * spacing));
      CAPTURE(spacing.count());
      CHECK(ratio == doctest::Approx(0.5).epsilon(1e-6));
    }
  }
}

TEST_CASE("the slope is the weighted least-squares one") {
  // By definition, with weights exp(-3 age / window) over all readings.
  One<Rate> one;
  one.params.limit_per_s = 1;
  Random random{1};
  std::vector<double> values;
  double ratio = 0;
  for (int i = 0; i < 300; ++i) {
    values.push_back(random.normal() + 0.3 * i);
    ratio = one.feed(values.back());
  }
  double w = 0, wt = 0, wx = 0, wtt = 0, wtx = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double t = static_cast<double>(i) - 299, weight = std::exp(3 * t / 60);
    w += weight;
    wt += weight * t;
    wx += weight * values[i];
    wtt += weight * t * t;
    wtx += weight * t * values[i];
  }
  CHECK(ratio == doctest::Approx(std::abs((w * wtx - wt * wx) / (w * wtt - wt * wt))));
}

TEST_CASE("there is no score before a whole window, nor after a silence until the next one") {
  One<Rate> one;
  one.params.limit_per_s = 1;
  for (int i = 0; i < 60; ++i) CHECK(one.feed(i % 2 * 100) == -1);
  CHECK(one.feed(0) >= 0);
  one.time += std::chrono::hours{1};
  for (int i = 0; i < 60; ++i) CHECK(one.feed(i % 2 * 100) == -1);
  CHECK(one.feed(0) >= 0);
}

TEST_CASE("readings at one instant do not break the slope") {
  One<Rate> one;
  one.params.limit_per_s = 1;
  for (int i = 0; i < 200; ++i) {
    one.feed(0.1 * i);
    one.time -= one.spacing;
    one.feed(0.1 * i);
  }
  CHECK(one.last->ratio == doctest::Approx(0.1));
}

TEST_CASE("against its habit, a climb faster than ever is found and the usual ones are not") {
  One<Rate> one;
  one.spacing = std::chrono::seconds{10};
  Random random{2};
  // Warms by 6 degrees in 5 minutes, cools in 10.
  const auto usual = [](int i) {
    const int phase = i % 90;
    return phase < 30 ? phase / 5.0 : 6 - (phase - 30) / 10.0;
  };
  int i = 0;
  for (; i < 900; ++i) one.feed(usual(i) + 0.02 * random.normal());
  for (; i < 9000; ++i) CHECK(one.feed(usual(i) + 0.02 * random.normal()) < 1);
  double most = 0;
  for (int k = 0; k < 30; ++k) most = std::max(most, one.feed(usual(i) + 0.8 * k));
  CHECK(most > 1);
}

TEST_CASE("a climb that steepens step by step does not carry its own limit upwards") {
  One<Rate> one;
  Random random{3};
  for (int i = 0; i < 2000; ++i) one.feed(random.normal());
  double most = 0;
  for (int i = 0; i < 300; ++i) most = std::max(most, one.feed(random.normal() + 0.002 * i * i));
  CHECK(most > 1);
}

}  // namespace
}  // namespace millwright::detectors
