// What the engine is made of, for the files that make it up; nobody else includes this. A reading
// goes from intake (or blocks, of waveforms) through a round to alerts, and by frames to the
// machine as a whole; ticks and renewals come in between; saved is the state as bytes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/accounting.h"
#include "core/check.h"
#include "core/hash.h"
#include "detectors/all.h"
#include "detectors/machine.h"
#include "detectors/waveform.h"
#include "engine/alarm.h"
#include "engine/condition.h"
#include "engine/engine.h"
#include "engine/finder.h"
#include "engine/regime.h"
#include "engine/sensor.h"
#include "engine/wave.h"
#include "engine/whole.h"

namespace millwright::engine {

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
  bool in_regimes = false;               // its machine has some
  std::optional<RegimeId> new_regime{};  // that its machine was never in before
  std::optional<Timestamp> begin{};      // of what the value was made of, if that took time
  // Where the machine has regimes: nothing while this one is being learned, and in a transition.
  std::optional<Measure> measure{};
  std::uint32_t quality = 0;  // of what the value was made of
  Timestamp received{};       // by the gateway's clock
  // As in detectors::Timeline::stamp; nothing: it says nothing of its sender's clock.
  std::optional<double> stamp_error{};
};

// What a reading is worth to the detectors.
enum class Worth : std::uint8_t {
  normal,
  suspicious,  // teaches nothing
  faulty       // its sensor is at fault: says nothing of the machine
};

// What the detectors of one reading say together.
struct Opinion {
  std::optional<Score> combined;  // the highest ratio
  std::string_view leader;        // whose it is
  bool suspicious = false;        // some ratio is at the limit
  bool warming = false;           // there are learners, and none of them gives a score yet
  double of_machine = std::numeric_limits<double>::quiet_NaN();  // highest of class machine
  // By the loudest of those that learned what is normal of the machine.
  double expected = std::numeric_limits<double>::quiet_NaN();
};

inline bool learns(const detectors::DetectorType& type) { return type.kind != AlertKind::limit; }
// Those that look at what comes, be it taken in or not.
inline bool hears_arrivals(const detectors::DetectorType& type) {
  return type.timeline != detectors::Timeline::event;
}
inline bool reads_stamps(const detectors::DetectorType& type) {
  return type.timeline == detectors::Timeline::stamp;
}
// Those that say from the values whether the sensor is at fault, and those that say it of the
// machine.
inline bool watches_sensor(const detectors::DetectorType& type) {
  return !hears_arrivals(type) && class_of(type.kind) == AlertClass::sensor;
}
inline bool watches_machine(const detectors::DetectorType& type) {
  return !hears_arrivals(type) && class_of(type.kind) == AlertClass::machine;
}
// Those that see values held against the machine's regime, where it has any.
inline bool goes_by_regime(const detectors::DetectorType& type) {
  return watches_machine(type) && !type.absolute;
}
inline AlertKind kind_of(const detectors::DetectorType& type, const Score& score) {
  return score.kind.value_or(type.kind);
}

using detectors::MachineLevel;

struct Machine {
  std::string name;
  std::vector<SensorId> sensors;
  std::vector<std::size_t> waves;  // those of its sensors that are waveforms
  std::vector<SensorId> placed;    // those that its frames have values of, by place
  const MachineProfile* profile = nullptr;
  MachineLevel::Params parameters;
  std::uint64_t fingerprint = 0;  // of the parameters
  Whole whole;
  double family_limit = 1;  // not state: follows from the sensors seen
  Regimes regimes;
  RegimeFinder finder;  // where the rule asks for it
  bool split = false;   // not state: it has found some, and all that came before is judged
  detectors::Health::Params health;
  Condition condition;
  std::optional<ServiceWait> service;  // sensors are looked at since

  const RegimeRule& rule() const { return profile->regime; }
  // Values are held against regimes: they are named, or have been found.
  bool in_regimes() const { return rule().used() && (rule().learned == 0 || split); }
  // By what was taken in, not by who is registered: that does not depend on how input is cut.
  bool watched() const { return profile->watched && whole.frames.known() >= 2; }
};

// A waveform, and the sensors that its windows tell of.
struct WaveOf {
  SensorId sensor{};
  Wave wave;
  std::vector<DerivedSensor> features;
  // Of each feature; none: another source had the name before, and what windows say is refused.
  std::vector<std::optional<SensorId>> told_by;
};

inline Timestamp minute_of(Timestamp time) {
  return std::chrono::floor<std::chrono::minutes>(time);
}
// What is usual of a sensor by regime is archived as a baseline, too, under this detector's name.
inline constexpr std::string_view usual_by_regime = "regimes";

