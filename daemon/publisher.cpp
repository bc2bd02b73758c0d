#include "daemon/publisher.h"

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
  thread_ = std::jthread{[this](std::stop_token stop) { run(std::move(stop)); }};
}

void Publisher::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience, [&] { return queue_.empty() && in_flight_.empty(); });
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
      // Back to its place: those in flight behind it come back behind it, so the order of one
      // alert's events holds.
      auto place = queue_.begin();
      while (place != queue_.end() && node.mapped().sequence != 0 && place->sequence != 0 &&
             place->sequence < node.mapped().sequence) {
        ++place;
      }
      queue_.insert(place, std::move(node.mapped()));
    }
    changed_.notify_all();
  }
  if (sequence != 0) handlers_.delivered(sequence);
}

std::size_t Publisher::waiting() const {
  const std::lock_guard lock{mutex_};
  return queue_.size() + in_flight_.size();
}

void Publisher::run(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, retry, [&] { return try_now_; });
    try_now_ = false;
    publish_what_fits(lock);
    if (queue_.empty() && in_flight_.empty() && std::exchange(left_in_outbox_, false)) {
      lock.unlock();
      handlers_.reload();
      lock.lock();
    }
  }
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
