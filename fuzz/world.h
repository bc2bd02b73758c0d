// A small plant for the states that are fuzzed: a few machines with every kind of detector.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "daemon/plan_of.h"
#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/fleet.h"
#include "fuzz/fuzz.h"

namespace millwright::fuzz {

inline constexpr std::string_view world_configuration = R"({
  "inputs": [ { "topic": "plant/{machine}/{sensor}", "format": "text",
                "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [
    { "match": "*/temp", "limits": { "high": 80, "hysteresis": 2 } },
    { "match": "*/speed", "detectors": [ "spike", "rate", "shift", "drift", "trend", "saturated",
                                         "spread", "pattern", "seasonal", "model", "gap", "stuck" ] },
    { "match": "*/flow", "detectors": "precise" } ],
  "limits": { "sensors": 50 } })";

struct World {
  std::shared_ptr<const engine::Plan> plan;  // shared: as the engine wants it
  engine::Engine engine;
  engine::Fleet fleet;
  engine::Desk desk;
  engine::Feed feed{engine::Clock::given};

  World() : plan(plan_of_world()), engine(plan), fleet(plan), desk(plan) {}

  // `minutes` of readings of four machines, every ten seconds, from a fixed time on.
  void live_through(Position from, int minutes) {
    engine::Effects effects;
    const auto start = from_microseconds(1'750'000'000'000'000);
    for (int step = 0; step < minutes * 6; ++step) {
      const auto now = start + Duration{step * 10'000'000LL};
      for (int machine = 0; machine < 4; ++machine) {
        const auto name = "R" + std::to_string(machine);
        int sensor = 0;
        for (const auto* what : {"temp", "speed", "flow"}) {
          const double value =
              20 + 5 * std::sin(step * 0.3 + machine + sensor++) + (step % 97 == 96 ? 70 : 0);
          feed.reading(engine, name, what, {now, value}, ++from, now, now);
        }
      }
      feed.tick(++from, now, now);
      feed.step(engine, effects);
      fleet.follow(engine, effects, effects.alerts);
      desk.follow(effects.ticks, effects.alerts);
      effects.clear();
    }
  }

 private:
  static std::shared_ptr<const engine::Plan> plan_of_world() {
    const auto loaded = config::parse(world_configuration, "world");
    require(loaded.configuration.has_value(), "the configuration of the world is one");
    return std::make_shared<const engine::Plan>(daemon::plan_of(*loaded.configuration, 1));
  }
};

}  // namespace millwright::fuzz
