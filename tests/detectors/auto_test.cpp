// The composites `auto` and `precise`. Figures of every line: test_detectors -tc='auto*' -s
#include "detectors/auto.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "tests/detectors/bytes.h"
#include "tests/detectors/one.h"
#include "tests/detectors/watch.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

constexpr auto five_minutes = Duration{std::chrono::minutes{5}};
constexpr double day = 86400;
constexpr int readings_a_day = 288;  // of five minutes

// One, with what learning said; suspicious is what reaches the alarm parameter.
template <class D>
struct Sensor : One<D> {
  Learned learned = Learned::as_usual;

  double feed(double value) {
    const Sample sample{this->time, value};
    this->last = D::score(this->params, this->state, sample);
    const double ratio = this->last ? this->last->ratio : -1;
    learned = D::learn(this->params, this->state, sample,
                       ratio >= this->params.alarm_at ? Trust::suspicious : Trust::normal);
    this->time += this->spacing;
    return ratio;
  }
};

template <class D>
Sensor<D> taught(std::uint64_t seed, Duration spacing, int readings, double level = 50) {
  Sensor<D> sensor;
  sensor.spacing = spacing;
  Random random{seed};
  for (int i = 0; i < readings; ++i) sensor.feed(level + random.normal());
  return sensor;
}

// Alerts as the engine's defaults count them: from ratio 1 until it was below 0.8 for a minute.
struct Alerts {
  int count = 0;
  bool active = false;
  Timestamp high{};

  void follow(double ratio, Timestamp now) {
    if (ratio >= 1 && !active) ++count;
    if (ratio >= 1) active = true;
    if (ratio >= 0.8) high = now;
    if (active && now - high >= std::chrono::minutes{1}) active = false;
  }
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// --- what is found ---

struct Speed {
  const char* name;
  Duration spacing;
  int taught, lasts;  // readings
};
const Speed speeds[] = {{"5 min", five_minutes, 3000, 400},
                        {"1 s", std::chrono::seconds{1}, 20000, 900},
                        {"0.1 s", std::chrono::milliseconds{100}, 36000, 3000}};

// About 50, of deviation 1; `z` is standard normal noise.
struct Fault {
  const char* name;
  double (*value)(int i, double z);
  int lasts;                    // readings; 0: as the speed says
  std::array<double, 3> share;  // that must be found, by speed
};
const Fault faults[] = {
    {"step of 3 sigma", [](int, double z) { return 50 + 3 + z; }, 0, {0.9, 0.9, 0.9}},
    {"step of -3 sigma", [](int, double z) { return 50 - 3 + z; }, 0, {0.9, 0.9, 0.9}},
    {"noise of 2 sigma", [](int, double z) { return 50 + 2 * z; }, 0, {0.9, 0.75, 0.9}},
    {"oscillation of 3 sigma",
     [](int i, double z) { return 50 + 3 * std::sin(2 * std::numbers::pi * i / 12) + z; },
     0,
     {0.9, 0.9, 0.9}},
    {"a tenth of the noise", [](int, double z) { return 50 + 0.1 * z; }, 0, {0.85, 0.9, 0.9}},
    {"burst of 6 sigma",
     [](int i, double z) { return 50 + (i < 5 ? 6 : 0) + z; },
     10,
     {0.9, 0.75, 0.8}},
    {"spike of 8 sigma",
     [](int i, double z) { return 50 + (i == 0 ? 8 : 0) + z; },
     10,
     {0.9, 0.75, 0.8}}};

TEST_CASE_TEMPLATE("auto finds faults in white noise at every speed", D, Auto, Precise) {
  const int seeds = test::scaled(20, 200);
  for (std::size_t speed = 0; speed < std::size(speeds); ++speed) {
    const auto& s = speeds[speed];
    std::array<int, std::size(faults)> found{};
    for (int k = 0; k < seeds; ++k) {
      const auto seed = 500 + static_cast<std::uint64_t>(k);
      const auto healthy = taught<D>(seed, s.spacing, s.taught);
      for (std::size_t f = 0; f < std::size(faults); ++f) {
        auto sensor = healthy;
        Random random = Random{seed}.fork(f);
        double most = 0;
        const int lasts = faults[f].lasts > 0 ? faults[f].lasts : s.lasts;
        for (int i = 0; i < lasts && most < 1; ++i) {
          most = std::max(most, sensor.feed(faults[f].value(i, random.normal())));
        }
        found[f] += most >= 1 ? 1 : 0;
      }
    }
    for (std::size_t f = 0; f < std::size(faults); ++f) {
      const auto what = fmt::format("{}, {}, {}: {} of {} found", D::name, s.name, faults[f].name,
                                    found[f], seeds);
      MESSAGE(what);
      CHECK_MESSAGE(found[f] >= faults[f].share[speed] * seeds, what);
    }
  }
}

// A joint's temperature every 10 s: programs of 3 to 12 minutes and rests, followed with a lag of
// 25 minutes, and the air of the hall, warmest in the afternoon.
class Joint {
 public:
  explicit Joint(std::uint64_t seed) : random_(seed) {}

