#include "daemon/writer.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "daemon/command_document.h"
#include "daemon/documents.h"
#include "daemon/lane_files.h"
#include "daemon/printable.h"
#include "daemon/service_document.h"
#include "daemon/version.h"
#include "engine/whole.h"

namespace millwright::daemon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t enough_rows = 5000;  // a transaction is worth its sync
constexpr auto longest_wait = std::chrono::seconds{2};
constexpr std::size_t most_summaries = 500'000;  // kept while the archive cannot be written
constexpr std::size_t most_alerts = 20'000;
constexpr std::size_t most_baselines = 20'000;  // of a few kilobytes
constexpr std::size_t most_health = 20'000;
constexpr std::size_t most_operations = 2000;  // of a few kilobytes
constexpr std::size_t most_shed = 1000;
constexpr std::size_t most_services = 2000;
constexpr auto retry = std::chrono::seconds{5};
constexpr std::size_t most_reloaded = 5000;
constexpr auto cleared_kept = std::chrono::hours{24 * 7};

// Is it a topic that an answer may go to? Not into what Millwright itself says or is told: who may
// give commands could otherwise speak in its name.
bool may_be_answered(std::string_view topic, std::string_view root) {
  if (topic.empty() || topic.size() > 1024 || topic.front() == '$') return false;
  if (topic.find_first_of("+#") != topic.npos || !is_utf8(topic)) return false;
  const auto ours = std::string{root} + '/', replies = ours + "cmd/reply";
  return !topic.starts_with(ours) || topic == replies || topic.starts_with(replies + '/');
}

}  // namespace

ArchiveWriter::ArchiveWriter(WriterOptions options, WriterHandlers handlers, Log& log)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      log_(log),
      home_assistant_({options_.home_assistant, options_.topic_root, std::string{version()},
                       options_.state_directory / "home-assistant.json"}),
      through_(options_.lanes, 0) {
  if (home_assistant_.problem()) log_.warning(*home_assistant_.problem());
  open_archive();
}

ArchiveWriter::~ArchiveWriter() { stop(); }

void ArchiveWriter::open_archive() {
  if (!options_.archive) return;
  try {
    archive_ = std::make_unique<storage::Archive>(*options_.archive);
    if (const auto& where = archive_->set_aside()) {
      ++failures_;
      log_.error("The archive was damaged and set aside, a new one is begun",
                 {{"set_aside", *where}});
    }
  } catch (const std::runtime_error& error) {  // StorageError, or a file system's system_error
    ++failures_;
    next_try_ = Clock::now() + retry;
    log_.error("The archive cannot be used, alerts go out without it",
               {{"file", options_.archive->string()}, {"why", error.what()}});
  }
}

Position ArchiveWriter::applied(std::uint32_t lane) {
  return archive_ ? archive_->applied(lane) : 0;
}

void ArchiveWriter::work_off() {
  while (auto item = channel_.pop_for(std::chrono::seconds{0})) {
    std::visit([this](auto& it) { take(it); }, *item);
  }
  commit();
}

void ArchiveWriter::start() {
  thread_ = std::thread{[this] {
    pthread_setname_np(pthread_self(), "writer");
    run();
  }};
}

void ArchiveWriter::stop() {
  channel_.close();
  if (thread_.joinable()) thread_.join();
}

void ArchiveWriter::write(LaneOutput output) { channel_.push(std::move(output)); }
void ArchiveWriter::checkpoint(std::uint32_t lane, storage::Checkpoint checkpoint) {
  channel_.push(CheckpointOrder{lane, std::move(checkpoint)});
}
void ArchiveWriter::delivered(std::uint64_t sequence) {
  const std::lock_guard lock{taken_mutex_};
  taken_.push_back(sequence);
}
void ArchiveWriter::publish_open_alerts() { channel_.push(PublishOpen{}); }
bool ArchiveWriter::shed(storage::Operation operation) {
  const std::lock_guard lock{taken_mutex_};
  if (shed_.size() >= most_shed) return false;
  operation.position = ++shed_count_;
  shed_.push_back(std::move(operation));
  return true;
}
void ArchiveWriter::reload_outbox(std::uint64_t after) { channel_.push(Reload{after}); }

