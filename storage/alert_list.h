// The alerts and what people did with them, read from an archive that a daemon may be writing.
#pragma once

#include <filesystem>
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

// Thread rule: one thread. Nothing is written. Every function throws StorageError with a sentence.
class AlertList {
 public:
  explicit AlertList(const std::filesystem::path& archive);

  // Most urgent first; `all`: those that are over, too. `machine` empty: of all.
  std::vector<ListedAlert> alerts(bool all, std::string_view machine) const;
  // All events, in their order, and the commands that were refused. Empty: no such alert.
  std::vector<AlertStep> history(std::string_view id) const;

 private:
  std::filesystem::path archive_;
};

}  // namespace millwright::storage
