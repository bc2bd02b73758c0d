// `millwright run`: the daemon.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

namespace millwright::daemon {
namespace {

std::function<int()> prepare(CLI::App& app) {
  const auto file =
      std::make_shared<std::string>();  // shared: the parser and the action outlive this function
  add_config_option(app, *file);
  return [file] {
    Log log{log_to_stderr()};
    return run_daemon(*file, log);
  };
}

}  // namespace

const Command run_command{"run", "Watch: take readings in over MQTT, raise alerts, until SIGTERM",
                          "millwright run --config /etc/millwright/millwright.json", &prepare};

}  // namespace millwright::daemon
