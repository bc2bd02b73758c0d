#include "daemon/publisher.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace millwright::daemon {
namespace {

constexpr std::size_t most_waiting = 10'000;  // in memory; what is more stays in the outbox
constexpr auto retry = std::chrono::seconds{2};

}  // namespace

Publisher::Publisher(std::string source, Handlers handlers)
    : source_(std::move(source)), handlers_(std::move(handlers)) {}

Publisher::~Publisher() { stop(std::chrono::milliseconds{0}); }

void Publisher::start(ingest::Session& session) {
  session_ = &session;
  thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

void Publisher::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience,
                      [&] { return queue_.empty() && in_flight_.empty() && failed_.empty(); });
  }
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
}

void Publisher::enqueue(std::vector<storage::OutboxRow> rows) {
  const std::lock_guard lock{mutex_};
  for (auto& row : rows) {
    if (queue_.size() < most_waiting) {
      queue_.push_back(std::move(row));
    } else if (row.sequence != 0) {
      left_in_outbox_ = true;
    }
  }
  try_now_ = true;
  changed_.notify_all();
}

void Publisher::connected() {
  const std::lock_guard lock{mutex_};
  next_failed_ = {};
  try_now_ = true;
  changed_.notify_all();
}

void Publisher::delivered(std::uint64_t tag, bool taken) {
  std::uint64_t sequence = 0;
  {
    const std::lock_guard lock{mutex_};
    auto node = in_flight_.extract(tag);
    if (node.empty()) return;  // a message of somebody else, or one taken after we gave it up
    if (taken) {
      sequence = node.mapped().sequence;
      try_now_ = true;
    } else {
      failed_.push_back(std::move(node.mapped()));
    }
    changed_.notify_all();
  }
  if (sequence != 0) handlers_.delivered(sequence);
}

std::size_t Publisher::waiting() const {
  const std::lock_guard lock{mutex_};
  return queue_.size() + in_flight_.size() + failed_.size();
}

void Publisher::run(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, retry, [&] { return try_now_; });
    try_now_ = false;
    take_up_failed();
    publish_what_fits(lock);
    if (queue_.empty() && in_flight_.empty() && failed_.empty() &&
        std::exchange(left_in_outbox_, false)) {
      lock.unlock();
      handlers_.reload();
      lock.lock();
    }
  }
}

// What the broker did not take is tried again, not at once: it may refuse it for good. In order, so
// that the events of one alert are not mixed up by a lost connection.
void Publisher::take_up_failed() {
  if (failed_.empty() || std::chrono::steady_clock::now() < next_failed_) return;
  next_failed_ = std::chrono::steady_clock::now() + retry;
  queue_.insert(queue_.begin(), std::make_move_iterator(failed_.begin()),
                std::make_move_iterator(failed_.end()));
  failed_.clear();
  std::stable_sort(queue_.begin(), queue_.end(),
                   [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
}

// Until the session has enough in flight; it says by `delivered` or `connected` when it is worth
// going on.
void Publisher::publish_what_fits(std::unique_lock<std::mutex>& lock) {
  while (!queue_.empty()) {
    const auto tag = ++tag_;
    const auto& row = in_flight_.emplace(tag, std::move(queue_.front())).first->second;
    queue_.pop_front();
    const auto outgoing = message(row);
    lock.unlock();
    const bool accepted = session_->publish(outgoing, tag);
    lock.lock();
    if (accepted) continue;
    auto node = in_flight_.extract(tag);
    if (!node.empty()) queue_.push_front(std::move(node.mapped()));
    return;
  }
}

ingest::Outgoing Publisher::message(const storage::OutboxRow& row) const {
  ingest::Outgoing out;
  out.topic = row.topic;
  out.payload = row.payload;
  out.retain = row.retain;
  out.expiry = row.expiry;
  out.correlation = row.correlation;
  if (!row.alert_id.empty()) {
    // CloudEvents 1.0, MQTT binding, binary mode.
    out.properties = {{"specversion", "1.0"},
                      {"type", "millwright.alert"},
                      {"source", source_},
                      {"id", row.alert_id + "#" + std::to_string(row.revision)},
                      {"alert_id", row.alert_id}};
  }
  return out;
}

}  // namespace millwright::daemon
