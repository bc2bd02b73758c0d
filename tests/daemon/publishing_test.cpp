// What subscribers see: alerts by the schema, retained states, online and offline, open alerts
// again after a reconnect; and what bad messages leave behind.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/documents.h"
#include "tests/daemon/site.h"
#include "tests/support/program.h"
#include "tests/support/schema.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* state_of_limit = "millwright/test/state/R1/temp/limit";
constexpr const char* event_topic = "millwright/test/event/alert";
constexpr const char* status_topic = "millwright/test/status";

std::string minute_second(int i) {
  return fmt::format("2025-03-10T06:{:02}:{:02}Z", i / 60, i % 60);
}

// The messages of one topic.
std::vector<Received> on(const Client& client, const std::string& topic) {
  auto messages = client.messages();
  std::erase_if(messages, [&](const Received& message) { return message.topic != topic; });
  if (topic == status_topic) {
    static const auto schema = millwright::daemon::status_schema();
    for (const auto& message : messages) CHECK(schema_problem(schema, message.payload) == "");
  }
  return messages;
}

bool hears(const Client& client, const std::string& topic, const std::string& key,
           const std::string& value, bool retained = false) {
  return wait_until(
      [&] {
        for (const auto& message : on(client, topic)) {
          if (message.retained >= retained && Json::parse(message.payload).at(key) == value)
            return true;
        }
        return false;
      },
      30s);
}

std::string output_of(std::vector<std::string> arguments) {
  const auto finished = run_program({.program = MILLWRIGHT_BINARY,
                                     .arguments = std::move(arguments),
                                     .input = {},
                                     .environment = {},
                                     .out_file = {}});
  INFO(finished.err);
  CHECK(finished.code == 0);
  return finished.out;
}

void raise_limit(Site& site, Client& client, int second = 0) {
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  REQUIRE(client.publish(telemetry("R1", minute_second(second), "temp", 95)));
  REQUIRE(hears(client, event_topic, "event", "raised"));
}

}  // namespace

TEST_CASE("every alert published is what the shipped schema says") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  raise_limit(site, client);
  REQUIRE(client.publish(telemetry("R1", minute_second(10), "temp", 20)));
  REQUIRE(client.publish(telemetry("R1", minute_second(180), "temp", 20)));
  REQUIRE(hears(client, event_topic, "event", "cleared"));
  CHECK(site.stop().code == 0);
  const auto schema = output_of({"schema", "alert"});
  std::size_t documents = 0;
  for (const auto& message : client.messages()) {
    if (message.topic == status_topic) continue;
    CAPTURE(message.topic);
    CAPTURE(message.payload);
    CHECK(schema_problem(schema, message.payload) == "");
    ++documents;
  }
  CHECK(documents >= 4);  // raised and cleared, as event and as state
}

TEST_CASE("alerts on MQTT 5 carry CloudEvents attributes") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{options_for(broker, "client", {{event_topic, 1}})};
  REQUIRE(client.up());
  raise_limit(site, client);
  const auto message = on(client, event_topic).at(0);
  const auto id = Json::parse(message.payload).at("id").get<std::string>();
  const auto has = [&](const std::string& name, const std::string& value) {
    const std::string pair = name + '\0' + value + '\0';
    return message.properties.find(pair) != std::string::npos;
  };
  CHECK(has("specversion", "1.0"));
  CHECK(has("type", "millwright.alert"));
  CHECK(has("source", "/millwright/test"));
  CHECK(has("id", id + "#1"));
  CHECK(has("alert_id", id));
  // The attribute datacontenttype is MQTT's own property; another client of MQTT sees all of it.
  const auto seen =
      run_program({.program = find_program("mosquitto_sub").string(),
                   .arguments = {"-V", "5", "-h", "127.0.0.1", "-p", std::to_string(broker.port()),
                                 "-t", state_of_limit, "-C", "1", "-W", "30", "-F", "%C|%P"},
                   .input = {},
                   .environment = {},
                   .out_file = {}});
  CAPTURE(seen.out);
  CAPTURE(seen.err);
  CHECK(seen.out.starts_with("application/json|"));
  for (const auto* required : {"id:", "source:", "specversion:1.0", "type:"})
    CHECK(seen.out.find(required) != std::string::npos);
  CHECK(site.stop().code == 0);
}

TEST_CASE("the state of an alert is retained, its events are not") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  raise_limit(site, client);
  Client late{listener(broker, "late")};
  REQUIRE(late.up());
  CHECK(hears(late, state_of_limit, "event", "raised", true));
  CHECK(site.stop().code == 0);
  CHECK(on(late, event_topic).empty());
}

TEST_CASE("status is online and retained, and offline after a clean stop") {
  const Broker broker;
  Site site{broker};
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  CHECK(hears(client, status_topic, "status", "online", true));
  CHECK(site.stop().code == 0);
  CHECK(hears(client, status_topic, "status", "offline"));
  Client late{listener(broker, "late")};
  REQUIRE(late.up());
  CHECK(hears(late, status_topic, "status", "offline", true));
}

TEST_CASE("after kill -9 the Will says offline, and the next run online again") {
  const Broker broker;
  Site site{broker};
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(hears(client, status_topic, "status", "online"));
  site.kill();
  CHECK(hears(client, status_topic, "status", "offline"));
  site.start();
  CHECK(wait_until([&] {
    return Json::parse(on(client, status_topic).back().payload).at("status") == "online";
  }));
  CHECK(site.stop().code == 0);
}

