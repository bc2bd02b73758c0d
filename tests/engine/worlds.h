// One machine on a bad network, played three times: as it comes, split at random, and with crashes
// that restore the newest checkpoint. Alerts, baselines, summaries, healths, regimes and state are
// to be the same each time. What the machine does is up to each test.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "tests/engine/harness.h"

namespace millwright::engine {

inline constexpr double world_rate = 1000;  // Hz, of blocks

struct WorldOp {
  enum class Kind { block, reading, tick, serviced, rebaseline } kind = Kind::tick;
  std::string sensor;
  Timestamp time;  // of the first sample; of the reading
  std::vector<double> values;
  Timestamp arrival;
  bool redelivered = false;
};

struct World {
  explicit World(std::shared_ptr<const Plan> p) : plan(std::move(p)), engine(plan) {}

  // A block of a sensor that is no waveform is a reading of its first value.
  void feed_one(const WorldOp& op, Position position) {
    using Kind = WorldOp::Kind;
    switch (op.kind) {
      case Kind::tick:
        return feed.tick(position, op.arrival, op.arrival);
      case Kind::serviced:
      case Kind::rebaseline: {
        const auto kind =
            op.kind == Kind::serviced ? Event::Kind::serviced : Event::Kind::rebaseline;
        feed.renew(engine, kind, "R", op.sensor, position, op.arrival, op.arrival);
        return;
      }
      case Kind::block:
        if (engine.plan().profiles.front().waveform) {
          feed.block(engine, "R", op.sensor, {op.time, world_rate, op.values}, position, op.arrival,
                     op.arrival, op.redelivered);
          return;
        }
        [[fallthrough]];
      case Kind::reading:
        feed.reading(engine, "R", op.sensor, {op.time, op.values[0]}, position, op.arrival,
                     op.arrival);
    }
  }
  // Splits may interleave the lists differently; each keeps its order.
  void take() {
    feed.step(engine, effects);
    for (const auto& one : effects.alerts) lists[0].push_back(describe(one));
    for (const auto& one : effects.baselines) lists[1].push_back(describe(one));
    for (const auto& one : effects.summaries) lists[2].push_back(describe(engine, one));
    for (const auto& one : effects.health) lists[3].push_back(describe(one));
    for (const auto& one : effects.regimes) {
      lists[4].push_back(fmt::format("{} @{} {}", one.regime, to_microseconds(one.time),
                                     one.what == RegimeNotice::What::learned ? "learned" : "new"));
    }
    effects.clear();
  }
  // As after a crash: what came since the checkpoint is gone.
  Position restore(const std::string& checkpoint) {
    Engine fresh{plan};
    Position position = 0;
    REQUIRE(fresh.restore_all(checkpoint, position) == RestoreResult::ok);
    REQUIRE(fresh.unreadable_states() == 0);
    REQUIRE(fresh.save_all(position) == checkpoint);
    engine = std::move(fresh);
    feed = Feed{Clock::given};
    effects.clear();
    return position;
  }

  std::shared_ptr<const Plan> plan;
  Engine engine;
  Feed feed{Clock::given};
  Effects effects;
  std::array<std::vector<std::string>, 5> lists;
};

// Chances, after every operation.
struct WorldCourse {
  double step = 0, crash = 0, checkpoint = 0;
};

inline void play(World& world, const std::vector<WorldOp>& ops, const WorldCourse& course,
                 Random random, int& crashes) {
  auto saved = world.engine.save_all(0);
  auto lists = world.lists;
  for (std::size_t i = 0; i < ops.size();) {
    world.feed_one(ops[i], i + 1);
    ++i;
    if (random.chance(course.step)) world.take();
    if (course.crash > 0 && random.chance(course.checkpoint)) {
      world.take();
      saved = world.engine.save_all(i);
      lists = world.lists;
    }
    if (random.chance(course.crash)) {
      ++crashes;
      i = world.restore(saved);
      world.lists = lists;
    }
  }
  world.take();
}

// The world as it comes, when the others are like it. `crashing`: how the third is played.
inline World play_three_times(std::shared_ptr<const Plan> plan, const std::vector<WorldOp>& ops,
                              const WorldCourse& crashing, const Random& random, int& crashes) {
  World whole{plan}, split{plan}, crashed{plan};
  play(whole, ops, {}, random.fork(1), crashes);
  play(split, ops, {.step = 0.4}, random.fork(2), crashes);
  play(crashed, ops, crashing, random.fork(3), crashes);
  REQUIRE(split.lists == whole.lists);
  REQUIRE(crashed.lists == whole.lists);
  REQUIRE(split.engine.save_all(9) == whole.engine.save_all(9));
  REQUIRE(crashed.engine.save_all(9) == whole.engine.save_all(9));
  REQUIRE(whole.engine.outcomes().total() + whole.engine.pending() == whole.engine.received());
  return whole;
}

}  // namespace millwright::engine
