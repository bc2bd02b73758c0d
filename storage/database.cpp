#include "storage/database.h"

#include <fmt/format.h>

#include <cstring>

namespace millwright::storage {
namespace {

std::string reason(sqlite3* database, int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another process keeps it locked";
    case SQLITE_FULL:
      return "the disk is full";
    case SQLITE_READONLY:
      return "it is read-only";
    case SQLITE_CORRUPT:
      return "it is damaged";
    case SQLITE_NOTADB:
      return "it is not an SQLite database";
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM: {
      const int error = sqlite3_system_errno(database);
      return error == 0 ? "the disk reports an error" : std::strerror(error);
    }
    default:
      return "SQLite refuses";
  }
}

[[noreturn]] void fail(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_extended_errcode(database);
  const char* file = sqlite3_db_filename(database, "main");
  throw StorageError(fmt::format("cannot {} the archive {}: {} ({}, SQLite code {})", doing,
                                 file != nullptr ? file : "", reason(database, code),
                                 sqlite3_errmsg(database), code),
                     code);
}

}  // namespace

bool is_damage(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

// The index of the log is made on the disk as well.
bool is_full(int code) { return (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE; }
bool is_refusal(int code) { return (code & 0xff) == SQLITE_MISMATCH; }

Statement::Statement(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) fail(database, "use");
  handle_.reset(handle);
}

bool Statement::next() {
  sqlite3_stmt* handle = handle_.get();
  const int code = sqlite3_step(handle);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    sqlite3* database = sqlite3_db_handle(handle);
    const bool reads = sqlite3_stmt_readonly(handle) != 0;
    try {
      fail(database, reads ? "read" : "write");
    } catch (...) {
      reset();  // after the error was told: resetting may change it
      throw;
    }
  }
  reset();
  return false;
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return size == 0 ? std::string{} : std::string{static_cast<const char*>(bytes), size};
}

void Statement::run_with(const Statement& row) {
  reset();
  const int count = sqlite3_bind_parameter_count(handle_.get());
  for (int i = 0; i < count; ++i)
    bound(sqlite3_bind_value(handle_.get(), i + 1, sqlite3_column_value(row.handle_.get(), i)));
  while (next()) {
  }
}

void Statement::bind(int place, std::string_view value) {
  // A null pointer would bind NULL instead of the empty text.
  const char* bytes = value.data() == nullptr ? "" : value.data();
  bound(sqlite3_bind_text64(handle_.get(), place, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind(int place, Blob value) {
  const char* bytes = value.bytes.data() == nullptr ? "" : value.bytes.data();
  bound(sqlite3_bind_blob64(handle_.get(), place, bytes, value.bytes.size(), SQLITE_STATIC));
}

void Statement::bound(int code) {
  if (code != SQLITE_OK) fail(sqlite3_db_handle(handle_.get()), "use");
}

Database::Database(const std::filesystem::path& file, Access access) {
  sqlite3* handle = nullptr;
  const int how =
      access == Access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(file.c_str(), &handle,
                                   how | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) {
    if (handle == nullptr) throw StorageError("not enough memory to open the archive", code);
    throw StorageError(
        fmt::format("cannot open the archive {}: {} ({}, SQLite code {})", file.string(),
                    reason(handle, code), sqlite3_errmsg(handle), code),
        code);
  }
  sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout.count()));
}

void Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(handle_.get(), "use");
}

std::int64_t Database::integer(std::string_view sql) { return prepare(sql).value().value_or(0); }

std::string Database::text(std::string_view sql) {
  Statement statement = prepare(sql);
  statement.start();
  return statement.next() ? statement.text(0) : std::string{};
}

void Database::distrust() {
  execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0");
}

void Database::keep_log_on_close(bool keep) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  // After some errors SQLite has rolled back by itself. An error of ROLLBACK itself leaves nothing
  // to do: the next BEGIN would tell of it.
  if (database_.in_transaction())
    sqlite3_exec(database_.handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() { database_.execute("COMMIT"); }

}  // namespace millwright::storage
