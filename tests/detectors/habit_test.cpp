// What `rate` and `spike` have in common: a baseline that is learned as a habit.
#include <doctest/doctest.h>

#include "detectors/rate.h"
#include "detectors/spike.h"
#include "tests/detectors/bytes.h"
#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

TEST_CASE_TEMPLATE("confidence grows with the habit to 1, and faulty readings teach nothing", D,
                   Rate, Spike) {
  One<D> one;
  one.spacing = std::chrono::minutes{1};
  Random random{11};
  double before = 0;
  for (int i = 0; i < 1500; ++i) {
    one.feed(random.normal());
    const double confidence = D::confidence(one.params, one.state);
    REQUIRE(confidence >= before);
    before = confidence;
    if (i == 500) CHECK(confidence == doctest::Approx(500.0 / 1440).epsilon(0.02));
  }
  CHECK(before == 1);
  const auto taught = bytes_of(one.state);
  D::learn(one.params, one.state, {one.time, 500}, Trust::faulty);
  CHECK(bytes_of(one.state) == taught);
}

}  // namespace
}  // namespace millwright::detectors