  double next() {
    if (left_-- == 0) {
      const bool rests = random_.uniform() < 0.3;
      load_ = rests ? 0 : random_.uniform(0.6, 1);
      left_ = static_cast<int>(rests ? random_.uniform(6, 21) : random_.uniform(18, 72));
    }
    heat_ += (25 * load_ - heat_) * 10 / (25 * 60);
    const double hour = i_++ * 10 / 3600.0;
    return 22 + 3 * std::cos((hour - 16) / 24 * 2 * std::numbers::pi) + heat_ +
           0.1 * random_.normal();
  }

 private:
  Random random_;
  double load_ = 0, heat_ = 15;
  int left_ = 0, i_ = 0;
};

TEST_CASE_TEMPLATE("auto finds cooling that is lost on the second day within four hours", D, Auto,
                   Precise) {
  constexpr int hour = 360;  // readings
  const int seeds = test::scaled(20, 200);
  int found = 0, borne_out = 0, false_alarms = 0;
  for (int k = 0; k < seeds; ++k) {
    Sensor<D> sensor;
    sensor.spacing = std::chrono::seconds{10};
    Joint joint{700 + static_cast<std::uint64_t>(k)};
    Alerts before;
    for (int i = 0; i < 30 * hour; ++i) {
      const auto now = sensor.time;
      before.follow(sensor.feed(joint.next()), now);
    }
    // 16 degrees within an hour and a half.
    const auto fault = [&](int i) {
      return sensor.feed(joint.next() + 16 * std::min(1.0, i / (1.5 * hour)));
    };
    double most = 0;
    int i = 0;
    for (; i < 4 * hour && most < 1; ++i) most = std::max(most, fault(i));
    found += most >= 1 ? 1 : 0;
    // What machines of many sensors ask for: it is still there with the next reading.
    borne_out += most >= 1 && fault(i) >= 0.8 ? 1 : 0;
    false_alarms += before.count;
  }
  const auto what = fmt::format("{}: {} of {} found, {} false alarms before", D::name, found, seeds,
                                false_alarms);
  MESSAGE(what);
  CHECK_MESSAGE(found >= 0.9 * seeds, what);
  CHECK_MESSAGE(false_alarms <= seeds, what);
  CHECK(borne_out >= 0.9 * found);
}

// --- what is healthy ---

// About 0.6 a month on 60 other sensors of each, 0.2 more or less by chance on four.
TEST_CASE_TEMPLATE("auto raises about one alert a month on healthy sensors", D, Auto, Precise) {
  const int sensors = test::scaled(4, 100);
  double sum = 0;
  std::uint64_t stream = 0;
  for (const auto& background : backgrounds) {
    ++stream;  // the same noise on all would make one sample of seven
    int alerts = 0;
    for (int k = 0; k < sensors; ++k) {
      Sensor<D> sensor;
      sensor.spacing = std::chrono::minutes{1};
      Random random = Random{3000 + static_cast<std::uint64_t>(k)}.fork(stream);
      Alerts seen;
      double memory = 0;
      for (int i = 0; i < 30 * 1440; ++i) {
        const auto now = sensor.time;
        seen.follow(sensor.feed(background.value(random, i * 60.0, memory)), now);
      }
      alerts += seen.count;
    }
    const double rate = static_cast<double>(alerts) / sensors;
    sum += rate;
    const auto what =
        fmt::format("{}, {}: {:.3f} alerts per sensor and month", D::name, background.name, rate);
    MESSAGE(what);
    CHECK_MESSAGE(rate <= 3 + 2 * std::sqrt(3.0 / sensors),
                  what);  // 3, and two deviations of chance
  }
  const double mean = sum / static_cast<double>(backgrounds.size());
  const auto what = fmt::format("{}: {:.3f} alerts on the mean", D::name, mean);
  MESSAGE(what);
  CHECK_MESSAGE(mean < 1.3, what);
}

// --- the frozen reference ---

// Wear after ten days, until `ends`; what the detector made of it, in days since it began.
struct Wear {
  double found = -1;   // told as a drift
  double adrift = -1;  // out of the reference's band
  double onset = -1;   // as told
  std::vector<double> accepted;
  int drifts_before = 0, drifts_after = 0;  // readings told as a drift: healthy, accepted
};
template <class D>
Wear worn(std::uint64_t seed, double ends, int days, Duration accept_after) {
  Sensor<D> sensor;
  sensor.spacing = five_minutes;
  sensor.params.accept_after = accept_after;
  Random random{seed};
  Wear out;
  for (int i = 0; i < days * readings_a_day; ++i) {
    const double since = static_cast<double>(i) / readings_a_day - 10;
    const double value = 50 + 0.3 * std::clamp(since, 0.0, ends) + random.normal();
    const double ratio = sensor.feed(value);
    if (out.adrift < 0 && sensor.state.adrift > Duration{0}) out.adrift = since;
    if (ratio >= 1 && sensor.last->kind == AlertKind::drift) {
      if (since < 0) ++out.drifts_before;
      if (!out.accepted.empty()) ++out.drifts_after;
      if (out.found < 0) {
        out.found = since;
        if (sensor.last->onset) out.onset = to_seconds(*sensor.last->onset - epoch) / day - 10;
      }
    }
    if (sensor.learned == Learned::accepted) out.accepted.push_back(since);
  }
  return out;
}

TEST_CASE_TEMPLATE("auto finds wear of 0.3 sigma a day as a drift within fifteen days", D, Auto,
                   Precise) {
  const int seeds = test::scaled(12, 100);
  int found = 0;
  std::vector<double> delays;
  for (int k = 0; k < seeds; ++k) {
    const auto seed = 600 + static_cast<std::uint64_t>(k);
    CAPTURE(seed);
    const auto wear = worn<D>(seed, 30, 25, Auto::Params{}.accept_after);
    CHECK(wear.drifts_before == 0);
    CHECK(wear.adrift > 1);  // 0.3 sigma are within what the mean of a day strays
    CHECK(wear.adrift < 7);
    for (const double accepted : wear.accepted) CHECK(accepted >= wear.adrift + 14);
    if (wear.found < 0) continue;
    ++found;
    delays.push_back(wear.found);
    CHECK(wear.onset > 0);
    CHECK(wear.onset <= wear.found);
  }
  const auto what = fmt::format("{}: {} of {} found, after {:.1f} days in the median", D::name,
                                found, seeds, median(delays));
  MESSAGE(what);
  CHECK_MESSAGE(found >= 0.9 * seeds, what);
  CHECK_MESSAGE(median(delays) < 9, what);
}

TEST_CASE_TEMPLATE("auto accepts a drift that stays, once and never earlier, and is quiet then", D,
                   Auto, Precise) {
  const int seeds = test::scaled(8, 100);
  const auto accept_after = std::chrono::hours{72};
  int drifts_after = 0;
  for (int k = 0; k < seeds; ++k) {
    const auto seed = 650 + static_cast<std::uint64_t>(k);
    CAPTURE(seed);
    // 1.8 sigma up within six days, then it stays.
    const auto wear = worn<D>(seed, 6, 40, accept_after);
    REQUIRE(wear.accepted.size() == 1);
    CHECK(wear.adrift > 0);
    CHECK(wear.accepted[0] - wear.adrift >= 3 - 0.01);
    CHECK(wear.accepted[0] < 12);
    drifts_after += wear.drifts_after;
  }
  CHECK_MESSAGE(drifts_after <= 0.2 * seeds, fmt::format("{} of {}", drifts_after, seeds));
}

TEST_CASE("auto accepts nothing on a healthy sensor") {
  for (std::uint64_t seed = 670; seed < 674; ++seed) {
    const auto healthy = worn<Auto>(seed, 0, 40, std::chrono::hours{24});
    CHECK(healthy.accepted.empty());
    CHECK(healthy.found < 0);
  }
}

// --- not poisoned ---

int spikes_found_after_fault(int seeds, int fault_readings, double sigma, double spike) {
  int found = 0;
  for (int k = 0; k < seeds; ++k) {
    const auto seed = 700 + static_cast<std::uint64_t>(k);
    auto sensor = taught<Auto>(seed, five_minutes, 3000);
    Random random = Random{seed}.fork(1);
    double most = 0;
    for (int i = 0; i < fault_readings; ++i) {
      most = std::max(most, sensor.feed(50 + sigma + random.normal()));
    }
    CHECK(most >= 1);
    for (int i = 0; i < 3 * readings_a_day; ++i) sensor.feed(50 + random.normal());
    found += sensor.feed(50 + spike + random.normal()) >= 1 ? 1 : 0;
  }
  return found;
}

TEST_CASE("auto finds a spike of 8 sigma three days after a spike of 20") {
  const int seeds = test::scaled(20, 200);
  const int found = spikes_found_after_fault(seeds, 1, 20, 8);
  MESSAGE(fmt::format("{} of {} found", found, seeds));
  CHECK(found >= 0.8 * seeds);
}

TEST_CASE("auto finds a spike of 40 sigma three days after a fault of 20 that lasted 50 readings") {
  const int seeds = test::scaled(20, 200);
  const int found = spikes_found_after_fault(seeds, 50, 20, 40);
  MESSAGE(fmt::format("{} of {} found", found, seeds));
  CHECK(found >= 0.9 * seeds);
}

// --- the calendar ---

// Weekdays 50 and a daily cycle of 5 with its top at noon, weekends flat at 40.
double weekly(Timestamp time) {
  const double days = to_seconds(time.time_since_epoch()) / day;
  const int weekday = static_cast<int>(std::fmod(std::floor(days) + 4, 7));  // 0: Sunday
  if (weekday == 0 || weekday == 6) return 40;
  return 50 - 5 * std::cos(2 * std::numbers::pi * days);
}
// The largest errors of `expected` at noon, on weekdays and on weekends, from the sixth week on.
struct CalendarErrors {
  double weekday = 0, weekend = 0;
};
CalendarErrors calendar_errors(std::uint64_t seed) {
  Sensor<Auto> sensor;
  sensor.spacing = five_minutes;
  Random random{seed};
  CalendarErrors out;
  for (int i = 0; i < 8 * 7 * readings_a_day; ++i) {
    const double level = weekly(sensor.time);
    const double hours = std::fmod(to_seconds(sensor.time.time_since_epoch()), day) / 3600;
    sensor.feed(level + 0.5 * random.normal());
    if (i < 5 * 7 * readings_a_day || hours < 12 || hours >= 13) continue;
    auto& error = level == 40 ? out.weekend : out.weekday;
    error = std::max(error, std::abs(sensor.last->expected - level));
  }
  return out;
}

TEST_CASE("auto expects the level of the weekend on weekends after five weeks") {
  for (std::uint64_t seed = 800; seed < 803; ++seed) {
    CAPTURE(seed);
    CHECK(calendar_errors(seed).weekend < 1);
  }
}

TEST_CASE("auto expects the daily cycle on weekdays after five weeks") {
  CHECK(calendar_errors(803).weekday < 1);
}

// Known faults carry `should_fail`: they turn red when the fault is gone, and lose the mark then.
//
// Each reading of a fault raises the records by half: from about the eighth on they are the
// fault's.
TEST_CASE("auto finds a spike of 8 sigma three days after a fault of 20 that lasted 50 readings" *
          doctest::should_fail()) {
  constexpr int seeds = 10;
  CHECK(spikes_found_after_fault(seeds, 50, 20, 8) >= 0.8 * seeds);
}

// --- the control of alarms ---

// Three excursions from quiet noise, readings 0 and 30, each from a sensor of ten days.
struct Excursions {
  double first, same, larger;
};
Excursions excursions(std::uint64_t seed, double alarm_at, double size, double larger) {
  auto sensor = taught<Auto>(seed, five_minutes, 3000);
  Random random = Random{seed}.fork(2);
  sensor.params.alarm_at = alarm_at;
  // Half a day: longer than what is left of the wait of an alarm while learning.
  for (int i = 0; i < 144; ++i) sensor.feed(50 + random.uniform(-1, 1));
  Excursions out{};
  out.first = sensor.feed(50 + size);
  for (int i = 0; i < 30; ++i) sensor.feed(50 + random.uniform(-1, 1));
  auto other = sensor;
  out.same = sensor.feed(50 + size);
  out.larger = other.feed(50 + larger);
  return out;
}

TEST_CASE(
    "auto: while it waits a repeated excursion scores just below the alarm, a far larger "
    "one above") {
  const int seeds = test::scaled(20, 200);
  for (const double alarm_at : {0.7, 1.0, 1.5}) {
    int first = 0, same = 0, larger = 0;
    for (int k = 0; k < seeds; ++k) {
      const auto e = excursions(730 + static_cast<std::uint64_t>(k), alarm_at, 10, 300);
      first += e.first >= alarm_at ? 1 : 0;
      same += std::abs(e.same - 0.99 * alarm_at) < 1e-9 ? 1 : 0;
      larger += e.larger >= alarm_at ? 1 : 0;
    }
    const auto what =
        fmt::format("alarm at {}: {}, {} and {} of {}", alarm_at, first, same, larger, seeds);
    MESSAGE(what);
    CHECK_MESSAGE(first >= 0.95 * seeds, what);
    CHECK_MESSAGE(same >= 0.95 * seeds, what);
    CHECK_MESSAGE(larger >= 0.95 * seeds, what);
  }
}

TEST_CASE("auto: alarm_at decides how many alarms there are") {
  std::array<int, 3> alarms{};
  constexpr std::array<double, 3> at{0.7, 1, 1.5};
  for (std::size_t a = 0; a < at.size(); ++a) {
    for (std::uint64_t seed = 760; seed < 764; ++seed) {
      Sensor<Auto> sensor;
      sensor.spacing = five_minutes;
      sensor.params.alarm_at = at[a];
      Random random{seed};
      double memory = 0;
      bool before = false;
      for (int i = 0; i < 60 * readings_a_day; ++i) {
        const bool now = sensor.feed(backgrounds[1].value(random, 0, memory)) >= at[a];
        alarms[a] += now && !before ? 1 : 0;
        before = now;
      }
    }
  }
  MESSAGE(fmt::format("{}, {} and {} alarms", alarms[0], alarms[1], alarms[2]));
  CHECK(alarms[0] > 1.2 * alarms[1]);
  CHECK(alarms[1] > 1.2 * alarms[2]);
  CHECK(alarms[2] > 0);
}

// --- what is told ---

TEST_CASE_TEMPLATE("auto: the shares of its features add up to one, the loudest first", D, Auto,
                   Precise) {
  for (const auto& speed : speeds) {
    auto sensor = taught<D>(780, speed.spacing, speed.taught);
    Random random{781};
    int told = 0;
    for (int i = 0; i < speed.lasts; ++i) {
      const double value = 53 + 2 * random.normal();
      const auto said = D::contributions(sensor.params, sensor.state, {sensor.time, value});
      sensor.feed(value);
      if (sensor.last->ratio < 0.8) continue;
      ++told;
      double sum = 0, before = 1;
      REQUIRE(!said.empty());
      for (const auto& c : said) {
        REQUIRE(!c.feature.empty());
        REQUIRE(c.share > 0);
        REQUIRE(c.share <= before + 1e-12);
        before = c.share;
        sum += c.share;
      }
      REQUIRE(sum == doctest::Approx(1));
    }
    CHECK(told > 0);
  }
}

// The kinds told when the alarm is raised, and how many readings after the fault's begin the onset
// lies.
struct Told {
  std::array<int, static_cast<std::size_t>(AlertKind::count_)> kinds{};
  std::vector<double> onsets;
  int found = 0;

