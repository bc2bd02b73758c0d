// What earlier versions have written is read. tests/fixtures/README.md says how it is made.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "storage/schema.h"
#include "tests/faults/storage_kept.h"
#include "tests/faults/table.h"
#include "tests/support/temporary.h"

using namespace millwright::test;
using Json = nlohmann::json;

namespace {

namespace fs = std::filesystem;

const fs::path fixtures = fs::path{MILLWRIGHT_SOURCE} / "tests/fixtures";
constexpr const char* expected_file = "expected.json";

std::vector<fs::path> folders_of(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator{folder})
    if (entry.is_directory()) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// What every later version must find in it.
Json described(const Found& lane, const FoundArchive& archive) {
  return {{"checkpoint", lane.checkpoint},      {"journal", lane.journal},
          {"replayed", lane.replayed},          {"sensors", lane.sensors},
          {"readings", lane.readings},          {"active_alerts", lane.active_alerts},
          {"applied", archive.applied},         {"alert_events", archive.alert_events},
          {"open_alerts", archive.open_alerts}, {"summaries", archive.summaries}};
}

// Of the schema's first versions, with rows in their tables.
void make_archive(const fs::path& file, std::size_t version) {
  using namespace millwright::storage;
  auto schema = archive_schema();
  schema.migrations.resize(version);
  schema.views = "";
  Database database = open_archive(file, schema);
  database.execute(
      "INSERT INTO sensor VALUES (1, 'R1', 'temp', 'degC');"
      "INSERT INTO summary_minute VALUES (60000000, 1, 2, 3.0, 2.0, 2.0, 4.0, 2.0, 4.0, 0);"
      "INSERT INTO alert VALUES ('a', 1, 'active', 0, 'machine', 'limit', 'warning', 60, 'R1', "
      "'temp', 'degC', 1, 2, NULL);"
      "INSERT INTO alert_event VALUES ('a', 1, 'raised', 'active', 'warning', 60, 2, 95.0, NULL, "
      "NULL, 90.0, 1.2, 'too hot', 0, 17, '{}');"
      "INSERT INTO outbox (topic, payload, retain, priority, alert_id, revision, expiry) "
      "VALUES ('t', x'7b7d', 0, 60, 'a', 1, 0);"
      "INSERT INTO lane_position VALUES (0, 17);"
      "PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace

TEST_CASE("files of every version that was released are taken up") {
  const auto versions = folders_of(fixtures);
  REQUIRE_FALSE(versions.empty());
  int read = 0;
  for (const auto& version : versions) {
    if (!fs::exists(version / expected_file)) continue;
    CAPTURE(version);
    const TemporaryDirectory place;
    fs::copy(version, place.path());
    const auto lane = take_up_lane(place.path());
    CHECK(lane.set_aside.empty());
    CHECK(lane.refused == "");
    const auto archive = take_up_archive(place / Kept::archive);
    CHECK_FALSE(archive.set_aside);
    CHECK(archive.refused == "");
    CHECK(described(lane, archive) == Json::parse(read_file(version / expected_file)));
    ++read;
  }
  CHECK(read > 0);
  report_fault("files of older versions", read, "taken up whole", fmt::format("{} taken up", read));
}

TEST_CASE("an archive of every version of the schema is migrated, a copy of it kept") {
  int migrated = 0;
  const auto newest = millwright::storage::archive_schema().version();
  for (int version = 1; version <= newest; ++version) {
    CAPTURE(version);
    const auto name = fmt::format("v{}.db", version);
    const TemporaryDirectory place;
    const auto file = place / "archive.db";
    fs::copy_file(fixtures / "archive" / name, file);
    const auto before = read_file(file);
    {
      millwright::storage::Archive archive{file};
      CHECK_FALSE(archive.set_aside());
      CHECK(archive.applied(0) == 17);
      CHECK(archive.outbox_size() == 1);
      REQUIRE(archive.open_alerts().size() == 1);
      CHECK(archive.open_alerts()[0].document == "{}");
    }
    const auto found = take_up_archive(file);
    CHECK(found.alert_events == 1);
    CHECK(found.summaries == 1);
    const auto copy = place / fmt::format("archive.db.before-v{}", newest);
    CHECK(fs::exists(copy) == (version < newest));
    if (version == newest) continue;
    millwright::storage::Database kept{copy, millwright::storage::Database::Access::read};
    CHECK(kept.integer("PRAGMA user_version") == version);
    CHECK(kept.integer("SELECT count(*) FROM alert_event") == 1);
    ++migrated;
  }
  CHECK(migrated == newest - 1);
  report_fault("upgrade of an archive", migrated, "migrated, copy kept",
               fmt::format("{} migrated, {} copies", migrated, migrated));
}

// No test: writes what the tests above read. --no-skip runs it.
TEST_CASE("the fixtures of this version are written" * doctest::skip()) {
  const char* where = std::getenv("MILLWRIGHT_FIXTURES");
  REQUIRE(where != nullptr);
  const fs::path folder{where};
  fs::create_directories(folder / MILLWRIGHT_TEST_VERSION);
  const auto version = folder / MILLWRIGHT_TEST_VERSION;
  for (const auto* name : {Kept::configuration, Kept::checkpoint, Kept::older_checkpoint,
                           Kept::journal, Kept::archive, Kept::log})
    fs::remove(version / name);
  make_kept(version);
  const TemporaryDirectory place;
  fs::copy(version, place.path());
  const auto lane = take_up_lane(place.path());
  write_file(version / expected_file,
             described(lane, take_up_archive(place / Kept::archive)).dump(2) + "\n");
  fs::create_directories(folder / "archive");
  const auto newest = millwright::storage::archive_schema().migrations.size();
  for (std::size_t i = 1; i <= newest; ++i) {
    const auto file = folder / "archive" / fmt::format("v{}.db", i);
    if (!fs::exists(file)) make_archive(file, i);
  }
}
