#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/millwright.h"
#include "tests/support/temporary.h"

using namespace millwright::test;

namespace {

constexpr const char* config = R"({
  "inputs": [
    { "topic": "acme/{line}/{robot}/telemetry", "where": { "robot": "R[0-9]{3}" }, "format": "json",
      "value": "/signals/{signal}/v", "time": "/ts", "time_format": "iso8601",
      "machine": "{robot}", "sensor": "{signal}" },
    { "topic": "shop/press-1/temp", "format": "text", "machine": "press-1", "sensor": "temp" } ],
  "profiles": [
    { "match": "*/*_temp", "unit": "degC", "detectors": "auto", "limits": { "high": 90 } },
    { "match": "*", "detectors": "auto" } ],
  "limits": { "payload_bytes": 1024 } })";

class Bench {
 public:
  Bench() { write_file(directory_ / "millwright.json", config); }
  Finished try_payload(const std::string& topic, const std::string& payload,
                       std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"test-input", "--config",
                                       (directory_ / "millwright.json").string(), "--topic", topic};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("-");
    return run_millwright(arguments, payload);
  }
  nlohmann::json try_json(const std::string& topic, const std::string& payload) const {
    return nlohmann::json::parse(try_payload(topic, payload, {"--json"}).out);
  }

 private:
  TemporaryDirectory directory_;
};

constexpr const char* telemetry =
    R"({"ts":"2024-11-22T04:33:20.123Z","signals":{"j3_temp":{"v":71.4},"j3_vib":{"v":1.5}}})";

}  // namespace

TEST_CASE("test-input shows each reading with its profile and detectors") {
  const Bench bench;
  const auto finished = bench.try_payload("acme/l1/R017/telemetry", telemetry);
  CAPTURE(finished.out);
  CHECK(finished.code == 0);
  CHECK(finished.err == "");
  CHECK(contains(finished.out, "R017/j3_temp  2024-11-22T04:33:20.123Z  71.4 degC"));
  CHECK(contains(finished.out, "profile */*_temp: auto, limit, gap, stuck, clock\n"));
  CHECK(contains(finished.out, "R017/j3_vib  2024-11-22T04:33:20.123Z  1.5"));
  CHECK(contains(finished.out, "profile *: auto, gap, stuck, clock\n"));
  CHECK(contains(finished.out, "2 good, 0 refused."));
}

TEST_CASE("test-input --json gives the same to programs") {
  const Bench bench;
  const auto json = bench.try_json("acme/l1/R017/telemetry", telemetry);
  CHECK(json["input"] == 0);
  REQUIRE(json["readings"].size() == 2);
  const auto& reading = json["readings"][0];
  CHECK(reading["machine"] == "R017");
  CHECK(reading["sensor"] == "j3_temp");
  CHECK(reading["time"] == "2024-11-22T04:33:20.123Z");
  CHECK(reading["value"] == 71.4);
  CHECK(reading["unit"] == "degC");
  CHECK(reading["profile"] == "*/*_temp");
  CHECK(reading["detectors"] == nlohmann::json{"auto", "limit", "gap", "stuck", "clock"});
  CHECK(json["rejected"].empty());
}

TEST_CASE("test-input says why a payload yields nothing, with exit code 65") {
  struct Row {
    std::string topic, payload, reason;
  };
  const Row rows[] = {
      {"nobody/knows", "1", "unknown_topic"},
      {"acme/l1/X017/telemetry", telemetry, "unknown_topic"},  // refused by `where`
      {"shop/press-1/temp", "", "empty"},
      {"shop/press-1/temp", "warm", "not_a_number"},
      {"shop/press-1/temp", std::string(2000, '1'), "too_large"},
      {"acme/l1/R017/telemetry", "{", "not_json"},
      {"acme/l1/R017/telemetry", R"({"ts":"2024-11-22T04:33:20Z"})", "missing_value"},
      {"acme/l1/R017/telemetry", R"({"signals":{"a":{"v":1}}})", "missing_time"},
      {"acme/l1/R017/telemetry", R"({"ts":"soon","signals":{"a":{"v":1}}})", "bad_time"},
  };
  const Bench bench;
  for (const auto& row : rows) {
    CAPTURE(row.reason);
    const auto finished = bench.try_payload(row.topic, row.payload);
    CAPTURE(finished.out);
    CHECK(finished.code == 65);
    CHECK(contains(finished.out, row.reason));
    CHECK(contains(finished.out, "0 good, "));
    const auto json = bench.try_json(row.topic, row.payload);
    CHECK(json["readings"].empty());
    REQUIRE(!json["rejected"].empty());
    CHECK(json["rejected"][0]["reason"] == row.reason);
    CHECK(json["rejected"][0]["explanation"] != "");
  }
}

TEST_CASE("for an unknown topic test-input shows what the inputs take") {
  const Bench bench;
  const auto finished = bench.try_payload("acme/telemetry", "1");
  CHECK(contains(finished.out, "input 0 takes acme/{line}/{robot}/telemetry"));
  CHECK(contains(finished.out, "input 1 takes shop/press-1/temp"));
}

TEST_CASE("test-input shows what the engine would refuse") {
  const Bench bench;
  const auto json = bench.try_json("acme/l1/R017/telemetry",
                                   R"({"ts":"2261-01-01T00:00:00Z","signals":{"a":{"v":1}}})");
  REQUIRE(json["readings"].size() == 1);
  CHECK(json["readings"][0]["outcome"] == "future");
  const auto finished = bench.try_payload(
      "acme/l1/R017/telemetry", R"({"ts":"2261-01-01T00:00:00Z","signals":{"a":{"v":1}}})");
  CHECK(finished.code == 65);
  CHECK(contains(finished.out, "refused, future: "));
}

TEST_CASE("one bad field does not hide the good ones") {
  const Bench bench;
  const auto finished =
      bench.try_payload("acme/l1/R017/telemetry",
                        R"({"ts":"2024-11-22T04:33:20Z","signals":{"a":{"v":1},"b":{"v":"hot"}}})");
  CAPTURE(finished.out);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "not_a_number at /signals/b/v"));
  CHECK(contains(finished.out, "1 good, 1 refused."));
}

TEST_CASE("test-input reads the payload from a file and takes user properties") {
  const TemporaryDirectory directory;
  write_file(directory / "c.json", R"({ "inputs": [
    { "topic": "v/{machine}", "format": "packed_binary", "sample_type": "int16",
      "machine": "{machine}", "sensor": "vib" } ] })");
  write_file(directory / "payload", std::string_view("\x0a\x00\x14\x00", 4));
  const auto finished = run_millwright(
      {"test-input", "--config", (directory / "c.json").string(), "--topic", "v/R1", "--property",
       "rate_hz=1000", "--property", "t0=2024-11-22T04:33:20Z", (directory / "payload").string()});
  CAPTURE(finished.out);
  CAPTURE(finished.err);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "R1/vib  2024-11-22T04:33:20.000Z  10"));
  CHECK(contains(finished.out, "R1/vib  2024-11-22T04:33:20.001Z  20"));
}

TEST_CASE("test-input with a bad configuration says so, with exit code 78") {
  const TemporaryDirectory directory;
  write_file(directory / "c.json", R"({ "sight": 1 })");
  const auto finished = run_millwright(
      {"test-input", "--config", (directory / "c.json").string(), "--topic", "t", "-"});
  CHECK(finished.code == 78);
  CHECK(contains(finished.err, "c.json:1:"));
  CHECK(finished.out == "");
}
