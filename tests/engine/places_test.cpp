// Who has a place in the frames of its machine, and who has a name: when waveforms, their features
// and sensors of other sources come, go and change what they mean.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/random.h"
#include "engine/whole.h"
#include "tests/engine/harness.h"

namespace millwright::engine {
namespace {

using namespace std::chrono_literals;

constexpr double rate = 640;           // Hz
constexpr std::size_t in_window = 64;  // 0.1 s

Waveform waveform(std::vector<std::string> features) {
  Waveform w;
  w.window = 100ms;
  w.features = std::move(features);
  return w;
}

Profile of_waveforms(const std::string& match, Waveform w) {
  auto raw = profile(match, {});
  raw.unit = "g";
  raw.waveform = std::move(w);
  return raw;
}

MachineProfile soon_learned() {
  MachineProfile machine;
  machine.parameters = {{"warmup", 50}, {"learning_s", 0}};
  machine.alarm.on_delay = 0s;
  return machine;
}

struct Machine {
  explicit Machine(Plan plan, std::uint64_t seed = 1) : rig(std::move(plan)), random(seed) {}
  // A window of white noise, by itself.
  void window(const std::string& sensor, double seconds) {
    std::vector<double> samples(in_window);
    for (auto& x : samples) x = random.normal();
    const Block block{at(seconds), rate, samples};
    rig.feed.block(rig.engine, "M", sensor, block, ++rig.position, at(seconds + 0.1),
                   at(seconds + 0.1));
    rig.feed.step(rig.engine, rig.effects);
  }
  Rig rig;
  Random random;
};

bool has_part(const MachineHealth& health, std::string_view sensor) {
  return std::any_of(health.parts.begin(), health.parts.end(),
                     [&](const HealthPart& part) { return part.sensor == sensor; });
}

TEST_CASE("sensors without values of their own take no place from those that have some") {
  Plan plan;
  plan.profiles = {of_waveforms("M/vib??", waveform({"rms"})),
                   profile("M/temp", {{"limit", {{"high", 8}}}}), profile("*", {})};
  plan.machines = {soon_learned()};
  Machine machine{plan};
  // 40 waveforms, 40 features, and one more sensor: 41 of them have values.
  for (int frame = 0; frame < 100; ++frame) {
    for (int i = 10; i < 50; ++i) machine.window(fmt::format("vib{}", i), 2.0 * frame);
    machine.rig.reading("M", "temp", 2.0 * frame, 10 + 0.1 * machine.random.normal());
  }
  REQUIRE(machine.rig.engine.sensors() == 81);
  const auto& health = machine.rig.effects.health;
  REQUIRE(!health.empty());
  CHECK(has_part(health.back(), "temp"));
  // Places come back with the state.
  const auto bytes = machine.rig.engine.save_all(1);
  Machine restored{plan};
  Position position = 0;
  REQUIRE(restored.rig.engine.restore_all(bytes, position) == RestoreResult::ok);
  CHECK(restored.rig.engine.save_all(1) == bytes);
  // For more than an hour: then it is told in any case.
  for (int frame = 100; frame < 200; ++frame)
    restored.rig.reading("M", "temp", 60.0 * frame, 10 + 0.1 * machine.random.normal());
  REQUIRE(!restored.rig.effects.health.empty());
  CHECK(has_part(restored.rig.effects.health.back(), "temp"));
}

TEST_CASE("under another plan, sensors keep their places, whoever else became a waveform") {
  Plan plan;
  plan.profiles = {profile("M/temp", {{"limit", {{"high", 8}}}}), profile("*", {})};
  plan.machines = {soon_learned()};
  Machine before{plan};
  for (int frame = 0; frame < 100; ++frame) {
    for (const auto* sensor : {"vib10", "current", "temp"})
      before.rig.reading("M", sensor, frame, 10 + 0.1 * before.random.normal());
  }
  plan.profiles.insert(plan.profiles.begin(), of_waveforms("M/vib??", waveform({"rms"})));
  Machine after{plan};
  Position position = 0;
  REQUIRE(after.rig.engine.restore_all(before.rig.engine.save_all(1), position) ==
          RestoreResult::ok);
  for (int frame = 100; frame < 300; ++frame) {
    for (const auto* sensor : {"current", "temp"})
      after.rig.reading("M", sensor, frame, 10 + 0.1 * before.random.normal());
  }
  REQUIRE(!after.rig.effects.health.empty());
  CHECK(has_part(after.rig.effects.health.back(), "temp"));
  CHECK_FALSE(has_part(after.rig.effects.health.back(), "current"));
}

TEST_CASE("whoever had a name first keeps it: what a waveform says under it is refused, counted") {
  Plan plan;
  plan.profiles = {of_waveforms("M/vib", waveform({"rms", "peak"})), profile("*", {})};
  Machine machine{plan};
  machine.rig.reading("M", "vib.rms", 0, 7);
  for (int i = 1; i <= 20; ++i) {
    machine.window("vib", i);
    machine.rig.reading("M", "vib.rms", i + 0.5, 7);
  }
  const auto check = [&](Rig& rig, std::uint64_t windows) {
    CHECK(rig.engine.outcomes()[Outcome::bad_name] == windows);
    CHECK(rig.engine.outcomes().total() + rig.engine.pending() == rig.engine.received());
    for (const auto& verdict : rig.effects.verdicts) {
      const auto who = rig.engine.info(verdict.sensor);
      if (who.sensor == "vib.rms") CHECK(verdict.sample.value == 7);
    }
  };
  check(machine.rig, 20);
  CHECK(machine.rig.engine.sensors() == 3);
  Position position = 0;
  Machine restored{plan};
  REQUIRE(restored.rig.engine.restore_all(machine.rig.engine.save_all(1), position) ==
          RestoreResult::ok);
  for (int i = 21; i <= 30; ++i) {
    restored.window("vib", i);
    restored.rig.reading("M", "vib.rms", i + 0.5, 7);
  }
  check(restored.rig, 30);
}

TEST_CASE("the name of a feature that is not asked for any more is free for another source") {
  Plan plan;
  plan.profiles = {of_waveforms("M/vib", waveform({"rms", "peak"})),
                   profile("*", {{"limit", {{"high", 5}}}})};
  plan.profiles[1].unit = "bar";
  plan.profiles[1].alarm.on_delay = 0s;
  Machine machine{plan};
  for (int i = 0; i < 20; ++i) machine.window("vib", i);
  Outcome refused{};
  REQUIRE_FALSE(machine.rig.engine.sensor("M", "vib.rms", refused));
  const auto bytes = machine.rig.engine.save_all(1);

  auto fewer = plan;
  fewer.profiles[0].waveform->features = {"peak"};
  auto none = plan;
  none.profiles.erase(none.profiles.begin());
  for (const auto& changed : {fewer, none}) {
    std::string states[2];
    for (const bool at_once : {true, false}) {
      Rig rig{changed};
      Position position = 0;
      REQUIRE(rig.engine.restore_all(bytes, position) == RestoreResult::ok);
      for (int i = 0; i < 10; ++i) {
        rig.feed.reading(rig.engine, "M", "vib.rms", {at(100 + i), i < 5 ? 1.0 : 9.0}, 10, at(200),
                         at(200));
        if (!at_once) rig.feed.step(rig.engine, rig.effects);
      }
      rig.feed.step(rig.engine, rig.effects);
      CHECK(rig.engine.outcomes()[Outcome::bad_name] == 0);
      CHECK(rig.engine.info(*rig.engine.find_sensor("M", "vib.rms")).unit == "bar");
      CHECK(rig.ids_of(AlertEvent::raised).size() == 1);
      states[at_once ? 0 : 1] = rig.engine.save_all(1);
    }
    CHECK(states[0] == states[1]);
  }
}

TEST_CASE("a feature that means something else now is learned anew by its machine, too") {
  for (const bool in_regimes : {false, true}) {
    CAPTURE(in_regimes);
    Plan plan;
    auto w = waveform({"bands"});
    w.bands = {{"low", 0, 100}, {"high", 200, 300}};
    plan.profiles = {of_waveforms("M/vib", w), profile("*", {})};
    plan.machines = {soon_learned()};
    if (in_regimes) {
      plan.machines[0].regime.sensor = "program";
      plan.machines[0].regime.learning = 20s;
    }
    const auto run = [&](Machine& machine, int from, int to) {
      for (int frame = from; frame < to; ++frame) {
        const double time = 30.0 * frame;
        machine.rig.reading("M", "program", time, 1);
        machine.window("vib", time + 0.1);
        for (const auto* sensor : {"temp", "current"})
          machine.rig.reading("M", sensor, time + 0.3, 10 + machine.random.normal());
      }
    };
    const auto loudest = [](const Machine& machine) {
      double most = 0;
      for (const auto& v : machine.rig.effects.machine_verdicts)
        most = std::max(most, v.ratio.value_or(0));
      return most;
    };
    Machine before{plan};
    run(before, 0, 400);
    REQUIRE(!before.rig.effects.health.empty());
    const auto bytes = before.rig.engine.save_all(1);
    const auto after = [&](const Plan& other, bool changed) {
      Machine machine{other, 2};
      Position position = 0;
      REQUIRE(machine.rig.engine.restore_all(bytes, position) == RestoreResult::ok);
      run(machine, 400, 600);
      REQUIRE(machine.rig.effects.machine_verdicts.front().ratio);
      REQUIRE(!machine.rig.effects.health.empty());
      // Changed, the regime is known again when the new values are, 50 frames later.
      const auto& notices = machine.rig.effects.regimes;
      CHECK(notices.size() == (in_regimes && changed ? 1 : 0));
      for (const auto& notice : notices) CHECK(notice.time >= at(30.0 * 448));
      return std::pair{loudest(machine), machine.rig.effects.health.back().index.value_or(-1)};
    };
    // White noise in three times the width, in the same unit.
    plan.profiles[0].waveform->bands[0].high_hz = 300;
    const auto [ratio, health] = after(plan, true);
    CHECK(ratio < 1);
    CHECK(health > 90);
    // What another source said in its place would have been an alarm.
    plan.profiles[0].waveform->bands[0].high_hz = 100;
    CHECK(after(plan, false).first < 1);
  }
}

}  // namespace
}  // namespace millwright::engine
