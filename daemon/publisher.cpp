#include "daemon/publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "core/hash.h"

namespace millwright::daemon {
namespace {

// How far ahead the most urgent row is looked for.
constexpr std::size_t look_ahead = 256;
constexpr int tries_per_round = 8;  // of topics that the broker refuses
constexpr std::size_t topics_named = 5;
constexpr auto longest_publish = std::chrono::seconds{2};

// Rows with the same one come in their order: the events of an alert on one topic, and all that is
// said on any other topic, so that what is retained is the newest.
using Sequel = std::pair<std::string_view, std::string_view>;  // topic, alert
Sequel sequel(const storage::OutboxRow& row) {
  return {row.topic, row.retain ? std::string_view{} : row.alert_id};
}

// Whoever gave a command waits for the answer. What is published again, or will be, can wait.
int urgency(const storage::OutboxRow& row) {
  constexpr int of_answers = 101;
  return row.alert_id.empty() && row.sequence != 0 ? of_answers : row.priority;
}

}  // namespace

Publisher::Publisher(std::string source, Handlers handlers, Limits limits)
    : source_(std::move(source)), handlers_(std::move(handlers)), limits_(limits) {}

Publisher::Publisher(std::string source, Handlers handlers)
    : Publisher(std::move(source), std::move(handlers), Limits{}) {}

Publisher::~Publisher() { stop(std::chrono::milliseconds{0}); }

void Publisher::start(Accept accept) {
  accept_ = std::move(accept);
  try_now_ = true;
  thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

void Publisher::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience, [&] { return idle(); });
  }
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
  // The broker is there and has them; it is not expected to die in the same minute.
  for (const auto& taken : taken_) handlers_.delivered(taken.sequence);
  taken_.clear();
}

void Publisher::enqueue(std::vector<Row> rows) {
  const std::lock_guard lock{mutex_};
  for (auto& row : rows) {
    const bool fits = queue_.size() < limits_.waiting;
    if (row.sequence == 0) {
      if (fits) queue_.push_back(std::move(row));
      continue;
    }
    if (row.sequence <= cursor_) archive_began_anew();
    behind_ = behind_ || !fits;
    if (behind_) continue;
    cursor_ = row.sequence;
    queue_.push_back(std::move(row));
  }
  try_now_ = true;
  changed_.notify_all();
}

void Publisher::refill(std::uint64_t after, std::vector<Row> rows, bool complete) {
  const std::lock_guard lock{mutex_};
  asked_.reset();
  try_now_ = true;
  changed_.notify_all();
  if (after != cursor_) return;  // it moved meanwhile: asked again
  const auto known = here_after(after);
  for (auto& row : rows) {
    cursor_ = row.sequence;
    if (!known.contains(row.sequence)) queue_.push_back(std::move(row));
  }
  behind_ = !complete;
}

// Its sequences are low again: those of the old one mean nothing any more. What was saved of that
// one stands in its outbox.
void Publisher::archive_began_anew() {
  cursor_ = 0;
  behind_ = true;
  taken_.clear();
  for (auto& row : queue_) row.sequence = 0;
  for (auto& it : in_flight_) it.second.row.sequence = 0;
  for (auto& it : failed_) it.second.sequence = 0;
  for (auto& topic : held_) {
    topic.second.left_from = 0;
    for (auto& row : topic.second.rows) row.sequence = 0;
  }
}

void Publisher::connected() {
  const std::lock_guard lock{mutex_};
  connected_ = again_ = try_now_ = true;
  next_try_ = {};
  changed_.notify_all();
}

// A publish that began on the old connection must not end on the next one, before what that may
// have to be told again. The session connects anew only after this returns.
void Publisher::disconnected() {
  std::unique_lock lock{mutex_};
  connected_ = false;
  changed_.wait_for(lock, longest_publish, [&] { return !publishing_; });
}

void Publisher::refused(std::uint64_t tag) {
  const std::lock_guard lock{mutex_};
  if (const auto it = in_flight_.find(tag); it != in_flight_.end()) it->second.refused = true;
}

void Publisher::delivered(std::uint64_t tag, bool taken) {
  const std::lock_guard lock{mutex_};
  auto node = in_flight_.extract(tag);
  if (node.empty()) return;  // a message of somebody else, or one taken after we gave it up
  auto& row = node.mapped().row;
  const auto topic = held_.find(row.topic);
  if (topic != held_.end()) topic->second.trying = false;
  if (taken) {
    if (topic != held_.end()) allow(topic);
    if (row.sequence != 0) taken_.push_back({Clock::now(), row.sequence});
  } else if (node.mapped().refused) {
    ++refusals_;
    const auto [it, is_new] = held_.try_emplace(row.topic);
    // The one that was tried stands at the front again.
    it->second.rows.push_front(std::move(row));
    ++held_rows_;
    if (is_new) next_try_ = std::max(next_try_, Clock::now() + limits_.retry);
  } else {
    failed_.emplace(tag, std::move(row));
  }
  try_now_ = true;
  changed_.notify_all();
}

