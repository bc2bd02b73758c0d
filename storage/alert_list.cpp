#include "storage/alert_list.h"

#include <algorithm>

#include "storage/reader.h"

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

constexpr const char* select_maintenance = R"sql(
SELECT command, machine, coalesce("from", time), coalesce("to", time), by, comment FROM operation
WHERE command IN ('maintenance_start', 'maintenance_stop') AND ok = 1 ORDER BY time, position
)sql";

// The minutes are looked up one by one: with time-first keys, a range would read all sensors.
constexpr const char* select_minutes = R"sql(
WITH RECURSIVE minutes(t) AS (
  SELECT ?3 UNION ALL SELECT t + ?5 FROM minutes WHERE t + ?5 <= ?4
)
SELECT s.t, s.n, s.mean, s.min, s.max
FROM minutes CROSS JOIN summary_minute AS s
WHERE s.t = minutes.t AND s.sensor_id = (SELECT id FROM sensor WHERE machine = ?1 AND sensor = ?2)
ORDER BY s.t
)sql";

// Characters that both begin with and both end with.
std::size_t likeness(std::string_view a, std::string_view b) {
  const auto begin = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto end = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return static_cast<std::size_t>((begin.first - a.begin()) + (end.first - a.rbegin()));
}

}  // namespace

AlertList::AlertList(const std::filesystem::path& archive) : archive_(archive) {
  open_to_read(archive_);
}

std::vector<ListedAlert> AlertList::alerts(bool all, std::string_view machine) const {
  auto database = open_to_read(archive_);
  auto rows = database.prepare(select_alerts);
  std::vector<ListedAlert> out;
  rows.start(all, machine);
  while (rows.next()) out.push_back({rows.text(0), rows.text(1), rows.text(2)});
  return out;
}

std::vector<AlertStep> AlertList::history(std::string_view id) const {
  auto database = open_to_read(archive_);
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

std::vector<std::string> AlertList::services(std::string_view machine, Timestamp from) const {
  auto database = open_to_read(archive_);
  auto rows = database.prepare(
      "SELECT document FROM service WHERE machine = ?1 AND serviced >= ?2 ORDER BY serviced");
  std::vector<std::string> out;
  rows.start(machine, from);
  while (rows.next()) out.push_back(rows.text(0));
  return out;
}

std::vector<Maintenance> AlertList::maintenance(Timestamp now) const {
  auto database = open_to_read(archive_);
  auto rows = database.prepare(select_maintenance);
  std::vector<Maintenance> out;
  rows.start();
  while (rows.next()) {
    const auto machine = rows.text(1);
    if (rows.text(0) == "maintenance_stop") {
      std::erase_if(out, [&](const Maintenance& one) { return one.machine == machine; });
    } else {
      out.push_back({machine, from_microseconds(rows.integer(2)),
                     from_microseconds(rows.integer(3)), rows.text(4), rows.text(5)});
    }
  }
  std::erase_if(out, [&](const Maintenance& one) { return one.to <= now; });
  std::stable_sort(out.begin(), out.end(),
                   [](const Maintenance& a, const Maintenance& b) { return a.from < b.from; });
  return out;
}

std::optional<Timestamp> AlertList::newest_time() const {
  auto database = open_to_read(archive_);
  auto rows = database.prepare(
      "SELECT max(t) FROM (SELECT max(t) AS t FROM summary_minute "
      "UNION ALL SELECT max(time) FROM operation) HAVING max(t) IS NOT NULL");
  rows.start();
  if (!rows.next()) return std::nullopt;
  return from_microseconds(rows.integer(0));
}

std::vector<std::string> AlertList::like(std::string_view id, std::size_t most) const {
  auto database = open_to_read(archive_);
  auto rows = database.prepare("SELECT id FROM alert ORDER BY onset DESC, id");
  std::vector<std::string> ids;
  rows.start();
  while (rows.next()) ids.push_back(rows.text(0));
  std::stable_sort(ids.begin(), ids.end(), [&](const std::string& a, const std::string& b) {
    return likeness(a, id) > likeness(b, id);
  });
  if (ids.size() > most) ids.resize(most);
  return ids;
}

std::vector<Minute> AlertList::minutes(std::string_view machine, std::string_view sensor,
                                       Timestamp from, Timestamp to, std::size_t most) const {
  using std::chrono::minutes;
  const auto first = std::chrono::floor<minutes>(from);
  const auto wanted = std::chrono::ceil<minutes>(to - first) / minutes{1} + 1;
  const auto step =
      minutes{1} * std::max<std::int64_t>(1, (wanted + static_cast<std::int64_t>(most) - 1) /
                                                 static_cast<std::int64_t>(most));
  auto database = open_to_read(archive_);
  auto rows = database.prepare(select_minutes);
  std::vector<Minute> out;
  rows.start(machine, sensor, Timestamp{first}, to, Duration{step});
  while (rows.next()) {
    out.push_back({from_microseconds(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1)),
                   rows.real(2), rows.real(3), rows.real(4)});
  }
  return out;
}

}  // namespace millwright::storage
