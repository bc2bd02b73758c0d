#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/documents.h"
#include "tests/support/schema.h"
#include "tests/support/temporary.h"

namespace millwright {
namespace {

using daemon::health_document;
using daemon::health_schema;
using Json = nlohmann::json;

MachineHealth sample() {
  MachineHealth health;
  health.machine = "R017";
  health.time = *parse_time("2024-11-22T04:35:00Z");
  health.index = 61.4321;
  health.parts = {{"drift", "", 0.81}, {"sensor", "j3_temp", 0.19}};
  health.contributors = {{"j3_temp", 0.7}, {"j3_current", 0.22}};
  health.trend = -1.25;
  const auto days = [&](int n) { return health.time + std::chrono::hours{24 * n}; };
  health.forecast = Forecast{0, days(40), days(30), days(60)};
  health.confidence = 0.9;
  health.baseline = 2;
  return health;
}

MachineHealth documented() {
  auto health = sample();
  health.index = 61.4;
  return health;
}

std::vector<MachineHealth> all_sorts() {
  std::vector<MachineHealth> out{sample()};
  const auto add = [&](auto change) {
    out.push_back(sample());
    change(out.back());
  };
  add([](MachineHealth& h) { h.forecast.reset(); });
  add([](MachineHealth& h) { h.forecast->latest.reset(); });
  add([](MachineHealth& h) { h.forecast->reaches = Timestamp::max(); });
  add([](MachineHealth& h) { h.index = NAN, h.trend = NAN, h.confidence = NAN; });
  add([](MachineHealth& h) { h.index = 200, h.trend = INFINITY, h.confidence = 7; });
  add([](MachineHealth& h) { h.machine = "bad \xff\xc3 bytes", h.parts[1].sensor = "\x80"; });
  add([](MachineHealth& h) { h.parts = {{"spe", "", NAN}}, h.contributors = {{"", -1}}; });
  MachineHealth unknown;
  unknown.machine = "R017";
  out.push_back(unknown);
  return out;
}

TEST_CASE("every sort of health gives one line that is valid against the schema") {
  for (const auto& health : all_sorts()) {
    const auto document = health_document(health, "berlin");
    CAPTURE(document);
    CHECK(test::schema_problem(health_schema(), document) == "");
    CHECK(document.find('\n') == std::string::npos);
  }
}

TEST_CASE("a health document says what the health says") {
  const auto json = Json::parse(health_document(sample(), "berlin"));
  CHECK(json["schema"] == 1);
  CHECK(json["site"] == "berlin");
  CHECK(json["machine"] == "R017");
  CHECK(json["time"] == "2024-11-22T04:35:00.000Z");
  CHECK(json["learned"] == true);
  CHECK(json["health"] == 61.4);
  CHECK(json["trend_per_day"] == -1.25);
  CHECK(json["forecast"]["reaches_limit"] == "2025-01-01T04:35:00.000Z");
  CHECK(json["forecast"]["earliest"] == "2024-12-22T04:35:00.000Z");
  CHECK(json["forecast"]["latest"] == "2025-01-21T04:35:00.000Z");
  CHECK(json["parts"][0]["name"] == "drift");
  CHECK(json["parts"][0]["sensor"].is_null());
  CHECK(json["parts"][0]["share"] == 0.81);
  CHECK(json["parts"][1]["sensor"] == "j3_temp");
  CHECK(json["contributors"][1]["share"] == 0.22);
  CHECK(json["baseline"] == 2);
}

TEST_CASE("a machine that is still learned has no health, and says so") {
  MachineHealth unknown;
  const auto json = Json::parse(health_document(unknown, ""));
  CHECK(json["learned"] == false);
  CHECK(json["health"].is_null());
  CHECK(json["forecast"].is_null());
  CHECK(json["trend_per_day"].is_null());
}

TEST_CASE("the example on the page of health is a document, and the page names every field") {
  const auto page = test::read_file(MILLWRIGHT_SOURCE "/docs/health.md");
  const auto begin = page.find("```json\n");
  REQUIRE(begin != std::string::npos);
  const auto example = page.substr(begin + 8, page.find("\n```", begin) - begin - 8);
  CHECK(test::schema_problem(health_schema(), example) == "");
  CHECK(Json::parse(example) == Json::parse(health_document(documented(), "berlin")));
  const auto document = Json::parse(example);
  for (const auto& item : document.items()) {
    CAPTURE(item.key());
    CHECK(page.find("`" + item.key() + "`") != std::string::npos);
  }
}

TEST_CASE("the schema of health refuses what is not documented or missing") {
  auto json = Json::parse(health_document(sample(), "berlin"));
  json["extra"] = 1;
  CHECK(test::schema_problem(health_schema(), json.dump()) != "");
  const auto whole = Json::parse(health_document(sample(), "berlin"));
  for (const auto& item : whole.items()) {
    auto less = whole;
    less.erase(item.key());
    CAPTURE(item.key());
    CHECK(test::schema_problem(health_schema(), less.dump()) != "");
  }
}

}  // namespace
}  // namespace millwright
