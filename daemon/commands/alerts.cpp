// `millwright alerts`: lists alerts from the archive, and tells a running Millwright what a person
// has to say about them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/ask.h"
#include "daemon/broker_access.h"
#include "daemon/clock.h"
#include "daemon/command.h"
#include "daemon/command_document.h"
#include "daemon/commands/common.h"
#include "daemon/explanation.h"
#include "daemon/paths.h"
#include "daemon/printable.h"
#include "storage/alert_list.h"
#include "storage/archive.h"

namespace millwright::daemon {
namespace {

using Json = nlohmann::json;

struct Options {
  std::string config;
  std::vector<std::string> words;
  bool all = false, json = false;
  std::string machine, sensor, by, comment, from, until, username, password_file;
  std::int64_t minutes = 0;
  double timeout = 10;
};

std::string text_of(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string{};
}
bool flag_of(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_boolean() && it->get<bool>();
}

// What a person must know beside the state.
std::string marks(const Json& alert) {
  std::string out;
  const auto add = [&](const std::string& mark) { out += ", " + mark; };
  if (flag_of(alert, "acknowledged")) add("acknowledged");
  if (const auto until = text_of(alert, "shelved_until"); !until.empty())
    add("shelved until " + until);
  if (flag_of(alert, "suppressed")) add("under maintenance");
  if (flag_of(alert, "chattering")) add("comes and goes");
  if (flag_of(alert, "held_back")) add("held back by the budget: nobody was told");
  return out;
}

void print_alert(const Json& alert, std::string_view indent) {
  fmt::print("{}{:>3} {:8} {}/{} {}  {}{}, since {}\n", indent, alert.value("priority", 0),
             text_of(alert, "severity"), printable(text_of(alert, "machine")),
             printable(text_of(alert, "sensor")), text_of(alert, "kind"), text_of(alert, "state"),
             marks(alert), text_of(alert, "onset"));
  fmt::print("{}    {}\n", indent, printable(text_of(alert, "message")));
  if (const auto note = alert.find("note"); note != alert.end() && note->is_object()) {
    fmt::print("{}    {}\n", indent, said(*note));
  }
  fmt::print("{}    {}\n", indent, printable(text_of(alert, "id")));
}

// Cases and single alerts by rank, the parts of a case below it.
void print_list(const std::vector<Json>& alerts) {
  std::map<std::string, std::vector<const Json*>> parts;
  std::set<std::string> listed;
  for (const auto& alert : alerts) listed.insert(text_of(alert, "id"));
  std::vector<const Json*> top;
  for (const auto& alert : alerts) {
    const auto of = text_of(alert, "case");
    (listed.contains(of) ? parts[of] : top).push_back(&alert);
  }
  std::size_t held_back = 0, aside = 0;
  for (const auto* alert : top) {
    print_alert(*alert, "");
    held_back += flag_of(*alert, "held_back");
    aside += flag_of(*alert, "suppressed") || !text_of(*alert, "shelved_until").empty() ||
             text_of(*alert, "state") == "cleared";
    for (const auto* part : parts[text_of(*alert, "id")]) print_alert(*part, "      ");
  }
  if (top.empty()) {
    fmt::print("No alerts.\n");
  } else {
    fmt::print("{} to look at{}{}.\n", top.size() - aside,
               aside == 0 ? "" : fmt::format("; {} shelved, under maintenance or over", aside),
               held_back == 0 ? ""
                              : fmt::format("; of {} nobody was told, because of the budget or "
                                            "because it comes back",
                                            held_back));
  }
}

int list(const Options& options, const config::Configuration& configuration) {
  const storage::AlertList archive{archive_of(configuration)};
  std::vector<Json> alerts;
  for (const auto& alert : archive.alerts(options.all, options.machine)) {
    if (options.json) {
      fmt::print("{}\n", alert.document);
    } else {
      alerts.push_back(Json::parse(alert.document));
    }
  }
  if (!options.json) print_list(alerts);
  return exit_ok;
}

// What "now" is for the daemon: with event time, the newest reading, which the archive knows to the
// minute.
Timestamp now_of(const storage::AlertList& archive, const config::Configuration& configuration) {
  if (configuration.processing.clock == ProcessingClock::wall) return wall_clock();
  return archive.newest_time().value_or(Timestamp{});
}

int maintenance(const Options& options, const config::Configuration& configuration) {
  const storage::AlertList archive{archive_of(configuration)};
  const auto now = now_of(archive, configuration);
  const auto windows = archive.maintenance(now);
  for (const auto& window : windows) {
    if (options.json) {
      fmt::print("{}\n", Json({{"machine", window.machine},
                               {"from", format_time(window.from)},
                               {"to", format_time(window.to)},
                               {"by", window.by},
                               {"comment", window.comment}})
                             .dump());
      continue;
    }
    fmt::print("{}  {} to {}, {}, by {}{}\n", printable(window.machine), format_time(window.from),
               format_time(window.to), window.from <= now ? "going on" : "planned",
               printable(window.by),
               window.comment.empty() ? "" : ": " + printable(window.comment));
  }
  if (windows.empty() && !options.json) fmt::print("No maintenance is planned or going on.\n");
  return exit_ok;
}

void print_service(const Json& service, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", service.dump());
  } else {
    fmt::print("{}  service\n    {}\n", text_of(service, "time"),
               printable(text_of(service, "message")));
  }
}

int history(const Options& options, const config::Configuration& configuration) {
  if (options.words.size() != 2) throw std::invalid_argument{"which alert? alerts history ID"};
  const storage::AlertList archive{archive_of(configuration)};
  const auto steps = archive.history(options.words[1]);
  if (steps.empty()) {
    fmt::print(stderr, "millwright: the archive has no alert {}\n", printable(options.words[1]));
    return exit_bad_data;
  }
  for (const auto& step : steps) {
    if (options.json) {
      if (!step.document.empty()) fmt::print("{}\n", step.document);
      continue;
    }
    if (step.document.empty()) {
      fmt::print("{}  {} by {} was refused: {}\n", format_time(step.time), printable(step.command),
                 printable(step.by), printable(step.text));
      continue;
    }
    const auto event = Json::parse(step.document);
    fmt::print("{}  {:12} {}{}\n", format_time(step.time), text_of(event, "event"),
               text_of(event, "severity"), marks(event));
    const auto note = event.find("note");
    if (note != event.end() && note->is_object() &&
        text_of(*note, "time") == text_of(event, "time")) {
      fmt::print("    {}\n", said(*note));
    }
    fmt::print("    {}\n", printable(text_of(event, "message")));
  }
  const auto first = std::find_if(steps.begin(), steps.end(),
                                  [](const auto& step) { return !step.document.empty(); });
  if (const auto service = service_after(Json::parse(first->document), services_of(archive, steps)))
    print_service(*service, options.json);
  return exit_ok;
}

// `alerts maintenance start M` is the command maintenance_start.
struct Wanted {
  std::string command, what;
};
Wanted wanted(std::vector<std::string> words) {
  if (words.front() == "maintenance") {
    if (words.size() < 2 || (words[1] != "start" && words[1] != "stop"))
      throw std::invalid_argument{"maintenance of what? alerts maintenance start|stop MACHINE"};
    words = {"maintenance_" + words[1], words.size() > 2 ? words[2] : ""};
  }
  if (words.size() > 2) throw std::invalid_argument{"there is one word too many: " + words[2]};
  return {words[0], words.size() == 2 ? words[1] : ""};
}

std::string payload_of(const Wanted& wanted, const Options& options) {
  const bool on_machine = wanted.command.starts_with("maintenance_") ||
                          wanted.command == "serviced" || wanted.command == "rebaseline";
  if (wanted.what.empty()) {
    throw std::invalid_argument{on_machine ? "which machine? its name is missing"
                                           : "which alert? its id is missing"};
  }
  Json json{{on_machine ? "machine" : "alert", wanted.what}};
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) json[key] = text;
  };
  add("by", options.by);
  add("comment", options.comment);
  add("sensor", options.sensor);
  add("from", options.from);
  add("to", options.until);
  if (options.minutes != 0) json["minutes"] = options.minutes;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Over MQTT the keys of the command are named, here the options that stand for them.
