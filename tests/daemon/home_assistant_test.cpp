// Home Assistant's MQTT discovery: the documents have the documented shape, and what is announced
// is taken back.
#include "daemon/home_assistant.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/daemon/site.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* prefix = "homeassistant";

// Of the public documentation of the format: which values a binary sensor's and a sensor's device
// class may have. Only those that could come into question here; `problem` and `enum` among them.
const std::map<std::string, std::set<std::string>> device_classes{
    {"binary_sensor",
     {"battery", "connectivity", "heat", "moisture", "problem", "running", "safety", "tamper",
      "vibration"}},
    {"sensor", {"battery", "current", "duration", "enum", "power", "temperature", "timestamp"}}};

// Of its source (home-assistant/core, homeassistant/components/mqtt/schemas.py): these keys it
// takes, and refuses the whole message for any other. Entities may have more.
const std::set<std::string> device_message_keys{"availability_mode",
                                                "availability_template",
                                                "availability_topic",
                                                "availability",
                                                "command_topic",
                                                "components",
                                                "device",
                                                "encoding",
                                                "origin",
                                                "payload_available",
                                                "payload_not_available",
                                                "qos",
                                                "state_topic"};
const std::set<std::string> device_keys{
    "configuration_url", "connections", "hw_version", "identifiers",
    "manufacturer",      "model",       "name",       "serial_number",
    "suggested_area",    "sw_version",  "via_device"};
const std::set<std::string> origin_keys{"name", "support_url", "sw_version"};

std::string unknown_key(const Json& json, const std::set<std::string>& known) {
  for (const auto& [key, value] : json.items())
    if (!known.contains(key)) return key;
  return "";
}

bool is_topic(const std::string& topic) {
  return !topic.empty() && topic.find_first_of("+#") == std::string::npos && topic.front() != '/';
}

// What is wrong with a device's discovery message; empty: nothing.
std::string discovery_problem(const std::string& topic, const std::string& payload) {
  // <prefix>/device/<object id>/config; an object id has letters, digits, _ and -.
  const std::string begin = std::string{prefix} + "/device/", end = "/config";
  if (!topic.starts_with(begin) || !topic.ends_with(end)) return "topic " + topic;
  const auto id = topic.substr(begin.size(), topic.size() - begin.size() - end.size());
  const auto may = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (id.empty() || !std::all_of(id.begin(), id.end(), may)) return "object id " + id;
  const auto json = Json::parse(payload, nullptr, false);
  if (!json.is_object()) return "no object";
  for (const auto* key : {"device", "origin", "components"}) {
    if (!json.contains(key) || !json[key].is_object()) return std::string{"no "} + key;
  }
  const auto& device = json["device"];
  const auto unknown = unknown_key(json, device_message_keys) + unknown_key(device, device_keys) +
                       unknown_key(json["origin"], origin_keys);
  if (!unknown.empty()) return "the key " + unknown;
  if (!device.contains("identifiers") || device["identifiers"].empty()) return "no identifiers";
  if (!json["origin"].contains("name")) return "origin without a name";
  if (!is_topic(json.value("state_topic", ""))) return "state_topic";
  if (!is_topic(json.value("availability_topic", ""))) return "availability_topic";
  std::set<std::string> ids;
  for (const auto& [name, part] : json["components"].items()) {
    const auto platform = part.value("platform", ""), unique = part.value("unique_id", "");
    if (!device_classes.contains(platform)) return name + ": platform " + platform;
    if (unique.empty() || !ids.insert(unique).second) return name + ": unique_id " + unique;
    if (part.contains("device_class") &&
        !device_classes.at(platform).contains(part["device_class"].get<std::string>()))
      return name + ": device_class";
    if (part.value("device_class", "") == "enum" &&
        (!part.contains("options") || part.contains("unit_of_measurement") ||
         part.contains("state_class")))
      return name + ": an enum has options, no unit and no state class";
    if (part.contains("entity_category") && part["entity_category"] != "diagnostic")
      return name + ": entity_category";
    if (part.value("value_template", "").find("value_json.") == std::string::npos)
      return name + ": value_template";
  }
  return json["components"].empty() ? "no components" : "";
}

daemon::HomeAssistant::Options options(const TemporaryDirectory& directory, bool enabled = true) {
  daemon::HomeAssistant::Options options;
  options.settings.enabled = enabled;
  options.root = "millwright/berlin";
  options.version = "0.1.0";
  options.file = directory / "home-assistant.json";
  return options;
}

Timestamp at(int hour) {
  return Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 3 / 10}} +
         std::chrono::hours{hour};
}

Alert machine_case(const std::string& id, AlertKind kind, AlertState state, Severity severity) {
  Alert alert;
  alert.id = id;
  alert.machine = "R1";
  alert.sensor = "_machine";
  alert.kind = kind;
  alert.state = state;
  alert.severity = severity;
  alert.time = at(1);
  alert.message = "of " + id;
  return alert;
}

