// A seeded world of robots and bad networks, run many times: whatever happens on the way, a
// restored engine and an uninterrupted one give the same alerts, summaries and state bytes; every
// split of the input gives the same output; the counters add up.
#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <map>

#include "core/random.h"
#include "tests/engine/harness.h"
#include "tests/engine/scripted.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

struct Op {
  Event::Kind kind = Event::Kind::reading;
  std::string machine, sensor;  // of an operation, an empty sensor: all of the machine

  Sample sample;
  Timestamp received, arrival;
};

using Types = std::span<const detectors::DetectorType>;

MachineProfile machine_profile(Random& random) {
  MachineProfile profile;
  profile.watched = random.chance(0.8);
  profile.parameters = {{"warmup", random.uniform(20, 100)}, {"learning_s", 0}};
  profile.alarm.off_delay = 20s;
  if (random.chance(0.5)) {
    profile.regime.sensor = "program";
    if (random.chance(0.3)) profile.regime.bins = {1.5, 2.5};
    profile.regime.settle = random.chance(0.5) ? 15s : 0s;
    profile.regime.warmup = 5 + static_cast<std::uint32_t>(random.below(30));
    profile.regime.learning = 60s;
  }
  return profile;
}

// With scripted detectors much happens that real ones do seldom: changes are accepted, kinds
// differ from score to score, two detectors see the same.
Plan scripted_plan(Random& random) {
  Plan plan;
  plan.reorder = random.chance(0.3) ? Duration{15s} : Duration{0};
  plan.profiles.push_back(profile("*", {{"alpha", {{"divisor", 1.5}, {"accept", 7}}},
                                        {"beta", {{"divisor", 2.5}, {"accept", 8}}},
                                        {"ceiling", {{"divisor", 4}}},
                                        {"fault", {{"from", 10}}},
                                        {"silent", {}}}));
  if (random.chance(0.3)) plan.profiles.back().alarm.on_delay = 15s;
  plan.machines.push_back(machine_profile(random));
  return plan;
}

Plan random_plan(Random& random) {
  Plan plan;
  plan.max_sensors = random.chance(0.1) ? 4 : 1000;
  plan.reorder = random.chance(0.3) ? Duration{5s} : Duration{0};
  plan.machines.push_back(machine_profile(random));
  if (random.chance(0.5)) {
    plan.profiles.push_back(
        profile("R0/*", {{"limit", {{"high", 3.5}}}, {"spike", {}}, {"gap", {}}}));
    plan.profiles.back().alarm.on_delay = 2s;
  }
  if (random.chance(0.5)) {
    plan.profiles.push_back(profile("*", {}));
    for (const auto& type : detectors::types())
      plan.profiles.back().detectors.push_back({std::string{type.name}, {}});
  }
  return plan;
}

bool is_reading(const Op& op) { return op.kind == Event::Kind::reading; }

