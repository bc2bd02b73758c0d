// What people ask of alerts and machines. The JSON form is in daemon/command_document; what each
// does: docs/commands.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace millwright {

enum class CommandKind : std::uint8_t {
  acknowledge,
  comment,
  shelve,
  unshelve,
  close,
  maintenance_start,
  maintenance_stop,
  serviced,
  rebaseline,
  count_
};
std::string_view name_of(CommandKind kind);

struct Command {
  CommandKind kind{};
  std::string by, comment;            // who; why
  std::string alert;                  // id, of those that concern an alert
  std::string machine, sensor;        // else; maintenance: a glob over machines
  std::optional<Timestamp> from, to;  // shelve: `to`; maintenance: both
};

// What came of it.
struct CommandAnswer {
  bool ok = false;
  std::string text;  // one sentence: what was done, or why not
};

}  // namespace millwright
