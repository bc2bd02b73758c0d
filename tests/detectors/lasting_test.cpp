// Faults that last, where frames come fast and the windows of the features are short.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <optional>

#include "core/random.h"
#include "core/score.h"
#include "detectors/auto.h"

namespace millwright::detectors {
namespace {

// One sensor, from its first reading.
template <class D>
struct Run {
  typename D::Params params;
  typename D::State state;
  Timestamp now = from_microseconds(1'732'250'000'000'000);
  Duration spacing;
  std::optional<Score> last;

  double feed(double value) {
    now += spacing;
    last = D::score(params, state, {now, value});
    const double ratio = last ? last->ratio : 0;
    D::learn(params, state, {now, value}, ratio >= 1 ? Trust::suspicious : Trust::normal);
    return ratio;
  }
};

double wander(double& memory, Random& random) {
  memory = 0.9 * memory + std::sqrt(0.19) * random.normal();
  return 50 + memory;
}

// A step by the sensor's own deviation is nothing to a single reading, nor to a window of 72.
TEST_CASE_TEMPLATE("auto finds a lasting step within the wandering of a fast sensor", D, Auto,
                   Precise) {
  int found = 0, tried = 0;
  for (std::uint64_t seed = 300; seed < 310; ++seed) {
    Random random{seed};
    Run<D> run{.spacing = std::chrono::seconds{1}};
    double memory = 0;
    for (int i = 0; i < 6 * 3600; ++i) run.feed(wander(memory, random));
    bool alarm = false;
    for (int i = 0; i < 900 && !alarm; ++i) {
      alarm = run.feed(wander(memory, random) + 1) >= 1;
      if (!alarm) continue;
      CHECK(run.last->kind == AlertKind::shift);
      CHECK(std::abs(run.last->expected - 50) < 0.5);
      REQUIRE(run.last->value);
      CHECK(*run.last->value > run.last->high);
    }
    ++tried;
    found += alarm ? 1 : 0;
  }
  CAPTURE(found);
  CHECK(found >= tried * 8 / 10);
}

// Two programs 20 deviations apart, for 20 readings on average, every minute.
class Programs {
 public:
  explicit Programs(std::uint64_t seed) : random_{seed} {}
  double next(double shift, double noise) {
    if (random_.chance(1.0 / 20)) level_ = 100 - level_;
    return level_ + shift + noise * random_.normal();
  }

 private:
  Random random_;
  double level_ = 40;
};

constexpr int runs_on_programs = 8;

// In how many of these runs a fault on `Programs` raises an alarm within 400 readings; `seen` looks
// at each.
template <class D>
int found_on_programs(std::uint64_t first_seed, double shift, double noise, const auto& seen) {
  int found = 0;
  for (std::uint64_t seed = first_seed; seed < first_seed + runs_on_programs; ++seed) {
    Programs programs{seed};
    Run<D> run{.spacing = std::chrono::minutes{1}};
    for (int i = 0; i < 3 * 1440; ++i) run.feed(programs.next(0, 1));
    bool alarm = false;
    for (int i = 0; i < 400 && !alarm; ++i) alarm = run.feed(programs.next(shift, noise)) >= 1;
    if (alarm) seen(*run.last);
    found += alarm ? 1 : 0;
  }
  return found;
}

// 20 deviations between two programs hide a lost noise from any mean.
TEST_CASE_TEMPLATE("auto finds lost noise behind changes of program", D, Auto, Precise) {
  const int found = found_on_programs<D>(
      320, 0, 0.1, [](const Score& score) { CHECK(score.kind == AlertKind::spread); });
  CAPTURE(found);
  CHECK(found >= runs_on_programs * 8 / 10);
}

// A step of 3 deviations is nothing beside 20 between two programs.
TEST_CASE_TEMPLATE("auto finds a step within both of two programs", D, Auto, Precise) {
  const int found = found_on_programs<D>(330, 3, 1, [](const Score&) {});
  CAPTURE(found);
  CHECK(found >= runs_on_programs * 8 / 10);
}

// --- what swings, or is louder or quieter, behind what moves anyway ---

struct Hidden {
  const char* name;
  Duration spacing;
  int taught, lasts;  // readings
  double (*healthy)(int i, double& memory, Random& random);
  double (*faulty)(int i, double& memory, Random& random);
};
double turns(int i, double period) { return std::sin(2 * std::numbers::pi * i / period); }
double cycle_of(int i, double period, double noise, Random& random) {
  return 50 + 4 * turns(i, period) + 2 * turns(i, period / 2) + noise * random.normal();
}
const Hidden hidden[] = {
    {"a swing within the wandering of a sensor, every minute", std::chrono::minutes{1}, 3 * 1440,
     400, [](int, double& memory, Random& random) { return wander(memory, random); },
     [](int i, double& memory, Random& random) {
       return wander(memory, random) + 1.2 * turns(i, 12);
     }},
    {"noise lost behind a cycle, every minute", std::chrono::minutes{1}, 3 * 1440, 400,
     [](int i, double&, Random& random) { return cycle_of(i, 30, 1, random); },
     [](int i, double&, Random& random) { return cycle_of(i, 30, 0.1, random); }},
    {"noise lost behind a cycle, ten times a second", std::chrono::milliseconds{100}, 36000, 3000,
     [](int i, double&, Random& random) { return cycle_of(i, 100, 1, random); },
     [](int i, double&, Random& random) { return cycle_of(i, 100, 0.1, random); }},
    {"noise doubled behind a cycle, ten times a second", std::chrono::milliseconds{100}, 36000,
     3000, [](int i, double&, Random& random) { return cycle_of(i, 100, 1, random); },
     [](int i, double&, Random& random) { return cycle_of(i, 100, 2, random); }},
    {"a swing beside a cycle, ten times a second", std::chrono::milliseconds{100}, 36000, 3000,
     [](int i, double&, Random& random) { return cycle_of(i, 100, 1, random); },
     [](int i, double&, Random& random) {
       return cycle_of(i, 100, 1, random) + 3 * turns(i, 12);
     }}};

TEST_CASE_TEMPLATE("auto finds what swings or is louder or quieter behind what moves anyway", D,
                   Auto, Precise) {
  for (const auto& h : hidden) {
    int found = 0, tried = 0;
    for (std::uint64_t seed = 340; seed < 346; ++seed) {
      Random random{seed};
      Run<D> run{.spacing = h.spacing};
      double memory = 0;
      for (int i = 0; i < h.taught; ++i) run.feed(h.healthy(i, memory, random));
      bool alarm = false;
      for (int i = h.taught; i < h.taught + h.lasts && !alarm; ++i) {
        alarm = run.feed(h.faulty(i, memory, random)) >= 1;
      }
      ++tried;
      found += alarm ? 1 : 0;
    }
    CAPTURE(std::string{h.name});
    CAPTURE(found);
    CHECK(found >= tried - 1);
  }
}

}  // namespace
}  // namespace millwright::detectors