// Readings with drops, duplicates, disorder, nonsense values, stuck and silent sensors, and a clock
// that jumps.
std::vector<Op> random_world(Random& random) {
  std::vector<Op> ops;
  const int machines = 2, sensors = 3, steps = 420;
  double wall_offset = 0, stuck_value = 0;
  std::array<double, machines> program{1, 1};
  const int stuck_from = 330 + static_cast<int>(random.below(80));
  const int silent_from = 330 + static_cast<int>(random.below(80));
  const int shift_from = 330 + static_cast<int>(random.below(80));
  for (int step = 0; step < steps; ++step) {
    const double now = step * 10.0;
    if (random.chance(0.002)) wall_offset = random.uniform(-1e8, 1e8);
    for (int m = 0; m < machines; ++m) {
      auto& runs = program[static_cast<std::size_t>(m)];
      if (random.chance(0.05)) runs = static_cast<double>(random.below(4));
      if (random.chance(0.5)) {
        ops.push_back({Event::Kind::reading,
                       "R" + std::to_string(m),
                       "program",
                       {at(now), runs},
                       at(now + wall_offset),
                       at(now)});
      }
      for (int s = 0; s < sensors; ++s) {
        if (random.chance(0.02)) continue;
        double value = random.normal() + runs + (step > shift_from && m == 0 ? 6 : 0);
        if (random.chance(0.003)) value *= 40;
        if (m == 1 && s == 0 && step > stuck_from) value = stuck_value;
        if (m == 1 && s == 1 && step > silent_from) continue;
        if (m == 1 && s == 0) stuck_value = value;
        if (random.chance(0.003)) value = std::numeric_limits<double>::quiet_NaN();
        if (random.chance(0.002)) value = 1e300;
        Op op{Event::Kind::reading, "R" + std::to_string(m), "s" + std::to_string(s),
              {at(now), value},     at(now + wall_offset),   at(now)};
        ops.push_back(op);
        if (random.chance(0.02)) ops.push_back(op);
      }
    }
    ops.push_back({Event::Kind::tick, {}, {}, {}, at(now + wall_offset), at(now + 1)});
    if (random.chance(0.01)) {
      const auto kind = random.chance(0.5) ? Event::Kind::serviced : Event::Kind::rebaseline;
      const auto machine = "R" + std::to_string(static_cast<int>(random.below(machines)));
      const auto sensor = random.chance(0.5) ? "s" + std::to_string(random.below(sensors)) : "";
      ops.push_back({kind, machine, sensor, {}, at(now + wall_offset), at(now + 1)});
    }
  }
  for (std::size_t i = 0; i + 1 < ops.size(); ++i) {
    // Neighbours change places, arrival times stay in order.
    if (random.chance(0.02) && is_reading(ops[i]) && is_reading(ops[i + 1])) {
      std::swap(ops[i].sample, ops[i + 1].sample);
      std::swap(ops[i].sensor, ops[i + 1].sensor);
      std::swap(ops[i].machine, ops[i + 1].machine);
    }
  }
  // Some late arrivals from further back.
  for (int k = 0; k < 20; ++k) {
    const auto from = random.below(ops.size()), to = random.below(ops.size());
    if (!is_reading(ops[from]) || !is_reading(ops[to])) continue;
    std::swap(ops[from].sample, ops[to].sample);
  }
  return ops;
}

struct World {
  World(const Plan& p, Types t)
      : plan(std::make_shared<const Plan>(p)), types(t), engine(plan, types) {}

  void feed_one(const Op& op, Position position) {
    if (op.kind == Event::Kind::tick) {
      feed.tick(position, op.received, op.arrival);
    } else if (is_reading(op)) {
      feed.reading(engine, op.machine, op.sensor, op.sample, position, op.received, op.arrival);
    } else {
      feed.renew(engine, op.kind, op.machine, op.sensor, position, op.received, op.arrival);
    }
  }
  std::vector<std::string> take() {
    feed.step(engine, effects);
    auto out = describe(engine, effects);
    effects.clear();
    return out;
  }

  std::shared_ptr<const Plan> plan;
  Types types;
  Engine engine;
  Feed feed{Clock::given};
  Effects effects;
};

using Lines = std::vector<std::string>;
void append(Lines& out, Lines more) { out.insert(out.end(), more.begin(), more.end()); }

// Alerts, baselines, regimes, health and summaries are five lists: splits may interleave them
// differently, each list keeps its order.
bool is_alert(const std::string& line) { return line.find(" onset ") != line.npos; }
bool is_baseline(const std::string& line) { return line.starts_with("baseline "); }
bool is_regime(const std::string& line) { return line.starts_with("regime "); }
bool is_health(const std::string& line) { return line.starts_with("health "); }
Lines sorted_lists(Lines lines) {
  auto rest = std::stable_partition(lines.begin(), lines.end(), is_alert);
  rest = std::stable_partition(rest, lines.end(), is_baseline);
  rest = std::stable_partition(rest, lines.end(), is_regime);
  std::stable_partition(rest, lines.end(), is_health);
  return lines;
}

// What every subscriber may rely on: revisions without gaps, one open alert of a kind per sensor,
// an id for one episode only, versions of baselines that rise by one.
void check_promises(const Effects& effects) {
  std::map<std::string, std::string> open;         // machine/sensor/kind -> id
  std::map<std::string, std::uint32_t> revisions;  // id -> the newest
  for (const auto& alert : effects.alerts) {
    CAPTURE(alert.id);
    const auto place = alert.machine + "/" + alert.sensor + "/" + std::string{name_of(alert.kind)};
    REQUIRE(alert.id.starts_with(place + "/"));
    REQUIRE(alert.revision == ++revisions[alert.id]);
    REQUIRE((alert.event == AlertEvent::raised) == (alert.revision == 1));
    if (alert.event == AlertEvent::raised) {
      REQUIRE_FALSE(open.contains(place));
      open[place] = alert.id;
    } else {
      REQUIRE(open[place] == alert.id);
    }
    if (alert.state == AlertState::cleared) open.erase(place);
  }
  std::map<std::string, std::uint32_t> versions;
  for (const auto& past : effects.baselines) {
    const auto place = past.machine + "/" + past.sensor + "/" + past.detector;
    CAPTURE(place);
    REQUIRE(past.version == ++versions[place]);
    REQUIRE(past.state.empty() == (past.why == BaselineEnd::accepted));
    REQUIRE(past.since.value_or(past.until) <= past.until);
  }
}

