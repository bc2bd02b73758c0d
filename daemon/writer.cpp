#include "daemon/writer.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "daemon/clock.h"
#include "daemon/command_document.h"
#include "daemon/documents.h"
#include "daemon/lane_files.h"
#include "daemon/printable.h"
#include "daemon/service_document.h"
#include "daemon/version.h"
#include "engine/desk.h"
#include "engine/whole.h"
#include "storage/files.h"

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
constexpr auto ballast_interval = std::chrono::minutes{1};
constexpr std::size_t most_reloaded = 5000;
constexpr auto cleared_kept = std::chrono::hours{24 * 7};
constexpr auto last_patience = std::chrono::seconds{10};  // with the disk, at the end

// Is it a topic that an answer may go to? Not into what Millwright itself says or is told: who may
// give commands could otherwise speak in its name.
bool may_be_answered(std::string_view topic, std::string_view root) {
  if (topic.empty() || topic.size() > 1024 || topic.front() == '$') return false;
  if (topic.find_first_of("+#") != topic.npos || !is_utf8(topic)) return false;
  const auto ours = std::string{root} + '/', replies = ours + "cmd/reply";
  return !topic.starts_with(ours) || topic == replies || topic.starts_with(replies + '/');
}

std::filesystem::path note_of(const WriterOptions& options) {
  const auto& directory =
      options.runtime_directory.empty() ? options.state_directory : options.runtime_directory;
  return directory / "storage-alerts";
}

std::filesystem::path ballast_of(const WriterOptions& options) {
  return (options.archive ? options.archive->parent_path() : options.state_directory) / "ballast";
}

template <class Rows>
void put_in_front(Rows& rows, Rows older) {
  older.insert(older.end(), std::make_move_iterator(rows.begin()),
               std::make_move_iterator(rows.end()));
  rows = std::move(older);
}

// The oldest rows over `most`; how many they were.
template <class Rows>
std::size_t cut(Rows& rows, std::size_t most) {
  if (rows.size() <= most) return 0;
  const auto surplus = rows.size() - most;
  rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(surplus));
  return surplus;
}

}  // namespace

// Something that the disk's thread tries on the archive.
struct ArchiveWriter::Attempt {
  std::string why;  // it failed; empty: it did not
  int code = 0;
  std::optional<std::string> set_aside;  // the archive, since it was damaged

  // True when `work` threw no StorageError, nor a file system's system_error.
  bool make(const std::function<void()>& work) {
    try {
      work();
      return true;
    } catch (const std::runtime_error& error) {
      const auto* storage = dynamic_cast<const storage::StorageError*>(&error);
      why = error.what();
      code = storage == nullptr ? 0 : storage->code();
      return false;
    }
  }
};

// A transaction on its way.
struct ArchiveWriter::Commit : Attempt {
  // Made and unmade by the writer's thread; both read it while the disk works.
  std::deque<NamedSummary> summaries;
  std::deque<std::uint32_t> summary_lanes;
  storage::Batch batch;
  bool opened = false, ballast_released = false, holds = false;
  std::optional<storage::Committed> committed;
  storage::Removed removed;  // by the archive, so far
  std::uint64_t size = 0;    // of its file
  std::string not_trimmed;   // why
};

// What the archive has of open alerts and healths.
struct ArchiveWriter::Opened : Attempt {
  std::vector<storage::Archive::OpenAlert> alerts;
  std::vector<storage::Archive::KnownHealth> health;
};

bool ArchiveWriter::Waiting::nothing() const {
  return summaries.empty() && alerts.empty() && baselines.empty() && health.empty() &&
         operations.empty() && services.empty() && delivered.empty();
}

