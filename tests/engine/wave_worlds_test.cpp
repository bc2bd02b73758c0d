// Waveforms on a bad network, run many times: blocks of all lengths that are lost, late, sent
// again, clipped or hold no number, with a shaft that changes its speed, crashes and operations.
// However the events are split, and wherever a crash restores, alerts, summaries and state are the
// same.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/random.h"
#include "tests/detectors/waves.h"
#include "tests/engine/harness.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

constexpr double rate = 1000;

struct Op {
  enum class Kind { block, reading, tick, serviced } kind = Kind::tick;
  std::string sensor;
  Timestamp time;  // of the first sample; of the reading
  std::vector<double> values;
  bool redelivered = false;
  Timestamp arrival;
};

Plan random_plan(Random& random) {
  Waveform w;
  w.window = random.chance(0.5) ? 100ms : 333ms;
  w.overlap = random.chance(0.5) ? 0 : 0.75;
  if (random.chance(0.5)) w.rate_hz = rate;
  if (random.chance(0.3)) w.jitter_s = 0.002;
  w.bearing = "6205";
  w.speed_sensor = "speed";
  w.envelope_low_hz = 150;
  Plan plan;
  plan.reorder = random.chance(0.3) ? Duration{500ms} : Duration{0};
  Profile raw = profile("*/vib", auto_detectors());
  raw.unit = "g";
  raw.waveform = w;
  Profile rest =
      profile("*", {{"spike", {{"warmup", 20}}}, {"shift", {}}, {"gap", {}}, {"stuck", {}}});
  plan.profiles = {raw, rest};
  MachineProfile machine;
  machine.parameters = {{"warmup", 40}, {"learning_s", 0}};
  plan.machines.push_back(machine);
  return plan;
}

std::vector<Op> random_world(Random& random) {
  std::vector<Op> ops;
  double now = 0;
  for (int i = 0; i < 150; ++i) {
    const std::size_t length = 1 + random.below(random.chance(0.2) ? 900 : 200);
    Op block{Op::Kind::block, "vib", at(now), {}, false, at(now)};
    const double height = i > 100 ? 3 : 1;
    for (std::size_t k = 0; k < length; ++k) block.values.push_back(height * random.normal());
    if (random.chance(0.05))
      for (auto& x : block.values) x = std::clamp(x, -1.0, 1.0);
    if (random.chance(0.05))
      block.values[random.below(length)] = std::numeric_limits<double>::quiet_NaN();
    if (random.chance(0.05)) block.values.back() = 1e300;
    if (random.chance(0.05)) block.time += from_seconds(random.uniform(-0.05, 0.05));
    block.redelivered = random.chance(0.05);
    now += static_cast<double>(length) / rate;
    block.arrival = at(now);
    if (random.chance(0.05)) now += random.uniform(0, 3);
    if (!random.chance(0.05)) ops.push_back(block);
    if (random.chance(0.05)) ops.push_back(block);
    if (random.chance(0.5))
      ops.push_back(
          {Op::Kind::reading, "speed", at(now), {1500 + 100 * random.normal()}, false, at(now)});
    if (random.chance(0.3))
      ops.push_back({Op::Kind::reading, "temp", at(now), {random.normal()}, false, at(now)});
    if (random.chance(0.1))
      ops.push_back({Op::Kind::reading, "vib", at(now), {random.normal()}, false, at(now)});
    if (random.chance(0.3)) ops.push_back({Op::Kind::tick, "", {}, {}, false, at(now)});
    if (random.chance(0.01)) ops.push_back({Op::Kind::serviced, "", {}, {}, false, at(now)});
  }
  for (int i = 0; i < 10; ++i) {  // what comes much too late
    const auto from = random.below(ops.size()), to = random.below(ops.size());
    if (ops[from].kind == Op::Kind::block && ops[to].kind == Op::Kind::block) {
      std::swap(ops[from].values, ops[to].values);
      std::swap(ops[from].time, ops[to].time);
    }
  }
  return ops;
}

