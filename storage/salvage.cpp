#include "storage/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millwright::storage {
namespace {

// A plant's alerts of years; read and written within a second or two.
constexpr std::int64_t most_rows = 20'000;
constexpr std::int64_t largest_number = std::int64_t{1} << 53U;

bool does_not_fit(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CONSTRAINT || primary == SQLITE_MISMATCH;
}

class Salvage {
 public:
  Salvage(Database& fresh, const std::filesystem::path& damaged)
      : fresh_(fresh), damaged_{damaged, Database::Access::read} {
    damaged_.distrust();
  }

  // From both ends: what is damaged may lie in the middle. A row that both reach is known.
  void copy(const std::string& table) {
    const auto columns = columns_of(table);
    if (columns.empty()) return;
    const auto list = fmt::format("{}", fmt::join(columns, ", "));
    std::vector<std::string> places(columns.size(), "?");
    Statement insert = fresh_.prepare(fmt::format("INSERT OR IGNORE INTO {} ({}) VALUES ({})",
                                                  table, list, fmt::join(places, ", ")));
    auto left = most_rows;
    for (const auto* order : {"DESC", "ASC"}) {
      auto rows = read([&] {
        return damaged_.prepare(
            fmt::format("SELECT {} FROM {} ORDER BY rowid {}", list, table, order));
      });
      if (!rows) return;
      const auto next = [&] { return read([&] { return rows->next(); }); };
      auto there = next();
      for (; there.value_or(false); there = next()) {
        if (left-- == 0) {
          whole_ = false;
          return;
        }
        put(insert, *rows);
      }
      if (there) return;  // its end
    }
  }

  // The numbers of the outbox go on, also where its newest rows cannot be read: others know them.
  // One that damage made too large would leave none for the rows to come.
  void continue_numbers() {
    const auto last = read([&] {
      return damaged_.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").value();
    });
    fresh_.prepare("DELETE FROM outbox WHERE sequence NOT BETWEEN 1 AND ?1").run(largest_number);
    auto number = fresh_.integer("SELECT max(sequence) FROM outbox");
    if (last && *last && **last <= largest_number) number = std::max(number, **last);
    fresh_.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'");
    fresh_.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?1)").run(number);
  }

  bool whole() const { return whole_; }

 private:
  // Of the damaged file; what cannot be read is known by `whole`.
  template <class Work>
  auto read(Work work) -> std::optional<decltype(work())> {
    try {
      return work();
    } catch (const StorageError&) {
      whole_ = false;
      return std::nullopt;
    }
  }

  // Those that both have: the damaged file may be of an older version.
  std::vector<std::string> columns_of(const std::string& table) {
    const auto all = [&](Database& database) {
      std::vector<std::string> names;
      auto rows = database.prepare("SELECT '\"' || name || '\"' FROM pragma_table_info(?1)");
      rows.start(table);
      while (rows.next()) names.push_back(rows.text(0));
      return names;
    };
    const auto there = read([&] { return all(damaged_); });
    if (!there) return {};
    auto columns = all(fresh_);
    std::erase_if(columns, [&](const std::string& name) {
      return std::find(there->begin(), there->end(), name) == there->end();
    });
    return columns;
  }

  void put(Statement& insert, const Statement& row) {
    try {
      insert.run_with(row);
    } catch (const StorageError& error) {
      if (!does_not_fit(error.code())) throw;
      whole_ = false;
    }
  }

  Database& fresh_;
  Database damaged_;
  bool whole_ = true;
};

}  // namespace

Salvaged salvage(Database& fresh, const std::filesystem::path& damaged) {
  Salvage from{fresh, damaged};
  Transaction transaction{fresh};
  from.copy("alert");
  from.copy("alert_event");
  // A row whose bytes make no sense is published by nobody.
  fresh.execute(
      "DELETE FROM alert_event WHERE NOT json_valid(document);"
      "DELETE FROM alert WHERE id NOT IN (SELECT id FROM alert_event)");
  from.copy("outbox");
  fresh.execute(
      "DELETE FROM outbox WHERE alert_id <> '' AND NOT EXISTS (SELECT 1 FROM alert_event AS e "
      "WHERE e.id = outbox.alert_id AND e.revision = outbox.revision)");
  from.continue_numbers();
  for (const auto* table : {"baseline", "operation", "service"}) from.copy(table);
  Salvaged salvaged;
  salvaged.alerts = static_cast<std::size_t>(fresh.integer("SELECT count(*) FROM alert"));
  salvaged.messages = static_cast<std::size_t>(fresh.integer("SELECT count(*) FROM outbox"));
  salvaged.whole = from.whole();
  transaction.commit();
  return salvaged;
}

}  // namespace millwright::storage
