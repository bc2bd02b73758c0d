// Whether a service helped, from a lane's output to the archive, the outbox and the command line.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/documents.h"
#include "daemon/log.h"
#include "daemon/service_document.h"
#include "daemon/writer.h"
#include "storage/alert_list.h"
#include "storage/database.h"
#include "tests/daemon/published.h"
#include "tests/support/program.h"
#include "tests/support/schema.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;
using Json = nlohmann::json;

namespace {

Timestamp at(int minutes) {
  return from_microseconds(1'741'586'400'000'000) + std::chrono::minutes{minutes};
}

ServiceOutcome outcome() {
  ServiceOutcome out;
  out.machine = "R1";
  out.serviced = at(60);
  out.time = at(700);
  out.helped = Helped::yes;
  out.message = "R1: the service of 2025-03-10 helped: vib 7.1 mm/s before, 2.3 mm/s after";
  out.position = 9;
  ServicedSensor one;
  one.sensor = "vib";
  one.unit = "mm/s";
  one.alert = "R1/vib/limit/1741586400000";
  one.kind = AlertKind::limit;
  one.before = 7.1;
  one.after = 2.3;
  one.readings_before = 12;
  one.readings_after = 480;
  one.helped = Helped::yes;
  out.sensors.push_back(one);
  return out;
}

Alert alert() {
  Alert out;
  out.id = "R1/vib/limit/1741586400000";
  out.machine = "R1";
  out.sensor = "vib";
  out.unit = "mm/s";
  out.kind = AlertKind::limit;
  out.severity = Severity::warning;
  out.priority = 46;
  out.onset = out.time = at(0);
  out.value = 7.8;
  out.expected = out.high = 7.1;
  out.low = 2.5;
  out.score = 1 + (7.8 - 7.1) / 7.1;
  out.detector = "limit";
  out.numbers = {{"high", 7.1}, {"hysteresis", 0}, {"beyond", 0}};
  out.evidence = {{at(-2), at(-1), at(0)}, {2.5, 2.6, 7.8}, {2.5, 2.6, 7.1}};
  out.message = "vib is 7.8 mm/s, at or above its limit of 7.1 mm/s";
  return out;
}

LaneOutput output() {
  LaneOutput out;
  out.alerts.push_back(alert());
  out.services.push_back(outcome());
  for (int minute = -20; minute < 20; ++minute) {
    Summary summary;
    summary.minute = at(minute);
    summary.position = 4;
    summary.add(minute < 0 ? 2.5 : 7.8);
    out.summaries.push_back({"R1", "vib", "mm/s", summary});
  }
  out.through = 9;
  return out;
}

// Of the published ones, those that say whether a service helped.
std::int64_t told(const test::Published& published) {
  return std::count_if(published.rows.begin(), published.rows.end(), [](const auto& row) {
    return row.topic == "root/event/service" && !row.retain;
  });
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the document of a service's outcome is valid against its schema") {
  auto one = outcome();
  CHECK(test::schema_problem(service_schema(), service_document(one, "berlin")) == "");
  CHECK(Json::parse(service_document(one, "berlin"))["sensors"][0]["usual"].is_null());
  one.sensors[0].usual = 2.2;
  one.sensors[0].after.reset();
  one.sensors[0].regime = "program-2";
  one.sensors[0].scatter = true;
  for (const auto helped : {Helped::yes, Helped::in_part, Helped::no, Helped::unknown}) {
    one.helped = helped;
    CHECK(test::schema_problem(service_schema(), service_document(one, "berlin")) == "");
  }
  auto wrong = Json::parse(service_document(one, "berlin"));
  wrong["helped"] = "perhaps";
  CHECK(test::schema_problem(service_schema(), wrong.dump()) != "");
}

TEST_CASE("whether a service helped is archived and published, after a replay once") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  test::Published published;
  for (int run = 0; run < 2; ++run) {
    ArchiveWriter writer{{file, directory.path(), "berlin", "root", 1}, published.handlers(), log};
    writer.write(output());
    writer.work_off();
    CHECK(writer.figures().failures == 0);
  }
  CHECK(told(published) == 1);
  const storage::AlertList list{file};
  const auto services = list.services("R1", at(0));
  REQUIRE(services.size() == 1);
  CHECK(services[0] == service_document(outcome(), "berlin"));
  CHECK(list.services("R1", at(61)).empty());
  CHECK(list.services("R2", at(0)).empty());
  storage::Database database{file};
  CHECK(database.text("SELECT helped || ' ' || serviced_text FROM service_history") ==
        "yes 2025-03-10T07:00:00.000Z");
}

TEST_CASE("without an archive whether a service helped is published all the same") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  test::Published published;
  ArchiveWriter writer{{{}, directory.path(), "berlin", "root", 1}, published.handlers(), log};
  writer.write(output());
  writer.work_off();
  CHECK(told(published) == 1);
}