Json condition(const std::vector<storage::OutboxRow>& rows) {
  Json found;
  for (const auto& row : rows) {
    if (row.topic.starts_with("millwright/berlin/home_assistant/"))
      found = Json::parse(row.payload);
  }
  return found;
}

}  // namespace

TEST_CASE("a discovery document has what the format asks for, whatever the machine is called") {
  std::set<std::string> topics, unique;
  const std::vector<std::string> names{
      "R017", "R 017", "R_017", "line/1/robot", "a+b#c", "\xc3\xa4", std::string(500, 'x'), ""};
  for (const auto& name : names) {
    CAPTURE(name);
    const auto topic = daemon::home_assistant_topics(prefix, "millwright/berlin", name);
    const auto document = daemon::discovery_document("millwright/berlin", name, "0.1.0");
    CHECK(discovery_problem(topic.discovery, document) == "");
    const auto json = Json::parse(document);
    CHECK(json["device"]["name"] == name);
    CHECK(json["availability_topic"] == "millwright/berlin/status");
    CHECK(json["state_topic"] == topic.condition);
    CHECK(json["components"]["problem"]["device_class"] == "problem");
    // Each entity reads a key that the condition has.
    const auto shown = Json::parse(daemon::condition_document({}));
    for (const auto& part : json["components"].items()) {
      CHECK(part.value()["value_template"] == "{{ value_json." + part.key() + " }}");
      CHECK(shown.contains(part.key()));
      unique.insert(part.value()["unique_id"].get<std::string>());
    }
    topics.insert(topic.discovery);
    topics.insert(topic.condition);
  }
  // Another one for each name, also where only the replaced characters differ; and for each site.
  CHECK(topics.size() == 2 * names.size());
  CHECK(unique.size() == 4 * names.size());
  CHECK(daemon::home_assistant_id("millwright/berlin", "R1") !=
        daemon::home_assistant_id("millwright/paris", "R1"));
  // Stable over versions: what Home Assistant has stored about an entity hangs on it.
  CHECK(daemon::home_assistant_id("millwright/berlin", "R017") == "millwright_R017_54679d63");
}

TEST_CASE("a machine has a problem while a case is open, and shows the worst severity") {
  const TemporaryDirectory directory;
  daemon::HomeAssistant home{options(directory)};
  home.heard("R1", at(0));
  auto rows = home.news();
  REQUIRE(rows.size() == 2);
  for (const auto& row : rows) CHECK(row.retain);
  CHECK(discovery_problem(rows[0].topic, rows[0].payload) == "");
  CHECK(condition(rows)["problem"] == "OFF");
  CHECK(condition(rows)["severity"] == "none");
  CHECK(condition(rows)["health"] == nullptr);

  const auto is = [](const char* id, AlertKind kind, AlertState state, Severity severity) {
    return machine_case(id, kind, state, severity);
  };
  home.follow(is("a", AlertKind::machine_case, AlertState::active, Severity::warning));
  home.follow(is("b", AlertKind::sensor_case, AlertState::active, Severity::critical));
  home.follow("R1", 61.44);
  rows = home.news();
  REQUIRE(rows.size() == 1);  // announced already
  CHECK(condition(rows) == Json::parse(R"({ "schema": 1, "problem": "ON", "data_problem": "ON",
    "severity": "critical", "health": 61.4, "open_cases": 2, "message": "of b" })"));
  // Latched and unknown are open; what is not a case counts by its case.
  home.follow(is("a", AlertKind::machine_case, AlertState::latched, Severity::warning));
  home.follow(is("b", AlertKind::sensor_case, AlertState::cleared, Severity::critical));
  home.follow(is("c", AlertKind::limit, AlertState::active, Severity::critical));
  CHECK(condition(home.news())["severity"] == "warning");
  home.follow(is("a", AlertKind::machine_case, AlertState::cleared, Severity::warning));
  CHECK(condition(home.news())["problem"] == "OFF");
  CHECK(home.news().empty());
  CHECK(home.news(true).size() == 2);
}

TEST_CASE("cases that were open before come from the archive") {
  const TemporaryDirectory directory;
  daemon::HomeAssistant home{options(directory)};
  const auto open = [](const std::string& machine, const std::string& kind) {
    storage::Archive::OpenAlert alert;
    alert.id = machine + "/_machine/" + kind + "/1";
    alert.machine = machine;
    alert.kind = kind;
    alert.document = R"({"severity":"critical","message":"hot","time":"2025-03-10T01:00:00Z"})";
    return alert;
  };
  home.cases({open("R1", "case"), open("_plant", "sensor_case"), open("R2", "limit")});
  const auto rows = home.news();
  REQUIRE(rows.size() == 2);
  CHECK(condition(rows) == Json::parse(R"({ "schema": 1, "problem": "ON", "data_problem": "OFF",
    "severity": "critical", "health": null, "open_cases": 1, "message": "hot" })"));
  home.cases({});
  CHECK(condition(home.news())["problem"] == "OFF");
}

