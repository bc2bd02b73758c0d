// What a commit writes: summaries once and merged, alert events once, the outbox in its order.
#include <cmath>
#include <limits>

#include "core/random.h"
#include "tests/storage/helpers.h"

namespace millwright::storage {
namespace {

const Timestamp minute = at("2024-11-22T04:33:00Z");

TEST_CASE("a summary comes back as it was committed") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  {
    Archive archive{file};
    Batch batch;
    auto summary = summary_of(minute, {1, 2, 3, 6}, 5);
    summary.quality = quality_suspicious | quality_fault;
    batch.summaries = {row("R017", "j3_temp", summary)};
    batch.through = {{0, 5}};
    archive.commit(batch);
    CHECK(archive.applied(0) == 5);
    CHECK(archive.applied(1) == 0);
  }
  // Mean 3; squared distances 4 + 1 + 0 + 9.
  CHECK(rows_of(file,
                "SELECT m.t, machine, sensor, unit, n, mean, m2, m.min, m.max, first, last, "
                "quality FROM summary_minute m JOIN sensor ON id = sensor_id") ==
        std::to_string(to_microseconds(minute)) +
            "|R017|j3_temp|degC|4|3.0|14.0|1.0|6.0|1.0|6.0|10\n");
}

TEST_CASE("parts of a minute merge as if all readings had come at once") {
  const TemporaryDirectory directory;
  Random random{7};
  std::vector<double> all;
  std::uint32_t quality = 0;
  {
    Archive archive{directory / "archive.db"};
    for (Position position = 1; position <= 40; ++position) {
      std::vector<double> part;
      for (std::uint64_t i = 0, size = 1 + random.below(30); i < size; ++i)
        part.push_back(1e6 + random.normal());
      all.insert(all.end(), part.begin(), part.end());
      Batch batch;
      auto summary = summary_of(minute, part, position);
      if (position == 9) summary.quality = quality_late;
      if (position == 20) summary.quality = quality_fault;
      quality |= summary.quality;
      batch.summaries = {row("R017", "j3_temp", summary)};
      batch.through = {{0, position}};
      archive.commit(batch);
    }
  }
  long double sum = 0, squares = 0;
  for (const double value : all) sum += value;
  const long double mean = sum / static_cast<long double>(all.size());
  for (const double value : all) squares += (value - mean) * (value - mean);

  Database database{directory / "archive.db"};
  auto found = database.prepare(
      "SELECT n, mean, m2, min, max, first, last, quality, count(*) OVER () FROM summary_minute");
  found.start();
  REQUIRE(found.next());
  CHECK(found.integer(8) == 1);
  CHECK(found.integer(0) == static_cast<std::int64_t>(all.size()));
  CHECK(std::abs(found.real(1) - static_cast<double>(mean)) < 1e-8);
  CHECK(std::abs(found.real(2) / static_cast<double>(squares) - 1) < 1e-8);
  CHECK(found.real(3) == *std::min_element(all.begin(), all.end()));
  CHECK(found.real(4) == *std::max_element(all.begin(), all.end()));
  CHECK(found.real(5) == all.front());
  CHECK(found.real(6) == all.back());
  CHECK(found.integer(7) == quality);
}

TEST_CASE("two parts of one minute in one batch merge in their order") {
  const TemporaryDirectory directory;
  {
    Archive archive{directory / "archive.db"};
    Batch batch;
    batch.summaries = {
        row("B", "x", summary_of(minute + std::chrono::minutes{1}, {9}, 1)),
        row("A", "x", summary_of(minute, {1, 2}, 1)),
        row("A", "x", summary_of(minute, {7, 6}, 1)),
    };
    archive.commit(batch);
  }
  CHECK(rows_of(directory / "archive.db",
                "SELECT machine, n, mean, first, last FROM minute ORDER BY t") ==
        "A|4|4.0|1.0|6.0\nB|1|9.0|9.0|9.0\n");
}

TEST_CASE("a baseline that was replaced comes back as it was committed") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Batch batch;
  batch.baselines = {baseline_row("shift", 1), baseline_row("shift", 2, BaselineEnd::accepted)};
  batch.baselines[0].lane = 2;
  batch.baselines[1].baseline.since.reset();
  Archive{file}.commit(batch);
  const auto start = to_microseconds(at("2024-11-22T04:33:20.123Z"));
  const auto end = [&](int hours) { return std::to_string(start + hours * 3'600'000'000LL); };
  CHECK(rows_of(file,
                "SELECT machine, sensor, detector, version, until, reason, since, learned, "
                "confidence, detector_version, config, lane, position, hex(state), state IS NULL "
                "FROM baseline ORDER BY version") ==
        "R017|j3_temp|shift|1|" + end(1) + "|serviced|" + std::to_string(start) +
            "|86400|0.75|3|9f2c1a0000000001|2|7|610062FF|0\n"
            "R017|j3_temp|shift|2|" +
            end(2) + "|accepted||86400||3|9f2c1a0000000001|0|7||1\n");
}

TEST_CASE("the health of a machine comes back as it was committed, the newest by machine") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  Batch batch;
  batch.health = {health_row("R017", 82.5), health_row("R018", std::nullopt)};
  batch.health[1].health.forecast.reset();
  archive.commit(batch);
  // A replay after a crash brings it again; the machine's clock moves on.
  batch.health = {health_row("R017", 82.5), health_row("R017", 80)};
  batch.health[1].health.time += std::chrono::hours{1};
  archive.commit(batch);
  CHECK(rows_of(file,
                "SELECT machine, time_text, health, trend_per_day, reaches_limit_text, "
                "earliest_text, latest_text, confidence, baseline FROM health_history "
                "ORDER BY machine, time") ==
        "R017|2024-11-22T04:33:20.123Z|82.5|-1.5|2024-11-23T10:33:20.123Z|"
        "2024-11-23T00:33:20.123Z|2024-11-24T06:33:20.123Z|0.75|2\n"
        "R017|2024-11-22T05:33:20.123Z|80.0|-1.5|2024-11-23T10:33:20.123Z|"
        "2024-11-23T00:33:20.123Z|2024-11-24T06:33:20.123Z|0.75|2\n"
        "R018|2024-11-22T04:33:20.123Z||-1.5||||0.75|2\n");
  const auto newest = archive.newest_health();
  REQUIRE(newest.size() == 2);
  CHECK(newest[0].machine == "R017");
  CHECK(newest[0].document == batch.health[1].document);
  CHECK(newest[1].machine == "R018");
}

TEST_CASE("a baseline is kept once, and one that begins to count anew is another") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  Batch batch;
  batch.baselines = {baseline_row("shift", 1), baseline_row("spike", 1)};
  archive.commit(batch);
  archive.commit(batch);
  CHECK(rows_of(file, "SELECT count(*) FROM baseline") == "2\n");
  // What was learned before was lost with the state: the versions begin at 1 again.
  batch.baselines = {baseline_row("shift", 1)};
  batch.baselines[0].baseline.until += std::chrono::hours{100};
  archive.commit(batch);
  CHECK(rows_of(file, "SELECT detector, version FROM baseline ORDER BY detector") ==
        "shift|1\nshift|1\nspike|1\n");
}

