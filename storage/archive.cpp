// What a commit writes, and what is read back. Opening: open_archive.cpp; tables: migrations.cpp;
// views: views.cpp.
#include "storage/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "core/hash.h"
#include "storage/database.h"
#include "storage/files.h"
#include "storage/retention.h"
#include "storage/salvage.h"
#include "storage/schema.h"

namespace millwright::storage {
namespace fs = std::filesystem;
namespace {

struct SensorName {
  std::string_view machine, sensor;
};

struct SensorKey {
  std::string machine, sensor;
};

struct SensorHash {
  using is_transparent = void;
  std::size_t operator()(const SensorName& name) const {
    return hash64(name.sensor, hash64(name.machine));
  }
  std::size_t operator()(const SensorKey& key) const {
    return (*this)(SensorName{key.machine, key.sensor});
  }
};

struct SensorEqual {
  using is_transparent = void;
  bool operator()(const auto& a, const auto& b) const {
    return a.machine == b.machine && a.sensor == b.sensor;
  }
};

// The archive's number of every sensor met so far, so that a summary costs one look-up in memory.
class Sensors {
 public:
  explicit Sensors(Database& database)
      : find_(database.prepare("SELECT id, unit FROM sensor WHERE machine = ?1 AND sensor = ?2")),
        insert_(database.prepare(
            "INSERT INTO sensor (machine, sensor, unit) VALUES (?1, ?2, ?3) RETURNING id")),
        set_unit_(database.prepare("UPDATE sensor SET unit = ?2 WHERE id = ?1")) {}

  // Inside a transaction: adds the sensor, or corrects its unit, where needed.
  std::int64_t id(const SummaryRow& row) {
    auto known = known_.find(SensorName{row.machine, row.sensor});
    if (known == known_.end()) known = load(row);
    auto& [key, sensor] = *known;
    if (sensor.unit != row.unit) {
      set_unit_.run(sensor.id, row.unit);
      sensor.unit = row.unit;
    }
    return sensor.id;
  }

  // After a rollback: what was added in the transaction is not in the file.
  void forget() { known_.clear(); }

 private:
  struct Known {
    std::int64_t id = 0;
    std::string unit;
  };
  using Map = std::unordered_map<SensorKey, Known, SensorHash, SensorEqual>;

  Map::iterator load(const SummaryRow& row) {
    Known known;
    find_.start(row.machine, row.sensor);
    if (find_.next()) {
      known = {find_.integer(0), find_.text(1)};
      find_.reset();
    } else {
      known = {insert_.value(row.machine, row.sensor, row.unit).value(), std::string{row.unit}};
    }
    return known_.emplace(SensorKey{std::string{row.machine}, std::string{row.sensor}}, known)
        .first;
  }

  Map known_;
  Statement find_, insert_, set_unit_;
};

constexpr const char* upsert_summary = R"sql(
INSERT INTO summary_minute (t, sensor_id, n, mean, m2, min, max, first, last, quality)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (t, sensor_id) DO UPDATE SET
  n = n + excluded.n,
  mean = mean + (excluded.mean - mean) * excluded.n / (n + excluded.n),
  m2 = m2 + excluded.m2
       + (excluded.mean - mean) * (excluded.mean - mean) * n * excluded.n / (n + excluded.n),
  min = min(min, excluded.min),
  max = max(max, excluded.max),
  last = excluded.last,
  quality = quality | excluded.quality
)sql";

constexpr const char* upsert_alert = R"sql(
INSERT INTO alert (id, revision, state, acknowledged, class, kind, severity, priority,
                   machine, sensor, unit, onset, time, cleared)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (id) DO UPDATE SET
  revision = excluded.revision, state = excluded.state, acknowledged = excluded.acknowledged,
  class = excluded.class, kind = excluded.kind, severity = excluded.severity,
  priority = excluded.priority, machine = excluded.machine, sensor = excluded.sensor,
  unit = excluded.unit, onset = excluded.onset, time = excluded.time, cleared = excluded.cleared
WHERE excluded.revision > alert.revision
)sql";

