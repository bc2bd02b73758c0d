#include "simulator/factory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace millwright;
using namespace millwright::simulator;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr std::size_t sensors = 12;

std::size_t sensor_named(std::string_view name) {
  const auto types = Factory::sensors();
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i].name == name) return i;
  }
  FAIL("no such sensor");
  return 0;
}

// A coarse period keeps the tests quick; the model does not depend on it.
FactoryOptions two_days(std::uint64_t seed) {
  FactoryOptions options;
  options.seed = seed;
  options.period = seconds{30};
  return options;
}

bool same(const Frame& a, const Frame& b) {
  return a.robot == b.robot && a.time == b.time && a.program == b.program &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                    [](const FrameValue& x, const FrameValue& y) {
                      return x.sensor == y.sensor && x.value == y.value;
                    });
}

std::optional<double> value_of(const Frame& frame, std::size_t sensor) {
  for (const auto& value : frame.values) {
    if (value.sensor == sensor) return value.value;
  }
  return std::nullopt;
}

struct Point {
  Timestamp time;
  std::string_view program;
  std::optional<double> value;
};

// [robot][sensor] -> its messages.
using Recording = std::vector<std::vector<std::vector<Point>>>;

Recording record(const FactoryOptions& options) {
  Factory factory{options};
  Recording out(options.robots, std::vector<std::vector<Point>>(sensors));
  Frame frame;
  while (factory.next(frame)) {
    for (std::size_t s = 0; s < sensors; ++s) {
      out[frame.robot][s].push_back({frame.time, frame.program, value_of(frame, s)});
    }
  }
  return out;
}

struct Statistics {
  std::size_t count = 0, missing = 0;
  double mean = 0, m2 = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double deviation() const { return std::sqrt(m2 / static_cast<double>(count)); }
};

// Of the readings from..to; `working` leaves out the idle ones.
Statistics statistics(const std::vector<Point>& points, Timestamp from, Timestamp to,
                      bool working = false) {
  Statistics out;
  for (const auto& point : points) {
    if (point.time < from || point.time >= to || (working && point.program == "idle")) continue;
    if (!point.value) {
      ++out.missing;
      continue;
    }
    ++out.count;
    const double delta = *point.value - out.mean;
    out.mean += delta / static_cast<double>(out.count);
    out.m2 += delta * (*point.value - out.mean);
    out.low = std::min(out.low, *point.value);
    out.high = std::max(out.high, *point.value);
  }
  return out;
}

// Every kind of fault over these seeds, with the faulty run and the same run without faults.
struct Faulty {
  Label label;
  std::vector<std::vector<Point>> with, without;  // by sensor
};

const std::vector<Faulty>& faulty_robots() {
  static const std::vector<Faulty> all = [] {
    std::vector<Faulty> out;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      auto options = two_days(seed);
      const auto labels = Factory{options}.labels();
      const auto with = record(options);
      options.faults = false;
      const auto without = record(options);
      for (const auto& label : labels)
        out.push_back({label, with[label.robot], without[label.robot]});
    }
    return out;
  }();
  return all;
}

template <class Check>
void for_each_fault(FaultKind kind, Check check) {
  std::size_t seen = 0;
  for (const auto& faulty : faulty_robots()) {
    if (faulty.label.kind != kind) continue;
    CAPTURE(faulty.label.machine);
    CAPTURE(faulty.label.meaning);
    check(faulty);
    ++seen;
  }
  CHECK(seen >= 3);  // one for each seed at least
}

}  // namespace

TEST_CASE("the same seed gives the same frames, another seed others") {
  auto options = two_days(7);
  options.robots = 5;
  options.duration = hours{6};
  Factory one{options}, two{options};
  options.seed = 8;
  Factory other{options};
  Frame a, b, c;
  std::size_t frames = 0, differing = 0;
  while (one.next(a)) {
    REQUIRE(two.next(b));
    REQUIRE(same(a, b));
    if (!other.next(c) || !same(a, c)) ++differing;
    ++frames;
  }
  CHECK_FALSE(two.next(b));
  CHECK(frames > 3500);
  CHECK(differing > frames * 99 / 100);
}

