// Commands and their answers as JSON. What they mean: docs/commands.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/command.h"
#include "storage/operation.h"

namespace millwright::daemon {

inline constexpr std::size_t most_command_bytes = 16384;
inline constexpr std::size_t longest_command_name = 64;

// What was read of a command, and what is wrong with it, if anything: one sentence. Of a bad one,
// `command` has what could be understood.
struct ReadCommand {
  bool known = false;  // there is a command of that name
  millwright::Command command;
  std::optional<std::int64_t> minutes;  // `to` as a time from `from`, else from now
  std::string problem;
};

// Whatever the bytes are, it never throws.
ReadCommand read_command(std::string_view name, std::string_view json);

// JSON Schema (draft 2020-12) of what a command's payload may be, pretty-printed.
std::string command_schema();

// The answer, one line, valid UTF-8: `{"schema":1,"command":...,"ok":...,"text":...}`.
std::string answer_document(const storage::Operation& operation);
std::string answer_schema();

}  // namespace millwright::daemon
