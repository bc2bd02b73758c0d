#include "storage/reader.h"

#include <fmt/format.h>

#include "storage/schema.h"

namespace millwright::storage {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, std::string_view why) {
  throw StorageError(fmt::format("{} {}", file.string(), why), SQLITE_MISMATCH);
}

// A file of a newer or older version may have the tables that are asked for, with another meaning.
void require_known(Database& database, const std::filesystem::path& file) {
  if (database.integer("PRAGMA application_id") != application_id) {
    if (database.integer("SELECT count(*) FROM sqlite_schema") == 0)
      refuse(file, "is an archive with nothing in it yet: start the daemon once, it fills it");
    refuse(file,
           "is not a Millwright archive but another SQLite database; --config names another "
           "configuration");
  }
  const auto version = database.integer("PRAGMA user_version");
  const auto known = archive_schema().version();
  if (version > known)
    refuse(file, fmt::format("has version {}, written by a newer Millwright; this one knows "
                             "version {}: use the newer program",
                             version, known));
  if (version < known)
    refuse(file, fmt::format("has version {}, of an older Millwright; this one knows version {}: "
                             "start the daemon once, it migrates",
                             version, known));
}

}  // namespace

Database open_to_read(const std::filesystem::path& file) {
  try {
    Database database{file, Database::Access::read};
    require_known(database, file);
    return database;
  } catch (const StorageError& error) {
    if ((error.code() & 0xff) == SQLITE_NOTADB) refuse(file, "is not a Millwright archive");
    throw;
  }
}

}  // namespace millwright::storage
