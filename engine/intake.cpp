#include "engine/impl.h"

namespace millwright::engine {
namespace {

constexpr std::size_t longest_wait = 256;  // readings in one sensor's reorder buffer

}  // namespace

void Engine::Impl::enqueue(Entry entry, Effects& effects) {
  auto& sensor = sensors[index(entry.sensor)];
  if (sensor.round == round_number || round.size() >= detectors::most_of_batch) flush(effects);
  if (is_scored(entry)) tell_regime(entry, sensor, effects);
  sensor.round = round_number;
  round.push_back(entry);
}

void Engine::Impl::tell_regime(Entry& entry, const Sensor& sensor, Effects& effects) {
  auto& machine = machines[index(sensor.machine)];
  const auto& rule = machine.rule();
  if (rule.learned > 0) find_regime(entry, sensor, effects);
  if (!machine.in_regimes()) return;
  entry.in_regimes = true;
  if (sensor.names_regime && machine.regimes.follow(rule, entry.sample))
    entry.new_regime = machine.regimes.newest();
  entry.regime = machine.regimes.at(rule, entry.sample.time);
  if (entry.begin && machine.regimes.at(rule, *entry.begin) != entry.regime)
    entry.regime = regime_transition;
  if (rule.learned > 0 && machine.finder.holds()) entry.regime = regime_transition;
  if (!sensor.names_regime && entry.regime != regime_transition)
    entry.measure = sensor.usual.measure(rule, entry.regime);
}

void Engine::Impl::find_regime(const Entry& entry, const Sensor& sensor, Effects& effects) {
  auto& machine = machines[index(sensor.machine)];
  const auto before = machine.regimes.size();
  // A sensor has its place from its second reading on, however the input is cut.
  if (!sensor.place) return;
  machine.finder.take(machine.rule(), *sensor.place, entry.sample, machine.regimes);
  const auto now = machine.regimes.size();
  if (now == before) return;
  // What came before is judged as what it was then.
  flush(effects);
  if (!machine.split) renew_for_regimes(machine, entry.position, effects);
  for (std::size_t id = before; id < now; ++id) {
    effects.regimes.push_back({sensor.machine,
                               machine.regimes.name(machine.rule(), static_cast<RegimeId>(id)),
                               RegimeNotice::What::learning, entry.sample.time});
  }
}

void Engine::Impl::take(const Event& event, Effects& effects) {
  check(index(event.reading.sensor) < sensors.size(), "a reading names a known sensor");
  received += event.kind == Event::Kind::block ? event.block->samples.size() : 1;
  if (event.kind == Event::Kind::block) return take_samples(event, *event.block, effects);
  auto& sensor = sensors[index(event.reading.sensor)];
  if (sensor.kin.wave) {
    const auto& [time, value] = event.reading.sample;
    return take_samples(event, {time, 0, {&value, 1}}, effects);
  }
  Entry entry{event.reading.sensor, event.position, event.reading.sample, event.arrival};
  const auto refusal = refuse(event, sensor);
  entry.received = event.received;
  entry.stamp_error = stamp_error(event, entry.sample.time, refusal);
  if (refusal) {
    entry.kind = *refusal == Outcome::late ? Entry::Kind::late : Entry::Kind::ignored;
    entry.outcome = *refusal;
    return enqueue(entry, effects);
  }
  // From the first sample on: who is onboarded already depends on how the input is cut.
  for (const auto place : sensor.kin.speeds_of) {
    auto& of = waves[place];
    if (sensors[index(of.sensor)].seen) of.wave.hear_speed(entry.sample.time, entry.sample.value);
  }
  if (plan->reorder <= Duration{0}) {
    see(sensor, effects);
    sensor.newest = event.reading.sample.time;
    return enqueue(entry, effects);
  }
  hold(sensor, entry, effects);
}

void Engine::Impl::see(Sensor& sensor, Effects& effects) {
  if (sensor.seen) return;
  flush(effects);
  sensor.seen = true;
  retune(machines[index(sensor.machine)]);
}

std::optional<Outcome> Engine::Impl::refuse(const Event& event, const Sensor& sensor) const {
  const auto& sample = event.reading.sample;
  if (!std::isfinite(sample.value)) return Outcome::not_finite;
  if (std::abs(sample.value) > largest_magnitude) return Outcome::out_of_range;
  if (sample.time > event.received + plan->future_tolerance) return Outcome::future;
  if (sample.time < event.received - plan->oldest_accepted) return Outcome::too_old;
  if (sensor.seen && sample.time == sensor.newest) return Outcome::duplicate;
  if (sensor.seen && sample.time < sensor.newest) {
    return event.redelivered ? Outcome::duplicate : Outcome::late;
  }
  const bool waits_already =
      std::any_of(sensor.waiting.begin(), sensor.waiting.end(),
                  [&](const Waiting& w) { return w.sample.time == sample.time; });
  if (waits_already) return Outcome::duplicate;
  return std::nullopt;
}

// A repeated reading may be an old one that is sent until there is a new one.
std::optional<double> Engine::Impl::stamp_error(const Event& event, Timestamp time,
                                                const std::optional<Outcome>& refused) const {
  // Apart, since the difference of extremes overflows.
  const double ahead = 1e-6 * (static_cast<double>(to_microseconds(time)) -
                               static_cast<double>(to_microseconds(event.received)));
  if (!refused) return time < event.received - plan->lag_limit ? ahead : 0;
  switch (*refused) {
    case Outcome::future:
    case Outcome::too_old:
      return ahead;
    case Outcome::late:  // also where the gateway's clock agrees with it
      return std::min(ahead, to_seconds(Duration{-1}));
    default:
      return std::nullopt;
  }
}

void Engine::Impl::hold(Sensor& sensor, Entry entry, Effects& effects) {
  const auto later =
      std::upper_bound(sensor.waiting.begin(), sensor.waiting.end(), entry.sample.time,
                       [](Timestamp t, const Waiting& w) { return t < w.sample.time; });
  sensor.waiting.insert(later, {entry.sample, entry.arrival});
  entry.kind = Entry::Kind::waiting;
  enqueue(entry, effects);
  const auto due = sensor.waiting.back().sample.time - plan->reorder;
  while (!sensor.waiting.empty() &&
         (sensor.waiting.front().sample.time <= due || sensor.waiting.size() > longest_wait)) {
    release(entry.sensor, entry.position, effects);
  }
}

void Engine::Impl::release(SensorId id, Position position, Effects& effects) {
  auto& sensor = sensors[index(id)];
  const auto first = sensor.waiting.front();
  sensor.waiting.erase(sensor.waiting.begin());
  see(sensor, effects);
  sensor.newest = first.sample.time;
  Entry entry{id, position, first.sample, first.arrival};
  entry.kind = Entry::Kind::released;
  enqueue(entry, effects);
}

}  // namespace millwright::engine
