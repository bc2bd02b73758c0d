// A command of the command line: one file in commands/, one line in commands/list.cpp.
#pragma once

#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace millwright::daemon {

// sysexits(3), as far as we use them.
enum ExitCode : int {
  exit_ok = 0,
  exit_usage = 64,
  exit_bad_data = 65,
  exit_unavailable = 69,  // broker unreachable, for one-shot commands
  exit_internal = 70,
  exit_io = 74,
  exit_config = 78,
};

// Ends a command with this exit code; what() is the one sentence on stderr.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

struct Command {
  std::string_view name;
  std::string_view summary;  // one line, for --help of the whole
  std::string_view example;  // a call that works as it stands, for --help of the command
  // Adds the command's options to `app` and returns what runs it; the result is the exit code. What
  // it throws ends as one sentence on stderr: Failure as its code, std::invalid_argument as 64,
  // std::system_error as 74, anything else as 70.
  std::function<int()> (*prepare)(CLI::App& app);
};

// In the order of --help.
std::span<const Command* const> commands();

extern const Command run_command, check_config_command, test_input_command, replay_command,
    filter_command, simulate_command, alerts_command, explain_command, quarantine_command,
    schema_command;

}  // namespace millwright::daemon
