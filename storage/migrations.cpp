// The tables, version by version, and how a file gets from one version to the next.
#include <fcntl.h>
#include <fmt/format.h>

#include <system_error>

#include "storage/files.h"
#include "storage/schema.h"

namespace millwright::storage {
namespace fs = std::filesystem;
namespace {

// Released versions never change; a new one is a new entry in archive_schema().
//
// summary_minute has its time first: with the sensor first, every minute would touch one page per
// sensor. It has no foreign key, because the look-up for every row costs more than the row; its ids
// come from the same transaction.
constexpr const char* version_1 = R"sql(
CREATE TABLE sensor (
  id INTEGER PRIMARY KEY,
  machine TEXT NOT NULL,
  sensor TEXT NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (machine, sensor)
) STRICT;

CREATE TABLE summary_minute (
  t INTEGER NOT NULL,
  sensor_id INTEGER NOT NULL,
  n INTEGER NOT NULL,
  mean REAL NOT NULL,
  m2 REAL NOT NULL,
  min REAL NOT NULL,
  max REAL NOT NULL,
  first REAL NOT NULL,
  last REAL NOT NULL,
  quality INTEGER NOT NULL,
  PRIMARY KEY (t, sensor_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (
  id TEXT PRIMARY KEY NOT NULL,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  acknowledged INTEGER NOT NULL,
  class TEXT NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  priority INTEGER NOT NULL,
  machine TEXT NOT NULL,
  sensor TEXT NOT NULL,
  unit TEXT NOT NULL,
  onset INTEGER NOT NULL,
  time INTEGER NOT NULL,
  cleared INTEGER
) STRICT;
CREATE INDEX alert_active ON alert (id) WHERE state = 'active';

CREATE TABLE alert_event (
  id TEXT NOT NULL REFERENCES alert (id),
  revision INTEGER NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  priority INTEGER NOT NULL,
  time INTEGER NOT NULL,
  value REAL,
  expected REAL,
  low REAL,
  high REAL,
  score REAL,
  message TEXT NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id, revision)
) STRICT;
CREATE INDEX alert_event_time ON alert_event (time);

CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  retain INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  alert_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  expiry INTEGER NOT NULL
) STRICT;

CREATE TABLE lane_position (
  lane INTEGER PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT;
)sql";

constexpr const char* version_2 = R"sql(
CREATE TABLE baseline (
  machine TEXT NOT NULL,
  sensor TEXT NOT NULL,
  detector TEXT NOT NULL,
  version INTEGER NOT NULL,
  until INTEGER NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER,
  learned INTEGER NOT NULL,
  confidence REAL,
  detector_version INTEGER NOT NULL,
  config TEXT NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state BLOB,
  PRIMARY KEY (machine, sensor, detector, version, until)
) STRICT;
)sql";

constexpr const char* version_3 = R"sql(
CREATE TABLE health (
  machine TEXT NOT NULL,
  t INTEGER NOT NULL,
  health REAL,
  trend_per_day REAL,
  reaches_limit INTEGER,
  earliest INTEGER,
  latest INTEGER,
  confidence REAL,
  baseline INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (machine, t)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* version_4 = R"sql(
DROP INDEX alert_active;
CREATE INDEX alert_open ON alert (id) WHERE state <> 'cleared';
)sql";

constexpr const char* version_5 = R"sql(
CREATE TABLE operation (
  time INTEGER NOT NULL,
  command TEXT NOT NULL,
  by TEXT NOT NULL,
  comment TEXT NOT NULL,
  machine TEXT NOT NULL,
  sensor TEXT NOT NULL,
  alert TEXT NOT NULL,
  "from" INTEGER,
  "to" INTEGER,
  ok INTEGER NOT NULL,
  text TEXT NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (time, lane, position)
) STRICT;
ALTER TABLE outbox ADD COLUMN correlation BLOB NOT NULL DEFAULT x'';
)sql";

constexpr const char* version_6 = R"sql(
CREATE TABLE service (
  machine TEXT NOT NULL,
  serviced INTEGER NOT NULL,
  time INTEGER NOT NULL,
  helped TEXT NOT NULL,
  message TEXT NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (machine, serviced)
) STRICT;
)sql";

// One is enough to go back by, and each is as large as the archive. What cannot be removed does not
// keep the archive from being used.
void remove_older_copies(const fs::path& file, int version) {
  for (int older = 1; older < version; ++older) {
    auto copy = file;
    copy += fmt::format(".before-v{}", older);
    std::error_code ignored;
    fs::remove(copy, ignored);
  }
}

// The copy gets its name only when it is whole and synced.
void copy_before(Database& database, const fs::path& file, int version) {
  auto copy = file, part = file;
  copy += fmt::format(".before-v{}", version);
  part += fmt::format(".before-v{}.part", version);
  try {
    fs::remove(part);
    database.prepare("VACUUM INTO ?1").run(std::string_view{part.native()});
    File{part, O_RDONLY}.sync();
    fs::rename(part, copy);
    sync_directory(file.parent_path());
    remove_older_copies(file, version);
  } catch (const std::system_error& error) {
    throw StorageError(fmt::format("cannot copy the archive {} before migrating it: {}",
                                   file.string(), error.what()),
                       SQLITE_IOERR);
  }
}

void drop_views(Database& database) {
  std::vector<std::string> names;
  auto views = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'");
  views.start();
  while (views.next()) names.push_back(views.text(0));
  for (const auto& name : names) database.execute(fmt::format("DROP VIEW \"{}\"", name));
}

}  // namespace

const Schema& archive_schema() {
  static const Schema schema{{{1, version_1},
                              {2, version_2},
                              {3, version_3},
                              {4, version_4},
                              {5, version_5},
                              {6, version_6}},
                             archive_views()};
  return schema;
}

void migrate(Database& database, const fs::path& file, const Schema& schema) {
  const auto before = database.integer("PRAGMA user_version");
  if (before >= schema.version()) return;
  if (before > 0) copy_before(database, file, schema.version());

  Transaction transaction{database};
  drop_views(database);
  for (const auto& migration : schema.migrations)
    if (migration.version > before) database.execute(migration.sql);
  database.execute(schema.views);
  database.execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}",
                               application_id, schema.version()));
  transaction.commit();
}

}  // namespace millwright::storage
