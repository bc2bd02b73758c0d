// The archive stays within its bounds: what goes, in which order, and what never does.
#include <fmt/format.h>

#include <fstream>

#include "storage/files.h"
#include "tests/storage/helpers.h"
#include "tests/support/mounts.h"

namespace millwright::storage {
namespace {

constexpr std::uint64_t small = 1'000'000;
const Timestamp first = at("2024-11-22T00:00:00Z");

// A minute of 200 sensors: about 17 kB.
Batch minute_of_many(Position position, Timestamp minute, int sensors = 200) {
  static std::vector<std::string> names;
  while (static_cast<int>(names.size()) < sensors)
    names.push_back("s" + std::to_string(names.size()));
  Batch batch;
  for (int i = 0; i < sensors; ++i)
    batch.summaries.push_back(
        row("R017", names[static_cast<std::size_t>(i)], summary_of(minute, {1, 2}, position)));
  batch.through = {{0, position}};
  return batch;
}

// As the writer does it.
void write(Archive& archive, const Batch& batch) {
  archive.commit(batch);
  archive.trim();
}

AlertRow large_alert(const std::string& id, AlertState state, Timestamp time) {
  auto result = alert_row(id, 1, state);
  result.alert.onset = result.alert.time = time;
  result.document = std::string(4000, 'x');
  return result;
}

TEST_CASE("the file does not grow past its bound, and the newest minutes stay") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file, {small}};
  auto begin = minute_of_many(1, first);
  begin.alerts = {large_alert("over", AlertState::cleared, first)};
  write(archive, begin);
  constexpr int minutes = 200;
  for (int i = 1; i < minutes; ++i) {
    write(archive, minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
    REQUIRE(archive.size() <= small);
  }
  const auto removed = archive.removed();
  CHECK(removed.minutes > 20'000);
  CHECK(removed.history == 0);
  CHECK(rows_of(file, "SELECT count(*) FROM summary_minute") ==
        std::to_string(200 * minutes - removed.minutes) + "\n");
  CHECK(rows_of(file,
                "SELECT max(t) - min(t) < 60000000 * ((count(*) + 199) / 200) "
                "FROM summary_minute") == "1\n");
  CHECK(rows_of(file,
                "SELECT count(*) FROM summary_minute WHERE t = (SELECT max(t) "
                "FROM summary_minute)") == "200\n");
  CHECK(rows_of(file, "SELECT id FROM alert JOIN alert_event USING (id)") == "over\n");
  CHECK(rows_of(file, "PRAGMA integrity_check") == "ok\n");
}

TEST_CASE("one transaction that is larger than the room left makes its own") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file, {small}};
  for (int i = 0; i < 80; ++i)
    write(archive, minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
  Batch hour;
  for (int i = 80; i < 140; ++i) {
    auto minute = minute_of_many(81, first + std::chrono::minutes{i});
    hour.summaries.insert(hour.summaries.end(), minute.summaries.begin(), minute.summaries.end());
  }
  hour.through = {{0, 81}};
  archive.commit(hour);
  CHECK(archive.size() <= small);
  CHECK(rows_of(file, fmt::format("SELECT count(*) FROM summary_minute WHERE t >= {}",
                                  to_microseconds(first + std::chrono::minutes{80}))) == "12000\n");
  CHECK(archive.removed().minutes > 0);
}

TEST_CASE("of alerts those that are over go, the oldest first; the open and the unheard stay") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file, {small}};
  Batch begin;
  begin.alerts = {large_alert("open", AlertState::active, first),
                  large_alert("unheard", AlertState::cleared, first)};
  begin.outbox = {outbox_row("unheard", 1, 5)};
  write(archive, begin);
  for (int i = 0; i < 1000; ++i) {
    Batch batch;
    batch.alerts = {
        large_alert(fmt::format("{:04}", i), AlertState::cleared, first + std::chrono::minutes{i})};
    write(archive, batch);
    REQUIRE(archive.size() <= small);
  }
  CHECK(archive.removed().history > 500);
  CHECK(archive.removed().messages == 0);
  CHECK(rows_of(file, "SELECT id FROM alert WHERE id > 'a' ORDER BY id") == "open\nunheard\n");
  CHECK(rows_of(file, "SELECT max(id) FROM alert WHERE id < 'a'") == "0999\n");
  CHECK(rows_of(file, "SELECT count(*) - (SELECT count(*) FROM alert) FROM alert_event") == "0\n");
  CHECK(archive.outbox_size() == 1);
}

