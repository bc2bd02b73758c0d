#include "daemon/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/check.h"
#include "core/codec.h"
#include "core/hash.h"
#include "daemon/command_document.h"
#include "daemon/plan_of.h"
#include "daemon/printable.h"

namespace millwright::daemon {
namespace {

constexpr std::uint32_t shard_magic = 0x3153574d;  // "MWS1"
// 2: fleet, 3: desk, 4: commands, fleet of format 2; 5: which commands were answered
constexpr std::uint16_t shard_version = 5;
constexpr std::uint16_t oldest_shard_version = 4;
constexpr std::size_t remembered_commands = 64;
constexpr std::size_t most_named = 5;        // machines in an answer
constexpr std::size_t most_answered = 4096;  // over all lanes
constexpr std::size_t most_archived = 20;    // alerts in a record
constexpr auto* written_by_newer = "the checkpoint was written by a newer version of Millwright";
constexpr auto* written_before_release =
    "the checkpoint was written by a Millwright before its first release, which this one cannot "
    "read: move it away to learn anew";

engine::Clock clock_of(const config::Configuration& configuration) {
  return configuration.processing.clock == ProcessingClock::event ? engine::Clock::event
                                                                  : engine::Clock::given;
}

Shard::RestoreProblem damaged(const char* sentence) { return {sentence, true}; }

}  // namespace

bool MachineRegistry::claim(std::string_view machine, std::uint32_t lane) {
  const std::lock_guard lock{mutex_};
  return lanes_.try_emplace(std::string{machine}, lane).first->second == lane;
}

std::optional<std::uint32_t> MachineRegistry::owner(std::string_view machine) const {
  const std::lock_guard lock{mutex_};
  const auto found = lanes_.find(std::string{machine});
  return found == lanes_.end() ? std::nullopt : std::optional{found->second};
}

bool MachineRegistry::answers(std::uint32_t lane, Timestamp command, bool knows) {
  const std::lock_guard lock{mutex_};
  newest_[lane] = std::max(newest_[lane], command);
  const bool last = std::all_of(newest_.begin(), newest_.end(),
                                [&](Timestamp newest) { return newest >= command; });
  if (!knows && !last) return false;
  if (!answered_.insert(command).second) return false;
  if (answered_.size() > most_answered) answered_.erase(answered_.begin());
  return true;
}

void MachineRegistry::dealt_with(std::uint32_t lane, Timestamp newest,
                                 const std::vector<Timestamp>& answered) {
  const std::lock_guard lock{mutex_};
  newest_[lane] = newest;
  answered_.insert(answered.begin(), answered.end());
}

std::vector<std::string> archived_alerts(std::span<const Alert> alerts) {
  std::vector<std::string> payloads;
  while (!alerts.empty()) {
    const auto some = alerts.first(std::min(alerts.size(), most_archived));
    alerts = alerts.subspan(some.size());
    Writer{payloads.emplace_back()}(engine::Desk::format_version,
                                    std::vector<Alert>{some.begin(), some.end()});
  }
  return payloads;
}

Shard::Shard(std::uint32_t lane, std::string configuration_text, MachineRegistry& registry,
             Quarantine* quarantine)
    : lane_(lane), registry_(registry), quarantine_(quarantine) {
  output_.lane = lane;
  decoded_.want_blocks = true;
  configure(std::move(configuration_text));
  const auto plan =
      std::make_shared<const engine::Plan>(plan_of(configuration_, registry_.lanes()));
  engine_.emplace(plan);
  fleet_.emplace(plan);
  desk_.emplace(plan, registry_.lanes());
  feed_ = engine::Feed{clock_of(configuration_)};
}

void Shard::configure(std::string text) {
  auto loaded = config::parse(text, "configuration in the journal");
  if (!loaded.configuration) {
    std::string why = "not a configuration";
    for (const auto& problem : loaded.problems) {
      if (problem.level == config::Problem::Level::error) {
        why = config::to_string(problem);
        break;
      }
    }
    throw std::invalid_argument{why};
  }
  ingest::Decoder decoder{loaded.configuration->inputs, loaded.configuration->limits};
  configuration_ = std::move(*loaded.configuration);
  configuration_text_ = std::move(text);
  decoder_.emplace(std::move(decoder));
}

void Shard::apply(const ingest::Record& record) {
  position_ = record.position;
  last_arrival_ = std::max(last_arrival_, record.arrival);
  switch (record.kind) {
    case ingest::RecordKind::message:
      return decode(record);
    case ingest::RecordKind::tick:
      return feed_.tick(record.position, record.received, record.arrival);
    case ingest::RecordKind::configuration:
      return reconfigure(record.payload);
    case ingest::RecordKind::command:
      return obey(record);
    case ingest::RecordKind::archived:
      return catch_up(record);
  }
}

// Their bytes are those of a desk's state. What another version wrote is left out: it was written
// at a start, and its alerts are caught up with at the next.
void Shard::catch_up(const ingest::Record& record) {
  step_into(output_);
  std::uint16_t version = 0;
  std::vector<Alert> archived;
  Reader in{record.payload};
  in(version);
  if (!in.ok() || version != engine::Desk::format_version) return;
  in(archived);
  if (!in.ok() || !in.at_end()) return;
  desk_->catch_up(std::move(archived), feed_.now(record.received), record.position, output_.alerts);
}

// What came before it is stepped first: a command speaks of what there is when it comes.
void Shard::obey(const ingest::Record& record) {
  step_into(output_);
  newest_command_ = std::max(newest_command_, record.arrival);
  if (seen_before(record)) {
    // It was answered when it came first.
    registry_.answers(lane_, record.arrival, true);
    return;
  }
  auto read = read_command(record.topic, record.payload);
  auto& command = read.command;
  const auto now = feed_.now(record.received);
  if (read.minutes) command.to = command.from.value_or(now) + std::chrono::minutes{*read.minutes};
  CommandAnswer answer{false, read.problem};
  if (read.problem.empty() && (record.flags & ingest::message_retained) != 0)
    answer.text = "a retained command would act again after every restart: send it without retain";
  if (answer.text.empty()) answer = carry_out(command, now, record);
  if (!answers(command, answer.ok, record.arrival)) return;
  ++(answer.ok ? commands_done_ : commands_refused_);
  auto to = ingest::decode_reply_to(record.properties);
  output_.operations.push_back(
      {now, printable(record.topic, longest_command_name), std::move(command.by),
       std::move(command.comment), std::move(command.alert), std::move(command.machine),
       std::move(command.sensor), command.from, command.to, answer.ok, std::move(answer.text),
       record.position, std::move(to.topic), std::move(to.correlation)});
}

// The broker sends again what it was not told to have arrived; acting twice would forget what was
// learned since. A person who says the same thing twice sends two messages that are not marked.
bool Shard::seen_before(const ingest::Record& record) {
  const auto hash = hash64(record.topic, hash64(record.properties, hash64(record.payload)));
  const auto known = std::find(recent_commands_.begin(), recent_commands_.end(), hash);
  if (known != recent_commands_.end()) {
    if ((record.flags & ingest::message_redelivered) != 0) return true;
    recent_commands_.erase(known);
  }
  if (recent_commands_.size() == remembered_commands)
    recent_commands_.erase(recent_commands_.begin());
  recent_commands_.push_back(hash);
  return false;
}

CommandAnswer Shard::carry_out(const millwright::Command& command, Timestamp now,
                               const ingest::Record& record) {
  if (command.kind == CommandKind::serviced || command.kind == CommandKind::rebaseline)
    return renew(command, record);
  auto answer = desk_->take(command, now, record.position, output_.alerts);
  if (answer.ok && command.kind == CommandKind::maintenance_start)
    answer.text += machines_meant(command.machine);
  return answer;
}

// A name that was mistyped is maintained for nothing. Of several lanes none knows all machines.
std::string Shard::machines_meant(std::string_view glob) const {
  if (registry_.lanes() > 1) return {};
  std::size_t count = 0;
  std::string named;
  for (std::size_t i = 0; i < engine_->machines(); ++i) {
    const auto name = engine_->machine_name(static_cast<MachineId>(i));
    if (!engine::glob_matches(glob, name)) continue;
    if (++count <= most_named) named.append(named.empty() ? "" : ", ").append(name);
  }
  if (count == 0) return "; no machine has this name yet";
  return fmt::format("; now {} ({}{})",
                     count == 1 ? "one machine" : fmt::format("{} machines", count), named,
                     count > most_named ? ", ..." : "");
}

CommandAnswer Shard::renew(const millwright::Command& command, const ingest::Record& record) {
  const bool serviced = command.kind == CommandKind::serviced;
  const auto kind = serviced ? engine::Event::Kind::serviced : engine::Event::Kind::rebaseline;
  if (!feed_.renew(*engine_, kind, command.machine, command.sensor, record.position,
                   record.received, record.arrival)) {
    const auto machine = engine_->find_machine(command.machine);
    return {false, machine ? "machine " + command.machine + " has no sensor " + command.sensor
                           : "there is no machine " + command.machine};
  }
  step_into(output_);
  const auto of =
      command.sensor.empty() ? command.machine : command.sensor + " of " + command.machine;
  return {true, of + (serviced ? " was serviced: the old baseline is kept in the archive, a short "
                                 "relearning begins"
                               : " is learned anew: the old baseline is kept in the archive")};
}

// One lane speaks for all.
bool Shard::answers(const millwright::Command& command, bool ok, Timestamp arrival) {
  if (registry_.lanes() == 1) return true;
  const bool for_all = command.kind == CommandKind::maintenance_start ||
                       command.kind == CommandKind::maintenance_stop;
  const bool knows = for_all ? lane_ == 0 : ok || has(command);
  if (!registry_.answers(lane_, arrival, knows)) return false;
  if (answered_.size() == remembered_commands) answered_.erase(answered_.begin());
  answered_.push_back(arrival);
  return true;
}

// Is it about a machine of this lane?
bool Shard::has(const millwright::Command& command) const {
  std::optional<std::uint32_t> owner;
  if (!command.alert.empty()) {
    // machine/sensor/kind/onset; names may have slashes.
    for (auto end = command.alert.rfind('/'); end != std::string::npos && !owner;
         end = end == 0 ? std::string::npos : command.alert.rfind('/', end - 1))
      owner = registry_.owner(std::string_view{command.alert}.substr(0, end));
  } else {
    owner = registry_.owner(command.machine);
  }
  return owner == lane_;
}

void Shard::decode(const ingest::Record& record) {
  ++messages_;
  decoder_->decode({record.topic, record.payload, record.properties, record.received,
                    (record.flags & ingest::message_retained) != 0},
                   decoded_);
  if (decoded_.reject != Reject::none) return keep_bad(decoded_.reject, "", record);
  for (const auto& bad : decoded_.rejected) keep_bad(bad.reason, bad.where, record);
  auto block = decoded_.blocks.begin();
  for (std::size_t i = 0; i <= decoded_.readings.size(); ++i) {
    for (; block != decoded_.blocks.end() && block->after <= i; ++block) feed(*block, record);
    if (i < decoded_.readings.size()) feed(decoded_.readings[i], record);
  }
}

void Shard::feed(const ingest::Decoded& reading, const ingest::Record& record) {
  if (registry_.lanes() > 1 && !ours(reading.machine)) return engine_->refuse(Outcome::two_lanes);
  feed_.reading(*engine_, reading.machine, reading.sensor, {reading.time, reading.value},
                record.position, record.received, record.arrival,
                (record.flags & ingest::message_redelivered) != 0);
}

void Shard::feed(const ingest::DecodedBlock& block, const ingest::Record& record) {
  if (registry_.lanes() > 1 && !ours(block.machine))
    return engine_->refuse(Outcome::two_lanes, block.count);
  const auto samples = std::span{decoded_.samples}.subspan(block.begin, block.count);
  feed_.block(*engine_, block.machine, block.sensor, {block.first, block.rate_hz, samples},
              record.position, record.received, record.arrival,
              (record.flags & ingest::message_redelivered) != 0);
}

bool Shard::ours(std::string_view machine) {
  const std::string name{machine};
  if (const auto it = machines_.find(name); it != machines_.end()) return it->second;
  if (machines_.size() >= 2 * std::size_t{configuration_.limits.sensors}) machines_.clear();
  return machines_[name] = registry_.claim(name, lane_);
}

void Shard::keep_bad(Reject reason, std::string_view where, const ingest::Record& record) {
  rejected_.add(reason);
  if (quarantine_ != nullptr)
    quarantine_->add(reason, where, record.topic, record.payload, record.received);
}

void Shard::reconfigure(std::string_view text) {
  step_into(output_);
  const auto state = engine_->save_all(position_), fleet = fleet_->save(), desk = desk_->save();
  // The supervisor has read the same text before it put it here.
  configure(std::string{text});
  const auto plan =
      std::make_shared<const engine::Plan>(plan_of(configuration_, registry_.lanes()));
  engine::Engine changed{plan};
  Position position = 0;
  check(changed.restore_all(state, position) == engine::RestoreResult::ok,
        "an engine reads its own state");
  engine_ = std::move(changed);
  fleet_.emplace(plan);
  std::vector<Alert> closed;
  check(fleet_->restore(fleet, closed), "a fleet reads its own state");
  desk_.emplace(plan, registry_.lanes());
  check(desk_->restore(desk), "a desk reads its own state");
  tell(std::move(closed));
  std::string now;
  Writer{now}(feed_);
  feed_ = engine::Feed{clock_of(configuration_)};
  Reader{now}(feed_);
}

LaneOutput Shard::step() {
  step_into(output_);
  output_.through = position_;
  LaneOutput out;
  out.lane = lane_;
  std::swap(out, output_);
  return out;
}

void Shard::step_into(LaneOutput& out) {
  effects_.clear();
  feed_.step(*engine_, effects_);
  fleet_->follow(*engine_, effects_, effects_.alerts);
  desk_->follow(effects_.ticks, effects_.alerts);
  for (auto& alert : effects_.alerts) out.alerts.push_back(std::move(alert));
  for (auto& baseline : effects_.baselines) out.baselines.push_back(std::move(baseline));
  for (auto& notice : effects_.regimes) {
    out.regimes.push_back({std::string{engine_->machine_name(notice.machine)},
                           std::move(notice.regime),
                           notice.what == engine::RegimeNotice::What::learned});
  }
  for (auto& health : effects_.health) out.health.push_back(std::move(health));
  for (auto& service : effects_.services) out.services.push_back(std::move(service));
  for (const auto& summary : effects_.summaries) {
    const auto who = engine_->info(summary.sensor);
    out.summaries.push_back(
        {std::string{who.machine}, std::string{who.sensor}, std::string{who.unit}, summary});
  }
}

ShardFigures Shard::figures() const {
  ShardFigures figures;
  figures.messages = messages_;
  figures.readings = engine_->received();
  figures.rejected = rejected_;
  figures.outcomes = engine_->outcomes();
  figures.sensors = engine_->sensors();
  figures.machines = engine_->machines();
  figures.warming = engine_->warming();
  figures.active_alerts = engine_->active_alerts();
  figures.waiting = engine_->pending();
  figures.windows = engine_->windows();
  figures.alarms = desk_->figures();
  figures.commands_done = commands_done_;
  figures.commands_refused = commands_refused_;
  return figures;
}

std::vector<std::pair<std::string, std::string>> Shard::machines() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t i = 0; i < engine_->machines(); ++i) {
    const auto id = static_cast<MachineId>(i);
    out.emplace_back(engine_->machine_name(id), engine_->save(id));
  }
  return out;
}