PublisherFigures Publisher::figures() const {
  const std::lock_guard lock{mutex_};
  PublisherFigures figures;
  figures.waiting = waiting();
  figures.refused = held_rows_;
  for (const auto& topic : held_) figures.refused += topic.second.trying ? 1 : 0;
  figures.refusals = refusals_;
  for (const auto& topic : held_) {
    if (figures.refused_topics.size() == topics_named) break;
    figures.refused_topics.push_back(topic.first);
  }
  return figures;
}

std::size_t Publisher::waiting() const {
  return queue_.size() + in_flight_.size() + failed_.size() + held_rows_;
}

bool Publisher::idle() const { return waiting() == held_rows_ && !behind_; }

void Publisher::run(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, limits_.retry, [&] { return try_now_; });
    try_now_ = false;
    take_up_failed();
    if (std::exchange(again_, false)) read_again_what_may_be_forgotten();
    let_go_of_what_is_sure(lock);
    if (Clock::now() >= next_try_) {
      next_try_ = Clock::now() + limits_.retry;
      tries_ = tries_per_round;
    }
    while (tries_ > 0 && try_refused(lock)) --tries_;
    publish_what_fits(lock);
    ask_for_more(lock);
    if (idle()) changed_.notify_all();
  }
}

// In their order, so that the events of one alert are not mixed up by a lost connection: what is
// read again from the outbox may stand in the queue already, and is older.
void Publisher::take_up_failed() {
  for (auto it = failed_.rbegin(); it != failed_.rend(); ++it) {
    auto& row = it->second;
    // One that was tried on a topic that is refused.
    if (const auto topic = held_.find(row.topic); topic != held_.end()) {
      topic->second.rows.push_front(std::move(row));
      ++held_rows_;
    } else {
      const auto newer = std::find_if(queue_.begin(), queue_.end(), [&](const Row& waits) {
        return row.sequence == 0 || waits.sequence > row.sequence;
      });
      queue_.insert(newer, std::move(row));
    }
  }
  failed_.clear();
}

// All that waits is newer, and must not be published before it.
void Publisher::read_again_what_may_be_forgotten() {
  auto first = ~std::uint64_t{0};
  for (const auto& taken : taken_) first = std::min(first, taken.sequence);
  if (taken_.empty()) return;
  taken_.clear();
  read_again_from(first);
}

// Not while there is no broker: it may come back without what it had.
void Publisher::let_go_of_what_is_sure(std::unique_lock<std::mutex>& lock) {
  if (!connected_) return;
  std::vector<std::uint64_t> done;
  const auto sure = Clock::now() - limits_.sure_after;
  while (!taken_.empty() && (taken_.front().when <= sure || taken_.size() > limits_.unsure)) {
    done.push_back(taken_.front().sequence);
    taken_.pop_front();
  }
  if (done.empty()) return;
  lock.unlock();
  for (const auto sequence : done) handlers_.delivered(sequence);
  lock.lock();
}

void Publisher::ask_for_more(std::unique_lock<std::mutex>& lock) {
  if (!behind_ || queue_.size() > limits_.waiting / 2) return;
  // Asked again after a while: the archive may not have been there.
  if (asked_ && Clock::now() < *asked_ + limits_.retry) return;
  asked_ = Clock::now();
  const auto after = cursor_;
  lock.unlock();
  handlers_.reload(after);
  lock.lock();
}

bool Publisher::publish(std::unique_lock<std::mutex>& lock, Row row) {
  const auto tag = ++tag_;
  const auto& kept = in_flight_.emplace(tag, OnItsWay{std::move(row), false}).first->second.row;
  const auto outgoing = message(kept);
  publishing_ = true;
  lock.unlock();
  const bool accepted = accept_(outgoing, tag);
  lock.lock();
  publishing_ = false;
  if (!connected_) changed_.notify_all();
  if (accepted) return true;
  if (auto node = in_flight_.extract(tag); !node.empty())
    failed_.emplace(tag, std::move(node.mapped().row));
  return false;
}

// The first row of the next refused topic; true when one is on its way.
bool Publisher::try_refused(std::unique_lock<std::mutex>& lock) {
  if (held_.empty() || !connected_ || again_) return false;
  auto topic = held_.upper_bound(last_tried_);
  for (std::size_t i = 0; i < held_.size(); ++i, ++topic) {
    if (topic == held_.end()) topic = held_.begin();
    auto& held = topic->second;
    if (held.trying) continue;
    last_tried_ = topic->first;
    if (held.rows.empty()) {
      allow(topic);
      return true;
    }
    auto row = std::move(held.rows.front());
    held.rows.pop_front();
    --held_rows_;
    held.trying = true;
    if (publish(lock, std::move(row))) return true;
    if (const auto again = held_.find(last_tried_); again != held_.end())
      again->second.trying = false;
    take_up_failed();
    return false;
  }
  return false;
}

