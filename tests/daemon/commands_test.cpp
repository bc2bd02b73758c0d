// Commands over a real broker: done, refused, answered to whoever asked, and kept.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "daemon/command_document.h"
#include "storage/database.h"
#include "tests/daemon/site.h"
#include "tests/support/program.h"
#include "tests/support/schema.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

std::string time_of(int second) {
  return fmt::format("2025-03-10T06:{:02}:{:02}Z", second / 60, second % 60);
}

// A planner who listens to everything and asks.
class Planner {
 public:
  explicit Planner(const Broker& broker)
      : client_(options_for(broker, "planner", {{"millwright/test/#", 1}, {"answers/#", 1}})) {
    REQUIRE(client_.up());
  }
  Client& client() { return client_; }

  // Asks and waits for the answer that has this question's correlation data.
  Json ask(const std::string& command, const Json& json, const std::string& topic = "answers/p") {
    auto message = outgoing("millwright/test/cmd/" + command,
                            json.is_string() ? json.get<std::string>() : json.dump());
    message.response_topic = topic;
    message.correlation = "question " + std::to_string(++asked_);
    REQUIRE(client_.publish(message));
    std::optional<Json> answer;
    const bool came = wait_until(
        [&] {
          for (const auto& got : client_.messages()) {
            if (got.correlation != message.correlation || !got.topic.ends_with(answered_to(topic)))
              continue;
            CHECK(schema_problem(daemon::answer_schema(), got.payload) == "");
            CHECK_FALSE(got.retained);
            const auto type = std::string{"type"} + '\0' + "millwright.answer" + '\0';
            CHECK(got.properties.find(type) != std::string::npos);
            answer = Json::parse(got.payload);
            return true;
          }
          return false;
        },
        30s);
    REQUIRE(came);
    return *answer;
  }
  // The newest event of that name, once there is one.
  Json event(const std::string& name) {
    Json found;
    REQUIRE(wait_until(
        [&] {
          for (const auto& got : client_.messages()) {
            if (got.topic != "millwright/test/event/alert") continue;
            const auto json = Json::parse(got.payload);
            if (json["event"] == name && json["sensor"] == "temp") found = json;
          }
          return !found.is_null();
        },
        30s));
    return found;
  }
  void read(const std::string& machine, int second, double value) {
    REQUIRE(client_.publish(telemetry(machine, time_of(second), "temp", value)));
  }

 private:
  // Where Millwright does not speak for others it answers on its own topic.
  static std::string answered_to(const std::string& topic) {
    return topic.starts_with("answers/") ? topic : "/cmd/reply";
  }
  Client client_;
  int asked_ = 0;
};

std::string rows(const Site& site, const std::string& sql) {
  storage::Database database{site.state() / "millwright.db"};
  auto statement = database.prepare(sql);
  std::string text;
  statement.start();
  while (statement.next()) {
    for (int i = 0; i < statement.columns(); ++i) text += (i == 0 ? "" : "|") + statement.text(i);
    text += '\n';
  }
  return text;
}

}  // namespace

TEST_CASE("a planner's hour: acknowledge, shelve, maintenance, serviced, and what is refused") {
  const Broker broker;
  Site site{broker};
  site.start();
  Planner planner{broker};
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  planner.read("R1", 0, 95);
  const auto id = planner.event("raised")["id"].get<std::string>();

  auto answer = planner.ask("acknowledge", {{"by", "anna"}, {"alert", id}, {"comment", "coming"}});
  CHECK(answer["ok"] == true);
  CHECK(answer["text"] == id + " is acknowledged");
  const auto acknowledged = planner.event("acknowledged");
  CHECK(acknowledged["id"] == id);
  CHECK(acknowledged["note"]["by"] == "anna");
  CHECK(acknowledged["note"]["comment"] == "coming");

  answer = planner.ask("shelve", {{"by", "anna"}, {"alert", id}, {"minutes", 1}});
  CHECK(answer["ok"] == true);
  CHECK(answer["to"] == "2025-03-10T06:01:00.000Z");
  CHECK(planner.event("shelved")["shelved_until"] == "2025-03-10T06:01:00.000Z");
  planner.read("R1", 30, 95);
  planner.read("R1", 62, 95);
  CHECK(planner.event("unshelved")["id"] == id);

  answer = planner.ask("maintenance_start", {{"by", "bo"}, {"machine", "R*"}, {"minutes", 10}});
  CHECK(answer["ok"] == true);
  CHECK(planner.event("suppressed")["id"] == id);
  CHECK(planner.ask("maintenance_stop", {{"by", "bo"}, {"machine", "R*"}})["ok"] == true);
  CHECK(planner.event("unsuppressed")["id"] == id);

  answer = planner.ask("serviced", {{"by", "bo"}, {"machine", "R1"}, {"comment", "new belt"}});
  CHECK(answer["ok"] == true);
  CHECK(answer["machine"] == "R1");

  // Refused, with the reason; the answer comes all the same.
  CHECK(planner.ask("serviced", {{"by", "bo"}, {"machine", "R7"}})["text"] ==
        "there is no machine R7");
  answer = planner.ask("close", "{\"by\":");
  CHECK(answer["ok"] == false);
  CHECK(answer["text"] == "the command is not JSON");
  CHECK(planner.ask("explode", {{"by", "bo"}})["ok"] == false);
  // Nobody makes Millwright speak where it speaks for itself.
  const auto events = events_of(planner.client()).size();
  answer = planner.ask("close", {{"by", "bo"}}, "millwright/test/event/alert");
  CHECK(answer["ok"] == false);
  CHECK(events_of(planner.client()).size() == events);

  REQUIRE(site.stop().code == 0);
  CHECK(rows(site, "SELECT command, by, ok FROM operation ORDER BY position") ==
        "acknowledge|anna|1\nshelve|anna|1\nmaintenance_start|bo|1\nmaintenance_stop|bo|1\n"
        "serviced|bo|1\nserviced|bo|0\nclose||0\nexplode|bo|0\nclose|bo|0\n");
  CHECK(rows(site, "SELECT comment FROM operation WHERE machine = 'R1'") == "new belt\n");
  CHECK(rows(site, "SELECT count(*) FROM outbox") == "0\n");
}

