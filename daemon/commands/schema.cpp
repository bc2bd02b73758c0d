// `millwright schema config|alert|health|status|command|answer`: prints a JSON Schema.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "config/config.h"
#include "daemon/command.h"
#include "daemon/command_document.h"
#include "daemon/documents.h"
#include "daemon/service_document.h"

namespace millwright::daemon {
namespace {

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto which = std::make_shared<std::string>();
  app.add_option("WHICH", *which,
                 "config: a configuration file; alert: an alert as it is published; "
                 "health: how a machine is, likewise; status: how the daemon is, likewise; "
                 "command: what Millwright can be told; answer: what it answers; "
                 "service: whether one helped")
      ->required()
      ->check(
          CLI::IsMember({"config", "alert", "health", "status", "command", "answer", "service"}))
      ->option_text("config|alert|health|status|command|answer|service");
  return [which] {
    fmt::print("{}\n", *which == "config"    ? config::schema()
                       : *which == "alert"   ? alert_schema()
                       : *which == "health"  ? health_schema()
                       : *which == "status"  ? status_schema()
                       : *which == "command" ? command_schema()
                       : *which == "service" ? service_schema()
                                             : answer_schema());
    return int{exit_ok};
  };
}

}  // namespace

const Command schema_command{
    "schema", "Print the JSON Schema of configuration files, alerts, health or commands",
    "millwright schema alert > alert.schema.json", &prepare};

}  // namespace millwright::daemon
