#include "daemon/home_assistant.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

#include "core/hash.h"
#include "daemon/json.h"
#include "storage/files.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

constexpr auto check_interval = std::chrono::hours{1};
// How old the file's idea of when a machine was heard may become: it need not be written often.
constexpr auto stale = std::chrono::hours{24};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

std::string plain(std::string_view text) {
  std::string out{text.substr(0, 64)};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !is_plain(c); }, '_');
  return out;
}

storage::OutboxRow retained(std::string topic, std::string payload) {
  storage::OutboxRow row;
  row.topic = std::move(topic);
  row.payload = std::move(payload);
  row.retain = true;
  return row;
}

OrderedJson entity(const std::string& id, const char* platform, const char* name, const char* key) {
  return {{"platform", platform},
          {"unique_id", id + "_" + key},
          {"name", name},
          {"value_template", fmt::format("{{{{ value_json.{} }}}}", key)}};
}

OrderedJson components(const std::string& id, const std::string& condition) {
  auto problem = entity(id, "binary_sensor", "Problem", "problem");
  problem["device_class"] = "problem";
  problem["json_attributes_topic"] = condition;
  auto data = entity(id, "binary_sensor", "Data problem", "data_problem");
  data["device_class"] = "problem";
  data["entity_category"] = "diagnostic";
  auto severity = entity(id, "sensor", "Worst severity", "severity");
  severity["device_class"] = "enum";
  severity["options"] = {"none", "notice", "warning", "critical"};
  auto health = entity(id, "sensor", "Health", "health");
  health["unit_of_measurement"] = "%";
  health["state_class"] = "measurement";
  health["suggested_display_precision"] = 0;
  return {{"problem", problem}, {"data_problem", data}, {"severity", severity}, {"health", health}};
}

void remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) throw std::system_error{error, "cannot remove " + file.string()};
}

}  // namespace

std::string home_assistant_id(std::string_view root, std::string_view machine) {
  // The hash tells names apart that look the same in plain letters.
  const auto hash = hash64(machine, hash64(root));
  return fmt::format("millwright_{}_{:08x}", plain(machine), hash >> 32U);
}

HomeAssistantTopics home_assistant_topics(std::string_view prefix, std::string_view root,
                                          std::string_view machine) {
  const auto id = home_assistant_id(root, machine);
  return {fmt::format("{}/device/{}/config", prefix, id),
          fmt::format("{}/home_assistant/{}", root, id)};
}

std::string discovery_document(std::string_view root, std::string_view machine,
                               std::string_view version) {
  const auto id = home_assistant_id(root, machine);
  const auto condition = home_assistant_topics("", root, machine).condition;
  return dumped({{"device",
                  {{"identifiers", {id}},
                   {"name", machine},
                   {"manufacturer", "Millwright"},
                   {"model", "Machine watched by Millwright"}}},
                 {"origin", {{"name", "Millwright"}, {"sw_version", version}}},
                 {"availability_topic", fmt::format("{}/status", root)},
                 {"availability_template", "{{ value_json.status }}"},
                 {"state_topic", condition},
                 {"qos", 1},
                 {"components", components(id, condition)}});
}

bool operator==(const MachineCondition& a, const MachineCondition& b) {
  return condition_document(a) == condition_document(b);
}

// The message is that of the worst case: of a machine before that of its data.
std::string condition_document(const MachineCondition& condition) {
  const OpenCase* worst = nullptr;
  std::size_t machine = 0, data = 0;
  for (const auto& [id, open] : condition.cases) {
    ++(open.kind == AlertKind::sensor_case ? data : machine);
    const auto rank = [](const OpenCase& it) {
      return std::pair{it.severity, it.kind == AlertKind::machine_case};
    };
    if (worst == nullptr || rank(open) > rank(*worst)) worst = &open;
  }
  const auto& health = condition.health;
  const auto tenths = health && std::isfinite(*health)
                          ? OrderedJson(std::round(std::clamp(*health, 0.0, 100.0) * 10) / 10 + 0.0)
                          : OrderedJson(nullptr);
  return dumped({{"schema", 1},
                 {"problem", machine > 0 ? "ON" : "OFF"},
                 {"data_problem", data > 0 ? "ON" : "OFF"},
                 {"severity", worst == nullptr ? "none" : name_of(worst->severity)},
                 {"health", tenths},
                 {"open_cases", machine + data},
                 {"message", worst == nullptr ? "" : worst->message}});
}

HomeAssistant::HomeAssistant(Options options) : options_(std::move(options)) { read(); }

void HomeAssistant::read() {
  const auto text = storage::text_in(options_.file);
  if (!text) return;
  const auto json = OrderedJson::parse(*text, nullptr, false);
  const auto is_text = [&](const char* key) { return json.contains(key) && json[key].is_string(); };
  if (!json.is_object() || !is_text("prefix") || !is_text("root") || !json.contains("machines") ||
      !json["machines"].is_object()) {
    problem_ = fmt::format("{} cannot be read: what was announced to Home Assistant is not known",
                           options_.file.string());
    return;
  }
  const auto prefix = json["prefix"].get<std::string>(), root = json["root"].get<std::string>();
  const bool here = enabled() && prefix == options_.settings.prefix && root == options_.root;
  for (const auto& entry : json["machines"].items()) {
    const auto topics = home_assistant_topics(prefix, root, entry.key());
    if (!here) {
      withdrawn_.insert(topics.discovery);
      withdrawn_.insert(topics.condition);
      unsaved_ = true;
    }
    if (!enabled()) continue;
    const auto time =
        entry.value().is_string() ? parse_time(entry.value().get<std::string>()) : std::nullopt;
    auto& machine = machines_[entry.key()];
    machine.heard = time.value_or(Timestamp{});
    newest_ = std::max(newest_, machine.heard);
    changed_.insert(entry.key());
  }
}