TEST_CASE("a command is kept once and its answer waits once, however often it is replayed") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  Batch batch;
  OperationRow row{1, {}};
  row.operation.time = minute;
  row.operation.command = "shelve";
  row.operation.by = "anna";
  row.operation.to = minute + std::chrono::minutes{1};
  row.operation.ok = true;
  row.operation.text = "done";
  row.operation.position = 7;
  batch.operations = {row};
  OutboxRow answer;
  answer.topic = "answers/me";
  answer.payload = "{}";
  answer.correlation = std::string{"\0\xff", 2};
  answer.answers = {1, 7};
  batch.outbox = {answer};
  REQUIRE(archive.commit(batch).outbox.size() == 1);
  CHECK(archive.commit(batch).outbox.empty());
  REQUIRE(archive.outbox(10).size() == 1);
  CHECK(archive.outbox(10)[0].correlation == answer.correlation);
  // The same position of another lane is another command.
  batch.operations[0].lane = 2;
  batch.outbox[0].answers = {2, 7};
  CHECK(archive.commit(batch).outbox.size() == 1);
  CHECK(rows_of(file,
                "SELECT command, by, ok, text, lane, \"to\" - time FROM operation ORDER BY lane") ==
        "shelve|anna|1|done|1|60000000\nshelve|anna|1|done|2|60000000\n");
  CHECK(rows_of(file, "SELECT command, from_text FROM operation_history LIMIT 1") == "shelve|\n");
}

