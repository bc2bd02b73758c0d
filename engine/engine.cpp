#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "core/codec.h"
#include "core/hash.h"
#include "detectors/all.h"
#include "engine/alarm.h"
#include "engine/message.h"
#include "engine/sensor.h"

namespace millwright::engine {
namespace {

constexpr std::uint32_t machine_magic = 0x314d574d;  // "MWM1"
constexpr std::uint32_t engine_magic = 0x3145574d;   // "MWE1"
constexpr std::uint16_t format_version = 1;
constexpr std::size_t longest_name = 200;
constexpr std::size_t longest_wait = 256;  // readings in one sensor's reorder buffer
constexpr Duration minute_patience = std::chrono::seconds{90};

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_name &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Timestamp minute_of(Timestamp time) { return std::chrono::floor<std::chrono::minutes>(time); }

// Appends `body` with its length and checksum.
void append_sealed(std::string& out, std::string_view body) {
  Writer write{out};
  write(static_cast<std::uint64_t>(body.size()), hash64(body));
  out.append(body);
}

// The next sealed block; nothing when it is cut short or its checksum does not hold.
std::optional<std::string_view> take_sealed(Reader& in) {
  std::uint64_t size = 0, checksum = 0;
  in(size, checksum);
  const auto body = in.take(size);
  if (!in.ok() || hash64(body) != checksum) return std::nullopt;
  return body;
}

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return hash64(text); }
};

// What a reading of the round needs, in input order.
struct Entry {
  SensorId sensor{};
  Position position = 0;
  Sample sample;
  Timestamp arrival;
  enum class Kind : std::uint8_t {
    scored,    // goes to the detectors
    late,      // summarised in its own minute
    ignored,   // counted (`outcome`); a sign of life
    waiting,   // went into the reorder buffer; a sign of life
    released,  // came out of the reorder buffer: scored, no sign of life
  } kind = Kind::scored;
  Outcome outcome = Outcome::learned;
};

struct Machine {
  std::string name;
  std::vector<SensorId> sensors;
};

// A state block as read back, before anything is changed.
struct SavedDetector {
  std::string name;
  std::uint16_t version = 0;
  std::uint64_t fingerprint = 0;
  Alarm alarm;
  std::string state;
  static void fields(auto& io, auto& d) { io(d.name, d.version, d.fingerprint, d.alarm, d.state); }
};
struct SavedSensor {
  Sensor sensor;
  std::vector<SavedDetector> detectors;
  static void fields(auto& io, auto& s) { io(s.sensor.name, s.sensor, s.detectors); }
};
struct SavedMachine {
  std::string name;
  std::vector<SavedSensor> sensors;
  static void fields(auto& io, auto& m) { io(m.name, m.sensors); }
};

}  // namespace

struct Engine::Impl {
  explicit Impl(std::shared_ptr<const Plan> p) : plan(std::move(p)) {
    for (const auto& type : detectors::types()) columns.push_back(type.make_column());
    batches.resize(columns.size());
  }

  std::shared_ptr<const Plan> plan;
  std::vector<Machine> machines;
  std::vector<Sensor> sensors;
  std::unordered_map<std::string, MachineId, NameHash, std::equal_to<>> machine_ids;
  std::unordered_map<std::string, SensorId, NameHash, std::equal_to<>>
      sensor_ids;                                           // machine\0sensor
  std::vector<std::unique_ptr<detectors::Column>> columns;  // one per detector type
  Counters<Outcome> outcomes;
  std::uint64_t received = 0;
  std::uint64_t unreadable_states = 0;
  std::string key;  // reused for look-ups

  // The round: at most one entry per sensor, so that every detector learns a reading before the
  // next is scored.
  struct Batch {
    std::vector<detectors::Item> items;
    std::vector<std::size_t> entries;  // item -> entry
    std::vector<std::size_t> watches;  // item -> watch of the sensor
    std::vector<std::optional<Score>> scores;
    std::vector<Trust> trust;
    std::vector<Learned> learned;
    void clear() {
      items.clear();
      entries.clear();
      watches.clear();
    }
  };
  std::vector<Entry> round;
  std::uint64_t round_number = 1;
  std::vector<Batch> batches;                             // one per detector type
  std::vector<std::vector<std::optional<Score>>> scores;  // entry -> watch -> score
  std::vector<Trust> trust;                               // entry
  std::vector<std::optional<Score>> silence;

