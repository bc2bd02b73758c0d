// `millwright check-config`: all problems of a configuration, or what the daemon would do with it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/config.h"
#include "daemon/command.h"
#include "daemon/paths.h"
#include "ingest/decoder.h"
#include "ingest/topic.h"

namespace millwright::daemon {
namespace {

using config::Problem;

// What config cannot see: patterns and pointers are ingest's. One input at a time, so that all
// problems come out.
std::vector<Problem> input_problems(const config::Configuration& configuration,
                                    const std::string& file) {
  std::vector<Problem> problems;
  for (std::size_t i = 0; i < configuration.inputs.size(); ++i) {
    try {
      const ingest::Decoder decoder{{configuration.inputs[i]}, configuration.limits};
    } catch (const std::invalid_argument& error) {
      problems.push_back(
          {Problem::Level::error, file, 0, 0, fmt::format("/inputs/{}", i), error.what()});
    }
  }
  return problems;
}

// What it names that is not there. Whether that matters depends on who runs the daemon, and where.
std::vector<Problem> missing(const config::Loaded& loaded, const std::string& file) {
  std::vector<Problem> problems;
  for (const auto& named : loaded.files) {
    if (::access(named.path.c_str(), R_OK) == 0) continue;
    auto problem = named.at;
    problem.message = fmt::format("{} cannot be opened: {}; the daemon needs it", named.path,
                                  std::generic_category().message(errno));
    problems.push_back(std::move(problem));
  }
  if (loaded.configuration->inputs.empty()) {
    problems.push_back(
        {Problem::Level::warning, file, 0, 0, "/inputs", "nothing will be read: no inputs"});
  }
  return problems;
}

std::size_t count(const std::vector<Problem>& problems, Problem::Level level) {
  return static_cast<std::size_t>(
      std::count_if(problems.begin(), problems.end(),
                    [&](const Problem& problem) { return problem.level == level; }));
}

std::string counted(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

void print_row(std::string_view key, std::string_view text) { fmt::print("{:<12}{}\n", key, text); }

std::string_view format_name(PayloadFormat format) {
  switch (format) {
    case PayloadFormat::json:
      return "json";
    case PayloadFormat::text:
      return "text";
    case PayloadFormat::packed_json:
      return "packed_json";
    case PayloadFormat::packed_binary:
      return "packed_binary";
  }
  return "unknown";
}

// Does the topic alone say which machine a message is of? Only then can its lane be the machine's.
bool topic_names_machine(const InputSettings& input) {
  const ingest::TopicPattern pattern{input.topic, input.where};
  std::string_view rest = input.machine;
  for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
    const auto close = rest.find('}', open);
    if (close == std::string_view::npos) return false;
    const auto name = rest.substr(open + 1, close - open - 1);
    const auto& captures = pattern.captures();
    if (std::find(captures.begin(), captures.end(), name) == captures.end()) return false;
    rest.remove_prefix(close + 1);
  }
  return true;
}

void print_inputs(const config::Configuration& configuration) {
  const ingest::Decoder decoder{configuration.inputs, configuration.limits};
  for (const auto& subscription : decoder.subscriptions()) {
    print_row("subscribes", fmt::format("{} (QoS {})", subscription.filter, subscription.qos));
  }
  if (configuration.inputs.empty()) print_row("subscribes", "nothing: there are no inputs");
  const auto lanes = configuration.processing.lanes;
  for (std::size_t i = 0; i < configuration.inputs.size(); ++i) {
    const auto& input = configuration.inputs[i];
    auto text = fmt::format("{} {}", input.topic, format_name(input.format));
    if (!input.value.empty()) text += fmt::format(" {}", input.value);
    text += fmt::format(" -> machine {}, sensor {}", input.machine, input.sensor);
    if (lanes > 1) {
      text += topic_names_machine(input) ? ", lane by machine" : ", all in one lane";
    }
    print_row(fmt::format("input {}", i), text);
  }
}

// The sensors that windows of a waveform tell of.
std::string features_of(const engine::Profile& profile) {
  std::string out;
  for (const auto& feature : engine::derived_sensors(*profile.waveform, profile.unit)) {
    out += out.empty() ? "" : ", ";
    out += "." + feature.suffix;
    if (!feature.unit.empty()) out += fmt::format(" [{}]", feature.unit);
  }
  return out;
}

void print_profiles(const engine::Plan& plan) {
  print_row("profiles", plan.profiles.empty() ? "none: every sensor gets `auto`"
                                              : fmt::format("{}, the first that matches applies",
                                                            plan.profiles.size()));
  for (const auto& profile : plan.profiles) {
    std::string detectors;
    for (const auto& choice : profile.detectors) {
      detectors += (detectors.empty() ? "" : ", ") + choice.name;
    }
    const auto unit = profile.unit.empty() ? std::string{} : fmt::format(" [{}]", profile.unit);
    print_row("", fmt::format("{}{}: {}", profile.match, unit,
                              detectors.empty() ? "no detectors" : detectors));
    if (profile.waveform) {
      print_row("", fmt::format("  windows of {} s give {}", to_seconds(profile.waveform->window),
                                features_of(profile)));
    }
  }
}

void print_machines(const engine::Plan& plan) {
  if (plan.machines.empty()) return print_row("machines", "all watched as a whole");
  print_row("machines", "the first that matches applies, all others are watched as a whole");
  for (const auto& machine : plan.machines) {
    const auto what = machine.watched ? "watched as a whole" : "only sensor by sensor";
    const auto& rule = machine.regime;
    const auto regime = rule.learned > 0 ? fmt::format(", at most {} regimes found", rule.learned)
                        : rule.used()    ? ", regime by the sensor " + rule.sensor
                                         : std::string{};
    const auto model = machine.model.empty() ? std::string{} : ", model " + machine.model;
    print_row("", fmt::format("{}: {}{}{}", machine.match, what, regime, model));
  }
}

void print_plan(const config::Configuration& configuration) {
  const auto& broker = configuration.broker;
  const auto& processing = configuration.processing;
  const auto root = configuration.topic_root.empty() ? "millwright/" + configuration.site
                                                     : configuration.topic_root;
  print_row("site", fmt::format("{}, publishes under {}", configuration.site, root));
  print_row("broker",
            fmt::format("{}, MQTT {}", broker.url, broker.mqtt_version == 5 ? "5" : "3.1.1"));
  print_inputs(configuration);
  print_profiles(configuration.plan);
  print_machines(configuration.plan);
  print_row(
      "processing",
      fmt::format("{}, {}", processing.mode == ProcessingMode::native ? "native" : "micro_batch",
                  counted(processing.lanes, "lane")));
  print_row("limits", fmt::format("{}, {} payload", counted(configuration.limits.sensors, "sensor"),
                                  counted(configuration.limits.payload_bytes, "byte")));
  print_row("state", state_directory(configuration).string());
}

int check(const std::string& file) {
  const auto loaded = config::load(file);
  auto problems = loaded.problems;
  if (loaded.configuration) {
    for (const auto& more : {input_problems(*loaded.configuration, file), missing(loaded, file)}) {
      problems.insert(problems.end(), more.begin(), more.end());
    }
  }
  for (const auto& problem : problems) fmt::print("{}\n", to_string(problem));
  const auto errors = count(problems, Problem::Level::error);
  if (errors > 0 || !loaded.configuration) {
    fmt::print("{}: {}.\n", file, counted(errors, "error"));
    return exit_config;
  }
  const auto warnings = count(problems, Problem::Level::warning);
  fmt::print("{}: good{}.\n", file,
             warnings > 0 ? fmt::format(", with {}", counted(warnings, "warning")) : "");
  print_plan(*loaded.configuration);
  return exit_ok;
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto file = std::make_shared<std::string>(default_config_file);
  app.add_option("FILE", *file, "Configuration file; conf.d/*.json beside it is merged in")
      ->option_text(fmt::format("={}", default_config_file));
  return [file] { return check(*file); };
}

}  // namespace

const Command check_config_command{
    "check-config", "Check a configuration; say what is wrong or what would be subscribed",
    "millwright check-config /etc/millwright/millwright.json", &prepare};

}  // namespace millwright::daemon