constexpr const char* insert_event = R"sql(
INSERT INTO alert_event (id, revision, event, state, severity, priority, time,
                         value, expected, low, high, score, message, lane, position, document)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
ON CONFLICT (id, revision) DO NOTHING
)sql";

// Its end is part of the key: a state that was lost begins with version 1 again.
constexpr const char* insert_baseline = R"sql(
INSERT INTO baseline (machine, sensor, detector, version, until, reason, since, learned, confidence,
                      detector_version, config, lane, position, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (machine, sensor, detector, version, until) DO NOTHING
)sql";

// A machine whose clock stands still may be told of twice at one time: the later word counts.
constexpr const char* upsert_health = R"sql(
INSERT INTO health (machine, t, health, trend_per_day, reaches_limit, earliest, latest, confidence,
                    baseline, lane, position, document)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (machine, t) DO UPDATE SET
  health = excluded.health, trend_per_day = excluded.trend_per_day,
  reaches_limit = excluded.reaches_limit, earliest = excluded.earliest, latest = excluded.latest,
  confidence = excluded.confidence, baseline = excluded.baseline, lane = excluded.lane,
  position = excluded.position, document = excluded.document
)sql";

constexpr const char* select_health = R"sql(
SELECT machine, document FROM health AS h
WHERE t = (SELECT max(t) FROM health WHERE machine = h.machine) ORDER BY machine
)sql";

// The time is part of the key, because positions begin anew when the journal was lost.
constexpr const char* insert_operation = R"sql(
INSERT INTO operation (time, command, by, comment, machine, sensor, alert, "from", "to", ok, text,
                       lane, position)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (time, lane, position) DO NOTHING
)sql";

constexpr const char* insert_service = R"sql(
INSERT INTO service (machine, serviced, time, helped, message, lane, position, document)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (machine, serviced) DO NOTHING
)sql";

constexpr const char* insert_outbox = R"sql(
INSERT INTO outbox (topic, payload, retain, priority, alert_id, revision, expiry, correlation)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING sequence
)sql";

constexpr const char* select_outbox = R"sql(
SELECT sequence, topic, payload, retain, priority, alert_id, revision, expiry, correlation
FROM outbox WHERE sequence > ?2 ORDER BY sequence LIMIT ?1
)sql";

constexpr const char* select_open = R"sql(
SELECT a.id, a.machine, a.sensor, a.kind, e.document, a.revision,
       a.id IN (SELECT alert_id FROM outbox)
FROM alert AS a JOIN alert_event AS e ON e.id = a.id AND e.revision = a.revision
WHERE a.state <> 'cleared' ORDER BY a.priority DESC, a.onset, a.id
)sql";

constexpr const char* select_after = R"sql(
SELECT a.id, a.revision, e.event, a.state, a.acknowledged, a.kind, a.severity, a.priority,
       a.machine, a.sensor, a.unit, a.onset, a.time, a.cleared, e.value, e.expected, e.low, e.high,
       e.score, e.message, e.position
FROM alert AS a JOIN alert_event AS e ON e.id = a.id AND e.revision = a.revision
WHERE e.lane = ?1 AND e.position > ?2 AND (?2 > 0 OR a.state <> 'cleared') ORDER BY e.position, a.id
)sql";

// The value of that name; the first one where a later version's name is not known.
template <class Named>
Named named(std::string_view name, Named last) {
  for (auto value = Named{}; value <= last;
       value = static_cast<Named>(static_cast<std::uint8_t>(value) + 1)) {
    if (name_of(value) == name) return value;
  }
  return Named{};
}

// What a batch takes of the file at most, in bytes: rows with their place in the tree and its
// index.
std::uint64_t room_for(const Batch& batch) {
  constexpr std::uint64_t pages = 65'536, minute = 100, row = 1024;
  auto bytes = pages + minute * batch.summaries.size();
  for (const auto& one : batch.alerts)
    bytes += row + one.document.size() + one.alert.message.size();
  for (const auto& one : batch.baselines) bytes += row + one.baseline.state.size();
  for (const auto& one : batch.health) bytes += row + one.document.size();
  for (const auto& one : batch.operations) bytes += row + one.operation.text.size();
  for (const auto& one : batch.services) bytes += row + one.document.size();
  for (const auto& one : batch.outbox) bytes += row + one.payload.size();
  return bytes;
}

