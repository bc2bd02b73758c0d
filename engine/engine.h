// The engine: (plan, state, readings, ticks) -> alerts, summaries, state. A pure function: no
// clock, thread, I/O, log, JSON or random source. Live daemon, replay and simulation test differ
// only in who calls `step`.
//
// Contract: chunk-invariant (step(a + b) does what step(a); step(b) does, to the byte),
// deterministic, state is bytes, readings are conserved (the outcomes sum up to the readings
// received).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/accounting.h"
#include "core/alert.h"
#include "core/baseline.h"
#include "core/health.h"
#include "core/reading.h"
#include "core/score.h"
#include "core/service.h"
#include "core/summary.h"
#include "detectors/detector.h"
#include "engine/plan.h"
#include "engine/regime.h"
#include "engine/wave.h"

namespace millwright::engine {

// Samples at even steps of time, of one sensor whose profile has a waveform.
struct Block {
  Timestamp first;     // of the first sample
  double rate_hz = 0;  // 0: not said, the profile knows
  std::span<const double> samples;
};

// One thing that happens to the engine, in journal order.
struct Event {
  enum class Kind : std::uint8_t {
    reading,
    tick,
    serviced,    // a person says that the machine was serviced: what it was like no longer counts
    rebaseline,  // a person asks for a new baseline
    block        // many readings at once: `reading` says of which sensor, `block` the rest
  };
  Kind kind = Kind::reading;
  Position position = 0;  // of the journal record it came from; never falls
  Timestamp received;     // the gateway's wall clock, against which the future is judged; may step
  Timestamp arrival;      // processing time, never falls: what silence is measured in; stands still
                          // while offline
  Reading reading;        // kind reading
  // The source sends it again: it may have been taken in before. When it is not newer than the
  // sensor's newest, it was, and is a duplicate where it would else be late.
  bool redelivered = false;
  MachineId machine{};               // kinds serviced and rebaseline
  std::optional<SensorId> sensor{};  // this one of its sensors; nothing: all of them
  const Block* block = nullptr;      // kind block; borrowed until it is stepped
};

// One reading's combined outcome: for `replay --scores`.
struct Verdict {
  SensorId sensor{};
  Sample sample;
  Outcome outcome{};
  std::optional<Score>
      score;  // the highest ratio over the sensor's detectors; nothing while warming up
  std::string_view detector;         // which one led
  bool alert = false;                // an alert on the sensor is active after this reading
  RegimeId regime = no_regime;       // of the machine
  std::uint32_t regime_learned = 0;  // readings of the sensor learned in it
};

// One look at a machine as a whole.
struct MachineVerdict {
  MachineId machine{};
  Timestamp time;               // of the newest reading it rests on
  std::optional<double> ratio;  // nothing while warming up
  bool alert = false;
  std::size_t after = 0;  // so many of the verdicts on readings stand before it
};

// A machine does what it never did before: its sensors are learned anew meanwhile. Or all of them
// are learned.
struct RegimeNotice {
  MachineId machine{};
  std::string regime;
  enum class What : std::uint8_t { learning, learned } what{};
  Timestamp time;
};

// Time went by, after the alerts of the same position.
struct Passed {
  Position position = 0;
  Timestamp now;  // as Event::received
};

// A person said that the machine was serviced, or asked for new baselines of all its sensors.
struct Renewal {
  MachineId machine{};
  Position position = 0;
};

struct Effects {
  std::vector<Alert> alerts;
  std::vector<Passed> ticks;
  std::vector<Summary> summaries;
  std::vector<PastBaseline> baselines;  // that were replaced
  std::vector<Renewal> renewals;
  std::vector<RegimeNotice> regimes;
  std::vector<MachineHealth> health;
  std::vector<ServiceOutcome> services;
  bool want_verdicts = false;
  std::vector<Verdict> verdicts;  // in the order in which readings were scored, if wanted
  std::vector<MachineVerdict> machine_verdicts;  // likewise
  void clear() {
    alerts.clear();
    ticks.clear();
    summaries.clear();
    baselines.clear();
    renewals.clear();
    regimes.clear();
    health.clear();
    services.clear();
    verdicts.clear();
    machine_verdicts.clear();
  }
};

struct RegimeInfo {
  std::string name;
  std::uint64_t readings = 0;  // learned in it, of all sensors
  double confidence = 0;       // 0..1, of the sensor that is known least
};

struct SensorInfo {
  std::string_view machine, sensor, unit;
  std::string_view label;      // what a mechanic calls it; without one, its name
  std::uint64_t readings = 0;  // learned or warming
  bool warming = true;
  Timestamp last;  // newest event time
};

// A bad restore says why; the engine is then as it was before, or the machine starts anew.
enum class RestoreResult : std::uint8_t {
  ok,
  damaged,
  newer_version,
  older_version,
  unknown_format
};

// Thread rule: one thread. Not copyable.
class Engine {
 public:
  explicit Engine(std::shared_ptr<const Plan> plan);  // shared: lanes and reloads read one plan
  // With other detectors than the one list; borrowed.
  Engine(std::shared_ptr<const Plan> plan, std::span<const detectors::DetectorType> types);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // The sensor's id, onboarded on first sight with its profile. Nothing beyond max_sensors or for a
  // bad name: `refused` then says which, and the caller hands each such reading to `refuse`, where
  // it is counted.
  std::optional<SensorId> sensor(std::string_view machine, std::string_view sensor,
                                 Outcome& refused);
  void refuse(Outcome why, std::uint64_t readings = 1) noexcept;
  // Is it watched by windows of its samples? Only such a sensor takes blocks.
  bool is_waveform(SensorId id) const;
  // Who is known; these onboard nobody.
  std::optional<MachineId> find_machine(std::string_view machine) const;
  std::optional<SensorId> find_sensor(std::string_view machine, std::string_view sensor) const;

  void step(std::span<const Event> events, Effects& effects);

  const Plan& plan() const;
  std::size_t sensors() const;
  std::size_t machines() const;
  SensorInfo info(SensorId id) const;
  std::string_view machine_name(MachineId id) const;
  bool names_regime(SensorId id) const;  // its values tell what its machine does
  MachineId machine_of(SensorId id) const;
  // The regimes that the machine has been in so far.
  std::vector<RegimeInfo> regimes(MachineId id) const;
  std::uint64_t received() const;  // readings handed in, refused ones included
  // Sums up to received(), less those held in the reorder buffer. What windows of a waveform say
  // are readings too, on top of its samples.
  const Counters<Outcome>& outcomes() const;
  std::uint64_t pending() const;  // readings in reorder buffers
  std::size_t active_alerts() const;
  std::size_t warming() const;   // sensors still warming up
  WindowCounts windows() const;  // of all waveforms

  // One machine's whole state (docs/formats/state.md). Restoring it into an engine that does not
  // have the machine yet continues exactly; under another plan, every detector whose parameters did
  // not change keeps its state to the byte, the others start anew.
  std::string save(MachineId id) const;
  RestoreResult restore(std::string_view bytes);
  // Detectors that had to start anew because a restore found their bytes unreadable; 0 unless there
  // is a bug.
  std::uint64_t unreadable_states() const;
  // All machines and the counters, with `position`, the last record applied.
  std::string save_all(Position position) const;
  RestoreResult restore_all(std::string_view bytes, Position& position);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millwright::engine