// Alerts between steps.
void Shard::tell(std::vector<Alert> alerts) {
  desk_->follow({}, alerts);
  for (auto& alert : alerts) output_.alerts.push_back(std::move(alert));
}

void Shard::leave_fleet() {
  std::vector<Alert> closed;
  fleet_->renew_all(closed);
  tell(std::move(closed));
}

bool Shard::adopt(std::string_view machine, Timestamp last_arrival) {
  last_arrival_ = std::max(last_arrival_, last_arrival);
  return engine_->restore(machine) == engine::RestoreResult::ok;
}

bool Shard::adopt_desk(std::string_view desk, const std::function<bool(std::string_view)>& mine) {
  return desk_->take_over(desk, mine);
}

storage::Checkpoint Shard::checkpoint() const {
  storage::Checkpoint checkpoint;
  checkpoint.position = position_;
  checkpoint.configuration = configuration_text_;
  Writer{checkpoint.state}(shard_magic, shard_version, last_arrival_, messages_, rejected_, feed_,
                           engine_->save_all(position_), fleet_->save(), desk_->save(),
                           recent_commands_, commands_done_, commands_refused_, newest_command_,
                           answered_);
  return checkpoint;
}

std::optional<Shard::RestoreProblem> Shard::restore(const storage::Checkpoint& checkpoint) {
  Reader in{checkpoint.state};
  std::uint32_t magic = 0;
  std::uint16_t version = 0;
  in(magic, version);
  if (!in.ok() || magic != shard_magic) return damaged("the checkpoint holds no state of a lane");
  if (version > shard_version) return RestoreProblem{written_by_newer};
  if (version < oldest_shard_version) return RestoreProblem{written_before_release};
  std::string engine, fleet, desk;
  engine::Feed feed{clock_of(configuration_)};
  std::uint64_t messages = 0;
  Counters<Reject> rejected;
  Timestamp last_arrival;
  std::vector<std::uint64_t> recent_commands;
  std::uint64_t commands_done = 0, commands_refused = 0;
  in(last_arrival, messages, rejected, feed, engine, fleet, desk, recent_commands, commands_done,
     commands_refused);
  Timestamp newest_command;
  std::vector<Timestamp> answered;
  if (version >= 5) in(newest_command, answered);
  Position position = 0;
  if (!in.ok() || !in.at_end()) return damaged("the checkpoint is cut short");
  // Into one of its own first: what cannot be read leaves this shard as it was.
  const auto plan =
      std::make_shared<const engine::Plan>(plan_of(configuration_, registry_.lanes()));
  engine::Fleet fleet_there{plan};
  engine::Desk desk_there{plan, registry_.lanes()};
  std::vector<Alert> closed;
  if (!fleet_there.restore(fleet, closed) || !desk_there.restore(desk))
    return damaged("the state in the checkpoint is damaged");
  switch (engine_->restore_all(engine, position)) {
    case engine::RestoreResult::ok:
      break;
    case engine::RestoreResult::newer_version:
      return RestoreProblem{written_by_newer};
    case engine::RestoreResult::older_version:
      return RestoreProblem{written_before_release};
    case engine::RestoreResult::damaged:
    case engine::RestoreResult::unknown_format:
      return damaged("the state in the checkpoint is damaged");
  }
  fleet_ = std::move(fleet_there);
  desk_ = std::move(desk_there);
  tell(std::move(closed));
  feed_ = std::move(feed);
  last_arrival_ = last_arrival;
  messages_ = messages;
  rejected_ = rejected;
  recent_commands_ = std::move(recent_commands);
  commands_done_ = commands_done;
  commands_refused_ = commands_refused;
  newest_command_ = newest_command;
  answered_ = std::move(answered);
  registry_.dealt_with(lane_, newest_command_, answered_);
  position_ = checkpoint.position;
  for (std::size_t i = 0; i < engine_->machines(); ++i) {
    registry_.claim(engine_->machine_name(static_cast<MachineId>(i)), lane_);
  }
  return std::nullopt;
}

}  // namespace millwright::daemon
