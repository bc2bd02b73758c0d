// A damaged archive gives what can be read of it to the one that takes its place; what cannot be
// read for a moment is no damage.
#include <fstream>

#include "storage/salvage.h"
#include "storage/schema.h"
#include "tests/storage/helpers.h"
#include "tests/storage/sector.h"

namespace millwright::storage {
namespace {

constexpr int alerts = 300;

std::string name_of(int i) { return "alert-" + std::to_string(1000 + i); }

// 300 alerts, each with a message that waits, a baseline, a command, a service and a minute of a
// sensor.
void fill(const fs::path& file) {
  Archive archive{file};
  for (int i = 0; i < alerts; ++i) {
    Batch batch;
    const auto position = static_cast<Position>(i + 1);
    batch.summaries = {
        row("R017", "j3_temp",
            summary_of(at("2024-11-22T04:33:00Z") + std::chrono::minutes{i}, {1, 2}, position))};
    batch.alerts = {alert_row(name_of(i), 1, AlertState::active)};
    batch.outbox = {outbox_row(name_of(i), 1, 5)};
    batch.baselines = {baseline_row("detector" + std::to_string(i), 1)};
    OperationRow command{0, {}};
    command.operation.time = at("2024-11-22T04:33:00Z");
    command.operation.command = "serviced";
    command.operation.position = position;
    batch.operations = {command};
    ServiceRow service;
    service.outcome.machine = "R" + std::to_string(i);
    service.document = "{}";
    batch.services = {service};
    batch.through = {{0, position}};
    archive.commit(batch);
  }
}

std::int64_t root_of(const fs::path& file, std::string_view name) {
  Database database{file};
  return database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?1").value(name).value();
}

// Returns what the file holds then.
std::string spoil(const fs::path& file, std::int64_t page) {
  std::fstream out{file, std::ios::binary | std::ios::in | std::ios::out};
  out.seekp((page - 1) * 4096);
  const std::string bytes(4096, '\xaa');
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.flush());
  return bytes_of(file);
}

// A leaf of a table's tree, by its place in the list of its root's cells from the left.
std::int64_t leaf_of(const fs::path& file, std::string_view table, int cell) {
  const auto bytes = bytes_of(file);
  const auto root = static_cast<std::size_t>(root_of(file, table) - 1) * 4096;
  const auto number = [&](std::size_t from, std::size_t size) {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value = value << 8 | static_cast<unsigned char>(bytes.at(from + i));
    return value;
  };
  REQUIRE(bytes.at(root) == 5);  // an inner page of a table
  REQUIRE(number(root + 3, 2) > cell + 1);
  const auto at =
      static_cast<std::size_t>(number(root + 12 + 2 * static_cast<std::size_t>(cell), 2));
  return number(root + at, 4);
}

TEST_CASE("of a damaged archive, alerts and what was still to be published go on") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  fill(file);
  std::string spoiled;
  SUBCASE("all of them, where only summaries are damaged") {
    spoiled = spoil(file, root_of(file, "summary_minute"));
    Archive archive{file};
    REQUIRE(archive.set_aside());
    CHECK(
        contains(*archive.set_aside(), ", with 300 alerts and 300 messages still to be published"));
    CHECK_FALSE(contains(*archive.set_aside(), "not all"));
    CHECK(archive.open_alerts().size() == alerts);
    const auto waiting = archive.outbox(1000);
    REQUIRE(waiting.size() == alerts);
    CHECK(waiting.front().payload == "alert-1000 1");
    CHECK(waiting.front().sequence == 1);
    CHECK(waiting.back().payload == "alert-1299 1");
    // Positions of the old file's lanes mean nothing in the new one: the journal is replayed.
    CHECK(archive.applied(0) == 0);
    for (const auto* table : {"baseline", "operation", "service"})
      CHECK(rows_of(file, std::string{"SELECT count(*) FROM "} + table) == "300\n");
    CHECK(rows_of(file, "SELECT count(*) FROM summary_minute") == "0\n");
    CHECK(rows_of(file, "PRAGMA integrity_check") == "ok\n");
    // The replay brings the same events once more: they are known.
    Batch again;
    again.alerts = {alert_row(name_of(7), 1, AlertState::active)};
    again.outbox = {outbox_row(name_of(7), 1, 5)};
    again.through = {{0, 8}};
    CHECK(archive.commit(again).outbox.empty());
    CHECK(archive.outbox_size() == alerts);
  }
  SUBCASE("those before and behind a damaged page in the middle") {
    spoiled = spoil(file, leaf_of(file, "alert_event", 3));
    Archive archive{file};
    REQUIRE(archive.set_aside());
    CAPTURE(*archive.set_aside());
    CHECK(contains(*archive.set_aside(), "not all could be read"));
    const auto open = archive.open_alerts();
    CHECK(open.size() > alerts - 40);
    CHECK(open.size() < alerts);
    const auto has = [&](int i) {
      return std::any_of(open.begin(), open.end(),
                         [&](const auto& a) { return a.id == name_of(i); });
    };
    CHECK(has(0));
    CHECK(has(alerts - 1));
    // Of what nothing is known, nothing is published.
    CHECK(archive.outbox_size() == open.size());
    CHECK(rows_of(file, "PRAGMA integrity_check") == "ok\n");
    CHECK(rows_of(file, "PRAGMA foreign_key_check").empty());
  }
  SUBCASE("numbers of the outbox are not used again") {
    spoiled = spoil(file, root_of(file, "outbox"));
    Archive archive{file};
    REQUIRE(archive.set_aside());
    CHECK(archive.outbox_size() == 0);
    CHECK(archive.open_alerts().size() == alerts);
    Batch next;
    next.alerts = {alert_row("next", 1, AlertState::active)};
    next.outbox = {outbox_row("next", 1, 5)};
    const auto committed = archive.commit(next).outbox;
    REQUIRE(committed.size() == 1);
    CHECK(committed.front().sequence == alerts + 1);
  }
  SUBCASE("nothing, and that in words, where the file does not say what is in it") {
    spoiled = spoil(file, 1);
    Archive archive{file};
    REQUIRE(archive.set_aside());
    CHECK(contains(*archive.set_aside(), ", with 0 alerts and 0 messages"));
    CHECK(contains(*archive.set_aside(), "not all could be read"));
    CHECK(archive.outbox_size() == 0);
  }
  // The damaged one stays as it was found.
  CHECK(bytes_of(directory / "archive.db.damaged-1") == spoiled);
}