void ArchiveWriter::run() {
  while (!channel_.drained()) {
    ++beats_;
    if (auto item = channel_.pop_for(std::chrono::milliseconds{250})) {
      std::visit([this](auto& it) { take(it); }, *item);
    }
    take_delivered();
    take_shed();
    // Alerts that came in one burst share a transaction and its sync.
    if (!alerts_.empty() && channel_.size() > 0 && alerts_.size() < 256) continue;
    if (commit_due()) commit();
    if (alerts_.empty() || published_unsaved_) tell_home_assistant();
  }
  take_delivered();
  take_shed();
  commit();
  ++beats_;
}

void ArchiveWriter::take(LaneOutput& output) {
  if (nothing_waits()) oldest_ = Clock::now();
  for (auto& summary : output.summaries) {
    home_assistant_.heard(summary.machine, summary.summary.minute);
    summaries_.push_back(std::move(summary));
    summary_lanes_.push_back(output.lane);
  }
  for (auto& alert : output.alerts) {
    auto document = alert_document(alert, options_.site);
    auto rows = rows_of(alert, document);
    if (handlers_.committed) handlers_.committed(alert);
    home_assistant_.follow(alert);
    alerts_.push_back({output.lane, std::move(alert), std::move(document)});
    if (published_unsaved_) {
      handlers_.publish(rows);
    }
    for (auto& row : rows) outbox_.push_back(std::move(row));
  }
  for (auto& baseline : output.baselines) baselines_.push_back({output.lane, std::move(baseline)});
  for (const auto& [machine, regime, learned] : output.regimes) {
    log_.info(
        learned ? "A regime is learned and watched" : "A regime not seen before is being learned",
        {{"machine", machine}, {"regime", regime}});
  }
  for (auto& health : output.health) {
    auto document = health_document(health, options_.site);
    home_assistant_.follow(health.machine, health.index);
    if (published_unsaved_) handlers_.publish({health_row(health.machine, document)});
    health_.push_back({output.lane, std::move(health), std::move(document)});
  }
  for (auto& outcome : output.services) {
    log_.info("It is known whether a service helped", {{"text", outcome.message}});
    auto document = service_document(outcome, options_.site);
    services_.push_back({output.lane, std::move(outcome), std::move(document)});
    auto row = service_row(services_.back());
    if (published_unsaved_) handlers_.publish({row});
    outbox_.push_back(std::move(row));
  }
  for (auto& operation : output.operations) answer(output.lane, std::move(operation));
  through_[output.lane] = output.through;
}

void ArchiveWriter::answer(std::uint32_t lane, storage::Operation operation) {
  log_.info(operation.ok ? "A command was carried out" : "A command was refused",
            {{"command", operation.command}, {"by", operation.by}, {"text", operation.text}});
  auto row = answer_row(lane, operation);
  if (published_unsaved_) handlers_.publish({row});
  outbox_.push_back(std::move(row));
  operations_.push_back({lane, std::move(operation)});
}

// No journal holds them, so they stand behind the last lane.
void ArchiveWriter::take_shed() {
  std::vector<storage::Operation> shed;
  {
    const std::lock_guard lock{taken_mutex_};
    shed.swap(shed_);
  }
  for (auto& operation : shed) answer(options_.lanes, std::move(operation));
}

storage::OutboxRow ArchiveWriter::answer_row(std::uint32_t lane,
                                             const storage::Operation& operation) const {
  storage::OutboxRow row;
  row.topic = may_be_answered(operation.reply_topic, options_.topic_root)
                  ? operation.reply_topic
                  : options_.topic_root + "/cmd/reply";
  row.payload = answer_document(operation);
  row.correlation = operation.correlation;
  row.answers = {lane, operation.position};
  return row;
}

storage::OutboxRow ArchiveWriter::service_row(const storage::ServiceRow& service) const {
  storage::OutboxRow row;
  row.topic = options_.topic_root + "/event/service";
  row.payload = service.document;
  row.answers = {service.lane, service.outcome.position};
  return row;
}

