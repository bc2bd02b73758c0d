// What `auto` works out in one walk or by a shortcut, against the plain way. The walk is unrolled
// by hand nowhere: with two values a step, g++ 12.2 at -O2 added one value too many.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "detectors/composite.h"
#include "detectors/recent.h"

namespace millwright::detectors {
namespace {

template <bool precise, std::size_t size>
void check_sums() {
  Random random{11};
  Ring<double, size> ring;
  Ring<float, 48> roughness;
  for (int filled = 0; filled < 300; ++filled) {
    const double x = random.normal(), rough = std::abs(random.normal());
    const Recent recent{x, ring};
    const Recent recent_roughness{static_cast<float>(rough), roughness};
    const std::size_t known = std::min(ring.count() + 1, size);
    const Sums<precise> sums{recent, recent_roughness, rough, known};
    CAPTURE(filled);
    for (std::size_t i = 0; i < sums.windows.size() && sums.windows[i] <= known; ++i) {
      double sum = 0, square = 0;
      for (std::size_t k = 0; k + 1 < sums.windows[i]; ++k) {
        sum += ring[k] - x;
        square += (ring[k] - x) * (ring[k] - x);
      }
      CAPTURE(sums.windows[i]);
      CHECK(sums.sums[i] == sum);
      CHECK(sums.squares[i] == square);
    }
    if (known >= 48) {
      double newer = rough, older = 0;
      for (std::size_t k = 0; k < 15; ++k) newer += roughness[k];
      for (std::size_t k = 15; k < 47; ++k) older += roughness[k];
      CHECK(sums.newer == newer);
      CHECK(sums.older == older);
    }
    ring.add(x);
    roughness.add(static_cast<float>(rough));
  }
}

TEST_CASE("sums over windows are those of the values in them, however full the ring is") {
  check_sums<false, 72>();
  check_sums<true, 144>();
}

TEST_CASE(
    "the logarithm to base 2 is that of the library, from the smallest number to the largest") {
  for (double u = 5e-324; u < 1e308; u *= 2.37) {
    CAPTURE(u);
    CHECK(log2_of(u) == doctest::Approx(std::clamp(std::log2(u), -1000.0, 1000.0)).epsilon(1e-6));
  }
  CHECK(log2_of(0) == no_log2);
  CHECK(log2_of(1) == 0);
}

TEST_CASE("a value lies in the bin of the inverse hyperbolic sine of its distance, in halves") {
  for (double deviations = -200; deviations < 200; deviations += 0.0317) {
    const double half = std::floor(std::asinh(deviations) / 0.5);
    CAPTURE(deviations);
    CHECK(Distribution<30>::bin(deviations) == std::clamp(static_cast<int>(half) + 12, 0, 23));
  }
}

}  // namespace
}  // namespace millwright::detectors