void ArchiveWriter::Waiting::put_back(Waiting&& older) {
  put_in_front(summaries, std::move(older.summaries));
  put_in_front(summary_lanes, std::move(older.summary_lanes));
  put_in_front(alerts, std::move(older.alerts));
  put_in_front(baselines, std::move(older.baselines));
  put_in_front(health, std::move(older.health));
  put_in_front(operations, std::move(older.operations));
  put_in_front(services, std::move(older.services));
  put_in_front(outbox, std::move(older.outbox));
  put_in_front(delivered, std::move(older.delivered));
}

ArchiveWriter::ArchiveWriter(WriterOptions options, WriterHandlers handlers, Log& log)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      log_(log),
      home_assistant_({options_.home_assistant, options_.topic_root, std::string{version()},
                       options_.state_directory / "home-assistant.json"}),
      storage_alerts_(storage::text_in(note_of(options_)).value_or(""), options_.delays, now()),
      through_(options_.lanes, 0),
      ballast_(ballast_of(options_)) {
  if (home_assistant_.problem()) log_.warning(*home_assistant_.problem());
  ballast_.take();
  open_archive();
}

ArchiveWriter::~ArchiveWriter() { stop(); }

StorageAlerts::Now ArchiveWriter::now() { return {wall_clock(), Clock::now()}; }

void ArchiveWriter::open_archive() {
  if (!options_.archive) return;
  Attempt opening;
  const auto open = [&] {
    return opening.make([&] {
      open_on_disk();
      report_set_aside(archive_->set_aside());
      adopt_storage_alerts();
    });
  };
  const bool opened = open() || (storage::is_full(opening.code) && ballast_.release() && open());
  if (opened) return;
  commit_failed(opening.why, opening.code);
  published_unsaved_ = true;
}

// It grows only while the disk has room for the ballast.
void ArchiveWriter::open_on_disk() {
  auto archive = std::make_unique<storage::Archive>(*options_.archive, options_.bounds);
  if (!ballast_.take()) archive->hold_size(true);
  archive_ = std::move(archive);
}

// Of an earlier run, which it may not have ended.
void ArchiveWriter::adopt_storage_alerts() {
  for (const auto& open : archive_->open_alerts()) {
    if (open.machine == engine::Desk::whole_plant)
      storage_alerts_.adopt(open.sensor, open.id, open.revision, now());
  }
}

void ArchiveWriter::report_set_aside(const std::optional<std::string>& sentence) {
  if (!sentence || *sentence == set_aside_) return;
  set_aside_ = *sentence;
  log_.error("The archive was damaged and set aside, a new one is begun",
             {{"set_aside", *sentence}});
  found_damage(*sentence);
}

void ArchiveWriter::found_damage(const std::string& sentence) {
  storage_alerts_.trouble(StorageTrouble::damage, sentence, Severity::warning, now());
  ++failures_;
  const std::lock_guard lock{figures_mutex_};
  ++storage_.set_aside;
}

void ArchiveWriter::ask(const std::function<void(storage::Archive&)>& question) {
  if (!archive_) return;
  Attempt asking;
  if (asking.make([&] { question(*archive_); })) return;
  report_set_aside(archive_->set_aside());
  commit_failed(asking.why, asking.code);
  published_unsaved_ = true;
}

Position ArchiveWriter::applied(std::uint32_t lane) {
  Position position = 0;
  ask([&](storage::Archive& archive) { position = archive.applied(lane); });
  return position;
}

