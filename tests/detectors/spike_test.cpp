#include "detectors/spike.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

TEST_CASE("the limit is the threshold times 1.4826 MAD when nothing else is larger") {
  // Values -1, 0, 1 in turn: the median is 0, the MAD 1, every change 1 or 2 (mean 4/3).
  One<Spike> one;
  one.params.steps = 0;
  one.params.margin = 1;
  for (int i = 0; i < 600; ++i) one.feed(i % 3 - 1);
  CHECK(one.feed(5 * 1.4826) == doctest::Approx(1));
  REQUIRE(one.last);
  CHECK(one.last->expected == 0);
  CHECK(one.last->high == doctest::Approx(5 * 1.4826));
  CHECK(one.last->low == doctest::Approx(-5 * 1.4826));
}

TEST_CASE("a spike of 6 sigma on white noise is found, at 10 Hz, 1 Hz, 10 s and 5 min alike") {
  for (const auto spacing :
       {Duration{100'000}, Duration{1'000'000}, Duration{10'000'000}, Duration{300'000'000}}) {
    int found = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      One<Spike> one;
      one.spacing = spacing;
      Random random{seed};
      for (int i = 0; i < 2000; ++i) one.feed(50 + random.normal());
      found += one.feed(56) >= 1 ? 1 : 0;
    }
    CAPTURE(spacing.count());
    CHECK(found >= 18);
  }
}

TEST_CASE("a spike found once is found again: it does not teach") {
  One<Spike> one;
  Random random{3};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  for (int spike = 0; spike < 10; ++spike) {
    CHECK(one.feed(12) > 1);
    for (int i = 0; i < 50; ++i) CHECK(one.feed(random.normal()) < 1);
  }
}

TEST_CASE("spikes that recur for a day become normal") {
  One<Spike> one;
  Random random{3};
  one.spacing = std::chrono::minutes{1};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  double first = 0, last = 0;
  for (int spike = 0; spike < 26; ++spike) {
    last = one.feed(12);
    if (spike == 0) first = last;
    for (int i = 0; i < 59; ++i) one.feed(random.normal());
  }
  CHECK(first > 1);
  CHECK(last < 1);
}

TEST_CASE(
    "a program change seen while learning is no spike afterwards, a reading beyond both levels "
    "is") {
  One<Spike> one;
  Random random{5};
  const auto level = [](int i) { return i / 90 % 2 ? 30.0 : 10.0; };
  int i = 0;
  for (; i < 900; ++i) one.feed(level(i) + 0.2 * random.normal());
  for (; i < 90000; ++i) CHECK(one.feed(level(i) + 0.2 * random.normal()) < 1);
  CHECK(one.feed(75) > 1);
}

TEST_CASE("on a constant sensor a small step is no spike and a gross one is") {
  One<Spike> small, gross, zero;
  for (int i = 0; i < 400; ++i) {
    small.feed(20);
    gross.feed(20);
    zero.feed(0);
  }
  CHECK(small.feed(20) == 0);
  CHECK(small.feed(20.1) == doctest::Approx(0.1));  // 5 % of 20 is 1
  CHECK(gross.feed(80) > 1);
  CHECK(zero.feed(0) == 0);
  CHECK(zero.feed(1) == -1);  // no scale is known: no score
}

TEST_CASE("a coarse value that moves by single steps is no spike") {
  One<Spike> one;
  Random random{6};
  double level = 30;
  for (int i = 0; i < 20000; ++i) {
    level += 0.004 * random.normal() - 0.0002 * (level - 30);
    CHECK(one.feed(std::round(level * 16) / 16) < 1);
  }
  CHECK(one.feed(level + 1) > 1);
}

TEST_CASE("after a silence longer than its window the detector waits for new neighbours") {
  One<Spike> one;
  Random random{7};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  one.time += std::chrono::minutes{10};
  for (int i = 0; i < 16; ++i) CHECK(one.feed(20 + random.normal()) == -1);
  CHECK(one.feed(20) >= 0);
  CHECK(one.feed(20) < 1);
}

TEST_CASE("readings older than the window's time do not count") {
  // The long stretch at 100 is older than 30 s: the median is that of the 16 newest.
  One<Spike> one;
  one.params.window = std::chrono::seconds{30};
  one.params.warmup = 40;
  Random random{8};
  for (int i = 0; i < 44; ++i) one.feed(100 + random.normal());
  for (int i = 0; i < 31; ++i) one.feed(10);
  one.feed(10);
  REQUIRE(one.last);
  CHECK(one.last->expected == 10);
}

}  // namespace
}  // namespace millwright::detectors