TEST_CASE("whoever does not say where to is answered on cmd/reply, on MQTT 3.1.1 too") {
  const Broker broker;
  Site site{broker};
  site.start();
  Client client{listener(broker, "old")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  REQUIRE(client.publish(outgoing("millwright/test/cmd/maintenance_start",
                                  R"({"by":"cy","machine":"R1","minutes":5})")));
  CHECK(wait_until([&] {
    for (const auto& got : client.messages()) {
      if (got.topic == "millwright/test/cmd/reply") return Json::parse(got.payload)["by"] == "cy";
    }
    return false;
  }));
}

TEST_CASE("a command that no journal has room for is refused, with the reason") {
  const Broker broker;
  Site site{broker};
  site.config["processing"]["lanes"] = 2;
  site.config["processing"]["journal_bytes"] = 65536;
  site.config["limits"] = {{"payload_bytes", 4096}};
  site.start();
  Planner planner{broker};
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  // With all that belongs to it, it is larger than what a journal of this size can ever hold.
  auto message = outgoing("millwright/test/cmd/serviced", R"({"by":"bo","machine":"R1"})");
  message.response_topic = "answers/full";
  message.correlation = std::string(40'000, 'c');
  REQUIRE(planner.client().publish(message));
  std::optional<Json> answer;
  REQUIRE(wait_until(
      [&] {
        for (const auto& got : planner.client().messages()) {
          if (got.topic == "answers/full" && got.correlation == message.correlation)
            answer = Json::parse(got.payload);
        }
        return answer.has_value();
      },
      30s));
  CHECK((*answer)["ok"] == false);
  CHECK((*answer)["by"] == "bo");
  CHECK((*answer)["text"].get<std::string>().find("no room") != std::string::npos);
  CHECK(schema_problem(daemon::answer_schema(), answer->dump()) == "");
  // Others are not affected.
  planner.read("R1", 0, 20);
  CHECK(planner.ask("maintenance_start", {{"by", "bo"}, {"machine", "R1"}, {"minutes", 1}})["ok"] ==
        true);
  REQUIRE(site.stop().code == 0);
  CHECK(rows(site, "SELECT command, by, ok FROM operation ORDER BY ok") ==
        "serviced|bo|0\nmaintenance_start|bo|1\n");
}

TEST_CASE("a command survives kill -9 of the daemon, and is answered and kept once") {
  const Broker broker{{.persistence = true}};
  Site site{broker};
  site.config["processing"]["checkpoint_interval_s"] = 3600;
  site.start();
  Planner planner{broker};
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  planner.read("R1", 0, 95);
  const auto id = planner.event("raised")["id"].get<std::string>();
  CHECK(planner.ask("acknowledge", {{"by", "anna"}, {"alert", id}})["ok"] == true);
  CHECK(planner.ask("serviced", {{"by", "anna"}, {"machine", "R1"}})["ok"] == true);
  site.kill();
  // The whole journal is replayed: nothing is written twice.
  site.start();
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  CHECK(planner.ask("serviced", {{"by", "bo"}, {"machine", "R1"}})["ok"] == true);
  REQUIRE(site.stop().code == 0);
  CHECK(rows(site, "SELECT command, by FROM operation ORDER BY position") ==
        "acknowledge|anna\nserviced|anna\nserviced|bo\n");
}

TEST_CASE("an input that takes all topics takes no alert for a reading, and commands come once") {
  const Broker broker;
  Site site{broker};
  site.config["inputs"].push_back({{"topic", "{site}/{rest}/{machine}/{sensor}/#"},
                                   {"value", "/value"},
                                   {"time", "/time"},
                                   {"machine", "{machine}"},
                                   {"sensor", "{sensor}"}});
  site.config["inputs"].push_back(
      {{"topic", "#"}, {"value", "/score"}, {"machine", "all"}, {"sensor", "scores"}});
  site.start();
  Planner planner{broker};
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  planner.read("R1", 0, 95);
  const auto id = planner.event("raised")["id"].get<std::string>();
  CHECK(planner.ask("acknowledge", {{"alert", id}, {"by", "anna"}})["ok"] == true);
  // On Millwright's own topic: its answer is no command.
  CHECK(planner.ask("comment", {{"alert", id}, {"by", "anna"}, {"comment", "seen"}}, "")["ok"] ==
        true);
  REQUIRE(pass_marker(planner.client(), time_of(30)));
  CHECK(site.stop().code == 0);
  CHECK(rows(site, "SELECT command FROM operation ORDER BY time") == "acknowledge\ncomment\n");
  CHECK(rows(site, "SELECT machine, sensor FROM sensor ORDER BY 1, 2").find("event") ==
        std::string::npos);
  CHECK(rows(site, "SELECT count(*) FROM sensor WHERE machine = 'all'") == "0\n");
}