Lines run_whole(World& world, const std::vector<Op>& ops) {
  for (std::size_t i = 0; i < ops.size(); ++i) world.feed_one(ops[i], i + 1);
  world.feed.step(world.engine, world.effects);
  check_promises(world.effects);
  return world.take();
}

Lines run_split(World& world, const std::vector<Op>& ops, Random& random) {
  Lines out;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    world.feed_one(ops[i], i + 1);
    if (random.chance(0.3)) append(out, world.take());
  }
  append(out, world.take());
  return out;
}

// Checkpoints now and then; crashes lose all since the last one, and the journal is read again from
// there.
Lines run_crashing(World& world, const std::vector<Op>& ops, Random& random, int& crashes) {
  Lines kept, since;
  std::string checkpoint = world.engine.save_all(0);
  Position position = 0;
  std::size_t i = 0;
  while (i < ops.size()) {
    world.feed_one(ops[i], i + 1);
    ++i;
    if (random.chance(0.2)) append(since, world.take());
    if (random.chance(0.004)) {
      append(since, world.take());
      append(kept, std::move(since));
      since.clear();
      checkpoint = world.engine.save_all(i);
    }
    if (random.chance(0.002)) {
      ++crashes;
      World fresh{*world.plan, world.types};
      REQUIRE(fresh.engine.restore_all(checkpoint, position) == RestoreResult::ok);
      world.engine = std::move(fresh.engine);
      world.plan = fresh.plan;
      world.feed = Feed{Clock::given};
      world.effects.clear();
      since.clear();
      i = position;
    }
  }
  append(since, world.take());
  append(kept, std::move(since));
  return kept;
}

}  // namespace

TEST_CASE(
    "a thousand worlds: split, crash and restore change nothing, and every reading is accounted "
    "for") {
  const int seeds = test::scaled(test::sanitized ? 250 : 1000, 20000);
  int crashes = 0, alerts = 0, faulty = 0, health = 0;
  std::map<std::string, int> ends;  // reason -> baselines
  int regimes = 0;                  // that came to be known
  for (int seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{static_cast<std::uint64_t>(seed)};
    const bool scripted = random.chance(0.3);
    const auto types = scripted ? scripted_types() : detectors::types();
    const auto plan = scripted ? scripted_plan(random) : random_plan(random);
    const auto ops = random_world(random);
    World whole{plan, types}, split{plan, types}, crashing{plan, types};
    const auto expected = sorted_lists(run_whole(whole, ops));
    const auto by_parts = sorted_lists(run_split(split, ops, random));
    const auto crashed = sorted_lists(run_crashing(crashing, ops, random, crashes));
    REQUIRE(by_parts == expected);
    REQUIRE(crashed == expected);
    REQUIRE(split.engine.save_all(ops.size()) == whole.engine.save_all(ops.size()));
    REQUIRE(crashing.engine.save_all(ops.size()) == whole.engine.save_all(ops.size()));
    std::uint64_t readings = 0;
    for (const auto& op : ops) readings += is_reading(op);
    REQUIRE(crashing.engine.unreadable_states() == 0);
    REQUIRE(whole.engine.received() == readings);
    REQUIRE(whole.engine.outcomes().total() + whole.engine.pending() == readings);
    faulty += whole.engine.outcomes()[Outcome::faulty] > 0;
    for (const auto& line : expected) {
      alerts += is_alert(line) && line.find(" raised ") != line.npos;
      regimes += line.starts_with("regime ") && line.ends_with(" learned");
      health += is_health(line);
      if (!is_baseline(line)) continue;
      for (const auto* why : {"accepted", "serviced", "rebaseline"})
        ends[why] += line.find(std::string{" "} + why + " ") != line.npos;
    }
  }
  // The worlds were eventful, or the test would say nothing.
  CHECK(crashes > seeds);
  CHECK(alerts > seeds);
  CHECK(faulty > seeds / 10);
  CHECK(regimes > seeds / 4);
  CHECK(health > seeds);
  for (const auto* why : {"accepted", "serviced", "rebaseline"}) {
    CAPTURE(why);
    CHECK(ends[why] > seeds);
  }
}
