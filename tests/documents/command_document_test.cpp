#include "daemon/command_document.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/random.h"
#include "tests/support/schema.h"

using namespace millwright;
using namespace millwright::daemon;
using Json = nlohmann::json;

namespace {

Timestamp noon() { return Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 3 / 10}}; }

}  // namespace

TEST_CASE("a command is read with all it may say") {
  const auto read = read_command(
      "maintenance_start",
      R"({"by":"anna","comment":"Getriebe, geölt","machine":"R1*","from":"2025-03-10T00:00:00Z",
          "to":"2025-03-10T02:00:00+02:00"})");
  CHECK(read.problem == "");
  CHECK(read.known);
  CHECK(read.command.kind == CommandKind::maintenance_start);
  CHECK(read.command.by == "anna");
  CHECK(read.command.comment == "Getriebe, geölt");
  CHECK(read.command.machine == "R1*");
  CHECK(read.command.from == noon());
  CHECK(read.command.to == noon());
  CHECK(read_command("shelve", R"({"by":"a","alert":"x","minutes":5})").minutes == 5);
  for (std::size_t i = 0; i < static_cast<std::size_t>(CommandKind::count_); ++i) {
    const auto kind = static_cast<CommandKind>(i);
    const auto any = read_command(name_of(kind), R"({"by":"a","machine":"R1"})");
    CHECK(any.problem == "");
    CHECK(any.command.kind == kind);
  }
}

TEST_CASE("what is wrong with a command is said in one sentence, and what was understood is kept") {
  struct Row {
    std::string name, json, says;
  };
  const std::string deep(5000, '[');
  const Row rows[] = {
      {"acknowlege", R"({"by":"a"})", "there is no command `acknowlege`"},
      {"", "{}", "there is no command ``"},
      {"close", "", "the command is empty"},
      {"close", "{", "not JSON"},
      {"close", "\xff", "not JSON"},
      {"close", "{\"by\":\"\xff\"}", "not JSON"},
      {"close", "7", "must be a JSON object"},
      {"close", deep, "without others in it"},
      {"close", R"({"by":"a","by":"b"})", "`by` stands there twice"},
      {"close", "{}", "`by` is missing"},
      {"close", R"({"by":""})", "`by` is missing"},
      {"close", R"({"by":7})", "`by` must be a text"},
      {"close", R"({"by":"a","alert":null})", "`alert` must be a text"},
      {"close", R"({"by":"a","alret":"x"})", "did you mean `alert`?"},
      {"close", R"({"by":"a\u0000b"})", "`by` has a NUL in it"},
      {"shelve", R"({"by":"a","to":"soon"})", "`to` must be a time like"},
      {"shelve", R"({"by":"a","to":1741564800})", "`to` must be a text"},
      {"shelve", R"({"by":"a","minutes":0})", "`minutes` must be a whole number"},
      {"shelve", R"({"by":"a","minutes":-1})", "`minutes` must be a whole number"},
      {"shelve", R"({"by":"a","minutes":1.5})", "`minutes` must be a whole number"},
      {"shelve", R"({"by":"a","minutes":99999999999999999999})", "`minutes` must be"},
      {"shelve", R"({"by":"a","minutes":18446744073709551615})", "`minutes` must be"},
      {"shelve", R"({"by":"a","minutes":5,"to":"2025-03-10T00:00:00Z"})", "give one of them"},
      {"serviced", R"({"by":"a"})", "`machine` is missing"},
      {"comment", R"({"by":"a","comment":")" + std::string(5000, 'x') + "\"}", "longer than 4096"},
      {"comment", std::string(most_command_bytes + 1, ' '), "larger than 16384 bytes"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json.substr(0, 100));
    const auto read = read_command(row.name, row.json);
    CAPTURE(read.problem);
    CHECK(read.problem.find(row.says) != std::string::npos);
    CHECK(read.problem.find('\n') == std::string::npos);
  }
  CHECK(read_command("close", R"({"wrong":1,"by":"anna"})").command.by == "anna");
}

TEST_CASE("a damaged command is read without harm, and an accepted one is valid by the schema") {
  Random random{9};
  const std::string whole =
      R"({"by":"anna","comment":"x","alert":"R1/a/limit/7","machine":"R1","minutes":12})";
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto json = whole;
    for (auto n = random.below(3); n > 0; --n)
      json[random.below(json.size())] = static_cast<char>(random.next());
    const auto read = read_command("shelve", json);
    if (!read.problem.empty()) continue;
    if (++accepted % 500 == 0) CHECK(test::schema_problem(command_schema(), json) == "");
  }
  CHECK(accepted > 5'000);
  CHECK(test::schema_problem(command_schema(), whole) == "");
  for (const std::string bad :
       {"{}", R"({"by":""})", R"({"by":"a","x":1})", R"({"by":"a","minutes":0})", R"({"by":7})",
        R"({"by":"a","minutes":5,"to":"2025-03-10T00:00:00Z"})"}) {
    CAPTURE(bad);
    CHECK(test::schema_problem(command_schema(), bad) != "");
    CHECK(read_command("close", bad).problem != "");
  }
}

TEST_CASE("an answer is one line of what the schema says, whatever was in the command") {
  storage::Operation operation;
  operation.time = noon();
  operation.command = "shelve";
  CHECK(test::schema_problem(answer_schema(), answer_document(operation)) == "");
  operation.by = "anna \xff\n";
  operation.alert = "R1/a/limit/7";
  operation.to = noon();
  operation.ok = true;
  operation.text = "R1/a/limit/7 is shelved";
  const auto document = answer_document(operation);
  CHECK(document.find('\n') == std::string::npos);
  CHECK(test::schema_problem(answer_schema(), document) == "");
  const auto json = Json::parse(document);
  CHECK(json["ok"] == true);
  CHECK(json["to"] == "2025-03-10T00:00:00.000Z");
  CHECK(json["machine"].is_null());
  CHECK(json["alert"] == "R1/a/limit/7");
}
