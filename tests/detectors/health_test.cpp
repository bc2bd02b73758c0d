#include "detectors/health.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/detectors/bytes.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

constexpr std::uint32_t learned = 100;  // frames; 12.5 of them are the time constant
constexpr float silent = std::numeric_limits<float>::quiet_NaN();

Timestamp minute(double n) { return Timestamp{} + from_seconds(60 * n); }
double minutes(Timestamp time) { return to_seconds(time - minute(0)) / 60; }

// One machine with frames a minute apart.
struct Machine {
  Health::Params params;
  Health::State state;
  int frame = 0;

  void feed(const MachineLevel::PerHead& heads, const std::vector<float>& sensors = {}) {
    Health::learn(params, state, {now(), heads, sensors, learned});
    ++frame;
  }
  // Only the drift head speaks: `deviation` squared, in alarm limits.
  void deviate(double deviation) {
    MachineLevel::PerHead heads{};
    heads[MachineLevel::by_drift] = 0.5 + deviation * deviation;
    feed(heads);
  }
  Timestamp now() const { return minute(frame); }
  double index() const { return Health::index(params, state); }
  std::optional<Crossing> forecast() const { return Health::forecast(state, now()); }
};

TEST_CASE("a machine as in its baseline has health 100, one at its limit 0") {
  Machine machine;
  CHECK(machine.index() == 100);
  for (int i = 0; i < 300; ++i) machine.feed({0.4, 0.3, 0.5, 0.2, 0.1, 0.5, 0.3}, {0.45F, silent});
  CHECK(machine.index() == 100);
  CHECK(Health::slope(machine.params, machine.state) == 0);
  for (int i = 0; i < 300; ++i) machine.deviate(3);
  CHECK(machine.index() == doctest::Approx(50).epsilon(0.001));
  for (int i = 0; i < 300; ++i) machine.deviate(7);
  CHECK(machine.index() == 0);
}

TEST_CASE("more evidence never means more health") {
  Random random{1};
  for (int round = 0; round < 200; ++round) {
    Machine calm, loud;
    for (int i = 0; i < 20; ++i) {
      MachineLevel::PerHead heads{}, more{};
      std::vector<float> sensors(4), worse(4);
      for (std::size_t h = 0; h < heads.size(); ++h) {
        heads[h] = random.uniform(0, 3);
        more[h] = heads[h] + (random.chance(0.3) ? random.uniform(0, 2) : 0);
      }
      for (std::size_t s = 0; s < sensors.size(); ++s) {
        sensors[s] = static_cast<float>(random.uniform(0, 3));
        worse[s] = sensors[s] + (random.chance(0.3) ? 1.0F : 0.0F);
      }
      calm.feed(heads, sensors);
      loud.feed(more, worse);
    }
    REQUIRE(loud.index() <= calm.index());
  }
}

TEST_CASE("health moves with its time constant, an eighth of the learning") {
  Machine machine;
  machine.deviate(0);
  for (int i = 0; i < 12; ++i) machine.deviate(6);
  // After 12 of 12.5 frames: 1 - 0.92^12 = 0.632 of 36, its root of the limit.
  CHECK(machine.index() == doctest::Approx(100 * (1 - std::sqrt(0.6323))).epsilon(0.001));
}

TEST_CASE("the parts name heads and sensors, and add up to 1") {
  Machine machine;
  for (int i = 0; i < 300; ++i) machine.feed({0, 0, 0, 0, 0, 0, 2.5}, {silent, 1.5F, 0.6F});
  const auto parts = Health::parts(machine.state);
  const double sum = std::accumulate(parts.heads.begin(), parts.heads.end(), 0.0) +
                     std::accumulate(parts.sensors.begin(), parts.sensors.end(), 0.0);
  CHECK(sum == doctest::Approx(1));
  // x is 2 for drift and 1 for the worst sensor: 4 and 1 of 5.
  CHECK(parts.heads[MachineLevel::by_drift] == doctest::Approx(0.8));
  CHECK(parts.sensors[0] == 0);
  CHECK(parts.sensors[1] == doctest::Approx(0.2 * 1 / 1.01));
  CHECK(parts.sensors[2] == doctest::Approx(0.2 * 0.01 / 1.01));
  const auto none = Health::parts(Health::State{});
  CHECK(std::accumulate(none.heads.begin(), none.heads.end(), 0.0) == 0);
}

