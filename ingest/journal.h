// The journal of one lane: a memory-mapped ring of records that is queue and journal in one.
//
// Producers append (the MQTT callback, the ticker, the supervisor); the lane reads with a cursor of
// its own and, after a checkpoint, moves the tail. What lies between tail and head survives kill -9
// (the pages belong to the kernel) and is read again after a restart. On tmpfs a power cut loses
// it; in a directory on disk it is as durable as the page cache, or as the last `sync`.
//
// The byte layout is in docs/formats/journal.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/reading.h"
#include "core/time.h"

namespace millwright::ingest {

enum class RecordKind : std::uint8_t {
  message = 1,
  tick = 2,
  configuration = 3,
  command = 4,
  archived = 5  // alerts that the archive knows and the state before it does not
};

struct Record {
  RecordKind kind{};
  Position position = 0;    // filled in by the journal
  Timestamp received;       // wall clock
  Timestamp arrival;        // processing time, never falls
  std::uint32_t flags = 0;  // message_retained, message_redelivered
  // Borrowed from the ring when read.
  std::string_view topic;       // message: topic; command: its name
  std::string_view properties;  // message: MQTT 5 user properties as name\0value\0...;
                                // command: whom to answer, as `encode` has it
  std::string_view payload;     // message, command: payload; configuration: its text; archived: the
                                // alerts, as `daemon::archived_alerts` has them
};

// Whom to answer a command: MQTT 5 response topic and correlation data, both may be empty. Encoded
// as topic\0correlation: a topic has no NUL, correlation data may.
struct ReplyTo {
  std::string topic, correlation;
};
std::string encode(const ReplyTo& to);
ReplyTo decode_reply_to(std::string_view properties);

inline constexpr std::uint32_t message_retained = 1;
inline constexpr std::uint32_t message_redelivered = 2;

struct JournalOpen;

// Whole, and written by a newer version: the file is not touched.
class NewerJournal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Thread rule: any thread appends; one thread (the lane) reads, moves the tail and asks for `next`;
// one thread syncs.
class Journal {
 public:
  // Opens or creates `file` with room for `capacity` bytes of records (rounded up to whole pages).
  // A file of another format or with a damaged header is set aside as <file>.damaged-<n>, n up to
  // 3, and a new one begun. When the capacity was changed, the records move to a new file; when
  // they do not fit there, the old capacity stays for now. Throws std::system_error with a
  // sentence: no space, no right, another process uses it; and NewerJournal.
  static JournalOpen open(const std::filesystem::path& file, std::uint64_t capacity);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Makes positions go on after `position` (that of the checkpoint) where they would be lower: a
  // journal on tmpfs is new after a reboot. Call it after open, before the first append.
  void start_after(Position position);

  // For a journal on a disk, before the first append: from now on the place of a released record is
  // used again only when the release is on the disk, so that after a power cut nothing stands in
  // the way of the records that `sync` promised. Throws std::system_error.
  void keep_on_disk();
  // What was appended before the call is on the disk when it returns. May take long; appending goes
  // on meanwhile. Any thread, one at a time. Throws std::system_error.
  void sync();

  // Copies the record in. False when there is no room, or when it takes more than half of the
  // capacity or its topic more than 65,535 bytes: nothing is written. Never throws, allocates
  // nothing. Wakes the reader.
  bool append(const Record& record) noexcept;
  // As append, but waits for room up to `patience`; a record that can never fit is refused at once.
  bool append(const Record& record, std::chrono::milliseconds patience) noexcept;

  // Waits until there is room for it, up to `patience`; false when there is none. Another thread
  // may take the room before it is used.
  bool wait_for_room(const Record& record, std::chrono::milliseconds patience) noexcept;

  // The next record at the cursor, borrowed until the tail passes it; nothing when the reader has
  // caught up.
  std::optional<Record> next();
  // Blocks until there is something to read (true), `wake` was called, or the timeout is over.
  bool wait(std::chrono::milliseconds timeout);
  void wake() noexcept;

  // Puts the cursor behind `position`: records up to it are skipped (they are in the checkpoint).
  void seek_after(Position position);
  // Frees everything up to and with `position`.
  void release_through(Position position);

  Position last_appended() const noexcept;  // 0: none yet
  Position last_released() const noexcept;
  std::uint64_t unreleased_bytes() const noexcept;
  std::uint64_t unread_bytes() const noexcept;
  std::uint64_t capacity() const noexcept;
  Timestamp last_arrival()
      const noexcept;  // the newest processing time in the journal; processing time goes on from it

 private:
  struct Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct JournalOpen {
  std::unique_ptr<Journal> journal;
  std::uint64_t kept_records = 0;        // between tail and head
  std::uint64_t torn_records = 0;        // dropped at the head: their checksum does not hold
  std::optional<std::string> set_aside;  // a file that could not be used was moved there
};

}  // namespace millwright::ingest