  // --- who is who ---

  SensorId add_sensor(std::string_view machine, std::string_view name) {
    auto found = machine_ids.find(machine);
    if (found == machine_ids.end()) {
      const auto id = static_cast<MachineId>(machines.size());
      machines.push_back({std::string{machine}, {}});
      found = machine_ids.emplace(std::string{machine}, id).first;
    }
    const auto id = static_cast<SensorId>(sensors.size());
    Sensor sensor;
    sensor.machine = found->second;
    sensor.name = name;
    sensor.profile = &profile_for(*plan, machine, name);
    for (const auto& choice : sensor.profile->detectors) {
      const auto type = detectors::find_type(choice.name);
      check(type < columns.size(), "a profile names only known detectors");
      sensor.watches.push_back({type, columns[type]->add(choice.parameters), {}});
    }
    machines[index(found->second)].sensors.push_back(id);
    sensors.push_back(std::move(sensor));
    set_key(machine, name);
    sensor_ids.emplace(key, id);
    return id;
  }

  void set_key(std::string_view machine, std::string_view name) {
    key.assign(machine).push_back('\0');
    key.append(name);
  }

  // --- taking readings in ---

  void enqueue(const Entry& entry, Effects& effects) {
    auto* sensor = &sensors[index(entry.sensor)];
    if (sensor->round == round_number) flush(effects);
    sensor->round = round_number;
    round.push_back(entry);
  }

  void take(const Event& event, Effects& effects) {
    ++received;
    check(index(event.reading.sensor) < sensors.size(), "a reading names a known sensor");
    auto& sensor = sensors[index(event.reading.sensor)];
    Entry entry{event.reading.sensor, event.position, event.reading.sample, event.arrival};
    if (const auto refusal = refuse(event, sensor)) {
      entry.kind = *refusal == Outcome::late ? Entry::Kind::late : Entry::Kind::ignored;
      entry.outcome = *refusal;
      return enqueue(entry, effects);
    }
    if (plan->reorder <= Duration{0}) {
      sensor.seen = true;
      sensor.newest = event.reading.sample.time;
      return enqueue(entry, effects);
    }
    hold(sensor, entry, effects);
  }