TEST_CASE("a robot's readings and faults do not depend on how many robots there are") {
  auto options = two_days(3);
  options.robots = 4;
  const auto few = record(options);
  const auto few_labels = Factory{options}.labels();
  options.robots = 40;
  const auto many = record(options);
  for (std::size_t robot = 0; robot < 4; ++robot) {
    for (std::size_t s = 0; s < sensors; ++s) {
      REQUIRE(few[robot][s].size() == many[robot][s].size());
      for (std::size_t i = 0; i < few[robot][s].size(); ++i) {
        REQUIRE(few[robot][s][i].time == many[robot][s][i].time);
        REQUIRE(few[robot][s][i].value == many[robot][s][i].value);
      }
    }
  }
  std::vector<Label> of_the_few;
  const auto many_labels = Factory{options}.labels();
  for (const auto& label : many_labels) {
    if (label.robot < 4) of_the_few.push_back(label);
  }
  REQUIRE(of_the_few.size() == few_labels.size());
  CHECK_FALSE(few_labels.empty());
  for (std::size_t i = 0; i < few_labels.size(); ++i) {
    CHECK(of_the_few[i].machine == few_labels[i].machine);
    CHECK(of_the_few[i].kind == few_labels[i].kind);
    CHECK(of_the_few[i].start == few_labels[i].start);
  }
}

TEST_CASE("no two robots and no two sensors share their noise") {
  FactoryOptions options;
  options.robots = 130;  // beyond the numbers that the model gives its random streams
  options.duration = hours{1};
  options.faults = false;
  const auto runs = record(options);
  std::set<std::vector<double>> programs_and_times;
  for (const auto& robot : runs) {
    std::vector<double> key;
    for (const auto& point : robot[0]) key.push_back(to_seconds(point.time - options.start));
    programs_and_times.insert(std::move(key));
  }
  CHECK(programs_and_times.size() == runs.size());

  // Changes from message to message of a temperature are noise; equal streams would give a
  // correlation of 1.
  std::vector<std::vector<double>> changes;
  for (const auto& robot : runs) {
    for (const std::size_t s : {0u, 1u, 2u, 11u}) {
      std::vector<double> own;
      for (std::size_t i = 1; i < 300; ++i) {
        own.push_back(robot[s][i].value.value_or(0) - robot[s][i - 1].value.value_or(0));
      }
      changes.push_back(std::move(own));
    }
  }
  double worst = 0;
  for (std::size_t a = 0; a < changes.size(); ++a) {
    for (std::size_t b = a + 1; b < changes.size(); ++b) {
      double ab = 0, aa = 0, bb = 0;
      for (std::size_t i = 0; i < changes[a].size(); ++i) {
        if (std::abs(changes[a][i]) > 5 || std::abs(changes[b][i]) > 5)
          continue;  // a missing reading
        ab += changes[a][i] * changes[b][i];
        aa += changes[a][i] * changes[a][i];
        bb += changes[b][i] * changes[b][i];
      }
      worst = std::max(worst, std::abs(ab) / std::sqrt(aa * bb));
    }
  }
  CHECK(worst < 0.6);
}

TEST_CASE("frames come in the order of time, one per robot and period") {
  FactoryOptions options;
  options.duration = hours{2};
  Factory factory{options};
  Frame frame;
  Timestamp last = options.start;
  std::map<std::size_t, std::vector<Timestamp>> times;
  while (factory.next(frame)) {
    REQUIRE(frame.time >= last);
    last = frame.time;
    times[frame.robot].push_back(frame.time);
    REQUIRE_FALSE(frame.values.empty());
    REQUIRE(to_microseconds(frame.time) % 1000 == 0);
  }
  CHECK(last < factory.end());
  CHECK(times.size() == 20);
  for (const auto& entry : times) {
    CAPTURE(entry.first);
    const auto& own = entry.second;
    CHECK(own.size() > 700);  // 720 periods, a few messages get lost
    CHECK(own.size() <= 720);
    for (std::size_t i = 1; i < own.size(); ++i) {
      REQUIRE(own[i] - own[i - 1] >= seconds{9});
      REQUIRE((own[i] - own[i - 1] <= seconds{11} || own[i] - own[i - 1] >= seconds{19}));
    }
  }
}

TEST_CASE("every robot has twelve sensors, and a reading is missing now and then") {
  CHECK(Factory::sensors().size() == sensors);
  FactoryOptions options;
  options.robots = 4;
  options.duration = hours{24};
  options.faults = false;
  for (const auto& robot : record(options)) {
    for (std::size_t s = 0; s < sensors; ++s) {
      const auto all = statistics(robot[s], options.start, options.start + options.duration);
      const double share =
          static_cast<double>(all.missing) / static_cast<double>(all.count + all.missing);
      CAPTURE(Factory::sensors()[s].name);
      CHECK(share > 0.0005);
      CHECK(share < 0.005);
    }
  }
}

