// What is to be kept goes through here: alerts are on disk before they are published, summaries in
// batches, checkpoints behind both. Storage trouble never stops detection: alerts then go out from
// memory, what could not be written is tried again, and the trouble is an alert itself. The disk is
// touched by a thread of its own, because it may not answer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "core/channel.h"
#include "daemon/disk_worker.h"
#include "daemon/home_assistant.h"
#include "daemon/log.h"
#include "daemon/shard.h"
#include "daemon/storage_alerts.h"
#include "daemon/storage_figures.h"
#include "storage/archive.h"
#include "storage/ballast.h"
#include "storage/checkpoint.h"

namespace millwright::daemon {

struct WriterOptions {
  std::optional<std::filesystem::path> archive;  // nothing: no archive is kept
  std::filesystem::path state_directory;         // for checkpoints: lane-<n>.state
  std::string site, topic_root;
  std::uint32_t lanes = 1;
  storage::Bounds bounds{};  // of the archive
  HomeAssistantSettings home_assistant{};
  // Survives the process, and best lies on another disk; empty: the state directory.
  std::filesystem::path runtime_directory{};
  // With the disk. What waits for it longer goes out unsaved; longer than `hangs` is an alert.
  std::chrono::milliseconds patience{5000}, hangs{15'000};
  std::chrono::milliseconds retry{5000};  // after a failure
  StorageAlerts::Delays delays{};
};

struct WriterHandlers {
  std::function<void(std::vector<storage::OutboxRow>)> publish;
  // What `reload_outbox` asked for; `complete`: there is no more.
  std::function<void(std::uint64_t after, std::vector<storage::OutboxRow>, bool complete)> refill;
  // A checkpoint is on disk, or (`ok` false) could not be written.
  std::function<void(std::uint32_t lane, Position position, bool ok)> checkpointed;
  std::function<void(const Alert&)> committed;  // for whoever watches alerts; may be empty
};

struct WriterFigures {
  std::uint64_t alerts = 0, summaries = 0, transactions = 0, checkpoints = 0;
  std::uint64_t failures = 0;           // of a transaction, a checkpoint, a journal
  std::uint64_t summaries_dropped = 0;  // the archive was away for too long
  std::uint64_t beats = 0;              // rises while the thread makes progress
};

class ArchiveWriter {
 public:
  // Opens the archive; when it cannot be used, says so in the log, and goes on without it, trying
  // again.
  ArchiveWriter(WriterOptions options, WriterHandlers handlers, Log& log);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // Before start: takes in what was handed over so far and commits it, on the caller's thread.
  void work_off();
  void start();
  // Drains the queue, commits all and ends the thread.
  void stop();

  // Any thread; waits while the queue is full.
  void write(LaneOutput output);
  struct CheckpointOrder {
    std::uint32_t lane = 0;
    storage::Checkpoint checkpoint{};
    // Also when the archive does not have what the readings brought: it is then lost in a crash.
    bool even_unsaved = false;
    // Other files of the lane, written along; throws std::system_error.
    std::function<void()> along{};
  };
  void checkpoint(CheckpointOrder order);
  // Never waits: it is called on the MQTT thread.
  void delivered(std::uint64_t sequence);
  // The answer to a command that no journal had room for; false: too many wait. Never waits.
  bool shed(storage::Operation operation);
  // Any thread; each waits while the queue is full.
  void publish_open_alerts();               // and healths: after every connect
  void reload_outbox(std::uint64_t after);  // rows after that sequence

  // Any thread, never waits: the journals were written to their disk, or why one could not be. That
  // is told as an alert.
  void journals_synced(std::string why);
  // Before start: a file was damaged and set aside; told as an alert.
  void found_damage(const std::string& sentence);

  WriterFigures figures() const;
  StorageFigures storage_figures() const;  // any thread
  // Before start: no position of the archive can be ahead of `position` of the lane's journal, or
  // the journal was lost.
  Position applied(std::uint32_t lane);
  // What the archive knows of alerts behind it; nothing where it cannot be asked.
  std::vector<Alert> alerts_after(std::uint32_t lane, Position position);

 private:
  struct PublishOpen {};
  struct Reload {
    std::uint64_t after = 0;
  };
  using Item = std::variant<LaneOutput, CheckpointOrder, PublishOpen, Reload>;

