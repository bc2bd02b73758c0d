// Waveforms on a bad network, run many times: blocks of all lengths that are lost, late, sent
// again, clipped or hold no number, with a shaft that changes its speed, crashes and operations.
// However the events are split, and wherever a crash restores, alerts, summaries and state are the
// same.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "tests/detectors/waves.h"
#include "tests/engine/worlds.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

using Op = WorldOp;

Plan random_plan(Random& random) {
  Waveform w;
  w.window = random.chance(0.5) ? 100ms : 333ms;
  w.overlap = random.chance(0.5) ? 0 : 0.75;
  if (random.chance(0.5)) w.rate_hz = world_rate;
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
    Op block{Op::Kind::block, "vib", at(now), {}, at(now)};
    const double height = i > 100 ? 3 : 1;
    for (std::size_t k = 0; k < length; ++k) block.values.push_back(height * random.normal());
    if (random.chance(0.05))
      for (auto& x : block.values) x = std::clamp(x, -1.0, 1.0);
    if (random.chance(0.05))
      block.values[random.below(length)] = std::numeric_limits<double>::quiet_NaN();
    if (random.chance(0.05)) block.values.back() = 1e300;
    if (random.chance(0.05)) block.time += from_seconds(random.uniform(-0.05, 0.05));
    block.redelivered = random.chance(0.05);
    now += static_cast<double>(length) / world_rate;
    block.arrival = at(now);
    if (random.chance(0.05)) now += random.uniform(0, 3);
    if (!random.chance(0.05)) ops.push_back(block);
    if (random.chance(0.05)) ops.push_back(block);
    if (random.chance(0.5))
      ops.push_back({Op::Kind::reading, "speed", at(now), {1500 + 100 * random.normal()}, at(now)});
    if (random.chance(0.3))
      ops.push_back({Op::Kind::reading, "temp", at(now), {random.normal()}, at(now)});
    if (random.chance(0.1))
      ops.push_back({Op::Kind::reading, "vib", at(now), {random.normal()}, at(now)});
    if (random.chance(0.3)) ops.push_back({Op::Kind::tick, "", {}, {}, at(now)});
    if (random.chance(0.01)) ops.push_back({Op::Kind::serviced, "", {}, {}, at(now)});
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
    const auto whole = play_three_times(plan, ops, {.step = 0.2, .crash = 0.01, .checkpoint = 0.05},
                                        random, crashes);
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
