#include "storage/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace millwright::storage {
namespace {

// A transaction of these takes a millisecond or two, but for slow flash.
constexpr int rows_in_a_step = 1000;
constexpr int alerts_in_a_step = 200;  // with some events each
constexpr int messages_in_a_step = 100;
// After a commit; more than it wrote, so that a bound that was lowered is reached as well.
constexpr int steps_in_a_trim = 16;

constexpr std::int64_t day = 86'400'000'000;  // in microseconds
constexpr std::int64_t any_time = std::numeric_limits<std::int64_t>::max();

// Part of the bound that is kept free, so that a commit seldom has to wait for deletions.
constexpr std::uint64_t reserve_of(std::uint64_t bytes) { return bytes / 16; }

std::int64_t day_of(std::int64_t time) { return time >= 0 ? time / day : -1 - (-1 - time) / day; }

}  // namespace

Retention::Retention(Database& database, const Bounds& bounds)
    : database_(database),
      bounds_(bounds),
      page_size_(static_cast<std::uint64_t>(database.integer("PRAGMA page_size"))) {
  set_limit(bounds_.bytes);
}

void Retention::set_limit(std::uint64_t bytes) {
  limit_ = bytes;
  database_.integer(fmt::format("PRAGMA max_page_count = {}", limit_ / page_size_));
}

void Retention::hold_size(bool hold) { set_limit(hold ? size() : bounds_.bytes); }

std::uint64_t Retention::size() {
  return static_cast<std::uint64_t>(page_count_.value().value_or(0)) * page_size_;
}

std::uint64_t Retention::room() {
  return static_cast<std::uint64_t>(free_pages_.value().value_or(0)) * page_size_;
}

std::uint64_t Retention::used() { return size() - room(); }

bool Retention::is_near(std::uint64_t bytes) { return size() + bytes > limit_; }

void Retention::trim() {
  const auto enough = bounds_.bytes - reserve_of(bounds_.bytes);
  const auto first = first_day_kept();
  for (int step = 0; step < steps_in_a_trim; ++step) {
    if (remove_minutes(first) || remove_health(first)) continue;
    if (used() <= enough || !remove_oldest()) break;
  }
}

bool Retention::make_room(std::uint64_t bytes) {
  // On a full disk not all goes for a batch that could not fit in anyway.
  if (holds() && bytes > limit_ / 2) return false;
  bool removed = false;
  while (room() < bytes && remove_oldest()) removed = true;
  return removed || room() >= bytes;
}

// When the oldest of the days that are kept begins. Days with minutes are counted, not those that
// went by: a clock that was years ahead for a while costs one day of history, not all.
std::int64_t Retention::first_day_kept() {
  constexpr auto none = std::numeric_limits<std::int64_t>::min();
  const auto newest = newest_.value();
  if (bounds_.days == 0 || !newest) return none;
  auto before =
      database_.prepare("SELECT t FROM summary_minute WHERE t < ?1 ORDER BY t DESC LIMIT 1");
  auto first = day_of(*newest) * day;
  for (std::uint32_t kept = 1; kept < bounds_.days; ++kept) {
    const auto earlier = before.value(first);
    if (!earlier) return none;
    first = day_of(*earlier) * day;
  }
  return first;
}

// Of what is bulk the oldest first, but for the last day; then what happened; then the last day,
// all but what nobody has heard yet.
bool Retention::remove_oldest() {
  const auto newest = newest_.value();
  const auto last_day = newest ? *newest - day : any_time;
  if (const auto oldest = oldest_.value())
    if (remove_health(day_of(*oldest) * day)) return true;
  return remove_minutes(last_day) || remove_history(last_day) || remove_minutes(any_time) ||
         remove_history(any_time) || remove_health(any_time);
}

bool Retention::remove_minutes(std::int64_t before) {
  const auto oldest = oldest_.value();
  if (!oldest || *oldest >= before) return false;
  database_
      .prepare(
          "DELETE FROM summary_minute WHERE (t, sensor_id) IN (SELECT t, sensor_id "
          "FROM summary_minute WHERE t < ?1 ORDER BY t, sensor_id LIMIT ?2)")
      .run(before, rows_in_a_step);
  // There was one.
  if (database_.changes() == 0)
    throw StorageError("the archive is damaged: a minute that it has cannot be found by its key",
                       SQLITE_CORRUPT);
  removed_.minutes += static_cast<std::uint64_t>(database_.changes());
  return true;
}

bool Retention::remove_history(std::int64_t before) {
  if (remove_alerts(before)) return true;
  for (const auto& [table, time] : {std::pair{"operation", "time"}, std::pair{"service", "time"},
                                    std::pair{"baseline", "until"}}) {
    database_
        .prepare(fmt::format("DELETE FROM {0} WHERE rowid IN "
                             "(SELECT rowid FROM {0} WHERE {1} < ?1 ORDER BY {1} LIMIT ?2)",
                             table, time))
        .run(before, rows_in_a_step);
    if (database_.changes() == 0) continue;
    removed_.history += static_cast<std::uint64_t>(database_.changes());
    return true;
  }
  return false;
}

// Those that are over and that the broker has heard of.
bool Retention::remove_alerts(std::int64_t before) {
  auto over = database_.prepare(
      "SELECT id FROM alert WHERE state = 'cleared' AND time < ?1 "
      "AND id NOT IN (SELECT alert_id FROM outbox) ORDER BY time LIMIT ?2");
  std::vector<std::string> ids;
  over.start(before, alerts_in_a_step);
  while (over.next()) ids.push_back(over.text(0));
  if (ids.empty()) return false;
  Transaction transaction{database_};
  auto events = database_.prepare("DELETE FROM alert_event WHERE id = ?1");
  auto alert = database_.prepare("DELETE FROM alert WHERE id = ?1");
  for (const auto& id : ids) {
    events.run(id);
    alert.run(id);
  }
  transaction.commit();
  removed_.history += ids.size();
  return true;
}

// Machine by machine, since the key begins with it. The newest of each stays: it is what is told of
// the machine after a restart.
bool Retention::remove_health(std::int64_t before) {
  if (healthy_until_ && *healthy_until_ >= before) return false;
  auto following = database_.prepare("SELECT machine FROM health WHERE machine >= ?1 LIMIT 1");
  auto remove = database_.prepare(
      "DELETE FROM health WHERE machine = ?1 AND t IN (SELECT t FROM health WHERE machine = ?1 "
      "AND t < min(?2, (SELECT max(t) FROM health WHERE machine = ?1)) ORDER BY t LIMIT ?3)");
  int gone = 0;
  while (gone < rows_in_a_step) {
    following.start(next_machine_);
    if (!following.next()) {
      next_machine_.clear();
      if (before != any_time) healthy_until_ = before;
      break;
    }
    const auto machine = following.text(0);
    following.reset();
    remove.run(machine, before, rows_in_a_step);
    gone += database_.changes();
    // The next in order; the same again when it may have more.
    next_machine_ = machine;
    if (database_.changes() < rows_in_a_step) next_machine_ += '\0';
  }
  removed_.history += static_cast<std::uint64_t>(gone);
  return gone > 0;
}

bool Retention::remove_messages() {
  database_
      .prepare(
          "DELETE FROM outbox WHERE sequence IN "
          "(SELECT sequence FROM outbox ORDER BY priority, sequence LIMIT ?1)")
      .run(messages_in_a_step);
  removed_.messages += static_cast<std::uint64_t>(database_.changes());
  return database_.changes() > 0;
}

}  // namespace millwright::storage