  std::optional<Outcome> refuse(const Event& event, const Sensor& sensor) const {
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

  // Into the reorder buffer, and out of it what is old enough or one too many.
  void hold(Sensor& sensor, Entry entry, Effects& effects) {
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

  void release(SensorId id, Position position, Effects& effects) {
    auto& sensor = sensors[index(id)];
    const auto first = sensor.waiting.front();
    sensor.waiting.erase(sensor.waiting.begin());
    sensor.seen = true;
    sensor.newest = first.sample.time;
    Entry entry{id, position, first.sample, first.arrival};
    entry.kind = Entry::Kind::released;
    enqueue(entry, effects);
  }

  // --- a round: score all, then decide in input order, then learn all ---

  void flush(Effects& effects) {
    if (round.empty()) return;
    score_round();
    for (std::size_t i = 0; i < round.size(); ++i) trust[i] = conclude(i, effects);
    learn_round();
    round.clear();
    ++round_number;
  }

  void score_round() {
    if (scores.size() < round.size()) scores.resize(round.size());
    trust.assign(round.size(), Trust::normal);
    for (auto& batch : batches) batch.clear();
    for (std::size_t i = 0; i < round.size(); ++i) {
      const auto& entry = round[i];
      const auto& sensor = sensors[index(entry.sensor)];
      scores[i].assign(sensor.watches.size(), std::nullopt);
      for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
        const auto& watch = sensor.watches[w];
        const bool hears_arrivals =
            detectors::types()[watch.type].timeline == detectors::Timeline::arrival;
        if (!(hears_arrivals ? entry.kind != Entry::Kind::released : is_scored(entry))) continue;
        auto sample = entry.sample;
        if (hears_arrivals) {
          sample.time = entry.arrival;
          if (entry.kind == Entry::Kind::ignored)
            sample.value = sensor.last_value;  // it may be no number at all
        }
        auto& batch = batches[watch.type];
        batch.items.push_back({watch.slot, sample});
        batch.entries.push_back(i);
        batch.watches.push_back(w);
      }
    }
    for (std::size_t type = 0; type < batches.size(); ++type) {
      auto& batch = batches[type];
      batch.scores.assign(batch.items.size(), std::nullopt);
      columns[type]->score(batch.items, batch.scores);
      for (std::size_t k = 0; k < batch.items.size(); ++k) {
        scores[batch.entries[k]][batch.watches[k]] = batch.scores[k];
      }
    }
  }

  void learn_round() {
    for (std::size_t type = 0; type < batches.size(); ++type) {
      auto& batch = batches[type];
      batch.trust.clear();
      for (const auto entry : batch.entries) batch.trust.push_back(trust[entry]);
      batch.learned.assign(batch.items.size(), Learned::as_usual);
      columns[type]->learn(batch.items, batch.trust, batch.learned);
    }
  }

  static bool is_scored(const Entry& entry) {
    return entry.kind == Entry::Kind::scored || entry.kind == Entry::Kind::released;
  }

  // One reading's outcome: alerts, counters, summary, verdict. Says whether it may teach.
  Trust conclude(std::size_t i, Effects& effects) {
    const auto& entry = round[i];
    auto& sensor = sensors[index(entry.sensor)];
    if (entry.kind != Entry::Kind::released) sensor.last_arrival = entry.arrival;

    std::optional<Score> combined;
    std::string_view leader;
    bool suspicious = false, learning = false, scored_by_learner = false;
    if (is_scored(entry)) {
      sensor.recent.add(entry.sample);
      sensor.last_value = entry.sample.value;
    }
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      const auto& type = detectors::types()[sensor.watches[w].type];
      const auto& score = scores[i][w];
      if (type.timeline == detectors::Timeline::event) {
        const bool learner = type.kind != AlertKind::limit;
        learning |= learner;
        scored_by_learner |= learner && score.has_value();
        if (score && (!combined || score->ratio > combined->ratio)) {
          combined = score;
          leader = type.name;
        }
        suspicious |= score && score->ratio >= limit_for(sensor, type.kind);
      }
      judge(entry.sensor, w, entry.sample.time, score, entry.position, effects);
    }

    Outcome outcome = entry.outcome;
    if (is_scored(entry)) {
      sensor.warming = learning && !scored_by_learner;
      outcome = suspicious ? Outcome::held : sensor.warming ? Outcome::warming : Outcome::learned;
      if (!suspicious) ++sensor.taught;
      add_to_minute(sensor, entry, outcome, effects);
    } else if (entry.kind == Entry::Kind::late) {
      summarise_late(entry, effects);
    }
    if (entry.kind != Entry::Kind::waiting) {
      outcomes.add(outcome);
      if (effects.want_verdicts) {
        effects.verdicts.push_back(
            {entry.sensor, entry.sample, outcome, combined, leader, has_alert(sensor)});
      }
    }
    return suspicious ? Trust::suspicious : Trust::normal;
  }

  static bool has_alert(const Sensor& sensor) {
    return std::any_of(sensor.watches.begin(), sensor.watches.end(),
                       [](const Watch& w) { return w.alarm.phase == Phase::active; });
  }

  // --- alerts ---

  // `sensitivity` moves the limit of what was learned; a limit that a person set, and silence, stay
  // where they are.
  static double limit_for(const Sensor& sensor, AlertKind kind) {
    const bool fixed = kind == AlertKind::limit || class_of(kind) == AlertClass::sensor;
    return fixed ? 1.0 : sensor.profile->alarm.limit;
  }