TEST_CASE("alerts that are over outlive the minutes of their time") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file, {small}};
  constexpr int every = 10, days = 10;  // a minute every ten, and an alert every six hours
  for (int i = 0; i < days * 144; ++i) {
    const auto time = first + std::chrono::minutes{every * i};
    auto batch = minute_of_many(static_cast<Position>(i + 1), time, 50);
    if (i % 36 == 0)
      batch.alerts = {large_alert(fmt::format("{:04}", i), AlertState::cleared, time)};
    write(archive, batch);
  }
  CHECK(archive.removed().history == 0);
  CHECK(rows_of(file, "SELECT count(*) FROM alert") == "40\n");
  CHECK(rows_of(file,
                "SELECT max(t) - min(t) BETWEEN 86400000000 AND 4 * 86400000000 "
                "FROM summary_minute") == "1\n");
}

TEST_CASE("messages that the broker has not taken go last, the least urgent first") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db", {small}};
  for (int i = 0; i < 2000; ++i) {
    Batch batch;
    batch.outbox = {outbox_row("", 0, i == 0 ? 90 : 10)};
    batch.outbox.front().payload = std::string(1000, 'x');
    write(archive, batch);
    REQUIRE(archive.size() <= small);
  }
  CHECK(archive.removed().messages > 0);
  const auto left = archive.outbox(2000);
  CHECK(left.size() + archive.removed().messages == 2000);
  CHECK(left.front().priority == 90);
  CHECK(left.back().sequence == 2000);
}

TEST_CASE("on a full disk messages are not removed: there may be room again") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db", {small}};
  Batch batch;
  batch.outbox = {outbox_row("", 0, 10)};
  batch.outbox.front().payload = std::string(1000, 'x');
  for (int i = 0; i < 100; ++i) archive.commit(batch);
  archive.hold_size(true);
  const auto fill = [&] {
    for (int i = 0; i < 100; ++i) archive.commit(batch);
  };
  CHECK_THROWS_AS(fill(), StorageError);
  CHECK(archive.outbox_size() >= 100);
  CHECK(archive.removed().messages == 0);
  archive.hold_size(false);
  fill();
  CHECK(archive.outbox_size() >= 200);
}

TEST_CASE("of days with minutes the newest are kept, however far apart they are") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  const auto days_in = [&](const std::string& table) {
    return rows_of(file, "SELECT DISTINCT date(t / 1000000, 'unixepoch') FROM " + table);
  };
  Archive archive{file, {small, 3}};
  Position position = 0;
  const auto live_through = [&](const char* day) {
    const auto time = at((std::string{day} + "T00:59:00Z").c_str());
    for (int hour = 0; hour < 24; hour += 23) {
      auto batch = minute_of_many(++position, time + std::chrono::hours{hour});
      batch.health = {health_row("R1", 90)};
      batch.health.front().health.time = time + std::chrono::hours{hour};
      write(archive, batch);
    }
  };
  for (const char* day : {"2024-11-01", "2024-11-02", "2024-11-05", "2024-11-09"})
    live_through(day);
  CHECK(days_in("summary_minute") == "2024-11-02\n2024-11-05\n2024-11-09\n");
  CHECK(days_in("health") == "2024-11-02\n2024-11-05\n2024-11-09\n");
  // A clock that is ten years ahead costs a day of history, and for as long as its minutes stay.
  live_through("2034-11-09");
  CHECK(days_in("summary_minute") == "2024-11-05\n2024-11-09\n2034-11-09\n");
  live_through("2024-11-10");
  live_through("2024-11-11");
  CHECK(days_in("summary_minute") == "2024-11-10\n2024-11-11\n2034-11-09\n");
  CHECK(days_in("health") == "2024-11-10\n2024-11-11\n2034-11-09\n");
  CHECK(archive.removed().minutes == 4 * 400);
}