// What people are told, the stream of all events, and the current state of the alert; that of a
// cleared one is kept for a week.
std::vector<storage::OutboxRow> ArchiveWriter::rows_of(const Alert& alert,
                                                       const std::string& document) const {
  storage::OutboxRow event;
  event.topic = options_.topic_root + "/event/alert";
  event.payload = document;
  event.priority = alert.priority;
  event.alert_id = alert.id;
  event.revision = alert.revision;
  auto state = event;
  state.topic = state_topic(options_.topic_root, alert.machine, alert.sensor, name_of(alert.kind));
  state.retain = true;
  if (alert.state == AlertState::cleared) state.expiry = cleared_kept;
  std::vector<storage::OutboxRow> rows;
  if (alert.notify) {
    auto notice = event;
    notice.topic = options_.topic_root + "/event/case";
    rows.push_back(std::move(notice));
  }
  rows.push_back(std::move(event));
  rows.push_back(std::move(state));
  return rows;
}

// How a machine is now: not by the outbox, because only the newest counts. A later one, or the next
// connect, makes up for one that is lost.
storage::OutboxRow ArchiveWriter::health_row(std::string_view machine, std::string document) const {
  storage::OutboxRow row;
  row.topic = state_topic(options_.topic_root, machine, engine::whole_machine, "health");
  row.payload = std::move(document);
  row.retain = true;
  return row;
}

// What is taken back must be safe before the file forgets that it was announced, and the file must
// know of what is announced before it is.
void ArchiveWriter::tell_home_assistant() {
  if (Clock::now() < next_home_assistant_) return;
  for (auto& row : home_assistant_.withdrawals()) outbox_.push_back(std::move(row));
  if (home_assistant_.takes_back()) {
    if (!commit()) {
      next_home_assistant_ = Clock::now() + retry;
      return;
    }
    home_assistant_.taken_back();
  }
  try {
    home_assistant_.save();
  } catch (const std::system_error& error) {
    next_home_assistant_ = Clock::now() + retry;
    log_.error("What is announced to Home Assistant cannot be noted", {{"why", error.what()}});
    return;
  }
  if (auto rows = home_assistant_.news(); !rows.empty()) handlers_.publish(std::move(rows));
}

void ArchiveWriter::publish_health(const std::vector<storage::HealthRow>& rows) const {
  std::map<std::string_view, const storage::HealthRow*> newest;
  for (const auto& row : rows) newest[row.health.machine] = &row;
  std::vector<storage::OutboxRow> out;
  for (const auto& [machine, row] : newest) out.push_back(health_row(machine, row->document));
  if (!out.empty()) handlers_.publish(std::move(out));
}

// The archive cannot be written: what waits for it goes out all the same, once.
void ArchiveWriter::publish_unsaved() {
  if (std::exchange(published_unsaved_, true)) return;
  handlers_.publish(outbox_);
  publish_health(health_);
}

void ArchiveWriter::take(CheckpointOrder& order) {
  // What the checkpoint's readings brought must be on disk before the journal forgets them.
  const bool committed = commit();
  bool ok = committed || !options_.archive;
  try {
    const auto file = LaneFiles{options_.state_directory, {}}.state(order.lane);
    if (ok) storage::write_checkpoint(file, order.checkpoint);
  } catch (const std::system_error& error) {
    ok = false;
    log_.error("A checkpoint could not be written", {{"lane", order.lane}, {"why", error.what()}});
  }
  ++(ok ? checkpoints_ : failures_);
  handlers_.checkpointed(order.lane, order.checkpoint.position, ok);
}

void ArchiveWriter::take_delivered() {
  const std::lock_guard lock{taken_mutex_};
  if (taken_.empty()) return;
  if (nothing_waits()) oldest_ = Clock::now();
  delivered_.insert(delivered_.end(), taken_.begin(), taken_.end());
  taken_.clear();
}

