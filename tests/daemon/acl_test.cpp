// The access list that is shipped, in a real mosquitto: planners give commands, nobody else does.
#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/documents.h"
#include "tests/daemon/site.h"
#include "tests/support/program.h"
#include "tests/support/schema.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using millwright::ingest::SessionEvent;

namespace {

constexpr const char* command_topic = "millwright/berlin/cmd/maintenance_start";

millwright::ingest::SessionOptions as(const Broker& broker, const std::string& user,
                                      const std::string& filter) {
  auto options = options_for(broker, user, {{filter, 1}});
  options.broker.username = user;
  options.password = "secret";
  return options;
}

millwright::ingest::Outgoing maintenance(const std::string& by) {
  return outgoing(command_topic, R"({"by":")" + by + R"(","machine":"R1","minutes":5})");
}

bool heard(const Client& client, const std::string& text) {
  const auto all = client.messages();
  return std::any_of(all.begin(), all.end(),
                     [&](const Received& m) { return m.payload.find(text) != std::string::npos; });
}

// A broker with the access list that is shipped, where all of these have the password `secret`.
std::unique_ptr<Broker> shipped_broker(const std::vector<std::string>& users) {
  BrokerOptions options;
  options.username = "millwright";
  options.password = "secret";
  options.acl = read_file(MILLWRIGHT_SOURCE "/systemd/examples/mosquitto/millwright.acl");
  auto broker = std::make_unique<Broker>(options);
  for (const auto& user : users) {
    const auto added = run(
        {"mosquitto_passwd", "-b", (broker->directory() / "passwords").string(), user, "secret"});
    CAPTURE(added.second);
    REQUIRE(added.first.code == 0);
  }
  broker->stop();
  broker->start();
  return broker;
}

}  // namespace

TEST_CASE("with the shipped access list a machine writes its own readings, and nothing else") {
  const auto broker = shipped_broker({"R017", "R018", "crew", "planner"});
  Client millwright{as(*broker, "millwright", "acme/#")};
  Client planner{as(*broker, "planner", "millwright/berlin/#")};
  Client sensor{as(*broker, "R017", "#")};
  REQUIRE((millwright.up() && planner.up() && sensor.up()));

  const std::string foreign[] = {"acme/berlin/press/R018/telemetry",
                                 "acme/berlin/press/R018/R017/telemetry",
                                 "acme/berlin/R017",
                                 "acme/hamburg/press/R017/telemetry",
                                 "millwright/berlin/event/alert",
                                 "millwright/berlin/event/case",
                                 "millwright/berlin/state/R017/temp/limit",
                                 "millwright/berlin/status",
                                 "millwright/berlin/cmd/acknowledge",
                                 "millwright/berlin/cmd/maintenance_start",
                                 "millwright/berlin/cmd/serviced",
                                 "millwright/berlin/cmd/reply",
                                 "homeassistant/device/R017/config"};
  for (const auto& topic : foreign) {
    CAPTURE(topic);
    CHECK_FALSE(sensor.publish(outgoing(topic, "forged by R017")));
  }
  CHECK(sensor.told(SessionEvent::publish_refused));
  CHECK(sensor.publish(outgoing("acme/berlin/press/R017/telemetry", "own")));
  CHECK(wait_until([&] { return heard(millwright, "own"); }));
  CHECK_FALSE(heard(millwright, "forged"));
  CHECK_FALSE(heard(planner, "forged"));
  // It subscribed to everything, and hears nothing: neither others' readings nor alerts.
  CHECK(millwright.publish(outgoing("millwright/berlin/event/alert", "alert")));
  CHECK(wait_until([&] { return heard(planner, "alert"); }));
  CHECK(sensor.messages().empty());
}

TEST_CASE("with the shipped access list a name is no way around it, nor is having none") {
  // As a pattern's %u such names would stand for everybody's topics.
  const auto broker = shipped_broker({"+", "#", "R018"});
  Client millwright{as(*broker, "millwright", "acme/#")};
  REQUIRE(millwright.up());
  for (const std::string user : {"+", "#"}) {
    CAPTURE(user);
    Client impostor{as(*broker, user, "acme/none")};
    if (!impostor.up(3s)) continue;  // not even let in
    CHECK_FALSE(impostor.publish(outgoing("acme/berlin/press/R018/telemetry", "forged")));
  }
  const auto nobody = run({"mosquitto_pub", "-h", "127.0.0.1", "-p", std::to_string(broker->port()),
                           "-t", "acme/berlin/press/R018/telemetry", "-m", "forged"});
  CHECK(nobody.first.code != 0);
  CHECK_FALSE(heard(millwright, "forged"));
}

