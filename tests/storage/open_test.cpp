// Opening: new, ours, somebody else's, newer, locked, damaged.
#include <fmt/format.h>

#include <fstream>

#include "core/random.h"
#include "storage/schema.h"
#include "tests/storage/helpers.h"

namespace millwright::storage {
namespace {

const Timestamp minute = at("2024-11-22T04:33:00Z");

Batch small_batch(Position position = 1) {
  Batch batch;
  batch.summaries = {row("R017", "j3_temp", summary_of(minute, {1, 2}, position))};
  batch.alerts = {alert_row("a", static_cast<std::uint32_t>(position), AlertState::active)};
  batch.outbox = {outbox_row("a", static_cast<std::uint32_t>(position), 5)};
  batch.through = {{0, position}};
  return batch;
}

// The sentence that opening fails with.
std::string refusal(const fs::path& file) {
  try {
    Archive archive{file};
  } catch (const StorageError& error) {
    return error.what();
  }
  return "not refused";
}

TEST_CASE("a new archive says what it is") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  const Archive archive{file};
  CHECK_FALSE(archive.set_aside());
  Database database{file};
  CHECK(database.integer("PRAGMA application_id") == 0x4d4c5752);
  CHECK(database.integer("PRAGMA user_version") == 6);
  CHECK(database.text("PRAGMA journal_mode") == "wal");
  CHECK(rows_of(database,
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = "
                "'table' AND name NOT LIKE 'sqlite_%' AND strict = 0")
            .empty());
  CHECK(rows_of(database, "SELECT name FROM pragma_table_list WHERE wr = 1") ==
        "health\nsummary_minute\n");
  CHECK(rows_of(database,
                "SELECT name FROM pragma_table_info('summary_minute') WHERE pk > 0 ORDER BY pk") ==
        "t\nsensor_id\n");
  CHECK(bytes_of(file).substr(68, 4) == "MLWR");
}

TEST_CASE("the connection distrusts the file and bounds its log") {
  const TemporaryDirectory directory;
  Database database = open_archive(directory / "archive.db");
  CHECK(database.integer("PRAGMA foreign_keys") == 1);
  CHECK(database.integer("PRAGMA trusted_schema") == 0);
  CHECK(database.integer("PRAGMA cell_size_check") == 1);
  CHECK(database.integer("PRAGMA mmap_size") == 0);
  CHECK(database.integer("PRAGMA journal_size_limit") == 64 * 1024 * 1024);
  CHECK(database.integer("PRAGMA busy_timeout") == 2000);
}

TEST_CASE("a file that is no database is set aside, with its log, and a new one begun") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  const std::string garbage(5000, 'x');
  write_bytes(file, garbage);
  write_bytes(directory / "archive.db-wal", "log");
  write_bytes(directory / "archive.db-shm", "index");
  {
    Archive archive{file};
    REQUIRE(archive.set_aside());
    CHECK(contains(*archive.set_aside(), "archive.db.damaged-1"));
    archive.commit(small_batch());
    CHECK(archive.outbox_size() == 1);
  }
  CHECK(bytes_of(directory / "archive.db.damaged-1") == garbage);
  CHECK(bytes_of(directory / "archive.db.damaged-1-wal") == "log");
  CHECK_FALSE(Archive{file}.set_aside());

  write_bytes(file, garbage);
  CHECK(contains(Archive{file}.set_aside().value(), "archive.db.damaged-2"));
}

TEST_CASE("damaged files are kept up to a number") {
  const TemporaryDirectory directory;
  for (int i = 0; i < 12; ++i) {
    write_bytes(directory / "archive.db", "garbage " + std::to_string(i));
    CHECK(Archive{directory / "archive.db"}.set_aside());
  }
  CHECK(bytes_of(directory / "archive.db.damaged-1") == "garbage 0");
  CHECK(bytes_of(directory / "archive.db.damaged-9") == "garbage 11");
  CHECK_FALSE(fs::exists(directory / "archive.db.damaged-10"));
}