TEST_CASE("open alerts are published again when a broker that forgot everything comes back") {
  Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  raise_limit(site, client);
  // The event comes first; with only that at the broker, there is less to forget.
  REQUIRE(hears(client, state_of_limit, "event", "raised"));
  // Whoever listens may be back later than the daemon; then it hears of it at the next time.
  const auto heard_again = [&] {
    const auto events = on(client, event_topic).size(), states = on(client, state_of_limit).size();
    const auto connects = client.texts(millwright::ingest::SessionEvent::connected).size();
    broker.kill();
    broker.start();
    REQUIRE(wait_until(
        [&] { return client.texts(millwright::ingest::SessionEvent::connected).size() > connects; },
        40s));
    REQUIRE(wait_until([&] { return on(client, state_of_limit).size() > states; }, 40s));
    return wait_until([&] { return on(client, event_topic).size() > events; }, 2s);
  };
  CHECK((heard_again() || heard_again() || heard_again()));
  const auto events = on(client, event_topic);
  CHECK(events.back().payload == events.front().payload);
  // The broker has it for those who come later.
  Client late{listener(broker, "late")};
  REQUIRE(late.up());
  CHECK(hears(late, state_of_limit, "event", "raised", true));
  CHECK(site.stop().code == 0);
}

TEST_CASE("an alert that is open when the daemon starts is published once the broker comes up") {
  Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  raise_limit(site, client);
  CHECK(site.stop().code == 0);
  broker.kill();  // with the retained state
  site.start();
  broker.start();
  CHECK(hears(client, state_of_limit, "event", "raised"));
  CHECK(site.stop().code == 0);
}

TEST_CASE("bad messages are counted by reason and kept, good readings do not suffer") {
  const Broker broker;
  Site site{broker};
  site.config["inputs"][0]["where"] = {{"robot", "R[0-9]+|marker"}};
  site.config["limits"] = {{"payload_bytes", 1024}, {"readings_per_message", 4}};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));

  struct Bad {
    std::string reason, topic, payload;
    bool kept = true;  // in quarantine; a topic that no input takes never gets that far
  };
  const std::string robot = "factory/l1/R1/telemetry";
  const Bad bad[] = {
      {"empty", robot, ""},
      {"too_large", robot, std::string(2000, ' ')},
      {"too_deep", robot, std::string(40, '[')},
      {"not_json", robot, "{"},
      {"not_a_number", "single/R1/a", "warm"},
      {"not_utf8", "single/R1/a", "\xff\xfe"},
      {"missing_value", robot, R"({"ts":"2025-03-10T06:00:00Z"})"},
      {"missing_time", robot, R"({"signals":{"a":{"v":1}}})"},
      {"bad_time", robot, R"({"ts":"soon","signals":{"a":{"v":1}}})"},
      {"too_many_readings", robot,
       R"({"ts":"2025-03-10T06:00:00Z","signals":)"
       R"({"a":{"v":1},"b":{"v":1},"c":{"v":1},"d":{"v":1},"e":{"v":1}}})"},
      {"unknown_topic", "factory/l1/X9/telemetry",
       R"({"ts":"2025-03-10T06:00:00Z","signals":{"a":{"v":1}}})", false},
  };
  constexpr int rounds = 12;
  for (int i = 0; i < rounds; ++i) {
    REQUIRE(client.publish(telemetry("R1", minute_second(i), "torque", 10 + i % 7)));
    for (const auto& it : bad) REQUIRE(client.publish(outgoing(it.topic, it.payload)));
  }
  REQUIRE(pass_marker(client, minute_second(rounds)));
  CHECK(site.stop().code == 0);
  REQUIRE(hears(client, status_topic, "status", "offline"));

  const auto status = Json::parse(on(client, status_topic).back().payload);
  CAPTURE(status.dump());
  std::map<std::string, int> expected;
  int kept = 0, journaled = rounds + 1;
  for (const auto& it : bad) {
    expected[it.reason] = rounds;
    kept += it.kept ? rounds : 0;
    journaled += it.kept ? rounds : 0;
  }
  for (const auto& rejected : status.at("rejected").items()) {
    CAPTURE(rejected.key());
    CHECK(rejected.value() == expected[rejected.key()]);
  }
  CHECK(status.at("messages") == journaled);
  int readings = 0;
  for (const auto& n : status.at("readings")) readings += n.get<int>();
  CHECK(readings == rounds + 1);

  std::map<std::string, int> quarantined;
  std::istringstream lines{output_of(
      {"quarantine", "--config", site.config_file().string(), "--limit", "1000", "--json"})};
  for (std::string line; std::getline(lines, line);)
    ++quarantined[Json::parse(line).at("reason").get<std::string>()];
  int shown = 0;
  for (const auto& it : bad) {
    CAPTURE(it.reason);
    CHECK(quarantined[it.reason] == (it.kept ? rounds : 0));
    shown += quarantined[it.reason];
  }
  CHECK(shown == kept);

  int summarised = 0;
  for (const auto& line : archived_summaries(site))
    summarised += line.starts_with("R1/torque ") ? 1 : 0;
  // The last minute is still open.
  CHECK(summarised <= 1);
}

TEST_CASE("messages that the broker drops are told") {
  const Broker broker{{.more = "sys_interval 1\nmax_queued_messages 5\nmax_inflight_messages 1\n"}};
  Site site{broker};
  site.start();
  Client client{listener(broker, "client", "millwright/test/status")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  // A queue that overflows: of a client that is away.
  {
    Client away{options_for(broker, "away", {{"many/#", 1}})};
    REQUIRE(away.up());
  }
  // What it has dropped before is nobody's news: so it goes on dropping.
  CHECK(wait_until(
      [&] {
        client.send(outgoing("many/x", "1"), 1);
        const auto told = on(client, status_topic);
        return !told.empty() && Json::parse(told.back().payload).value("broker_dropped", 0) > 0;
      },
      40s));
  CHECK(site.log().find("The broker has dropped messages") != std::string::npos);
  CHECK(site.stop().code == 0);
}
