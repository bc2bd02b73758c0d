#include "detectors/shift.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "tests/detectors/one.h"

namespace millwright::detectors {
namespace {

TEST_CASE("the sums follow Page's formula") {
  Shift::Params params;
  Shift::State state;
  state.count = 1000;
  state.changes = 16;
  state.mean = 10;
  state.variance = 4;
  state.last = epoch;
  // z = 1, 2, -3, 4 (clipped from 8): high 0.5, 2, 0, 3.5; low 0, 0, 2.5, 0.
  struct {
    double value, sum;
  } const cases[] = {{12, 0.5}, {14, 2}, {4, 2.5}, {26, 3.5}};
  for (const auto& c : cases) {
    CAPTURE(c.value);
    // Baseline held still, so that z is as computed by hand.
    const Sample sample{state.last + std::chrono::seconds{1}, c.value};
    const auto score = Shift::score(params, state, sample);
    REQUIRE(score);
    CHECK(score->ratio == doctest::Approx(c.sum / 12));
    CHECK(score->expected == 10);
    CHECK(score->low == 4);
    CHECK(score->high == 16);
    Shift::learn(params, state, sample, Trust::suspicious);
  }
}

TEST_CASE("the ringing of white noise is 1, of an autoregression (1 + rho) / (1 - rho)") {
  for (const double rho : {0.0, 0.5, 0.9}) {
    Ringing ringing;
    Random random{1};
    double value = 0;
    for (int i = 0; i < 200000; ++i) {
      value = rho * value + std::sqrt(1 - rho * rho) * random.normal();
      ringing.add(value, 0);
    }
    CAPTURE(rho);
    CHECK(ringing.factor(512) == doctest::Approx((1 + rho) / (1 - rho)).epsilon(0.15));
  }
}

TEST_CASE(
    "a lasting shift of 3 sigma is found, at 10 Hz, 1 Hz, 10 s and 5 min alike, with its onset") {
  for (const auto spacing :
       {Duration{100'000}, Duration{1'000'000}, Duration{10'000'000}, Duration{300'000'000}}) {
    CAPTURE(spacing.count());
    int near = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(seed);
      One<Shift> one;
      one.spacing = spacing;
      Random random{seed};
      for (int i = 0; i < 600; ++i) one.feed(50 + random.normal());
      const auto changed = one.time;
      int delay = 0;
      while (one.feed(53 + random.normal()) < 1 && delay < 30) ++delay;
      CHECK(delay < 30);
      REQUIRE(one.last);
      REQUIRE(one.last->onset);
      CHECK(*one.last->onset <= changed + 3 * spacing);
      near += *one.last->onset >= changed - 5 * spacing ? 1 : 0;
    }
    // The sum may have been on a small excursion of the noise when the change came.
    CHECK(near >= 14);
  }
}

TEST_CASE("slow wear of half a sigma a day is found within days") {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    One<Shift> one;
    one.spacing = std::chrono::minutes{1};
    Random random{seed};
    for (int i = 0; i < 3 * 1440; ++i) one.feed(random.normal());
    int delay = 0;
    while (one.feed(random.normal() + 0.5 * delay / 1440) < 1 && delay < 5 * 1440) ++delay;
    CHECK(delay < 3 * 1440);
  }
}

TEST_CASE("a suspicious shift does not move the baseline and clears soon after it is over") {
  One<Shift> one;
  Random random{2};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  for (int i = 0; i < 20; ++i) one.feed(5);
  const double mean = one.state.mean;
  for (int i = 0; i < 10000; ++i) CHECK(one.feed(5) == doctest::Approx(1.5));  // the cap
  CHECK(one.state.mean == mean);
  int readings = 0;
  while (one.feed(random.normal()) > 0.8 && readings < 1000) ++readings;
  CHECK(readings < 60);
}

TEST_CASE("a shift that stays for a day is accepted: learned anew, without score meanwhile") {
  One<Shift> one;
  Random random{3};
  one.spacing = std::chrono::minutes{1};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  int standing = 0;
  while (one.feed(8 + random.normal()) >= 0 && standing < 3000) ++standing;
  CHECK(standing >= 1440);
  CHECK(standing < 1500);
  for (int i = 0; i < 299; ++i) CHECK(one.feed(8 + random.normal()) == -1);
  for (int i = 0; i < 300; ++i) one.feed(8 + random.normal());
  REQUIRE(one.last);
  CHECK(one.last->ratio < 1);
  CHECK(one.last->expected == doctest::Approx(8).epsilon(0.05));
}

TEST_CASE("the reading with which a shift is accepted says so, once") {
  One<Shift> one;
  Random random{3};
  one.spacing = std::chrono::minutes{1};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    const Sample sample{one.time, 8 + random.normal()};
    const auto score = Shift::score(one.params, one.state, sample);
    const bool far = score && score->ratio >= 1;
    const auto learned =
        Shift::learn(one.params, one.state, sample, far ? Trust::suspicious : Trust::normal);
    one.time += one.spacing;
    if (learned != Learned::accepted) continue;
    ++accepted;
    CHECK(i >= 1440);
    CHECK(i < 1500);
    CHECK(Shift::confidence(one.params, one.state) == 0);
  }
  CHECK(accepted == 1);
}

TEST_CASE("with and without Page-Hinkley, shifts of 1 and 3 sigma are found, and noise is none") {
  struct {
    double size;
    int readings;
  } const cases[] = {{1, 300}, {3, 60}};
  for (const bool page_hinkley : {false, true}) {
    for (const auto& c : cases) {
      CAPTURE(page_hinkley);
      CAPTURE(c.size);
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        One<Shift> one;
        one.params.page_hinkley = page_hinkley;
        Random random{seed};
        for (int i = 0; i < 3000; ++i) REQUIRE(one.feed(random.normal()) < 1);
        int delay = 0;
        while (one.feed(c.size + random.normal()) < 1) REQUIRE(++delay < c.readings);
      }
    }
  }
}