void HomeAssistant::heard(std::string_view name, Timestamp time) {
  if (!enabled()) return;
  auto it = machines_.find(name);
  if (it == machines_.end()) {
    it = machines_.emplace(name, Machine{}).first;
    const auto topics = home_assistant_topics(options_.settings.prefix, options_.root, name);
    withdrawn_.erase(topics.discovery);
    withdrawn_.erase(topics.condition);
    changed_.emplace(name);
    unsaved_ = true;
  }
  auto& machine = it->second;
  if (time > machine.heard + stale) unsaved_ = true;
  machine.heard = std::max(machine.heard, time);
  newest_ = std::max(newest_, time);
  if (newest_ < checked_ + check_interval) return;
  checked_ = newest_;
  forget_the_silent();
}

void HomeAssistant::forget_the_silent() {
  for (auto it = machines_.begin(); it != machines_.end();) {
    if (it->second.heard > newest_ - options_.settings.forget_after) {
      ++it;
      continue;
    }
    const auto topics = home_assistant_topics(options_.settings.prefix, options_.root, it->first);
    withdrawn_.insert(topics.discovery);
    withdrawn_.insert(topics.condition);
    changed_.erase(it->first);
    it = machines_.erase(it);
    unsaved_ = true;
  }
}

void HomeAssistant::follow(const Alert& alert) {
  if (!enabled() || !is_case(alert.kind)) return;
  const auto it = machines_.find(alert.machine);
  // A case comes after readings, but before their minute is over; one of the plant is no machine's.
  if (it == machines_.end()) {
    if (alert.machine.starts_with('_')) return;
    heard(alert.machine, alert.time);
    if (machines_.contains(alert.machine)) follow(alert);
    return;
  }
  auto& cases = it->second.condition.cases;
  if (alert.state == AlertState::cleared)
    cases.erase(alert.id);
  else
    cases[alert.id] = {alert.kind, alert.severity, alert.message};
  changed_.insert(alert.machine);
}

void HomeAssistant::follow(std::string_view name, std::optional<double> health) {
  const auto it = machines_.find(name);
  if (it == machines_.end()) return;
  it->second.condition.health = health;
  changed_.emplace(name);
}

void HomeAssistant::cases(const std::vector<storage::Archive::OpenAlert>& open) {
  if (!enabled()) return;
  for (auto& [name, machine] : machines_) {
    if (!machine.condition.cases.empty()) changed_.insert(name);
    machine.condition.cases.clear();
  }
  for (const auto& alert : open) {
    const auto kind = alert.kind == name_of(AlertKind::machine_case)  ? AlertKind::machine_case
                      : alert.kind == name_of(AlertKind::sensor_case) ? AlertKind::sensor_case
                                                                      : AlertKind::count_;
    const auto json = OrderedJson::parse(alert.document, nullptr, false);
    if (kind == AlertKind::count_ || !json.is_object() || alert.machine.starts_with('_')) continue;
    if (!machines_.contains(alert.machine))
      heard(alert.machine, parse_time(json.value("time", "")).value_or(Timestamp{}));
    // It may be silent for so long that it was just forgotten.
    const auto it = machines_.find(alert.machine);
    if (it == machines_.end()) continue;
    OpenCase found{kind, Severity::notice, json.value("message", "")};
    for (const auto severity : {Severity::notice, Severity::warning, Severity::critical}) {
      if (json.value("severity", "") == name_of(severity)) found.severity = severity;
    }
    it->second.condition.cases[alert.id] = std::move(found);
    changed_.insert(alert.machine);
  }
}

std::vector<storage::OutboxRow> HomeAssistant::news(bool all) {
  std::vector<storage::OutboxRow> rows;
  const auto tell = [&](const std::string& name, Machine& machine) {
    const auto topics = home_assistant_topics(options_.settings.prefix, options_.root, name);
    auto document = condition_document(machine.condition);
    if (all || !std::exchange(machine.announced, true)) {
      rows.push_back(
          retained(topics.discovery, discovery_document(options_.root, name, options_.version)));
      machine.published.clear();
      machine.announced = true;
    }
    if (document == machine.published) return;
    rows.push_back(retained(topics.condition, document));
    machine.published = std::move(document);
  };
  if (all) {
    for (auto& [name, machine] : machines_) tell(name, machine);
  } else {
    for (const auto& name : changed_) {
      if (const auto it = machines_.find(name); it != machines_.end()) tell(it->first, it->second);
    }
  }
  changed_.clear();
  return rows;
}

std::vector<storage::OutboxRow> HomeAssistant::withdrawals() {
  std::vector<storage::OutboxRow> rows;
  for (const auto& topic : withdrawn_) rows.push_back(retained(topic, ""));
  handed_.merge(withdrawn_);
  withdrawn_.clear();
  return rows;
}

void HomeAssistant::save() {
  const auto work = saving();
  if (!work) return;
  try {
    work();
  } catch (...) {
    not_saved();
    throw;
  }
}

std::function<void()> HomeAssistant::saving() {
  if (!std::exchange(unsaved_, false)) return {};
  if (!enabled()) return [file = options_.file] { remove_file(file); };
  auto machines = OrderedJson::object();
  for (const auto& [name, machine] : machines_) machines[name] = format_time(machine.heard);
  return [file = options_.file, text = dumped({{"prefix", options_.settings.prefix},
                                               {"root", options_.root},
                                               {"machines", std::move(machines)}})] {
    storage::replace_file(file, text);
  };
}

}  // namespace millwright::daemon