TEST_CASE("three days without faults stay within what such a robot can do") {
  struct Bounds {
    const char* sensor;
    double low, high;            // of single readings
    double mean_low, mean_high;  // while working
  };
  const std::vector<Bounds> table{
      {"j1_temp", 15, 85, 40, 65},      {"j2_temp", 15, 85, 40, 65},
      {"j3_temp", 15, 85, 40, 65},      {"gearbox_temp", 15, 80, 35, 60},
      {"j1_current", 0.3, 8, 3, 6},     {"j2_current", 1, 12, 5, 9},
      {"j3_current", 0.5, 8, 2.5, 5.5}, {"j1_torque", 5, 300, 110, 230},
      {"j2_torque", 40, 450, 190, 350}, {"j3_torque", 15, 250, 75, 170},
      {"vib_rms", 0.05, 2.5, 0.8, 1.8}, {"cycle_time", 25, 55, 29, 48}};
  REQUIRE(table.size() == sensors);
  for (const std::uint64_t seed : {1u, 2u}) {
    auto options = two_days(seed);
    options.duration = hours{72};
    options.faults = false;
    const auto end = options.start + options.duration;
    for (const auto& robot : record(options)) {
      for (const auto& bounds : table) {
        CAPTURE(bounds.sensor);
        const auto& points = robot[sensor_named(bounds.sensor)];
        const auto all = statistics(points, options.start, end);
        const auto working = statistics(points, options.start, end, true);
        CHECK(all.low >= bounds.low);
        CHECK(all.high <= bounds.high);
        CHECK(working.mean >= bounds.mean_low);
        CHECK(working.mean <= bounds.mean_high);
        CHECK(working.deviation() > 0);
      }
    }
  }
}

TEST_CASE("values are rounded to the sensor's step and written short") {
  FactoryOptions options;
  options.duration = hours{1};
  Factory factory{options};
  Frame frame;
  while (factory.next(frame)) {
    const auto temperature = value_of(frame, sensor_named("j1_temp"));
    const auto vibration = value_of(frame, sensor_named("vib_rms"));
    // k/10 and k/100 are the doubles nearest to these decimals
    if (temperature) REQUIRE(*temperature == std::round(*temperature * 10) / 10);
    if (vibration) REQUIRE(*vibration == std::round(*vibration * 100) / 100);
  }
}

TEST_CASE("temperatures follow the load with a lag, currents at once") {
  FactoryOptions options;
  options.faults = false;
  const auto runs = record(options);
  // The shift change at 6 o'clock is eight minutes of rest, the place in the line delays it by up
  // to three.
  const auto at = [&](int minute) { return options.start + hours{6} + minutes{minute}; };
  for (const auto& robot : runs) {
    const auto current = statistics(robot[sensor_named("j1_current")], at(4), at(8));
    CHECK(current.mean < 1.2);
    const auto before = statistics(robot[sensor_named("j1_temp")], at(-2), at(0));
    const auto start_of_rest = statistics(robot[sensor_named("j1_temp")], at(3), at(4));
    const auto end_of_rest = statistics(robot[sensor_named("j1_temp")], at(7), at(8));
    CHECK(before.mean - start_of_rest.mean < 6);
    CHECK(start_of_rest.mean - end_of_rest.mean > 0.5);
    CHECK(before.mean - end_of_rest.mean < 12);  // at once would be more than 20
  }
}

TEST_CASE("the afternoon is warmer than the early morning, and Sunday is cold") {
  auto options = two_days(1);
  options.duration = hours{24 * 7};
  options.faults = false;
  const auto runs = record(options);
  const auto gearbox = sensor_named("gearbox_temp");
  Statistics night, day, sunday;
  for (const auto& robot : runs) {
    for (int d = 0; d < 6; ++d) {
      const auto midnight = options.start + hours{24 * d};
      night.mean +=
          statistics(robot[gearbox], midnight + hours{3}, midnight + hours{5}, true).mean / 120;
      day.mean +=
          statistics(robot[gearbox], midnight + hours{15}, midnight + hours{17}, true).mean / 120;
    }
    const auto last = options.start + hours{24 * 6};  // the run begins on a Monday
    sunday.mean += statistics(robot[gearbox], last + hours{8}, last + hours{20}).mean / 20;
  }
  CHECK(day.mean - night.mean > 3);
  CHECK(day.mean - night.mean < 12);
  CHECK(sunday.mean < night.mean - 8);
}

