// One lane's work without its thread: records in, alerts and summaries out. Decodes, feeds the
// engine, takes on changed configurations where they stand in the journal, and is saved and
// restored as bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/accounting.h"
#include "core/alert.h"
#include "core/baseline.h"
#include "core/health.h"
#include "core/service.h"
#include "core/summary.h"
#include "daemon/quarantine.h"
#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/fleet.h"
#include "ingest/decoder.h"
#include "ingest/journal.h"
#include "storage/checkpoint.h"
#include "storage/operation.h"

namespace millwright::daemon {

// Which lane a machine belongs to: one only. Thread rule: any thread.
class MachineRegistry {
 public:
  // So many lanes run, whatever a configuration that was taken on since says.
  explicit MachineRegistry(std::uint32_t lanes = 1) : newest_(lanes) {}

  std::uint32_t lanes() const { return static_cast<std::uint32_t>(newest_.size()); }
  // False when the machine already belongs to another lane.
  bool claim(std::string_view machine, std::uint32_t lane);
  std::optional<std::uint32_t> owner(std::string_view machine) const;

  // Every lane hears every command, and one answers: the lane that knows what it is about, else the
  // last one that has dealt with it. `command` is its processing time, another one for each. True
  // when `lane` is to answer.
  bool answers(std::uint32_t lane, Timestamp command, bool knows);
  // After a restart: the newest command that a lane has dealt with, and those that it answered.
  void dealt_with(std::uint32_t lane, Timestamp newest, const std::vector<Timestamp>& answered);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::uint32_t> lanes_;
  std::vector<Timestamp> newest_;  // command, by lane
  std::set<Timestamp> answered_;   // the newest few
};

struct NamedSummary {
  std::string machine, sensor, unit;
  Summary summary;
};

struct NamedRegime {
  std::string machine, regime;
  bool learned = false;  // else: being learned
};

// What one step brought, with names instead of ids: it outlives the engine.
struct LaneOutput {
  std::uint32_t lane = 0;
  std::vector<Alert> alerts;
  std::vector<NamedSummary> summaries;
  std::vector<PastBaseline> baselines;
  std::vector<NamedRegime> regimes;
  std::vector<MachineHealth> health;
  std::vector<ServiceOutcome> services;
  std::vector<storage::Operation> operations;  // commands that this lane answers
  Position through = 0;  // effects of every record up to here are in this output or an earlier one
  bool empty() const {
    return alerts.empty() && summaries.empty() && baselines.empty() && regimes.empty() &&
           health.empty() && services.empty() && operations.empty();
  }
};

struct ShardFigures {
  std::uint64_t messages = 0;  // records decoded
  std::uint64_t readings = 0;  // handed to the engine, refused ones included
  Counters<Reject> rejected;   // messages and fields that yielded no reading
  Counters<Outcome> outcomes;
  std::uint64_t sensors = 0, machines = 0, warming = 0, active_alerts = 0, waiting = 0;
  engine::WindowCounts windows;  // of waveforms
  engine::AlarmFigures alarms;
  std::uint64_t commands_done = 0, commands_refused = 0;  // of those that this lane answered
};

// Payloads of records of the kind `archived`: so many that each fits into a small journal.
std::vector<std::string> archived_alerts(std::span<const Alert> alerts);

// Thread rule: one thread; the registry is shared.
class Shard {
 public:
  // Throws std::invalid_argument with a sentence when the text is no configuration.
  Shard(std::uint32_t lane, std::string configuration_text, MachineRegistry& registry,
        Quarantine* quarantine);

  // Takes in the next record. A configuration record takes effect at once, after all before it has
  // been stepped.
  void apply(const ingest::Record& record);
  // Readings and ticks that wait for `step`.
  std::size_t waiting() const { return feed_.size(); }
  // Runs the engine over what was applied and hands over all that came of it.
  LaneOutput step();

  Position position() const { return position_; }           // of the last record applied
  Timestamp last_arrival() const { return last_arrival_; }  // newest processing time applied
  const std::string& text() const { return configuration_text_; }
  const config::Configuration& configuration() const { return configuration_; }
  ShardFigures figures() const;

  // Every machine with its state, to be taken over by the shards of another number of lanes.
  std::vector<std::pair<std::string, std::string>> machines() const;
  // Closes the alerts of machines that differ from their sisters: they will have others on the
  // lanes to come, and are learned anew there. Told by the next step.
  void leave_fleet();
  // Takes over a machine of another shard; false when its bytes cannot be read or it is here
  // already.
  bool adopt(std::string_view machine, Timestamp last_arrival);
  // What its desk knows, and that of another shard: of the machines that are `mine`.
  std::string desk() const { return desk_->save(); }
  bool adopt_desk(std::string_view desk, const std::function<bool(std::string_view)>& mine);

  // Between steps. The checkpoint's configuration must be the one this shard was made with.
  storage::Checkpoint checkpoint() const;
  struct RestoreProblem {
    std::string sentence;
    bool damaged = false;  // else it is whole, and written by another version
  };
  // Why the state could not be taken over; nothing when it was.
  std::optional<RestoreProblem> restore(const storage::Checkpoint& checkpoint);

 private:
  void decode(const ingest::Record& record);
  void feed(const ingest::Decoded& reading, const ingest::Record& record);
  void feed(const ingest::DecodedBlock& block, const ingest::Record& record);
  void keep_bad(Reject reason, std::string_view where, const ingest::Record& record);
  void reconfigure(std::string_view text);
  void obey(const ingest::Record& record);
  void catch_up(const ingest::Record& record);
  bool seen_before(const ingest::Record& record);
  CommandAnswer carry_out(const millwright::Command& command, Timestamp now,
                          const ingest::Record& record);
  CommandAnswer renew(const millwright::Command& command, const ingest::Record& record);
  std::string machines_meant(std::string_view glob) const;
  bool answers(const millwright::Command& command, bool ok, Timestamp arrival);
  bool has(const millwright::Command& command) const;
  void configure(std::string text);
  bool ours(std::string_view machine);
  void step_into(LaneOutput& out);
  void tell(std::vector<Alert> alerts);

  const std::uint32_t lane_;
  MachineRegistry& registry_;
  Quarantine* quarantine_;  // may be null
  std::string configuration_text_;
  config::Configuration configuration_;
  std::optional<engine::Engine> engine_;
  std::optional<engine::Fleet> fleet_;  // of this lane's machines
  std::optional<engine::Desk> desk_;
  engine::Feed feed_{engine::Clock::given};
  std::optional<ingest::Decoder> decoder_;
  ingest::DecodeResult decoded_;
  engine::Effects effects_;
  LaneOutput output_;  // of steps that a configuration change made
  Position position_ = 0;
  Timestamp last_arrival_;
  std::uint64_t messages_ = 0;
  Counters<Reject> rejected_;
  std::vector<std::uint64_t> recent_commands_;  // hashes, oldest first
  Timestamp newest_command_;                    // its processing time
  std::vector<Timestamp> answered_;             // by this lane, oldest first
  std::uint64_t commands_done_ = 0, commands_refused_ = 0;
  std::unordered_map<std::string, bool>
      machines_;  // ours or not, as the registry said; with several lanes only
};

}  // namespace millwright::daemon