void ArchiveWriter::take(PublishOpen&) {
  take_delivered();
  if (!archive_ || !commit()) return handlers_.publish(home_assistant_.news(true));
  try {
    std::vector<storage::OutboxRow> rows;
    auto open_alerts = archive_->open_alerts();
    home_assistant_.cases(open_alerts);
    for (auto& open : open_alerts) {
      if (open.waits) continue;
      storage::OutboxRow row;
      row.topic = options_.topic_root + "/event/alert";
      row.payload = open.document;
      row.alert_id = open.id;
      row.revision = open.revision;
      auto state = row;
      state.topic = state_topic(options_.topic_root, open.machine, open.sensor, open.kind);
      state.retain = true;
      rows.push_back(std::move(row));
      rows.push_back(std::move(state));
    }
    for (auto& known : archive_->newest_health()) {
      home_assistant_.follow(known.machine, health_of(known.document));
      rows.push_back(health_row(known.machine, std::move(known.document)));
    }
    for (auto& row : home_assistant_.news(true)) rows.push_back(std::move(row));
    handlers_.publish(std::move(rows));
  } catch (const storage::StorageError& error) {
    commit_failed(error);
  }
}

void ArchiveWriter::take(const Reload& reload) {
  take_delivered();
  if (!options_.archive) return handlers_.refill(reload.after, {}, true);
  if (!archive_ || !commit()) return;
  try {
    auto rows = archive_->outbox(most_reloaded, reload.after);
    const bool complete = rows.size() < most_reloaded;
    handlers_.refill(reload.after, std::move(rows), complete);
  } catch (const storage::StorageError& error) {
    commit_failed(error);
  }
}

bool ArchiveWriter::nothing_waits() const {
  return summaries_.empty() && alerts_.empty() && baselines_.empty() && health_.empty() &&
         operations_.empty() && services_.empty() && delivered_.empty();
}

bool ArchiveWriter::commit_due() const {
  if (published_unsaved_ || (options_.archive && !archive_)) return Clock::now() >= next_try_;
  if (!alerts_.empty() || !baselines_.empty() || !operations_.empty() || !services_.empty() ||
      summaries_.size() >= enough_rows || delivered_.size() >= enough_rows)
    return true;
  return (!summaries_.empty() || !health_.empty() || !delivered_.empty()) &&
         Clock::now() - oldest_ >= longest_wait;
}

// True when nothing is left waiting.
bool ArchiveWriter::commit() {
  if (nothing_waits() && outbox_.empty()) return true;
  if (!options_.archive) {
    handlers_.publish(std::exchange(outbox_, {}));
    publish_health(health_);
    health_.clear();
    alerts_written_ += alerts_.size();
    alerts_.clear();
    baselines_.clear();
    operations_.clear();
    services_.clear();
    summaries_.clear();
    summary_lanes_.clear();
    delivered_.clear();
    return true;
  }
  if (!archive_) {
    open_archive();
    if (!archive_) {
      publish_unsaved();
      drop_surplus();
      return false;
    }
    log_.info("The archive can be used again", {{"file", options_.archive->string()}});
  }
  storage::Batch batch;
  batch.summaries.reserve(summaries_.size());
  for (std::size_t i = 0; i < summaries_.size(); ++i) {
    const auto& s = summaries_[i];
    batch.summaries.push_back({summary_lanes_[i], s.machine, s.sensor, s.unit, s.summary});
  }
  batch.alerts = std::move(alerts_);
  batch.baselines = std::move(baselines_);
  batch.health = std::move(health_);
  batch.operations = std::move(operations_);
  batch.services = std::move(services_);
  batch.outbox = std::move(outbox_);
  batch.delivered = std::move(delivered_);
  for (std::uint32_t lane = 0; lane < through_.size(); ++lane) {
    if (through_[lane] != 0) batch.through.emplace_back(lane, through_[lane]);
  }
  alerts_.clear();
  baselines_.clear();
  health_.clear();
  operations_.clear();
  services_.clear();
  outbox_.clear();
  delivered_.clear();
  try {
    auto committed = archive_->commit(batch);
    ++transactions_;
    alerts_written_ += batch.alerts.size();
    summaries_written_ += batch.summaries.size();
    summaries_.clear();
    summary_lanes_.clear();
    if (std::exchange(published_unsaved_, false)) {
      log_.info("The archive is written again, nothing that waited was lost",
                {{"alerts", batch.alerts.size()}, {"summaries", batch.summaries.size()}});
    }
    // Rows that went out unsaved go out once more, now with a sequence: twice is allowed, never is
    // not.
    handlers_.publish(std::move(committed.outbox));
    publish_health(batch.health);
    return true;
  } catch (const storage::StorageError& error) {
    alerts_ = std::move(batch.alerts);
    baselines_ = std::move(batch.baselines);
    health_ = std::move(batch.health);
    operations_ = std::move(batch.operations);
    services_ = std::move(batch.services);
    outbox_ = std::move(batch.outbox);
    delivered_ = std::move(batch.delivered);
    publish_unsaved();
    commit_failed(error);
    drop_surplus();
    return false;
  }
}