  // What waits for the next transaction.
  struct Waiting {
    // Deques: summaries are dropped at the front when there are too many.
    std::deque<NamedSummary> summaries;
    std::deque<std::uint32_t> summary_lanes;
    std::vector<storage::AlertRow> alerts;
    std::vector<storage::BaselineRow> baselines;
    std::vector<storage::HealthRow> health;
    std::vector<storage::OperationRow> operations;
    std::vector<storage::ServiceRow> services;
    std::vector<storage::OutboxRow> outbox;
    std::vector<std::uint64_t> delivered;

    bool nothing() const;
    // Puts what came before in front of it.
    void put_back(Waiting&& older);
  };
  struct Attempt;
  struct Commit;
  struct Opened;

  void run();
  void finish();
  void take(LaneOutput& output);
  void take(CheckpointOrder& order);
  void take_delivered();
  void take_shed();
  void take_journals_synced();
  void tell(std::uint32_t lane, Alert alert);
  void answer(std::uint32_t lane, storage::Operation operation);
  void take(PublishOpen&);
  void take(const Reload& reload);
  bool commit_due() const;
  bool commit();
  bool do_without_archive();
  void make_batch(Commit& commit);
  void put_back(Commit& commit);
  void write(Commit& commit);
  bool hold_size(bool hold);
  bool may_grow() const;
  void trim(Commit& commit);
  void removed(const Commit& commit);
  void written(Commit& commit, bool late);
  void write(const CheckpointOrder& order, std::string& why, std::string& other);
  void checkpoint_written(std::uint32_t lane, const std::string& why);
  void archive_is_well(bool but_full);
  void commit_failed(const std::string& why, int code);
  void report_set_aside(const std::optional<std::string>& sentence);
  // Runs `work` on the disk's thread and `then` on this one, at once (true) or, when the disk does
  // not answer in time, as soon as it has (`late`).
  bool on_disk(std::function<void()> work, std::function<void(bool late)> then);
  // No work is under way; what was is done with.
  bool settled();
  void publish_stored(Opened& opened);
  void keep_watch();
  void note_storage_alerts();
  void drop_surplus();
  void drop_rows_without_cause();
  void open_archive();
  void open_on_disk();
  // Before start; what comes of a failure is a case, as of a commit.
  void ask(const std::function<void(storage::Archive&)>& question);
  void adopt_storage_alerts();
  std::vector<storage::OutboxRow> rows_of(const Alert& alert, const std::string& document) const;
  storage::OutboxRow answer_row(std::uint32_t lane, const storage::Operation& operation) const;
  storage::OutboxRow service_row(const storage::ServiceRow& service) const;
  storage::OutboxRow health_row(std::string_view machine, std::string document) const;
  void tell_home_assistant();
  void publish_health(const std::vector<storage::HealthRow>& rows) const;
  void publish_unsaved();
  void publish_unsaved(const Commit& commit);
  void publish_without_archive();
  static StorageAlerts::Now now();

  const WriterOptions options_;
  const WriterHandlers handlers_;
  Log& log_;
  HomeAssistant home_assistant_;
  StorageAlerts storage_alerts_;
  Channel<Item> channel_{4096};
  std::mutex taken_mutex_;
  std::vector<std::uint64_t> taken_;  // outbox rows that the broker has; bounded by the outbox
  std::vector<storage::Operation> shed_;
  std::optional<std::string> journals_synced_;  // news: empty, or why not
  Position shed_count_ = 0;

  Waiting waiting_;
  std::vector<Position> through_;  // per lane; 0: nothing new
  std::chrono::steady_clock::time_point oldest_, next_try_, next_home_assistant_;
  bool published_unsaved_ = false;  // what waits has been published already
  bool refused_ = false;            // the archive, for good: a newer one, or somebody else's
  bool open_again_ = false;         // open alerts are to be published when the disk answers
  std::string set_aside_;           // told already

  mutable std::mutex figures_mutex_;
  StorageFigures storage_;
  std::atomic<std::uint64_t> alerts_written_{0}, summaries_written_{0}, transactions_{0},
      checkpoints_{0}, failures_{0}, summaries_dropped_{0}, beats_{0};

  // The disk's thread has these while it works.
  std::unique_ptr<storage::Archive> archive_;
  storage::Ballast ballast_;
  std::chrono::steady_clock::time_point next_ballast_;
  std::function<void(bool late)> unfinished_;
  std::chrono::steady_clock::time_point begun_;
  DiskWorker disk_;
  std::thread thread_;
};

}  // namespace millwright::daemon