  void judge(SensorId id, std::size_t w, Timestamp time, std::optional<Score> score,
             Position position, Effects& effects) {
    if (!score) return;
    auto& sensor = sensors[index(id)];
    auto& watch = sensor.watches[w];
    const auto& type = detectors::types()[watch.type];
    score->ratio /= limit_for(sensor, type.kind);
    const auto event = advance(watch.alarm, sensor.profile->alarm, type.kind, time, score);
    if (event)
      effects.alerts.push_back(make_alert(sensor, watch, type, *event, time, *score, position));
  }

  Alert make_alert(const Sensor& sensor, const Watch& watch, const detectors::DetectorType& type,
                   AlertEvent event, Timestamp time, const Score& score, Position position) const {
    auto alert = alert_frame(sensor, type.kind, type.name, watch.alarm, event, time, position);
    alert.value = sensor.last_value;
    alert.expected = score.expected;
    alert.low = score.low;
    alert.high = score.high;
    alert.score = score.ratio;
    alert.priority = priority_of(alert.severity, score.ratio);
    alert.detector_version = type.state_version;
    alert.configuration = columns[watch.type]->fingerprint(watch.slot);
    alert.message = alert_message(alert, label_of(sensor));
    return alert;
  }

  Alert alert_frame(const Sensor& sensor, AlertKind kind, std::string_view detector,
                    const Alarm& alarm, AlertEvent event, Timestamp time, Position position) const {
    Alert alert;
    const auto& machine = machines[index(sensor.machine)].name;
    alert.id = machine + "/" + sensor.name + "/" + std::string{name_of(kind)} + "/" +
               std::to_string(alarm.onset_ms);
    alert.revision = alarm.revision;
    alert.event = event;
    const bool over = event == AlertEvent::cleared || event == AlertEvent::closed;
    alert.state = over ? AlertState::cleared : AlertState::active;
    if (over) alert.cleared = time;
    alert.kind = kind;
    alert.severity = alarm.severity;
    alert.machine = machine;
    alert.sensor = sensor.name;
    alert.unit = sensor.profile->unit;
    alert.advice = sensor.profile->advice;
    alert.onset = alarm.onset;
    alert.time = time;
    alert.detector = detector;
    alert.learned_readings = sensor.taught;
    alert.evidence = sensor.recent.evidence();
    alert.position = position;
    return alert;
  }

  static std::string_view label_of(const Sensor& sensor) {
    return sensor.profile->label.empty() ? std::string_view{sensor.name}
                                         : std::string_view{sensor.profile->label};
  }

  // --- summaries ---

  void add_to_minute(Sensor& sensor, const Entry& entry, Outcome outcome, Effects& effects) {
    const auto start = minute_of(entry.sample.time);
    if (sensor.open.count > 0 && sensor.open.minute != start)
      close_minute(sensor, entry.position, effects);
    if (sensor.open.count == 0) {
      sensor.open = Summary{};
      sensor.open.sensor = entry.sensor;
      sensor.open.minute = start;
    }
    sensor.open.add(entry.sample.value);
    if (outcome == Outcome::held) sensor.open.quality |= quality_suspicious;
    if (outcome == Outcome::warming) sensor.open.quality |= quality_warming;
    const bool fault =
        std::any_of(sensor.watches.begin(), sensor.watches.end(), [](const Watch& w) {
          return w.alarm.phase == Phase::active &&
                 class_of(detectors::types()[w.type].kind) == AlertClass::sensor;
        });
    if (fault) sensor.open.quality |= quality_fault;
  }

  static void close_minute(Sensor& sensor, Position position, Effects& effects) {
    sensor.open.position = position;
    effects.summaries.push_back(sensor.open);
    sensor.open.count = 0;
  }

  static void summarise_late(const Entry& entry, Effects& effects) {
    Summary late;
    late.sensor = entry.sensor;
    late.minute = minute_of(entry.sample.time);
    late.add(entry.sample.value);
    late.quality = quality_late;
    late.position = entry.position;
    effects.summaries.push_back(late);
  }

  // --- ticks: silence, reorder buffers, minutes that nobody will close ---

