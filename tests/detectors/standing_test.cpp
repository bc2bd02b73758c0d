// An alarm of a fault that stays lasts until the fault is over.
#include "detectors/standing.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "core/random.h"
#include "detectors/auto.h"
#include "tests/detectors/one.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

TEST_CASE("standing: away from the band on, over below the share of it where it is back") {
  Standing it{3, 0, 10, 100, true};
  const auto see = [&](std::optional<double> away, std::size_t patience = 1) {
    it.go_on(it.look(away, 0.5, patience), false);
    return it.upheld();
  };
  CHECK_FALSE(see(9));
  CHECK(see(10));
  CHECK(see(5));
  CHECK(see(std::nullopt));
  CHECK_FALSE(see(4.9));
  CHECK_FALSE(see(std::nullopt));
  CHECK_FALSE(see(9));
}

TEST_CASE("standing: once it is away, the other side is none") {
  Standing it{3, 0, 10, 100, true};
  it.go_on(it.look(-12, 0.5, 1), false);
  CHECK(it.upheld());
  CHECK(it.look(-6, 0.5, 1).upheld);
  CHECK_FALSE(it.look(12, 0.5, 1).upheld);
}

TEST_CASE("standing: it is over when it was back for as long as patience asks") {
  Standing it{3, 0, 10, 100, true};
  it.go_on(it.look(12, 0.5, 1), false);
  for (int i = 0; i < 3; ++i) {
    it.go_on(it.look(1, 0.5, 3), false);
    CHECK(it.upheld() == (i < 2));
  }
  it = {3, 0, 10, 100, true};
  it.go_on(it.look(12, 0.5, 1), false);
  for (int i = 0; i < 20; ++i) it.go_on(it.look(i % 3 == 0 ? 6 : 1, 0.5, 3), false);
  CHECK(it.upheld());
}

TEST_CASE("standing: what lasts as long as what was before is as usual") {
  const Standing it{3, 0, 10, 1000, true};
  CHECK_FALSE(it.is_old_news(1999, 5000));
  CHECK(it.is_old_news(2000, 5000));
  CHECK(it.is_old_news(1500, 500));
  CHECK_FALSE(Standing{}.any());
}

// Noise of deviation 1 about 50, in whose later part something is wrong.
using Fault = std::function<double(double noise)>;
struct Course {
  Duration spacing{};
  int before = 0, fault = 0, after = 0;  // readings
};
struct Told {
  bool alarmed = false;
  double stood = 0;       // share of the readings of the fault's later half
  double stood_late = 0;  // likewise, of the later half of what follows the fault
  int after = 0;          // alerts raised in what follows
};

// An alert stands as in the engine: from a score of 1 on, and over below 0.8.
template <class D>
Told run_course(const Course& course, const Fault& fault, std::uint64_t seed) {
  One<D> one{.spacing = course.spacing};
  Random random{seed};
  for (int i = 0; i < course.before; ++i) one.feed(50 + random.normal());
  Told out;
  bool stands = false;
  const auto feed = [&](double noise) {
    const double ratio = one.feed(50 + noise);
    const bool raised = ratio >= 1 && !stands;
    stands = ratio >= 1 || (stands && ratio >= 0.8);
    return raised;
  };
  for (int i = 0; i < course.fault; ++i) {
    out.alarmed |= feed(fault(random.normal()));
    if (i >= course.fault / 2 && stands) out.stood += 2.0 / course.fault;
  }
  for (int i = 0; i < course.after; ++i) {
    out.after += feed(random.normal()) ? 1 : 0;
    if (i >= course.after / 2 && stands) out.stood_late += 2.0 / course.after;
  }
  return out;
}

