// The one thread that writes: alerts before they are published, summaries in batches, checkpoints
// behind both. Storage trouble never stops detection: alerts then go out from memory, and what
// could not be written is tried again.
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
#include "daemon/home_assistant.h"
#include "daemon/log.h"
#include "daemon/shard.h"
#include "storage/archive.h"
#include "storage/checkpoint.h"

namespace millwright::daemon {

struct WriterOptions {
  std::optional<std::filesystem::path> archive;  // nothing: no archive is kept
  std::filesystem::path state_directory;         // for checkpoints: lane-<n>.state
  std::string site, topic_root;
  std::uint32_t lanes = 1;
  HomeAssistantSettings home_assistant{};
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
  std::uint64_t failures = 0;           // of a transaction or a checkpoint
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
  void checkpoint(std::uint32_t lane, storage::Checkpoint checkpoint);
  // Never waits: it is called on the MQTT thread.
  void delivered(std::uint64_t sequence);
  // The answer to a command that no journal had room for; false: too many wait. Never waits.
  bool shed(storage::Operation operation);
  // Any thread; each waits while the queue is full.
  void publish_open_alerts();               // and healths: after every connect
  void reload_outbox(std::uint64_t after);  // rows after that sequence

  WriterFigures figures() const;
  // Before start: no position of the archive can be ahead of `position` of the lane's journal, or
  // the journal was lost.
  Position applied(std::uint32_t lane);

 private:
  struct CheckpointOrder {
    std::uint32_t lane = 0;
    storage::Checkpoint checkpoint;
  };
  struct PublishOpen {};
  struct Reload {
    std::uint64_t after = 0;
  };
  using Item = std::variant<LaneOutput, CheckpointOrder, PublishOpen, Reload>;

  void run();
  void take(LaneOutput& output);
  void take(CheckpointOrder& order);
  void take_delivered();
  void take_shed();
  void answer(std::uint32_t lane, storage::Operation operation);
  void take(PublishOpen&);
  void take(const Reload& reload);
  bool nothing_waits() const;
  bool commit_due() const;
  bool commit();
  void commit_failed(const storage::StorageError& error);
  void drop_surplus();
  void drop_rows_without_cause();
  void open_archive();
  std::vector<storage::OutboxRow> rows_of(const Alert& alert, const std::string& document) const;
  storage::OutboxRow answer_row(std::uint32_t lane, const storage::Operation& operation) const;
  storage::OutboxRow service_row(const storage::ServiceRow& service) const;
  storage::OutboxRow health_row(std::string_view machine, std::string document) const;
  void tell_home_assistant();
  void publish_health(const std::vector<storage::HealthRow>& rows) const;
  void publish_unsaved();

  const WriterOptions options_;
  const WriterHandlers handlers_;
  Log& log_;
  std::unique_ptr<storage::Archive> archive_;
  HomeAssistant home_assistant_;
  Channel<Item> channel_{4096};
  std::mutex taken_mutex_;
  std::vector<std::uint64_t> taken_;  // outbox rows that the broker has; bounded by the outbox
  std::vector<storage::Operation> shed_;
  Position shed_count_ = 0;

  // What waits for the next transaction. A deque: summaries are dropped at the front when there are
  // too many.
  std::deque<NamedSummary> summaries_;
  std::deque<std::uint32_t> summary_lanes_;
  std::vector<storage::AlertRow> alerts_;
  std::vector<storage::BaselineRow> baselines_;
  std::vector<storage::HealthRow> health_;
  std::vector<storage::OperationRow> operations_;
  std::vector<storage::ServiceRow> services_;
  std::vector<storage::OutboxRow> outbox_;
  std::vector<std::uint64_t> delivered_;
  std::vector<Position> through_;  // per lane; 0: nothing new
  std::chrono::steady_clock::time_point oldest_, next_try_, next_home_assistant_;
  bool published_unsaved_ = false;  // what waits has been published already

  std::atomic<std::uint64_t> alerts_written_{0}, summaries_written_{0}, transactions_{0},
      checkpoints_{0}, failures_{0}, summaries_dropped_{0}, beats_{0};
  std::thread thread_;
};

}  // namespace millwright::daemon
