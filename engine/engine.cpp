#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "engine/impl.h"

namespace millwright::engine {
namespace {

constexpr std::size_t longest_name = 200;

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_name &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

Engine::Engine(std::shared_ptr<const Plan> plan) : Engine(std::move(plan), detectors::types()) {}
Engine::Engine(std::shared_ptr<const Plan> plan, std::span<const detectors::DetectorType> types)
    : impl_(std::make_unique<Impl>(std::move(plan), types)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::optional<SensorId> Engine::sensor(std::string_view machine, std::string_view sensor,
                                       Outcome& refused) {
  auto& m = *impl_;
  m.set_key(machine, sensor);
  if (const auto it = m.sensor_ids.find(m.key); it != m.sensor_ids.end()) {
    const auto id = it->second;
    // What windows tell comes from nowhere else.
    if (m.is_orphan(m.sensors[index(id)])) m.take_over(id);
    if (m.sensors[index(id)].kin.parent.empty()) return id;
    refused = Outcome::bad_name;
    return std::nullopt;
  }
  if (!good_name(machine) || !good_name(sensor) || sensor == whole_machine) {
    refused = Outcome::bad_name;
    return std::nullopt;
  }
  if (m.sensors.size() + m.derived_from(machine, sensor) >= m.plan->max_sensors) {
    refused = Outcome::sensor_limit;
    return std::nullopt;
  }
  return m.add_sensor(machine, sensor);
}

void Engine::refuse(Outcome why, std::uint64_t readings) noexcept {
  impl_->received += readings;
  impl_->outcomes.add(why, readings);
}

bool Engine::is_waveform(SensorId id) const {
  return impl_->sensors[index(id)].kin.wave.has_value();
}

WindowCounts Engine::windows() const {
  WindowCounts sum;
  for (const auto& of : impl_->waves) sum.merge(of.wave.counts);
  return sum;
}

std::optional<MachineId> Engine::find_machine(std::string_view machine) const {
  const auto it = impl_->machine_ids.find(machine);
  return it == impl_->machine_ids.end() ? std::nullopt : std::optional{it->second};
}

std::optional<SensorId> Engine::find_sensor(std::string_view machine,
                                            std::string_view sensor) const {
  impl_->set_key(machine, sensor);
  const auto it = impl_->sensor_ids.find(impl_->key);
  return it == impl_->sensor_ids.end() ? std::nullopt : std::optional{it->second};
}

void Engine::step(std::span<const Event> events, Effects& effects) {
  for (const auto& event : events) {
    if (event.kind == Event::Kind::reading || event.kind == Event::Kind::block) {
      impl_->take(event, effects);
      continue;
    }
    impl_->flush(effects);
    if (event.kind == Event::Kind::tick) {
      impl_->tick(event, effects);
      effects.ticks.push_back({event.position, event.received});
    } else {
      impl_->renew(event, effects);
    }
  }
  impl_->flush(effects);
}

const Plan& Engine::plan() const { return *impl_->plan; }
std::size_t Engine::sensors() const { return impl_->sensors.size(); }
std::size_t Engine::machines() const { return impl_->machines.size(); }
std::uint64_t Engine::received() const { return impl_->received; }
const Counters<Outcome>& Engine::outcomes() const { return impl_->outcomes; }

SensorInfo Engine::info(SensorId id) const {
  const auto& sensor = impl_->sensors[index(id)];
  return {impl_->machines[index(sensor.machine)].name,
          sensor.name,
          sensor.unit(),
          sensor.label(),
          sensor.taught,
          sensor.warming,
          sensor.newest};
}

std::string_view Engine::machine_name(MachineId id) const {
  return impl_->machines[index(id)].name;
}
bool Engine::names_regime(SensorId id) const { return impl_->sensors[index(id)].names_regime; }
MachineId Engine::machine_of(SensorId id) const { return impl_->sensors[index(id)].machine; }

std::vector<RegimeInfo> Engine::regimes(MachineId id) const {
  const auto& machine = impl_->machines[index(id)];
  const auto& rule = machine.rule();
  std::vector<RegimeInfo> out;
  for (std::size_t i = first_regime; rule.used() && i < machine.regimes.size(); ++i) {
    const auto regime = static_cast<RegimeId>(i);
    RegimeInfo info{machine.regimes.name(rule, regime), 0, 1};
    for (const auto sensor : machine.sensors) {
      const auto& usual = impl_->sensors[index(sensor)].usual;
      info.readings += usual.learned(regime);
      if (usual.learned(regime) > 0)
        info.confidence = std::min(info.confidence, usual.confidence(rule, regime));
    }
    if (info.readings == 0) info.confidence = 0;
    out.push_back(std::move(info));
  }
  return out;
}

std::uint64_t Engine::pending() const {
  std::uint64_t count = 0;
  for (const auto& sensor : impl_->sensors) count += sensor.waiting.size();
  return count;
}

std::size_t Engine::active_alerts() const {
  std::size_t count = 0;
  for (const auto& sensor : impl_->sensors) {
    for (const auto& watch : sensor.watches) count += watch.alarm.phase == Phase::active;
  }
  for (const auto& machine : impl_->machines) count += machine.whole.alarm.phase == Phase::active;
  return count;
}

std::size_t Engine::warming() const {
  return static_cast<std::size_t>(
      std::count_if(impl_->sensors.begin(), impl_->sensors.end(),
                    [](const Sensor& sensor) { return sensor.warming; }));
}

std::uint64_t Engine::unreadable_states() const { return impl_->unreadable_states; }

}  // namespace millwright::engine
