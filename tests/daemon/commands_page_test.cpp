// docs/commands.md is held to what Millwright does: its examples are carried out, in their order.
#include <doctest/doctest.h>

#include <regex>
#include <string>
#include <vector>

#include "core/command.h"
#include "daemon/command_document.h"
#include "daemon/service_document.h"
#include "daemon/shard.h"
#include "tests/daemon/site.h"
#include "tests/support/schema.h"

using namespace millwright;
using namespace millwright::test;

namespace {

struct Block {
  std::string name, json;
};

std::vector<Block> blocks(const std::string& page) {
  std::vector<Block> found;
  const std::string fence = "```json ";
  for (auto at = page.find(fence); at != std::string::npos; at = page.find(fence, at + 1)) {
    const auto begin = at + fence.size(), line = page.find('\n', begin);
    const auto end = page.find("```", line);
    found.push_back({page.substr(begin, line - begin), page.substr(line + 1, end - line - 1)});
  }
  return found;
}

}  // namespace

TEST_CASE("every command of the page does what it says, and the page has every command") {
  const auto page = read_file(MILLWRIGHT_SOURCE "/docs/commands.md");
  daemon::MachineRegistry registry;
  daemon::Shard shard{0, R"({
    "inputs": [ { "topic": "t/{machine}/{sensor}", "value": "/v", "time": "/t",
                  "machine": "{machine}", "sensor": "{sensor}" } ],
    "profiles": [ { "match": "*", "detectors": ["limit", "shift"], "limits": { "high": 90 } } ],
    "processing": { "clock": "event" } })",
                      registry, nullptr};
  Position position = 0;
  const auto apply = [&](ingest::RecordKind kind, const std::string& topic,
                         const std::string& payload) {
    ingest::Record record;
    record.kind = kind;
    record.position = ++position;
    record.topic = topic;
    record.payload = payload;
    shard.apply(record);
    return shard.step();
  };
  const auto raised =
      apply(ingest::RecordKind::message, "t/R1/temp", R"({"t":"2025-03-10T06:00:00Z","v":95})");
  REQUIRE(!raised.alerts.empty());
  const auto id = raised.alerts.front().id;
  std::size_t commands = 0;
  for (const auto& block : blocks(page)) {
    CAPTURE(block.name);
    if (block.name == "answer") {
      CHECK(schema_problem(daemon::answer_schema(), block.json) == "");
      continue;
    }
    if (block.name == "service") {
      CHECK(schema_problem(daemon::service_schema(), block.json) == "");
      continue;
    }
    ++commands;
    const auto payload = std::regex_replace(block.json, std::regex{"ALERT"}, id);
    CHECK(schema_problem(daemon::command_schema(), payload) == "");
    const auto output = apply(ingest::RecordKind::command, block.name, payload);
    REQUIRE(output.operations.size() == 1);
    CAPTURE(output.operations.front().text);
    CHECK(output.operations.front().ok);
    CHECK(page.find("\n### " + block.name + "\n") != std::string::npos);
  }
  CHECK(commands == static_cast<std::size_t>(CommandKind::count_));
}