using RecordKey = std::pair<std::uint32_t, Position>;         // lane, position
using EventKey = std::pair<std::string_view, std::uint32_t>;  // alert id, revision

// An open archive with its statements.
class Session {
 public:
  Session(const fs::path& file, Database database, const Bounds& bounds)
      : database_(std::move(database)),
        retention_(database_, bounds),
        log_(file.native() + "-wal"),
        most_log_(bounds.log_bytes) {}

  // Within the bound: at it, older rows make room.
  Committed commit(const Batch& batch);
  void trim();
  void hold_size(bool hold);
  std::uint64_t size() { return retention_.size(); }
  const Removed& removed() const { return retention_.removed(); }
  std::vector<OutboxRow> outbox(std::size_t limit, std::uint64_t after);
  std::uint64_t outbox_size() {
    return static_cast<std::uint64_t>(database_.integer("SELECT count(*) FROM outbox"));
  }
  std::vector<Archive::OpenAlert> open_alerts();
  std::vector<Alert> alerts_after(std::uint32_t lane, Position position);
  std::vector<Archive::KnownHealth> newest_health();
  std::optional<Position> applied(std::uint32_t lane);
  void forget_positions() { database_.execute("DELETE FROM lane_position"); }

 private:
  void set_synchronous(bool full);
  void require_short_log();
  bool work_off_log();
  bool is_at_its_bound(const Batch& batch);
  Committed write(const Batch& batch);
  void write_summaries(const std::vector<SummaryRow>& rows);
  std::set<EventKey> write_alerts(const std::vector<AlertRow>& rows);
  void write_baselines(const std::vector<BaselineRow>& rows);
  void write_health(const std::vector<HealthRow>& rows);
  std::set<RecordKey> write_operations(const std::vector<OperationRow>& rows);
  void write_services(const std::vector<ServiceRow>& rows, std::set<RecordKey>& repeated);
  std::vector<OutboxRow> write_outbox(const std::vector<OutboxRow>& rows,
                                      const std::set<EventKey>& fresh,
                                      const std::set<RecordKey>& repeated);

  Database database_;
  Retention retention_;
  const fs::path log_;
  const std::uint64_t most_log_;
  std::optional<bool> full_;
  Sensors sensors_{database_};
  Statement upsert_summary_ = database_.prepare(upsert_summary);
  Statement upsert_alert_ = database_.prepare(upsert_alert);
  Statement insert_event_ = database_.prepare(insert_event);
  Statement find_event_ =
      database_.prepare("SELECT 1 FROM alert_event WHERE id = ?1 AND revision = ?2");
  Statement insert_baseline_ = database_.prepare(insert_baseline);
  Statement insert_operation_ = database_.prepare(insert_operation);
  Statement insert_service_ = database_.prepare(insert_service);
  Statement upsert_health_ = database_.prepare(upsert_health);
  Statement select_health_ = database_.prepare(select_health);
  Statement insert_outbox_ = database_.prepare(insert_outbox);
  Statement delete_outbox_ = database_.prepare("DELETE FROM outbox WHERE sequence = ?1");
  Statement select_outbox_ = database_.prepare(select_outbox);
  Statement select_open_ = database_.prepare(select_open);
  Statement select_after_ = database_.prepare(select_after);
  Statement select_position_ =
      database_.prepare("SELECT position FROM lane_position WHERE lane = ?1");
  // Never backwards: a batch that is replayed may end before what is already in the file.
  Statement set_position_ = database_.prepare(
      "INSERT INTO lane_position (lane, position) VALUES (?1, ?2) "
      "ON CONFLICT (lane) DO UPDATE SET position = max(position, excluded.position)");
};

