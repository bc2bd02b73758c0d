#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/alert.h"
#include "daemon/documents.h"
#include "tests/support/schema.h"

using namespace millwright;
using daemon::alert_document;
using daemon::alert_schema;
using Json = nlohmann::ordered_json;
using test::schema_problem;

namespace {

Timestamp at(const char* text) { return parse_time(text).value(); }

// The alert of the example in docs/alerts.md.
Alert sample_alert() {
  Alert alert;
  alert.id = "R017/j3_temp/shift/1732250000123";
  alert.revision = 1;
  alert.event = AlertEvent::raised;
  alert.state = AlertState::active;
  alert.kind = AlertKind::shift;
  alert.severity = Severity::warning;
  alert.priority = 48;
  alert.machine = "R017";
  alert.sensor = "j3_temp";
  alert.unit = "degC";
  alert.onset = at("2024-11-22T04:33:20.123Z");
  alert.time = at("2024-11-22T04:35:00Z");
  alert.value = 71.4;
  alert.expected = 62;
  alert.low = 58.1;
  alert.high = 66;
  alert.score = 1.31;
  alert.contributors = {{"j3_current", 0.22}};
  alert.detector = "shift";
  alert.configuration = 0x9f2c1a0000000000;
  alert.baseline = 2;
  alert.learned_readings = 86400;
  alert.confidence = 0.93;
  alert.features = {{"level", 0.8}, {"spread", 0.2}};
  alert.evidence = {{at("2024-11-22T04:34:59Z"), at("2024-11-22T04:35:00Z")}, {71.1, 71.4}};
  alert.message =
      "Joint 3 temperature is 9.4 degC above normal (71.4 degC instead of 62 degC) since 04:33 UTC";
  alert.advice = "Check lubrication and cooling";
  return alert;
}

Forecast sample_forecast() {
  return {90, at("2024-12-03T00:00:00Z"), at("2024-11-29T00:00:00Z"), at("2024-12-09T00:00:00Z")};
}

// One alert per value of each enumeration, and the odd ones.
std::vector<Alert> all_sorts_of_alerts() {
  std::vector<Alert> alerts;
  const auto add = [&](auto change) {
    alerts.push_back(sample_alert());
    change(alerts.back());
  };
  for (int i = 0; i <= static_cast<int>(AlertEvent::closed); ++i) {
    add([&](Alert& a) { a.event = static_cast<AlertEvent>(i); });
  }
  for (int i = 0; i < static_cast<int>(AlertKind::count_); ++i) {
    add([&](Alert& a) { a.kind = static_cast<AlertKind>(i); });
  }
  for (int i = 0; i <= static_cast<int>(Severity::critical); ++i) {
    add([&](Alert& a) { a.severity = static_cast<Severity>(i); });
  }
  add([](Alert& a) {
    a.state = AlertState::cleared;
    a.cleared = a.time;
    a.acknowledged = true;
  });
  add([](Alert& a) { a.contributors.clear(), a.evidence = {}, a.unit.clear(), a.advice.clear(); });
  add([](Alert& a) { a.regime = "program-2"; });
  add([](Alert& a) { a.confidence.reset(), a.features.clear(), a.learned_readings = 0; });
  add([](Alert& a) { a.confidence = NAN, a.features = {{"x", NAN}, {"\xff", 7}, {"", -1}}; });
  add([](Alert& a) { a.forecast = sample_forecast(); });
  add([](Alert& a) { a.forecast = sample_forecast(), a.forecast->latest.reset(); });
  add([](Alert& a) { a.forecast = sample_forecast(), a.forecast->limit = NAN; });
  add([](Alert& a) { a.forecast = sample_forecast(), a.forecast->latest = Timestamp::max(); });
  add([](Alert& a) { a.forecast = sample_forecast(), a.forecast->reaches = Timestamp::max(); });
  add([](Alert& a) { a.forecast = sample_forecast(), a.forecast->earliest = Timestamp::min(); });
  add([](Alert& a) { a.machine = "Presse \"4\"\n\t\\ \xc3\xa4\xe2\x82\xac\xf0\x9f\xa4\x96"; });
  add([](Alert& a) {
    a.machine = "bad \xff\xc3 bytes", a.message = "\x80", a.id = "\xed\xa0\x80";
  });
  add([](Alert& a) { a.sensor = std::string("nul\0inside", 10); });
  add([](Alert& a) { a.low = -INFINITY, a.high = INFINITY, a.expected = NAN, a.value = NAN; });
  add([](Alert& a) { a.score = INFINITY, a.contributors = {{"x", NAN}, {"y", 7}, {"z", -1}}; });
  add([](Alert& a) { a.score = NAN, a.priority = 0; });
  add([](Alert& a) { a.value = 1e308, a.expected = 5e-324, a.priority = 1000; });
  add([](Alert& a) { a.time = a.onset = at("1970-01-01T00:00:00.000001Z"); });
  add([](Alert& a) {
    a.configuration = 0, a.learned_readings = INT64_MAX, a.revision = UINT32_MAX;
  });
  return alerts;
}

}  // namespace