TEST_CASE("minutes that come late for many other minutes take more room, and get it") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  Position position = 0;
  for (int i = 0; i < 300; ++i)
    archive.commit(minute_of_many(++position, first + std::chrono::minutes{i}));
  archive.hold_size(true);
  Batch late;
  ++position;
  for (int i = 50; i < 300; ++i)
    late.summaries.push_back(
        row("R017", "late", summary_of(first + std::chrono::minutes{i}, {1, 2}, position)));
  late.through = {{0, position}};
  archive.commit(late);
  CHECK(archive.applied(0) == position);
}

TEST_CASE("a minute that cannot be found by its key is damage, not a loop without an end") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  {
    Archive archive{file};
    for (int i = 0; i < 100; ++i)
      archive.commit(minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
  }
  {
    // The first key of the tree's root becomes the smallest there is: what lies left of it is met
    // in order, and never by its key.
    const auto root =
        Database{file}.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'summary_minute'");
    auto bytes = bytes_of(file);
    const auto page = static_cast<std::size_t>(root - 1) * 4096;
    REQUIRE(bytes.at(page) == 2);  // an inner page of a table without a rowid
    const auto cell =
        page + static_cast<std::size_t>(static_cast<unsigned char>(bytes.at(page + 12)) << 8 |
                                        static_cast<unsigned char>(bytes.at(page + 13)));
    // Child, size of the payload, size of the header, ten types, then the time.
    const auto header = static_cast<std::size_t>(bytes.at(cell + 5));
    const auto time = cell + 5 + header;
    bytes.at(time) = static_cast<char>(bytes.at(time) | 0x80);
    write_bytes(file, bytes);
    Database{file}.execute(
        "CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(70000000))");
  }
  Archive archive{file, {50'000'000}};
  CHECK_THROWS_WITH_AS(archive.trim(), doctest::Contains("cannot be found by its key"),
                       StorageError);
  CHECK(archive.set_aside());
}

TEST_CASE("a bound that was lowered: the file grows no more, and what is over goes bit by bit") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  {
    Archive archive{file};
    for (int i = 0; i < 300; ++i)
      write(archive, minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
    CHECK(archive.removed().minutes == 0);
  }
  Archive archive{file, {small}};
  const auto before = archive.size();
  REQUIRE(before > 2 * small);
  for (int i = 300; i < 310; ++i)
    write(archive, minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
  CHECK(archive.size() == before);
  Database database{file};
  CHECK(database.integer("PRAGMA page_size") *
            (database.integer("PRAGMA page_count") - database.integer("PRAGMA freelist_count")) <=
        static_cast<std::int64_t>(small));
}

TEST_CASE("with the minutes goes the health of that time, but the newest of each machine") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file, {small}};
  Batch asleep;
  asleep.health = {health_row("asleep", 90)};
  asleep.health.front().health.time = first;
  write(archive, asleep);
  Position position = 0;
  for (int hour = 0; hour < 24 * 8; ++hour) {
    const auto time = first + std::chrono::hours{hour};
    auto batch = minute_of_many(++position, time);
    batch.health = {health_row("R1", hour), health_row("R2", hour)};
    for (auto& one : batch.health) one.health.time = time;
    write(archive, batch);
  }
  CHECK(rows_of(file,
                "SELECT machine, count(*) FROM health WHERE t < (SELECT min(t) / 86400000000 "
                "* 86400000000 FROM summary_minute) GROUP BY machine") == "asleep|1\n");
  CHECK(rows_of(file, "SELECT machine, max(health) FROM health GROUP BY machine") ==
        "R1|191.0\nR2|191.0\nasleep|90.0\n");
  CHECK(archive.newest_health().size() == 3);
}

TEST_CASE("on a full disk a transaction that cannot fit does not empty the archive") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  for (int i = 0; i < 60; ++i)
    archive.commit(minute_of_many(static_cast<Position>(i + 1), first + std::chrono::minutes{i}));
  archive.hold_size(true);
  Batch batch;
  for (int i = 0; i < 1000; ++i) {
    batch.outbox.push_back(outbox_row("", 0, 10));
    batch.outbox.back().payload = std::string(1000, 'x');
  }
  CHECK_THROWS_AS(archive.commit(batch), StorageError);
  CHECK(archive.removed().minutes < 10'000);
  CHECK(rows_of(directory / "archive.db", "SELECT count(*) > 1000 FROM summary_minute") == "1\n");
}

