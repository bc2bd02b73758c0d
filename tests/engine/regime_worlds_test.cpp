// Machines with programs, waveforms and slow sensors on a bad network, run many times; the programs
// are named by a sensor or found. However the events are split, and wherever a crash restores,
// alerts, regimes, summaries and state are the same.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/engine/worlds.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

using Op = WorldOp;

Plan random_plan(Random& random, bool learned) {
  Plan plan;
  plan.reorder = random.chance(0.3) ? Duration{1500ms} : Duration{0};
  if (random.chance(0.5)) {
    Profile raw = profile("*/vib", auto_detectors());
    raw.unit = "g";
    raw.waveform.emplace();
    raw.waveform->window = 100ms;
    raw.waveform->overlap = random.chance(0.5) ? 0 : 0.5;
    plan.profiles.push_back(raw);
  } else {
    plan.profiles.push_back(profile("*/vib", {{"gap", {}}}));
  }
  plan.profiles.push_back(
      profile("*", {{"spike", {{"warmup", 20}}}, {"auto", {}}, {"gap", {}}, {"stuck", {}}}));
  MachineProfile machine;
  machine.parameters = {{"warmup", 40}, {"learning_s", 0}};
  machine.alarm.on_delay = 2s;
  machine.alarm.off_delay = 20s;
  auto& rule = machine.regime;
  if (learned) {
    rule.learned = 2 + static_cast<std::uint32_t>(random.below(5));
    rule.find = random.chance(0.5) ? 1h : 300s;
  } else {
    rule.sensor = "program";
  }
  rule.settle = random.chance(0.5) ? 2s : 0s;
  rule.warmup = 5 + static_cast<std::uint32_t>(random.below(20));
  rule.learning = 20s;
  plan.machines.push_back(machine);
  return plan;
}

std::vector<Op> random_world(Random& random, bool learned) {
  std::vector<Op> ops;
  const auto programs = 2 + random.below(3);
  const int rows = 700;
  double now = 0;
  int left = 0;
  std::size_t program = 0;
  for (int row = 0; row < rows; ++row, now += 1) {
    if (left-- <= 0) {
      program = random.below(row < rows / 2 ? programs : 4);
      left = 12 + static_cast<int>(random.below(30));
    }
    if (random.chance(0.003)) now += random.uniform(1, 2000);
    const double level = 10 * static_cast<double>(program);
    const double fault = row > 600 ? 6 : 0;
    const auto say = [&](const char* sensor, double value) {
      if (random.chance(0.01)) return;
      // Clocks differ, and some readings come late.
      const double off = random.chance(0.02) ? random.uniform(-3, 0.4) : 0;
      Op op{Op::Kind::reading, sensor, at(now + off), {value}, at(now)};
      if (random.chance(0.003)) op.values[0] = 1e300;
      ops.push_back(op);
      if (random.chance(0.01)) ops.push_back(op);
    };
    if (!learned) say("program", static_cast<double>(program));
    say("current", level + fault + 0.5 * random.normal());
    say("torque", 5 + 2 * level + random.normal());
    if (row > 50 && row % 3 == 0) say("slow", -level + random.normal());
    if (random.chance(0.9)) {
      Op block{Op::Kind::block, "vib", at(now + 0.2), {}, at(now + 0.6)};
      const std::size_t length = 100 + random.below(300);
      for (std::size_t k = 0; k < length; ++k)
        block.values.push_back((1 + level) * random.normal());
      ops.push_back(block);
    }
    if (random.chance(0.3)) ops.push_back({Op::Kind::tick, "", {}, {}, at(now + 0.7)});
    if (random.chance(0.002)) {
      const auto kind = random.chance(0.5) ? Op::Kind::serviced : Op::Kind::rebaseline;
      ops.push_back({kind, random.chance(0.7) ? "" : "current", {}, {}, at(now + 0.7)});
    }
  }
  return ops;
}

}  // namespace

TEST_CASE("worlds of programs, named and found: split, crash and restore change nothing") {
  const int seeds = test::scaled(test::sanitized ? 15 : 60, 2000);
  int crashes = 0, found = 0, several = 0, windows = 0, ended = 0, joined = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{static_cast<std::uint64_t>(seed)};
    const bool learned = seed % 4 != 0;
    const auto plan = std::make_shared<const Plan>(random_plan(random, learned));
    const auto ops = random_world(random, learned);
    const auto whole = play_three_times(
        plan, ops, {.step = 0.2, .crash = 0.004, .checkpoint = 0.02}, random, crashes);
    const auto regimes = whole.engine.regimes(MachineId{});
    windows += whole.engine.windows().whole > 0;
    if (!learned) {
      several += regimes.size() > 1;
      continue;
    }
    CHECK(regimes.size() <= plan->machines.front().regime.learned);
    CHECK(regimes.size() <= 4);
    found += regimes.size() > 1;
    // New ones are told in the order of their numbers, and some after the first.
    std::string first;
    std::size_t told = 0;
    for (const auto& line : whole.lists[4]) {
      if (!line.ends_with(" new")) continue;
      CHECK(line.starts_with(fmt::format("{} @", ++told)));
      const auto time = line.substr(line.find('@'));
      if (told == 1) first = time;
      joined += time != first;
    }
    CHECK(told == regimes.size());
    for (const auto& line : whole.lists[1]) ended += line.find(" regimes ") != line.npos;
  }
  // The worlds were eventful, or the test would say nothing.
  CHECK(crashes > seeds);
  CHECK(found > seeds / 4);
  CHECK(joined > seeds / 8);
  CHECK(several == seeds / 4);
  CHECK(windows > seeds / 4);
  CHECK(ended > seeds);
}