inline BaselineEnd end_of(Event::Kind kind) {
  return kind == Event::Kind::serviced ? BaselineEnd::serviced : BaselineEnd::rebaseline;
}

inline void close_wave_minute(WaveOf& of, Position position, Effects& effects) {
  auto summary = of.wave.minute.summary();
  summary.sensor = of.sensor;
  summary.position = position;
  effects.summaries.push_back(summary);
  of.wave.minute.count = 0;
}

// What a detector sees of the entry.
inline Sample sample_for(const detectors::DetectorType& type, const Sensor& sensor,
                         const Entry& entry) {
  if (entry.measure && goes_by_regime(type))
    return {entry.sample.time, entry.measure->from(entry.sample.value)};
  if (!hears_arrivals(type)) return entry.sample;
  if (reads_stamps(type)) return {entry.arrival, entry.stamp_error.value_or(0)};
  // The value of an ignored reading may be no number at all.
  const bool ignored = entry.kind == Entry::Kind::ignored || entry.kind == Entry::Kind::refused;
  return {entry.arrival, ignored ? sensor.last_value : entry.sample.value};
}

inline std::optional<Timestamp> alert_since(const Alarm& alarm) {
  return alarm.phase == Phase::active ? std::optional{alarm.reached} : std::nullopt;
}
inline bool is_scored(const Entry& entry) {
  return entry.kind == Entry::Kind::scored || entry.kind == Entry::Kind::released;
}
inline bool has_alert(const Sensor& sensor) {
  return std::any_of(sensor.watches.begin(), sensor.watches.end(),
                     [](const Watch& w) { return w.alarm.phase == Phase::active; });
}

// What a mechanic calls the sensor or the machine.
inline std::string_view label_of(const Sensor& sensor) { return sensor.label(); }
inline std::string_view label_of(const Machine& machine) {
  return machine.profile->label.empty() ? machine.name : machine.profile->label;
}

inline void close_minute(Sensor& sensor, Position position, Effects& effects) {
  sensor.open.position = position;
  effects.summaries.push_back(sensor.open);
  sensor.open.count = 0;
}

// Now, on the sensor's own time line: as long after its newest reading as its silence lasts.
inline Timestamp event_time(const Sensor& sensor, const Event& event) {
  return sensor.newest + (event.arrival - sensor.last_arrival);
}

// What every baseline that ends has, whoever learned it.
PastBaseline past_of(const Machine& machine, std::string_view sensor, const Baseline& baseline,
                     Timestamp until, Position position, BaselineEnd why);

