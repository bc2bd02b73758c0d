// Several files become one configuration, and a problem is still found in the file that it is in.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "config/config.h"
#include "tests/config/support.h"
#include "tests/support/temporary.h"

namespace millwright {
namespace {

using test::write_file;

struct Files {
  test::TemporaryDirectory directory;
  Files() { std::filesystem::create_directory(directory / "conf.d"); }
  void main(std::string_view text) { write_file(directory / "millwright.json", text); }
  void more(std::string_view name, std::string_view text) {
    write_file(directory / "conf.d" / name, text);
  }
  config::Loaded load() { return config::load(directory / "millwright.json"); }
  std::string path(std::string_view name) { return (directory / name).string(); }
};

std::string input(std::string_view topic) {
  return R"({ "topic": ")" + std::string{topic} +
         R"(", "format": "text", "machine": "m", "sensor": "s" })";
}

TEST_CASE("conf.d is merged in name order: objects join, later values win, lists grow") {
  Files files;
  files.main(
      R"({ "site": "a", "broker": { "url": "tcp://one", "username": "u" }, "inputs": [)" +
      input("t1") +
      R"(], "profiles": [ { "match": "*_1/*" } ], "machines": [ { "match": "*_1" } ], "overrides": [ { "sensor": "m/s", "unit": "A" } ] })");
  files.more("20.json", R"({ "site": "c", "inputs": [)" + input("t3") +
                            R"(], "profiles": [ { "match": "*_3/*" } ],
                            "machines": [ { "match": "*_3" }, { "match": "*_4" } ] })");
  files.more("10.json",
             R"({ "site": "b", "broker": { "url": "tcp://two" }, "inputs": [)" + input("t2") +
                 R"(], "profiles": [ { "match": "*_2/*" } ], "machines": [ { "match": "*_2" } ],
                            "overrides": [ { "sensor": "m/s", "label": "L" } ], "archive": { "enabled": false } })");
  files.more("99.txt", "not for us");
  const auto loaded = files.load();
  REQUIRE_MESSAGE(loaded.configuration, test::problems_of(loaded));
  CHECK(loaded.problems.empty());
  const auto& c = *loaded.configuration;
  CHECK(c.site == "c");
  CHECK(c.plan.site == "c");
  CHECK(c.broker.url == "tcp://two");
  CHECK(c.broker.username == "u");
  CHECK_FALSE(c.archive.enabled);
  REQUIRE(c.inputs.size() == 3);
  CHECK(c.inputs[0].topic == "t1");
  CHECK(c.inputs[1].topic == "t2");
  CHECK(c.inputs[2].topic == "t3");
  REQUIRE(c.plan.profiles.size() == 4);
  CHECK(c.plan.profiles[0].match == "m/s");
  CHECK(c.plan.profiles[0].unit == "A");  // the later override goes on from the earlier one
  CHECK(c.plan.profiles[0].label == "L");
  CHECK(c.plan.profiles[1].match == "*_3/*");
  CHECK(c.plan.profiles[2].match == "*_2/*");
  CHECK(c.plan.profiles[3].match == "*_1/*");
  REQUIRE(c.plan.machines.size() == 4);
  CHECK(c.plan.machines[0].match == "*_3");
  CHECK(c.plan.machines[1].match == "*_4");
  CHECK(c.plan.machines[2].match == "*_2");
  CHECK(c.plan.machines[3].match == "*_1");

  const auto again = config::parse(loaded.text, "journal");
  REQUIRE(again.configuration);
  CHECK(test::same(c, *again.configuration));
}

TEST_CASE("a problem in conf.d names its file, its line and its place in that file") {
  Files files;
  files.main(R"({ "inputs": [)" + input("t1") + R"(], "lanes": 1 })");
  files.more("10.json", "{ \"inputs\": [\n  { \"topic\": \"a/#/b\" } ],\n  \"sitte\": 1 }");
  files.more("20.json", R"({ "processing": { "lanes": "2" } })");
  const auto loaded = files.load();
  CHECK_FALSE(loaded.configuration);
  REQUIRE(loaded.problems.size() == 7);
  const auto& p = loaded.problems;
  CHECK(p[0].file == files.path("millwright.json"));
  CHECK(p[0].pointer == "/lanes");
  for (std::size_t i = 1; i < 6; ++i) CHECK(p[i].file == files.path("conf.d/10.json"));
  CHECK(p[1].pointer == "/inputs/0");
  CHECK(p[1].line == 2);
  CHECK(p[1].column == 3);
  CHECK(p[4].pointer == "/inputs/0/topic");
  CHECK(p[4].column == 14);
  CHECK(p[5].pointer == "/sitte");
  CHECK(p[5].line == 3);
  CHECK(to_string(p[6]) ==
        files.path("conf.d/20.json") +
            ":1:28: error: /processing/lanes: expected a whole number from 1 to 64, found the text "
            "\"2\"");
}

TEST_CASE("a setting that is no JSON names its file, and the others are checked all the same") {
  Files files;
  files.main(R"({ "sitte": "a" })");
  files.more("10.json", "url = tcp://broker\n");
  const auto loaded = files.load();
  CHECK_FALSE(loaded.configuration);
  REQUIRE(loaded.problems.size() == 2);
  CHECK(loaded.problems[0].message == "unknown key \"sitte\"; did you mean \"site\"?");
  CHECK(to_string(loaded.problems[1]) ==
        files.path("conf.d/10.json") + ":1:1: error: expected a JSON value, found url");
}

TEST_CASE("a broken file does not make the others look incomplete") {
  Files files;
  files.main(R"({ "broker": { "url": "ssl://b", "key_file": "k" } })");
  files.more("10.json", R"({ "broker": { "certificate_file": "c" )");
  const auto loaded = files.load();
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].file == files.path("conf.d/10.json"));
}

TEST_CASE("a profile that a later file's catch-all hides is a warning with both places") {
  Files files;
  files.main(R"({ "profiles": [ { "match": "a/*" } ] })");
  files.more("10.json", R"({ "profiles": [ { "match": "*" } ] })");
  const auto loaded = files.load();
  CHECK(loaded.configuration);
  CHECK(test::problems_of(loaded) ==
        files.path("millwright.json") +
            ":1:28: warning: /profiles/0/match: never used: the profile \"*\" at " +
            files.path("conf.d/10.json") + ":1 stands before it and takes the same sensors\n");
}

TEST_CASE("an entry of machines that a later file's catch-all hides is a warning, too") {
  Files files;
  files.main(R"({ "machines": [ { "match": "R1" } ] })");
  files.more("10.json", R"({ "machines": [ { "watched": false } ] })");
  const auto loaded = files.load();
  REQUIRE(loaded.configuration);
  CHECK(test::problems_of(loaded) ==
        files.path("millwright.json") +
            ":1:28: warning: /machines/0/match: never used: the entry \"*\" at " +
            files.path("conf.d/10.json") + ":1 stands before it and takes the same machines\n");
  CHECK_FALSE(engine::machine_profile_for(loaded.configuration->plan, "R1").watched);
}

TEST_CASE("a file that is not there or cannot be read is an error of the whole file") {
  test::TemporaryDirectory directory;
  const auto missing = config::load(directory / "none.json");
  CHECK_FALSE(missing.configuration);
  CHECK(test::problems_of(missing) == (directory / "none.json").string() +
                                          ": error: cannot be read: No such file or directory\n");
  CHECK(missing.problems[0].line == 0);
  CHECK(test::problems_of(config::load(directory.path())) ==
        directory.path().string() + ": error: cannot be read: Is a directory\n");
}

TEST_CASE("without conf.d the file stands alone") {
  test::TemporaryDirectory directory;
  write_file(directory / "c.json", R"({ "site": "x" })");
  const auto loaded = config::load(directory / "c.json");
  REQUIRE(loaded.configuration);
  CHECK(loaded.problems.empty());
  CHECK(loaded.configuration->site == "x");
}

TEST_CASE("conf.d files that together are too large are refused") {
  Files files;
  const std::string many(3u << 20, 'x');
  files.main(R"({ "profiles": [ { "match": "a/*", "advice": ")" + many + R"(" } ] })");
  files.more("10.json", R"({ "profiles": [ { "match": "b/*", "advice": ")" + many + R"(" } ] })");
  const auto loaded = files.load();
  CHECK_FALSE(loaded.configuration);
  CHECK(loaded.text.empty());
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "all files together are larger than 4194304 bytes");
}

}  // namespace
}  // namespace millwright
