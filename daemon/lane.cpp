#include "daemon/lane.h"

#include <pthread.h>

#include <string>
#include <utility>

namespace millwright::daemon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t native_readings = 4096;  // per step, when the lane is behind
constexpr auto patience = std::chrono::milliseconds{250};
constexpr auto retry = std::chrono::seconds{5};
constexpr auto figures_interval = std::chrono::milliseconds{500};

}  // namespace

Lane::Lane(std::uint32_t number, ingest::Journal& journal, Shard& shard, Quarantine& quarantine,
           ArchiveWriter& writer, Log& log)
    : number_(number),
      journal_(journal),
      shard_(shard),
      quarantine_(quarantine),
      writer_(writer),
      log_(log) {}

Lane::~Lane() {
  draining_ = true;
  journal_.wake();
  if (thread_.joinable()) thread_.join();
}

void Lane::start() {
  figures_ = shard_.figures();
  next_checkpoint_ = Clock::now() + shard_.configuration().processing.checkpoint_interval;
  thread_ = std::thread{[this] {
    // Seen by `top -H`, and by whoever looks which thread hangs.
    pthread_setname_np(pthread_self(), ("lane-" + std::to_string(number_)).c_str());
    run();
  }};
}

void Lane::drain() {
  draining_ = true;
  journal_.wake();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    run();
  }
}

void Lane::checkpointed(Position position, bool ok) {
  if (ok) safe_ = position;
  failed_ = !ok;
  ++answers_;
  journal_.wake();
}

ShardFigures Lane::figures() const {
  const std::lock_guard lock{figures_mutex_};
  return figures_;
}

void Lane::run() {
  while (true) {
    ++beats_;
    const bool last = draining_;
    const auto applied = gather();
    if (applied > 0) step();
    release();
    if (checkpoint_due()) order_checkpoint();
    if (Clock::now() >= next_figures_) {
      next_figures_ = Clock::now() + figures_interval;
      const auto figures = shard_.figures();
      const std::lock_guard lock{figures_mutex_};
      figures_ = figures;
    }
    if (applied > 0) continue;
    // Drained only when nothing came after the order to drain was seen.
    if (last) break;
    journal_.wait(patience);
  }
  if (applied_since_checkpoint_) order_checkpoint();
  const std::lock_guard lock{figures_mutex_};
  figures_ = shard_.figures();
}

// Applies records: native, what is there; micro-batch, until there are enough readings or the first
// has waited enough.
std::size_t Lane::gather() {
  const auto& processing = shard_.configuration().processing;
  const bool batches = processing.mode == ProcessingMode::micro_batch;
  const std::size_t enough = batches ? processing.max_readings : native_readings;
  std::size_t applied = 0;
  auto deadline = Clock::time_point::max();
  while (shard_.waiting() < enough) {
    if (const auto record = journal_.next()) {
      shard_.apply(*record);
      if (applied++ == 0) deadline = Clock::now() + processing.max_delay;
      continue;
    }
    if (!batches || applied == 0 || draining_) break;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= std::chrono::milliseconds{0}) break;
    journal_.wait(left);
    ++beats_;
  }
  applied_since_checkpoint_ |= applied > 0;
  return applied;
}

void Lane::step() {
  auto output = shard_.step();
  if (!output.empty()) writer_.write(std::move(output));
}

bool Lane::checkpoint_due() const {
  if (ordered_ || !applied_since_checkpoint_) return false;
  const bool filling = !failed_ && journal_.unreleased_bytes() > journal_.capacity() / 2;
  return filling || Clock::now() >= next_checkpoint_;
}

void Lane::order_checkpoint(bool even_unsaved) {
  ordered_ = true;
  forced_ = even_unsaved;
  applied_since_checkpoint_ = false;
  next_checkpoint_ = Clock::now() + shard_.configuration().processing.checkpoint_interval;
  writer_.checkpoint({number_, shard_.checkpoint(), even_unsaved, quarantine_.saving()});
}

// No checkpoint is written, and the journal will soon be full.
bool Lane::running_out() const {
  return failed_ && journal_.unreleased_bytes() > journal_.capacity() / 4 * 3;
}

// The journal forgets what is in a checkpoint. When none can be written it must forget all the same
// before it is full: detection goes on. First without the archive, where only that one is away: a
// crash then loses history that waits in memory, but nothing that was learned. Then without
// anything: a crash loses what was learned since the last good checkpoint.
void Lane::release() {
  const bool answered = answers_.load() != answers_seen_;
  if (answered) {
    answers_seen_ = answers_.load();
    ordered_ = false;
    if (failed_) next_checkpoint_ = Clock::now() + retry;
    if (const Position safe = safe_; safe > journal_.last_released())
      journal_.release_through(safe);
  }
  if (ordered_ || !running_out()) return;
  if (!answered || !forced_) return order_checkpoint(true);
  journal_.release_through(shard_.position());
  log_.error(
      "No checkpoint can be written and the journal is full: after a crash, what was learned "
      "since the last checkpoint will be lost",
      {{"lane", number_}});
}

}  // namespace millwright::daemon
