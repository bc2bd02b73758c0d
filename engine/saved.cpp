#include "core/codec.h"
#include "engine/impl.h"

namespace millwright::engine {
namespace {

constexpr std::uint32_t machine_magic = 0x314d574d;  // "MWM1"
constexpr std::uint32_t engine_magic = 0x3145574d;   // "MWE1"
constexpr std::uint16_t state_version = 7;           // docs/formats/state.md

static_assert(static_cast<int>(AlertKind::count_) == 18 && static_cast<int>(Outcome::count_) == 13,
              "kinds and outcomes stand in the state as numbers: new ones, a new state_version");

// Appends `body` with its length and checksum.
void append_sealed(std::string& out, std::string_view body) {
  Writer write{out};
  write(static_cast<std::uint64_t>(body.size()), hash64(body));
  out.append(body);
}

RestoreResult read_header(Reader& in, std::uint32_t expected_magic) {
  std::uint32_t magic = 0;
  std::uint16_t version = 0;
  in(magic, version);
  if (!in.ok()) return RestoreResult::damaged;
  if (magic != expected_magic) return RestoreResult::unknown_format;
  if (version < state_version) return RestoreResult::older_version;
  if (version > state_version) return RestoreResult::newer_version;
  return RestoreResult::ok;
}

// The next sealed block; nothing when it is cut short or its checksum does not hold.
std::optional<std::string_view> take_sealed(Reader& in) {
  std::uint64_t size = 0, checksum = 0;
  in(size, checksum);
  const auto body = in.take(size);
  if (!in.ok() || hash64(body) != checksum) return std::nullopt;
  return body;
}

}  // namespace

struct SavedDetector {
  std::string name;
  std::uint16_t version = 0;
  std::uint64_t fingerprint = 0;
  Alarm alarm;
  Baseline baseline;
  std::string state;
  static void fields(auto& io, auto& d) {
    io(d.name, d.version, d.fingerprint, d.alarm, d.baseline, d.state);
  }
};
struct SavedSensor {
  Sensor sensor;
  std::vector<SavedDetector> detectors;
  std::uint64_t wave_fingerprint = 0;
  std::string wave;           // empty: it is none
  bool other_values = false;  // not state: what it says now means something else
  static void fields(auto& io, auto& s) {
    io(s.sensor.name, s.sensor, s.detectors, s.sensor.kin.parent, s.sensor.kin.meaning,
       s.wave_fingerprint, s.wave);
  }
};
struct SavedMachine {
  std::string name;
  std::vector<SavedSensor> sensors;
  Whole whole;
  Condition condition;
  std::uint16_t version = 0;      // of the detector `machine`
  std::uint64_t fingerprint = 0;  // of its parameters
  std::string state;
  Regimes regimes;
  RegimeFinder finder;
  std::uint64_t rule = 0;             // fingerprint of what tells them
  std::vector<std::uint32_t> placed;  // by place: which of its sensors
  std::optional<ServiceWait> service;
  static void fields(auto& io, auto& m) {
    io(m.name, m.sensors, m.whole, m.condition, m.version, m.fingerprint, m.state, m.regimes,
       m.finder, m.rule, m.placed, m.service);
  }
  bool sound() const {
    std::vector<bool> has(sensors.size());
    for (const auto sensor : placed) {
      if (sensor >= has.size() || has[sensor]) return false;
      has[sensor] = true;
    }
    return placed.size() <= MachineLevel::most_sensors && whole.frames.size() <= placed.size();
  }
};

std::string Engine::Impl::save(const Machine& machine) const {
  SavedMachine saved;
  saved.name = machine.name;
  for (const auto id : machine.sensors) {
    const auto& sensor = sensors[index(id)];
    SavedSensor out{sensor, {}, 0, {}};
    if (sensor.kin.wave) {
      const auto& wave = waves[*sensor.kin.wave].wave;
      out.wave_fingerprint = wave.fingerprint();
      Writer{out.wave}(wave);
    }
    out.sensor.open.sensor = SensorId{};  // dense ids belong to this process, not to the state
    for (const auto& watch : sensor.watches) {
      const auto& type = types[watch.type];
      SavedDetector detector{std::string{type.name},
                             type.state_version,
                             columns[watch.type]->fingerprint(watch.slot),
                             watch.alarm,
                             watch.baseline,
                             {}};
      Writer write{detector.state};
      columns[watch.type]->save(watch.slot, write);
      out.detectors.push_back(std::move(detector));
    }
    saved.sensors.push_back(std::move(out));
  }
  saved.whole = machine.whole;
  saved.condition = machine.condition;
  saved.version = MachineLevel::state_version;
  saved.fingerprint = machine.fingerprint;
  saved.regimes = machine.regimes;
  saved.finder = machine.finder;
  saved.rule = rule_fingerprint(machine.rule());
  saved.service = machine.service;
  for (const auto id : machine.placed) {
    const auto at = std::find(machine.sensors.begin(), machine.sensors.end(), id);
    saved.placed.push_back(static_cast<std::uint32_t>(at - machine.sensors.begin()));
  }
  Writer{saved.state}(machine.whole.state);
  std::string body, bytes;
  Writer{body}(saved);
  Writer{bytes}(machine_magic, state_version);
  append_sealed(bytes, body);
  return bytes;
}

RestoreResult Engine::Impl::restore(std::string_view bytes) {
  Reader in{bytes};
  if (const auto result = read_header(in, machine_magic); result != RestoreResult::ok)
    return result;
  const auto body = take_sealed(in);
  if (!body || !in.at_end()) return RestoreResult::damaged;
  SavedMachine saved;
  Reader reader{*body};
  reader(saved);
  if (!reader.ok() || !reader.at_end() || !saved.sound() || machine_ids.contains(saved.name))
    return RestoreResult::damaged;
  const bool same_regimes =
      saved.rule == rule_fingerprint(machine_profile_for(*plan, saved.name).regime);
  const auto first = sensors.size();
  for (auto& sensor : saved.sensors) adopt(saved.name, sensor, same_regimes);
  // After all sensors of the machine: those that windows tell of are known then.
  for (std::size_t i = 0; i < saved.sensors.size(); ++i)
    adopt_wave(static_cast<SensorId>(first + i), saved.sensors[i]);
  if (const auto found = machine_ids.find(saved.name); found != machine_ids.end()) {
    adopt(machines[index(found->second)], saved);
    retune(machines[index(found->second)]);
  }
  return RestoreResult::ok;
}

void Engine::Impl::adopt(Machine& machine, SavedMachine& saved) {
  machine.whole = std::move(saved.whole);
  machine.condition = std::move(saved.condition);
  machine.service = saved.service;
  for (const auto sensor : saved.placed) {
    const auto id = machine.sensors[sensor];
    sensors[index(id)].place = machine.placed.size();
    machine.placed.push_back(id);
  }
  const bool same_regimes = saved.rule == rule_fingerprint(machine.rule());
  if (same_regimes) {
    machine.regimes = std::move(saved.regimes);
    machine.finder = std::move(saved.finder);
    machine.split = machine.finder.found();
  } else {
    machine.whole.forget_regimes();
    machine.whole.of_usual = machine.whole.of_usual.next();
  }
  const bool same = same_regimes && saved.version == MachineLevel::state_version &&
                    saved.fingerprint == machine.fingerprint;
  auto& state = machine.whole.state;
  Reader reader{saved.state};
  if (same) reader(state);
  const bool kept = same && reader.ok() && reader.at_end();
  unreadable_states += same && !kept;
  if (!kept) state = {};
  const bool learned = state.learned > 0;
  for (std::size_t i = 0; i < saved.placed.size(); ++i) {
    if (saved.sensors[saved.placed[i]].other_values) forget_place(machine, i);
  }
  if (!kept || (learned && state.learned == 0))
    machine.whole.baseline = machine.whole.baseline.next();
}

void Engine::Impl::adopt(const std::string& machine, SavedSensor& saved, bool same_regimes) {
  const auto parent = saved.sensor.kin.parent;
  const auto derived =
      parent.empty() ? std::nullopt : derived_of(machine, parent, saved.sensor.name);
  const auto id = add_one(machine, saved.sensor.name, derived ? &*derived : nullptr, parent);
  auto& sensor = sensors[index(id)];
  // Of a waveform that tells of other things now: nothing comes any more, so nobody waits for it.
  if (!parent.empty() && !derived) sensor.watches.clear();
  const bool same = parent.empty() || (derived && derived->meaning == saved.sensor.kin.meaning);
  if (!parent.empty()) sensor.kin.parent = parent;
  saved.other_values = !same;
  saved.sensor.kin = std::move(sensor.kin);
  saved.sensor.machine = sensor.machine;
  saved.sensor.names_regime = sensor.names_regime;
  if (!same_regimes || !same) {
    saved.sensor.usual = {};
    // Its readings cannot be compared any more; without sensors to compare nothing is told.
    saved.sensor.trouble.reset();
    saved.sensor.after_service.reset();
    saved.sensor.of_usual = saved.sensor.of_usual.next();
  }
  saved.sensor.profile = sensor.profile;
  saved.sensor.watches = std::move(sensor.watches);
  sensor = std::move(saved.sensor);
  sensor.open.sensor = id;
  for (auto& detector : saved.detectors) adopt(sensor, detector, same, same_regimes);
}

void Engine::Impl::adopt_wave(SensorId id, const SavedSensor& saved) {
  attach_wave(id);
  const auto place = sensors[index(id)].kin.wave;
  if (!place) return;
  auto& of = waves[*place];
  if (saved.wave.empty() || saved.wave_fingerprint != of.wave.fingerprint()) return;
  Wave wave = of.wave;
  Reader reader{saved.wave};
  reader(wave);
  const bool whole = reader.ok() && reader.at_end();
  if (whole) of.wave = std::move(wave);
  unreadable_states += !whole;
}

void Engine::Impl::adopt(Sensor& sensor, SavedDetector& saved, bool same_values,
                         bool same_regimes) {
  const auto type = find_type(saved.name);
  const auto watch = std::find_if(sensor.watches.begin(), sensor.watches.end(),
                                  [&](const Watch& w) { return w.type == type; });
  if (watch == sensor.watches.end()) {
    if (saved.alarm.phase == Phase::active)
      sensor.leftovers.push_back({saved.name, saved.alarm, saved.baseline});
    return;
  }
  watch->alarm = saved.alarm;
  watch->baseline = saved.baseline;
  auto& column = *columns[type];
  const bool same = same_values && saved.version == types[type].state_version &&
                    saved.fingerprint == column.fingerprint(watch->slot) &&
                    (same_regimes || !goes_by_regime(types[type]));
  const bool kept = same && column.restore(watch->slot, saved.state);
  if (!kept) watch->baseline = watch->baseline.next();
  unreadable_states += same && !kept;
}

std::string Engine::save(MachineId id) const { return impl_->save(impl_->machines[index(id)]); }
RestoreResult Engine::restore(std::string_view bytes) { return impl_->restore(bytes); }

std::string Engine::save_all(Position position) const {
  std::string body, bytes;
  Writer write{body};
  write(position, impl_->received, impl_->outcomes,
        static_cast<std::uint32_t>(impl_->machines.size()));
  for (const auto& machine : impl_->machines) write(impl_->save(machine));
  Writer{bytes}(engine_magic, state_version);
  append_sealed(bytes, body);
  return bytes;
}

RestoreResult Engine::restore_all(std::string_view bytes, Position& position) {
  Reader in{bytes};
  if (const auto result = read_header(in, engine_magic); result != RestoreResult::ok) return result;
  const auto body = take_sealed(in);
  if (!body) return RestoreResult::damaged;

  // Into an engine of its own first: what cannot be read leaves this one as it was.
  Engine fresh{impl_->plan, impl_->types};
  Reader reader{*body};
  Position applied = 0;
  std::uint32_t machines = 0;
  reader(applied, fresh.impl_->received, fresh.impl_->outcomes, machines);
  for (std::uint32_t i = 0; i < machines && reader.ok(); ++i) {
    std::string machine;
    reader(machine);
    if (const auto result = fresh.restore(machine); result != RestoreResult::ok) return result;
  }
  if (!reader.ok() || !reader.at_end()) return RestoreResult::damaged;
  impl_ = std::move(fresh.impl_);
  position = applied;
  return RestoreResult::ok;
}

}  // namespace millwright::engine
