// SQLite's handles with an owner: connection, prepared statement, transaction. Every error becomes
// a StorageError that says which file, what was being done and why it failed. Thread rule: one
// thread per connection.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "storage/archive.h"

namespace millwright::storage {

// Bytes that are no text, as a parameter of a statement.
struct Blob {
  std::string_view bytes;
};

class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);

  // Binds the parameters from the first on; they are borrowed until the statement is started again
  // or reset.
  template <class... T>
  void start(const T&... parameters) {
    reset();
    int place = 0;
    (bind(++place, parameters), ...);
  }
  // The next row is there? After the last one the statement is reset.
  bool next();
  void reset() { sqlite3_reset(handle_.get()); }

  // A statement whose rows, if any, do not matter.
  template <class... T>
  void run(const T&... parameters) {
    start(parameters...);
    while (next()) {
    }
  }
  // Likewise; its parameters are the first columns of another statement's current row.
  void run_with(const Statement& row);
  // The first column of the first row, if there is a row.
  template <class... T>
  std::optional<std::int64_t> value(const T&... parameters) {
    start(parameters...);
    if (!next()) return std::nullopt;
    const auto result = integer(0);
    reset();
    return result;
  }

  // Columns of the current row, from 0.
  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  double real(int column) const { return sqlite3_column_double(handle_.get(), column); }
  bool is_null(int column) const {
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
  }
  std::string text(int column) const;  // also of a blob or a number
  int columns() const { return sqlite3_column_count(handle_.get()); }

 private:
  template <std::integral T>
  void bind(int place, T value) {
    bound(sqlite3_bind_int64(handle_.get(), place, static_cast<std::int64_t>(value)));
  }
  void bind(int place, Timestamp value) { bind(place, to_microseconds(value)); }
  void bind(int place, Duration value) { bind(place, value.count()); }
  template <class T>
  void bind(int place, const std::optional<T>& value) {
    if (value)
      bind(place, *value);
    else
      bound(sqlite3_bind_null(handle_.get(), place));
  }
  void bind(int place, double value) { bound(sqlite3_bind_double(handle_.get(), place, value)); }
  void bind(int place, std::string_view value);
  void bind(int place, Blob value);
  void bound(int code);

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
 public:
  enum class Access : std::uint8_t { write, read };
  // Opens; to write, creates a file that is not there. Waits at most `busy_timeout` for locks of
  // other processes.
  explicit Database(const std::filesystem::path& file, Access access = Access::write);

  Statement prepare(std::string_view sql) { return {handle_.get(), sql}; }
  void execute(const std::string& sql);  // one statement or many
  std::int64_t integer(std::string_view sql);
  std::string text(std::string_view sql);
  // Rows that the last INSERT, UPDATE or DELETE changed.
  int changes() const { return sqlite3_changes(handle_.get()); }
  bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  // For a file that may be damaged: what it says of itself is checked, and a sector that cannot be
  // read is an error code instead of a signal.
  void distrust();
  // Closing leaves the write-ahead log as it is: for a file that may belong to someone else.
  void keep_log_on_close(bool keep);

  static constexpr std::chrono::milliseconds busy_timeout{2000};

 private:
  friend class Transaction;
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

// Rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
};

// Is this SQLite code the sign of a damaged file (and not of a full or failing disk)?
bool is_damage(int code);

}  // namespace millwright::storage
