#include "core/codec.h"
#include "engine/impl.h"

namespace millwright::engine {

void Engine::Impl::renew(const Event& event, Effects& effects) {
  check(index(event.machine) < machines.size(), "an operation names a known machine");
  const auto& concerned = machines[index(event.machine)].sensors;
  const auto each = [&](auto&& visit) {
    for (const auto id : concerned) {
      if (event.sensor.value_or(id) == id || tells_of(id, *event.sensor)) visit(id);
    }
  };
  // What came before the operation counts before it: nothing of the old machine is to teach the
  // new baseline.
  each([&](SensorId id) {
    while (!sensors[index(id)].waiting.empty()) release(id, event.position, effects);
  });
  flush(effects);
  each([&](SensorId id) { renew(sensors[index(id)], event, effects); });
  if (event.sensor) return;
  auto& machine = machines[index(event.machine)];
  renew_whole(machine, event.position, end_of(event.kind), effects);
  machine.finder.reopen();
}

bool Engine::Impl::tells_of(SensorId id, SensorId waveform) const {
  const auto& wave = sensors[index(waveform)];
  return wave.kin.wave && sensors[index(id)].kin.parent == wave.name;
}

void Engine::Impl::renew(Sensor& sensor, const Event& event, Effects& effects) {
  if (!sensor.seen) return;  // there is nothing to forget
  const auto now = event_time(sensor, event);
  const auto why = end_of(event.kind);
  for (auto& watch : sensor.watches) {
    if (learns(types[watch.type])) renew(sensor, watch, now, event.position, why, effects);
  }
  sensor.usual = {};
  machines[index(sensor.machine)].condition.forget(sensor.place);
}

void Engine::Impl::renew(const Sensor& sensor, Watch& watch, Timestamp now, Position position,
                         BaselineEnd why, Effects& effects) {
  auto& alarm = watch.alarm;
  const auto confidence = explain(sensor, watch, std::nullopt).confidence;
  const bool on_machine = class_of(alarm.kind) == AlertClass::machine;
  if (alarm.phase == Phase::active && on_machine)
    effects.alerts.push_back(end_alarm(sensor, watch, now, position, why, confidence));
  interrupt(alarm);
  auto past = past_baseline(sensor, watch, now, position, why, confidence);
  Writer write{past.state};
  columns[watch.type]->save(watch.slot, write);
  effects.baselines.push_back(std::move(past));
  columns[watch.type]->renew(watch.slot);
  watch.baseline = watch.baseline.next();
}

void Engine::Impl::renew_for_regimes(Machine& machine, Position position, Effects& effects) {
  for (const auto id : machine.sensors) {
    auto& sensor = sensors[index(id)];
    if (!sensor.seen) continue;
    for (auto& watch : sensor.watches) {
      const auto& type = types[watch.type];
      if (learns(type) && goes_by_regime(type))
        renew(sensor, watch, sensor.newest, position, BaselineEnd::regimes, effects);
    }
    sensor.usual = {};
    machine.condition.forget(sensor.place);
  }
  renew_whole(machine, position, BaselineEnd::regimes, effects);
  machine.split = true;
}

}  // namespace millwright::engine