TEST_CASE_TEMPLATE("auto: an alarm stands as long as the fault, and not longer", D, Auto, Precise) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  const std::vector<Course> courses{{seconds{10}, 3 * 8640, 8640, 8640},
                                    {minutes{1}, 6 * 1440, 2 * 1440, 2 * 1440},
                                    {minutes{5}, 12 * 288, 4 * 288, 4 * 288}};
  struct Named {
    std::string name;
    Fault fault;
  };
  const std::vector<Named> faults{{"step up", [](double x) { return x + 6; }},
                                  {"step down", [](double x) { return x - 6; }},
                                  {"four times the noise", [](double x) { return 4 * x; }},
                                  {"a tenth of the noise", [](double x) { return 0.1 * x; }}};
  const int runs = test::scaled(4, 20);
  for (const auto& course : courses) {
    for (const auto& [name, fault] : faults) {
      Told sum;
      int alarmed = 0;
      for (int k = 0; k < runs; ++k) {
        const auto told = run_course<D>(course, fault, 7000 + static_cast<std::uint64_t>(k));
        alarmed += told.alarmed ? 1 : 0;
        sum.stood += told.stood;
        sum.stood_late += told.stood_late;
        sum.after += told.after;
      }
      const auto what = fmt::format(
          "{}, {}, every {:g} s: {} of {} alarmed, stands for {:.2f}, late {:.2f}, "
          "{} alerts after",
          D::name, name, to_seconds(course.spacing), alarmed, runs, sum.stood / runs,
          sum.stood_late / runs, sum.after);
      MESSAGE(what);
      CAPTURE(what);
      CHECK(alarmed == runs);
      CHECK(sum.stood >= 0.9 * runs);
      CHECK(sum.stood_late <= 0.1 * runs);
      CHECK(sum.after <= runs);
    }
  }
}

TEST_CASE("auto: what was held against a level is expected there as long as the alarm stands") {
  One<Auto> one{.spacing = std::chrono::minutes{1}};
  Random random{11};
  for (int i = 0; i < 6 * 1440; ++i) one.feed(50 + random.normal());
  for (int i = 0; i < 1440; ++i) one.feed(60 + random.normal());
  REQUIRE(one.last);
  CHECK(one.last->ratio == doctest::Approx(just_below_limit));
  CHECK(one.last->expected == doctest::Approx(50).epsilon(0.01));
  CHECK(one.last->high < 58);
}

TEST_CASE("auto: a change that stays is accepted by rule, and said") {
  One<Auto> one{.spacing = std::chrono::minutes{5}};
  one.params.accept_after = std::chrono::hours{24 * 3};
  Random random{12};
  const auto feed = [&](double value) {
    const Sample sample{one.time, value};
    one.last = Auto::score(one.params, one.state, sample);
    one.time += one.spacing;
    return Auto::learn(one.params, one.state, sample, Trust::normal) == Learned::accepted;
  };
  for (int i = 0; i < 10 * 288; ++i) CHECK_FALSE(feed(50 + random.normal()));
  std::vector<int> accepted;
  for (int i = 0; i < 6 * 288; ++i) {
    if (feed(60 + random.normal())) accepted.push_back(i);
    if (accepted.empty() && i > 24) CHECK(one.last->ratio >= 0.8);
  }
  REQUIRE(accepted.size() == 1);
  CHECK(std::abs(accepted[0] - 3 * 288) < 24);
  CHECK(one.last->ratio < 0.8);
}

// It begins while a false alarm is waited out.
TEST_CASE("auto: what began behind another alarm and stays is told when that wait is over") {
  int told = 0;
  const int runs = 10;
  for (int k = 0; k < runs; ++k) {
    One<Auto> one{.spacing = std::chrono::minutes{1}};
    Random random{300 + static_cast<std::uint64_t>(k)};
    for (int i = 0; i < 6 * 1440; ++i) one.feed(50 + random.normal());
    // Grave enough that what follows is no escalation of it.
    for (int i = 0; i < 40; ++i) one.feed(500 + random.normal());
    for (int i = 0; i < 180; ++i) one.feed(50 + random.normal());
    bool alarmed = false;
    for (int i = 0; i < 1440; ++i) alarmed |= one.feed(50 + 4 * random.normal()) >= 1;
    told += alarmed ? 1 : 0;
  }
  CAPTURE(told);
  CHECK(told >= 9);
}

}  // namespace
}  // namespace millwright::detectors
