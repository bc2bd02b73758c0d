// A lane: one shard on one thread, between its journal and the writer. Decides when a batch is
// stepped (native or micro-batch), when a checkpoint is due and when the journal may forget.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

#include "daemon/log.h"
#include "daemon/quarantine.h"
#include "daemon/shard.h"
#include "daemon/writer.h"
#include "ingest/journal.h"

namespace millwright::daemon {

class Lane {
 public:
  Lane(std::uint32_t number, ingest::Journal& journal, Shard& shard, Quarantine& quarantine,
       ArchiveWriter& writer, Log& log);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void start();
  // Works off what the journal holds, orders a checkpoint and ends the thread. Called again, it
  // works off on the caller's thread what came since.
  void drain();

  // On the writer's thread: what became of an ordered checkpoint.
  void checkpointed(Position position, bool ok);

  ShardFigures figures() const;                   // any thread; a moment old
  std::uint64_t beats() const { return beats_; }  // any thread; rises while the lane makes progress

 private:
  void run();
  std::size_t gather();
  void step();
  bool checkpoint_due() const;
  void order_checkpoint(bool even_unsaved = false);
  bool running_out() const;
  void release();

  const std::uint32_t number_;
  ingest::Journal& journal_;
  Shard& shard_;
  Quarantine& quarantine_;
  ArchiveWriter& writer_;
  Log& log_;
  std::chrono::steady_clock::time_point next_checkpoint_, next_figures_;
  bool ordered_ = false;  // a checkpoint is on its way
  bool forced_ = false;   // also without what it brought being in the archive
  bool applied_since_checkpoint_ = false;
  std::atomic<Position> safe_{0};          // everything up to here is in a checkpoint on disk
  std::atomic<std::uint32_t> answers_{0};  // checkpoints answered by the writer
  std::uint32_t answers_seen_ = 0;
  std::atomic<bool> failed_{false};  // the newest checkpoint could not be written
  std::atomic<bool> draining_{false};
  std::atomic<std::uint64_t> beats_{0};
  mutable std::mutex figures_mutex_;
  ShardFigures figures_;
  std::thread thread_;
};

}  // namespace millwright::daemon
