#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "core/codec.h"
#include "core/hash.h"
#include "detectors/all.h"
#include "engine/alarm.h"
#include "engine/condition.h"
#include "engine/message.h"
#include "engine/regime.h"
#include "engine/sensor.h"
#include "engine/wave.h"
#include "engine/whole.h"

namespace millwright::engine {
namespace {

constexpr std::uint32_t machine_magic = 0x314d574d;  // "MWM1"
constexpr std::uint32_t engine_magic = 0x3145574d;   // "MWE1"
constexpr std::uint16_t format_version = 4;          // docs/formats/state.md
constexpr std::size_t longest_name = 200;
constexpr std::size_t longest_wait = 256;  // readings in one sensor's reorder buffer
constexpr Duration minute_patience = std::chrono::seconds{90};
constexpr double least_share = 0.05;  // of a contributor that is told
constexpr std::size_t most_contributors = 8;

static_assert(static_cast<int>(AlertKind::count_) == 16 && static_cast<int>(Outcome::count_) == 13,
              "kinds and outcomes stand in the state as numbers: new ones, a new format_version");

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
    heard,     // samples of a waveform came, and are counted: a sign of life
    refused,   // likewise, but none was taken in
    cut        // of a window with a gap: summarised, not scored; a sign of life
  } kind = Kind::scored;
  Outcome outcome = Outcome::learned;
  RegimeId regime = no_regime;
  std::optional<RegimeId> new_regime{};  // that its machine was never in before
  std::optional<Timestamp> begin{};      // of what the value was made of, if that took time
  // Where the machine has regimes: nothing while this one is being learned, and in a transition.
  std::optional<Measure> measure{};
  std::uint32_t quality = 0;  // of what the value was made of
};

// What a reading is worth to the detectors.
enum class Worth : std::uint8_t {
  normal,
  suspicious,  // teaches nothing
  faulty       // its sensor is at fault: says nothing of the machine
};

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

// What the detectors of one reading say together.
struct Opinion {
  std::optional<Score> combined;  // the highest ratio
  std::string_view leader;        // whose it is
  bool suspicious = false;        // some ratio is at the limit
  bool warming = false;           // there are learners, and none of them gives a score yet
  double of_machine = std::numeric_limits<double>::quiet_NaN();  // highest of class machine
};

bool learns(const detectors::DetectorType& type) { return type.kind != AlertKind::limit; }
bool hears_arrivals(const detectors::DetectorType& type) {
  return type.timeline == detectors::Timeline::arrival;
}
// Those that say from the values whether the sensor is at fault, and those that say it of the
// machine.
bool watches_sensor(const detectors::DetectorType& type) {
  return !hears_arrivals(type) && class_of(type.kind) == AlertClass::sensor;
}
bool watches_machine(const detectors::DetectorType& type) {
  return !hears_arrivals(type) && class_of(type.kind) == AlertClass::machine;
}
// Those that see values held against the machine's regime, where it has any.
bool goes_by_regime(const detectors::DetectorType& type) {
  return watches_machine(type) && !type.absolute;
}
AlertKind kind_of(const detectors::DetectorType& type, const Score& score) {
  return score.kind.value_or(type.kind);
}

BaselineEnd end_of(Event::Kind kind) {
  return kind == Event::Kind::serviced ? BaselineEnd::serviced : BaselineEnd::rebaseline;
}

using detectors::MachineLevel;

struct Machine {
  std::string name;
  std::vector<SensorId> sensors;
  std::vector<std::size_t> waves;  // those of its sensors that are waveforms
  const MachineProfile* profile = nullptr;
  MachineLevel::Params parameters;
  std::uint64_t fingerprint = 0;  // of the parameters
  Whole whole;
  double family_limit = 1;  // not state: follows from the sensors seen
  Regimes regimes;
  detectors::Health::Params health;
  Condition condition;

  const RegimeRule& rule() const { return profile->regime; }
  // By what was taken in, not by who is registered: that does not depend on how input is cut.
  bool watched() const { return profile->watched && whole.frames.known() >= 2; }
};

// A waveform, and the sensors that its windows tell of.
struct WaveOf {
  SensorId sensor{};
  Wave wave;
  std::vector<DerivedSensor> features;
  std::vector<SensorId> told_by;  // of each feature
};

// A state block as read back, before anything is changed.
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
  std::string wave;  // empty: it is none
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
  std::uint64_t rule = 0;  // fingerprint of what tells them
  static void fields(auto& io, auto& m) {
    io(m.name, m.sensors, m.whole, m.condition, m.version, m.fingerprint, m.state, m.regimes,
       m.rule);
  }
};

}  // namespace

struct Engine::Impl {
  Impl(std::shared_ptr<const Plan> p, std::span<const detectors::DetectorType> list)
      : plan(std::move(p)), types(list) {
    for (const auto& type : types) columns.push_back(type.make_column());
    batches.resize(columns.size());
  }

  std::shared_ptr<const Plan> plan;
  std::span<const detectors::DetectorType> types;
  std::vector<Machine> machines;
  std::vector<Sensor> sensors;
  std::unordered_map<std::string, MachineId, NameHash, std::equal_to<>> machine_ids;
  std::unordered_map<std::string, SensorId, NameHash, std::equal_to<>>
      sensor_ids;                                           // machine\0sensor
  std::vector<std::unique_ptr<detectors::Column>> columns;  // one per detector type
  std::vector<WaveOf> waves;                                // sensors that are waveforms
  detectors::WaveformAnalyser analyser;
  detectors::WaveformFeatures window_features;  // of the newest one
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
  std::vector<Worth> worth;                               // entry
  std::vector<std::size_t> told;                          // entry -> alerts after it
  std::vector<std::optional<Score>> silence;
  std::vector<double> frame_values, frame_raw;  // as compared; in the sensors' units
  double frame_caution = 1;
  MachineLevel::Memo machine_memo;

  // Lasting changes that were taken as normal in this round.
  struct Accepted {
    std::size_t entry = 0, watch = 0;
    friend bool operator<(const Accepted& a, const Accepted& b) {
      return a.entry != b.entry ? a.entry < b.entry : a.watch < b.watch;
    }
  };
  std::vector<Accepted> accepted;

  // --- who is who ---

  // `types.size()` when there is none.
  std::size_t find_type(std::string_view name) const {
    const auto named = [&](const detectors::DetectorType& type) { return type.name == name; };
    const auto found = std::find_if(types.begin(), types.end(), named);
    return static_cast<std::size_t>(found - types.begin());
  }

  // The sensors that come with one of this name.
  std::size_t derived_from(std::string_view machine, std::string_view name) const {
    const auto& profile = profile_for(*plan, machine, name);
    return profile.waveform ? derived_sensors(*profile.waveform, profile.unit).size() : 0;
  }

  // A sensor and, if it is a waveform, those that its windows tell of.
  SensorId add_sensor(std::string_view machine, std::string_view name) {
    const auto id = add_one(machine, name, nullptr, {});
    attach_wave(id);
    return id;
  }

  static std::string derived_name(std::string_view parent, const DerivedSensor& derived) {
    return std::string{parent} + "." + derived.suffix;
  }

