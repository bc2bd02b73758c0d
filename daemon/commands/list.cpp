// The one list of commands.
#include <array>

#include "daemon/command.h"

namespace millwright::daemon {

std::span<const Command* const> commands() {
  static constexpr std::array<const Command*, 10> all{
      &run_command,        &check_config_command, &test_input_command, &replay_command,
      &filter_command,     &simulate_command,     &alerts_command,     &explain_command,
      &quarantine_command, &schema_command};
  return all;
}

}  // namespace millwright::daemon