void ArchiveWriter::commit_failed(const storage::StorageError& error) {
  ++failures_;
  next_try_ = Clock::now() + retry;
  log_.error("The archive cannot be written, alerts go out without it",
             {{"why", error.what()},
              {"alerts_waiting", alerts_.size()},
              {"summaries_waiting", summaries_.size()}});
}

void ArchiveWriter::drop_surplus() {
  while (summaries_.size() > most_summaries) {
    summaries_.pop_front();
    summary_lanes_.pop_front();
    ++summaries_dropped_;
  }
  if (alerts_.size() > most_alerts) {
    // They have been published; only their history is cut.
    const auto surplus = alerts_.size() - most_alerts;
    alerts_.erase(alerts_.begin(), alerts_.begin() + static_cast<std::ptrdiff_t>(surplus));
    outbox_.erase(outbox_.begin(), outbox_.begin() + static_cast<std::ptrdiff_t>(
                                                         std::min(outbox_.size(), 2 * surplus)));
    log_.error("Alert history was dropped: the archive was away for too long",
               {{"events", surplus}});
  }
  if (health_.size() > most_health) {
    const auto surplus = health_.size() - most_health;
    health_.erase(health_.begin(), health_.begin() + static_cast<std::ptrdiff_t>(surplus));
    log_.error("Health of machines was dropped: the archive was away for too long",
               {{"documents", surplus}});
  }
  if (operations_.size() > most_operations) {
    // They have been answered.
    const auto surplus = operations_.size() - most_operations;
    operations_.erase(operations_.begin(),
                      operations_.begin() + static_cast<std::ptrdiff_t>(surplus));
    drop_rows_without_cause();
    log_.error("Commands were dropped from the history: the archive was away for too long",
               {{"commands", surplus}});
  }
  if (services_.size() > most_services) {
    // They have been published.
    const auto surplus = services_.size() - most_services;
    services_.erase(services_.begin(), services_.begin() + static_cast<std::ptrdiff_t>(surplus));
    drop_rows_without_cause();
    log_.error("Outcomes of services were dropped: the archive was away for too long",
               {{"outcomes", surplus}});
  }
  if (baselines_.size() > most_baselines) {
    const auto surplus = baselines_.size() - most_baselines;
    baselines_.erase(baselines_.begin(), baselines_.begin() + static_cast<std::ptrdiff_t>(surplus));
    log_.error("Old baselines were dropped: the archive was away for too long",
               {{"baselines", surplus}});
  }
}

// Answers and outcomes whose rows are no longer kept.
void ArchiveWriter::drop_rows_without_cause() {
  std::set<std::pair<std::uint32_t, Position>> kept;
  for (const auto& one : operations_) kept.emplace(one.lane, one.operation.position);
  for (const auto& one : services_) kept.emplace(one.lane, one.outcome.position);
  std::erase_if(outbox_, [&](const storage::OutboxRow& row) {
    return row.answers && !kept.contains(*row.answers);
  });
}

WriterFigures ArchiveWriter::figures() const {
  WriterFigures figures;
  figures.alerts = alerts_written_;
  figures.summaries = summaries_written_;
  figures.transactions = transactions_;
  figures.checkpoints = checkpoints_;
  figures.failures = failures_;
  figures.summaries_dropped = summaries_dropped_;
  figures.beats = beats_;
  return figures;
}

}  // namespace millwright::daemon