std::vector<Alert> ArchiveWriter::alerts_after(std::uint32_t lane, Position position) {
  std::vector<Alert> alerts;
  ask([&](storage::Archive& archive) { alerts = archive.alerts_after(lane, position); });
  return alerts;
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
void ArchiveWriter::checkpoint(CheckpointOrder order) { channel_.push(std::move(order)); }
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

void ArchiveWriter::journals_synced(std::string why) {
  const std::lock_guard lock{taken_mutex_};
  journals_synced_ = std::move(why);
}

void ArchiveWriter::take_journals_synced() {
  std::optional<std::string> news;
  {
    const std::lock_guard lock{taken_mutex_};
    news = std::exchange(journals_synced_, std::nullopt);
  }
  if (!news) return;
  if (news->empty()) return storage_alerts_.well(StorageTrouble::journal, now());
  ++failures_;
  storage_alerts_.trouble(
      StorageTrouble::journal,
      "What comes in is not on the disk of its journal: " + *news + ". A power cut would lose it",
      Severity::warning, now());
}

void ArchiveWriter::run() {
  while (!channel_.drained()) {
    ++beats_;
    if (auto item = channel_.pop_for(std::chrono::milliseconds{250})) {
      std::visit([this](auto& it) { take(it); }, *item);
    }
    take_delivered();
    take_shed();
    take_journals_synced();
    keep_watch();
    // Alerts that came in one burst share a transaction and its sync.
    if (!waiting_.alerts.empty() && channel_.size() > 0 && waiting_.alerts.size() < 256) continue;
    if (commit_due()) commit();
    if (waiting_.alerts.empty() || published_unsaved_) tell_home_assistant();
  }
  finish();
  ++beats_;
}

void ArchiveWriter::finish() {
  take_delivered();
  take_shed();
  disk_.wait(last_patience);
  commit();
  disk_.wait(last_patience);
  if (settled() && waiting_.nothing()) return;
  log_.error("Stopped with alerts in memory that could not be written; they have been published",
             {{"alerts", waiting_.alerts.size()}, {"summaries", waiting_.summaries.size()}});
}

bool ArchiveWriter::on_disk(std::function<void()> work, std::function<void(bool late)> then) {
  begun_ = Clock::now();
  disk_.begin(std::move(work));
  if (disk_.wait(options_.patience)) {
    then(false);
    return true;
  }
  unfinished_ = std::move(then);
  log_.warning("The disk does not answer, alerts go out without it");
  return false;
}

bool ArchiveWriter::settled() {
  if (!disk_.wait()) return false;
  if (const auto then = std::exchange(unfinished_, {})) then(true);
  return true;
}

// Whatever the disk does: what became of its work is taken up, and trouble is told.
void ArchiveWriter::keep_watch() {
  const auto at = now();
  if (!settled() && at.clock - begun_ >= options_.hangs) {
    storage_alerts_.trouble(StorageTrouble::archive,
                            "The disk does not answer: alerts and summaries are not written. They "
                            "go out all the same and are kept in memory",
                            Severity::warning, at);
  }
  if (std::exchange(open_again_, false)) {
    PublishOpen open;
    take(open);
  }
  for (auto& alert : storage_alerts_.due(at)) {
    log_.warning("Storage trouble was told as an alert",
                 {{"event", name_of(alert.event)}, {"text", alert.message}});
    if (waiting_.nothing()) oldest_ = at.clock;
    tell(options_.lanes, std::move(alert));
  }
  note_storage_alerts();
  const std::lock_guard lock{figures_mutex_};
  storage_.failures = failures_;
  storage_.summaries_dropped = summaries_dropped_;
  storage_.unsaved = published_unsaved_ ? waiting_.alerts.size() : 0;
}

// Best effort: without it, an alert of this run stays open for subscribers if the process is killed
// before the archive has it.
void ArchiveWriter::note_storage_alerts() {
  if (!settled()) return;
  auto note = storage_alerts_.note();
  if (!note) return;
  on_disk(
      [file = note_of(options_), text = std::move(*note), &log = log_] {
        try {
          storage::replace_file(file, text);
        } catch (const std::system_error& error) {
          log.warning("Which storage alerts are open cannot be noted", {{"why", error.what()}});
        }
      },
      [](bool) {});
}

void ArchiveWriter::take(LaneOutput& output) {
  if (waiting_.nothing()) oldest_ = Clock::now();
  for (auto& summary : output.summaries) {
    home_assistant_.heard(summary.machine, summary.summary.minute);
    waiting_.summaries.push_back(std::move(summary));
    waiting_.summary_lanes.push_back(output.lane);
  }
  for (auto& alert : output.alerts) tell(output.lane, std::move(alert));
  for (auto& baseline : output.baselines)
    waiting_.baselines.push_back({output.lane, std::move(baseline)});
  for (const auto& [machine, regime, learned] : output.regimes) {
    log_.info(
        learned ? "A regime is learned and watched" : "A regime not seen before is being learned",
        {{"machine", machine}, {"regime", regime}});
  }
  for (auto& health : output.health) {
    auto document = health_document(health, options_.site);
    home_assistant_.follow(health.machine, health.index);
    if (published_unsaved_) handlers_.publish({health_row(health.machine, document)});
    waiting_.health.push_back({output.lane, std::move(health), std::move(document)});
  }
  for (auto& outcome : output.services) {
    log_.info("It is known whether a service helped", {{"text", outcome.message}});
    auto document = service_document(outcome, options_.site);
    waiting_.services.push_back({output.lane, std::move(outcome), std::move(document)});
    auto row = service_row(waiting_.services.back());
    if (published_unsaved_) handlers_.publish({row});
    waiting_.outbox.push_back(std::move(row));
  }
  for (auto& operation : output.operations) answer(output.lane, std::move(operation));
  through_[output.lane] = output.through;
}

void ArchiveWriter::tell(std::uint32_t lane, Alert alert) {
  auto document = alert_document(alert, options_.site);
  auto rows = rows_of(alert, document);
  if (handlers_.committed) handlers_.committed(alert);
  home_assistant_.follow(alert);
  waiting_.alerts.push_back({lane, std::move(alert), std::move(document)});
  if (published_unsaved_) handlers_.publish(rows);
  for (auto& row : rows) waiting_.outbox.push_back(std::move(row));
}

void ArchiveWriter::answer(std::uint32_t lane, storage::Operation operation) {
  log_.info(operation.ok ? "A command was carried out" : "A command was refused",
            {{"command", operation.command}, {"by", operation.by}, {"text", operation.text}});
  auto row = answer_row(lane, operation);
  if (published_unsaved_) handlers_.publish({row});
  waiting_.outbox.push_back(std::move(row));
  waiting_.operations.push_back({lane, std::move(operation)});
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
  for (auto& row : home_assistant_.withdrawals()) waiting_.outbox.push_back(std::move(row));
  if (home_assistant_.takes_back()) {
    if (!commit()) {
      next_home_assistant_ = Clock::now() + options_.retry;
      return;
    }
    home_assistant_.taken_back();
  }
  if (!settled()) return;
  if (const auto save = home_assistant_.saving()) {
    const auto why = std::make_shared<std::string>();
    const auto saved = [this, why](bool) {
      if (why->empty()) return;
      home_assistant_.not_saved();
      next_home_assistant_ = Clock::now() + options_.retry;
      log_.error("What is announced to Home Assistant cannot be noted", {{"why", *why}});
    };
    const auto work = [save, why] {
      try {
        save();
      } catch (const std::system_error& error) {
        *why = error.what();
      }
    };
    if (!on_disk(work, saved) || !why->empty()) return;
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
  handlers_.publish(waiting_.outbox);
  publish_health(waiting_.health);
}

void ArchiveWriter::take(CheckpointOrder& order) {
  // What the checkpoint's readings brought must be on disk before the journal forgets them.
  const bool allowed = commit() || refused_ || order.even_unsaved;
  const auto lane = order.lane;
  const auto position = order.checkpoint.position;
  if (!settled() || !allowed) {
    ++failures_;
    return handlers_.checkpointed(lane, position, false);
  }
  const auto why = std::make_shared<std::string>(), other = std::make_shared<std::string>();
  const auto moved = std::make_shared<CheckpointOrder>(std::move(order));
  const auto written = [this, moved, why, other](bool) {
    ++(why->empty() ? checkpoints_ : failures_);
    const auto& at = moved->checkpoint.position;
    checkpoint_written(moved->lane, *why);
    if (!other->empty())
      log_.warning("The quarantine could not be written", {{"lane", moved->lane}, {"why", *other}});
    handlers_.checkpointed(moved->lane, at, why->empty());
  };
  // When the disk does not answer, the lane goes on without; it hears again when it did.
  if (!on_disk([this, moved, why, other] { write(*moved, *why, *other); }, written))
    handlers_.checkpointed(lane, position, false);
}

// On the disk's thread.
void ArchiveWriter::write(const CheckpointOrder& order, std::string& why, std::string& other) {
  const auto file = LaneFiles{options_.state_directory, {}}.state(order.lane);
  const auto attempt = [&] {
    try {
      storage::write_checkpoint(file, order.checkpoint);
      return std::error_code{};
    } catch (const std::system_error& error) {
      why = error.what();
      return error.code();
    }
  };
  if (attempt() == std::errc::no_space_on_device && ballast_.release()) {
    why.clear();
    attempt();
  }
  try {
    if (order.along) order.along();
  } catch (const std::system_error& error) {
    other = error.what();
  }
}

void ArchiveWriter::checkpoint_written(std::uint32_t lane, const std::string& why) {
  if (!why.empty()) {
    log_.error("A checkpoint could not be written", {{"lane", lane}, {"why", why}});
    storage_alerts_.trouble(
        StorageTrouble::checkpoint,
        "What is learned cannot be saved: " + why + ". A crash would lose what is new in it",
        Severity::warning, now());
  } else {
    storage_alerts_.well(StorageTrouble::checkpoint, now());
  }
  const std::lock_guard lock{figures_mutex_};
  storage_.checkpoints = why.empty();
  if (storage_.archive) storage_.problem = why;
}

void ArchiveWriter::take_delivered() {
  const std::lock_guard lock{taken_mutex_};
  if (taken_.empty()) return;
  if (waiting_.nothing()) oldest_ = Clock::now();
  waiting_.delivered.insert(waiting_.delivered.end(), taken_.begin(), taken_.end());
  taken_.clear();
}

void ArchiveWriter::take(PublishOpen&) {
  take_delivered();
  if (!commit() || !archive_) return publish_without_archive();
  const auto opened = std::make_shared<Opened>();
  const auto read = [this, opened] {
    opened->make([&] {
      opened->alerts = archive_->open_alerts();
      opened->health = archive_->newest_health();
    });
    opened->set_aside = archive_->set_aside();
  };
  // What was read long ago may be told by newer events already.
  const auto publish = [this, opened](bool late) {
    if (late)
      open_again_ = true;
    else
      publish_stored(*opened);
  };
  if (!on_disk(read, publish)) publish_without_archive();
}

void ArchiveWriter::publish_stored(Opened& opened) {
  report_set_aside(opened.set_aside);
  if (!opened.why.empty()) {
    commit_failed(opened.why, opened.code);
    return publish_without_archive();
  }
  std::vector<storage::OutboxRow> rows;
  home_assistant_.cases(opened.alerts);
  for (auto& open : opened.alerts) {
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
  for (auto& known : opened.health) {
    home_assistant_.follow(known.machine, health_of(known.document));
    rows.push_back(health_row(known.machine, std::move(known.document)));
  }
  for (auto& row : home_assistant_.news(true)) rows.push_back(std::move(row));
  handlers_.publish(std::move(rows));
}

// Of what is in no archive all that waits for one: the broker may have forgotten it.
void ArchiveWriter::publish_without_archive() {
  auto rows = home_assistant_.news(true);
  if (published_unsaved_) rows.insert(rows.end(), waiting_.outbox.begin(), waiting_.outbox.end());
  for (auto& alert : storage_alerts_.open())
    for (auto& row : rows_of(alert, alert_document(alert, options_.site)))
      rows.push_back(std::move(row));
  handlers_.publish(std::move(rows));
}

void ArchiveWriter::take(const Reload& reload) {
  take_delivered();
  if (!options_.archive) return handlers_.refill(reload.after, {}, true);
  if (!commit() || !archive_) return;
  struct Read : Attempt {
    std::vector<storage::OutboxRow> rows;
  };
  const auto result = std::make_shared<Read>();
  const auto read = [this, result, reload] {
    result->make([&] { result->rows = archive_->outbox(most_reloaded, reload.after); });
    result->set_aside = archive_->set_aside();
  };
  on_disk(read, [this, result, reload](bool late) {
    report_set_aside(result->set_aside);
    if (!result->why.empty()) return commit_failed(result->why, result->code);
    if (late) return;  // it is asked for again
    const bool complete = result->rows.size() < most_reloaded;
    handlers_.refill(reload.after, std::move(result->rows), complete);
  });
}

bool ArchiveWriter::commit_due() const {
  if (published_unsaved_) return Clock::now() >= next_try_;
  const auto& w = waiting_;
  if (!w.alerts.empty() || !w.baselines.empty() || !w.operations.empty() || !w.services.empty() ||
      w.summaries.size() >= enough_rows || w.delivered.size() >= enough_rows)
    return true;
  return (!w.summaries.empty() || !w.health.empty() || !w.delivered.empty()) &&
         Clock::now() - oldest_ >= longest_wait;
}

// True when nothing is left waiting.
bool ArchiveWriter::commit() {
  if (!settled()) {
    publish_unsaved();
    drop_surplus();
    return false;
  }
  if (waiting_.nothing() && waiting_.outbox.empty() && !published_unsaved_) return true;
  if (!options_.archive) return do_without_archive();
  const auto commit = std::make_shared<Commit>();
  make_batch(*commit);
  if (on_disk([this, commit] { write(*commit); },
              [this, commit](bool late) { written(*commit, late); }))
    return commit->committed.has_value();
  publish_unsaved(*commit);
  return false;
}

void ArchiveWriter::make_batch(Commit& commit) {
  auto& w = waiting_;
  auto& batch = commit.batch;
  commit.summaries = std::move(w.summaries);
  commit.summary_lanes = std::move(w.summary_lanes);
  batch.summaries.reserve(commit.summaries.size());
  for (std::size_t i = 0; i < commit.summaries.size(); ++i) {
    const auto& s = commit.summaries[i];
    batch.summaries.push_back({commit.summary_lanes[i], s.machine, s.sensor, s.unit, s.summary});
  }
  batch.alerts = std::move(w.alerts);
  batch.baselines = std::move(w.baselines);
  batch.health = std::move(w.health);
  batch.operations = std::move(w.operations);
  batch.services = std::move(w.services);
  batch.outbox = std::move(w.outbox);
  batch.delivered = std::move(w.delivered);
  for (std::uint32_t lane = 0; lane < through_.size(); ++lane) {
    if (through_[lane] != 0) batch.through.emplace_back(lane, through_[lane]);
  }
  w = {};
}

void ArchiveWriter::put_back(Commit& commit) {
  auto& batch = commit.batch;
  waiting_.put_back({std::move(commit.summaries), std::move(commit.summary_lanes),
                     std::move(batch.alerts), std::move(batch.baselines), std::move(batch.health),
                     std::move(batch.operations), std::move(batch.services),
                     std::move(batch.outbox), std::move(batch.delivered)});
}

void ArchiveWriter::publish_unsaved(const Commit& commit) {
  if (std::exchange(published_unsaved_, true)) return;
  handlers_.publish(commit.batch.outbox);
  publish_health(commit.batch.health);
}

bool ArchiveWriter::do_without_archive() {
  handlers_.publish(std::exchange(waiting_.outbox, {}));
  publish_health(waiting_.health);
  alerts_written_ += waiting_.alerts.size();
  waiting_ = {};
  return true;
}

// On the disk's thread.
void ArchiveWriter::write(Commit& commit) {
  const auto attempt = [&] {
    return commit.make([&] {
      if (!archive_) {
        open_on_disk();
        commit.opened = true;
      }
      commit.committed = archive_->commit(commit.batch);
    });
  };
  if (!attempt() && storage::is_full(commit.code)) {
    commit.ballast_released = ballast_.release();
    const bool held = archive_ && hold_size(true);
    if ((commit.ballast_released || held) && !attempt() && held && may_grow()) {
      // A small one has nothing that may go, and must grow.
      hold_size(false);
      if (!attempt()) hold_size(true);
    }
  }
  if (commit.committed) trim(commit);
  if (archive_) commit.set_aside = archive_->set_aside();
  if (commit.committed && !commit.ballast_released && Clock::now() >= next_ballast_) {
    next_ballast_ = Clock::now() + ballast_interval;
    if (ballast_.take() && archive_->holds_size()) hold_size(false);
  }
  commit.holds = archive_ && archive_->holds_size();
}

// On the disk's thread. While the disk has no room for the ballast, the archive lives on within the
// space that it has.
bool ArchiveWriter::hold_size(bool hold) {
  Attempt holding;
  return holding.make([&] { archive_->hold_size(hold); });
}

bool ArchiveWriter::may_grow() const {
  std::error_code unknown;
  const auto space = std::filesystem::space(ballast_.file().parent_path(), unknown);
  return unknown || space.available >= storage::Ballast::usual_size / 2;
}

// On the disk's thread. What it leaves is tried again behind the next commit.
void ArchiveWriter::trim(Commit& commit) {
  Attempt trimming;
  trimming.make([&] {
    // Alerts are waited for.
    if (commit.batch.alerts.empty()) archive_->trim();
    commit.size = archive_->size();
  });
  commit.not_trimmed = trimming.why;
  commit.removed = archive_->removed();
}

void ArchiveWriter::removed(const Commit& commit) {
  if (!commit.not_trimmed.empty()) {
    ++failures_;
    log_.warning("The archive could not be kept within its bounds", {{"why", commit.not_trimmed}});
  }
  bool lost = false;
  {
    const std::lock_guard lock{figures_mutex_};
    if (storage_.removed.minutes == 0 && commit.removed.minutes > 0)
      log_.info("The archive is at its bounds: its oldest minutes make room from now on");
    lost = commit.removed.messages > storage_.removed.messages;
    storage_.removed = commit.removed;
    if (commit.size > 0) storage_.archive_bytes = commit.size;
  }
  if (!lost) return;
  log_.error("Messages that the broker has not taken were removed: the archive has no room",
             {{"messages", commit.removed.messages}});
  storage_alerts_.trouble(StorageTrouble::messages,
                          "The archive is full of messages that the broker has not taken: the "
                          "least urgent of them were removed",
                          Severity::critical, now());
}

void ArchiveWriter::written(Commit& commit, bool late) {
  report_set_aside(commit.set_aside);
  if (commit.ballast_released)
    log_.error("The disk is full: the ballast was given back",
               {{"file", ballast_.file().string()}});
  if (commit.ballast_released || commit.holds) {
    std::string text = "The disk is full: Millwright gave back the space that it had put by";
    if (commit.holds) text += ", and the oldest in its archive makes room for what is new";
    storage_alerts_.trouble(StorageTrouble::archive, std::move(text), Severity::warning, now());
  }
  if (!commit.committed) {
    publish_unsaved(commit);
    put_back(commit);
    commit_failed(commit.why, commit.code);
    return drop_surplus();
  }
  if (commit.opened)
    log_.info("The archive can be used again", {{"file", options_.archive->string()}});
  ++transactions_;
  alerts_written_ += commit.batch.alerts.size();
  summaries_written_ += commit.batch.summaries.size();
  // What came while the disk did not answer went out unsaved and waits for the next transaction.
  if (!late || waiting_.nothing()) {
    if (std::exchange(published_unsaved_, false)) {
      log_.info(
          "The archive is written again, nothing that waited was lost",
          {{"alerts", commit.batch.alerts.size()}, {"summaries", commit.batch.summaries.size()}});
    }
  } else {
    next_try_ = {};
  }
  archive_is_well(commit.ballast_released || commit.holds);
  removed(commit);
  // Rows that went out unsaved go out once more, now with a sequence: twice is allowed, never is
  // not.
  handlers_.publish(std::move(commit.committed->outbox));
  publish_health(commit.batch.health);
}

void ArchiveWriter::archive_is_well(bool but_full) {
  refused_ = false;
  if (!but_full) storage_alerts_.well(StorageTrouble::archive, now());
  const std::lock_guard lock{figures_mutex_};
  storage_.archive = true;
  if (storage_.checkpoints) storage_.problem.clear();
}

void ArchiveWriter::commit_failed(const std::string& why, int code) {
  ++failures_;
  next_try_ = Clock::now() + options_.retry;
  refused_ = storage::is_refusal(code);
  log_.error("The archive cannot be written, alerts go out without it",
             {{"why", why},
              {"alerts_waiting", waiting_.alerts.size()},
              {"summaries_waiting", waiting_.summaries.size()}});
  storage_alerts_.trouble(StorageTrouble::archive,
                          "Alerts and summaries are not written to disk: " + why +
                              ". They go out all the same and are kept in memory",
                          Severity::warning, now());
  const std::lock_guard lock{figures_mutex_};
  storage_.archive = false;
  storage_.problem = why;
}

void ArchiveWriter::drop_surplus() {
  auto& w = waiting_;
  const auto summaries = cut(w.summaries, most_summaries);
  cut(w.summary_lanes, most_summaries);
  summaries_dropped_ += summaries;
  const auto alerts = cut(w.alerts, most_alerts), health = cut(w.health, most_health),
             operations = cut(w.operations, most_operations),
             services = cut(w.services, most_services),
             baselines = cut(w.baselines, most_baselines);
  // What was published or answered stays so; only its history is cut.
  if (alerts + operations + services > 0) drop_rows_without_cause();
  const auto dropped = alerts + health + operations + services + baselines;
  if (summaries + dropped == 0) return;
  storage_alerts_.trouble(StorageTrouble::archive,
                          "The archive has been away for so long that history is being lost: what "
                          "is kept in memory for it is full",
                          Severity::critical, now());
  if (dropped == 0) return;
  log_.error("History was dropped: the archive was away for too long", {{"alert_events", alerts},
                                                                        {"healths", health},
                                                                        {"commands", operations},
                                                                        {"outcomes", services},
                                                                        {"baselines", baselines}});
}

// Rows of what is no longer kept.
void ArchiveWriter::drop_rows_without_cause() {
  std::set<std::pair<std::uint32_t, Position>> kept;
  for (const auto& one : waiting_.operations) kept.emplace(one.lane, one.operation.position);
  for (const auto& one : waiting_.services) kept.emplace(one.lane, one.outcome.position);
  std::set<std::pair<std::string_view, std::uint32_t>> alerts;
  for (const auto& one : waiting_.alerts) alerts.emplace(one.alert.id, one.alert.revision);
  std::erase_if(waiting_.outbox, [&](const storage::OutboxRow& row) {
    if (row.answers) return !kept.contains(*row.answers);
    return !row.alert_id.empty() && !alerts.contains({row.alert_id, row.revision});
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

StorageFigures ArchiveWriter::storage_figures() const {
  const std::lock_guard lock{figures_mutex_};
  return storage_;
}

}  // namespace millwright::daemon