TEST_CASE("millwright explain and alerts history tell of an alert and of the service after it") {
  const test::TemporaryDirectory directory;
  const auto config = directory / "millwright.json";
  Json settings{{"site", "berlin"},
                {"state_directory", directory.path().string()},
                {"inputs", Json::array()}};
  settings["archive"]["file"] = (directory / "archive.db").string();
  settings["broker"]["url"] = "tcp://127.0.0.1:1";
  settings["inputs"].push_back({{"topic", "t/{machine}/{sensor}"},
                                {"format", "text"},
                                {"machine", "{machine}"},
                                {"sensor", "{sensor}"}});
  test::write_file(config, settings.dump());
  const auto call = [&](std::vector<std::string> words,
                        std::map<std::string, std::string> env = {}) {
    words.insert(words.begin() + 1, {"--config", config.string()});
    env.try_emplace("LC_ALL", "C");
    env.try_emplace("COLUMNS", "90");
    return test::run_program({.program = MILLWRIGHT_BINARY,
                              .arguments = std::move(words),
                              .input = {},
                              .environment = std::move(env),
                              .out_file = {}});
  };
  const auto id = alert().id;
  CHECK(call({"explain", id}).code == 74);  // no archive yet
  {
    Log log{{.write = [](std::string_view) {}}};
    test::Published published;
    ArchiveWriter writer{{directory / "archive.db", directory.path(), "berlin", "root", 1},
                         published.handlers(),
                         log};
    writer.write(output());
    writer.work_off();
  }
  const auto plain = call({"explain", id});
  CAPTURE(plain.err);
  CAPTURE(plain.out);
  CHECK(plain.code == 0);
  const std::vector<std::string> parts{alert().message,      "recomputed from the evidence: 1.099",
                                       outcome().message,    "* reading",
                                       "+ mean of a minute", "| onset"};
  for (const auto& part : parts) {
    CAPTURE(part);
    CHECK(has(plain.out, part));
  }
  CHECK(std::all_of(plain.out.begin(), plain.out.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x80U; }));
  CHECK(has(call({"explain", id}, {{"LC_ALL", "en_GB.UTF-8"}}).out, "●"));
  CHECK_FALSE(has(call({"explain", id, "--ascii"}, {{"LC_ALL", "en_GB.UTF-8"}}).out, "●"));
  const auto json = Json::parse(call({"explain", id, "--json"}).out);
  CHECK(json["recomputed_score"].get<double>() == doctest::Approx(alert().score).epsilon(1e-12));
  CHECK(json["service"]["helped"] == "yes");
  CHECK(json["minutes"].size() == 23);  // ten on both sides of the evidence

  const auto history = call({"alerts", "history", id});
  CHECK(history.code == 0);
  CHECK(has(history.out, outcome().message));

  const auto unknown = call({"explain", "R1/vip/limit/1741586400000"});
  CHECK(unknown.code == 65);
  CHECK(unknown.out.empty());
  CHECK(has(unknown.err, "the archive has no alert R1/vip/limit/1741586400000\n"));
  CHECK(has(unknown.err, "  " + id + "\n"));
  CHECK(call({"explain"}).code == 64);
}