// A day in small: summaries, alert events with their outbox rows, on two lanes.
std::vector<Batch> history() {
  std::vector<Batch> batches;
  for (Position position = 1; position <= 12; ++position) {
    Batch batch;
    for (std::uint32_t lane = 0; lane < 2; ++lane) {
      const auto value = static_cast<double>(position * (lane + 1));
      const std::string_view machine = lane == 0 ? "R001" : "R002";
      // Every third minute is added to again later, as late readings do.
      const auto when = minute + std::chrono::minutes{position % 3 == 0 ? 0 : position};
      batch.summaries.push_back(row(machine, "temp", summary_of(when, {value, 1}, position), lane));
      batch.through.emplace_back(lane, position);
    }
    const std::string id = position < 7 ? "a" : "b";
    const auto revision = static_cast<std::uint32_t>(position < 7 ? position : position - 6);
    auto alert = alert_row(id, revision, revision == 6 ? AlertState::cleared : AlertState::active);
    alert.alert.position = position;
    batch.alerts = {alert};
    batch.outbox = {outbox_row(id, revision, 50), outbox_row(id, revision, 50)};
    if (position % 4 == 0)
      batch.baselines = {baseline_row("shift", static_cast<std::uint32_t>(position / 4))};
    batch.outbox[1].topic = "millwright/site/state";
    batch.outbox[1].retain = true;
    batches.push_back(batch);
  }
  return batches;
}

// Several batches as the one that a writer would have made of them.
Batch join(const std::vector<Batch>& batches, std::size_t from, std::size_t until) {
  Batch joined;
  for (std::size_t i = from; i < until; ++i) {
    const auto append = [](auto& to, const auto& more) {
      to.insert(to.end(), more.begin(), more.end());
    };
    append(joined.summaries, batches[i].summaries);
    append(joined.alerts, batches[i].alerts);
    append(joined.baselines, batches[i].baselines);
    append(joined.outbox, batches[i].outbox);
    append(joined.through, batches[i].through);
  }
  return joined;
}

TEST_CASE("replaying batches, wholly or overlapping, leaves the content as it was") {
  const TemporaryDirectory directory;
  const auto batches = history();
  const auto reference = directory / "reference.db";
  {
    Archive archive{reference};
    for (const auto& batch : batches) archive.commit(batch);
  }
  const std::string expected = content_of(reference);

  SUBCASE("all twice") {
    Archive archive{reference};
    for (const auto& batch : batches) CHECK(archive.commit(batch).outbox.empty());
    CHECK(content_of(reference) == expected);
  }
  SUBCASE("from every place again, cut into batches another way") {
    for (std::size_t crash = 1; crash <= batches.size(); ++crash)
      for (std::size_t tail = 0; tail < crash; tail += 4) {
        CAPTURE(crash);
        CAPTURE(tail);
        const auto file = directory / ("crash-" + std::to_string(crash * 100 + tail) + ".db");
        {
          Archive archive{file};
          for (std::size_t i = 0; i < crash; ++i) archive.commit(batches[i]);
        }
        {
          Archive archive{file};
          const auto committed = archive.commit(join(batches, tail, batches.size()));
          CHECK(committed.outbox.size() == 2 * (batches.size() - crash));
        }
        CHECK(content_of(file) == expected);
      }
  }
}

TEST_CASE("every lane has a position of its own, and it never goes back") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  Batch batch;
  batch.through = {{0, 10}, {3, 7}};
  archive.commit(batch);
  batch.through = {{0, 4}};
  archive.commit(batch);
  CHECK(archive.applied(0) == 10);
  CHECK(archive.applied(3) == 7);

  batch.through = {};
  batch.summaries = {row("A", "x", summary_of(minute, {1}, 8), 0),
                     row("A", "x", summary_of(minute, {1}, 8), 3),
                     row("A", "x", summary_of(minute, {1}, 8), 4)};
  archive.commit(batch);
  CHECK(rows_of(directory / "archive.db", "SELECT n FROM minute") == "2\n");

  archive.forget_positions();
  CHECK(archive.applied(0) == 0);
  archive.commit(batch);
  CHECK(rows_of(directory / "archive.db", "SELECT n FROM minute") == "5\n");
}

TEST_CASE("a sensor keeps its number over restarts and takes on a new unit") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Batch batch;
  batch.summaries = {row("A", "x", summary_of(minute, {1}, 1)),
                     row("A", "y", summary_of(minute, {1}, 1)),
                     row("", "Ax", summary_of(minute, {1}, 1))};
  Archive{file}.commit(batch);
  const auto before = rows_of(file, "SELECT id, machine, sensor, unit FROM sensor ORDER BY id");
  CHECK(before == "1|A|x|degC\n2|A|y|degC\n3||Ax|degC\n");
  {
    Archive archive{file};
    archive.commit(batch);
    batch.summaries[1].unit = "K";
    archive.commit(batch);
  }
  CHECK(rows_of(file, "SELECT id, machine, sensor, unit FROM sensor ORDER BY id") ==
        "1|A|x|degC\n2|A|y|K\n3||Ax|degC\n");
  CHECK(rows_of(file, "SELECT count(*), sum(n) FROM summary_minute") == "3|9\n");
}

