// Whatever is in the file: an answer with a place, no crash, no endless work.
#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <string>

#include "config/config.h"
#include "tests/config/support.h"
#include "tests/support/temporary.h"

namespace millwright {
namespace {

using test::parsed;

std::string example(const char* name) {
  return test::read_file(std::string{MILLWRIGHT_SOURCE} + "/config/examples/" + name);
}

TEST_CASE("a configuration cut off at any byte is an error with a place") {
  const auto text = example("fleet.json");
  const auto end = text.find_last_of('}');
  REQUIRE(parsed(text).configuration);
  REQUIRE_FALSE(parsed(text).configuration->plan.machines.empty());  // the example has all lists
  for (std::size_t length = 0; length <= end; ++length) {
    const auto loaded = parsed(std::string_view{text}.substr(0, length));
    CAPTURE(length);
    REQUIRE_FALSE(loaded.configuration);
    REQUIRE_FALSE(loaded.problems.empty());
    REQUIRE(loaded.problems[0].line >= 1);
    REQUIRE(loaded.problems[0].column >= 1);
    REQUIRE_FALSE(loaded.problems[0].message.empty());
  }
}

TEST_CASE(
    "a configuration with any byte changed is taken or refused, and what is taken survives the "
    "journal") {
  const auto text = example("fleet.json");
  std::mt19937 random{7};  // only raw draws: they are the same everywhere
  for (int i = 0; i < 3000; ++i) {
    auto broken = text;
    for (auto n = random() % 3 + 1; n > 0; --n)
      broken[random() % broken.size()] = static_cast<char>(random() % 256);
    const auto loaded = parsed(broken);
    CAPTURE(i);
    if (!loaded.configuration) {
      REQUIRE_FALSE(loaded.problems.empty());
      continue;
    }
    const auto again = parsed(loaded.text);
    REQUIRE(again.configuration);
    REQUIRE(test::same(*loaded.configuration, *again.configuration));
  }
}

std::string nested(std::size_t levels, const char* open, const char* close) {
  std::string text = "{ \"inputs\": ";
  for (std::size_t i = 0; i < levels; ++i) text += open;
  for (std::size_t i = 0; i < levels; ++i) text += close;
  return text + " }";
}

TEST_CASE("deep nesting is refused before anything recurses into it") {
  CHECK(test::problems_of(parsed(nested(31, "[", "]"))).find("deeper") == std::string::npos);
  CHECK(test::problems_of(parsed(nested(32, "[", "]"))) ==
        "c.json:1:44: error: nested deeper than 32 levels\n");
  CHECK(test::problems_of(parsed(nested(1'000'000, "[", "]"))) ==
        "c.json:1:44: error: nested deeper than 32 levels\n");
  CHECK(test::problems_of(parsed(nested(100'000, "{\"a\":", "}"))).find("deeper") !=
        std::string::npos);
}

TEST_CASE("a text that is too large or has too many values is refused") {
  const std::string blanks(std::size_t{4} << 20, ' ');
  CHECK(test::problems_of(parsed(blanks + "{}")) ==
        "c.json:1:1: error: larger than 4194304 bytes\n");
  test::TemporaryDirectory directory;
  test::write_file(directory / "c.json", blanks + "{}");
  CHECK(config::load(directory / "c.json").problems.at(0).message == "larger than 4194304 bytes");

  std::string many = "{ \"inputs\": [0";
  for (int i = 0; i < 500'000; ++i) many += ",0";
  const auto loaded = parsed(many + "] }");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "more than 500000 values");
}

TEST_CASE("a regular expression cannot take the stack or the memory") {
  const auto with = [](const std::string& expression) {
    return parsed(R"({ "inputs": [ { "topic": "{x}", "where": { "x": ")" + expression +
                  R"(" }, "format": "text", "machine": "{x}", "sensor": "s" } ] })");
  };
  CHECK(with(std::string(400'000, '(')).problems.at(0).message == "longer than 500 bytes");
  CHECK_FALSE(with(std::string(500, '(')).configuration);
  CHECK_FALSE(with("((((a{999}){999}){999}){999})").configuration);
  CHECK(with("R[0-9]{3}").configuration);
}

TEST_CASE("a large fleet of machines with an entry each loads") {
  std::string text = "{ \"machines\": [";
  for (int i = 0; i < 20'000; ++i) {
    text += (i == 0 ? "" : ",") + std::string{"{\"match\":\"R"} + std::to_string(i) +
            "\",\"warmup\":400}";
  }
  const auto loaded = parsed(text + "] }");
  REQUIRE(loaded.configuration);
  CHECK(loaded.problems.empty());
  CHECK(loaded.configuration->plan.machines.size() == 20'000);
}

TEST_CASE("a large fleet of overrides loads") {
  std::string text = "{ \"overrides\": [";
  for (int i = 0; i < 20'000; ++i) {
    text += (i == 0 ? "" : ",") + std::string{"{\"sensor\":\"R"} + std::to_string(i) +
            "/t\",\"unit\":\"A\"}";
  }
  const auto loaded = parsed(text + "] }");
  REQUIRE(loaded.configuration);
  CHECK(loaded.configuration->plan.profiles.size() == 20'001);
}

}  // namespace
}  // namespace millwright