struct World {
  explicit World(std::shared_ptr<const Plan> p) : plan(std::move(p)), engine(plan) {}

  void feed_one(const Op& op, Position position) {
    if (op.kind == Op::Kind::tick) {
      feed.tick(position, op.arrival, op.arrival);
    } else if (op.kind == Op::Kind::serviced) {
      feed.renew(engine, Event::Kind::serviced, "R", "", position, op.arrival, op.arrival);
    } else if (op.kind == Op::Kind::block) {
      feed.block(engine, "R", op.sensor, {op.time, rate, op.values}, position, op.arrival,
                 op.arrival, op.redelivered);
    } else {
      feed.reading(engine, "R", op.sensor, {op.time, op.values[0]}, position, op.arrival,
                   op.arrival);
    }
  }
  // Alerts, baselines and summaries are three lists; each keeps its order.
  void take() {
    feed.step(engine, effects);
    for (const auto& one : effects.alerts) lists[0].push_back(describe(one));
    for (const auto& one : effects.baselines) lists[1].push_back(describe(one));
    for (const auto& one : effects.summaries) lists[2].push_back(describe(engine, one));
    effects.clear();
  }

  std::shared_ptr<const Plan> plan;
  Engine engine;
  Feed feed{Clock::given};
  Effects effects;
  std::array<std::vector<std::string>, 3> lists;
};

void run(World& world, const std::vector<Op>& ops, double step, double crash, Random random,
         int& crashes) {
  auto saved = world.engine.save_all(0);
  auto lists = world.lists;
  for (std::size_t i = 0; i < ops.size();) {
    world.feed_one(ops[i], i + 1);
    ++i;
    if (random.chance(step)) world.take();
    if (crash > 0 && random.chance(0.05)) {
      world.take();
      saved = world.engine.save_all(i);
      lists = world.lists;
    }
    if (random.chance(crash)) {
      ++crashes;
      Engine fresh{world.plan};
      Position position = 0;
      REQUIRE(fresh.restore_all(saved, position) == RestoreResult::ok);
      REQUIRE(fresh.unreadable_states() == 0);
      REQUIRE(fresh.save_all(position) == saved);
      world.engine = std::move(fresh);
      world.feed = Feed{Clock::given};
      world.effects.clear();
      world.lists = lists;
      i = position;
    }
  }
  world.take();
}

}  // namespace

TEST_CASE("a hundred worlds of waveforms: split, crash and restore change nothing") {
  const int seeds = test::scaled(100, 2000);
  int crashes = 0;
  std::size_t alerts = 0;
  WindowCounts windows;
  for (int seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{static_cast<std::uint64_t>(seed)};
    const auto plan = std::make_shared<const Plan>(random_plan(random));
    const auto ops = random_world(random);
    World whole{plan}, split{plan}, crashing{plan};
    run(whole, ops, 0, 0, random.fork(1), crashes);
    run(split, ops, 0.4, 0, random.fork(2), crashes);
    run(crashing, ops, 0.2, 0.01, random.fork(3), crashes);
    REQUIRE(split.lists == whole.lists);
    REQUIRE(crashing.lists == whole.lists);
    REQUIRE(split.engine.save_all(9) == whole.engine.save_all(9));
    REQUIRE(crashing.engine.save_all(9) == whole.engine.save_all(9));
    REQUIRE(whole.engine.outcomes().total() + whole.engine.pending() == whole.engine.received());
    alerts += whole.lists[0].size();
    const auto counts = whole.engine.windows();
    windows.whole += counts.whole;
    windows.cut += counts.cut;
    windows.clipped += counts.clipped;
  }
  // The worlds were eventful, or the test would say nothing.
  const auto most = static_cast<std::size_t>(seeds);
  CHECK(crashes > seeds);
  CHECK(alerts > most);
  CHECK(windows.whole > 10 * most);
  CHECK(windows.cut > most);
  CHECK(windows.clipped > most);
}
