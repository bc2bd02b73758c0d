// A seeded world of robots and bad networks, run many times: whatever happens on the way, a
// restored engine and an uninterrupted one give the same alerts, summaries and state bytes; every
// split of the input gives the same output; the counters add up.
#include <doctest/doctest.h>

#include <limits>

#include "core/random.h"
#include "tests/engine/harness.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

struct Op {
  bool tick = false;
  std::string machine, sensor;
  Sample sample;
  Timestamp received, arrival;
};

Plan random_plan(Random& random) {
  Plan plan;
  plan.max_sensors = random.chance(0.1) ? 4 : 1000;
  plan.reorder = random.chance(0.3) ? Duration{5s} : Duration{0};
  if (random.chance(0.5)) {
    plan.profiles.push_back(
        profile("R0/*", {{"limit", {{"high", 3.5}}}, {"spike", {}}, {"gap", {}}}));
    plan.profiles.back().alarm.on_delay = 2s;
  }
  return plan;
}

// Readings with drops, duplicates, disorder, nonsense values, stuck and silent sensors, and a clock
// that jumps.
std::vector<Op> random_world(Random& random) {
  std::vector<Op> ops;
  const int machines = 2, sensors = 3, steps = 420;
  double wall_offset = 0, stuck_value = 0;
  const int stuck_from = 330 + static_cast<int>(random.below(80));
  const int silent_from = 330 + static_cast<int>(random.below(80));
  const int shift_from = 330 + static_cast<int>(random.below(80));
  for (int step = 0; step < steps; ++step) {
    const double now = step * 10.0;
    if (random.chance(0.002)) wall_offset = random.uniform(-1e8, 1e8);
    for (int m = 0; m < machines; ++m) {
      for (int s = 0; s < sensors; ++s) {
        if (random.chance(0.02)) continue;
        double value = random.normal() + (step > shift_from && m == 0 ? 6 : 0);
        if (random.chance(0.003)) value *= 40;
        if (m == 1 && s == 0 && step > stuck_from) value = stuck_value;
        if (m == 1 && s == 1 && step > silent_from) continue;
        if (m == 1 && s == 0) stuck_value = value;
        if (random.chance(0.003)) value = std::numeric_limits<double>::quiet_NaN();
        if (random.chance(0.002)) value = 1e300;
        Op op{false,
              "R" + std::to_string(m),
              "s" + std::to_string(s),
              {at(now), value},
              at(now + wall_offset),
              at(now)};
        ops.push_back(op);
        if (random.chance(0.02)) ops.push_back(op);
      }
    }
    ops.push_back({true, {}, {}, {}, at(now + wall_offset), at(now + 1)});
  }
  for (std::size_t i = 0; i + 1 < ops.size(); ++i) {
    // Neighbours change places, arrival times stay in order.
    if (random.chance(0.02) && !ops[i].tick && !ops[i + 1].tick) {
      std::swap(ops[i].sample, ops[i + 1].sample);
      std::swap(ops[i].sensor, ops[i + 1].sensor);
      std::swap(ops[i].machine, ops[i + 1].machine);
    }
  }
  // Some late arrivals from further back.
  for (int k = 0; k < 20; ++k) {
    const auto from = random.below(ops.size()), to = random.below(ops.size());
    if (ops[from].tick || ops[to].tick) continue;
    std::swap(ops[from].sample, ops[to].sample);
  }
  return ops;
}

struct World {
  explicit World(const Plan& p) : plan(std::make_shared<const Plan>(p)), engine(plan) {}

  void feed_one(const Op& op, Position position) {
    if (op.tick) {
      feed.tick(position, op.received, op.arrival);
    } else {
      feed.reading(engine, op.machine, op.sensor, op.sample, position, op.received, op.arrival);
    }
  }
  std::vector<std::string> take() {
    feed.step(engine, effects);
    auto out = describe(engine, effects);
    effects.clear();
    return out;
  }

  std::shared_ptr<const Plan> plan;
  Engine engine;
  Feed feed{Clock::given};
  Effects effects;
};

using Lines = std::vector<std::string>;
void append(Lines& out, Lines more) { out.insert(out.end(), more.begin(), more.end()); }

// Alerts and summaries are two lists: splits may interleave them differently, each list keeps its
// order.
Lines sorted_lists(Lines lines) {
  std::stable_partition(lines.begin(), lines.end(),
                        [](const std::string& l) { return l.find(" onset ") != l.npos; });
  return lines;
}

Lines run_whole(World& world, const std::vector<Op>& ops) {
  for (std::size_t i = 0; i < ops.size(); ++i) world.feed_one(ops[i], i + 1);
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
      World fresh{*world.plan};
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
  const int seeds = test::scaled(1000, 20000);
  int crashes = 0, alerts = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{static_cast<std::uint64_t>(seed)};
    const auto plan = random_plan(random);
    const auto ops = random_world(random);
    World whole{plan}, split{plan}, crashing{plan};
    const auto expected = sorted_lists(run_whole(whole, ops));
    const auto by_parts = sorted_lists(run_split(split, ops, random));
    const auto crashed = sorted_lists(run_crashing(crashing, ops, random, crashes));
    REQUIRE(by_parts == expected);
    REQUIRE(crashed == expected);
    REQUIRE(split.engine.save_all(ops.size()) == whole.engine.save_all(ops.size()));
    REQUIRE(crashing.engine.save_all(ops.size()) == whole.engine.save_all(ops.size()));
    std::uint64_t readings = 0;
    for (const auto& op : ops) readings += !op.tick;
    REQUIRE(crashing.engine.unreadable_states() == 0);
    REQUIRE(whole.engine.received() == readings);
    REQUIRE(whole.engine.outcomes().total() + whole.engine.pending() == readings);
    for (const auto& line : expected) alerts += line.find(" raised ") != line.npos;
  }
  // The worlds were eventful, or the test would say nothing.
  CHECK(crashes > seeds);
  CHECK(alerts > seeds);
}
