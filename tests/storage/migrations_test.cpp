// From one version of the schema to the next, with made-up versions.
#include "storage/schema.h"
#include "tests/storage/helpers.h"

namespace millwright::storage {
namespace {

const Schema version_one{{{1, "CREATE TABLE part (name TEXT NOT NULL) STRICT"}},
                         "CREATE VIEW parts AS SELECT name FROM part"};
const Schema version_three{{{1, "CREATE TABLE part (name TEXT NOT NULL) STRICT"},
                            {2, "ALTER TABLE part ADD COLUMN hours INTEGER NOT NULL DEFAULT 7"},
                            {3,
                             "CREATE TABLE tool (name TEXT) STRICT;"
                             "UPDATE part SET hours = hours + 1"}},
                           "CREATE VIEW parts AS SELECT name, hours FROM part;"
                           "CREATE VIEW tools AS SELECT name FROM tool"};

void make_old(const fs::path& file) {
  Database database = open_archive(file, version_one);
  database.execute("INSERT INTO part VALUES ('bearing')");
}

TEST_CASE("an older archive is copied, then migrated through every version") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db", copy = directory / "archive.db.before-v3";
  make_old(file);
  CHECK_FALSE(fs::exists(directory / "archive.db.before-v1"));
  write_bytes(directory / "archive.db.before-v2", "of an earlier migration");
  {
    Database database = open_archive(file, version_three);
    CHECK(database.integer("PRAGMA user_version") == 3);
    CHECK(rows_of(database, "SELECT * FROM parts") == "bearing|8\n");
    CHECK(rows_of(database, "SELECT count(*) FROM tools") == "0\n");
  }
  CHECK_FALSE(fs::exists(directory / "archive.db.before-v2"));
  Database before{copy};
  CHECK(before.integer("PRAGMA user_version") == 1);
  CHECK(before.integer("PRAGMA application_id") == application_id);
  CHECK(rows_of(before, "SELECT * FROM parts") == "bearing\n");
}

TEST_CASE("opening the current version migrates and copies nothing") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  make_old(file);
  open_archive(file, version_one);
  CHECK(rows_of(file, "SELECT * FROM parts") == "bearing\n");
  CHECK(names_in(directory.path()) == std::vector<std::string>{"archive.db"});
}

TEST_CASE("a migration that fails leaves the archive as it was") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  make_old(file);
  Schema broken = version_three;
  broken.migrations[2].sql = "CREATE TABLE tool (name TEXT); INSERT INTO nowhere VALUES (1)";
  CHECK_THROWS_AS(open_archive(file, broken), StorageError);
  {
    Database database = open_archive(file, version_one);
    CHECK(database.integer("PRAGMA user_version") == 1);
    CHECK(rows_of(database, "SELECT * FROM parts") == "bearing\n");
    CHECK(rows_of(database, "SELECT name FROM sqlite_schema WHERE name = 'tool'").empty());
    database.execute("INSERT INTO part VALUES ('belt')");
  }
  // The next attempt copies anew: the old copy lacks what was written since.
  open_archive(file, version_three);
  CHECK(rows_of(directory / "archive.db.before-v3", "SELECT * FROM parts") == "bearing\nbelt\n");
}

TEST_CASE("without a copy there is no migration") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  make_old(file);
  fs::create_directories(directory / "archive.db.before-v3" / "in the way");
  CHECK_THROWS_AS(open_archive(file, version_three), StorageError);
  CHECK(open_archive(file, version_one).integer("PRAGMA user_version") == 1);
}

TEST_CASE("an archive of version 1 is taken over with all that it holds") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  const auto& now = archive_schema();
  {
    Database database = open_archive(file, {{now.migrations[0]}, ""});
    CHECK(database.integer("PRAGMA user_version") == 1);
    database.execute(
        "INSERT INTO sensor VALUES (1, 'R1', 'temp', 'degC');"
        "INSERT INTO summary_minute VALUES (60000000, 1, 2, 3.0, 2.0, 2.0, 4.0, 2.0, 4.0, 0);"
        "INSERT INTO lane_position VALUES (0, 17)");
  }
  Archive archive{file};
  CHECK_FALSE(archive.set_aside());
  CHECK(archive.applied(0) == 17);
  Batch batch;
  batch.baselines = {baseline_row("shift", 1)};
  batch.health = {health_row("R017", 82.5)};
  archive.commit(batch);
  CHECK(rows_of(file, "SELECT machine, health FROM health_history") == "R017|82.5\n");
  CHECK(rows_of(file, "SELECT machine, n, mean FROM minute") == "R1|2|3.0\n");
  CHECK(rows_of(file, "SELECT version FROM baseline_history") == "1\n");
  CHECK(fs::exists(directory / "archive.db.before-v6"));
}

TEST_CASE("the archive's own versions rise by one from the first") {
  int expected = 0;
  for (const auto& migration : archive_schema().migrations) CHECK(migration.version == ++expected);
}

}  // namespace
}  // namespace millwright::storage
