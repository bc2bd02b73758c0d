#include "engine/impl.h"

namespace millwright::engine {
namespace {

// How many times wider the limits of learned detectors are on a machine of so many sensors, so that
// it raises hardly more false alarms than one of five. `auto` raises ten times fewer at one and a
// half times its limit, on simulated healthy sensors (docs/detection.md).
double family_limit(std::size_t sensors) {
  constexpr double usual = 5, steepness = 5.7, step = 1.02;
  const double wanted =
      std::pow(std::max(1.0, static_cast<double>(sensors) / usual), 1 / steepness);
  // In steps: each is a set of parameters.
  return std::pow(step, std::floor(std::log(wanted) / std::log(step) + 1e-9));
}

std::string derived_name(std::string_view parent, const DerivedSensor& derived) {
  return std::string{parent} + "." + derived.suffix;
}

// The detectors of a sensor: of a waveform itself only whether it is silent or has the wrong time,
// of its velocity the zones, too.
std::vector<DetectorChoice> detectors_of(const Profile& profile, const DerivedSensor* derived,
                                         const Profile* parent) {
  auto chosen = profile.detectors;
  const bool is_waveform = derived == nullptr && profile.waveform;
  if (is_waveform)
    std::erase_if(chosen, [](const auto& one) { return one.name != "gap" && one.name != "clock"; });
  // Silence and time are the waveform's; features without a value, or all at their ends, are a
  // machine that stands still.
  if (derived != nullptr) {
    const bool loudness = derived->feature == WaveFeature::rms;
    std::erase_if(chosen, [&](const auto& one) {
      return one.name == "gap" || one.name == "clock" || (one.name == "stuck" && !loudness);
    });
  }
  if (derived == nullptr || derived->feature != WaveFeature::velocity) return chosen;
  const auto limit = std::find_if(chosen.begin(), chosen.end(),
                                  [](const auto& one) { return one.name == "limit"; });
  const auto zones = zones_named(parent->waveform->zones);
  if (zones && limit == chosen.end())
    chosen.push_back({"limit", {{"high", zones->b_to_c}, {"critical", zones->c_to_d}}});
  return chosen;
}

// Named and measured as its waveform says, where its own profile does not.
Kinship kinship(const DerivedSensor& derived, const std::string& parent, const Profile& of_parent,
                const Profile& own) {
  Kinship kin;
  const bool same = &of_parent == &own;
  kin.parent = parent;
  kin.meaning = derived.meaning;
  kin.unit = !same && !own.unit.empty() ? own.unit : derived.unit;
  const auto& label = of_parent.label.empty() ? parent : of_parent.label;
  kin.label = !same && !own.label.empty() ? own.label : label + ", " + derived.title;
  return kin;
}

}  // namespace

std::size_t Engine::Impl::find_type(std::string_view name) const {
  const auto named = [&](const detectors::DetectorType& type) { return type.name == name; };
  const auto found = std::find_if(types.begin(), types.end(), named);
  return static_cast<std::size_t>(found - types.begin());
}

std::size_t Engine::Impl::derived_from(std::string_view machine, std::string_view name) const {
  const auto& profile = profile_for(*plan, machine, name);
  return profile.waveform ? derived_sensors(*profile.waveform, profile.unit).size() : 0;
}

SensorId Engine::Impl::add_sensor(std::string_view machine, std::string_view name) {
  const auto id = add_one(machine, name, nullptr, {});
  attach_wave(id);
  return id;
}

std::optional<DerivedSensor> Engine::Impl::derived_of(std::string_view machine,
                                                      std::string_view parent,
                                                      std::string_view name) const {
  const auto& profile = profile_for(*plan, machine, parent);
  if (!profile.waveform) return std::nullopt;
  for (auto& derived : derived_sensors(*profile.waveform, profile.unit)) {
    if (derived_name(parent, derived) == name) return std::move(derived);
  }
  return std::nullopt;
}

void Engine::Impl::attach_wave(SensorId id) {
  const auto& sensor = sensors[index(id)];
  if (!sensor.kin.parent.empty() || !sensor.profile->waveform) return;
  const auto& profile = *sensor.profile;
  const auto place = waves.size();
  WaveOf fresh{id,
               Wave{*profile.waveform, profile.unit},
               derived_sensors(*profile.waveform, profile.unit),
               {}};
  auto& machine = machines[index(sensor.machine)];
  const std::string parent = sensor.name;
  for (const auto& derived : fresh.features) {
    const auto name = derived_name(parent, derived);
    set_key(machine.name, name);
    const auto known = sensor_ids.find(key);
    if (known == sensor_ids.end()) {
      fresh.told_by.emplace_back(add_one(machine.name, name, &derived, parent));
    } else {
      const bool ours = sensors[index(known->second)].kin.parent == parent;
      fresh.told_by.push_back(ours ? std::optional{known->second} : std::nullopt);
    }
  }
  waves.push_back(std::move(fresh));
  sensors[index(id)].kin.wave = place;
  machine.waves.push_back(place);
  for (const auto member : machine.sensors) {
    auto& other = sensors[index(member)];
    if (other.name == profile.waveform->speed_sensor) other.kin.speeds_of.push_back(place);
  }
}

SensorId Engine::Impl::add_one(std::string_view machine, std::string_view name,
                               const DerivedSensor* derived, const std::string& parent) {
  auto found = machine_ids.find(machine);
  if (found == machine_ids.end()) {
    const auto id = static_cast<MachineId>(machines.size());
    Machine fresh;
    fresh.name = machine;
    fresh.profile = &machine_profile_for(*plan, machine);
    fresh.parameters = apply_parameters<MachineLevel::Params>(fresh.profile->parameters);
    fresh.health = apply_parameters<detectors::Health::Params>(fresh.profile->parameters);
    fresh.fingerprint =
        fingerprint_of(fresh.parameters, MachineLevel::name, MachineLevel::state_version);
    machines.push_back(std::move(fresh));
    found = machine_ids.emplace(std::string{machine}, id).first;
  }
  const auto id = static_cast<SensorId>(sensors.size());
  Sensor sensor;
  sensor.machine = found->second;
  sensor.name = name;
  sensor.profile = &profile_for(*plan, machine, name);
  const auto* of_parent = derived != nullptr ? &profile_for(*plan, machine, parent) : nullptr;
  if (derived != nullptr) sensor.kin = kinship(*derived, parent, *of_parent, *sensor.profile);
  sensor.watches = watches_of(sensor, derived, of_parent);
  auto& machine_of = machines[index(found->second)];
  sensor.names_regime = machine_of.rule().used() && machine_of.rule().sensor == name;
  auto& members = machine_of.sensors;
  members.push_back(id);
  for (const auto place : machine_of.waves) {
    if (waves[place].wave.profile().speed_sensor == name) sensor.kin.speeds_of.push_back(place);
  }
  sensors.push_back(std::move(sensor));
  set_key(machine, name);
  sensor_ids.emplace(key, id);
  return id;
}

std::vector<Watch> Engine::Impl::watches_of(const Sensor& sensor, const DerivedSensor* derived,
                                            const Profile* of_parent) {
  std::vector<Watch> out;
  for (const auto& choice : detectors_of(*sensor.profile, derived, of_parent)) {
    const auto type = find_type(choice.name);
    check(type < columns.size(), "a profile names only known detectors");
    auto parameters = choice.parameters;
    double limit = sensor.profile->alarm.limit;
    if (const auto limit_name = types[type].alarm_parameter; !limit_name.empty()) {
      auto& own = parameters.emplace(limit_name, limit).first->second;
      limit = own;
      own *= machines[index(sensor.machine)].family_limit;
    }
    out.push_back({type, columns[type]->add(parameters), {}, {}, limit});
  }
  return out;
}

bool Engine::Impl::is_orphan(const Sensor& sensor) const {
  const auto& machine = machines[index(sensor.machine)].name;
  return !sensor.kin.parent.empty() && !derived_of(machine, sensor.kin.parent, sensor.name);
}

// Nothing of the feature is left in it: when the plan changed, its detectors went, its alerts were
// closed, and its place among the machine's sensors was emptied (engine/saved.cpp).
void Engine::Impl::take_over(SensorId id) {
  auto& sensor = sensors[index(id)];
  sensor.kin.parent.clear();
  sensor.kin.meaning = 0;
  sensor.watches = watches_of(sensor, nullptr, nullptr);
  attach_wave(id);
}

void Engine::Impl::set_key(std::string_view machine, std::string_view name) {
  key.assign(machine).push_back('\0');
  key.append(name);
}

void Engine::Impl::retune(Machine& machine) {
  const auto seen = std::count_if(machine.sensors.begin(), machine.sensors.end(), [&](SensorId id) {
    const auto& s = sensors[index(id)];
    return s.seen && !s.names_regime && !s.kin.wave;
  });
  const double limit = family_limit(static_cast<std::size_t>(seen));
  const bool same = limit == machine.family_limit;
  machine.family_limit = limit;
  if (same) return;
  for (const auto id : machine.sensors) {
    for (const auto& watch : sensors[index(id)].watches) {
      if (!types[watch.type].alarm_parameter.empty())
        columns[watch.type]->retune(watch.slot, watch.limit * limit);
    }
  }
}

}  // namespace millwright::engine
