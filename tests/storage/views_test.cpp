// What analysts see: the views, and every query that docs/archive.md shows.
#include <cmath>
#include <map>

#include "core/random.h"
#include "storage/schema.h"
#include "tests/storage/helpers.h"

namespace millwright::storage {
namespace {

// Four hours of two machines with two sensors, as the page's examples name them.
void fill(const fs::path& file) {
  Archive archive{file};
  Random random{5};
  const Timestamp start = at("2024-11-22T04:00:00Z");
  Batch batch;
  for (int minute = 0; minute < 240; ++minute)
    for (const char* machine : {"R016", "R017"})
      for (const char* sensor : {"j3_temp", "j3_vib"}) {
        std::vector<double> values;
        for (int i = 0; i < 6; ++i) values.push_back(70 + random.normal());
        batch.summaries.push_back(
            row(machine, sensor, summary_of(start + std::chrono::minutes{minute}, values, 1)));
      }
  batch.alerts = {alert_row("a", 1, AlertState::active), alert_row("b", 1, AlertState::active),
                  alert_row("b", 2, AlertState::cleared)};
  batch.baselines = {baseline_row("shift", 1)};
  archive.commit(batch);
}

struct Example {
  std::string before, sql;
};

// The ```sql blocks of the page.
std::vector<Example> examples() {
  const std::string page = bytes_of(fs::path{MILLWRIGHT_SOURCE} / "docs/archive.md");
  const std::string opening = "```sql\n";
  std::vector<Example> found;
  for (std::size_t from = page.find(opening); from != std::string::npos;
       from = page.find(opening, from)) {
    const auto begin = from + opening.size(), end = page.find("```", begin);
    REQUIRE(end != std::string::npos);
    const auto line = page.rfind('\n', from - 3);
    found.push_back({page.substr(line + 1, from - line - 2), page.substr(begin, end - begin)});
    from = end;
  }
  return found;
}

TEST_CASE("every query of the documentation runs and finds something") {
  const TemporaryDirectory directory;
  fill(directory / "archive.db");
  Database database{directory / "archive.db"};
  const auto all = examples();
  CHECK(all.size() >= 6);
  for (const auto& example : all) {
    CAPTURE(example.sql);
    CHECK_FALSE(rows_of(database, example.sql).empty());
  }
}

TEST_CASE("the documented query for one sensor looks up its rows instead of scanning the table") {
  const TemporaryDirectory directory;
  fill(directory / "archive.db");
  Database database{directory / "archive.db"};
  int checked = 0;
  for (const auto& example : examples()) {
    if (example.sql.find("RECURSIVE minutes") == std::string::npos) continue;
    CAPTURE(example.sql);
    ++checked;
    auto plan = database.prepare("EXPLAIN QUERY PLAN " + example.sql);
    plan.start();
    std::string text;
    while (plan.next()) text += plan.text(3) + "\n";
    CAPTURE(text);
    CHECK(text.find("SEARCH s USING PRIMARY KEY (t=? AND sensor_id=?)") != std::string::npos);
    CHECK(text.find("SCAN s\n") == std::string::npos);
    CHECK(text.find("SCAN summary_minute") == std::string::npos);
  }
  CHECK(checked == 2);
}

TEST_CASE("the documented query for one sensor gives exactly its rows") {
  const TemporaryDirectory directory;
  fill(directory / "archive.db");
  Database database{directory / "archive.db"};
  const auto all = examples();
  const auto by_minute = rows_of(database, all.at(1).sql);
  CHECK(std::count(by_minute.begin(), by_minute.end(), '\n') == 120);
  CHECK(by_minute ==
        rows_of(database,
                "SELECT time, n, mean, min, max FROM minute WHERE machine = 'R017' AND "
                "sensor = 'j3_temp' AND time_text >= '2024-11-22T04:00:00Z' AND "
                "time_text < '2024-11-22T06:00:00Z' ORDER BY t"));

  const auto by_hour = rows_of(database, all.at(2).sql);
  CHECK(std::count(by_hour.begin(), by_hour.end(), '\n') == 4);
  CHECK(by_hour ==
        rows_of(database,
                "SELECT time, n, mean, stddev, min, max FROM hour WHERE machine = 'R017' "
                "AND sensor = 'j3_temp' ORDER BY t"));
}

TEST_CASE("a range on t in the view minute uses the key") {
  const TemporaryDirectory directory;
  Archive{directory / "archive.db"};
  Database database{directory / "archive.db"};
  auto plan = database.prepare("EXPLAIN QUERY PLAN SELECT * FROM minute WHERE t >= 5 AND t < 9");
  plan.start();
  std::string text;
  while (plan.next()) text += plan.text(3) + "\n";
  CHECK(text.find("SEARCH s USING PRIMARY KEY (t>? AND t<?)") != std::string::npos);
}

TEST_CASE("the page names every column of every table and view") {
  const TemporaryDirectory directory;
  Archive{directory / "archive.db"};
  Database database{directory / "archive.db"};
  const std::string page = bytes_of(fs::path{MILLWRIGHT_SOURCE} / "docs/archive.md");
  auto columns = database.prepare(
      "SELECT l.name, c.name FROM pragma_table_list AS l JOIN pragma_table_info(l.name) AS c "
      "WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite_%'");
  columns.start();
  int seen = 0;
  while (columns.next()) {
    ++seen;
    const auto table = columns.text(0), column = columns.text(1);
    CAPTURE(table);
    CAPTURE(column);
    const bool view = table == "minute" || table == "hour" || table == "alert_history" ||
                      table == "baseline_history" || table == "health_history" ||
                      table == "operation_history" || table == "service_history";
    auto begin = view ? page.find("## Views") : page.find("### " + table + "\n");
    REQUIRE(begin != std::string::npos);
    const auto end = view ? page.find("## Queries") : page.find("\n##", begin + 4);
    CHECK(page.substr(begin, end - begin).find("`" + column + "`") != std::string::npos);
  }
  CHECK(seen > 60);
}

TEST_CASE("the view minute gives readable times and the standard deviation") {
  const TemporaryDirectory directory;
  const Timestamp minute = at("2024-11-22T04:33:00Z");
  Batch batch;
  batch.summaries = {row("R017", "j3_temp", summary_of(minute, {2, 4, 4, 4, 5, 5, 7, 9}, 1)),
                     row("R017", "single", summary_of(minute, {2}, 1))};
  Archive{directory / "archive.db"}.commit(batch);
  // Sum of squares 32 over n - 1 = 7.
  CHECK(rows_of(directory / "archive.db",
                "SELECT time, time_text, machine, sensor, unit, n, mean, round(stddev, 8), min, "
                "max, first, last, quality FROM minute ORDER BY sensor") ==
        "1732249980|2024-11-22T04:33:00Z|R017|j3_temp|degC|8|5.0|2.13808994|2.0|9.0|2.0|9.0|0\n"
        "1732249980|2024-11-22T04:33:00Z|R017|single|degC|1|2.0||2.0|2.0|2.0|2.0|0\n");
}

TEST_CASE("the view hour keeps the digits of a small spread on a large mean") {
  const TemporaryDirectory directory;
  Random random{3};
  const Timestamp start = at("2024-11-22T03:00:00Z");
  std::map<int, std::vector<double>> hours;
  Batch batch;
  for (int minute = 0; minute < 180; ++minute) {
    std::vector<double> values;
    for (std::uint64_t i = 0, size = 1 + random.below(60); i < size; ++i)
      values.push_back(1e6 + 1e-2 * random.normal() + 1e-2 * (minute % 7));
    auto summary = summary_of(start + std::chrono::minutes{minute}, values, 1);
    summary.quality = minute == 65 ? quality_late | quality_warming : minute == 70 ? 10 : 0;
    batch.summaries.push_back(row("A", "x", summary));
    auto& hour = hours[minute / 60];
    hour.insert(hour.end(), values.begin(), values.end());
    // Another sensor in between must not mix in.
    batch.summaries.push_back(
        row("B", "x", summary_of(start + std::chrono::minutes{minute}, {-5, 5}, 1)));
  }
  Archive{directory / "archive.db"}.commit(batch);

  Database database{directory / "archive.db"};
  auto found = database.prepare(
      "SELECT t, n, mean, stddev, min, max, first, last, quality FROM hour WHERE machine = 'A' "
      "ORDER BY t");
  found.start();
  for (const auto& entry : hours) {
    const int hour = entry.first;
    const auto& values = entry.second;
    CAPTURE(hour);
    REQUIRE(found.next());
    long double mean = 0, squares = 0;
    for (const double value : values) mean += value;
    mean /= static_cast<long double>(values.size());
    for (const double value : values) squares += (value - mean) * (value - mean);
    const auto variance =
        static_cast<double>(squares / static_cast<long double>(values.size() - 1));
    CHECK(found.integer(0) == to_microseconds(start + std::chrono::hours{hour}));
    CHECK(found.integer(1) == static_cast<std::int64_t>(values.size()));
    CHECK(std::abs(found.real(2) - static_cast<double>(mean)) < 1e-8);
    CHECK(std::abs(found.real(3) * found.real(3) / variance - 1) < 1e-6);
    CHECK(found.real(4) == *std::min_element(values.begin(), values.end()));
    CHECK(found.real(5) == *std::max_element(values.begin(), values.end()));
    CHECK(found.real(6) == values.front());
    CHECK(found.real(7) == values.back());
    CHECK(found.integer(8) == (hour == 1 ? 15 : 0));
  }
  CHECK_FALSE(found.next());
  // And the one-pass formula indeed fails here: else this test would prove nothing.
  const double one_pass =
      std::stod(rows_of(database,
                        "SELECT (sum(m2 + n * mean * mean) - sum(n) * (sum(n * mean) / sum(n)) * "
                        "(sum(n * mean) / sum(n))) / (sum(n) - 1) FROM summary_minute JOIN sensor "
                        "ON id = sensor_id WHERE machine = 'A' AND t < " +
                            std::to_string(to_microseconds(start + std::chrono::hours{1}))));
  found.start();
  REQUIRE(found.next());
  const double right = found.real(3) * found.real(3);
  CHECK(std::abs(one_pass / right - 1) > 0.1);
}

TEST_CASE("the view alert_history tells each event with readable times") {
  const TemporaryDirectory directory;
  Batch batch;
  batch.alerts = {alert_row("a", 1, AlertState::active), alert_row("a", 2, AlertState::cleared)};
  Archive{directory / "archive.db"}.commit(batch);
  CHECK(rows_of(directory / "archive.db",
                "SELECT time, time_text, id, revision, event, state, class, kind, machine, sensor, "
                "onset_text, cleared_text, value, unit FROM alert_history ORDER BY revision") ==
        "1732250060.123|2024-11-22T04:34:20.123Z|a|1|raised|active|machine|drift|R017|j3_temp|"
        "2024-11-22T04:33:20.123Z|2024-11-22T04:35:20.123Z|71.4|degC\n"
        "1732250120.123|2024-11-22T04:35:20.123Z|a|2|cleared|cleared|machine|drift|R017|j3_temp|"
        "2024-11-22T04:33:20.123Z|2024-11-22T04:35:20.123Z|71.4|degC\n");
}

TEST_CASE("the view baseline_history tells what was learned and why it ended") {
  const TemporaryDirectory directory;
  Batch batch;
  batch.baselines = {baseline_row("shift", 1), baseline_row("shift", 2, BaselineEnd::accepted)};
  batch.baselines[1].baseline.since.reset();
  Archive{directory / "archive.db"}.commit(batch);
  CHECK(rows_of(directory / "archive.db",
                "SELECT time, time_text, machine, sensor, detector, version, reason, since_text, "
                "learned, confidence, detector_version, config, state_bytes FROM baseline_history "
                "ORDER BY version") ==
        "1732253600.123|2024-11-22T05:33:20.123Z|R017|j3_temp|shift|1|serviced|"
        "2024-11-22T04:33:20.123Z|86400|0.75|3|9f2c1a0000000001|4\n"
        "1732257200.123|2024-11-22T06:33:20.123Z|R017|j3_temp|shift|2|accepted||86400||3|"
        "9f2c1a0000000001|\n");
}

}  // namespace
}  // namespace millwright::storage
