// `millwright test-input`: which readings a payload yields under a configuration, or why none.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/explain.h"
#include "daemon/json.h"
#include "daemon/printable.h"
#include "engine/engine.h"
#include "ingest/decoder.h"

namespace millwright::daemon {
namespace {

struct Options {
  std::string config, topic, file;
  std::vector<std::string> properties;
  std::size_t limit = 20;
  bool json = false;
};

struct Row {
  std::string machine, sensor;
  Timestamp time;
  double value = 0;
  const engine::Profile* profile = nullptr;
  Outcome outcome{};

  bool accepted() const { return outcome == Outcome::learned || outcome == Outcome::warming; }
};

struct Tried {
  std::optional<std::size_t> input;
  Reject reject{};
  std::vector<Row> rows;
  std::vector<ingest::Rejected> rejected;

  std::size_t accepted() const {
    std::size_t n = 0;
    for (const auto& row : rows) n += row.accepted() ? 1 : 0;
    return n;
  }
};

// `name=value` to name\0value\0.
std::string property_bytes(const std::vector<std::string>& properties) {
  std::string bytes;
  for (const auto& property : properties) {
    const auto equals = property.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw std::invalid_argument(fmt::format("--property takes name=value, not `{}`", property));
    }
    bytes.append(property, 0, equals).push_back('\0');
    bytes.append(property, equals + 1).push_back('\0');
  }
  return bytes;
}

// What the engine makes of a reading: the one counter that moves.
Outcome try_reading(engine::Engine& engine, const ingest::Decoded& reading, Timestamp now,
                    Position position) {
  Outcome refused{};
  const auto id = engine.sensor(reading.machine, reading.sensor, refused);
  if (!id) return refused;
  const auto before = engine.outcomes();
  const engine::Event event{.kind = engine::Event::Kind::reading,
                            .position = position,
                            .received = now,
                            .arrival = now,
                            .reading = {*id, {reading.time, reading.value}}};
  engine::Effects effects;
  engine.step({&event, 1}, effects);
  for (std::size_t i = 0; i < static_cast<std::size_t>(Outcome::count_); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    if (engine.outcomes()[outcome] != before[outcome]) return outcome;
  }
  return Outcome::held;
}

Tried try_message(const config::Configuration& configuration, const ingest::Message& message) {
  ingest::Decoder decoder{configuration.inputs, configuration.limits};
  ingest::DecodeResult result;
  decoder.decode(message, result);
  Tried tried;
  if (result.reject != Reject::unknown_topic) tried.input = result.input;
  tried.reject = result.reject;
  tried.rejected = result.rejected;
  auto plan = configuration.plan;
  plan.reorder = Duration{0};  // held back readings would tell nothing
  engine::Engine engine{std::make_shared<const engine::Plan>(std::move(plan))};
  Position position = 0;
  for (const auto& reading : result.readings) {
    const auto& profile = profile_for(configuration.plan, reading.machine, reading.sensor);
    tried.rows.push_back({std::string{reading.machine}, std::string{reading.sensor}, reading.time,
                          reading.value, &profile,
                          try_reading(engine, reading, message.received, ++position)});
  }
  return tried;
}

std::vector<std::string> detector_names(const engine::Profile& profile) {
  std::vector<std::string> names;
  for (const auto& choice : profile.detectors) names.push_back(choice.name);
  return names;
}

OrderedJson to_json(const Tried& tried, const Options& options) {
  auto readings = OrderedJson::array();
  for (const auto& row : tried.rows) {
    readings.push_back({{"machine", row.machine},
                        {"sensor", row.sensor},
                        {"time", format_time(row.time)},
                        {"value", number(row.value)},
                        {"unit", row.profile->unit},
                        {"profile", row.profile->match},
                        {"detectors", detector_names(*row.profile)},
                        {"outcome", name_of(row.outcome)}});
  }
  auto rejected = OrderedJson::array();
  if (tried.reject != Reject::none) {
    rejected.push_back({{"reason", name_of(tried.reject)},
                        {"where", ""},
                        {"explanation", explanation(tried.reject)}});
  }
  for (const auto& field : tried.rejected) {
    rejected.push_back({{"reason", name_of(field.reason)},
                        {"where", field.where},
                        {"explanation", explanation(field.reason)}});
  }
  return {{"topic", options.topic},
          {"input", tried.input ? OrderedJson(*tried.input) : OrderedJson(nullptr)},
          {"readings", std::move(readings)},
          {"rejected", std::move(rejected)}};
}

void print_row(const Row& row) {
  fmt::print("{}/{}  {}  {}{}{}\n", printable(row.machine), printable(row.sensor),
             format_time(row.time), row.value, row.profile->unit.empty() ? "" : " ",
             row.profile->unit);
  fmt::print("    profile {}: {}\n", row.profile->match,
             fmt::join(detector_names(*row.profile), ", "));
  if (!row.accepted()) {
    fmt::print("    refused, {}: {}\n", name_of(row.outcome), explanation(row.outcome));
  }
}

void print_rejected(Reject reason, std::string_view where) {
  fmt::print("{}{}{}: {}\n", name_of(reason), where.empty() ? "" : " at ", printable(where),
             explanation(reason));
}

void print_text(const Tried& tried, const config::Configuration& configuration,
                const Options& options) {
  if (tried.input) {
    fmt::print("input {} takes the topic: {}\n", *tried.input,
               configuration.inputs[*tried.input].topic);
  }
  for (std::size_t i = 0; i < tried.rows.size() && i < options.limit; ++i) print_row(tried.rows[i]);
  if (tried.rows.size() > options.limit) {
    fmt::print("... and {} more readings\n", tried.rows.size() - options.limit);
  }
  if (tried.reject != Reject::none) print_rejected(tried.reject, {});
  for (const auto& field : tried.rejected) print_rejected(field.reason, field.where);
  if (tried.reject == Reject::unknown_topic) {
    for (std::size_t i = 0; i < configuration.inputs.size(); ++i) {
      fmt::print("    input {} takes {}\n", i, configuration.inputs[i].topic);
    }
  }
  fmt::print("{} good, {} refused.\n", tried.accepted(),
             tried.rows.size() - tried.accepted() + tried.rejected.size() +
                 (tried.reject != Reject::none && tried.rejected.empty() ? 1 : 0));
}

int test_input(const Options& options) {
  const auto properties = property_bytes(options.properties);
  const auto configuration = load_configuration(options.config);
  if (!configuration) return exit_config;
  const auto payload = read_input(options.file, configuration->limits.payload_bytes);
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto tried = try_message(*configuration, {.topic = options.topic,
                                                  .payload = payload,
                                                  .properties = properties,
                                                  .received = now,
                                                  .retained = false});
  if (options.json) {
    fmt::print("{}\n", dumped(to_json(tried, options), 2));
  } else {
    print_text(tried, *configuration, options);
  }
  return tried.accepted() > 0 ? exit_ok : exit_bad_data;
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto options = std::make_shared<Options>();
  add_config_option(app, options->config);
  app.add_option("-t,--topic", options->topic, "The topic the message came on")
      ->required()
      ->option_text("TOPIC REQUIRED");
  app.add_option("--property", options->properties, "An MQTT 5 user property; may come repeatedly")
      ->option_text("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--limit", options->limit, "Show at most N readings")->option_text("N=20");
  app.add_flag("--json", options->json, "Print JSON");
  app.add_option("FILE", options->file, "The payload; - for standard input")
      ->required()
      ->option_text(" ");
  return [options] { return test_input(*options); };
}

}  // namespace

const Command test_input_command{"test-input", "Show which readings a payload yields, or why none",
                                 "echo 71.4 | millwright test-input --topic shop/press-1/temp -",
                                 &prepare};

}  // namespace millwright::daemon
