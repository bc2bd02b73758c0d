// Checkpoint files: what the engine learned, on disk, whole or not at all. Two are kept:
// <name>.state and <name>.state.1
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/reading.h"

namespace millwright::storage {

struct Checkpoint {
  Position position = 0;      // the last journal record in it
  std::string configuration;  // the text of the configuration in force at that position
  std::string state;          // the engine's bytes
};

// Writes a temporary file, syncs it, moves the old one to .1 and the new one into place, syncs the
// directory. Throws std::system_error with a sentence; the old files are then still good.
void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);

struct CheckpointRead {
  std::optional<Checkpoint> checkpoint;  // the newest that is whole; nothing when there is none
  std::vector<std::string>
      set_aside;  // a sentence for each damaged file, moved to <file>.damaged-<n>
  // A sentence when a newer Millwright wrote the file: it is left where it is and no checkpoint is
  // given, not even the older one. Do not write a checkpoint over it.
  std::optional<std::string> newer_version;
};
// Damage and read errors are no exceptions; throws std::system_error when a file that exists cannot
// be opened.
CheckpointRead read_checkpoint(const std::filesystem::path& file);

// For a checkpoint that is whole but holds what nobody can read: moves the one that
// `read_checkpoint` gives, so that the next call gives the older one. The sentence that says so;
// throws std::system_error when it cannot be moved.
std::string set_checkpoint_aside(const std::filesystem::path& file, const std::string& why);

}  // namespace millwright::storage