TEST_CASE("a machine that is silent while others are not is taken back, and may come again") {
  const TemporaryDirectory directory;
  daemon::HomeAssistant home{options(directory)};
  home.heard("R1", at(0));
  home.heard("R2", at(0));
  home.news();
  home.save();
  // As after a restart: the file knows them.
  daemon::HomeAssistant again{options(directory)};
  CHECK(again.news().size() == 4);
  again.heard("R2", at(24 * 30 - 1));
  CHECK(again.withdrawals().empty());
  again.heard("R2", at(24 * 30 + 2));
  const auto rows = again.withdrawals();
  REQUIRE(rows.size() == 2);
  const auto topics = daemon::home_assistant_topics(prefix, "millwright/berlin", "R1");
  for (const auto& row : rows) {
    CHECK(row.retain);
    CHECK(row.payload == "");
    CHECK((row.topic == topics.discovery || row.topic == topics.condition));
  }
  CHECK(again.takes_back());
  again.taken_back();
  again.save();
  CHECK(daemon::HomeAssistant{options(directory)}.news().size() == 2);
  again.heard("R1", at(24 * 30 + 3));
  CHECK(again.news().size() >= 2);
}

TEST_CASE("what was announced is taken back where the option is off or the topics are others") {
  const TemporaryDirectory directory;
  {
    daemon::HomeAssistant home{options(directory)};
    home.heard("R1", at(0));
    home.save();
  }
  auto other = options(directory);
  other.settings.prefix = "ha";
  daemon::HomeAssistant moved{other};
  CHECK(moved.withdrawals().size() == 2);
  const auto rows = moved.news();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].topic.starts_with("ha/device/"));

  daemon::HomeAssistant off{options(directory, false)};
  CHECK(off.withdrawals().size() == 2);
  off.taken_back();
  off.save();
  CHECK_FALSE(std::filesystem::exists(directory / "home-assistant.json"));
  off.heard("R1", at(1));
  CHECK(off.news().empty());
  CHECK(daemon::HomeAssistant{options(directory, false)}.withdrawals().empty());

  write_file(directory / "home-assistant.json", "{\"prefix\":");
  CHECK(daemon::HomeAssistant{options(directory)}.problem());
}

TEST_CASE(
    "in a broker: a machine is announced, its case shows, and all is gone when switched off") {
  const Broker broker;
  Site site{broker};
  site.config["home_assistant"] = {{"enabled", true}};
  site.config["alerts"] = {{"gather_s", 0}};
  site.start();
  Client client{listener(broker, "client")}, home{listener(broker, "home", "homeassistant/#")};
  REQUIRE(client.up());
  REQUIRE(home.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto topics = daemon::home_assistant_topics(prefix, "millwright/test", "R1");
  const auto shows = [&](const std::string& problem) {
    return wait_until(
        [&] {
          const auto all = client.messages();
          const auto last = std::find_if(all.rbegin(), all.rend(), [&](const Received& message) {
            return message.topic == topics.condition;
          });
          return last != all.rend() && !last->payload.empty() &&
                 Json::parse(last->payload)["problem"] == problem;
        },
        30s);
  };
  REQUIRE(client.publish(telemetry("R1", "2025-03-10T06:00:00Z", "temp", 20)));
  REQUIRE(client.publish(telemetry("R1", "2025-03-10T06:01:10Z", "temp", 20)));
  REQUIRE(shows("OFF"));
  REQUIRE(client.publish(telemetry("R1", "2025-03-10T06:01:20Z", "temp", 95)));
  REQUIRE(client.publish(telemetry("R1", "2025-03-10T06:01:30Z", "temp", 95)));
  CHECK(shows("ON"));
  const auto announced = home.messages();
  REQUIRE(!announced.empty());
  for (const auto& message : announced) {
    CAPTURE(message.payload);
    CHECK(discovery_problem(message.topic, message.payload) == "");
  }
  // It survives kill -9, and stands in the broker for a Home Assistant that comes later.
  site.kill();
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(shows("ON"));
  Client late{listener(broker, "late", "homeassistant/#")};
  REQUIRE(late.up());
  CHECK(wait_until([&] {
    const auto all = late.messages();
    return !all.empty() && all.front().retained && all.front().topic == topics.discovery;
  }));
  CHECK(site.stop().code == 0);

  site.config["home_assistant"]["enabled"] = false;
  site.start();
  CHECK(wait_until(
      [&] {
        const auto all = late.messages();
        return all.back().topic == topics.discovery && all.back().payload.empty();
      },
      30s));
  CHECK(site.stop().code == 0);
  Client later{listener(broker, "later", "#")};
  REQUIRE(later.up());
  REQUIRE(wait_until([&] { return !later.messages().empty(); }));
  for (const auto& message : later.messages()) {
    CHECK_FALSE(message.topic.starts_with("homeassistant/"));
    CHECK(message.topic != topics.condition);
  }
}
