// The archive: one SQLite file with sensors, minute summaries, alert history and the outbox of
// alerts to be published. The one place that knows SQLite. Schema and views: docs/archive.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/accounting.h"
#include "core/alert.h"
#include "core/baseline.h"
#include "core/health.h"
#include "core/service.h"
#include "core/summary.h"
#include "storage/operation.h"

namespace millwright::storage {

// A sensor as the archive numbers it; archive ids are stable over restarts and lanes.
struct SensorRow {
  std::string machine, sensor, unit;
};

struct SummaryRow {
  std::uint32_t lane = 0;
  std::string_view machine, sensor, unit;  // borrowed for the call
  Summary summary;
};

// An alert event with its document as it will be published.
struct AlertRow {
  std::uint32_t lane = 0;
  Alert alert;
  std::string document;  // JSON
};

// What a detector had learned before something new took its place.
struct BaselineRow {
  std::uint32_t lane = 0;
  PastBaseline baseline;
};

// How a machine was, with its document as it will be published.
struct HealthRow {
  std::uint32_t lane = 0;
  MachineHealth health;
  std::string document;  // JSON
};

// A command with the answer as it will be published.
struct OperationRow {
  std::uint32_t lane = 0;
  Operation operation;
};

// Whether a service helped, with its document as it will be published.
struct ServiceRow {
  std::uint32_t lane = 0;
  ServiceOutcome outcome;
  std::string document;  // JSON
};

// A message that waits for the broker's acknowledgement.
struct OutboxRow {
  std::uint64_t sequence = 0;  // rises; assigned by the archive
  std::string topic, payload;
  bool retain = false;
  int priority = 0;  // of the alert
  std::string alert_id;
  std::uint32_t revision = 0;
  Duration expiry{0};
  std::string correlation;  // of an answer: MQTT 5 correlation data
  // Of an answer: the journal record of the command; of a service's outcome: the one that
  // completed it.
  std::optional<std::pair<std::uint32_t, Position>> answers{};
};

// What one transaction holds. `through` is per lane the last journal position whose effects are
// complete in it: summaries at or before the lane's stored position are skipped, so replaying after
// a crash writes nothing twice.
struct Batch {
  std::vector<SummaryRow> summaries;
  std::vector<AlertRow> alerts;
  std::vector<BaselineRow> baselines;
  std::vector<HealthRow> health;
  std::vector<OperationRow> operations;
  std::vector<ServiceRow> services;
  std::vector<OutboxRow> outbox;
  std::vector<std::uint64_t> delivered;                     // outbox rows to remove
  std::vector<std::pair<std::uint32_t, Position>> through;  // lane, position
};

// How large the file may become; what goes first is in docs/archive.md.
struct Bounds {
  std::uint64_t bytes = 2'000'000'000;
  std::uint32_t days = 0;  // with minutes, the newest; 0: as many as `bytes` allow
  // Of its write-ahead log, which cannot begin anew while another program reads.
  std::uint64_t log_bytes = 256'000'000;
};

// Rows that went because of it.
struct Removed {
  std::uint64_t minutes = 0;   // of sensors
  std::uint64_t history = 0;   // alerts that are over, healths, commands, services, baselines
  std::uint64_t messages = 0;  // that the broker has not taken: never while anything else can go
  Removed& operator+=(const Removed& other) {
    minutes += other.minutes;
    history += other.history;
    messages += other.messages;
    return *this;
  }
};

struct Committed {
  std::vector<OutboxRow>
      outbox;  // the new rows, now with their sequence; rows of events already known are left out
};

// Why storage failed; the daemon goes on without it and tries again.
class StorageError : public std::runtime_error {
 public:
  StorageError(const std::string& what, int code) : std::runtime_error(what), code_(code) {}
  int code() const { return code_; }  // SQLite extended result code
 private:
  int code_;
};

// What a StorageError's code says: the disk is full; the file is not for this program to write (a
// newer version, or somebody else's).
bool is_full(int code);
bool is_refusal(int code);

// Thread rule: one thread at a time.
class Archive {
 public:
  // Opens or creates; migrates an older version after a copy; refuses a newer one (StorageError
  // says both versions). A file that is damaged is set aside as <file>.damaged-<n>, said in
  // `set_aside`, and a new one begun; such copies take no more than one archive may, but the newest
  // always stays.
  explicit Archive(const std::filesystem::path& file, const Bounds& bounds = {});
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  // Damage that shows later is set aside as well: that call throws, the next one finds a new
  // archive.
  const std::optional<std::string>& set_aside() const;

  // One transaction, refused while the log is over its bound; synchronous=FULL when it holds
  // alerts, baselines, commands, services or outbox rows, else NORMAL. Throws StorageError and
  // leaves the file as it was.
  Committed commit(const Batch& batch);
  // Removes some of what is over the bounds; after every commit, in small transactions.
  void trim();
  // On a disk that is full: the file grows no more, older rows make room inside it. What waits in
  // the log could otherwise not reach the file, and the log not begin anew.
  void hold_size(bool hold);
  bool holds_size() const;
  std::uint64_t size();  // of the file, in bytes
  Removed removed();     // since it was opened

  // Outbox rows still to be delivered, by sequence: the events of an alert keep their order, and a
  // retained state is never overwritten by an older one.
  std::vector<OutboxRow> outbox(std::size_t limit, std::uint64_t after = 0);
  std::uint64_t outbox_size();
  // The current documents of alerts that are active: to be published again on every connect, but
  // for those that have rows in the outbox (`waits`). (id, document, topic parts)
  struct OpenAlert {
    std::string id, machine, sensor, kind, document;
    std::uint32_t revision = 0;
    bool waits = false;
  };
  std::vector<OpenAlert> open_alerts();
  // The newest event of each alert of `lane` that a journal record behind `position` caused: what
  // this archive knows and a state of that position does not. With position 0 nothing is known, and
  // alerts that are over are left out. Without what only the document has.
  std::vector<Alert> alerts_after(std::uint32_t lane, Position position);
  // The newest health of every machine: likewise.
  struct KnownHealth {
    std::string machine, document;
  };
  std::vector<KnownHealth> newest_health();
  // The last position of a lane whose effects are in the file; 0: none.
  Position applied(std::uint32_t lane);
  // Forgets the positions of all lanes: when a journal starts anew from position 1.
  void forget_positions();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millwright::storage