// Until the session has enough in flight; it says by `delivered` or `connected` when it is worth
// going on. On a new connection, what may be forgotten comes first.
void Publisher::publish_what_fits(std::unique_lock<std::mutex>& lock) {
  while (connected_ && !again_) {
    const auto at = most_urgent();
    if (at == queue_.end()) return;
    auto row = std::move(*at);
    queue_.erase(at);
    if (const auto topic = held_.find(row.topic); topic != held_.end()) {
      hold(topic, std::move(row));
    } else if (!publish(lock, std::move(row))) {
      take_up_failed();
      return;
    }
  }
}

// Of the first rows that wait. Never before one that must come first, on its way or waiting.
std::deque<Publisher::Row>::iterator Publisher::most_urgent() {
  std::set<Sequel> before;
  for (const auto& it : in_flight_) before.insert(sequel(it.second.row));
  auto best = queue_.end();
  const auto end =
      queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), look_ahead));
  for (auto it = queue_.begin(); it != end; ++it) {
    if (!before.insert(sequel(*it)).second) continue;
    if (best == queue_.end() || urgency(*it) > urgency(*best)) best = it;
  }
  return best;
}

void Publisher::hold(Topics::iterator topic, Row row) {
  auto& held = topic->second;
  // Of a retained topic the newest is enough.
  if (row.sequence == 0 && row.retain && !held.rows.empty() && held.rows.back().sequence == 0) {
    held.rows.back() = std::move(row);
    return;
  }
  if (held_rows_ < limits_.held && held.left_from == 0) {
    held.rows.push_back(std::move(row));
    ++held_rows_;
  } else if (row.sequence != 0) {
    // It is in the outbox, and is read from there when the topic is free.
    held.left_from = held.left_from == 0 ? row.sequence : std::min(held.left_from, row.sequence);
  }
}

// The broker takes this topic again: what waits for it goes first, and others may be free as well.
void Publisher::allow(Topics::iterator topic) {
  auto held = std::move(topic->second);
  held_.erase(topic);
  held_rows_ -= held.rows.size();
  if (held.left_from != 0) read_again_from(held.left_from);
  queue_.insert(queue_.begin(), std::make_move_iterator(held.rows.begin()),
                std::make_move_iterator(held.rows.end()));
  next_try_ = {};
}

// What follows must not be published before it.
void Publisher::read_again_from(std::uint64_t sequence) {
  std::erase_if(queue_, [&](const Row& row) { return row.sequence >= sequence; });
  cursor_ = std::min(cursor_, sequence - 1);
  behind_ = true;
}

// The outbox rows behind this one that are in memory, or that the broker has and need not be
// published again.
std::unordered_set<std::uint64_t> Publisher::here_after(std::uint64_t sequence) const {
  std::unordered_set<std::uint64_t> all;
  const auto add = [&](const auto& row) {
    if (row.sequence > sequence) all.insert(row.sequence);
  };
  for (const auto& row : queue_) add(row);
  for (const auto& taken : taken_) add(taken);
  for (const auto& it : in_flight_) add(it.second.row);
  for (const auto& it : failed_) add(it.second);
  for (const auto& topic : held_) {
    for (const auto& row : topic.second.rows) add(row);
  }
  return all;
}

ingest::Outgoing Publisher::message(const Row& row) const {
  ingest::Outgoing out;
  out.topic = row.topic;
  out.payload = row.payload;
  out.retain = row.retain;
  out.expiry = row.expiry;
  out.correlation = row.correlation;
  // CloudEvents 1.0, MQTT binding, binary mode.
  const auto tell = [&](std::string_view type, std::string id) {
    out.properties = {{"specversion", "1.0"},
                      {"type", std::string{type}},
                      {"source", source_},
                      {"id", std::move(id)}};
  };
  if (!row.alert_id.empty()) {
    tell("millwright.alert", row.alert_id + "#" + std::to_string(row.revision));
    out.properties.emplace_back("alert_id", row.alert_id);
  } else if (!row.retain) {
    // Without an id of its own: published again it has the same, and another has another.
    const bool service = row.topic.ends_with("/event/service");
    tell(service ? "millwright.service" : "millwright.answer",
         fmt::format("{:016x}", hash64(row.payload, hash64(row.topic))));
  }
  return out;
}

}  // namespace millwright::daemon