void Session::set_synchronous(bool full) {
  if (full_ == full) return;
  database_.execute(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  full_ = full;
}

// A log that has been worked off whole begins anew with the next transaction, and is cut.
void Session::require_short_log() {
  std::error_code none;
  const auto size = fs::file_size(log_, none);
  if (none || size <= most_log_) return;
  if (work_off_log()) return;
  throw StorageError(fmt::format("the log of the archive, {}, has grown to {} MB, because another "
                                 "program keeps reading the archive: end that program",
                                 log_.string(), size / 1'000'000),
                     SQLITE_BUSY);
}

// Whole? Without waiting for readers.
bool Session::work_off_log() {
  auto checkpoint = database_.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  checkpoint.start();
  const bool whole = checkpoint.next() && checkpoint.integer(1) == checkpoint.integer(2);
  checkpoint.reset();
  return whole;
}

// And not, or not only, at the end of its disk.
bool Session::is_at_its_bound(const Batch& batch) {
  if (retention_.holds()) return true;
  const auto wanted = room_for(batch);
  std::error_code unknown;
  const auto space = fs::space(log_.parent_path(), unknown);
  return retention_.is_near(2 * wanted) && (unknown || space.available > 4 * wanted);
}

Committed Session::commit(const Batch& batch) {
  require_short_log();
  const auto written = [&]() -> std::optional<Committed> {
    try {
      return write(batch);
    } catch (const StorageError& error) {
      if (!is_full(error.code()) || !is_at_its_bound(batch)) throw;
      return std::nullopt;
    }
  };
  if (auto done = written()) return *std::move(done);
  set_synchronous(false);
  if (retention_.holds()) work_off_log();
  // Rows that go between others can take many times their size: pages are split for them.
  for (auto bytes = room_for(batch); retention_.make_room(bytes); bytes *= 2) {
    if (auto done = written()) return *std::move(done);
    set_synchronous(false);
  }
  // A disk that is full may have room again.
  while (!retention_.holds() && retention_.remove_messages()) {
    if (auto done = written()) return *std::move(done);
    set_synchronous(false);
  }
  return write(batch);
}

// Of what is in the log, pages behind the end of the file must still find their place.
void Session::hold_size(bool hold) {
  if (hold) work_off_log();
  retention_.hold_size(hold);
}

// What a power cut brings back is removed again.
void Session::trim() {
  set_synchronous(false);
  retention_.trim();
}

Committed Session::write(const Batch& batch) {
  set_synchronous(!batch.alerts.empty() || !batch.baselines.empty() || !batch.operations.empty() ||
                  !batch.services.empty() || !batch.outbox.empty());
  try {
    Transaction transaction{database_};
    Committed committed;
    write_summaries(batch.summaries);
    write_baselines(batch.baselines);
    write_health(batch.health);
    auto repeated = write_operations(batch.operations);
    write_services(batch.services, repeated);
    committed.outbox = write_outbox(batch.outbox, write_alerts(batch.alerts), repeated);
    for (const auto sequence : batch.delivered) delete_outbox_.run(sequence);
    for (const auto& through : batch.through) set_position_.run(through.first, through.second);
    transaction.commit();
    return committed;
  } catch (...) {
    sensors_.forget();
    throw;
  }
}

void Session::write_summaries(const std::vector<SummaryRow>& rows) {
  struct Placed {
    Timestamp time;
    std::int64_t sensor;
    const Summary* summary;
    bool operator<(const Placed& other) const {
      return std::tie(time, sensor) < std::tie(other.time, other.sensor);
    }
  };
  std::map<std::uint32_t, std::optional<Position>> applied_to;
  std::vector<Placed> placed;
  placed.reserve(rows.size());
  for (const auto& row : rows) {
    auto lane = applied_to.find(row.lane);
    if (lane == applied_to.end()) lane = applied_to.emplace(row.lane, applied(row.lane)).first;
    if (lane->second && row.summary.position <= *lane->second) continue;
    if (row.summary.count == 0) continue;  // nothing to merge, and it has no mean
    placed.push_back({row.summary.minute, sensors_.id(row), &row.summary});
  }
  // In the order of the key, pages are filled one after another. Stable: parts of one minute merge
  // in their order.
  if (!std::is_sorted(placed.begin(), placed.end())) std::stable_sort(placed.begin(), placed.end());
  for (const auto& [time, sensor, summary] : placed) {
    const Summary& s = *summary;
    upsert_summary_.run(time, sensor, s.count, s.mean, s.m2, s.min, s.max, s.first, s.last,
                        s.quality);
  }
}

// The events that were not yet in the file.
std::set<EventKey> Session::write_alerts(const std::vector<AlertRow>& rows) {
  std::set<EventKey> fresh;
  for (const auto& row : rows) {
    const Alert& a = row.alert;
    upsert_alert_.run(a.id, a.revision, name_of(a.state), a.acknowledged, name_of(a.alert_class()),
                      name_of(a.kind), name_of(a.severity), a.priority, a.machine, a.sensor, a.unit,
                      a.onset, a.time, a.cleared);
    insert_event_.run(a.id, a.revision, name_of(a.event), name_of(a.state), name_of(a.severity),
                      a.priority, a.time, a.value, a.expected, a.low, a.high, a.score, a.message,
                      row.lane, a.position, row.document);
    if (database_.changes() > 0) fresh.emplace(a.id, a.revision);
  }
  return fresh;
}

void Session::write_baselines(const std::vector<BaselineRow>& rows) {
  for (const auto& row : rows) {
    const auto& b = row.baseline;
    const std::optional<Blob> state = b.state.empty() ? std::nullopt : std::optional{Blob{b.state}};
    insert_baseline_.run(b.machine, b.sensor, b.detector, b.version, b.until, name_of(b.why),
                         b.since, b.learned, b.confidence, b.detector_version,
                         fmt::format("{:016x}", b.configuration), row.lane, b.position, state);
  }
}

void Session::write_health(const std::vector<HealthRow>& rows) {
  for (const auto& row : rows) {
    const auto& h = row.health;
    const auto& f = h.forecast;
    upsert_health_.run(h.machine, h.time, h.index, h.trend,
                       f ? std::optional{f->reaches} : std::nullopt,
                       f ? std::optional{f->earliest} : std::nullopt, f ? f->latest : std::nullopt,
                       h.confidence, h.baseline, row.lane, h.position, row.document);
  }
}

// Those that were in the file already.
std::set<RecordKey> Session::write_operations(const std::vector<OperationRow>& rows) {
  std::set<RecordKey> repeated;
  for (const auto& row : rows) {
    const auto& o = row.operation;
    insert_operation_.run(o.time, o.command, o.by, o.comment, o.machine, o.sensor, o.alert, o.from,
                          o.to, o.ok, o.text, row.lane, o.position);
    if (database_.changes() == 0) repeated.emplace(row.lane, o.position);
  }
  return repeated;
}

void Session::write_services(const std::vector<ServiceRow>& rows, std::set<RecordKey>& repeated) {
  for (const auto& row : rows) {
    const auto& o = row.outcome;
    insert_service_.run(o.machine, o.serviced, o.time, name_of(o.helped), o.message, row.lane,
                        o.position, row.document);
    if (database_.changes() == 0) repeated.emplace(row.lane, o.position);
  }
}

std::vector<OutboxRow> Session::write_outbox(const std::vector<OutboxRow>& rows,
                                             const std::set<EventKey>& fresh,
                                             const std::set<RecordKey>& repeated) {
  std::vector<OutboxRow> added;
  for (const auto& row : rows) {
    const bool replayed = !row.alert_id.empty() && !fresh.contains({row.alert_id, row.revision}) &&
                          find_event_.value(row.alert_id, row.revision).has_value();
    if (replayed || (row.answers && repeated.contains(*row.answers))) continue;
    const auto sequence =
        insert_outbox_.value(row.topic, Blob{row.payload}, row.retain, row.priority, row.alert_id,
                             row.revision, row.expiry, Blob{row.correlation});
    added.push_back(row);
    added.back().sequence = static_cast<std::uint64_t>(sequence.value());
  }
  return added;
}

std::vector<OutboxRow> Session::outbox(std::size_t limit, std::uint64_t after) {
  std::vector<OutboxRow> rows;
  auto& s = select_outbox_;
  s.start(limit, after);
  while (s.next())
    rows.push_back({static_cast<std::uint64_t>(s.integer(0)), s.text(1), s.text(2),
                    s.integer(3) != 0, static_cast<int>(s.integer(4)), s.text(5),
                    static_cast<std::uint32_t>(s.integer(6)), Duration{s.integer(7)}, s.text(8)});
  return rows;
}

std::vector<Archive::OpenAlert> Session::open_alerts() {
  std::vector<Archive::OpenAlert> alerts;
  auto& s = select_open_;
  s.start();
  while (s.next())
    alerts.push_back({s.text(0), s.text(1), s.text(2), s.text(3), s.text(4),
                      static_cast<std::uint32_t>(s.integer(5)), s.integer(6) != 0});
  return alerts;
}

std::vector<Alert> Session::alerts_after(std::uint32_t lane, Position position) {
  std::vector<Alert> alerts;
  auto& s = select_after_;
  const auto number = [&](int column) {
    return s.is_null(column) ? std::numeric_limits<double>::quiet_NaN() : s.real(column);
  };
  s.start(lane, position);
  while (s.next()) {
    Alert& a = alerts.emplace_back();
    a.id = s.text(0);
    a.revision = static_cast<std::uint32_t>(s.integer(1));
    a.event = named(s.text(2), AlertEvent::commented);
    a.state = named(s.text(3), AlertState::cleared);
    a.acknowledged = s.integer(4) != 0;
    a.kind = named(s.text(5), AlertKind::sensor_case);
    a.severity = named(s.text(6), Severity::critical);
    a.priority = static_cast<int>(s.integer(7));
    a.machine = s.text(8);
    a.sensor = s.text(9);
    a.unit = s.text(10);
    a.onset = Timestamp{Duration{s.integer(11)}};
    a.time = Timestamp{Duration{s.integer(12)}};
    if (a.state == AlertState::cleared) a.cleared = Timestamp{Duration{s.integer(13)}};
    a.value = number(14);
    a.expected = number(15);
    a.low = number(16);
    a.high = number(17);
    a.score = number(18);
    a.message = s.text(19);
    a.position = static_cast<Position>(s.integer(20));
  }
  return alerts;
}

std::vector<Archive::KnownHealth> Session::newest_health() {
  std::vector<Archive::KnownHealth> known;
  auto& s = select_health_;
  s.start();
  while (s.next()) known.push_back({s.text(0), s.text(1)});
  return known;
}

std::optional<Position> Session::applied(std::uint32_t lane) {
  const auto position = select_position_.value(lane);
  return position ? std::optional{static_cast<Position>(*position)} : std::nullopt;
}

}  // namespace