  // What the plan says a sensor of this name and parent is; nothing: the parent has none such now.
  std::optional<DerivedSensor> derived_of(std::string_view machine, std::string_view parent,
                                          std::string_view name) const {
    const auto& profile = profile_for(*plan, machine, parent);
    if (!profile.waveform) return std::nullopt;
    for (auto& derived : derived_sensors(*profile.waveform, profile.unit)) {
      if (derived_name(parent, derived) == name) return std::move(derived);
    }
    return std::nullopt;
  }

  void attach_wave(SensorId id) {
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
      fresh.told_by.push_back(known != sensor_ids.end()
                                  ? known->second
                                  : add_one(machine.name, name, &derived, parent));
    }
    waves.push_back(std::move(fresh));
    sensors[index(id)].kin.wave = place;
    machine.waves.push_back(place);
    for (const auto member : machine.sensors) {
      auto& other = sensors[index(member)];
      if (other.name == profile.waveform->speed_sensor) other.kin.speeds_of.push_back(place);
    }
  }

  // The detectors of a sensor: of a waveform itself only whether it is silent, of its velocity the
  // zones, too.
  static std::vector<DetectorChoice> detectors_of(const Profile& profile,
                                                  const DerivedSensor* derived,
                                                  const Profile* parent) {
    auto chosen = profile.detectors;
    const bool is_waveform = derived == nullptr && profile.waveform;
    if (is_waveform) std::erase_if(chosen, [](const auto& one) { return one.name != "gap"; });
    // Silence is the waveform's; features without a value, or all at their ends, are a machine that
    // stands still.
    if (derived != nullptr) {
      const bool loudness = derived->feature == WaveFeature::rms;
      std::erase_if(chosen, [&](const auto& one) {
        return one.name == "gap" || (one.name == "stuck" && !loudness);
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

  SensorId add_one(std::string_view machine, std::string_view name, const DerivedSensor* derived,
                   const std::string& parent) {
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
    for (const auto& choice : detectors_of(*sensor.profile, derived, of_parent)) {
      const auto type = find_type(choice.name);
      check(type < columns.size(), "a profile names only known detectors");
      auto parameters = choice.parameters;
      double limit = sensor.profile->alarm.limit;
      if (const auto limit_name = types[type].alarm_parameter; !limit_name.empty()) {
        limit = parameters.emplace(limit_name, limit).first->second;
      }
      sensor.watches.push_back({type, columns[type]->add(parameters), {}, {}, limit});
      if (!types[type].alarm_parameter.empty())
        columns[type]->retune(sensor.watches.back().slot,
                              limit * machines[index(found->second)].family_limit);
    }
    auto& machine_of = machines[index(found->second)];
    sensor.names_regime = machine_of.rule().used() && machine_of.rule().sensor == name;
    auto& members = machine_of.sensors;
    sensor.place = members.size();
    members.push_back(id);
    for (const auto place : machine_of.waves) {
      if (waves[place].wave.profile().speed_sensor == name) sensor.kin.speeds_of.push_back(place);
    }
    sensors.push_back(std::move(sensor));
    set_key(machine, name);
    sensor_ids.emplace(key, id);
    return id;
  }

  // Named and measured as its waveform says, where its own profile does not.
  static Kinship kinship(const DerivedSensor& derived, const std::string& parent,
                         const Profile& of_parent, const Profile& own) {
    Kinship kin;
    const bool same = &of_parent == &own;
    kin.parent = parent;
    kin.meaning = derived.meaning;
    kin.unit = !same && !own.unit.empty() ? own.unit : derived.unit;
    const auto& label = of_parent.label.empty() ? parent : of_parent.label;
    kin.label = !same && !own.label.empty() ? own.label : label + ", " + derived.title;
    return kin;
  }

  void set_key(std::string_view machine, std::string_view name) {
    key.assign(machine).push_back('\0');
    key.append(name);
  }

  // --- taking readings in ---

  void enqueue(Entry entry, Effects& effects) {
    auto& sensor = sensors[index(entry.sensor)];
    if (sensor.round == round_number) flush(effects);
    sensor.round = round_number;
    if (is_scored(entry)) tell_regime(entry, sensor);
    round.push_back(entry);
  }

  // Here, in the order of the input, so that it does not matter how that is cut into rounds.
  void tell_regime(Entry& entry, const Sensor& sensor) {
    auto& machine = machines[index(sensor.machine)];
    const auto& rule = machine.rule();
    if (!rule.used()) return;
    if (sensor.names_regime && machine.regimes.follow(rule, entry.sample))
      entry.new_regime = machine.regimes.newest();
    entry.regime = machine.regimes.at(rule, entry.sample.time);
    if (entry.begin && machine.regimes.at(rule, *entry.begin) != entry.regime)
      entry.regime = regime_transition;
    if (!sensor.names_regime && entry.regime != regime_transition)
      entry.measure = sensor.usual.measure(rule, entry.regime);
  }

  void take(const Event& event, Effects& effects) {
    check(index(event.reading.sensor) < sensors.size(), "a reading names a known sensor");
    received += event.kind == Event::Kind::block ? event.block->samples.size() : 1;
    if (event.kind == Event::Kind::block) return take_samples(event, *event.block, effects);
    auto& sensor = sensors[index(event.reading.sensor)];
    if (sensor.kin.wave) {
      const auto& [time, value] = event.reading.sample;
      return take_samples(event, {time, 0, {&value, 1}}, effects);
    }
    Entry entry{event.reading.sensor, event.position, event.reading.sample, event.arrival};
    if (const auto refusal = refuse(event, sensor)) {
      entry.kind = *refusal == Outcome::late ? Entry::Kind::late : Entry::Kind::ignored;
      entry.outcome = *refusal;
      return enqueue(entry, effects);
    }
    // From the first sample on: who is onboarded already depends on how the input is cut.
    for (const auto place : sensor.kin.speeds_of) {
      auto& of = waves[place];
      if (sensors[index(of.sensor)].seen) of.wave.speed.add(entry.sample.time, entry.sample.value);
    }
    if (plan->reorder <= Duration{0}) {
      see(sensor, effects);
      sensor.newest = event.reading.sample.time;
      return enqueue(entry, effects);
    }
    hold(sensor, entry, effects);
  }

  // With its first reading, a sensor is one more that its machine may raise a false alarm of. All
  // that came before is judged before: by readings taken in, not by who is registered.
  void see(Sensor& sensor, Effects& effects) {
    if (sensor.seen) return;
    flush(effects);
    sensor.seen = true;
    retune(machines[index(sensor.machine)]);
  }

  void retune(Machine& machine) {
    const auto seen =
        std::count_if(machine.sensors.begin(), machine.sensors.end(), [&](SensorId id) {
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
    see(sensor, effects);
    sensor.newest = first.sample.time;
    Entry entry{id, position, first.sample, first.arrival};
    entry.kind = Entry::Kind::released;
    enqueue(entry, effects);
  }

  // --- waveforms: samples become windows, windows become readings of other sensors ---

  // All that came before is judged before, and what follows from these samples at once: so nothing
  // depends on how they were cut into blocks.
  void take_samples(const Event& event, const Block& block, Effects& effects) {
    flush(effects);
    const auto id = event.reading.sensor;
    auto& sensor = sensors[index(id)];
    check(sensor.kin.wave.has_value(), "a block is of a waveform");
    auto& wave = waves[*sensor.kin.wave].wave;
    const double rate = wave.rate_for(block.rate_hz);
    const auto refused = refuse_samples(event, block, sensor, rate);
    // A sensor that has not said how fast it samples has no windows yet, but is heard.
    const bool timed = rate > 0;
    const auto skipped =
        refused || !timed || wave.continues(block.first, rate, block.samples.size())
            ? std::size_t{0}
            : skip_old(block, sensor, rate);
    Entry sign{id, event.position, {block.first, block.samples.back()}, event.arrival};
    const bool none = refused || skipped == block.samples.size();
    sign.kind = none ? Entry::Kind::refused : Entry::Kind::heard;
    if (refuse_value(sign.sample.value)) sign.sample.value = sensor.last_value;
    enqueue(sign, effects);
    flush(effects);
    if (refused)
      return count_samples(sensor, block, rate, 0, block.samples.size(), *refused, effects);
    if (!timed) {
      sensor.seen = true;
      sensor.newest = std::max(sensor.newest, block.first);
      return count_samples(sensor, block, rate, 0, block.samples.size(), Outcome::warming, effects);
    }
    for (std::size_t i = 0; i < skipped; ++i) {
      const auto time = Wave::sample_time(block.first, rate, i);
      const bool again = event.redelivered || time == sensor.newest;
      count_samples(sensor, block, rate, i, 1, again ? Outcome::duplicate : Outcome::late, effects);
    }
    take_new(event, block, rate, skipped, effects);
  }

  std::optional<Outcome> refuse_samples(const Event& event, const Block& block,
                                        const Sensor& sensor, double rate) const {
    const auto last =
        rate > 0 ? Wave::sample_time(block.first, rate, block.samples.size() - 1) : block.first;
    if (last > event.received + plan->future_tolerance) return Outcome::future;
    if (block.first < event.received - plan->oldest_accepted) return Outcome::too_old;
    if (rate <= 0 && sensor.seen && block.first <= sensor.newest)
      return event.redelivered || block.first == sensor.newest ? Outcome::duplicate : Outcome::late;
    return std::nullopt;
  }

  // How many samples at the beginning are no newer than what was taken in.
  static std::size_t skip_old(const Block& block, const Sensor& sensor, double rate) {
    if (!sensor.seen) return 0;
    return Wave::first_after(sensor.newest, block.first, rate, block.samples.size());
  }

  void count_samples(const Sensor& sensor, const Block& block, double rate, std::size_t from,
                     std::size_t count, Outcome outcome, Effects& effects) {
    outcomes.add(outcome, count);
    if (!effects.want_verdicts) return;
    for (std::size_t i = from; i < from + count; ++i) {
      const auto time = rate > 0 ? Wave::sample_time(block.first, rate, i) : block.first;
      const Sample sample{time, block.samples[i]};
      effects.verdicts.push_back(
          {waves[*sensor.kin.wave].sensor, sample, outcome, std::nullopt, {}, has_alert(sensor)});
    }
  }

  // What may be summed in squares, as single precision, too.
  static std::optional<Outcome> refuse_value(double value) {
    constexpr double largest = 1e30;
    if (std::abs(value) <= largest) return std::nullopt;
    return std::isfinite(value) ? Outcome::out_of_range : Outcome::not_finite;
  }

  void take_new(const Event& event, const Block& block, double rate, std::size_t from,
                Effects& effects) {
    auto& of = waves[*sensors[index(event.reading.sensor)].kin.wave];
    auto& sensor = sensors[index(event.reading.sensor)];
    const auto& samples = block.samples;
    while (from < samples.size()) {
      const auto time = Wave::sample_time(block.first, rate, from);
      if (const auto refused = refuse_value(samples[from])) {
        count_samples(sensor, block, rate, from, 1, *refused, effects);
        end_run(of, event, effects);
        ++from;
        continue;
      }
      if (!of.wave.continues(time, rate, samples.size())) end_run(of, event, effects);
      const auto good = std::find_if(samples.begin() + static_cast<std::ptrdiff_t>(from),
                                     samples.end(), [](double x) { return !!refuse_value(x); });
      const auto end = static_cast<std::size_t>(good - samples.begin());
      while (from < end) {
        const auto taken = of.wave.take(samples.subspan(from, end - from),
                                        Wave::sample_time(block.first, rate, from), rate);
        count_samples(sensor, block, rate, from, taken.count, Outcome::learned, effects);
        learn_samples(sensor, of, samples.subspan(from, taken.count), taken, event.position,
                      effects);
        from += taken.count;
        if (!taken.full) continue;
        tell(of, of.wave.window(), event, effects);
        of.wave.next_window();
      }
    }
  }

  void learn_samples(Sensor& sensor, WaveOf& of, std::span<const double> samples,
                     const Wave::Taken& taken, Position position, Effects& effects) {
    sensor.seen = true;
    sensor.warming = false;
    sensor.newest = taken.last;
    sensor.last_value = samples.back();
    sensor.taught += samples.size();
    auto& minute = of.wave.minute;
    const auto start = minute_of(taken.first);
    if (minute.count > 0 && minute.start != start) close_wave_minute(of, position, effects);
    if (minute.count == 0) minute.start = start;
    minute.add(samples);
  }

  static void close_wave_minute(WaveOf& of, Position position, Effects& effects) {
    auto summary = of.wave.minute.summary();
    summary.sensor = of.sensor;
    summary.position = position;
    effects.summaries.push_back(summary);
    of.wave.minute.count = 0;
  }

  void end_run(WaveOf& of, const Event& event, Effects& effects) {
    if (const auto cut = of.wave.end_run()) tell(of, *cut, event, effects);
  }

  // A window's features become readings of their own sensors.
  void tell(WaveOf& of, const Window& window, const Event& event, Effects& effects) {
    auto& wave = of.wave;
    const auto& profile = wave.profile();
    const double fixed = profile.speed_ratio * profile.speed_rpm.value_or(0) / 60;
    detectors::ShaftSpeed speed;
    if (!profile.speed_sensor.empty())
      speed.hz = wave.speed.between(window.begin, window.end, profile.speed_ratio);
    if (speed.hz.empty() && fixed > 0) speed.hz = {&fixed, 1};
    analyser.analyse(wave.parameters(), window.samples, wave.rate_hz(), speed, window_features);
    const bool clipped = profile.full_scale
                             ? detectors::reaches(window.samples, *profile.full_scale)
                             : detectors::is_clipped(window.samples);
    ++(window.cut ? wave.counts.cut : clipped ? wave.counts.clipped : wave.counts.whole);
    for (std::size_t i = 0; i < of.features.size(); ++i) {
      const auto value = value_of(window_features, of.features[i]);
      if (!value || !std::isfinite(*value)) continue;
      Entry entry{of.told_by[i], event.position, {window.end, *value}, event.arrival};
      entry.begin = window.begin;
      if (window.cut) entry.kind = Entry::Kind::cut;
      entry.quality = (window.cut ? quality_cut : 0U) | (clipped ? quality_clipped : 0U);
      ++received;
      auto& teller = sensors[index(entry.sensor)];
      see(teller, effects);
      teller.newest = window.end;
      enqueue(entry, effects);
    }
    flush(effects);
  }

  static std::optional<double> value_of(const detectors::WaveformFeatures& from,
                                        const DerivedSensor& what) {
    switch (what.feature) {
      case WaveFeature::rms:
        return from.rms;
      case WaveFeature::peak:
        return from.peak;
      case WaveFeature::peak_to_peak:
        return from.peak_to_peak;
      case WaveFeature::crest:
        return from.crest;
      case WaveFeature::kurtosis:
        return from.kurtosis;
      case WaveFeature::skewness:
        return from.skewness;
      case WaveFeature::velocity:
        return from.velocity;
      case WaveFeature::bands:
        return what.band < from.bands.size() ? from.bands[what.band] : std::nullopt;
      case WaveFeature::bpfo:
        return from.outer;
      case WaveFeature::bpfi:
        return from.inner;
      case WaveFeature::bsf:
        return from.ball;
      case WaveFeature::ftf:
        return from.cage;
      case WaveFeature::count_:
        break;
    }
    return std::nullopt;
  }

  // --- a round: score all, then decide in input order, then learn all ---

  void flush(Effects& effects) {
    if (round.empty()) return;
    score_round();
    for (std::size_t i = 0; i < round.size(); ++i) {
      worth[i] = conclude(i, effects);
      told[i] = effects.alerts.size();
    }
    learn_round();
    accept_changes(effects);
    round.clear();
    ++round_number;
  }

  // What a detector sees of the entry.
  static Sample sample_for(const detectors::DetectorType& type, const Sensor& sensor,
                           const Entry& entry) {
    if (entry.measure && goes_by_regime(type))
      return {entry.sample.time, entry.measure->from(entry.sample.value)};
    if (!hears_arrivals(type)) return entry.sample;
    // The value of an ignored reading may be no number at all.
    const bool ignored = entry.kind == Entry::Kind::ignored || entry.kind == Entry::Kind::refused;
    return {entry.arrival, ignored ? sensor.last_value : entry.sample.value};
  }
  // Is the entry handed to the detector?
  bool concerns(const detectors::DetectorType& type, const Entry& entry) const {
    if (hears_arrivals(type)) return entry.kind != Entry::Kind::released;
    return is_scored(entry) && (entry.measure || !goes_by_regime(type) || !has_regimes(entry));
  }
  bool has_regimes(const Entry& entry) const {
    return machines[index(sensors[index(entry.sensor)].machine)].rule().used();
  }
  // Back into the sensor's unit.
  static void unmeasure(const Measure& measure, Score& score) {
    score.ratio /= measure.caution();
    score.expected = measure.to(score.expected);
    score.low = measure.to(score.low);
    score.high = measure.to(score.high);
    if (score.value) score.value = measure.to(*score.value);
  }

  void score_round() {
    if (scores.size() < round.size()) scores.resize(round.size());
    worth.assign(round.size(), Worth::normal);
    told.assign(round.size(), 0);
    for (auto& batch : batches) batch.clear();
    for (std::size_t i = 0; i < round.size(); ++i) {
      const auto& entry = round[i];
      const auto& sensor = sensors[index(entry.sensor)];
      scores[i].assign(sensor.watches.size(), std::nullopt);
      for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
        const auto& watch = sensor.watches[w];
        const auto& type = types[watch.type];
        if (!concerns(type, entry)) continue;
        auto& batch = batches[watch.type];
        batch.items.push_back({watch.slot, sample_for(type, sensor, entry)});
        batch.entries.push_back(i);
        batch.watches.push_back(w);
      }
    }
    for (std::size_t type = 0; type < batches.size(); ++type) {
      auto& batch = batches[type];
      batch.scores.assign(batch.items.size(), std::nullopt);
      columns[type]->score(batch.items, batch.scores);
      for (std::size_t k = 0; k < batch.items.size(); ++k) {
        auto& score = scores[batch.entries[k]][batch.watches[k]];
        score = batch.scores[k];
        const auto& measure = round[batch.entries[k]].measure;
        if (score && measure && goes_by_regime(types[type])) unmeasure(*measure, *score);
      }
    }
  }

  void learn_round() {
    accepted.clear();
    for (std::size_t type = 0; type < batches.size(); ++type) {
      auto& batch = batches[type];
      if (watches_machine(types[type])) drop_faulty(batch);
      batch.trust.clear();
      for (const auto entry : batch.entries) {
        const bool normal = worth[entry] == Worth::normal;
        batch.trust.push_back(normal ? Trust::normal : Trust::suspicious);
      }
      batch.learned.assign(batch.items.size(), Learned::as_usual);
      columns[type]->learn(batch.items, batch.trust, batch.learned);
      for (std::size_t k = 0; k < batch.items.size(); ++k) {
        if (batch.learned[k] == Learned::accepted)
          accepted.push_back({batch.entries[k], batch.watches[k]});
      }
    }
    for (std::size_t i = 0; i < round.size(); ++i) learn_regime(round[i], worth[i]);
  }

  // What is usual of the sensor in this regime.
  void learn_regime(const Entry& entry, Worth worth_of_it) {
    auto& sensor = sensors[index(entry.sensor)];
    const auto& rule = machines[index(sensor.machine)].rule();
    if (!rule.used() || sensor.names_regime || !is_scored(entry)) return;
    if (entry.regime == regime_transition || worth_of_it == Worth::faulty) return;
    std::optional<Timestamp> alert;
    for (const auto& watch : sensor.watches) {
      const auto since = alert_since(watch.alarm);
      if (since && goes_by_regime(types[watch.type]))
        alert = std::min(alert.value_or(*since), *since);
    }
    sensor.usual.learn(rule, entry.regime, entry.sample, worth_of_it == Worth::normal, alert);
  }
  static std::optional<Timestamp> alert_since(const Alarm& alarm) {
    return alarm.phase == Phase::active ? std::optional{alarm.reached} : std::nullopt;
  }

  // Here, and not in the detectors, so that none can learn a machine from a faulty sensor.
  void drop_faulty(Batch& batch) const {
    std::size_t kept = 0;
    for (std::size_t k = 0; k < batch.items.size(); ++k) {
      if (worth[batch.entries[k]] == Worth::faulty) continue;
      batch.items[kept] = batch.items[k];
      batch.entries[kept] = batch.entries[k];
      batch.watches[kept] = batch.watches[k];
      ++kept;
    }
    batch.items.resize(kept);
    batch.entries.resize(kept);
    batch.watches.resize(kept);
  }

  static bool is_scored(const Entry& entry) {
    return entry.kind == Entry::Kind::scored || entry.kind == Entry::Kind::released;
  }

  // One reading's outcome: alerts, counters, summary, verdict. Says what it is worth.
  Worth conclude(std::size_t i, Effects& effects) {
    const auto& entry = round[i];
    auto& sensor = sensors[index(entry.sensor)];
    if (entry.kind != Entry::Kind::released) sensor.last_arrival = entry.arrival;
    if (is_scored(entry)) {
      auto& machine = machines[index(sensor.machine)];
      auto& whole = machine.whole;
      const bool changed = whole.regime != entry.regime;
      if (whole.frames.is_over(sensor.place, entry.sample.time) ||
          (changed && !whole.frames.is_empty())) {
        close_frame(machine, entry.position, effects);
      }
      whole.regime = sensor.regime = entry.regime;
      if (entry.new_regime) {
        effects.regimes.push_back({sensor.machine,
                                   machine.regimes.name(machine.rule(), *entry.new_regime),
                                   RegimeNotice::What::learning, entry.sample.time});
      }
      sensor.recent.add(entry.sample);
      sensor.last_value = entry.sample.value;
    }
    auto opinion = opinion_of(i);
    // What is too high clipped is too high indeed; what is normal clipped may not be.
    const bool clipped = (entry.quality & quality_clipped) != 0;
    opinion.suspicious |= clipped;
    const bool faulty = judge_all(i, effects);
    const auto worth_now = faulty               ? Worth::faulty
                           : opinion.suspicious ? Worth::suspicious
                                                : Worth::normal;
    Outcome outcome = entry.outcome;
    if (is_scored(entry)) {
      auto& frames = machines[index(sensor.machine)].whole.frames;
      if (faulty || clipped) {
        frames.distrust(sensor.place);
      } else if (!sensor.names_regime && entry.regime != regime_transition) {
        frames.take(sensor.place, entry.sample);
        machines[index(sensor.machine)].condition.hear(sensor.place, opinion.of_machine);
      }
      sensor.warming = opinion.warming;
      outcome = faulty               ? Outcome::faulty
                : opinion.suspicious ? Outcome::held
                : sensor.warming     ? Outcome::warming
                                     : Outcome::learned;
      if (worth_now == Worth::normal) ++sensor.taught;
      add_to_minute(sensor, entry, outcome, effects);
    } else if (entry.kind == Entry::Kind::late) {
      summarise_late(entry, effects);
    } else if (entry.kind == Entry::Kind::cut) {
      outcome = Outcome::faulty;
      machines[index(sensor.machine)].whole.frames.distrust(sensor.place);
      add_to_minute(sensor, entry, Outcome::learned, effects);
    }
    if (worth_now == Worth::normal) count_lesson(sensor, entry);
    if (is_counted(entry)) {
      outcomes.add(outcome);
      if (effects.want_verdicts) {
        effects.verdicts.push_back({entry.sensor, entry.sample, outcome, opinion.combined,
                                    opinion.leader, has_alert(sensor), entry.regime,
                                    sensor.usual.learned(entry.regime)});
      }
    }
    return worth_now;
  }

  Opinion opinion_of(std::size_t i) const {
    const auto& sensor = sensors[index(round[i].sensor)];
    Opinion opinion;
    bool learning = false, scored_by_learner = false;
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      const auto& type = types[sensor.watches[w].type];
      if (hears_arrivals(type) || (sensor.names_regime && goes_by_regime(type))) continue;
      auto score = scores[i][w];
      learning |= learns(type);
      if (!score) continue;
      scored_by_learner |= learns(type);
      // How near a value is to a limit that a person set is no wear.
      const auto kind = kind_of(type, *score);
      const double limit = limit_for(sensor, sensor.watches[w], kind);
      const bool tells = watches_machine(type) && (learns(type) || score->ratio >= limit);
      if (tells) opinion.of_machine = std::fmax(opinion.of_machine, score->ratio / limit);
      opinion.suspicious |=
          score->ratio >= limit_for(sensor, sensor.watches[w], kind_of(type, *score));
      // A sensor fault is told once; while it lasts, its ratio says nothing of the machine.
      const bool known = class_of(type.kind) == AlertClass::sensor &&
                         sensor.watches[w].alarm.phase == Phase::active;
      if (known) score->ratio = std::min(score->ratio, just_below_limit);
      if (!opinion.combined || score->ratio > opinion.combined->ratio) {
        opinion.combined = score;
        opinion.leader = type.name;
      }
    }
    const bool new_here = round[i].regime != regime_transition && !round[i].measure &&
                          !sensor.names_regime && has_regimes(round[i]);
    opinion.warming = learning && (!scored_by_learner || new_here);
    return opinion;
  }

  // --- the machine as a whole ---

  // What its sensors say together since the frame began: judged, told, learned.
  void close_frame(Machine& machine, Position position, Effects& effects) {
    auto& whole = machine.whole;
    const auto time = whole.frames.newest();
    const bool watched = machine.watched();
    if (watched) whole.frames.read(frame_values);
    whole.frames.clear();
    if (!watched) return machine.condition.drop_frame();
    const auto id = static_cast<MachineId>(&machine - machines.data());
    std::optional<detectors::MachineScore> score;
    if (measure_frame(machine)) {
      const detectors::MachineFrame frame{time, frame_values};
      score = MachineLevel::score(machine.parameters, whole.state, frame, machine_memo);
      if (score) {
        score->ratio /= frame_caution;
        assess(machine, frame, position, effects);
        judge_whole(machine, frame, *score, position, effects);
      } else if (whole.state.learned == 0) {
        forget_health(machine, time, position, effects);
      }
      MachineLevel::learn(machine.parameters, whole.state, frame, Trust::normal, machine_memo);
      if (!whole.baseline.since) whole.baseline.since = time;
      ++whole.baseline.learned;
    } else {
      machine.condition.drop_frame();
    }
    if (machine.rule().used()) {
      // What passes is learned: a small offset of a young regime would else hold itself.
      const bool learned =
          whole.learn_regime(machine.rule(), frame_raw, time, alert_since(whole.alarm));
      if (learned) {
        effects.regimes.push_back({id, machine.regimes.name(machine.rule(), whole.regime),
                                   RegimeNotice::What::learned, time});
      }
    }
    if (effects.want_verdicts) {
      effects.machine_verdicts.push_back(
          {id, time, score ? std::optional{score->ratio} : std::nullopt,
           whole.alarm.phase == Phase::active, effects.verdicts.size()});
    }
  }

  // Holds the frame's values against the regime, where the machine has any. False: there is nothing
  // to compare.
  bool measure_frame(const Machine& machine) {
    frame_caution = 1;
    if (!machine.rule().used()) return true;
    frame_raw = frame_values;
    return machine.whole.measure(machine.rule(), frame_values, frame_caution);
  }

  // Its health, from what all detectors say.
  void assess(Machine& machine, const detectors::MachineFrame& frame, Position position,
              Effects& effects) {
    auto& condition = machine.condition;
    auto ratios = machine_memo.ratios;
    for (double& ratio : ratios) ratio /= frame_caution;
    if (!condition.take(machine.health, frame.time, ratios, machine.whole.state.learned)) return;
    std::vector<std::size_t> places;
    auto health = condition.tell(machine.health, frame.time, places);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (health.parts[i].name == "sensor" && places[i] < machine.sensors.size())
        health.parts[i].sensor = sensors[index(machine.sensors[places[i]])].name;
    }
    if (!health.parts.empty()) health.contributors = contributors(machine, frame);
    health.confidence = MachineLevel::confidence(machine.parameters, machine.whole.state);
    tell_health(machine, std::move(health), position, effects);
  }

  // What was told of it no longer holds: it is not known until the machine is learned again.
  void forget_health(Machine& machine, Timestamp time, Position position, Effects& effects) {
    if (!machine.condition.forget()) return;
    MachineHealth unknown;
    unknown.time = time;
    tell_health(machine, std::move(unknown), position, effects);
  }

  static void tell_health(const Machine& machine, MachineHealth health, Position position,
                          Effects& effects) {
    health.machine = machine.name;
    health.baseline = machine.whole.baseline.version;
    health.position = position;
    effects.health.push_back(std::move(health));
  }

  void judge_whole(Machine& machine, const detectors::MachineFrame& frame,
                   const detectors::MachineScore& said, Position position, Effects& effects) {
    auto& whole = machine.whole;
    Score score{.ratio = said.ratio / machine.profile->alarm.limit, .onset = said.onset};
    const auto event =
        advance(whole.alarm, machine.profile->alarm, MachineLevel::kind, frame.time, score);
    if (!event) return;
    if (*event == AlertEvent::raised)
      whole.alarm.onset_ms = whole.issued.issue(MachineLevel::kind, whole.alarm.onset);
    auto alert = whole_alert(machine, *event, frame.time, position);
    alert.value = alert.score = score.ratio;
    alert.high = 1;
    alert.priority = priority_of(alert.severity, score.ratio);
    alert.confidence = MachineLevel::confidence(machine.parameters, whole.state);
    alert.features.push_back({std::string{said.head}, 1});
    alert.contributors = contributors(machine, frame);
    alert.forecast = machine.condition.forecast(frame.time);
    alert.message = alert_message(alert, label_of(machine));
    effects.alerts.push_back(std::move(alert));
  }

  std::vector<Contributor> contributors(const Machine& machine,
                                        const detectors::MachineFrame& frame) const {
    const auto shares = machine.whole.frames.by_sensor(
        MachineLevel::shares(machine.parameters, machine.whole.state, frame));
    std::vector<Contributor> out;
    for (std::size_t i = 0; i < std::min(shares.size(), machine.sensors.size()); ++i) {
      if (shares[i] >= least_share)
        out.push_back({sensors[index(machine.sensors[i])].name, shares[i]});
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.share > b.share; });
    if (out.size() > most_contributors) out.resize(most_contributors);
    return out;
  }

  Alert whole_alert(const Machine& machine, AlertEvent event, Timestamp time,
                    Position position) const {
    const auto& whole = machine.whole;
    auto alert = alert_of(machine, whole_machine, whole.alarm, event, time, position);
    alert.advice = machine.profile->advice;
    alert.detector = MachineLevel::name;
    alert.detector_version = MachineLevel::state_version;
    alert.configuration = machine.fingerprint;
    alert.baseline = whole.baseline.version;
    alert.learned_readings = whole.baseline.learned;
    alert.regime = machine.regimes.name(machine.rule(), whole.regime);
    alert.regime_readings = whole.learned(whole.regime);
    return alert;
  }

  // An alarm that ends by anything but its score.
  void end_whole(Machine& machine, Timestamp time, Position position,
                 std::optional<BaselineEnd> why, Effects& effects) {
    auto& alarm = machine.whole.alarm;
    if (alarm.phase == Phase::active) {
      close(alarm, time);
      auto alert = whole_alert(machine, AlertEvent::closed, time, position);
      alert.priority = priority_of(alert.severity, 1);
      alert.message = closing_message(alert, label_of(machine), why);
      effects.alerts.push_back(std::move(alert));
    }
    interrupt(alarm);
  }

  void renew_whole(Machine& machine, const Event& event, Effects& effects) {
    auto& whole = machine.whole;
    const auto time = whole.frames.newest();
    const auto why = end_of(event.kind);
    end_whole(machine, time, event.position, why, effects);
    whole.frames.forget();
    whole.forget_regimes();
    if (whole.baseline.learned == 0) return forget_health(machine, time, event.position, effects);
    auto past = past_of(machine, whole_machine, whole.baseline, time, event.position, why);
    past.detector = MachineLevel::name;
    past.detector_version = MachineLevel::state_version;
    past.configuration = machine.fingerprint;
    past.confidence = MachineLevel::confidence(machine.parameters, whole.state);
    Writer{past.state}(whole.state);
    effects.baselines.push_back(std::move(past));
    whole.state = {};
    whole.baseline = whole.baseline.next();
    forget_health(machine, time, event.position, effects);
  }

  // Whether the sensor can be believed comes first: of the machine, a faulty one says nothing,
  // neither that it is bad nor that it is well again. True when it is faulty.
  bool judge_all(std::size_t i, Effects& effects) {
    const auto& entry = round[i];
    auto& sensor = sensors[index(entry.sensor)];
    bool faulty = false;
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      const auto& type = types[sensor.watches[w].type];
      if (!watches_sensor(type)) continue;
      judge(i, w, effects);
      const auto& score = scores[i][w];
      faulty |=
          is_scored(entry) &&
          (sensor.watches[w].alarm.phase == Phase::active ||
           (score && score->ratio >= limit_for(sensor, sensor.watches[w], kind_of(type, *score))));
    }
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      const auto& type = types[sensor.watches[w].type];
      if (watches_sensor(type)) continue;
      if (faulty && watches_machine(type)) {
        interrupt(sensor.watches[w].alarm);
      } else {
        judge(i, w, effects);
      }
    }
    return faulty;
  }

  // Readings that were taken in, and no others: what the source sends again after a crash would
  // else be counted twice by detectors that hear every arrival.
  static bool is_lesson(const Entry& entry) {
    return is_scored(entry) || entry.kind == Entry::Kind::waiting ||
           entry.kind == Entry::Kind::heard;
  }
  // Here and now: what waits is counted later, samples of a waveform were before.
  static bool is_counted(const Entry& entry) {
    return entry.kind != Entry::Kind::waiting && entry.kind != Entry::Kind::heard &&
           entry.kind != Entry::Kind::refused;
  }

  void count_lesson(Sensor& sensor, const Entry& entry) const {
    if (!is_lesson(entry)) return;
    for (auto& watch : sensor.watches) {
      const auto& type = types[watch.type];
      if (!learns(type) || !concerns(type, entry)) continue;
      ++watch.baseline.learned;
      if (!watch.baseline.since) watch.baseline.since = entry.sample.time;
    }
  }

  // What the detectors took as normal: the alert about it is closed, and a new baseline begins. In
  // the order of the readings, each after the alerts of its own reading, however the input was cut
  // into rounds.
  void accept_changes(Effects& effects) {
    std::sort(accepted.begin(), accepted.end());
    std::size_t closed = 0;
    for (const auto& [i, w] : accepted) {
      const auto& entry = round[i];
      auto& sensor = sensors[index(entry.sensor)];
      auto& watch = sensor.watches[w];
      const bool counted = worth[i] == Worth::normal && is_lesson(entry);
      if (counted) --watch.baseline.learned;  // it teaches the new one
      if (watch.alarm.phase == Phase::active) {
        auto alert = end_alarm(sensor, watch, entry.sample.time, entry.position,
                               BaselineEnd::accepted, std::nullopt);
        const auto place = told[i] + closed++;
        effects.alerts.insert(effects.alerts.begin() + static_cast<std::ptrdiff_t>(place),
                              std::move(alert));
      }
      interrupt(watch.alarm);
      effects.baselines.push_back(past_baseline(sensor, watch, entry.sample.time, entry.position,
                                                BaselineEnd::accepted, std::nullopt));
      watch.baseline = watch.baseline.next(entry.sample.time);
    }
  }

  static bool has_alert(const Sensor& sensor) {
    return std::any_of(sensor.watches.begin(), sensor.watches.end(),
                       [](const Watch& w) { return w.alarm.phase == Phase::active; });
  }

  // --- alerts ---

  // `sensitivity` and the number of a machine's sensors move the limit of what was learned; a limit
  // that a person set, and silence, stay where they are.
  double limit_for(const Sensor& sensor, const Watch& watch, AlertKind kind) const {
    const bool fixed = kind == AlertKind::limit || class_of(kind) == AlertClass::sensor;
    return fixed ? 1.0 : watch.limit * machines[index(sensor.machine)].family_limit;
  }

  // Among many sensors some reading goes far by chance at any time, two in a row hardly ever do.
  // One alone is enough where it would be so on a machine of n / 5 times as many sensors. A spike
  // is told when it is over: it has been held against readings on both sides.
  double alone_for(const Sensor& sensor, AlertKind kind) const {
    const bool single = kind == AlertKind::limit || kind == AlertKind::spike ||
                        class_of(kind) == AlertClass::sensor;
    return single ? 1.0 : machines[index(sensor.machine)].family_limit;
  }

  void judge(std::size_t i, std::size_t w, Effects& effects) {
    const auto& entry = round[i];
    const auto& sensor = sensors[index(entry.sensor)];
    const auto& type = types[sensor.watches[w].type];
    judge(entry.sensor, w, entry.sample.time, scores[i][w], sample_for(type, sensor, entry),
          entry.position, effects);
  }

  // `sample` is what the detector scored; nothing when it is silence that is judged.
  void judge(SensorId id, std::size_t w, Timestamp time, std::optional<Score> score,
             const std::optional<Sample>& sample, Position position, Effects& effects) {
    if (!score) return;
    auto& sensor = sensors[index(id)];
    auto& watch = sensor.watches[w];
    auto& alarm = watch.alarm;
    const auto& type = types[watch.type];
    const auto& rule = sensor.profile->alarm;
    const bool active = alarm.phase == Phase::active;
    const bool waits = waits_for_proof(alarm, rule) && alone_for(sensor, alarm.kind) > 1;
    const auto kind = active || waits ? alarm.kind : kind_of(type, *score);
    score->ratio /= limit_for(sensor, watch, kind);
    const bool may_raise = active || (score->ratio < 1 && !waits) || !is_open(sensor, kind);
    const auto event = advance(alarm, rule, kind, time, score, may_raise, alone_for(sensor, kind));
    if (!event) return;
    if (*event == AlertEvent::raised) {
      alarm.onset_ms = sensor.issued.issue(kind, alarm.onset);
      score->ratio = alarm.told_ratio;
    }
    effects.alerts.push_back(
        make_alert(sensor, watch, *event, time, *score, explain(sensor, watch, sample), position));
  }

  // One alert of a kind is open on a sensor at a time: its retained state is one topic. Another
  // detector that sees the same waits.
  static bool is_open(const Sensor& sensor, AlertKind kind) {
    const auto open = [&](const auto& one) {
      return one.alarm.phase == Phase::active && one.alarm.kind == kind;
    };
    return std::any_of(sensor.watches.begin(), sensor.watches.end(), open) ||
           std::any_of(sensor.leftovers.begin(), sensor.leftovers.end(), open);
  }

  // Without a sample, only what does not rest on one.
  Explanation explain(const Sensor& sensor, const Watch& watch,
                      const std::optional<Sample>& sample) const {
    const bool arrival = hears_arrivals(types[watch.type]);
    const Sample newest{arrival ? sensor.last_arrival : sensor.newest, sensor.last_value};
    auto why = columns[watch.type]->explain({watch.slot, sample.value_or(newest)});
    const auto& machine = machines[index(sensor.machine)];
    if (machine.rule().used() && goes_by_regime(types[watch.type])) {
      const double known = sensor.usual.confidence(machine.rule(), sensor.regime);
      why.confidence = std::min(why.confidence, known);
    }
    if (!sample) {
      why.features.clear();
      why.forecast.reset();
    }
    return why;
  }

  Alert make_alert(const Sensor& sensor, const Watch& watch, AlertEvent event, Timestamp time,
                   const Score& score, const Explanation& why, Position position) const {
    auto alert = alert_frame(sensor, types[watch.type].name, watch.alarm, watch.baseline, event,
                             time, position);
    name_detector(alert, watch);
    alert.value = score.value.value_or(alert.value);
    alert.expected = score.expected;
    alert.low = score.low;
    alert.high = score.high;
    alert.score = score.ratio;
    alert.priority = priority_of(alert.severity, score.ratio);
    alert.confidence = why.confidence;
    alert.forecast = why.forecast;
    for (const auto& [feature, share] : why.features)
      alert.features.push_back({std::string{feature}, share});
    alert.message = alert_message(alert, label_of(sensor));
    return alert;
  }

  void name_detector(Alert& alert, const Watch& watch) const {
    alert.detector_version = types[watch.type].state_version;
    alert.configuration = columns[watch.type]->fingerprint(watch.slot);
  }

  // Ends an active alarm because its baseline ends, and tells it.
  Alert end_alarm(const Sensor& sensor, Watch& watch, Timestamp time, Position position,
                  BaselineEnd why, std::optional<double> confidence) const {
    close(watch.alarm, time);
    auto alert = closed_alert(sensor, types[watch.type].name, watch.alarm, watch.baseline, time,
                              position, why);
    name_detector(alert, watch);
    alert.confidence = confidence;
    return alert;
  }

  // Closed by something other than a score: there is nothing to compare the value with.
  Alert closed_alert(const Sensor& sensor, std::string_view detector, const Alarm& alarm,
                     const Baseline& baseline, Timestamp time, Position position,
                     std::optional<BaselineEnd> why) const {
    auto alert = alert_frame(sensor, detector, alarm, baseline, AlertEvent::closed, time, position);
    alert.expected = alert.low = alert.high = alert.value;
    alert.priority = priority_of(alert.severity, 1);
    alert.message = closing_message(alert, label_of(sensor), why);
    return alert;
  }

  Alert alert_frame(const Sensor& sensor, std::string_view detector, const Alarm& alarm,
                    const Baseline& baseline, AlertEvent event, Timestamp time,
                    Position position) const {
    const auto& machine = machines[index(sensor.machine)];
    auto alert = alert_of(machine, sensor.name, alarm, event, time, position);
    alert.unit = sensor.unit();
    alert.advice = sensor.profile->advice;
    alert.value = sensor.last_value;
    alert.detector = detector;
    alert.baseline = baseline.version;
    alert.learned_readings = baseline.learned;
    alert.regime = machine.regimes.name(machine.rule(), sensor.regime);
    alert.regime_readings = sensor.usual.learned(sensor.regime);
    alert.evidence = sensor.recent.evidence();
    return alert;
  }

  // What every event of an alarm has, whoever raised it.
  static Alert alert_of(const Machine& machine, std::string_view sensor, const Alarm& alarm,
                        AlertEvent event, Timestamp time, Position position) {
    Alert alert;
    alert.id = machine.name;
    alert.id.append("/").append(sensor).append("/").append(name_of(alarm.kind)).append("/");
    alert.id.append(std::to_string(alarm.onset_ms));
    alert.revision = alarm.revision;
    alert.event = event;
    const bool over = event == AlertEvent::cleared || event == AlertEvent::closed;
    alert.state = over ? AlertState::cleared : AlertState::active;
    if (over) alert.cleared = time;
    alert.kind = alarm.kind;
    alert.severity = alarm.severity;
    alert.machine = machine.name;
    alert.sensor = sensor;
    alert.onset = alarm.onset;
    alert.time = time;
    alert.position = position;
    return alert;
  }

  // What a mechanic calls the sensor or the machine.
  static std::string_view label_of(const Sensor& sensor) { return sensor.label(); }
  static std::string_view label_of(const Machine& machine) {
    return machine.profile->label.empty() ? machine.name : machine.profile->label;
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
    sensor.open.quality |= entry.quality;
    if (outcome == Outcome::held) sensor.open.quality |= quality_suspicious;
    if (outcome == Outcome::warming) sensor.open.quality |= quality_warming;
    const bool alerted =
        std::any_of(sensor.watches.begin(), sensor.watches.end(), [](const Watch& w) {
          return w.alarm.phase == Phase::active && class_of(w.alarm.kind) == AlertClass::sensor;
        });
    if (alerted || outcome == Outcome::faulty) sensor.open.quality |= quality_fault;
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
      if (sensor.kin.wave) {
        auto& of = waves[*sensor.kin.wave];
        if (of.wave.minute.count > 0 && event.arrival - sensor.last_arrival > minute_patience)
          close_wave_minute(of, event.position, effects);
      }
      close_leftovers(sensor, event.position, effects);
    });
    for (auto& machine : machines) {
      if (machine.profile->watched) continue;
      const auto time = machine.whole.frames.newest();
      end_whole(machine, time, event.position, std::nullopt, effects);
      forget_health(machine, time, event.position, effects);
    }
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
      if (!types[type].hears_silence) continue;
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
      judge(id, w, event_time(sensor, event), score, std::nullopt, event.position, effects);
    }
  }

  // Now, on the sensor's own time line: as long after its newest reading as its silence lasts.
  static Timestamp event_time(const Sensor& sensor, const Event& event) {
    return sensor.newest + (event.arrival - sensor.last_arrival);
  }

  void close_leftovers(Sensor& sensor, Position position, Effects& effects) {
    for (auto& [detector, alarm, baseline] : sensor.leftovers) {
      close(alarm, sensor.newest);
      effects.alerts.push_back(
          closed_alert(sensor, detector, alarm, baseline, sensor.newest, position, std::nullopt));
    }
    sensor.leftovers.clear();
  }

  // --- a person's word: the machine was serviced, or is to be learned anew ---

  void renew(const Event& event, Effects& effects) {
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
    if (!event.sensor) renew_whole(machines[index(event.machine)], event, effects);
  }

  // Is it made of the windows of that waveform?
  bool tells_of(SensorId id, SensorId waveform) const {
    const auto& wave = sensors[index(waveform)];
    return wave.kin.wave && sensors[index(id)].kin.parent == wave.name;
  }

  void renew(Sensor& sensor, const Event& event, Effects& effects) {
    if (!sensor.seen) return;  // there is nothing to forget
    const auto now = event_time(sensor, event);
    const auto why = end_of(event.kind);
    for (auto& watch : sensor.watches) {
      if (!learns(types[watch.type])) continue;
      auto& alarm = watch.alarm;
      const auto confidence = explain(sensor, watch, std::nullopt).confidence;
      const bool on_machine = class_of(alarm.kind) == AlertClass::machine;
      if (alarm.phase == Phase::active && on_machine)
        effects.alerts.push_back(end_alarm(sensor, watch, now, event.position, why, confidence));
      interrupt(alarm);
      auto past = past_baseline(sensor, watch, now, event.position, why, confidence);
      Writer write{past.state};
      columns[watch.type]->save(watch.slot, write);
      effects.baselines.push_back(std::move(past));
      columns[watch.type]->renew(watch.slot);
      watch.baseline = watch.baseline.next();
    }
    sensor.usual = {};
    machines[index(sensor.machine)].condition.forget(sensor.place);
  }

  PastBaseline past_baseline(const Sensor& sensor, const Watch& watch, Timestamp until,
                             Position position, BaselineEnd why,
                             std::optional<double> confidence) const {
    const auto& type = types[watch.type];
    auto past =
        past_of(machines[index(sensor.machine)], sensor.name, watch.baseline, until, position, why);
    past.detector = type.name;
    past.detector_version = type.state_version;
    past.configuration = columns[watch.type]->fingerprint(watch.slot);
    past.confidence = confidence;
    return past;
  }

  // What every baseline that ends has, whoever learned it.
  static PastBaseline past_of(const Machine& machine, std::string_view sensor,
                              const Baseline& baseline, Timestamp until, Position position,
                              BaselineEnd why) {
    PastBaseline past;
    past.machine = machine.name;
    past.sensor = sensor;
    past.version = baseline.version;
    past.why = why;
    past.since = baseline.since;
    past.until = until;
    past.learned = baseline.learned;
    past.position = position;
    return past;
  }

  // --- state ---

  std::string save(const Machine& machine) const {
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
    saved.rule = rule_fingerprint(machine.rule());
    Writer{saved.state}(machine.whole.state);
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
    if (version < format_version) return RestoreResult::older_version;
    if (version > format_version) return RestoreResult::newer_version;
    const auto body = take_sealed(in);
    if (!body || !in.at_end()) return RestoreResult::damaged;
    SavedMachine saved;
    Reader reader{*body};
    reader(saved);
    if (!reader.ok() || !reader.at_end() || machine_ids.contains(saved.name))
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

  void adopt(Machine& machine, SavedMachine& saved) {
    machine.whole = std::move(saved.whole);
    machine.condition = std::move(saved.condition);
    const bool same_regimes = saved.rule == rule_fingerprint(machine.rule());
    if (same_regimes) {
      machine.regimes = std::move(saved.regimes);
    } else {
      machine.whole.forget_regimes();
    }
    const bool same = same_regimes && saved.version == MachineLevel::state_version &&
                      saved.fingerprint == machine.fingerprint;
    auto& state = machine.whole.state;
    Reader reader{saved.state};
    if (same) reader(state);
    const bool kept = same && reader.ok() && reader.at_end();
    if (kept) return;
    state = {};
    machine.whole.baseline = machine.whole.baseline.next();
    unreadable_states += same;
  }

  // Under other regimes, values are measured otherwise: what was learned of them does not hold.
  void adopt(const std::string& machine, SavedSensor& saved, bool same_regimes) {
    const auto parent = saved.sensor.kin.parent;
    const auto derived =
        parent.empty() ? std::nullopt : derived_of(machine, parent, saved.sensor.name);
    const auto id = add_one(machine, saved.sensor.name, derived ? &*derived : nullptr, parent);
    auto& sensor = sensors[index(id)];
    // Of a waveform that tells of other things now: nothing comes any more, so nobody waits for it.
    if (!parent.empty() && !derived) sensor.watches.clear();
    const bool same = parent.empty() || (derived && derived->meaning == saved.sensor.kin.meaning);
    if (!parent.empty()) sensor.kin.parent = parent;
    saved.sensor.kin = std::move(sensor.kin);
    saved.sensor.machine = sensor.machine;
    saved.sensor.place = sensor.place;
    saved.sensor.names_regime = sensor.names_regime;
    if (!same_regimes || !same) saved.sensor.usual = {};
    saved.sensor.profile = sensor.profile;
    saved.sensor.watches = std::move(sensor.watches);
    sensor = std::move(saved.sensor);
    sensor.open.sensor = id;
    for (auto& detector : saved.detectors) adopt(sensor, detector, same, same_regimes);
  }

  void adopt_wave(SensorId id, const SavedSensor& saved) {
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

  // `same_values`: what the sensor says means what it meant.
  void adopt(Sensor& sensor, SavedDetector& saved, bool same_values, bool same_regimes) {
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
};

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
    // What windows tell comes from nowhere else.
    if (m.sensors[index(it->second)].kin.parent.empty()) return it->second;
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
  if (version < format_version) return RestoreResult::older_version;
  if (version > format_version) return RestoreResult::newer_version;
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