std::string in_options(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> options{
      {{"`to`", "--until"},
       {"`from`", "--from"},
       {"`minutes`", "--minutes"},
       {"`comment`", "--comment"},
       {"`sensor`", "--sensor"},
       {"`by`", "--by"}}};
  for (const auto& [key, option] : options) {
    for (auto at = text.find(key); at != text.npos; at = text.find(key, at + option.size()))
      text.replace(at, key.size(), option);
  }
  return text;
}

// Who gives the command is not always who the service is.
void take_access(const Options& options, BrokerSettings& broker) {
  if (!options.username.empty()) broker.username = options.username;
  if (!options.username.empty() || !options.password_file.empty()) {
    broker.password_credential = broker.password = "";
    broker.password_file = options.password_file;
  }
  if (!broker.password_credential.empty() && std::getenv("CREDENTIALS_DIRECTORY") == nullptr)
    throw std::invalid_argument{fmt::format(
        "the configuration's password is the credential {}, which systemd gives to the service "
        "only; say who you are with --username NAME --password-file FILE",
        broker.password_credential)};
}

int give(const Options& options, const config::Configuration& configuration) {
  const auto what = wanted(options.words);
  Question question;
  question.command = what.command;
  if (const auto read = read_command(question.command, "{}"); !read.known)
    throw std::invalid_argument{read.problem};
  question.payload = payload_of(what, options);
  // What Millwright would refuse whatever it knows need not be sent.
  if (const auto read = read_command(question.command, question.payload); !read.problem.empty())
    throw std::invalid_argument{read.known && options.by.empty()
                                    ? "who says so? --by NAME is missing"
                                    : in_options(read.problem)};
  question.topic_root = topic_root(configuration);
  question.broker = configuration.broker;
  take_access(options, question.broker);
  question.password = broker_password(question.broker);
  const auto answer =
      ask(question, std::chrono::milliseconds{static_cast<std::int64_t>(options.timeout * 1000)});
  const bool done = answer.kind == Answer::Kind::done;
  if (options.json && !answer.document.empty()) {
    fmt::print("{}\n", answer.document);
  } else if (done) {
    fmt::print("{}\n", printable(answer.text));
  } else {
    fmt::print(stderr, "millwright: {}\n", printable(in_options(answer.text)));
  }
  if (done) return exit_ok;
  return answer.kind == Answer::Kind::refused ? exit_bad_data : exit_unavailable;
}