// A state block as read back, before anything is changed.
struct SavedDetector;
struct SavedSensor;
struct SavedMachine;

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

  // --- who is who (engine/onboarding.cpp) ---

  // `types.size()` when there is none.
  std::size_t find_type(std::string_view name) const;
  // The sensors that come with one of this name.
  std::size_t derived_from(std::string_view machine, std::string_view name) const;
  // A sensor and, if it is a waveform, those that its windows tell of.
  SensorId add_sensor(std::string_view machine, std::string_view name);
  // What the plan says a sensor of this name and parent is; nothing: the parent has none such now.
  std::optional<DerivedSensor> derived_of(std::string_view machine, std::string_view parent,
                                          std::string_view name) const;
  void attach_wave(SensorId id);
  SensorId add_one(std::string_view machine, std::string_view name, const DerivedSensor* derived,
                   const std::string& parent);
  std::vector<Watch> watches_of(const Sensor& sensor, const DerivedSensor* derived,
                                const Profile* of_parent);
  // Is this the name of a feature that nothing tells of any more, as the plan has changed?
  bool is_orphan(const Sensor& sensor) const;
  // Another source takes the name over.
  void take_over(SensorId id);
  void set_key(std::string_view machine, std::string_view name);
  void retune(Machine& machine);

  // --- taking readings in (engine/intake.cpp) ---

  void enqueue(Entry entry, Effects& effects);
  // Here, in the order of the input, so that it does not matter how that is cut into rounds.
  void tell_regime(Entry& entry, const Sensor& sensor, Effects& effects);
  // Where no sensor names them. What was learned before there were two is of a mixture, and ends.
  void find_regime(const Entry& entry, const Sensor& sensor, Effects& effects);
  void take(const Event& event, Effects& effects);
  // With its first reading, a sensor is one more that its machine may raise a false alarm of. All
  // that came before is judged before: by readings taken in, not by who is registered.
  void see(Sensor& sensor, Effects& effects);
  std::optional<Outcome> refuse(const Event& event, const Sensor& sensor) const;
  // Of a reading of this time; nothing where that says nothing of its sender's clock.
  std::optional<double> stamp_error(const Event& event, Timestamp time,
                                    const std::optional<Outcome>& refused) const;
  // Into the reorder buffer, and out of it what is old enough or one too many.
  void hold(Sensor& sensor, Entry entry, Effects& effects);
  void release(SensorId id, Position position, Effects& effects);

  // --- waveforms (engine/blocks.cpp) ---

  // All that came before is judged before, and what follows from these samples at once: so nothing
  // depends on how they were cut into blocks.
  void take_samples(const Event& event, const Block& block, Effects& effects);
  std::optional<Outcome> refuse_samples(const Event& event, const Block& block,
                                        const Sensor& sensor, double rate) const;
  void count_samples(const Sensor& sensor, const Block& block, double rate, std::size_t from,
                     std::size_t count, Outcome outcome, Effects& effects);
  void take_new(const Event& event, const Block& block, double rate, std::size_t from,
                Effects& effects);
  void learn_samples(Sensor& sensor, WaveOf& of, std::span<const double> samples,
                     const Wave::Taken& taken, Position position, Effects& effects);
  void end_run(WaveOf& of, const Event& event, Effects& effects);
  // A window's features become readings of their own sensors.
  void tell(WaveOf& of, const Window& window, const Event& event, Effects& effects);

  // --- a round (engine/round.cpp) ---

  void flush(Effects& effects);
  void score_round();
  void learn_round();
  // What is usual of the sensor in this regime.
  void learn_regime(const Entry& entry, Worth worth_of_it);
  // The sensor has a value for the frame of its machine, where it gets a place with its first one.
  // Not before: waveforms, and features that are never told, would take places away from others.
  void add_to_frame(const Entry& entry, double ratio);
  // What it says now is not to be believed.
  void leave_frame(const Sensor& sensor);
  // Here, and not in the detectors, so that none can learn a machine from a faulty sensor.
  void drop_faulty(Batch& batch) const;
  // One reading's outcome: alerts, counters, summary, verdict. Says what it is worth.
  Worth conclude(std::size_t i, Effects& effects);
  Opinion opinion_of(std::size_t i) const;
  // Whether the sensor can be believed comes first: of the machine, a faulty one says nothing,
  // neither that it is bad nor that it is well again. True when it is faulty.
  bool judge_all(std::size_t i, Effects& effects);
  // A sensor that would count as stuck, while its machine rests, is not told of: it teaches
  // nothing, and that is all.
  void excuse_stillness(std::size_t i);
  bool machine_rests(const Sensor& sensor) const;
  void count_lesson(Sensor& sensor, const Entry& entry) const;
  // What the detectors took as normal: the alert about it is closed, and a new baseline begins. In
  // the order of the readings, each after the alerts of its own reading, however the input was cut
  // into rounds.
  void accept_changes(Effects& effects);
  void add_to_minute(Sensor& sensor, const Entry& entry, Outcome outcome, Effects& effects);

  // --- the machine as a whole (engine/whole_machine.cpp) ---

  // What its sensors say together since the frame began: judged, told, learned.
  void close_frame(Machine& machine, Position position, Effects& effects);
  // Holds the frame's values against the regime, where the machine has any. False: there is nothing
  // to compare.
  bool measure_frame(const Machine& machine);
  // Its health, from what all detectors say.
  void assess(Machine& machine, const detectors::MachineFrame& frame, Position position,
              Effects& effects);
  // What was told of it no longer holds: it is not known until the machine is learned again.
  void forget_health(Machine& machine, Timestamp time, Position position, Effects& effects);
  void judge_whole(Machine& machine, const detectors::MachineFrame& frame,
                   const detectors::MachineScore& said, Position position, Effects& effects);
  std::vector<Contributor> contributors(const Machine& machine,
                                        const detectors::MachineFrame& frame) const;
  Alert whole_alert(const Machine& machine, AlertEvent event, Timestamp time,
                    Position position) const;
  // An alarm that ends by anything but its score.
  void end_whole(Machine& machine, Timestamp time, Position position,
                 std::optional<BaselineEnd> why, Effects& effects);
  void renew_whole(Machine& machine, Position position, BaselineEnd why, Effects& effects);
  PastBaseline past_usual_of_whole(const Machine& machine, Timestamp until, Position position,
                                   BaselineEnd why) const;
  // What comes in this place means something else now: learned anew, and none of its past counts.
  void forget_place(Machine& machine, std::size_t place) const;

  // --- alerts and baselines that end (engine/alerts.cpp) ---

  // `sensitivity` and the number of a machine's sensors move the limit of what was learned; a limit
  // that a person set, and silence, stay where they are.
  double limit_for(const Sensor& sensor, const Watch& watch, AlertKind kind) const;
  // Among many sensors some reading goes far by chance at any time, two in a row hardly ever do.
  // One alone is enough where it would be so on a machine of n / 5 times as many sensors. A spike
  // is told when it is over: it has been held against readings on both sides.
  double alone_for(const Sensor& sensor, AlertKind kind) const;
  void judge(std::size_t i, std::size_t w, Effects& effects);
  // In the gateway's time, as that of the reading is wrong or was.
  void judge_stamp(std::size_t i, std::size_t w, Effects& effects);
  // `sample` is what the detector scored; nothing when it is silence that is judged.
  void judge(SensorId id, std::size_t w, Timestamp time, std::optional<Score> score,
             const std::optional<Sample>& sample, Position position, Effects& effects);
  // Without a sample, only what does not rest on one; `now`: event time at which it is silent.
  Explanation explain(const Sensor& sensor, const Watch& watch, const std::optional<Sample>& sample,
                      std::optional<Timestamp> now = {}) const;
  Alert make_alert(const Sensor& sensor, const Watch& watch, AlertEvent event, Timestamp time,
                   const Score& score, const Explanation& why, Position position) const;
  void name_detector(Alert& alert, const Watch& watch) const;
  // Ends an active alarm because its baseline ends, and tells it.
  Alert end_alarm(const Sensor& sensor, Watch& watch, Timestamp time, Position position,
                  BaselineEnd why, std::optional<double> confidence) const;
  // Closed by something other than a score: there is nothing to compare the value with.
  Alert closed_alert(const Sensor& sensor, std::string_view detector, const Alarm& alarm,
                     const Baseline& baseline, Timestamp time, Position position,
                     std::optional<BaselineEnd> why) const;
  Alert alert_frame(const Sensor& sensor, std::string_view detector, const Alarm& alarm,
                    const Baseline& baseline, AlertEvent event, Timestamp time,
                    Position position) const;
  PastBaseline past_baseline(const Sensor& sensor, const Watch& watch, Timestamp until,
                             Position position, BaselineEnd why,
                             std::optional<double> confidence) const;

  // --- ticks (engine/ticks.cpp) ---

  void tick(const Event& event, Effects& effects);
  // By machine and sensor, not by id: a restored engine has other ids and must say the same in the
  // same order.
  void each_sensor(auto&& visit) {
    for (const auto& machine : machines) {
      for (const auto id : machine.sensors) visit(id);
    }
  }
  void hear_silence(const Event& event, Effects& effects);
  void hear_silence_of(SensorId id, std::size_t type, const Event& event, Effects& effects);
  void close_leftovers(Sensor& sensor, Position position, Effects& effects);

  // --- a person's word (engine/renewal.cpp) ---

  void renew(const Event& event, Effects& effects);
  // Is it made of the windows of that waveform?
  bool tells_of(SensorId id, SensorId waveform) const;
  void renew(Sensor& sensor, const Event& event, Effects& effects);
  // What one detector learned ends, and it begins anew.
  void renew(const Sensor& sensor, Watch& watch, Timestamp now, Position position, BaselineEnd why,
             Effects& effects);
  // The machine turns out to have regimes.
  void renew_for_regimes(Machine& machine, Position position, Effects& effects);

  // --- did a service help? (engine/service.cpp) ---

  // Keeps what a sensor with an alert says.
  void follow_trouble(std::size_t i);
  void follow_service(const Entry& entry, Effects& effects);
  void begin_service(Sensor& sensor, const Event& event);
  // What is known by now has to do.
  void end_long_service(Machine& machine, const Event& event, Effects& effects);
  void tell_service(Machine& machine, Timestamp time, Position position, Effects& effects);

  // --- state (engine/saved.cpp) ---

  std::string save(const Machine& machine) const;
  RestoreResult restore(std::string_view bytes);
  void adopt(Machine& machine, SavedMachine& saved);
  // Under other regimes, values are measured otherwise: what was learned of them does not hold.
  void adopt(const std::string& machine, SavedSensor& saved, bool same_regimes);
  void adopt_wave(SensorId id, const SavedSensor& saved);
  // `same_values`: what the sensor says means what it meant.
  void adopt(Sensor& sensor, SavedDetector& saved, bool same_values, bool same_regimes);
};

}  // namespace millwright::engine