struct Archive::Impl {
  Impl(const fs::path& path, const Bounds& limits) : file(path), bounds(limits) { open(); }

  void open() {
    for (int again = 0; !session; ++again) {
      try {
        session = std::make_unique<Session>(file, open_archive(file), bounds);
      } catch (const StorageError& error) {
        if (!is_damage(error.code()) && !has_lost_its_schema(error)) throw;
        if (again == tries_to_read) replace(error);
      }
    }
  }

  // A damaged definition of a table can look whole to SQLite: it then only lacks what our
  // statements name.
  bool has_lost_its_schema(const StorageError& error) const {
    return error.code() == SQLITE_ERROR && says_it_is_ours(file);
  }

  void replace(const StorageError& damage) {
    if (session) removed_before += session->removed();
    held = false;
    session.reset();
    fs::path moved;
    try {
      moved = storage::set_aside(file, file, {"-wal", "-shm"});
    } catch (const fs::filesystem_error& error) {
      throw StorageError(
          fmt::format("{}; it could not be set aside: {}", damage.what(), error.code().message()),
          damage.code());
    }
    set_aside = fmt::format("{}; it was set aside as {} and a new archive begun", damage.what(),
                            moved.string());
    auto fresh = open_archive(file);
    *set_aside += take_over(fresh, moved);
    session = std::make_unique<Session>(file, std::move(fresh), bounds);
    remove_older(moved);
  }

