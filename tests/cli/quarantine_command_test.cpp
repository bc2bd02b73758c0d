#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/millwright.h"
#include "tests/support/temporary.h"

using namespace millwright::test;

namespace {

constexpr const char* lane_0 =
    R"({"quarantine":1,"counts":{"not_json":12,"empty":1}}
{"time":"2024-11-22T04:00:01.000Z","reason":"empty","where":"","topic":"acme/R1","bytes":0,"payload":""}
{"time":"2024-11-22T04:00:03.000Z","reason":"not_json","where":"","topic":"acme/R3","bytes":9,"payload":"{\"a\":\u001b[2J"}
)";
constexpr const char* lane_1 =
    R"({"quarantine":1,"counts":{"not_utf8":1}}
{"time":"2024-11-22T04:00:02.000Z","reason":"not_utf8","where":"/x","topic":"acme/R2","bytes":2,"payload_hex":"fffe"}
)";

// A state directory with two lanes, and the configuration that names it.
class Bench {
 public:
  Bench() {
    write_file(directory_ / "quarantine-0.jsonl", lane_0);
    write_file(directory_ / "quarantine-1.jsonl", lane_1);
    write_file(directory_ / "c.json", nlohmann::json{{"state_directory", state()}}.dump());
  }
  std::string state() const { return (directory_ / "").string(); }
  std::string config() const { return (directory_ / "c.json").string(); }
  std::string file() const { return (directory_ / "quarantine-0.jsonl").string(); }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("quarantine shows the messages of all lanes in order, made safe, and the counts") {
  const Bench bench;
  const auto finished = run_millwright({"quarantine", "--config", bench.config()});
  CAPTURE(finished.out);
  CAPTURE(finished.err);
  CHECK(finished.code == 0);
  const auto first = finished.out.find("2024-11-22T04:00:01.000Z  empty  acme/R1  0 bytes");
  const auto second =
      finished.out.find("2024-11-22T04:00:02.000Z  not_utf8 at /x  acme/R2  2 bytes");
  const auto third = finished.out.find("2024-11-22T04:00:03.000Z  not_json  acme/R3  9 bytes");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);
  CHECK(contains(finished.out, "    \\xff\\xfe\n"));
  CHECK(contains(finished.out, "    {\"a\":\\x1b[2J\n"));
  CHECK(contains(finished.out, "12 x not_json: the payload is not well-formed JSON"));
  CHECK(!contains(finished.out, "\x1b"));
}

TEST_CASE("quarantine shows the newest of one file, as JSON lines for programs") {
  const Bench bench;
  const auto finished =
      run_millwright({"quarantine", "--file", bench.file(), "--limit", "1", "--json"});
  CHECK(finished.code == 0);
  const auto json = nlohmann::json::parse(finished.out);
  CHECK(json["topic"] == "acme/R3");
}

TEST_CASE("an empty quarantine says so") {
  const TemporaryDirectory directory;
  write_file(directory / "c.json",
             nlohmann::json{{"state_directory", (directory / "").string()}}.dump());
  const auto finished = run_millwright({"quarantine", "--config", (directory / "c.json").string()});
  CHECK(finished.code == 0);
  CHECK(finished.out == "No bad messages are kept.\n");
}

TEST_CASE("a quarantine file that is not there is exit code 74") {
  const auto finished = run_millwright({"quarantine", "--file", "no/such/file"});
  CHECK(finished.code == 74);
  CHECK(contains(finished.err, "no/such/file"));
}

TEST_CASE("damaged lines of a quarantine are said and the rest is shown") {
  const TemporaryDirectory directory;
  write_file(directory / "q.jsonl", std::string{lane_0} + "{\"time\":\n");
  const auto finished = run_millwright({"quarantine", "--file", (directory / "q.jsonl").string()});
  CHECK(finished.code == 0);
  CHECK(contains(finished.err, "could not be read: 1"));
  CHECK(contains(finished.out, "acme/R3"));
}