TEST_CASE("wear of 0.1 sigma a day that the moving mean follows is found by Page-Hinkley") {
  int moving = 0, whole = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    One<Shift> one, other;
    one.spacing = other.spacing = std::chrono::minutes{5};
    other.params.page_hinkley = true;
    Random random{seed};
    double most_moving = 0, most_whole = 0;
    for (int i = -20 * 288; i < 15 * 288; ++i) {
      const double value = 0.1 * std::max(i, 0) / 288 + random.normal();
      most_moving = std::max(most_moving, one.feed(value));
      most_whole = std::max(most_whole, other.feed(value));
      if (i == 0) CHECK(most_whole < 1);
    }
    moving += most_moving >= 1 ? 1 : 0;
    whole += most_whole >= 1 ? 1 : 0;
  }
  CHECK(moving <= 1);
  CHECK(whole == 5);
}

TEST_CASE("confidence grows with the baseline to 1") {
  One<Shift> one;
  one.spacing = std::chrono::minutes{5};
  Random random{7};
  double before = 0;
  for (int i = 0; i < 4 * 288; ++i) {
    one.feed(random.normal());
    const double confidence = Shift::confidence(one.params, one.state);
    REQUIRE(confidence >= before);
    before = confidence;
    if (i == 288) CHECK(confidence == doctest::Approx(1.0 / 3).epsilon(0.1));
  }
  CHECK(before == 1);
}

TEST_CASE("readings of a faulty sensor do not move the sums") {
  One<Shift> one;
  Random random{8};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  std::string before, after;
  Writer{before}(one.state);
  for (int i = 0; i < 100; ++i) Shift::learn(one.params, one.state, {one.time, 9}, Trust::faulty);
  Writer{after}(one.state);
  CHECK(before == after);
}

TEST_CASE("one gross outlier is no shift") {
  One<Shift> one;
  Random random{4};
  for (int i = 0; i < 1000; ++i) one.feed(random.normal());
  CHECK(one.feed(1e9) < 1);
  for (int i = 0; i < 1000; ++i) CHECK(one.feed(random.normal()) < 1);
}

TEST_CASE("a sensor that has not moved yet gets no score, and learns once it moves") {
  One<Shift> one;
  Random random{5};
  for (int i = 0; i < 5000; ++i) CHECK(one.feed(0) == -1);
  for (int i = 0; i < 3000; ++i) CHECK(one.feed(40 + random.normal()) < 1);
  CHECK(one.last);
}

TEST_CASE("the first day of a daily cycle is no shift, and after three days its rhythm is known") {
  for (const int seconds : {10, 60, 300}) {
    One<Shift> one;
    one.spacing = std::chrono::seconds{seconds};
    Random random{6};
    for (int i = 0; i < 5 * 86400 / seconds; ++i) {
      const double t = static_cast<double>(i) * seconds;
      REQUIRE(one.feed(3 * std::sin(2 * std::numbers::pi * t / 86400) + 0.3 * random.normal()) < 1);
    }
  }
}

}  // namespace
}  // namespace millwright::detectors