TEST_CASE("a sensor that is silent keeps what it said: silence does not heal") {
  Machine machine;
  for (int i = 0; i < 300; ++i) machine.feed({}, {2.5F});
  const double before = machine.index();
  CHECK(before < 80);
  for (int i = 0; i < 300; ++i) machine.feed({}, {silent});
  CHECK(machine.index() == before);
}

// Wear whose end is known: the deviation is 6 when `shape` is 1, at frame 1400.
double end_told_at(int frame, double (*shape)(double)) {
  Machine machine;
  while (machine.frame < frame) machine.deviate(6 * shape((machine.frame - 200) / 1200.0));
  const auto forecast = machine.forecast();
  REQUIRE(forecast);
  CHECK(forecast->earliest < minute(1400));
  CHECK(forecast->latest > minute(1400));
  return minutes(forecast->reaches);
}

TEST_CASE("wear without noise: the end is told, whatever the course") {
  const auto linear = [](double u) { return std::clamp(u, 0.0, 1.0); };
  const auto quadratic = [](double u) { return std::pow(std::clamp(u, 0.0, 1.0), 2); };
  const auto exponential = [](double u) {
    return std::expm1(4 * std::max(u, 0.0)) / std::expm1(4);
  };
  CHECK(end_told_at(1100, linear) == doctest::Approx(1400).epsilon(0.05));
  CHECK(end_told_at(1200, quadratic) == doctest::Approx(1400).epsilon(0.05));
  CHECK(end_told_at(1250, exponential) == doctest::Approx(1400).epsilon(0.05));
}

TEST_CASE("the trend is in points a second") {
  Machine machine;
  for (int i = 0; i < 1000; ++i) machine.deviate(0.003 * i);  // 0.05 points a frame
  CHECK(Health::slope(machine.params, machine.state) * 60 == doctest::Approx(-0.05).epsilon(0.02));
}

TEST_CASE("what has settled, and what comes at once, has no forecast") {
  Machine settled;
  for (int i = 0; i < 3000; ++i) {
    settled.deviate(std::min(2.0, i / 200.0));
    if (i > 2000) REQUIRE(!settled.forecast());
  }
  CHECK(settled.index() < 70);
  Machine sudden;
  for (int i = 0; i < 3000; ++i) sudden.deviate(0);
  for (int i = 0; i < 3; ++i) sudden.deviate(5);
  CHECK(!sudden.forecast());
}

TEST_CASE("a sensor that is learned anew no longer counts, and ends the forecast") {
  Machine machine;
  for (int i = 0; i < 1000; ++i)
    machine.feed({0, 0, 0, 0, 0, 0, 0.5 + std::pow(0.004 * i, 2)}, {2.5F, 3.5F});
  REQUIRE(machine.forecast());
  const double before = machine.index();
  Health::forget(machine.state, 1);
  CHECK(machine.index() > before);
  CHECK(!machine.forecast());
  CHECK(Health::slope(machine.params, machine.state) == 0);
  CHECK(Health::parts(machine.state).sensors[1] == 0);
}