  void remove_older(const fs::path& newest) {
    try {
      const auto gone = remove_set_aside(newest, file, {"-wal", "-shm"}, bounds.bytes);
      if (gone > 0) *set_aside += fmt::format("; {} older copies were removed", gone);
    } catch (const fs::filesystem_error& error) {
      *set_aside += fmt::format("; older copies could not be removed: {}", error.what());
    }
  }

  static std::string take_over(Database& fresh, const fs::path& damaged) {
    try {
      const auto saved = salvage(fresh, damaged);
      return fmt::format(", with {} alerts and {} messages still to be published{}", saved.alerts,
                         saved.messages, saved.whole ? "" : "; not all could be read");
    } catch (const StorageError& error) {
      return fmt::format("; nothing could be taken over: {}", error.what());
    }
  }

  // Damage may show only when a page is touched, long after opening; SQLite says the same of a page
  // that cannot be read. The call then fails, but the next one finds a new archive.
  template <class Work>
  auto with_session(Work work) {
    if (!session) open();
    for (int again = 0;; ++again) {
      try {
        return work(*session);
      } catch (const StorageError& error) {
        if (!is_damage(error.code())) throw;
        if (again < tries_to_read) continue;
        replace(error);
        throw;
      }
    }
  }

  fs::path file;
  Bounds bounds;
  std::optional<std::string> set_aside;
  Removed removed_before;  // by earlier sessions
  bool held = false;       // its size; a new file must grow first
  std::unique_ptr<Session> session;
};

