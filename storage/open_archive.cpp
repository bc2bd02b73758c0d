// Opening an archive: whose file it is, whether it is whole, which version it has, and the settings
// of the connection.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

#include "storage/files.h"
#include "storage/schema.h"

namespace millwright::storage {
namespace fs = std::filesystem;
namespace {

// Larger files are not read through at start, so that starting stays fast; damage in them shows
// when it is touched.
constexpr std::uintmax_t largest_checked_at_open = 64U << 20U;

[[noreturn]] void refuse_foreign(const fs::path& file) {
  throw StorageError(fmt::format("{} is not a Millwright archive but another SQLite database; it "
                                 "was not touched: name another file",
                                 file.string()),
                     SQLITE_MISMATCH);
}

// Reads the application id from the bytes: to open somebody else's database could already roll back
// its journal. 0 when there is no SQLite database.
std::uint32_t id_in_header(const fs::path& file) {
  constexpr std::string_view signature{"SQLite format 3\0", 16};
  constexpr std::size_t id_at = 68;
  if (!fs::exists(file)) return 0;
  std::array<char, id_at + 4> header{};
  if (File{file, O_RDONLY}.read(header.data(), header.size(), 0) != header.size()) return 0;
  if (std::string_view{header.data(), signature.size()} != signature) return 0;
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < 4; ++i) id = id << 8U | static_cast<unsigned char>(header[id_at + i]);
  return id;
}

void refuse_foreign_header(const fs::path& file) {
  const auto id = id_in_header(file);
  if (id != 0 && id != static_cast<std::uint32_t>(application_id)) refuse_foreign(file);
}

// SQLite would only say that it cannot open the file: beside it, a log and an index are made.
void require_writable(const fs::path& file) {
  const auto parent = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  for (const auto& path : {parent, file})
    if (path == parent || fs::exists(path))
      if (::access(path.c_str(), W_OK) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot write to " + path.string());
}

// True for an empty file.
bool identify(Database& database, const fs::path& file, const Schema& schema) {
  const auto id = database.integer("PRAGMA application_id");
  const auto version = database.integer("PRAGMA user_version");
  if (id != application_id) {
    if (id != 0 || version != 0 || database.integer("SELECT count(*) FROM sqlite_schema") != 0)
      refuse_foreign(file);
    return true;
  }
  if (version > schema.version())
    throw StorageError(
        fmt::format("the archive {} has version {}, written by a newer Millwright; this one knows "
                    "versions up to {}: use the newer program, or name another file",
                    file.string(), version, schema.version()),
        SQLITE_MISMATCH);
  return false;
}

// A sector that cannot be read shows in the verdict, not as an error; the next time it may be
// readable.
bool says_unreadable(std::string_view verdict) {
  constexpr std::string_view mark = "error code=";
  const auto at = verdict.rfind(mark);
  if (at == verdict.npos) return false;
  int code = 0;
  const auto digits = verdict.substr(at + mark.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), code);
  return (code & 0xff) == SQLITE_IOERR;
}

void require_whole(Database& database, const fs::path& file) {
  if (fs::file_size(file) > largest_checked_at_open) return;
  auto verdict = database.text("PRAGMA quick_check(1)");
  for (int again = 0; again < tries_to_read && says_unreadable(verdict); ++again)
    verdict = database.text("PRAGMA quick_check(1)");
  if (verdict != "ok")
    throw StorageError(fmt::format("the archive {} is damaged: {}", file.string(), verdict),
                       SQLITE_CORRUPT);
}

void configure(Database& database) {
  database.distrust();
  // foreign_keys guards alert events.
  database.execute("PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864");
}

}  // namespace

bool says_it_is_ours(const fs::path& file) {
  return id_in_header(file) == static_cast<std::uint32_t>(application_id);
}

Database open_archive(const fs::path& file, const Schema& schema) {
  try {
    require_writable(file);
    refuse_foreign_header(file);
    Database database{file};
    database.keep_log_on_close(true);
    configure(database);
    const bool fresh = identify(database, file, schema);
    if (!fresh) require_whole(database, file);
    migrate(database, file, schema);
    // After migrating: so the header of a new file says from the first transaction on that it is
    // ours.
    const auto mode = database.text("PRAGMA journal_mode = WAL");
    if (mode != "wal")
      throw StorageError(
          fmt::format("the archive {} cannot use a write-ahead log; is it on a network drive?",
                      file.string()),
          SQLITE_CANTOPEN);
    database.keep_log_on_close(false);
    return database;
  } catch (const std::system_error& error) {
    throw StorageError(fmt::format("cannot open the archive {}: {}", file.string(), error.what()),
                       SQLITE_CANTOPEN);
  }
}

}  // namespace millwright::storage