TEST_CASE("labels name every kind of fault on robots of their own, after a time to learn") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    FactoryOptions options;
    options.seed = seed;
    const Factory factory{options};
    std::set<FaultKind> kinds;
    std::set<std::string> machines;
    for (const auto& label : factory.labels()) {
      kinds.insert(label.kind);
      CHECK(machines.insert(label.machine).second);
      CHECK(label.machine == factory.machine(label.robot));
      CHECK(label.start >= factory.learning_until());
      CHECK(label.start < label.end);
      CHECK(label.end <= factory.end());
      CHECK(label.repaired == (label.end < factory.end()));
      CHECK_FALSE(label.sensors.empty());
      CHECK_FALSE(label.meaning.empty());
      for (const auto& sensor : label.sensors) CHECK(sensor_named(sensor) < sensors);
    }
    CHECK(kinds.size() == static_cast<std::size_t>(FaultKind::count_));
    CHECK(factory.labels().size() >= 6);
    CHECK(factory.labels().size() <= 7);
    CHECK(factory.learning_until() - options.start >= options.duration * 2 / 5);
    CHECK(std::is_sorted(factory.labels().begin(), factory.labels().end(),
                         [](const Label& a, const Label& b) { return a.start < b.start; }));
  }
}

TEST_CASE("a fault changes nothing but what its label names, and that only from its start") {
  for (const auto& faulty : faulty_robots()) {
    CAPTURE(faulty.label.meaning);
    for (std::size_t s = 0; s < sensors; ++s) {
      const std::string name{Factory::sensors()[s].name};
      CAPTURE(name);
      const auto& names = faulty.label.sensors;
      const bool touched = std::find(names.begin(), names.end(), name) != names.end();
      const auto &with = faulty.with[s], &without = faulty.without[s];
      REQUIRE(with.size() == without.size());
      bool equal_before = true, equal_after = true;
      for (std::size_t i = 0; i < with.size(); ++i) {
        const bool equal = with[i].time == without[i].time && with[i].value == without[i].value;
        (with[i].time < faulty.label.start ? equal_before : equal_after) &= equal;
      }
      CHECK(equal_before);
      CHECK(equal_after == !touched);
    }
  }
}

TEST_CASE("bearing wear multiplies the vibration, slowly") {
  for_each_fault(FaultKind::bearing_wear, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    CHECK(label.sensors.front() == "vib_rms");
    const auto s = sensor_named("vib_rms");
    const auto before = statistics(faulty.with[s], label.start - hours{8}, label.start, true);
    const auto soon = statistics(faulty.with[s], label.start, label.start + hours{1}, true);
    const auto late = statistics(faulty.with[s], label.end - hours{1}, label.end, true);
    CHECK(soon.mean < before.mean * 1.25);
    CHECK(late.mean > before.mean * (label.severity * 0.85));
    CHECK(late.mean < before.mean * (label.severity * 1.15));
    for (const auto& other : {label.sensors[1], label.sensors[2]}) {
      CAPTURE(other);
      const auto touched =
          statistics(faulty.with[sensor_named(other)], label.end - hours{1}, label.end, true);
      const auto normal =
          statistics(faulty.without[sensor_named(other)], label.end - hours{1}, label.end, true);
      CHECK(touched.mean > normal.mean * 1.04);
      CHECK(touched.mean < normal.mean * 1.3);
    }
  });
}

TEST_CASE("cooling loss heats joints and gearbox within two hours, beyond normal") {
  for_each_fault(FaultKind::cooling_loss, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    CHECK(label.sensors.size() == 4);
    for (const auto& sensor : label.sensors) {
      CAPTURE(sensor);
      const auto s = sensor_named(sensor);
      const auto from = std::min(label.start + hours{3}, label.end - hours{1});
      const auto before = statistics(faulty.with[s], label.start - hours{8}, label.start);
      const auto hot = statistics(faulty.with[s], from, from + hours{1});
      const auto normal = statistics(faulty.without[s], from, from + hours{1});
      CHECK(hot.mean > before.mean + 6);
      CHECK(hot.mean - normal.mean > 0.6 * label.severity);
      CHECK(hot.mean - normal.mean < 1.4 * label.severity);
      CHECK(statistics(faulty.with[s], label.start, label.end).high < 110);
    }
  });
}

