// Files as `replay` plays them: together, in the order of time.
#include "daemon/recordings.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <system_error>
#include <vector>

#include "config/config.h"
#include "core/random.h"
#include "daemon/history.h"
#include "ingest/csv.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

std::vector<std::string> played(const std::vector<std::string>& files, const std::string& machine,
                                std::vector<std::string>& problems) {
  Recordings recordings{files, machine, [&](const std::string& p) { problems.push_back(p); }};
  std::vector<std::string> out;
  RecordedRow row;
  while (recordings.next(row)) {
    for (const auto& value : row.values)
      out.push_back(fmt::format("{} {}/{} {}", to_microseconds(row.time) / 1'000'000, row.machine,
                                value.sensor, value.value));
  }
  CHECK(recordings.problems() == problems.size());
  return out;
}

}  // namespace

TEST_CASE("files are played together in the order of time, each row whole") {
  const test::TemporaryDirectory directory;
  const auto file = [&](const char* name, const char* text) {
    test::write_file(directory / name, text);
    return (directory / name).string();
  };
  const std::vector<std::string> files{
      file("a.csv", "time,x,y\n1700000000,1,2\n1700000020,3,4\n"),
      file("b.csv",
           "time,machine,sensor,value\n1700000010,B,x,5\n1700000020,B,x,6\nbad,B,x,7\n"
           "1700000005,B,x,8\n"),
      file("c.ndjson", R"({"machine":"C","sensor":"x","time":"2023-11-14T22:13:25Z","value":9})"
                       "\nno reading\n"),
      file("empty.csv", "time,x\n")};
  std::vector<std::string> problems;
  CHECK(played(files, "", problems) ==
        std::vector<std::string>{"1700000000 a/x 1", "1700000000 a/y 2", "1700000005 C/x 9",
                                 "1700000010 B/x 5", "1700000020 a/x 3", "1700000020 a/y 4",
                                 "1700000020 B/x 6", "1700000005 B/x 8"});
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].find("c.ndjson:2: ") != std::string::npos);
  CHECK(problems[1].find("b.csv:4:") != std::string::npos);
  problems.clear();
  CHECK(played({files[0]}, "M", problems).front() == "1700000000 M/x 1");
}

TEST_CASE("a file that cannot be read, or is none, is told before anything is played") {
  const test::TemporaryDirectory directory;
  test::write_file(directory / "a.csv", "time,x\n1700000000,1\n");
  test::write_file(directory / "b.csv", "x,y\n");
  std::vector<std::string> problems;
  const auto good = (directory / "a.csv").string();
  CHECK_THROWS_AS(played({good, (directory / "none.csv").string()}, "", problems),
                  std::system_error);
  CHECK_THROWS_AS(played({good, (directory / "b.csv").string()}, "", problems), ingest::CsvError);
}

TEST_CASE("machines of one model, a file each, are compared with each other") {
  const auto loaded = config::parse(
      R"({ "machines": [ { "match": "*", "model": "RX5" } ], "profiles": [ { "match": "*", "detectors": [] } ],
           "fleet": { "window_s": 300, "windows": 2, "learning": 8 } })",
      "c.json");
  for (const auto& problem : loaded.problems) MESSAGE(config::to_string(problem));
  REQUIRE(loaded.configuration);
  const test::TemporaryDirectory directory;
  Random random{5};
  std::vector<std::string> files;
  for (int m = 0; m < 5; ++m) {
    std::string text = "time,temp\n";
    for (int minute = 0; minute < 180; ++minute) {
      const double odd = m == 3 && minute >= 120 ? 20 : 0;
      text += fmt::format("{},{:.3f}\n", 1700000000 + 60 * minute, 40 + m + random.normal() + odd);
    }
    const auto file = directory / fmt::format("R{}.csv", m);
    test::write_file(file, text);
    files.push_back(file.string());
  }
  std::vector<Alert> raised;
  HistoryHandlers handlers;
  handlers.alert = [&](const Alert& alert) {
    if (alert.event == AlertEvent::raised && alert.detector == "fleet" && !is_case(alert.kind))
      raised.push_back(alert);
  };
  History history{*loaded.configuration, handlers};
  Recordings recordings{files, "", [](const std::string& problem) { MESSAGE(problem); }};
  RecordedRow row;
  while (recordings.next(row)) {
    for (const auto& value : row.values)
      history.reading(row.machine, value.sensor, row.time, value.value);
  }
  history.step();
  REQUIRE(raised.size() == 1);
  CHECK(raised[0].machine == "R3");
  CHECK(raised[0].sensor == "temp");
}