  void tick(const Event& event, Effects& effects) {
    // The reorder buffer of a sensor that went quiet is let out first, so that its last readings
    // count.
    each_sensor([&](SensorId id) {
      const auto& sensor = sensors[index(id)];
      while (!sensor.waiting.empty() && event.arrival - sensor.last_arrival > plan->reorder) {
        release(id, event.position, effects);
      }
    });
    flush(effects);
    hear_silence(event, effects);
    each_sensor([&](SensorId id) {
      auto& sensor = sensors[index(id)];
      const bool over =
          sensor.open.count > 0 && event.arrival - sensor.last_arrival > minute_patience;
      if (over) close_minute(sensor, event.position, effects);
      close_leftovers(sensor, event.position, effects);
    });
  }

  // By machine and sensor, not by id: a restored engine has other ids and must say the same in the
  // same order.
  void each_sensor(auto&& visit) {
    for (const auto& machine : machines) {
      for (const auto id : machine.sensors) visit(id);
    }
  }

  void hear_silence(const Event& event, Effects& effects) {
    for (std::size_t type = 0; type < columns.size(); ++type) {
      if (!detectors::types()[type].hears_silence) continue;
      columns[type]->silence(event.arrival, silence);
      each_sensor([&](SensorId id) { hear_silence_of(id, type, event, effects); });
    }
  }

  void hear_silence_of(SensorId id, std::size_t type, const Event& event, Effects& effects) {
    auto& sensor = sensors[index(id)];
    if (!sensor.seen) return;
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      if (sensor.watches[w].type != type) continue;
      auto score = silence[sensor.watches[w].slot];
      if (!score) continue;
      // In event time, silence began with the newest reading.
      score->onset = sensor.newest;
      score->expected = score->low = score->high = sensor.last_value;
      judge(id, w, sensor.newest + (event.arrival - sensor.last_arrival), score, event.position,
            effects);
    }
  }

  void close_leftovers(Sensor& sensor, Position position, Effects& effects) {
    for (auto& leftover : sensor.leftovers) {
      ++leftover.alarm.revision;
      auto alert = alert_frame(sensor, leftover.kind, leftover.detector, leftover.alarm,
                               AlertEvent::closed, sensor.newest, position);
      alert.value = alert.expected = alert.low = alert.high = sensor.last_value;
      alert.priority = priority_of(alert.severity, 1);
      alert.message = alert_message(alert, label_of(sensor));
      effects.alerts.push_back(std::move(alert));
    }
    sensor.leftovers.clear();
  }

  // --- state ---

  std::string save(const Machine& machine) const {
    SavedMachine saved;
    saved.name = machine.name;
    for (const auto id : machine.sensors) {
      const auto& sensor = sensors[index(id)];
      SavedSensor out{sensor, {}};
      out.sensor.open.sensor = SensorId{};  // dense ids belong to this process, not to the state
      for (const auto& watch : sensor.watches) {
        const auto& type = detectors::types()[watch.type];
        SavedDetector detector{std::string{type.name},
                               type.state_version,
                               columns[watch.type]->fingerprint(watch.slot),
                               watch.alarm,
                               {}};
        Writer write{detector.state};
        columns[watch.type]->save(watch.slot, write);
        out.detectors.push_back(std::move(detector));
      }
      saved.sensors.push_back(std::move(out));
    }
    std::string body, bytes;
    Writer{body}(saved);
    Writer{bytes}(machine_magic, format_version);
    append_sealed(bytes, body);
    return bytes;
  }

  RestoreResult restore(std::string_view bytes) {
    Reader in{bytes};
    std::uint32_t magic = 0;
    std::uint16_t version = 0;
    in(magic, version);
    if (!in.ok()) return RestoreResult::damaged;
    if (magic != machine_magic) return RestoreResult::unknown_format;
    if (version > format_version) return RestoreResult::newer_version;
    const auto body = take_sealed(in);
    if (!body || !in.at_end()) return RestoreResult::damaged;
    SavedMachine saved;
    Reader reader{*body};
    reader(saved);
    if (!reader.ok() || !reader.at_end() || machine_ids.contains(saved.name))
      return RestoreResult::damaged;
    for (auto& sensor : saved.sensors) adopt(saved.name, sensor);
    return RestoreResult::ok;
  }

  void adopt(const std::string& machine, SavedSensor& saved) {
    const auto id = add_sensor(machine, saved.sensor.name);
    auto& sensor = sensors[index(id)];
    saved.sensor.machine = sensor.machine;
    saved.sensor.profile = sensor.profile;
    saved.sensor.watches = std::move(sensor.watches);
    sensor = std::move(saved.sensor);
    sensor.open.sensor = id;
    for (auto& detector : saved.detectors) adopt(sensor, detector);
  }

  void adopt(Sensor& sensor, SavedDetector& saved) {
    const auto type = detectors::find_type(saved.name);
    const auto watch = std::find_if(sensor.watches.begin(), sensor.watches.end(),
                                    [&](const Watch& w) { return w.type == type; });
    if (watch == sensor.watches.end()) {
      if (saved.alarm.phase == Phase::active && type < columns.size()) {
        sensor.leftovers.push_back({saved.name, detectors::types()[type].kind, saved.alarm});
      }
      return;
    }
    watch->alarm = saved.alarm;
    auto& column = *columns[type];
    const bool same = saved.version == detectors::types()[type].state_version &&
                      saved.fingerprint == column.fingerprint(watch->slot);
    if (same && !column.restore(watch->slot, saved.state)) ++unreadable_states;
  }
};

