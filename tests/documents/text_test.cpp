// Topics, lines for people, and text made safe.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "daemon/documents.h"
#include "daemon/explain.h"
#include "daemon/printable.h"
#include "daemon/version.h"
#include "tests/support/schema.h"

using namespace millwright;
using namespace millwright::daemon;

TEST_CASE("what topics cannot carry is replaced in a state topic") {
  CHECK(state_topic("millwright/berlin", "R017", "j3_temp", "shift") ==
        "millwright/berlin/state/R017/j3_temp/shift");
  CHECK(state_topic("m", "a/b", "c+d#", std::string_view("e\0f", 3)) == "m/state/a_b/c_d_/e_f");
}

TEST_CASE("the line of an alert is one line, whatever the names are") {
  Alert alert;
  alert.machine = "R017\n<2>fake";
  alert.sensor = "j3\x1b[31m";
  alert.kind = AlertKind::limit;
  alert.severity = Severity::critical;
  alert.time = from_microseconds(0);
  alert.message = "Joint 3 is hot";
  alert.advice = "Cool it";
  CHECK(alert_line(alert) ==
        "1970-01-01T00:00:00.000Z critical R017\\n<2>fake/j3\\x1b[31m limit raised: Joint 3 is hot "
        "(Cool it)");
  alert.event = AlertEvent::cleared;
  CHECK(alert_line(alert).find("Cool it") == std::string::npos);
}

TEST_CASE("text from outside is made printable") {
  struct Row {
    std::string_view text, shown;
  };
  const Row rows[] = {
      {"plain text", "plain text"},
      {"a\\b", "a\\\\b"},
      {"a\nb\r\tc", "a\\nb\\r\\tc"},
      {std::string_view("\0\x1b\x7f", 3), "\\x00\\x1b\\x7f"},
      {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\xa4\x96", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\xa4\x96"},
      {"\xc2\x9b", "\\u009b"},                       // the C1 control CSI
      {"\xe2\x80\xae", "\\u202e"},                   // right-to-left override
      {"\xff\xc3", "\\xff\\xc3"},                    // no lead byte; cut off
      {"\xc0\x80", "\\xc0\\x80"},                    // overlong NUL
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // a surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond U+10FFFF
  };
  for (const auto& row : rows) {
    CAPTURE(row.shown);
    CHECK(printable(row.text) == row.shown);
  }
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("ab\xc3\xa4", 3) == "ab...");
  CHECK(printable("abc", 3) == "abc");
}

TEST_CASE("UTF-8 is told from bytes") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("\xc3\xa4\xe2\x82\xac\xf0\x9f\xa4\x96"));
  CHECK(!is_utf8("\xff"));
  CHECK(!is_utf8("abc\xe2\x82"));
  CHECK(!is_utf8("\xc1\xbf"));
  CHECK(!is_utf8("\xe0\x80\x80"));
}

TEST_CASE("every reason and every outcome is explained") {
  for (int i = 0; i < static_cast<int>(Reject::count_); ++i) {
    CHECK(explanation(static_cast<Reject>(i)) != explanation(Reject::count_));
  }
  for (int i = 0; i < static_cast<int>(Outcome::count_); ++i) {
    CHECK(explanation(static_cast<Outcome>(i)) != explanation(Outcome::count_));
  }
}

TEST_CASE("the status document says how the daemon is and what it counted") {
  Status status;
  status.online = true;
  status.version = "0.1.0";
  status.site = "berlin";
  status.since = from_microseconds(1'500'000);
  status.messages = 12;
  status.rejected.add(Reject::not_json, 3);
  status.outcomes.add(Outcome::learned, 7);
  status.sensors = 4;
  status.machines = 2;
  status.active_alerts = 1;
  status.sensors_learning = 3;
  status.windows = {5, 2, 1};
  status.alarms.notified = 3;
  status.alarms.worst = {{"R1", "temp", 7}};
  status.delivery = {5, 2, 9, {"millwright/test/event/alert"}};
  const auto json = nlohmann::json::parse(status_document(status));
  CHECK(json["delivery"] == nlohmann::json{{"waiting", 5},
                                           {"refused", 2},
                                           {"refusals", 9},
                                           {"refused_topics", {"millwright/test/event/alert"}}});
  CHECK(test::schema_problem(status_schema(), json.dump()) == "");
  CHECK(test::schema_problem(status_schema(), status_document({})) == "");
  // It forbids what is not described, and asks for what is.
  for (const auto& item : json.items()) {
    auto less = json;
    less.erase(item.key());
    CAPTURE(item.key());
    CHECK(test::schema_problem(status_schema(), less.dump()) != "");
  }
  auto more = json;
  more["mood"] = "good";
  CHECK(test::schema_problem(status_schema(), more.dump()) != "");
  CHECK(json["alarms"]["notified"] == 3);
  CHECK(json["alarms"]["worst"][0]["alerts"] == 7);
  CHECK(json["schema"] == 1);
  CHECK(json["status"] == "online");
  CHECK(json["version"] == "0.1.0");
  CHECK(json["since"] == "1970-01-01T00:00:01.500Z");
  CHECK(json["messages"] == 12);
  CHECK(json["rejected"]["not_json"] == 3);
  CHECK(json["rejected"]["empty"] == 0);
  CHECK(!json["rejected"].contains("none"));
  CHECK(json["readings"]["learned"] == 7);
  CHECK(json["readings"].size() == static_cast<std::size_t>(Outcome::count_));
  CHECK(json["sensors"] == 4);
  CHECK(json["machines"] == 2);
  CHECK(json["active_alerts"] == 1);
  CHECK(json["sensors_learning"] == 3);
  CHECK(json["windows"] == nlohmann::json{{"whole", 5}, {"cut", 2}, {"clipped", 1}});
  const auto will = nlohmann::json::parse(status_document({}));
  CHECK(will["status"] == "offline");
  CHECK(will["since"].is_null());
}

TEST_CASE("the build names its version and compiler") {
  CHECK(build_line().starts_with("millwright " + std::string{version()} + " ("));
}