TEST_CASE("ten thousand summaries go in with one commit") {
  const TemporaryDirectory directory;
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back("sensor_" + std::to_string(i));
  Batch batch;
  for (const auto& name : names)
    batch.summaries.push_back(row("R001", name, summary_of(minute, {1, 3}, 1)));
  batch.through = {{0, 1}};
  Archive archive{directory / "archive.db"};
  archive.commit(batch);
  CHECK(rows_of(directory / "archive.db",
                "SELECT count(*), sum(n), min(mean), max(m2), count(DISTINCT sensor) FROM "
                "summary_minute JOIN sensor ON id = sensor_id") == "10000|20000|2.0|2.0|10000\n");
}

TEST_CASE("a summary without readings writes nothing") {
  const TemporaryDirectory directory;
  Batch batch;
  batch.summaries = {row("A", "x", summary_of(minute, {}, 1))};
  Archive{directory / "archive.db"}.commit(batch);
  CHECK(rows_of(directory / "archive.db", "SELECT * FROM summary_minute").empty());
}

TEST_CASE("an alert is kept as its newest revision, its history in full") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  Batch batch;
  batch.alerts = {alert_row("a", 1, AlertState::active), alert_row("b", 1, AlertState::active),
                  alert_row("a", 2, AlertState::active)};
  archive.commit(batch);
  auto open = archive.open_alerts();
  REQUIRE(open.size() == 2);
  CHECK(open[0].id == "a");
  CHECK(open[0].revision == 2);
  CHECK(open[0].document == "{\"revision\":2}");
  CHECK(open[0].machine == "R017");
  CHECK(open[0].sensor == "j3_temp");
  CHECK(open[0].kind == "drift");

  batch.alerts = {alert_row("b", 2, AlertState::cleared)};
  archive.commit(batch);
  batch.alerts = {alert_row("b", 1, AlertState::active)};  // an old event comes again
  archive.commit(batch);
  open = archive.open_alerts();
  REQUIRE(open.size() == 1);
  CHECK(open[0].id == "a");
  CHECK(rows_of(file, "SELECT id, revision, state, cleared IS NULL FROM alert ORDER BY id") ==
        "a|2|active|1\nb|2|cleared|0\n");
  CHECK(rows_of(file, "SELECT id, revision, event FROM alert_event ORDER BY id, revision") ==
        "a|1|raised\na|2|updated\nb|1|raised\nb|2|cleared\n");
}

TEST_CASE("the alerts that an archive has behind a position, of one lane, are told") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  Batch batch;
  batch.alerts = {alert_row("a", 1, AlertState::active), alert_row("a", 2, AlertState::active),
                  alert_row("b", 1, AlertState::active), alert_row("c", 3, AlertState::cleared),
                  alert_row("d", 1, AlertState::active)};
  for (std::size_t i = 0; i < batch.alerts.size(); ++i) {
    batch.alerts[i].lane = 1;
    batch.alerts[i].alert.position = 10 + i;  // a: 10 and 11, b: 12, c: 13
  }
  batch.alerts[4].lane = 0;
  batch.alerts[3].alert.value = std::numeric_limits<double>::quiet_NaN();
  archive.commit(batch);
  const auto ids = [&](std::uint32_t lane, Position position) {
    std::string all;
    for (const auto& alert : archive.alerts_after(lane, position))
      all += alert.id + std::to_string(alert.revision) + " ";
    return all;
  };
  CHECK(ids(1, 10) == "a2 b1 c3 ");
  CHECK(ids(1, 11) == "b1 c3 ");
  CHECK(ids(1, 13) == "");
  CHECK(ids(1, 0) == "a2 b1 ");
  CHECK(ids(0, 0) == "d1 ");
  const auto alert = archive.alerts_after(1, 11).front();
  const auto& written = batch.alerts[2].alert;
  CHECK(alert.state == written.state);
  CHECK(alert.event == written.event);
  CHECK(alert.kind == written.kind);
  CHECK(alert.severity == written.severity);
  CHECK(alert.machine == written.machine);
  CHECK(alert.sensor == written.sensor);
  CHECK(alert.unit == written.unit);
  CHECK(alert.onset == written.onset);
  CHECK(alert.time == written.time);
  CHECK(alert.score == written.score);
  CHECK(alert.message == written.message);
  CHECK(alert.position == 12);
  CHECK(archive.alerts_after(1, 12).front().cleared.has_value());
  CHECK(std::isnan(archive.alerts_after(1, 12).front().value));
}