TEST_CASE("a health that is saved and restored goes on the same, to the byte") {
  Machine machine;
  Random random{5};
  for (int i = 0; i < 900; ++i) {
    machine.deviate(0.004 * i * (1 + 0.1 * random.normal()));
    if (i % 50 == 0) machine.state = restored(machine.state);
  }
  Machine straight;
  Random again{5};
  for (int i = 0; i < 900; ++i) straight.deviate(0.004 * i * (1 + 0.1 * again.normal()));
  CHECK(bytes_of(machine.state) == bytes_of(straight.state));
  CHECK(bytes_of(machine.state).size() < 2500);
  const auto bytes = bytes_of(machine.state);
  for (std::size_t size = 0; size < bytes.size(); size += 7)
    REQUIRE(!can_restore<Health::State>(std::string_view{bytes}.substr(0, size)));
  auto wrong = machine.state;
  wrong.levels.ladder[1].next = 40;
  CHECK(!can_restore<Health::State>(bytes_of(wrong)));
  wrong = machine.state;
  wrong.heads[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK(!can_restore<Health::State>(bytes_of(wrong)));
}

// --- machines that run to failure; their limits lie about the assumed one as it is said ---

enum class Course { linear, quadratic, exponential, noisy, none };
double wear(Course course, double u) {
  if (u <= 0) return 0;
  switch (course) {
    case Course::linear:
    case Course::noisy:
      return u;
    case Course::quadratic:
      return u * u;
    case Course::exponential:
      return std::expm1(4 * u) / std::expm1(4);
    case Course::none:
      return 0;
  }
  return 0;
}

struct Tally {
  int frames = 0, shown = 0, covered = 0, late = 0, machines = 0, told = 0;
};

// Of frames with a forecast: is the failure in its interval?
void run_to_failure(Course course, Random random, Tally& tally) {
  Machine machine;
  const double start = learned * random.uniform(1, 7), life = learned * random.uniform(2, 16);
  const double limit = 6 * std::exp(0.35 * random.normal()), end = start + life;
  const double noise = course == Course::noisy ? 0.25 : 0.06;
  double slow = 0;
  bool told = false;
  for (int i = 0; i < end; ++i) {
    slow = 0.9 * slow + std::sqrt(1 - 0.81) * random.normal();
    const double worn = limit * wear(course, (i - start) / life);
    const double seen = std::max(0.0, worn * (1 + noise * slow) + 0.3 * noise * slow);
    MachineLevel::PerHead heads{};
    const double chance = course == Course::none ? 0.4 + 0.2 * slow : 0.15;
    heads[MachineLevel::by_drift] = chance * (1 + 0.3 * random.normal()) + seen * seen;
    machine.feed(heads);
    ++tally.frames;
    const auto forecast = machine.forecast();
    if (!forecast) continue;
    told = true;
    ++tally.shown;
    tally.covered += minute(end) >= forecast->earliest && minute(end) <= forecast->latest;
    tally.late += minute(end) < forecast->earliest;
  }
  ++tally.machines;
  tally.told += told;
}

Tally tally_of(Course course, std::uint64_t seed) {
  Tally tally;
  for (int i = 0; i < test::scaled(30, 300); ++i)
    run_to_failure(course, Random{seed}.fork(static_cast<std::uint64_t>(i)), tally);
  return tally;
}

TEST_CASE(
    "of machines that run to failure, 80 % of the forecasts hold, and hardly any is too late") {
  double all_covered = 0;
  for (const auto course :
       {Course::linear, Course::quadratic, Course::exponential, Course::noisy}) {
    const auto tally = tally_of(course, 41);
    CAPTURE(static_cast<int>(course));
    const double covered = static_cast<double>(tally.covered) / tally.shown;
    const double late = static_cast<double>(tally.late) / tally.shown;
    MESSAGE("course ", static_cast<int>(course), ": covered ", covered, ", failed before it ", late,
            ", machines with a forecast ", tally.told, " of ", tally.machines, ", frames with one ",
            tally.shown);
    CHECK(covered >= 0.75);  // give or take what chance does to 30 machines
    CHECK(late <= 0.1);
    all_covered += covered / 4;
    CHECK(tally.told >= tally.machines * 3 / 4);
  }
  CHECK(all_covered >= 0.8);
}

TEST_CASE("a machine that does not wear has no forecast") {
  CHECK(tally_of(Course::none, 43).shown == 0);
}

}  // namespace
}  // namespace millwright::detectors
