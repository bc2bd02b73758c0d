// Quarantine: a bounded sample of the messages that yielded no reading, kept for `millwright
// quarantine` to show.
//
// The file is JSON lines: first {"quarantine":1,"counts":{reason:n}}, then a message a line, oldest
// first:
// {"time","reason","where","topic","bytes","payload" or, when that is not UTF-8, "payload_hex"}.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/accounting.h"
#include "core/time.h"

namespace millwright::daemon {

struct BadMessage {
  Timestamp received;
  Reject reason{};
  std::string where;  // what in the message, e.g. a JSON pointer; may be empty
  std::string topic;
  std::uint64_t bytes = 0;  // of the payload as it came
  std::string payload;      // its first bytes, as they came
};
// As a line of the file, without the newline.
std::string to_json(const BadMessage& message);

// Thread rule: one thread each; every lane has its own, with a file of its own (quarantine_file in
// daemon/paths.h).
class Quarantine {
 public:
  // Nothing is read or written yet.
  Quarantine(std::filesystem::path file, std::size_t max_messages,
             std::size_t max_payload_bytes = 1024);

  // Counts the message and keeps it. When the quarantine is full the oldest of the most frequent
  // reason goes, so a flood of one kind cannot push out the others.
  void add(Reject reason, std::string_view where, std::string_view topic, std::string_view payload,
           Timestamp received);

  // Takes in what a file of an earlier run holds, as if it had been added. Returns how many lines
  // could not be read; a missing file is an empty one. Throws std::system_error when it cannot be
  // opened.
  std::size_t load();
  // Replaces the file whole, if anything changed since. Throws std::system_error with a sentence;
  // the old file is then still good.
  void save();
  // The same as work for another thread, which throws likewise; empty: nothing changed.
  std::function<void()> saving();

  std::vector<BadMessage> messages() const;  // oldest first
  const Counters<Reject>& counts() const { return counts_; }

 private:
  struct Kept {
    std::uint64_t order = 0;
    BadMessage message;
  };
  using Reason = std::deque<Kept>;

  Kept place(Reject reason);
  void keep(Kept kept);
  bool load_line(std::string_view line);

  const std::filesystem::path file_;
  const std::size_t max_messages_, max_payload_bytes_;
  Counters<Reject> counts_;
  std::array<Reason, static_cast<std::size_t>(Reject::count_)> kept_;
  std::size_t size_ = 0;
  std::uint64_t order_ = 0;
  bool changed_ = false;
};

}  // namespace millwright::daemon