TEST_CASE("every sort of alert gives one line that is valid against the schema") {
  const auto schema = alert_schema();
  for (const auto& alert : all_sorts_of_alerts()) {
    const auto document = alert_document(alert, "berlin");
    CAPTURE(document);
    CHECK(schema_problem(schema, document) == "");
    CHECK(document.find('\n') == std::string::npos);
  }
}

TEST_CASE("an alert document says what the alert says") {
  const auto json = Json::parse(alert_document(sample_alert(), "berlin"));
  CHECK(json["schema"] == 1);
  CHECK(json["id"] == "R017/j3_temp/shift/1732250000123");
  CHECK(json["event"] == "raised");
  CHECK(json["state"] == "active");
  CHECK(json["class"] == "machine");
  CHECK(json["kind"] == "shift");
  CHECK(json["site"] == "berlin");
  CHECK(json["onset"] == "2024-11-22T04:33:20.123Z");
  CHECK(json["cleared"].is_null());
  CHECK(json["shelved_until"].is_null());
  CHECK(json["forecast"].is_null());
  CHECK(json["value"] == 71.4);
  CHECK(json["contributors"][0] == Json{{"sensor", "j3_current"}, {"share", 0.22}});
  CHECK(json["detector"]["config"] == "9f2c1a");
  CHECK(json["detector"]["learned_readings"] == 86400);
  CHECK(json["detector"]["baseline"] == 2);
  CHECK(json["detector"]["confidence"] == 0.93);
  CHECK(json["detector"]["features"] ==
        Json::parse(R"([{"name": "level", "share": 0.8}, {"name": "spread", "share": 0.2}])"));
  CHECK(json["detector"]["regime"].is_null());
  CHECK(json["evidence"]["times"][0] == "2024-11-22T04:34:59.000Z");
  CHECK(json["evidence"]["values"] == Json{71.1, 71.4});
}

TEST_CASE("the class of a document follows the kind") {
  auto alert = sample_alert();
  alert.kind = AlertKind::stuck;
  CHECK(Json::parse(alert_document(alert, "s"))["class"] == "sensor");
}

TEST_CASE("a number that JSON cannot hold becomes null and minus zero becomes zero") {
  auto alert = sample_alert();
  alert.value = -0.0;
  alert.low = -INFINITY;
  alert.expected = std::numeric_limits<double>::quiet_NaN();
  const auto document = alert_document(alert, "s");
  CHECK(document.find("\"value\":0.0,") != std::string::npos);
  CHECK(document.find("\"low\":null,") != std::string::npos);
  CHECK(document.find("\"expected\":null,") != std::string::npos);
  alert.score = INFINITY;
  CHECK(Json::parse(alert_document(alert, "s"))["score"] == 1e100);
}

TEST_CASE("a name that is not UTF-8 goes out with replacement characters") {
  auto alert = sample_alert();
  alert.machine = "R\xff";
  CHECK(Json::parse(alert_document(alert, "s"))["machine"] == "R\xef\xbf\xbd");
}

TEST_CASE("the same alert gives the same bytes") {
  CHECK(alert_document(sample_alert(), "s") == alert_document(sample_alert(), "s"));
}

TEST_CASE("the schema refuses a document from which any field is missing") {
  const auto schema = alert_schema();
  const auto whole = Json::parse(alert_document(sample_alert(), "berlin"));
  const auto refuses_without = [&](const Json::json_pointer& object) {
    for (const auto& item : whole[object].items()) {
      auto less = whole;
      less[object].erase(item.key());
      CAPTURE(item.key());
      CHECK(schema_problem(schema, less.dump()) != "");
    }
  };
  for (const auto* object :
       {"", "/detector", "/evidence", "/contributors/0", "/detector/features/0"}) {
    refuses_without(Json::json_pointer{object});
  }
}

