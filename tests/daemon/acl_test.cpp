// The access list that is shipped, in a real mosquitto: planners give commands, nobody else does.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/daemon/site.h"
#include "tests/support/program.h"

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

}  // namespace

TEST_CASE("with the shipped access list a planner's command is done, a gateway's is refused") {
  BrokerOptions options;
  options.username = "millwright";
  options.password = "secret";
  options.acl = read_file(MILLWRIGHT_SOURCE "/systemd/examples/mosquitto/millwright.acl");
  Broker broker{options};
  for (const std::string user : {"planner", "gateway", "crew"}) {
    const auto added = run(
        {"mosquitto_passwd", "-b", (broker.directory() / "passwords").string(), user, "secret"});
    CAPTURE(added.second);
    REQUIRE(added.first.code == 0);
  }
  broker.stop();
  broker.start();

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