int run(const Options& options) {
  const auto configuration = load_configuration(options.config);
  if (!configuration) return exit_config;
  try {
    if (options.words.empty() || options.words == std::vector<std::string>{"list"})
      return list(options, *configuration);
    if (options.words == std::vector<std::string>{"maintenance"})
      return maintenance(options, *configuration);
    if (options.words.front() == "history") return history(options, *configuration);
  } catch (const storage::StorageError& error) {
    fmt::print(stderr, "millwright: {}\n", printable(error.what()));
    return exit_io;
  }
  return give(options, *configuration);
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto o = std::make_shared<Options>();
  add_config_option(app, o->config);
  app.add_option(
         "WHAT", o->words,
         "nothing, or list: the open ones; history ID; acknowledge, comment, shelve, unshelve "
         "or close ID; maintenance: what is planned; maintenance start or stop MACHINE; serviced "
         "or rebaseline MACHINE")
      ->option_text("[WHAT ...]");
  app.add_flag("--all", o->all, "List those that are over, too");
  app.add_option("--machine", o->machine, "List those of one machine")->option_text("NAME");
  app.add_flag("--json", o->json, "One JSON document a line");
  app.add_option("--by", o->by, "Who says so")->option_text("NAME");
  app.add_option("--comment", o->comment, "Why")->option_text("TEXT");
  app.add_option("--minutes", o->minutes, "Shelve or maintain so long")->option_text("N");
  app.add_option("--until", o->until, "Shelve or maintain until then")->option_text("TIME");
  app.add_option("--from", o->from, "Maintain from then on")->option_text("TIME");
  app.add_option("--sensor", o->sensor, "Serviced or to be learned anew: only this one")
      ->option_text("NAME");
  app.add_option("--username", o->username, "At the broker, instead of the configuration's")
      ->option_text("NAME");
  app.add_option("--password-file", o->password_file, "The password of that user, in a file")
      ->option_text("FILE");
  app.add_option("--timeout", o->timeout, "Wait so many seconds for the answer")
      ->check(CLI::Range(0.1, 3600.0))
      ->option_text("S=10");
  return [o] { return run(*o); };
}

}  // namespace

const Command alerts_command{"alerts", "List alerts, acknowledge, shelve, plan maintenance",
                             "millwright alerts acknowledge R1/temp/limit/1741586400000 --by anna",
                             &prepare};

}  // namespace millwright::daemon