TEST_CASE("backlash raises and widens the torque and slows the cycle") {
  for_each_fault(FaultKind::backlash, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    const auto from = label.end - hours{1};
    const auto torque = sensor_named(label.sensors[0]);
    const auto before = statistics(faulty.with[torque], label.start - hours{8}, label.start, true);
    const auto after = statistics(faulty.with[torque], from, label.end, true);
    const auto normal = statistics(faulty.without[torque], from, label.end, true);
    CHECK(after.mean > before.mean * 1.15);
    CHECK(after.mean / normal.mean > 1.2);
    CHECK(after.deviation() > normal.deviation());
    const auto cycle = sensor_named("cycle_time");
    const double slower = statistics(faulty.with[cycle], from, label.end, true).mean /
                          statistics(faulty.without[cycle], from, label.end, true).mean;
    CHECK(slower > 1.025);
    CHECK(slower < 1.055);
  });
}

TEST_CASE("a collision is a few readings of high current and torque, of a working robot") {
  for_each_fault(FaultKind::collision, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    REQUIRE(label.sensors.size() == 2);
    for (const auto& sensor : label.sensors) {
      CAPTURE(sensor);
      const auto s = sensor_named(sensor);
      const auto before = statistics(faulty.with[s], label.start - hours{8}, label.start, true);
      const auto during = statistics(faulty.with[s], label.start, label.end);
      const auto normal = statistics(faulty.without[s], label.start, label.end, true);
      CHECK(during.count >= 2);
      CHECK(during.count <= 6);
      CHECK(normal.count == during.count);  // it was not idle
      CHECK(during.low > before.high * 1.5);
      CHECK(during.high < before.mean * 7.5);
      const auto after = statistics(faulty.with[s], label.end, label.end + hours{1});
      CHECK(after.high < before.high * 1.2);
    }
  });
}

TEST_CASE("a stuck sensor repeats one value, which it otherwise would not") {
  for_each_fault(FaultKind::stuck_sensor, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    REQUIRE(label.sensors.size() == 1);
    CHECK(label.sensors[0] != "cycle_time");
    const auto s = sensor_named(label.sensors[0]);
    const auto stuck = statistics(faulty.with[s], label.start, label.end);
    CHECK(stuck.count > 100);
    CHECK(stuck.low == stuck.high);
    CHECK(statistics(faulty.without[s], label.start, label.end).deviation() > 0);
  });
}

TEST_CASE("a lost sensor is absent, while the others of its robot go on") {
  for_each_fault(FaultKind::lost_sensor, [](const Faulty& faulty) {
    const auto& label = faulty.label;
    REQUIRE(label.sensors.size() == 1);
    const auto s = sensor_named(label.sensors[0]);
    const auto lost = statistics(faulty.with[s], label.start, label.end);
    CHECK(lost.count == 0);
    CHECK(lost.missing > 100);
    const auto other = statistics(faulty.with[(s + 1) % sensors], label.start, label.end);
    CHECK(other.count > 100);
  });
}

TEST_CASE("a repaired fault is over") {
  std::size_t repaired = 0;
  for (const auto& faulty : faulty_robots()) {
    const auto& label = faulty.label;
    const auto recovered = label.end + hours{4};  // what was hot has cooled down
    const auto end = faulty.with[0].back().time;
    if (!label.repaired || recovered + hours{1} > end) continue;
    ++repaired;
    for (const auto& sensor : label.sensors) {
      CAPTURE(sensor);
      const auto s = sensor_named(sensor);
      const auto now = statistics(faulty.with[s], recovered, end);
      const auto normal = statistics(faulty.without[s], recovered, end);
      CHECK(now.mean == doctest::Approx(normal.mean).epsilon(0.01));
    }
  }
  CHECK(repaired >= 3);
}

TEST_CASE("a short run still tells the whole story") {
  for (const auto duration : {Duration{minutes{30}}, Duration{hours{3}}}) {
    FactoryOptions options;
    options.duration = duration;
    const Factory factory{options};
    CHECK(factory.labels().size() >= 6);
    for (const auto& label : factory.labels()) {
      CHECK(label.start >= factory.learning_until());
      CHECK(label.end <= factory.end());
    }
  }
}

TEST_CASE("options out of range are refused with a sentence") {
  const auto refused = [](auto change) {
    FactoryOptions options;
    change(options);
    CHECK_THROWS_AS(Factory{options}, std::invalid_argument);
  };
  refused([](FactoryOptions& o) { o.robots = 0; });
  refused([](FactoryOptions& o) { o.robots = 100'001; });
  refused([](FactoryOptions& o) { o.period = Duration{0}; });
  refused([](FactoryOptions& o) { o.period = -seconds{1}; });
  refused([](FactoryOptions& o) { o.duration = seconds{5}; });
}
