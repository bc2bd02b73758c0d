// Publishes what the archive has committed: in its order, a bounded number in flight, again until
// the broker took it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ingest/session.h"
#include "storage/archive.h"

namespace millwright::daemon {

class Publisher {
 public:
  struct Handlers {
    std::function<void(std::uint64_t sequence)> delivered;  // the broker has taken an outbox row
    std::function<void()> reload;  // rows were left in the outbox: hand them over again
  };

  // `source` is the CloudEvents attribute of that name.
  Publisher(std::string source, Handlers handlers);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // The session must outlive stop().
  void start(ingest::Session& session);
  // Waits until everything handed over was taken, or `patience` is over, and ends the thread.
  void stop(std::chrono::milliseconds patience);

  // Any thread. Rows with sequence 0 are not in the outbox: the broker's taking them is not
  // reported.
  void enqueue(std::vector<storage::OutboxRow> rows);
  // Any thread: the session is there again.
  void connected();
  // On Paho's thread: what became of a publish.
  void delivered(std::uint64_t tag, bool taken);
  std::size_t waiting() const;

 private:
  void run(const std::stop_token& stop);
  void take_up_failed();
  void publish_what_fits(std::unique_lock<std::mutex>& lock);
  ingest::Outgoing message(const storage::OutboxRow& row) const;

  const std::string source_;
  const Handlers handlers_;
  ingest::Session* session_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<storage::OutboxRow> queue_;
  std::map<std::uint64_t, storage::OutboxRow>
      in_flight_;                           // by tag; tags rise in the order of publishing
  std::vector<storage::OutboxRow> failed_;  // to be tried again
  std::chrono::steady_clock::time_point next_failed_{};  // not before
  std::uint64_t tag_ = 0;
  bool left_in_outbox_ = false;
  bool try_now_ = false;
  std::jthread thread_;
};

}  // namespace millwright::daemon
