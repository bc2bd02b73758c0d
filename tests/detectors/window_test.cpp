#include "detectors/window.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>
#include <vector>

#include "core/codec.h"
#include "core/random.h"

namespace millwright::detectors {
namespace {

// By definition: sorted copies.
double plain_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
double upper_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

TEST_CASE("median and deviation of the window are those of a sorted copy") {
  Random random{1};
  for (const double grain : {1e-6, 1.0, 100.0}) {  // 100: nearly all values equal
    SlidingWindow<7> window;
    std::deque<double> plain;
    for (int i = 0; i < 3000; ++i) {
      const double value = std::round(random.normal() * 10 / grain) * grain;
      window.add({from_microseconds(i), value});
      plain.push_back(value);
      if (plain.size() > 7) plain.pop_front();
      if (random.chance(0.05)) {
        const auto cut = random.below(8);
        window.drop_before(from_microseconds(i - static_cast<int>(cut)));
        while (plain.size() > cut + 1) plain.pop_front();
      }
      REQUIRE(window.size() == plain.size());
      const std::vector<double> values(plain.begin(), plain.end());
      const double median = plain_median(values);
      REQUIRE(window.median() == doctest::Approx(median));
      std::vector<double> distances;
      for (const double v : values) distances.push_back(std::abs(v - median));
      REQUIRE(window.median_deviation(median) == doctest::Approx(upper_median(distances)));
    }
  }
}

TEST_CASE("equal contents save as equal bytes wherever the ring began") {
  SlidingWindow<4> early, late;
  for (int i = 0; i < 3; ++i) late.add({from_microseconds(i), -1.0});
  for (int i = 3; i < 7; ++i) {
    early.add({from_microseconds(i), i * 0.5});
    late.add({from_microseconds(i), i * 0.5});
  }
  std::string a, b;
  Writer{a}(early);
  Writer{b}(late);
  CHECK(a == b);
}

TEST_CASE("a window that claims more than it can hold, or runs backwards, is refused") {
  std::string bytes;
  Writer{bytes}(std::uint8_t{5});
  for (int i = 0; i < 5; ++i) Writer{bytes}(from_microseconds(i), 1.0);
  SlidingWindow<4> small;
  Reader too_many{bytes};
  too_many(small);
  CHECK_FALSE(too_many.ok());

  std::string backwards;
  Writer{backwards}(std::uint8_t{2}, from_microseconds(2), 1.0, from_microseconds(1), 1.0);
  Reader reader{backwards};
  reader(small);
  CHECK_FALSE(reader.ok());
}

}  // namespace
}  // namespace millwright::detectors