TEST_CASE("a program that reads for long cannot make the log grow without an end") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db", log = directory / "archive.db-wal";
  constexpr std::uint64_t most = 6'000'000;  // SQLite works a log off from 4 MB on
  Archive archive{file, {.log_bytes = most}};
  Position position = 0;
  const auto commit_next = [&] {
    ++position;
    archive.commit(minute_of_many(position, first + std::chrono::minutes{position}));
  };
  const auto commit_many = [&] {
    for (int i = 0; i < 2000; ++i) commit_next();
  };
  commit_many();
  {
    Database reader{file, Database::Access::read};
    auto rows = reader.prepare("SELECT t FROM summary_minute");
    rows.start();
    REQUIRE(rows.next());
    CHECK_THROWS_WITH_AS(commit_many(), doctest::Contains("keeps reading the archive"),
                         StorageError);
    CHECK(fs::file_size(log) > most);
    CHECK(fs::file_size(log) < most + 200'000);
    CHECK_THROWS_AS(commit_next(), StorageError);
    CHECK(archive.applied(0) < position);
  }
  commit_next();
  CHECK(archive.applied(0) == position);
  commit_many();
  CHECK(archive.applied(0) == position);
}

// 0: as promised; else the number of what failed.
int on_a_disk_that_stays_full(const fs::path& disk) {
  const auto file = disk / "archive.db", ballast = disk / "ballast";
  write_bytes(ballast, std::string(4'000'000, 'x'));
  Archive archive{file};
  int at = 0;
  const auto commit_next = [&] {
    archive.commit(minute_of_many(static_cast<Position>(at + 1), first + std::chrono::minutes{at}));
    ++at;
  };
  const auto commit = [&](int minutes) {
    for (int i = 0; i < minutes; ++i) commit_next();
  };
  try {
    commit(5000);
    return 1;
  } catch (const StorageError& error) {
    if (!is_full(error.code())) return 2;
  }
  fs::remove(ballast);
  archive.hold_size(true);
  const auto size = archive.size();
  commit(2000);
  if (archive.size() != size || archive.removed().minutes == 0) return 3;
  // Something else takes what the ballast left: nothing new is needed any more.
  std::ofstream{ballast, std::ios::binary} << std::string(16'000'000, 'x');
  commit(2000);
  if (archive.size() != size) return 4;
  if (rows_of(file, fmt::format("SELECT count(*) FROM summary_minute WHERE t = {}",
                                to_microseconds(first + std::chrono::minutes{at - 1}))) != "200\n")
    return 5;
  fs::remove(ballast);
  archive.hold_size(false);
  commit(100);
  if (archive.size() <= size) return 6;
  return rows_of(file, "PRAGMA integrity_check") == "ok\n" ? 0 : 7;
}

TEST_CASE("on a disk that stays full the archive lives on in the space that it has") {
  const TemporaryDirectory directory;
  test::with_mounts([&] { return test::mount_small_disk(directory.path(), "16m"); },
                    [&] { return on_a_disk_that_stays_full(directory.path()); });
}

TEST_CASE("damaged archives take no more than one may, but the newest stays") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 4; ++i) {
    write_bytes(file, "SQLite format 3" + std::string(i == 3 ? 700'000 : 400'000, 'x'));
    fs::last_write_time(file, now + std::chrono::hours{i});
    write_bytes(directory / "archive.db-wal", std::string(50'000, 'x'));
    const Archive archive{file, {small}};
    REQUIRE(archive.set_aside());
    CHECK((archive.set_aside()->find("older copies were removed") != std::string::npos) ==
          (i >= 2));
  }
  std::vector<std::string> aside;
  for (const auto& name : names_in(directory.path()))
    if (name.find("damaged") != name.npos && !name.ends_with("l") && !name.ends_with("m"))
      aside.push_back(name);
  // 1, 2, then 3 in place of 1; then 1 again, for which 2 and 3 go.
  CHECK(aside == std::vector<std::string>{"archive.db.damaged-1"});
  CHECK(fs::file_size(directory / "archive.db.damaged-1") > 700'000);
}

}  // namespace
}  // namespace millwright::storage
