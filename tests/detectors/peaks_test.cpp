#include "detectors/peaks.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"

namespace millwright::detectors {
namespace {

// Of nine values in ten nothing is known but that they are 0, as of a score.
double rare_exponential(Random& random, double mean) {
  return random.chance(0.1) ? -mean * std::log(1 - random.uniform()) : 0;
}

TEST_CASE("fewer than a thousand values reach nothing") {
  Peaks peaks;
  Random random{51};
  for (int i = 0; i < 999; ++i) peaks.learn(rare_exponential(random, 1));
  CHECK(peaks.limit(1e6) == 0);
  peaks.learn(0);
  CHECK(peaks.limit(1e6) > 0);
  CHECK(peaks.limit(50) == 0);  // within the threshold
}

TEST_CASE("the limit is what an exponential tail reaches once in so many values") {
  for (const double mean : {0.1, 1.0, 7.0}) {
    for (const double values : {1e4, 1e6}) {
      CAPTURE(mean);
      CAPTURE(values);
      const double truth = mean * std::log(0.1 * values);
      double sum = 0;
      constexpr int seeds = 10;
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        Peaks peaks;
        Random random{60 + seed};
        for (int i = 0; i < 50000; ++i) peaks.learn(rare_exponential(random, mean));
        CHECK(peaks.limit(values) > 0.75 * truth);
        CHECK(peaks.limit(values) < 1.3 * truth);
        sum += peaks.limit(values);
      }
      CHECK(sum / seeds == doctest::Approx(truth).epsilon(0.1));
    }
  }
}

}  // namespace
}  // namespace millwright::detectors
