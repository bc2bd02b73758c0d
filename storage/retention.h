// How large an archive may become, and what goes when it is full: docs/archive.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/archive.h"
#include "storage/database.h"

namespace millwright::storage {

// Removes in small transactions of its own: no deletion keeps a reader or the log for long. Thread
// rule: that of the database.
class Retention {
 public:
  // From here on the file does not grow past its bound: a transaction that wants more fails with
  // SQLITE_FULL. A file that is larger already grows no more.
  Retention(Database& database, const Bounds& bounds);

  // What is over the bounds, some of it: called after every commit, it keeps up.
  void trim();
  // Until at least `bytes` can be written into the file without it growing. False when there is not
  // that much room and nothing that may go; messages do not.
  bool make_room(std::uint64_t bytes);
  // Some of the messages that the broker has not taken; false when there are none.
  bool remove_messages();
  // Would `bytes` more go past what the file may have, whatever room the disk has?
  bool is_near(std::uint64_t bytes);
  // The file grows no more, or does again, up to its bound.
  void hold_size(bool hold);
  bool holds() const { return limit_ != bounds_.bytes; }
  std::uint64_t size();                                // of the file, in bytes
  const Removed& removed() const { return removed_; }  // so far

 private:
  // Each: some of it; false when there is none that may go.
  bool remove_oldest();
  bool remove_minutes(std::int64_t before);
  bool remove_history(std::int64_t before);
  bool remove_alerts(std::int64_t before);
  bool remove_health(std::int64_t before);
  std::int64_t first_day_kept();
  void set_limit(std::uint64_t bytes);
  std::uint64_t used();
  std::uint64_t room();

  Database& database_;
  Bounds bounds_;
  std::uint64_t page_size_;
  std::uint64_t limit_ = bounds_.bytes;  // in force
  Removed removed_;
  std::optional<std::int64_t> healthy_until_;  // no health is older that may go
  std::string next_machine_;                   // to be looked at for that

  Statement page_count_ = database_.prepare("PRAGMA page_count");
  Statement free_pages_ = database_.prepare("PRAGMA freelist_count");
  Statement oldest_ = database_.prepare("SELECT t FROM summary_minute ORDER BY t LIMIT 1");
  Statement newest_ = database_.prepare("SELECT t FROM summary_minute ORDER BY t DESC LIMIT 1");
};

}  // namespace millwright::storage