TEST_CASE("with the shipped access list a planner's command is done, a gateway's is refused") {
  const auto shipped = shipped_broker({"planner", "gateway", "crew"});
  const Broker& broker = *shipped;

  Site site{broker};
  site.config["site"] = "berlin";
  site.config["inputs"] = {{{"topic", "acme/{machine}/{sensor}"},
                            {"format", "text"},
                            {"machine", "{machine}"},
                            {"sensor", "{sensor}"}}};
  site.config["broker"]["username"] = "millwright";
  site.config["broker"]["password"] = "secret";
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.log().find("refused a subscription") == std::string::npos);

  Client planner{as(broker, "planner", "millwright/berlin/#")};
  REQUIRE(planner.up());
  for (const std::string user : {"gateway", "crew"}) {
    CAPTURE(user);
    Client other{as(broker, user, "acme/none")};
    REQUIRE(other.up());
    CHECK_FALSE(other.publish(maintenance(user)));
    CHECK(wait_until([&] { return other.told(SessionEvent::publish_refused); }));
  }
  // Nobody but Millwright answers.
  CHECK_FALSE(planner.publish(outgoing("millwright/berlin/cmd/reply", "forged")));
  CHECK(planner.publish(maintenance("planner")));
  // The answer goes to the topic that is Millwright's own.
  CHECK(wait_until([&] { return heard(planner, R"("by":"planner")"); }));
  CHECK_FALSE(heard(planner, R"("by":"gateway")"));

  // The command line, with the planner's own name.
  write_file(site.directory() / "password", "secret\n");
  const auto finished =
      run_program({.program = MILLWRIGHT_BINARY,
                   .arguments = {"alerts", "maintenance", "stop", "R1", "--by", "anna", "--config",
                                 site.config_file().string(), "--username", "planner",
                                 "--password-file", (site.directory() / "password").string()},
                   .input = {},
                   .environment = {},
                   .out_file = {}});
  CAPTURE(finished.err);
  CHECK(finished.code == 0);
  CHECK(finished.out.find("maintenance of R1 is over") != std::string::npos);
  const auto refused = run_program({.program = MILLWRIGHT_BINARY,
                                    .arguments = {"alerts", "maintenance", "stop", "R1", "--by",
                                                  "anna", "--config", site.config_file().string()},
                                    .input = {},
                                    .environment = {},
                                    .out_file = {}});
  CAPTURE(refused.err);
  CHECK(refused.code == 65);
  CHECK(refused.err.find("does not allow") != std::string::npos);
}

TEST_CASE("what the broker refuses is said, counted and kept, and comes when the right is given") {
  // Anybody may listen, and Millwright say how it is: but it may not publish alerts, nor answer.
  const std::string rights =
      "topic readwrite factory/#\ntopic read millwright/#\ntopic write millwright/test/status\n"
      "topic write millwright/test/cmd/comment\ntopic read answers/#\n";
  Broker broker{{.acl = rights}};
  Site site{broker};
  site.start();
  Client client{options_for(broker, "client", {{"millwright/test/#", 1}, {"answers/#", 1}})};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  REQUIRE(client.publish(telemetry("R1", "2025-03-10T06:00:00Z", "temp", 95)));
  auto question = outgoing("millwright/test/cmd/comment", R"({"by":"anna","alert":"none"})");
  question.response_topic = "answers/anna";
  question.correlation = "17";
  REQUIRE(client.publish(question));
  const auto delivery = [&](const std::function<bool(const Json&)>& is) {
    return wait_until(
        [&] {
          const auto all = client.messages();
          const auto newest = std::find_if(all.rbegin(), all.rend(), [](const Received& message) {
            return message.topic == "millwright/test/status";
          });
          if (newest == all.rend()) return false;
          CHECK(schema_problem(millwright::daemon::status_schema(), newest->payload) == "");
          return is(Json::parse(newest->payload)["delivery"]);
        },
        30s);
  };
  const auto refuses_all = [](const Json& it) {
    const auto topics = it["refused_topics"].get<std::vector<std::string>>();
    const auto names = [&](const char* topic) {
      return std::find(topics.begin(), topics.end(), topic) != topics.end();
    };
    return names("answers/anna") && names("millwright/test/event/alert") && it["refused"] >= 3 &&
           it["refusals"] >= 3;
  };
  CHECK(delivery(refuses_all));
  CHECK(site.log().find("The broker refused a message") != std::string::npos);
  CHECK(site.log().find("not authorized (0x87)") != std::string::npos);
  CHECK_FALSE(heard(client, R"("event":"raised")"));
  // It is still there after a crash.
  site.kill();
  site.start();
  CHECK(delivery(refuses_all));

  write_file(broker.directory() / "acl", rights + "topic write #\n");
  ::kill(broker.pid(), SIGHUP);
  CHECK(wait_until([&] { return heard(client, R"("event":"raised")"); }, 30s));
  CHECK(wait_until([&] { return heard(client, R"("command":"comment")"); }, 30s));
  CHECK(delivery([](const Json& it) { return it["refused"] == 0 && it["waiting"] == 0; }));
  CHECK(site.stop().code == 0);
}
