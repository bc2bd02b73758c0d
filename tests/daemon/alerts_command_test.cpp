// `millwright alerts`, beside a running daemon and without one.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "storage/archive.h"
#include "storage/database.h"
#include "storage/schema.h"
#include "tests/daemon/site.h"
#include "tests/support/program.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

Finished alerts(const Site& site, std::vector<std::string> words) {
  std::vector<std::string> arguments{"alerts", "--config", site.config_file().string()};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return run_program({.program = MILLWRIGHT_BINARY,
                      .arguments = std::move(arguments),
                      .input = {},
                      .environment = {},
                      .out_file = {}});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("millwright alerts lists, acknowledges, shelves and tells the history") {
  const Broker broker;
  Site site{broker};
  for (const int version : {5, 4}) {
    CAPTURE(version);
    const std::string machine = fmt::format("R{}", version);
    site.config["broker"]["mqtt_version"] = version;
    site.start();
    Client client{listener(broker, fmt::format("listener-{}", version))};
    REQUIRE(client.up());
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
    REQUIRE(client.publish(telemetry(machine, "2025-03-10T06:00:00Z", "temp", 95)));
    std::string id;
    REQUIRE(wait_until([&] {
      const auto listed = alerts(site, {"--json", "--machine", machine});
      if (listed.code != 0 || listed.out.empty()) return false;
      for (const auto& [key, document] : events_in(listed.out)) {
        if (Json::parse(document)["kind"] == "limit") id = key.first;
      }
      return !id.empty();
    }));

    auto done = alerts(site, {"acknowledge", id, "--by", "anna", "--comment", "coming"});
    CAPTURE(done.err);
    CHECK(done.code == 0);
    CHECK(done.out == id + " is acknowledged\n");
    CHECK(done.err == "");
    done = alerts(site, {"acknowledge", id, "--by", "bo"});
    CHECK(done.code == 0);
    CHECK(has(done.out, "was acknowledged already"));
    CHECK(has(done.out, "anna was the last"));
    const auto forever = alerts(site, {"shelve", id, "--by", "anna"});
    CHECK(forever.code == 65);
    CHECK(forever.err == "millwright: until when? --until or --minutes is missing\n");
    done = alerts(site, {"shelve", id, "--by", "anna", "--minutes", "90", "--json"});
    CHECK(done.code == 0);
    CHECK(Json::parse(done.out)["to"] == "2025-03-10T07:30:00.000Z");
    done = alerts(
        site, {"maintenance", "start", machine, "--by", "bo", "--until", "2025-03-10T08:00:00Z"});
    CAPTURE(done.err);
    CHECK(done.code == 0);
    CHECK(has(done.out, "nobody is told; now one machine (" + machine + ")"));
    CHECK(has(alerts(site, {"maintenance"}).out, machine +
                                                     "  2025-03-10T06:00:00.000Z to "
                                                     "2025-03-10T08:00:00.000Z, going on, by bo"));
    CHECK(alerts(site, {"maintenance", "stop", machine, "--by", "bo"}).out ==
          "maintenance of " + machine + " is over\n");
    done = alerts(site, {"maintenance", "start", "X?", "--by", "bo", "--minutes", "5", "--from",
                         "2025-03-11T06:00:00Z", "--comment", "grease"});
    CHECK(has(done.out, "no machine has this name yet"));
    CHECK(
        has(alerts(site, {"maintenance"}).out,
            "X?  2025-03-11T06:00:00.000Z to 2025-03-11T06:05:00.000Z, planned, by bo: grease\n"));
    CHECK(alerts(site, {"maintenance", "stop", "X?", "--by", "bo"}).out ==
          "the planned maintenance of X? is taken back\n");
    CHECK(alerts(site, {"maintenance"}).out == "No maintenance is planned or going on.\n");
    CHECK(alerts(site, {"serviced", machine, "--by", "bo"}).code == 0);

    const auto refused = alerts(site, {"comment", id + "7", "--by", "anna", "--comment", "x"});
    CHECK(refused.code == 65);
    CHECK(refused.out == "");
    CHECK(refused.err == "millwright: no open alert has the id " + id + "7\n");
    CHECK(alerts(site, {"comment", id, "--by", "anna"}).code == 65);

    // The daemon commits an answer with the events before it is published.
    const auto listed = alerts(site, {"--machine", machine});
    CHECK(listed.code == 0);
    CHECK(has(listed.out, id));
    CHECK(has(listed.out, "acknowledged, shelved until 2025-03-10T07:30:00.000Z"));
    const auto history = alerts(site, {"history", id});
    CHECK(history.code == 0);
    for (const std::string step : {"raised", "acknowledged", "anna said: coming", "shelved",
                                   "suppressed", "unsuppressed", "comment by anna was refused"}) {
      CAPTURE(step);
      CHECK(has(history.out, step));
    }
    REQUIRE(site.stop().code == 0);
  }
  // The archive of a stopped daemon; the broker without a daemon.
  CHECK(has(alerts(site, {}).out, " to look at"));
  CHECK(alerts(site, {"--machine", "none"}).out == "No alerts.\n");
  const auto alone = alerts(site, {"serviced", "R5", "--by", "bo", "--timeout", "0.5"});
  CHECK(alone.code == 69);
  CHECK(has(alone.err, "nobody answered within 0.5 s"));
  CHECK(has(alone.err, "it is carried out later"));
}

TEST_CASE("what cannot be meant so, and a broker that is away, have exit codes of their own") {
  Broker broker;
  Site site{broker};
  site.write_config();
  struct Row {
    std::vector<std::string> words;
    int code;
    std::string says;
  };
  const Row rows[] = {
      {{"close", "x"}, 64, "--by NAME is missing"},
      {{"close", "--by", "a"}, 64, "its id is missing"},
      {{"explode", "x", "--by", "a"}, 64, "there is no command `explode`"},
      {{"maintenance", "R1", "--by", "a"}, 64, "start|stop MACHINE"},
      {{"serviced", "R1", "R2", "--by", "a"}, 64, "one word too many"},
      {{"shelve", "x", "--by", "a", "--minutes", "-3"}, 64, "--minutes must be"},
      {{"shelve", "x", "--by", "a", "--until", "noon"}, 64, "--until must be a time"},
      {{"history"}, 64, "which alert?"},
      {{}, 74, "millwright.db"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.says);
    const auto finished = alerts(site, row.words);
    CAPTURE(finished.err);
    CHECK(finished.code == row.code);
    CHECK(has(finished.err, row.says));
  }
  broker.stop();
  const auto away = alerts(site, {"close", "x", "--by", "a"});
  CHECK(away.code == 69);
  CHECK(has(away.err, "cannot be reached"));
}

// They said "No alerts." of an archive that they did not know, and "no such table" of a stranger's.
TEST_CASE("alerts and explain read no archive but one of their own version") {
  const Broker broker;
  Site site{broker};
  site.write_config();
  std::filesystem::create_directories(site.state());
  const auto file = site.state() / "millwright.db";
  const int known = storage::archive_schema().version();
  struct Row {
    std::string sql, says;
  };
  const Row rows[] = {
      {"PRAGMA user_version = 99",
       fmt::format("has version 99, written by a newer Millwright; this one knows version {}: use "
                   "the newer program",
                   known)},
      {fmt::format("PRAGMA user_version = {}", known - 1),
       fmt::format("has version {}, of an older Millwright; this one knows version {}: start the "
                   "daemon once, it migrates",
                   known - 1, known)},
      {"PRAGMA application_id = 0",
       "is not a Millwright archive but another SQLite database; --config names another "
       "configuration"},
      {"", "is not a Millwright archive"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.says);
    std::filesystem::remove(file);
    if (row.sql.empty()) {
      write_file(file, std::string(4096, 'x'));
    } else {
      { storage::Archive{file}; }
      storage::Database{file}.execute(row.sql);
    }
    const auto before = read_file(file);
    for (const auto& words :
         {std::vector<std::string>{}, {"--json"}, {"maintenance"}, {"history", "x"}}) {
      const auto finished = alerts(site, words);
      CHECK(finished.code == 74);
      CHECK(finished.out == "");
      CHECK(finished.err == "millwright: " + file.string() + " " + row.says + "\n");
    }
    const auto explained =
        run_program({.program = MILLWRIGHT_BINARY,
                     .arguments = {"explain", "x", "--config", site.config_file().string()},
                     .input = {},
                     .environment = {},
                     .out_file = {}});
    CHECK(explained.code == 74);
    CHECK(has(explained.err, row.says));
    CHECK(read_file(file) == before);
  }
  std::filesystem::remove(file);
  { storage::Archive{file}; }
  CHECK(alerts(site, {}).out == "No alerts.\n");
}