  int of(AlertKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }
};
template <class D>
Told told(const Speed& speed, const Fault& fault, int seeds) {
  Told out;
  for (int k = 0; k < seeds; ++k) {
    const auto seed = 820 + static_cast<std::uint64_t>(k);
    auto sensor = taught<D>(seed, speed.spacing, speed.taught);
    Random random = Random{seed}.fork(3);
    const auto begin = sensor.time;
    const int lasts = fault.lasts > 0 ? fault.lasts : speed.lasts;
    for (int i = 0; i < lasts; ++i) {
      if (sensor.feed(fault.value(i, random.normal())) < 1) continue;
      REQUIRE(sensor.last->kind);
      REQUIRE(sensor.last->onset);
      ++out.found;
      ++out.kinds[static_cast<std::size_t>(*sensor.last->kind)];
      out.onsets.push_back(to_seconds(*sensor.last->onset - begin) / to_seconds(speed.spacing));
      break;
    }
  }
  return out;
}

TEST_CASE_TEMPLATE("auto: a step at 5 min is a shift, an hour's or a pattern's, with its onset", D,
                   Auto, Precise) {
  const int seeds = test::scaled(30, 200);
  const auto step = told<D>(speeds[0], faults[0], seeds);
  const int fits =
      step.of(AlertKind::shift) + step.of(AlertKind::seasonal) + step.of(AlertKind::pattern);
  const auto what = fmt::format("{}: {} of {}, onset {:.0f} readings after the step in the median",
                                D::name, fits, step.found, median(step.onsets));
  MESSAGE(what);
  REQUIRE(step.found > 0);
  // The others are told as spike or scatter, which rise with the first readings of a step too.
  CHECK_MESSAGE(fits >= (D::name == "auto" ? 0.33 : 0.17) * step.found, what);
  CHECK_MESSAGE(std::abs(median(step.onsets)) <= 6, what);
}

TEST_CASE("auto: a spike among fast readings is a spike, and begins with itself") {
  const int seeds = test::scaled(20, 200);
  for (const auto& speed : {speeds[1], speeds[2]}) {
    const auto spike = told<Auto>(speed, faults[6], seeds);
    REQUIRE(spike.found > 0);
    CHECK(spike.of(AlertKind::spike) == spike.found);
    CHECK(median(spike.onsets) == 0);
  }
}

// A machine that runs at 80 and rests at 50, for 8 to 40 readings each.
template <class D>
Sensor<D> run_and_rest(Random& random) {
  Sensor<D> sensor;
  sensor.spacing = five_minutes;
  for (int turn = 0; turn < 126; ++turn) {
    const double level = turn % 2 == 0 ? 50 : 80;
    const double readings = random.uniform(8, 40);
    for (int i = 0; i < readings; ++i) sensor.feed(level + random.normal());
  }
  return sensor;
}

TEST_CASE_TEMPLATE("auto tells a spike of 8 sigma between two programs when it is over", D, Auto,
                   Precise) {
  const int seeds = test::scaled(20, 200);
  int found = 0;
  for (int k = 0; k < seeds; ++k) {
    Random random{940 + static_cast<std::uint64_t>(k)};
    auto sensor = run_and_rest<D>(random);
    for (int i = 0; i < 8; ++i) sensor.feed(80 + random.normal());
    const auto when = sensor.time;
    sensor.feed(88 + random.normal());
    double most = 0;
    for (int i = 0; i < 2; ++i) {
      most = std::max(most, sensor.feed(80 + random.normal()));
      if (most >= 1) break;
    }
    if (most < 1) continue;
    ++found;
    REQUIRE(sensor.last->value);
    CHECK(sensor.last->kind == AlertKind::spike);
    CHECK(std::abs(*sensor.last->value - 88) < 5);
    CHECK(std::abs(sensor.last->expected - 80) < 5);
    CHECK(to_seconds(*sensor.last->onset - when) == doctest::Approx(0).epsilon(1).scale(30));
  }
  const auto what = fmt::format("{}: {} of {} found", D::name, found, seeds);
  MESSAGE(what);
  CHECK_MESSAGE(found >= 0.7 * seeds, what);
}

TEST_CASE_TEMPLATE("auto: a machine that rests for a moment is no spike", D, Auto, Precise) {
  const int seeds = test::scaled(20, 200);
  int told = 0;
  for (int k = 0; k < seeds; ++k) {
    Random random{960 + static_cast<std::uint64_t>(k)};
    auto sensor = run_and_rest<D>(random);
    double most = 0;
    for (int i = 0; i < 18; ++i) {
      most = std::max(most, sensor.feed((i / 5 == 1 ? 50 : 80) + random.normal()));
    }
    told += most >= 1 ? 1 : 0;
  }
  CHECK_MESSAGE(told <= 0.1 * seeds, fmt::format("{}: {} of {}", D::name, told, seeds));
}

TEST_CASE("auto: readings as far apart as a frame is long are frames of their own") {
  Sensor<Auto> sensor;
  Random random{980};
  for (int i = 0; i < 2000; ++i) {
    sensor.spacing = std::chrono::milliseconds{static_cast<int>(10000 + 500 * random.normal())};
    sensor.feed(50 + random.normal());
  }
  CHECK(sensor.state.frames == 2000);
  CHECK(sensor.state.votes < 0);
}

TEST_CASE("auto: a spike at 5 min is told as a spike") {
  const auto spike = told<Auto>(speeds[0], faults[6], 20);
  CHECK(spike.of(AlertKind::spike) >= 0.8 * spike.found);
}

TEST_CASE("auto: a change of variance at 5 min is told as spread" * doctest::should_fail()) {
  const auto wider = told<Auto>(speeds[0], faults[2], 20);
  CHECK(wider.of(AlertKind::spread) >= 0.5 * wider.found);
}

TEST_CASE("auto: noise that is gone is told as spread at every speed") {
  const int seeds = test::scaled(20, 100);
  for (const auto& speed : speeds) {
    const auto quiet = told<Auto>(speed, faults[4], seeds);
    const auto what =
        fmt::format("{}: {} of {}", speed.name, quiet.of(AlertKind::spread), quiet.found);
    MESSAGE(what);
    REQUIRE(quiet.found > 0);
    CHECK_MESSAGE(quiet.of(AlertKind::spread) >= 0.8 * quiet.found, what);
  }
}

TEST_CASE_TEMPLATE("auto: expected value and band are finite, in order and in the sensor's unit", D,
                   Auto, Precise) {
  constexpr double offset = 1e4;
  for (const auto& speed : speeds) {
    auto sensor = taught<D>(850, speed.spacing, speed.taught, offset);
    Random random{851};
    // The band is that of frames: single readings at 5 min, means of 10 or 100 else.
    const double readings = std::max(1.0, 10 / to_seconds(speed.spacing));
    const double deviation = 1 / std::sqrt(readings);
    for (int i = 0; i < speed.lasts; ++i) {
      sensor.feed(offset + random.normal());
      const auto& s = *sensor.last;
      REQUIRE(std::isfinite(s.ratio));
      REQUIRE((std::isfinite(s.low) && std::isfinite(s.high)));
      REQUIRE(s.low <= s.expected);
      REQUIRE(s.expected <= s.high);
      REQUIRE(std::abs(s.expected - offset) < deviation);
      REQUIRE(s.expected - s.low > 2 * deviation);
      REQUIRE(s.high - s.expected > 2 * deviation);
      REQUIRE(s.high - s.low < 60 * deviation);
    }
    sensor.feed(offset + 1e9);
    CHECK(std::isfinite(sensor.last->ratio));
    CHECK(sensor.last->ratio >= 1);
    for (int i = 0; i < 2000; ++i) {
      sensor.feed(offset + random.normal());
      REQUIRE(std::isfinite(sensor.last->ratio + sensor.last->low + sensor.last->high));
    }
  }
}

// --- the speed of readings ---

TEST_CASE_TEMPLATE("auto: a sensor that becomes slow or fast raises no more than three alarms", D,
                   Auto, Precise) {
  const int seeds = test::scaled(6, 100);
  const Duration second = std::chrono::seconds{1}, minute = std::chrono::minutes{1};
  struct {
    Duration before, after;
    int taught, fed;
  } const changes[] = {{second, minute, 20000, 5000}, {minute, second, 5000, 20000}};
  for (const auto& change : changes) {
    int most = 0;
    for (int k = 0; k < seeds; ++k) {
      const auto seed = 870 + static_cast<std::uint64_t>(k);
      auto sensor = taught<D>(seed, change.before, change.taught);
      sensor.spacing = change.after;
      Random random = Random{seed}.fork(4);
      Alerts alerts;
      for (int i = 0; i < change.fed; ++i) {
        const auto now = sensor.time;
        const double ratio = sensor.feed(50 + random.normal());
        REQUIRE(std::isfinite(ratio));
        alerts.follow(ratio, now);
      }
      most = std::max(most, alerts.count);
    }
    const auto what = fmt::format("{}: from {} s to {} s, at most {} alerts", D::name,
                                  to_seconds(change.before), to_seconds(change.after), most);
    MESSAGE(what);
    CHECK_MESSAGE(most <= 3, what);
  }
}

TEST_CASE_TEMPLATE("auto: a silence of five hours raises nothing by itself", D, Auto, Precise) {
  const int seeds = test::scaled(10, 100);
  for (const auto& speed : speeds) {
    int with = 0, without = 0;
    for (int k = 0; k < seeds; ++k) {
      const auto seed = 890 + static_cast<std::uint64_t>(k);
      auto sensor = taught<D>(seed, speed.spacing, speed.taught);
      auto other = sensor;
      sensor.time += std::chrono::hours{5};
      Random random = Random{seed}.fork(5);
      double most = 0, usual = 0;
      for (int i = 0; i < 200; ++i) {
        const double value = 50 + random.normal();
        most = std::max(most, sensor.feed(value));
        usual = std::max(usual, other.feed(value));
      }
      with += most >= 1 ? 1 : 0;
      without += usual >= 1 ? 1 : 0;
    }
    const auto what = fmt::format("{}, {}: {} of {} alarmed after a silence, {} without", D::name,
                                  speed.name, with, seeds, without);
    MESSAGE(what);
    CHECK_MESSAGE(with <= without + 0.1 * seeds, what);
  }
}

// --- a new baseline ---

TEST_CASE_TEMPLATE("auto: a new baseline knows no level, but how fast the readings come", D, Auto,
                   Precise) {
  for (const auto& speed : speeds) {
    auto sensor = taught<D>(910, speed.spacing, speed.taught);
    const auto votes = sensor.state.votes;
    CHECK(D::confidence(sensor.params, sensor.state) > 0);
    D::renew(sensor.params, sensor.state);
    CHECK(sensor.state.votes == votes);
    CHECK(D::confidence(sensor.params, sensor.state) == 0);
    typename D::State fresh;
    fresh.votes = votes;
    CHECK(bytes_of(sensor.state) == bytes_of(fresh));
    // Another level: nothing is said of it until it is known, and then it is normal.
    Random random{911};
    for (int i = 0; i < 299; ++i) {
      REQUIRE(sensor.feed(-2000 + random.normal()) == -1);
    }
    double most = 0;
    bool scored = false;
    for (int i = 0; i < speed.taught / 2; ++i) {
      sensor.feed(-2000 + random.normal());
      if (!sensor.last) continue;
      scored = true;
      REQUIRE(std::abs(sensor.last->expected + 2000) < 2);
      most = std::max(most, sensor.last->ratio);
    }
    CHECK(scored == (to_seconds(speed.spacing) * speed.taught / 2 > 600));
    CHECK(most < 3);
  }
}

TEST_CASE_TEMPLATE("auto: confidence rises from none to full within eight days", D, Auto, Precise) {
  Sensor<D> sensor;
  sensor.spacing = five_minutes;
  CHECK(D::confidence(sensor.params, sensor.state) == 0);
  Random random{920};
  double before = 0;
  for (int i = 0; i < 9 * readings_a_day; ++i) {
    sensor.feed(50 + random.normal());
    const double now = D::confidence(sensor.params, sensor.state);
    REQUIRE(now >= before);
    REQUIRE(now <= 1);
    if (i == 4 * readings_a_day) CHECK(now == doctest::Approx(0.5).epsilon(0.01));
    before = now;
  }
  CHECK(before == 1);
}

}  // namespace
}  // namespace millwright::detectors