TEST_CASE("an empty file becomes an archive") {
  const TemporaryDirectory directory;
  write_bytes(directory / "archive.db", "");
  Archive archive{directory / "archive.db"};
  CHECK_FALSE(archive.set_aside());
  archive.commit(small_batch());
  CHECK(archive.open_alerts().size() == 1);
}

TEST_CASE("whatever bytes of the file are damaged, the next run has a working archive") {
  const TemporaryDirectory directory;
  {
    Archive archive{directory / "whole.db"};
    for (Position position = 1; position <= 20; ++position) archive.commit(small_batch(position));
  }
  const std::string whole = bytes_of(directory / "whole.db");
  Random random{11};
  int aside = 0;
  for (int round = 0; round < 150; ++round) {
    CAPTURE(round);
    const auto file = directory / "archive.db";
    for (const auto& name : names_in(directory.path()))
      if (name != "whole.db") fs::remove(directory / name);
    std::string bytes = whole;
    if (round % 3 == 0) bytes.resize(random.below(bytes.size()));
    // Not the application id: without it the file is somebody else's, and is not touched.
    for (std::uint64_t i = 0, flips = random.below(round % 3 == 1 ? 4 : 400); i < flips; ++i)
      if (const auto at_byte = random.below(whole.size());
          at_byte < bytes.size() && (at_byte < 60 || at_byte > 72))
        bytes[at_byte] = static_cast<char>(random.next());
    write_bytes(file, bytes);
    std::unique_ptr<Archive> archive;
    try {
      archive = std::make_unique<Archive>(file);
    } catch (const StorageError& error) {
      // A header that says another version or that only reading is allowed: refused in words.
      const std::string what = error.what();
      CAPTURE(what);
      CHECK((contains(what, "newer") || contains(what, "read-only") ||
             contains(what, "write-ahead") || contains(what, "not a Millwright")));
      continue;
    }
    if (archive->set_aside()) ++aside;
    // Damage that shows only now fails once, at most.
    try {
      archive->commit(small_batch(21));
    } catch (const StorageError& error) {
      CAPTURE(error.what());
      CHECK(archive->set_aside());
      archive->commit(small_batch(21));
    }
    CHECK(archive->applied(0) == 21);
  }
  CHECK(aside > 50);
}

TEST_CASE("damage inside a small file is noticed at opening") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive{file}.commit(small_batch());
  const auto page = static_cast<std::ptrdiff_t>(
      Database{file}.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'summary_minute'"));
  std::string bytes = bytes_of(file);
  // One page of data; header and schema stay whole.
  std::fill_n(bytes.begin() + 4096 * (page - 1), 4096, '\xaa');
  write_bytes(file, bytes);
  CHECK(Archive{file}.set_aside());
}

TEST_CASE("damage that shows while the archive is open costs one failed call") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  archive.commit(small_batch(1));
  {
    // Another connection changes something, so that the first one must read its pages again.
    Database other{file};
    other.execute("UPDATE sensor SET unit = 'K'");
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  std::string bytes = bytes_of(file);
  std::fill(bytes.begin() + 4096, bytes.end(), '\xaa');
  {
    std::fstream out{file, std::ios::binary | std::ios::in | std::ios::out};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  CHECK_THROWS_AS(archive.commit(small_batch(2)), StorageError);
  REQUIRE(archive.set_aside());
  CHECK(contains(*archive.set_aside(), "archive.db.damaged-1"));
  archive.commit(small_batch(2));
  CHECK(archive.applied(0) == 2);
  CHECK(archive.open_alerts().size() == 1);
}

TEST_CASE("an archive whose tables lost a column to damage is set aside, not tried for ever") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive{file}.commit(small_batch());
  Database{file}.execute("ALTER TABLE alert_event RENAME COLUMN priority TO priorizy");
  Archive archive{file};
  REQUIRE(archive.set_aside());
  CHECK(contains(*archive.set_aside(), "priority"));
  CHECK(fs::exists(directory / "archive.db.damaged-1"));
  archive.commit(small_batch());
}

