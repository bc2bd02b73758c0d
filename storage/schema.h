// The archive's tables as a list of migrations, and the views on them. What they mean:
// docs/archive.md.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "storage/database.h"

namespace millwright::storage {

// Leads from the version before it to `version`, the file's user_version.
struct Migration {
  int version = 0;
  const char* sql = "";
};

struct Schema {
  std::vector<Migration> migrations;  // versions rise by one, from 1
  const char* views = "";  // made anew after every migration: no migration touches a view
  int version() const { return migrations.back().version; }
};

// "MLWR": tells our files from other SQLite databases.
inline constexpr std::int32_t application_id = 0x4d4c5752;

const Schema& archive_schema();
const char* archive_views();

// Brings the file to the schema's version in one transaction. A file that had content is copied
// before, to <file>.before-v<n> for the new version n. Throws StorageError; the file is then as it
// was.
void migrate(Database& database, const std::filesystem::path& file, const Schema& schema);

// Opens, creates or migrates the archive, with all settings. Throws StorageError: newer version,
// somebody else's database (both stay untouched), damage (`is_damage(code)`), and what the disk
// says.
Database open_archive(const std::filesystem::path& file, const Schema& schema = archive_schema());

// Does the file's header carry our application id?
bool says_it_is_ours(const std::filesystem::path& file);

}  // namespace millwright::storage
