#include "core/codec.h"
#include "engine/impl.h"

namespace millwright::engine {
namespace {

// The names by number: the numbers alone would say nothing once the rule has changed.
std::vector<std::string> regime_names(const Machine& machine) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < machine.regimes.size(); ++i)
    names.push_back(machine.regimes.name(machine.rule(), static_cast<RegimeId>(i)));
  return names;
}

PastBaseline past_usual(const Machine& machine, const Sensor& sensor, Timestamp until,
                        Position position, BaselineEnd why) {
  auto past = past_of(machine, sensor.name, sensor.of_usual, until, position, why);
  past.detector = usual_by_regime;
  past.configuration = rule_fingerprint(machine.rule());
  past.learned = sensor.usual.learned();
  Writer{past.state}(regime_names(machine), sensor.usual);
  return past;
}

// What is usual of one channel of the machine's frames.
struct PastChannel {
  std::string sensor;
  bool scatter = false;
  UsualValues usual;
  static void fields(auto& io, auto& c) { io(c.sensor, c.scatter, c.usual); }
};

}  // namespace

PastBaseline Engine::Impl::past_usual_of_whole(const Machine& machine, Timestamp until,
                                               Position position, BaselineEnd why) const {
  const auto& whole = machine.whole;
  auto past = past_of(machine, whole_machine, whole.of_usual, until, position, why);
  past.detector = usual_by_regime;
  past.configuration = rule_fingerprint(machine.rule());
  past.learned = 0;
  std::vector<PastChannel> channels;
  for (std::size_t i = 0; i < whole.usual.size(); ++i) {
    const auto& channel = whole.frames.channels()[i];
    channels.push_back(
        {sensors[index(machine.placed[channel.sensor])].name, channel.scatter, whole.usual[i]});
    past.learned = std::max(past.learned, whole.usual[i].learned());
  }
  Writer{past.state}(regime_names(machine), channels);
  return past;
}

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
  effects.renewals.push_back({event.machine, event.position});
}

bool Engine::Impl::tells_of(SensorId id, SensorId waveform) const {
  const auto& wave = sensors[index(waveform)];
  return wave.kin.wave && sensors[index(id)].kin.parent == wave.name;
}

void Engine::Impl::renew(Sensor& sensor, const Event& event, Effects& effects) {
  if (!sensor.seen) return;  // there is nothing to forget
  begin_service(sensor, event);
  const auto now = event_time(sensor, event);
  const auto why = end_of(event.kind);
  for (auto& watch : sensor.watches) {
    if (learns(types[watch.type])) renew(sensor, watch, now, event.position, why, effects);
  }
  const auto& machine = machines[index(sensor.machine)];
  if (sensor.usual.learned() > 0) {
    effects.baselines.push_back(past_usual(machine, sensor, now, event.position, why));
    sensor.of_usual = sensor.of_usual.next();
  }
  sensor.usual = {};
  if (sensor.place) machines[index(sensor.machine)].condition.forget(*sensor.place);
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
    if (sensor.place) machine.condition.forget(*sensor.place);
  }
  renew_whole(machine, position, BaselineEnd::regimes, effects);
  machine.split = true;
}

}  // namespace millwright::engine
