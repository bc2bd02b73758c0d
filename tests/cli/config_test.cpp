// check-config and schema.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/cli/millwright.h"
#include "tests/support/schema.h"
#include "tests/support/temporary.h"

using namespace millwright::test;

namespace {

const std::filesystem::path source = MILLWRIGHT_SOURCE;

}  // namespace

TEST_CASE("a good configuration says what it would do") {
  const TemporaryDirectory directory;
  const auto file = (directory / "millwright.json").string();
  write_file(file, R"({
    "site": "berlin",
    "broker": { "url": "tcp://broker.plant:1883" },
    "inputs": [
      { "topic": "acme/{line}/{robot}/telemetry", "format": "json", "value": "/signals/{signal}/v",
        "machine": "{robot}", "sensor": "{signal}" },
      { "topic": "shop/press-1/temp", "format": "text", "machine": "press-1", "sensor": "temp" } ],
    "profiles": [ { "match": "*/*_temp", "unit": "degC", "detectors": "auto" } ],
    "processing": { "lanes": 2 } })");
  const auto finished = run_millwright({"check-config", file});
  CAPTURE(finished.out);
  CHECK(finished.code == 0);
  CHECK(finished.err == "");
  CHECK(contains(finished.out, file + ": good"));
  CHECK(contains(finished.out, "berlin, publishes under millwright/berlin"));
  CHECK(contains(finished.out, "tcp://broker.plant:1883, MQTT 5"));
  CHECK(contains(finished.out, "acme/+/+/telemetry (QoS 1)"));
  CHECK(contains(finished.out, "shop/press-1/temp (QoS 1)"));
  CHECK(contains(finished.out,
                 "acme/{line}/{robot}/telemetry json /signals/{signal}/v -> machine {robot}, "
                 "sensor {signal}, lane by machine"));
  CHECK(contains(finished.out, "*/*_temp [degC]: "));
  CHECK(contains(finished.out, "2 lanes"));
}

TEST_CASE("a good configuration says what its waveforms give, with units") {
  const TemporaryDirectory directory;
  const auto file = (directory / "millwright.json").string();
  write_file(file, R"({
    "inputs": [ { "topic": "mill/{machine}/{sensor}", "format": "packed_binary", "rate_hz": 20000,
                  "machine": "{machine}", "sensor": "{sensor}" } ],
    "profiles": [ { "match": "*/vib", "unit": "g", "waveform": { "window_s": 0.5, "speed_rpm": 1500,
      "bearing": { "name": "6205" }, "features": ["rms", "crest", "velocity", "bands", "bpfo"],
      "bands_hz": [ { "name": "mesh", "low": 400, "high": 800 } ] } } ] })");
  const auto finished = run_millwright({"check-config", file});
  CAPTURE(finished.out);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out,
                 "windows of 0.5 s give .rms [g], .crest, .velocity [mm/s], .mesh [g], .bpfo [g]"));
}

TEST_CASE("every problem of a configuration comes out with its place, and the exit code is 78") {
  const TemporaryDirectory directory;
  const auto file = (directory / "millwright.json").string();
  write_file(file, "{\n  \"sitee\": \"berlin\",\n  \"processing\": { \"lanes\": \"two\" }\n}\n");
  const auto finished = run_millwright({"check-config", file});
  CAPTURE(finished.out);
  CHECK(finished.code == 78);
  CHECK(contains(finished.out, file + ":2:"));
  CHECK(contains(finished.out, "did you mean \"site\"?"));
  CHECK(contains(finished.out, file + ":3:"));
  CHECK(contains(finished.out, "/processing/lanes"));
  CHECK(contains(finished.out, "2 errors"));
}

TEST_CASE("what cannot be read, or reads nothing, is a warning") {
  const TemporaryDirectory directory;
  const auto file = (directory / "millwright.json").string();
  const auto there = (directory / "password").string();
  write_file(there, "secret");
  for (const std::string text : {"{}", R"({ "inputs": [] })"}) {
    write_file(file, text);
    const auto finished = run_millwright({"check-config", file});
    CHECK(finished.code == 0);
    CHECK(contains(finished.out, file + ": warning: /inputs: nothing will be read: no inputs\n"));
    CHECK(contains(finished.out, "good, with 1 warning."));
  }
  const std::string inputs =
      R"("inputs": [{ "topic": "a", "format": "text", "machine": "m", "sensor": "s" }] })";
  write_file(
      file, "{ \"broker\": { \"url\": \"ssl://broker\",\n  \"ca_file\": \"/none/ca.pem\",\n" +
                std::string{R"(  "username": "u", "password_file": "/none/password" },)"} + inputs);
  const auto finished = run_millwright({"check-config", file});
  CAPTURE(finished.out);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out,
                 file + ":2:14: warning: /broker/ca_file: /none/ca.pem cannot be opened: "
                        "No such file or directory; the daemon needs it\n"));
  CHECK(contains(finished.out, file + ":3:37: warning: /broker/password_file: /none/password"));
  CHECK(contains(finished.out, "good, with 2 warnings."));
  write_file(file,
             R"({ "broker": { "username": "u", "password_file": ")" + there + "\" }," + inputs);
  CHECK(contains(run_millwright({"check-config", file}).out, file + ": good.\n"));
}

TEST_CASE("a configuration that is not there is exit code 78 and named") {
  const TemporaryDirectory directory;
  const auto file = (directory / "none.json").string();
  const auto finished = run_millwright({"check-config", file});
  CHECK(finished.code == 78);
  CHECK(contains(finished.out, file));
}

TEST_CASE("a mistake in an input's patterns is a problem with a pointer") {
  const TemporaryDirectory directory;
  const auto file = (directory / "millwright.json").string();
  write_file(file, R"({ "inputs": [
    { "topic": "good", "format": "text", "machine": "m", "sensor": "s" },
    { "topic": "a/{m}/x", "where": { "m": "R[0-9" }, "format": "text", "machine": "{m}", "sensor": "s" } ] })");
  const auto finished = run_millwright({"check-config", file});
  CAPTURE(finished.out);
  CHECK(finished.code == 78);
  CHECK(contains(finished.out, "/inputs/1"));
}

TEST_CASE("the shipped examples are good") {
  std::size_t examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator{source / "config" / "examples"}) {
    if (entry.path().extension() != ".json") continue;
    const auto finished = run_millwright({"check-config", entry.path().string()});
    CAPTURE(finished.out);
    CHECK(finished.code == 0);
    ++examples;
  }
  CHECK(examples >= 2);
}

TEST_CASE("the schemas are printed, parse, and accept what they describe") {
  const auto config = run_millwright({"schema", "config"});
  const auto alert = run_millwright({"schema", "alert"});
  CHECK(config.code == 0);
  CHECK(alert.code == 0);
  CHECK(schema_problem(config.out, R"({ "site": "berlin", "inputs": [] })") == "");
  CHECK(schema_problem(config.out, R"({ "sight": "berlin" })") != "");
  CHECK(schema_problem(alert.out, "{}") != "");
}
