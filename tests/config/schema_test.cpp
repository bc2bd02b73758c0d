// Schema and reference page say what the parser does.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "config/config.h"
#include "core/parameters.h"
#include "detectors/all.h"
#include "detectors/machine.h"
#include "tests/config/support.h"
#include "tests/support/schema.h"
#include "tests/support/temporary.h"

namespace millwright {
namespace {

using nlohmann::json;

const std::filesystem::path source{MILLWRIGHT_SOURCE};

std::string without_comments(std::string_view text) {
  return json::parse(text, nullptr, true, true).dump();
}

TEST_CASE("the examples have no problems and are valid against the schema") {
  const auto schema = config::schema();
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{source / "config/examples"}) {
    if (entry.path().extension() != ".json") continue;
    CAPTURE(entry.path().string());
    ++count;
    const auto loaded = config::load(entry.path());
    CHECK(test::problems_of(loaded).empty());
    CHECK(loaded.configuration);
    CHECK(test::schema_problem(schema, without_comments(test::read_file(entry.path()))).empty());
  }
  CHECK(count >= 2);
}

TEST_CASE("the configurations on the reference page have no problems") {
  const auto page = config::reference_page();
  std::size_t count = 0;
  constexpr std::string_view opening = "```jsonc\n";
  for (auto begin = page.find(opening); begin != std::string::npos;
       begin = page.find(opening, begin)) {
    begin += opening.size();
    const auto text = page.substr(begin, page.find("```", begin) - begin);
    CAPTURE(text);
    CHECK(test::parsed(text).problems.empty());
    ++count;
  }
  CHECK(count == 2);
}

TEST_CASE("parser and schema agree on what is right and what is wrong") {
  const auto schema = config::schema();
  struct Case {
    const char* text;
    bool right;
  };
  static constexpr Case cases[] = {
      {"{}", true},
      {R"({ "brokr": {} })", false},
      {R"({ "broker": { "adress": "x" } })", false},
      {R"({ "broker": { "url": "ssl://b:8883" } })", true},
      {R"({ "broker": { "url": "http://b" } })", false},
      {R"({ "broker": { "keep_alive_s": "15" } })", false},
      {R"({ "broker": { "keep_alive_s": 0 } })", false},
      {R"({ "broker": { "keep_alive_s": 1.5 } })", false},
      {R"({ "inputs": [ { "topic": "t", "format": "text", "machine": "m" } ] })", false},
      {R"({ "inputs": [ { "topic": "t", "format": "text", "machine": "m", "sensor": "s", "where": {} } ] })",
       true},
      {R"({ "inputs": [ { "topic": "t", "format": "jsn", "machine": "m", "sensor": "s" } ] })",
       false},
      {R"({ "inputs": [ { "topic": "t", "value": "v", "machine": "m", "sensor": "s" } ] })", false},
      {R"({ "profiles": [ {} ] })", false},
      {R"({ "profiles": [ { "match": "*", "detectors": "auto" } ] })", true},
      {R"({ "profiles": [ { "match": "*", "detectors": "precise" } ] })", true},
      {R"({ "profiles": [ { "match": "*", "detectors": ["auto", "trend"] } ] })", true},
      {R"({ "profiles": [ { "match": "*", "detectors": ["none"] } ] })", false},
      {R"({ "profiles": [ { "match": "*", "detectors": { "auto": { "frame_s": 60 } } } ] })", true},
      {R"({ "profiles": [ { "match": "*", "detectors": { "auto": { "frames": 60 } } } ] })", false},
      {R"({ "profiles": [ { "match": "*", "detectors": "spike" } ] })", false},
      {R"({ "profiles": [ { "match": "*", "detectors": ["auto", { "spike": { "threshold": 8 } }] } ] })",
       true},
      {R"({ "profiles": [ { "match": "*", "detectors": ["spik"] } ] })", false},
      {R"({ "profiles": [ { "match": "*", "detectors": { "spike": { "treshold": 8 } } } ] })",
       false},
      {R"({ "profiles": [ { "match": "*", "detectors": { "spike": { "threshold": 0 } } } ] })",
       false},
      {R"({ "profiles": [ { "match": "*", "limits": { "hihg": 8 } } ] })", false},
      {R"({ "profiles": [ { "match": "*", "sensitivity": "medium" } ] })", false},
      {R"({ "profiles": [ { "match": "*", "alarm": { "clear_ratio": 2 } } ] })", false},
      {R"({ "overrides": [ { "sensor": "a/b", "unit": "A" } ] })", true},
      {R"({ "overrides": [ { "sensor": "a", "unit": "A" } ] })", false},
      {R"({ "machines": [] })", true},
      {R"({ "machines": {} })", false},
      {R"({ "machines": [ 3 ] })", false},
      {R"({ "machines": [ {} ] })", true},
      {R"({ "machines": [ { "match": "R[0-9]*", "watched": false, "label": "L", "advice": "A" } ] })",
       true},
      {R"({ "machines": [ { "match": "" } ] })", false},
      {R"({ "machines": [ { "match": 1 } ] })", false},
      {R"({ "machines": [ { "watched": 1 } ] })", false},
      {R"({ "machines": [ { "warmup": 16, "learning_s": 0 } ] })", true},
      {R"({ "machines": [ { "warmup": 15 } ] })", false},
      {R"({ "machines": [ { "warmup": 20.5 } ] })", false},
      {R"({ "machines": [ { "learning_s": -1 } ] })", false},
      {R"({ "machines": [ { "learning": 60 } ] })", false},
      {R"({ "machines": [ { "sensitivity": "high", "alarm": { "on_delay_s": 1 } } ] })", true},
      {R"({ "machines": [ { "sensitivity": "medium" } ] })", false},
      {R"({ "machines": [ { "alarm": { "clear_ratio": 2 } } ] })", false},
      {R"({ "machines": [ { "on_delay_s": 1 } ] })", false},
      {R"({ "machines": [ { "detectors": "auto" } ] })", false},
      {R"({ "processing": { "lanes": 65 } })", false},
      {R"({ "alerts": { "budget": "6/hour" } })", true},
      {R"({ "alerts": { "budget": "6/week" } })", false},
      {R"({ "archive": { "enabled": 1 } })", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(test::parsed(c.text).configuration.has_value() == c.right);
    CHECK(test::schema_problem(schema, c.text).empty() == c.right);
  }
}

TEST_CASE(
    "every object of the schema is closed, and every detector's parameter is in schema and page") {
  const auto schema = json::parse(config::schema());
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["properties"].contains("$schema"));
  const auto page = config::reference_page();
  const auto& parameters = schema["$defs"]["parameters"];
  CHECK(parameters["additionalProperties"] == false);
  CHECK(parameters["properties"].size() == detectors::types().size());
  for (const auto& type : detectors::types()) {
    const auto& detector = parameters["properties"][std::string{type.name}];
    CAPTURE(type.name);
    CHECK(detector["additionalProperties"] == false);
    CHECK(detector["properties"].size() == type.parameters().size());
    CHECK(page.find("### `" + std::string{type.name} + "`") != std::string::npos);
    for (const auto& parameter : type.parameters()) {
      CAPTURE(parameter.name);
      const auto& described = detector["properties"][std::string{parameter.name}];
      CHECK(described["description"].get<std::string>().find(parameter.help) != std::string::npos);
      if (parameter.type == Parameter::Type::boolean) {
        CHECK(described["type"] == "boolean");
      } else {
        CHECK(described["minimum"].get<double>() == parameter.range.low);
        CHECK(described["maximum"].get<double>() == parameter.range.high);
        CHECK(described.contains("default") == parameter.initial.has_value());
      }
      CHECK(page.find(std::string{parameter.help}) != std::string::npos);
    }
  }
}

TEST_CASE("the keys of machines take range, default and help from the detector") {
  const auto schema = json::parse(config::schema());
  const auto& item = schema["properties"]["machines"]["items"];
  CHECK(item["additionalProperties"] == false);
  CHECK_FALSE(item.contains("required"));
  CHECK(item["properties"]["match"]["default"] == "*");
  CHECK(item["properties"]["watched"]["default"] == true);
  const auto& of_profiles = schema["properties"]["profiles"]["items"]["properties"];
  for (const auto* name : {"sensitivity", "advice"}) {
    CAPTURE(name);
    CHECK(item["properties"][name] == of_profiles[name]);
  }
  // The alarm too, but for how long a change of many sensors must last or be gone.
  auto alarm = of_profiles["alarm"];
  alarm["properties"]["on_delay_s"]["default"] = 60;
  alarm["properties"]["off_delay_s"]["default"] = 600;
  CHECK(item["properties"]["alarm"] == alarm);
  const auto parameters = describe_parameters<detectors::MachineLevel::Params>();
  REQUIRE_FALSE(parameters.empty());
  const auto page = config::reference_page();
  const auto section = page.substr(page.find("## `machines`\n"));
  for (const auto& parameter : parameters) {
    CAPTURE(parameter.name);
    const auto& described = item["properties"][std::string{parameter.name}];
    CHECK(described["minimum"].get<double>() == parameter.range.low);
    CHECK(described["maximum"].get<double>() == parameter.range.high);
    CHECK(described["default"].get<double>() == parameter.initial);
    CHECK(described["description"].get<std::string>().find(parameter.help) != std::string::npos);
    CHECK(section.find(std::string{parameter.help}) != std::string::npos);
  }
}

TEST_CASE("docs/configuration.md is the reference page") {
  const auto file = source / "docs/configuration.md";
  if (std::getenv("MILLWRIGHT_WRITE_DOCS") != nullptr)
    test::write_file(file, config::reference_page());
  CHECK_MESSAGE(test::read_file(file) == config::reference_page(),
                "run this test with MILLWRIGHT_WRITE_DOCS=1 to write the page anew");
}

}  // namespace
}  // namespace millwright