TEST_CASE("a newer archive is refused with both versions named, and not touched") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive{file}.commit(small_batch());
  Database{file}.execute("PRAGMA user_version = 7");
  const auto before = bytes_of(file);
  const auto sentence = refusal(file);
  CHECK(contains(sentence, "version 7"));
  CHECK(contains(sentence, "up to 6"));
  CHECK(bytes_of(file) == before);
  CHECK_FALSE(fs::exists(directory / "archive.db.damaged-1"));
}

TEST_CASE("somebody else's database is refused and not touched") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  SUBCASE("with an application id") {
    Database{file}.execute("PRAGMA application_id = 1234; CREATE TABLE song (title TEXT)");
  }
  SUBCASE("without one") { Database{file}.execute("CREATE TABLE song (title TEXT)"); }
  SUBCASE("with only a version") { Database{file}.execute("PRAGMA user_version = 3"); }
  const auto before = bytes_of(file);
  CHECK(contains(refusal(file), "is not a Millwright archive"));
  CHECK(bytes_of(file) == before);
  CHECK(names_in(directory.path()) == std::vector<std::string>{"archive.db"});
}

TEST_CASE("somebody else's write-ahead log is not touched either") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  {
    Database other{directory / "other.db"};
    other.execute("PRAGMA journal_mode = WAL; CREATE TABLE song (title TEXT)");
    fs::copy_file(directory / "other.db", file);
    fs::copy_file(directory / "other.db-wal", directory / "archive.db-wal");
  }
  const auto before = bytes_of(file), log = bytes_of(directory / "archive.db-wal");
  CHECK(contains(refusal(file), "is not a Millwright archive"));
  CHECK(bytes_of(file) == before);
  CHECK(bytes_of(directory / "archive.db-wal") == log);
}

TEST_CASE("somebody else's unfinished transaction is not rolled back") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  {
    Database other{directory / "other.db"};
    other.execute("PRAGMA application_id = 1234; CREATE TABLE song (title TEXT)");
    // A cache of one page: the transaction reaches the file before it ends, as in a crash.
    other.execute(
        "PRAGMA cache_size = 1; BEGIN; WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 "
        "FROM i WHERE n < 5000) INSERT INTO song SELECT n FROM i");
    fs::copy_file(directory / "other.db", file);
    fs::copy_file(directory / "other.db-journal", directory / "archive.db-journal");
  }
  const auto before = bytes_of(file), journal = bytes_of(directory / "archive.db-journal");
  CHECK(contains(refusal(file), "is not a Millwright archive"));
  CHECK(bytes_of(file) == before);
  REQUIRE(fs::exists(directory / "archive.db-journal"));
  CHECK(bytes_of(directory / "archive.db-journal") == journal);
}

TEST_CASE("an archive that another process keeps locked is said so, and works afterwards") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive{file}.commit(small_batch(1));
  auto other = std::make_unique<Database>(file);
  SUBCASE("at opening") {
    other->execute("PRAGMA locking_mode = EXCLUSIVE; UPDATE sensor SET unit = 'K'");
    const auto sentence = refusal(file);
    CHECK(contains(sentence, "another process keeps it locked"));
    CHECK(contains(sentence, file.string()));
    other.reset();
    CHECK(Archive{file}.applied(0) == 1);
  }
  SUBCASE("at a commit") {
    Archive archive{file};
    other->execute("BEGIN IMMEDIATE");
    std::string sentence;
    try {
      archive.commit(small_batch(2));
    } catch (const StorageError& error) {
      sentence = error.what();
      CHECK((error.code() & 0xff) == SQLITE_BUSY);
    }
    CHECK(contains(sentence, "another process keeps it locked"));
    other.reset();
    archive.commit(small_batch(2));
    CHECK(archive.applied(0) == 2);
  }
}

TEST_CASE("a directory that is not there is said so") {
  const TemporaryDirectory directory;
  const auto sentence = refusal(directory / "missing" / "archive.db");
  CHECK(contains(sentence, "No such file or directory"));
  CHECK(contains(sentence, (directory / "missing" / "archive.db").string()));
}

}  // namespace
}  // namespace millwright::storage