Archive::Archive(const fs::path& file, const Bounds& bounds)
    : impl_(std::make_unique<Impl>(file, bounds)) {}
Archive::~Archive() = default;

const std::optional<std::string>& Archive::set_aside() const { return impl_->set_aside; }

Committed Archive::commit(const Batch& batch) {
  return impl_->with_session([&](Session& session) { return session.commit(batch); });
}

void Archive::trim() {
  impl_->with_session([](Session& session) { session.trim(); });
}

void Archive::hold_size(bool hold) {
  impl_->with_session([&](Session& session) { session.hold_size(hold); });
  impl_->held = hold;
}

bool Archive::holds_size() const { return impl_->held; }

Removed Archive::removed() {
  auto removed = impl_->removed_before;
  if (impl_->session) removed += impl_->session->removed();
  return removed;
}

std::uint64_t Archive::size() {
  return impl_->with_session([](Session& session) { return session.size(); });
}

std::vector<OutboxRow> Archive::outbox(std::size_t limit, std::uint64_t after) {
  return impl_->with_session([&](Session& session) { return session.outbox(limit, after); });
}

std::uint64_t Archive::outbox_size() {
  return impl_->with_session([](Session& session) { return session.outbox_size(); });
}

std::vector<Archive::OpenAlert> Archive::open_alerts() {
  return impl_->with_session([](Session& session) { return session.open_alerts(); });
}

std::vector<Alert> Archive::alerts_after(std::uint32_t lane, Position position) {
  return impl_->with_session(
      [&](Session& session) { return session.alerts_after(lane, position); });
}

std::vector<Archive::KnownHealth> Archive::newest_health() {
  return impl_->with_session([](Session& session) { return session.newest_health(); });
}

Position Archive::applied(std::uint32_t lane) {
  return impl_->with_session([&](Session& session) { return session.applied(lane).value_or(0); });
}

void Archive::forget_positions() {
  impl_->with_session([](Session& session) { session.forget_positions(); });
}

}  // namespace millwright::storage
