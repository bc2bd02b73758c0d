// The alerts and what people did with them, read from an archive that a daemon may be writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright::storage {

struct ListedAlert {
  std::string id, state;
  std::string document;  // of its newest event
};

struct AlertStep {
  Timestamp time;
  std::string document;           // of an event; empty: a command that was refused
  std::string command, by, text;  // of such a command
};

// Of machines, as it was planned.
struct Maintenance {
  std::string machine;  // a glob
  Timestamp from, to;
  std::string by, comment;
};

// A minute of a sensor.
struct Minute {
  Timestamp time;
  std::uint64_t count = 0;
  double mean = 0, low = 0, high = 0;
};

// Thread rule: one thread. Nothing is written. Every function throws StorageError with a sentence.
class AlertList {
 public:
  explicit AlertList(const std::filesystem::path& archive);

  // Most urgent first; `all`: those that are over, too. `machine` empty: of all.
  std::vector<ListedAlert> alerts(bool all, std::string_view machine) const;
  // All events, in their order, and the commands that were refused. Empty: no such alert.
  std::vector<AlertStep> history(std::string_view id) const;
  // Documents that say whether the machine's services helped, oldest first; those told after
  // `from`.
  std::vector<std::string> services(std::string_view machine, Timestamp from) const;
  // What goes on at `now` or is planned, in the order of its begin.
  std::vector<Maintenance> maintenance(Timestamp now) const;
  // Of the newest minute that is summarised, or of the newest command; nothing: there is neither.
  std::optional<Timestamp> newest_time() const;
  // Ids that look most like it, at most so many; the newest first where they are alike.
  std::vector<std::string> like(std::string_view id, std::size_t most) const;
  // Of a span of time, in its order; of a long one evenly spread samples, at most `most`.
  std::vector<Minute> minutes(std::string_view machine, std::string_view sensor, Timestamp from,
                              Timestamp to, std::size_t most) const;

 private:
  std::filesystem::path archive_;
};

}  // namespace millwright::storage
