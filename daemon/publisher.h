// Publishes what the archive has committed: the most urgent first, a bounded number in flight,
// again until the broker took it.
//
// What subscribers rely on, and how it is kept:
// - The events of an alert come in the order of their revisions: of one alert and topic, one
//   message at a time is on its way, and what failed comes before what follows. Of a retained topic
//   likewise, whatever alert it tells of.
// - Of what waits, that of the highest priority goes first, whenever it came.
// - A broker that is killed forgets what it has acknowledged since it last wrote to disk. Rows stay
//   in the outbox for `Limits::sure_after` after the broker took them, and are published again on
//   the next connect.
// - A topic that the broker refuses (0x87) holds up nothing but itself. Its rows stay in the
// outbox,
//   are counted, and one is tried again every now and then.
// - Memory is bounded: what does not fit stays in the outbox and is read from there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/publisher_figures.h"
#include "ingest/session.h"
#include "storage/archive.h"

namespace millwright::daemon {

class Publisher {
 public:
  struct Handlers {
    std::function<void(std::uint64_t sequence)> delivered;  // the outbox row is done with
    // Rows were left in the outbox: hand over those after this sequence by `refill`.
    std::function<void(std::uint64_t after)> reload;
  };
  struct Limits {
    std::size_t waiting = 10'000;  // in memory
    std::size_t held = 5'000;      // of refused topics
    std::size_t unsure = 100'000;  // taken by the broker, which may still forget them
    std::chrono::milliseconds retry{2'000};
    // Longer than the broker's interval between writes to disk; 60 s in the example that is
    // shipped.
    std::chrono::milliseconds sure_after{120'000};
  };

  // `source` is the CloudEvents attribute of that name. `accept` hands a message to the session, as
  // Session::publish.
  using Accept = std::function<bool(const ingest::Outgoing&, std::uint64_t tag)>;
  Publisher(std::string source, Handlers handlers, Limits limits);
  Publisher(std::string source, Handlers handlers);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Begins by asking for the outbox. What `accept` uses must outlive stop().
  void start(Accept accept);
  // Waits until everything handed over was taken, or `patience` is over, and ends the thread.
  void stop(std::chrono::milliseconds patience);

  // The writer's thread. Rows with sequence 0 are not in the outbox: the broker's taking them is
  // not reported.
  void enqueue(std::vector<storage::OutboxRow> rows);
  // The writer's thread: the outbox after `after`, `complete` when there is no more.
  void refill(std::uint64_t after, std::vector<storage::OutboxRow> rows, bool complete);
  // On the session's thread: it is there again, or is lost.
  void connected();
  void disconnected();
  // On Paho's or the session's thread: what became of a publish.
  void refused(std::uint64_t tag);
  void delivered(std::uint64_t tag, bool taken);
  PublisherFigures figures() const;

 private:
  using Row = storage::OutboxRow;
  using Clock = std::chrono::steady_clock;
  struct OnItsWay {
    Row row;
    bool refused = false;
  };
  struct Taken {
    Clock::time_point when;
    std::uint64_t sequence = 0;
  };
  // A topic that the broker refuses.
  struct Held {
    std::deque<Row> rows;  // the first one is tried again
    bool trying = false;
    std::uint64_t left_from = 0;  // rows from this sequence on are only in the outbox; 0: none
  };
  using Topics = std::map<std::string, Held>;

  void run(const std::stop_token& stop);
  void take_up_failed();
  void read_again_what_may_be_forgotten();
  void let_go_of_what_is_sure(std::unique_lock<std::mutex>& lock);
  void ask_for_more(std::unique_lock<std::mutex>& lock);
  bool publish(std::unique_lock<std::mutex>& lock, Row row);
  bool try_refused(std::unique_lock<std::mutex>& lock);
  void publish_what_fits(std::unique_lock<std::mutex>& lock);
  void hold(Topics::iterator topic, Row row);
  void allow(Topics::iterator topic);
  void read_again_from(std::uint64_t sequence);
  std::deque<Row>::iterator most_urgent();
  std::unordered_set<std::uint64_t> here_after(std::uint64_t sequence) const;
  void archive_began_anew();
  bool idle() const;
  std::size_t waiting() const;
  ingest::Outgoing message(const Row& row) const;

  const std::string source_;
  const Handlers handlers_;
  const Limits limits_;
  Accept accept_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Row> queue_;
  std::map<std::uint64_t, OnItsWay> in_flight_;  // by tag; tags rise in the order of publishing
  std::map<std::uint64_t, Row> failed_;          // by tag: the connection was lost
  std::deque<Taken> taken_;                      // by the broker, oldest first; not yet sure
  Topics held_;
  std::size_t held_rows_ = 0;
  std::string last_tried_;  // topic
  Clock::time_point next_try_{};
  int tries_ = 0;  // of refused topics, in this round
  std::uint64_t tag_ = 0, refusals_ = 0;
  std::uint64_t cursor_ = 0;                // outbox rows up to here have been handed over
  bool behind_ = true;                      // there may be rows after the cursor
  std::optional<Clock::time_point> asked_;  // for them, when
  bool connected_ = false, again_ = false;  // again: anew
  bool try_now_ = false, publishing_ = false;
  std::jthread thread_;
};

}  // namespace millwright::daemon