TEST_CASE("a number that damage made too large leaves room for the rows to come") {
  const TemporaryDirectory directory;
  const auto old = directory / "old.db";
  {
    Database database = open_archive(old);
    for (const auto* sequence : {"5", "9223372036854775807", "-3"})
      database.execute(
          std::string{"INSERT INTO outbox (sequence, topic, payload, retain, priority, "
                      "alert_id, revision, expiry) VALUES ("} +
          sequence + ", 't', x'70', 0, 5, '', 0, 0)");
  }
  {
    Database fresh = open_archive(directory / "fresh.db");
    CHECK(salvage(fresh, old).messages == 1);
  }
  Archive archive{directory / "fresh.db"};
  Batch next;
  next.alerts = {alert_row("next", 1, AlertState::active)};
  next.outbox = {outbox_row("next", 1, 5)};
  const auto committed = archive.commit(next).outbox;
  REQUIRE(committed.size() == 1);
  CHECK(committed.front().sequence == 6);
}

TEST_CASE("an archive of an older version gives what it has") {
  const TemporaryDirectory directory;
  const auto old = directory / "old.db";
  {
    Schema schema = archive_schema();
    schema.migrations.resize(4);
    Database database{old};
    migrate(database, old, schema);
    database.execute(
        "INSERT INTO outbox (topic, payload, retain, priority, alert_id, revision, expiry) "
        "VALUES ('t', x'70', 0, 5, '', 0, 0)");
  }
  Database fresh = open_archive(directory / "fresh.db");
  const auto saved = salvage(fresh, old);
  CHECK(saved.messages == 1);
  CHECK(rows_of(fresh, "SELECT topic, payload, length(correlation) FROM outbox") == "t|p|0\n");
}

TEST_CASE("a sector that can be read a moment later is no damage; one that stays so is") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  fill(file);
  const auto page = leaf_of(file, "alert_event", 3);
  SUBCASE("a moment later") {
    const Sector sector{page, 2};
    Archive archive{file};
    CHECK(sector.failures_left() == 0);
    CHECK_FALSE(archive.set_aside());
    CHECK(archive.open_alerts().size() == alerts);
  }
  SUBCASE("it stays so") {
    const Sector sector{page, 1'000'000};
    Archive archive{file};
    CHECK(sector.failures_left() < 1'000'000);
    REQUIRE(archive.set_aside());
    CAPTURE(*archive.set_aside());
    CHECK(contains(*archive.set_aside(), "not all could be read"));
    CHECK(archive.outbox_size() > alerts - 40);
  }
}

// Too large to be read through at the start.
void enlarge(const fs::path& file) {
  Database{file}.execute(
      "CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(70000000))");
}

TEST_CASE("a place that cannot be read when it is touched: likewise") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  fill(file);
  const auto page = leaf_of(file, "outbox", 1);
  enlarge(file);
  Archive archive{file};
  Batch batch;
  for (std::uint64_t sequence = 1; sequence <= alerts; ++sequence)
    batch.delivered.push_back(sequence);
  SUBCASE("a moment later") {
    const Sector sector{page, 4};
    archive.commit(batch);
    CHECK(sector.failures_left() == 0);
    CHECK_FALSE(archive.set_aside());
  }
  SUBCASE("it stays so") {
    const Sector sector{page, 1'000'000};
    CHECK_THROWS_AS(archive.commit(batch), StorageError);
    REQUIRE(archive.set_aside());
    CHECK(contains(*archive.set_aside(), "archive.db.damaged-1"));
    archive.commit(batch);
  }
  CHECK(archive.outbox_size() == 0);
  CHECK(archive.open_alerts().size() == alerts);
}

}  // namespace
}  // namespace millwright::storage