TEST_CASE("the schema refuses what is not in the contract") {
  struct Mutation {
    const char* pointer;
    Json value;
  };
  const Mutation mutations[] = {
      {"/schema", 2},
      {"/id", 17},
      {"/revision", 0},
      {"/revision", 1.5},
      {"/event", "exploded"},
      {"/event", nullptr},
      {"/state", "pending"},
      {"/acknowledged", "no"},
      {"/shelved_until", "tomorrow"},
      {"/class", "unknown"},
      {"/kind", "unknown"},
      {"/severity", "fatal"},
      {"/priority", 0},
      {"/priority", 101},
      {"/onset", "2024-11-22 04:33:20"},
      {"/onset", nullptr},
      {"/time", "2024-11-22T04:33:20.123+01:00"},
      {"/cleared", ""},
      {"/value", "71.4"},
      {"/low", true},
      {"/score", nullptr},
      {"/score", -1},
      {"/forecast", Json::object()},
      {"/contributors", nullptr},
      {"/contributors/0/share", 1.01},
      {"/contributors/0/more", 1},
      {"/detector/config", "9F2C1A"},
      {"/detector/version", -1},
      {"/detector/regime", 2},
      {"/detector/confidence", 1.01},
      {"/detector/confidence", "high"},
      {"/detector/baseline", 0},
      {"/detector/baseline", nullptr},
      {"/detector/features", nullptr},
      {"/detector/features/0/share", -0.1},
      {"/detector/features/0/more", 1},
      {"/detector/more", 1},
      {"/evidence/times/0", 1732250000},
      {"/evidence/values/0", "71"},
      {"/evidence/more", 1},
      {"/message", nullptr},
      {"/more", 1},
  };
  const auto schema = alert_schema();
  const auto whole = Json::parse(alert_document(sample_alert(), "berlin"));
  REQUIRE(schema_problem(schema, whole.dump()) == "");
  for (const auto& mutation : mutations) {
    auto changed = whole;
    changed[Json::json_pointer{mutation.pointer}] = mutation.value;
    CAPTURE(mutation.pointer);
    CAPTURE(mutation.value);
    CHECK(schema_problem(schema, changed.dump()) != "");
  }
}

TEST_CASE("a forecast says limit and interval, and none of its fields may be missing") {
  auto alert = sample_alert();
  alert.forecast = sample_forecast();
  auto json = Json::parse(alert_document(alert, "berlin"));
  CHECK(json["forecast"] == Json{{"limit", 90.0},
                                 {"reaches_limit", "2024-12-03T00:00:00.000Z"},
                                 {"earliest", "2024-11-29T00:00:00.000Z"},
                                 {"latest", "2024-12-09T00:00:00.000Z"}});
  for (const auto* field : {"limit", "reaches_limit", "earliest", "latest"}) {
    CAPTURE(field);
    auto less = json;
    less["forecast"].erase(field);
    CHECK(schema_problem(alert_schema(), less.dump()) != "");
  }
  alert.forecast->latest.reset();
  CHECK(Json::parse(alert_document(alert, "berlin"))["forecast"]["latest"].is_null());
  // No calendar of the document reaches so far.
  alert.forecast->latest = Timestamp::max();
  CHECK(Json::parse(alert_document(alert, "berlin"))["forecast"]["latest"].is_null());
  alert.forecast->reaches = Timestamp::max();
  CHECK(Json::parse(alert_document(alert, "berlin"))["forecast"].is_null());
}

TEST_CASE("the schema's lists hold every enumerator and no other") {
  const auto schema = Json::parse(alert_schema());
  const auto& properties = schema["properties"];
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(properties["event"]["enum"].size() == 12);
  CHECK(properties["state"]["enum"] == Json{"active", "unknown", "latched", "cleared"});
  CHECK(properties["class"]["enum"] == Json{"machine", "sensor"});
  CHECK(properties["severity"]["enum"] == Json{"notice", "warning", "critical"});
  CHECK(properties["kind"]["enum"].size() == static_cast<std::size_t>(AlertKind::count_));
  for (const auto* list : {"event", "kind", "severity", "class"})
    CHECK(properties[list].dump().find("unknown") == std::string::npos);
  // An enumerator added behind the last one must be added to the schema too.
  CHECK(name_of(static_cast<AlertEvent>(12)) == "unknown");
  CHECK(name_of(static_cast<Severity>(3)) == "unknown");
}

TEST_CASE("every property of the schema is described") {
  const auto schema = Json::parse(alert_schema());
  for (const auto& item : schema["properties"].items()) {
    CAPTURE(item.key());
    CHECK(!item.value().value("description", "").empty());
  }
}
