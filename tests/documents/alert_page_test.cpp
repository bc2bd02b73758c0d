// docs/alerts.md is held to the code: its example is a document, its table has every field.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "daemon/documents.h"
#include "tests/support/schema.h"
#include "tests/support/temporary.h"

using namespace millwright;
using Json = nlohmann::ordered_json;

namespace {

std::string page() { return test::read_file(MILLWRIGHT_SOURCE "/docs/alerts.md"); }

// The first fenced block of this language.
std::string block(const std::string& text, const std::string& language) {
  const std::string open = "```" + language + "\n";
  const auto begin = text.find(open);
  REQUIRE(begin != std::string::npos);
  const auto end = text.find("\n```", begin + open.size());
  REQUIRE(end != std::string::npos);
  return text.substr(begin + open.size(), end - begin - open.size());
}

}  // namespace

TEST_CASE("the example on the page of alerts is valid against the schema") {
  CHECK(test::schema_problem(daemon::alert_schema(), block(page(), "json")) == "");
}

TEST_CASE("the example on the page of alerts has the fields of a document in their order") {
  Alert alert;
  alert.contributors = {{"x", 0.5}};
  alert.features = {{"level", 0.5}};
  alert.evidence = {{Timestamp{}}, {1}, {1}};
  const auto document = Json::parse(daemon::alert_document(alert, "s"));
  const auto example = Json::parse(block(page(), "json"));
  const auto keys = [](const Json& json) {
    std::vector<std::string> names;
    for (const auto& item : json.items()) names.push_back(item.key());
    return names;
  };
  CHECK(keys(example) == keys(document));
  CHECK(keys(example["detector"]) == keys(document["detector"]));
  CHECK(keys(example["evidence"]) == keys(document["evidence"]));
}

TEST_CASE("the page of alerts names every field, event, kind and severity") {
  const auto text = page();
  const auto schema = Json::parse(daemon::alert_schema());
  const auto& properties = schema["properties"];
  for (const auto& item : properties.items()) {
    CAPTURE(item.key());
    CHECK(text.find("`" + item.key() + "`") != std::string::npos);
  }
  for (const auto* list : {"event", "kind", "severity", "class", "state"}) {
    for (const auto& name : properties[list]["enum"]) {
      CAPTURE(name);
      CHECK(text.find("`" + name.get<std::string>() + "`") != std::string::npos);
    }
  }
}