TEST_CASE("open alerts come with the most urgent first") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  Batch batch;
  batch.alerts = {alert_row("low", 1, AlertState::active),
                  alert_row("high", 1, AlertState::active)};
  batch.alerts[0].alert.priority = 10;
  batch.alerts[1].alert.priority = 90;
  archive.commit(batch);
  const auto open = archive.open_alerts();
  REQUIRE(open.size() == 2);
  CHECK(open[0].id == "high");
}

TEST_CASE("an alert without numbers is kept: a silent sensor has no value") {
  const TemporaryDirectory directory;
  Batch batch;
  batch.alerts = {alert_row("a", 1, AlertState::active)};
  batch.alerts[0].alert.value = std::numeric_limits<double>::quiet_NaN();
  Archive{directory / "archive.db"}.commit(batch);
  CHECK(rows_of(directory / "archive.db", "SELECT id, value IS NULL FROM alert_event") == "a|1\n");
}

TEST_CASE("outbox rows are added for new events only, and those without an event always") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  Batch batch;
  batch.alerts = {alert_row("a", 1, AlertState::active)};
  batch.outbox = {outbox_row("a", 1, 5), outbox_row("", 0, 5)};
  CHECK(archive.commit(batch).outbox.size() == 2);

  batch.alerts.push_back(alert_row("a", 2, AlertState::active));
  batch.outbox = {outbox_row("a", 1, 5), outbox_row("a", 2, 5), outbox_row("", 0, 5)};
  const auto committed = archive.commit(batch);
  REQUIRE(committed.outbox.size() == 2);
  CHECK(committed.outbox[0].payload == "a 2");
  CHECK(committed.outbox[1].alert_id.empty());
  CHECK(archive.outbox_size() == 4);
}

TEST_CASE("an outbox row of an event that the archive has never seen is not lost") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  Batch batch;
  batch.outbox = {outbox_row("unknown", 1, 5)};
  CHECK(archive.commit(batch).outbox.size() == 1);
}

TEST_CASE("the outbox is given out in order of arrival, whatever the priority") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  const struct {
    const char* topic;
    int priority;
  } rows[] = {{"1", 10}, {"2", 90}, {"3", 10}, {"4", 50}, {"5", 90}};
  Batch batch;
  for (const auto& [topic, priority] : rows) {
    batch.outbox.push_back(outbox_row("", 0, priority));
    batch.outbox.back().topic = topic;
  }
  archive.commit(batch);
  const auto topics = [&](std::size_t limit) {
    std::string order;
    for (const auto& waiting : archive.outbox(limit)) order += waiting.topic;
    return order;
  };
  CHECK(topics(100) == "12345");
  CHECK(topics(3) == "123");
  CHECK(topics(0).empty());

  Batch delivered;
  delivered.delivered = {archive.outbox(1)[0].sequence};
  archive.commit(delivered);
  CHECK(topics(100) == "2345");
  CHECK(archive.outbox_size() == 4);
}

TEST_CASE("an outbox row comes back with every byte") {
  const TemporaryDirectory directory;
  OutboxRow message = outbox_row("", 0, -3);
  message.payload = std::string{"\0{\"x\":\"\xff\"}\n", 11};
  message.retain = true;
  message.expiry = std::chrono::hours{24 * 7};
  message.revision = 4'000'000'000;
  OutboxRow empty = outbox_row("", 0, -4);
  empty.payload.clear();
  Batch batch;
  batch.outbox = {message, empty};
  Archive archive{directory / "archive.db"};
  const auto committed = archive.commit(batch).outbox;
  const auto waiting = archive.outbox(10);
  REQUIRE(waiting.size() == 2);
  CHECK(waiting[0].sequence == committed[0].sequence);
  CHECK(waiting[0].topic == message.topic);
  CHECK(waiting[0].payload == message.payload);
  CHECK(waiting[0].retain);
  CHECK(waiting[0].priority == -3);
  CHECK(waiting[0].revision == message.revision);
  CHECK(waiting[0].expiry == message.expiry);
  CHECK(waiting[1].payload.empty());
  CHECK_FALSE(waiting[1].retain);
}

TEST_CASE("a sequence is never used twice, not even when the outbox was empty over a restart") {
  const TemporaryDirectory directory;
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    Archive archive{directory / "archive.db"};
    Batch batch;
    batch.outbox = {outbox_row("", 0, 1)};
    const auto sequence = archive.commit(batch).outbox.at(0).sequence;
    CHECK(sequence > last);
    last = sequence;
    Batch delivered;
    delivered.delivered = {sequence};
    archive.commit(delivered);
    CHECK(archive.outbox_size() == 0);
  }
}

}  // namespace
}  // namespace millwright::storage