Engine::Engine(std::shared_ptr<const Plan> plan) : impl_(std::make_unique<Impl>(std::move(plan))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::optional<SensorId> Engine::sensor(std::string_view machine, std::string_view sensor,
                                       Outcome& refused) {
  auto& m = *impl_;
  m.set_key(machine, sensor);
  if (const auto it = m.sensor_ids.find(m.key); it != m.sensor_ids.end()) return it->second;
  if (!good_name(machine) || !good_name(sensor)) {
    refused = Outcome::bad_name;
    return std::nullopt;
  }
  if (m.sensors.size() >= m.plan->max_sensors) {
    refused = Outcome::sensor_limit;
    return std::nullopt;
  }
  return m.add_sensor(machine, sensor);
}

void Engine::refuse(Outcome why) noexcept {
  ++impl_->received;
  impl_->outcomes.add(why);
}

void Engine::step(std::span<const Event> events, Effects& effects) {
  for (const auto& event : events) {
    if (event.kind == Event::Kind::reading) {
      impl_->take(event, effects);
    } else {
      impl_->flush(effects);
      impl_->tick(event, effects);
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
          sensor.profile->unit,
          sensor.taught,
          sensor.warming,
          sensor.newest};
}

std::string_view Engine::machine_name(MachineId id) const {
  return impl_->machines[index(id)].name;
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
  return count;
}

std::size_t Engine::warming() const {
  return static_cast<std::size_t>(
      std::count_if(impl_->sensors.begin(), impl_->sensors.end(),
                    [](const Sensor& sensor) { return sensor.warming; }));
}

std::uint64_t Engine::unreadable_states() const { return impl_->unreadable_states; }

std::string Engine::save(MachineId id) const { return impl_->save(impl_->machines[index(id)]); }
RestoreResult Engine::restore(std::string_view bytes) { return impl_->restore(bytes); }

std::string Engine::save_all(Position position) const {
  std::string body, bytes;
  Writer write{body};
  write(position, impl_->received, impl_->outcomes,
        static_cast<std::uint32_t>(impl_->machines.size()));
  for (const auto& machine : impl_->machines) write(impl_->save(machine));
  Writer{bytes}(engine_magic, format_version);
  append_sealed(bytes, body);
  return bytes;
}

RestoreResult Engine::restore_all(std::string_view bytes, Position& position) {
  Reader in{bytes};
  std::uint32_t magic = 0;
  std::uint16_t version = 0;
  in(magic, version);
  if (!in.ok()) return RestoreResult::damaged;
  if (magic != engine_magic) return RestoreResult::unknown_format;
  if (version > format_version) return RestoreResult::newer_version;
  const auto body = take_sealed(in);
  if (!body) return RestoreResult::damaged;

  // Into an engine of its own first: what cannot be read leaves this one as it was.
  Engine fresh{impl_->plan};
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
