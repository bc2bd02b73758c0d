#include "storage/alert_list.h"

#include <algorithm>

#include "storage/database.h"

namespace millwright::storage {
namespace {

constexpr const char* select_alerts = R"sql(
SELECT a.id, a.state, e.document
FROM alert AS a JOIN alert_event AS e ON e.id = a.id AND e.revision = a.revision
WHERE (?1 OR a.state <> 'cleared') AND (?2 = '' OR a.machine = ?2)
ORDER BY a.state = 'cleared', a.priority DESC, a.onset, a.id
)sql";

constexpr const char* select_events = R"sql(
SELECT time, document FROM alert_event WHERE id = ?1 ORDER BY revision
)sql";

constexpr const char* select_refused = R"sql(
SELECT time, command, by, text FROM operation WHERE alert = ?1 AND ok = 0 ORDER BY time, position
)sql";

}  // namespace

AlertList::AlertList(const std::filesystem::path& archive) : archive_(archive) {
  Database{archive_, Database::Access::read};
}

std::vector<ListedAlert> AlertList::alerts(bool all, std::string_view machine) const {
  Database database{archive_, Database::Access::read};
  auto rows = database.prepare(select_alerts);
  std::vector<ListedAlert> out;
  rows.start(all, machine);
  while (rows.next()) out.push_back({rows.text(0), rows.text(1), rows.text(2)});
  return out;
}

std::vector<AlertStep> AlertList::history(std::string_view id) const {
  Database database{archive_, Database::Access::read};
  std::vector<AlertStep> out;
  auto events = database.prepare(select_events);
  events.start(id);
  while (events.next())
    out.push_back({from_microseconds(events.integer(0)), events.text(1), "", "", ""});
  if (out.empty()) return out;
  auto refused = database.prepare(select_refused);
  refused.start(id);
  while (refused.next()) {
    out.push_back({from_microseconds(refused.integer(0)), "", refused.text(1), refused.text(2),
                   refused.text(3)});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const AlertStep& a, const AlertStep& b) { return a.time < b.time; });
  return out;
}

}  // namespace millwright::storage
