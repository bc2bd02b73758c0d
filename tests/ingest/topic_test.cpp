// Topic patterns against the rules of MQTT 5, section 4.7, and our captures.
#include "ingest/topic.h"

#include <doctest/doctest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace millwright::ingest;

namespace {

std::vector<std::string> captured(const TopicPattern& pattern, std::string_view topic) {
  Captured out;
  REQUIRE(pattern.match(topic, out));
  return {out.begin(), out.end()};
}

bool matches(std::string_view pattern, std::string_view topic,
             const std::map<std::string, std::string>& where = {}) {
  Captured out;
  return TopicPattern{pattern, where}.match(topic, out);
}

std::string problem_of(std::string_view pattern,
                       const std::map<std::string, std::string>& where = {}) {
  try {
    const TopicPattern accepted{pattern, where};
  } catch (const std::invalid_argument& problem) {
    return problem.what();
  }
  return {};
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("captures become + in the filter and keep what they stand for") {
  const TopicPattern pattern{"acme/{line}/{robot}/telemetry"};
  CHECK(pattern.filter() == "acme/+/+/telemetry");
  CHECK(pattern.captures() == Texts{"line", "robot"});
  CHECK(captured(pattern, "acme/paint/R017/telemetry") == Texts{"paint", "R017"});
}

TEST_CASE("a capture may have text around it") {
  const TopicPattern pattern{"plant/robot-{id}/data"};
  CHECK(pattern.filter() == "plant/+/data");
  CHECK(captured(pattern, "plant/robot-17/data") == Texts{"17"});
  CHECK_FALSE(matches("plant/robot-{id}/data", "plant/press-17/data"));
  CHECK_FALSE(matches("plant/robot-{id}/data", "plant/robot-/data"));
  CHECK(captured(TopicPattern{"a/{x}.json"}, "a/b.json") == Texts{"b"});
  CHECK_FALSE(matches("a/{x}.json", "a/.json"));
  CHECK_FALSE(matches("ab{x}bc", "abc"));
}

TEST_CASE("topics match as MQTT says") {
  struct {
    std::string_view pattern, topic;
    bool match;
  } const cases[] = {
      {"a/b", "a/b", true},     {"a/b", "a/c", false},   {"a/b", "a/b/c", false},
      {"a/b", "a", false},      {"a/b", "a/b/", false},  {"a/b/", "a/b/", true},
      {"/a", "/a", true},       {"/a", "a", false},      {"A", "a", false},
      {"a/+/c", "a/b/c", true}, {"a/+/c", "a//c", true}, {"a/+/c", "a/b/b/c", false},
      {"+", "a", true},         {"+", "a/b", false},     {"+", "/a", false},
      {"+/+", "/a", true},      {"/+", "/a", true},      {"a/+", "a", false},
      {"a/+", "a/", true},      {"#", "a", true},        {"#", "a/b/c", true},
      {"#", "/", true},         {"a/#", "a", true},      {"a/#", "a/", true},
      {"a/#", "a/b/c", true},   {"a/#", "ab", false},    {"a/{x}/#", "a/b", true},
      {"a/{x}/#", "a", false},  {"a/{x}", "a/", false},  // a capture stands for something
      {"{x}", "", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.topic);
    CHECK(matches(c.pattern, c.topic) == c.match);
  }
}

TEST_CASE("system topics are matched only by patterns that name them") {
  CHECK_FALSE(matches("#", "$SYS/broker/load"));
  CHECK_FALSE(matches("+/broker/load", "$SYS/broker/load"));
  CHECK_FALSE(matches("{root}/broker/load", "$SYS/broker/load"));
  CHECK(matches("$SYS/#", "$SYS/broker/load"));
  CHECK(matches("$SYS/{part}/load", "$SYS/broker/load"));
  CHECK(matches("a/+", "a/$b"));
}

TEST_CASE("where has to match the whole capture") {
  const std::map<std::string, std::string> where{{"robot", "R[0-9]{3}"}};
  CHECK(matches("x/{robot}", "x/R017", where));
  CHECK_FALSE(matches("x/{robot}", "x/R0177", where));
  CHECK_FALSE(matches("x/{robot}", "x/AR017", where));
  CHECK_FALSE(matches("x/{robot}", "x/R01", where));
  CHECK(matches("x/{a}", "x/ab", {{"a", "a|ab"}}));
}

TEST_CASE("where does not exhaust the stack on a long level") {
  CHECK_FALSE(matches("x/{a}", "x/" + std::string(60'000, 'a'), {{"a", "(a|b)*"}}));
}

TEST_CASE("bad patterns are refused in a sentence") {
  struct {
    std::string_view pattern, part;
  } const cases[] = {
      {"", "empty"},
      {"a/#/b", "last level"},
      {"a/b#", "stand alone"},
      {"a/b+", "stand alone"},
      {"a/{x}+", "stand alone"},
      {"a/{x", "partner"},
      {"a/x}", "partner"},
      {"a/}x{", "partner"},
      {"a/{}", "no capture"},
      {"a/{1x}", "no capture"},
      {"a/{x y}", "no capture"},
      {"a/{x}{y}", "more than one"},
      {"a/{x}/{x}", "twice"},
      {"$share/group/a", "shared"},
      {std::string_view{"a\0b", 3}, "NUL"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    const std::string problem = problem_of(c.pattern);
    CAPTURE(problem);
    CHECK(problem.find(c.part) != std::string::npos);
  }
  CHECK(problem_of(std::string(70'000, 'a')).find("65535") != std::string::npos);
  CHECK(problem_of("a/{x}", {{"y", ".*"}}).find("{y}") != std::string::npos);
  CHECK(problem_of("a/{x}", {{"x", "(["}}).find("not valid") != std::string::npos);
}
