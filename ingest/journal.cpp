// The memory-mapped ring of one lane. Layout: docs/formats/journal.md.
#include "ingest/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/hash.h"

namespace millwright::ingest {
namespace {

constexpr std::uint64_t magic = 0x1a4e52554f4a574d;
constexpr std::uint32_t format_version = 1;
constexpr std::uint64_t page = 4096;  // of the format, not of the machine
constexpr std::uint32_t wrap_mark = 0xffffffff;
constexpr int most_set_aside = 3;
constexpr int most_reads = 5;  // of a place that cannot be read

struct FileHeader {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t zero = 0;
  std::uint64_t capacity = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(FileHeader) == 32);

struct State {
  std::uint64_t sequence = 0;
  std::uint64_t tail = 0;
  std::uint64_t head = 0;
  std::uint64_t released = 0;
  std::uint64_t appended = 0;
  std::int64_t arrival = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(State) == 56);
constexpr std::uint64_t state_offset(std::uint64_t sequence) { return 64 + 64 * (sequence % 2); }

struct RecordHeader {
  std::uint32_t length = 0;
  std::uint8_t kind = 0;
  std::uint8_t zero = 0;
  std::uint16_t topic = 0;
  std::uint64_t checksum = 0;
  std::uint64_t position = 0;
  std::int64_t received = 0;
  std::int64_t arrival = 0;
  std::uint32_t flags = 0;
  std::uint32_t properties = 0;
  std::uint32_t payload = 0;
  std::uint32_t zero2 = 0;
};
static_assert(sizeof(RecordHeader) == 56);

std::string_view bytes_of(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
}
std::uint64_t checksum(const FileHeader& header) {
  return hash64(bytes_of(&header, offsetof(FileHeader, checksum)));
}
std::uint64_t checksum(const State& state) {
  return hash64(bytes_of(&state, offsetof(State, checksum)));
}
// `record` is the whole record, in the ring.
std::uint64_t record_checksum(const std::byte* record, std::uint32_t length) {
  std::uint64_t seed = 0;
  std::memcpy(&seed, record, sizeof seed);
  constexpr std::size_t from = offsetof(RecordHeader, position);
  return hash64(bytes_of(record + from, length - from), seed);
}
bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(RecordKind::message) &&
         kind <= static_cast<std::uint8_t>(RecordKind::archived);
}

[[noreturn]] void fail(int error, const std::filesystem::path& file, std::string_view what) {
  throw std::system_error{error, std::generic_category(),
                          fmt::format("the journal {} {}", file.string(), what)};
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

class Mapping {
 public:
  Mapping() = default;
  Mapping(const Descriptor& file, std::uint64_t size, const std::filesystem::path& name)
      : size_(size) {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) fail(errno, name, "cannot be mapped into memory");
    data_ = static_cast<std::byte*>(at);
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  std::byte* data() const { return data_; }
  // Writes [from, to) back and waits; 0, or errno.
  int sync(std::uint64_t from, std::uint64_t to) const {
    static const auto machine_page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    from -= from % machine_page;
    return ::msync(data_ + from, to - from, MS_SYNC) == 0 ? 0 : errno;
  }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

// A file with its lock and its mapping.
struct Ring {
  Descriptor file;
  Mapping mapping;
  std::uint64_t capacity = 0;

  int sync_header() const { return mapping.sync(0, page); }
  // The records in [from, to), logical offsets.
  int sync(std::uint64_t from, std::uint64_t to) const {
    if (from >= to) return 0;
    if (to - from >= capacity) return mapping.sync(page, page + capacity);
    const auto begin = from % capacity, end = to % capacity;
    if (begin < end) return mapping.sync(page + begin, page + end);
    const int error = mapping.sync(page + begin, page + capacity);
    return error != 0 || end == 0 ? error : mapping.sync(page, page + end);
  }
  std::byte* at(std::uint64_t offset) const { return mapping.data() + page + offset % capacity; }
  std::uint64_t to_end(std::uint64_t offset) const { return capacity - offset % capacity; }
};

void write_state(const Ring& ring, State& state) noexcept {
  ++state.sequence;
  state.checksum = checksum(state);
  // A kill between any two instructions must find the record's bytes before the state that counts
  // it. What a thread had stored when it died becomes visible, so only the compiler must keep the
  // order.
  std::atomic_signal_fence(std::memory_order_release);
  std::memcpy(ring.mapping.data() + state_offset(state.sequence), &state, sizeof state);
  std::atomic_signal_fence(std::memory_order_release);
}

void lock(const Descriptor& file, const std::filesystem::path& name) {
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) fail(errno, name, "is in use by another process");
  fail(errno, name, "cannot be locked");
}

// A new file of full size under `name`.new; `install` gives it its name.
Ring create(const std::filesystem::path& name, std::uint64_t capacity, State state) {
  const std::filesystem::path fresh = name.string() + ".new";
  ::unlink(fresh.c_str());
  Ring ring;
  ring.capacity = capacity;
  ring.file = Descriptor{::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!ring.file) fail(errno, name, "cannot be made");
  const std::uint64_t size = page + capacity;
  if (const int error = ::posix_fallocate(ring.file.get(), 0, static_cast<off_t>(size))) {
    ::unlink(fresh.c_str());
    fail(error, name, fmt::format("needs {} bytes, which cannot be had", size));
  }
  lock(ring.file, name);
  ring.mapping = Mapping{ring.file, size, name};
  FileHeader header{magic, format_version, 0, capacity, 0};
  header.checksum = checksum(header);
  std::memcpy(ring.mapping.data(), &header, sizeof header);
  write_state(ring, state);
  return ring;
}
void install(const std::filesystem::path& name) {
  const std::filesystem::path fresh = name.string() + ".new";
  if (::rename(fresh.c_str(), name.c_str()) != 0) fail(errno, name, "cannot be put in place");
}

std::string set_aside(const std::filesystem::path& name) {
  int number = 1;
  while (number < most_set_aside &&
         std::filesystem::exists(fmt::format("{}.damaged-{}", name.string(), number)))
    ++number;
  std::string target = fmt::format("{}.damaged-{}", name.string(), number);
  if (::rename(name.c_str(), target.c_str()) != 0) fail(errno, name, "cannot be set aside");
  return target;
}

// The newer copy of the state that holds. `doubtful`: the other one does not.
std::optional<State> read_state(const Ring& ring, bool& doubtful) {
  std::optional<State> best;
  int holding = 0;
  for (const std::uint64_t copy : {0u, 1u}) {
    State state;
    std::memcpy(&state, ring.mapping.data() + state_offset(copy), sizeof state);
    if (state.checksum != checksum(state) || state.sequence % 2 != copy) continue;
    if (state.head < state.tail || state.head - state.tail > ring.capacity || state.tail % 8 != 0 ||
        state.head % 8 != 0 || state.appended < state.released)
      continue;
    ++holding;
    if (!best || state.sequence > best->sequence) best = state;
  }
  doubtful = holding == 1;
  return best;
}

// Is every byte of it there? A sector that cannot be read would else be a SIGBUS later. A tired
// card may answer the next time.
bool can_be_read(const Descriptor& file, std::uint64_t size) {
  std::vector<char> some(std::size_t{1} << 20);
  std::uint64_t done = 0;
  for (int failures = 0; done < size;) {
    const auto n = ::pread(file.get(), some.data(), some.size(), static_cast<off_t>(done));
    if (n > 0) {
      done += static_cast<std::uint64_t>(n);
    } else if (n == 0 || ++failures == most_reads) {
      return false;
    }
  }
  return true;
}

// Opens what exists; nothing when it is no journal, or none that can be read.
std::optional<Ring> open_existing(Descriptor file, const std::filesystem::path& name) {
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) fail(errno, name, "cannot be looked at");
  if (!S_ISREG(about.st_mode)) fail(EINVAL, name, "is not a file");
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (size < 2 * page) return std::nullopt;
  if (!can_be_read(file, size)) return std::nullopt;
  Ring ring;
  ring.file = std::move(file);
  ring.mapping = Mapping{ring.file, size, name};
  FileHeader header;
  std::memcpy(&header, ring.mapping.data(), sizeof header);
  if (header.magic != magic || header.checksum != checksum(header)) return std::nullopt;
  if (header.version > format_version) {
    throw NewerJournal{
        fmt::format("the journal {} has format version {}; this Millwright reads up to version {}",
                    name.string(), header.version, format_version)};
  }
  if (header.version != format_version || header.capacity % page != 0 ||
      header.capacity != size - page)
    return std::nullopt;
  ring.capacity = header.capacity;
  return ring;
}

// The record at `offset` when all of it holds and it lies before `limit`. A wrap mark is followed,
// and `offset` with it.
std::optional<RecordHeader> checked_record(const Ring& ring, std::uint64_t& offset,
                                           std::uint64_t limit, Position after) {
  if (offset >= limit) return std::nullopt;
  std::uint32_t length = 0;
  std::memcpy(&length, ring.at(offset), sizeof length);
  std::uint64_t at = offset;
  if (length == wrap_mark) {
    at += ring.to_end(at);
    if (at >= limit) return std::nullopt;
    std::memcpy(&length, ring.at(at), sizeof length);
  }
  if (length % 8 != 0 || length < sizeof(RecordHeader) || length > ring.to_end(at) ||
      length > limit - at)
    return std::nullopt;
  RecordHeader header;
  std::memcpy(&header, ring.at(at), sizeof header);
  const std::uint64_t parts = std::uint64_t{header.topic} + header.properties + header.payload;
  if (parts > length - sizeof header || !known_kind(header.kind) || header.position <= after ||
      header.checksum != record_checksum(ring.at(at), length))
    return std::nullopt;
  offset = at;
  return header;
}

struct Recovered {
  std::uint64_t kept = 0, torn = 0;
};

// Walks from the tail and brings `state` to what can be read.
Recovered recover(const Ring& ring, State& state, bool doubtful) {
  Recovered result;
  const std::uint64_t promised_head = state.head;
  std::uint64_t offset = state.tail;
  Position last = state.released;
  while (const auto record = checked_record(ring, offset, promised_head, last)) {
    offset += record->length;
    last = record->position;
    state.arrival = std::max(state.arrival, record->arrival);
    ++result.kept;
  }
  // Or the next record would get a position that has been given, and be taken for torn.
  state.appended = std::max(state.appended, last);
  if (offset < promised_head) {
    result.torn = state.appended > last ? state.appended - last : 1;
    state.head = offset;
    return result;
  }
  // The copy that does not hold may have counted one record more; other bytes there are never
  // looked at, they may be anything that an old payload held.
  const std::uint64_t end_of_room = state.tail + ring.capacity;
  if (!doubtful) return result;
  const auto record = checked_record(ring, offset, end_of_room, state.appended);
  if (record && record->position == state.appended + 1) {
    state.head = offset + record->length;
    state.appended = record->position;
    state.arrival = std::max(state.arrival, record->arrival);
    ++result.kept;
  }
  return result;
}

// Copies what is not released into a new ring of another capacity; nothing when it does not fit.
std::optional<std::pair<Ring, State>> resized(const Ring& old, const State& state,
                                              const std::filesystem::path& name,
                                              std::uint64_t capacity) {
  State moved = state;
  moved.tail = moved.head = 0;
  std::uint64_t needed = 0;
  std::uint64_t offset = state.tail;
  Position last = state.released;
  while (const auto record = checked_record(old, offset, state.head, last)) {
    if (record->length > capacity / 2) return std::nullopt;
    offset += record->length;
    needed += record->length;
    last = record->position;
  }
  if (needed > capacity) return std::nullopt;

  Ring ring;
  try {
    ring = create(name, capacity, moved);
  } catch (const std::system_error& error) {
    // Both files must exist for a moment; without the space for that the old one still does its
    // work.
    if (error.code() == std::errc::no_space_on_device) return std::nullopt;
    throw;
  }
  offset = state.tail;
  last = state.released;
  while (const auto record = checked_record(old, offset, state.head, last)) {
    std::memcpy(ring.at(moved.head), old.at(offset), record->length);
    offset += record->length;
    moved.head += record->length;
    last = record->position;
  }
  write_state(ring, moved);
  install(name);
  return std::pair{std::move(ring), moved};
}

}  // namespace

struct Journal::Impl {
  Ring ring;
  std::filesystem::path file;
  bool on_disk = false;
  std::uint64_t synced = 0;  // records before it are on the disk; the syncing thread's own

  // Producers and whoever moves the tail.
  std::mutex mutex;
  std::condition_variable readable, room;
  State state;
  std::uint64_t free_from = 0;  // what is before it may be written over; behind the tail
  bool reader_waits = false, woken = false;
  unsigned writers_waiting = 0;

  // What is in `state`, for those who do not take the lock.
  alignas(64) std::atomic<std::uint64_t> head{0};
  std::atomic<Position> appended{0};
  std::atomic<std::int64_t> arrival{0};
  alignas(64) std::atomic<std::uint64_t> tail{0};
  std::atomic<Position> released{0};

  // The reader's own; atomic because others ask for unread_bytes.
  alignas(64) std::atomic<std::uint64_t> cursor{0};
  Position read_through = 0;  // position of the record before the cursor, as far as it is known

  void publish_state() {
    arrival.store(state.arrival, std::memory_order_relaxed);
    appended.store(state.appended, std::memory_order_relaxed);
    released.store(state.released, std::memory_order_relaxed);
    tail.store(state.tail, std::memory_order_release);
    head.store(state.head, std::memory_order_release);
  }

  // The length that `record` takes; nothing when it can never fit.
  std::optional<std::uint32_t> length_of(const Record& record) const noexcept {
    const std::uint64_t parts =
        std::uint64_t{record.topic.size()} + record.properties.size() + record.payload.size();
    const std::uint64_t most = std::min<std::uint64_t>(ring.capacity / 2, wrap_mark - 8);
    if (record.topic.size() > 0xffff || parts > most) return std::nullopt;
    const std::uint64_t length = (sizeof(RecordHeader) + parts + 7) / 8 * 8;
    if (length > most) return std::nullopt;
    return static_cast<std::uint32_t>(length);
  }

  // With the lock held.
  bool has_room(std::uint32_t length) const noexcept {
    const std::uint64_t rest = ring.to_end(state.head);
    const std::uint64_t needed = rest < length ? rest + length : length;
    return needed <= ring.capacity - (state.head - free_from);
  }
  void write(const Record& record, std::uint32_t length) noexcept {
    if (const std::uint64_t rest = ring.to_end(state.head); rest < length) {
      std::memcpy(ring.at(state.head), &wrap_mark, sizeof wrap_mark);
      state.head += rest;
    }
    std::byte* const start = ring.at(state.head);
    RecordHeader header;
    header.length = length;
    header.kind = static_cast<std::uint8_t>(record.kind);
    header.topic = static_cast<std::uint16_t>(record.topic.size());
    header.position = state.appended + 1;
    header.received = to_microseconds(record.received);
    header.arrival = to_microseconds(record.arrival);
    header.flags = record.flags;
    header.properties = static_cast<std::uint32_t>(record.properties.size());
    header.payload = static_cast<std::uint32_t>(record.payload.size());
    std::memcpy(start, &header, sizeof header);
    std::byte* to = start + sizeof header;
    for (const std::string_view part : {record.topic, record.properties, record.payload}) {
      if (!part.empty()) std::memcpy(to, part.data(), part.size());
      to += part.size();
    }
    std::memset(to, 0, static_cast<std::size_t>(start + length - to));
    header.checksum = record_checksum(start, length);
    std::memcpy(start + offsetof(RecordHeader, checksum), &header.checksum, sizeof header.checksum);

    state.head += length;
    state.appended = header.position;
    state.arrival = std::max(state.arrival, header.arrival);
    write_state(ring, state);
    arrival.store(state.arrival, std::memory_order_relaxed);
    appended.store(state.appended, std::memory_order_relaxed);
    head.store(state.head, std::memory_order_release);
  }

  // What stands at `offset`, which is moved over a wrap mark. Only below the head: these bytes are
  // ours and whole.
  RecordHeader header_at(std::uint64_t& offset) const {
    RecordHeader header;
    std::memcpy(&header.length, ring.at(offset), sizeof header.length);
    if (header.length == wrap_mark) offset += ring.to_end(offset);
    std::memcpy(&header, ring.at(offset), sizeof header);
    check(header.length >= sizeof header && header.length <= ring.to_end(offset) &&
              std::uint64_t{header.topic} + header.properties + header.payload <=
                  header.length - sizeof header,
          "the journal was overwritten by somebody else");
    return header;
  }
  // The first offset behind `position`, from `offset`, and the position of the record before it.
  std::pair<std::uint64_t, Position> skip(std::uint64_t offset, Position before,
                                          Position position) const {
    const std::uint64_t end = head.load(std::memory_order_acquire);
    while (offset < end) {
      std::uint64_t at = offset;
      const RecordHeader header = header_at(at);
      if (header.position > position) break;
      offset = at + header.length;
      before = header.position;
    }
    return {offset, before};
  }
};

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

JournalOpen Journal::open(const std::filesystem::path& file, std::uint64_t capacity) {
  capacity = std::max(page, (capacity + page - 1) / page * page);
  JournalOpen result;
  auto impl = std::make_unique<Impl>();
  std::optional<Ring> existing;
  std::optional<State> state;
  bool doubtful = false;
  if (Descriptor found{::open(file.c_str(), O_RDWR | O_CLOEXEC)}) {
    lock(found, file);
    existing = open_existing(std::move(found), file);
    if (existing) state = read_state(*existing, doubtful);
    if (!state) result.set_aside = set_aside(file);
  } else if (errno != ENOENT) {
    fail(errno, file, "cannot be opened");
  }

  if (state) {
    const Recovered recovered = recover(*existing, *state, doubtful);
    result.kept_records = recovered.kept;
    result.torn_records = recovered.torn;
    write_state(*existing, *state);
    if (existing->capacity != capacity) {
      if (auto moved = resized(*existing, *state, file, capacity)) {
        existing = std::move(moved->first);
        state = moved->second;
      }
    }
    impl->ring = std::move(*existing);
    impl->state = *state;
  } else {
    impl->ring = create(file, capacity, State{});
    install(file);
    impl->state = *read_state(impl->ring, doubtful);
  }
  impl->file = file;
  impl->free_from = impl->synced = impl->state.tail;
  impl->publish_state();
  impl->cursor.store(impl->state.tail, std::memory_order_relaxed);
  impl->read_through = impl->state.released;
  result.journal.reset(new Journal{std::move(impl)});
  return result;
}

void Journal::start_after(Position position) {
  Impl& m = *impl_;
  const std::lock_guard guard{m.mutex};
  if (position <= m.state.appended) return;
  m.state.appended = position;
  if (m.state.head == m.state.tail) {
    m.state.released = position;
    m.read_through = position;
  }
  write_state(m.ring, m.state);
  m.publish_state();
}

void Journal::keep_on_disk() {
  Impl& m = *impl_;
  m.on_disk = true;
  if (::fsync(m.ring.file.get()) != 0) fail(errno, m.file, "cannot be written to its disk");
  const auto parent = m.file.has_parent_path() ? m.file.parent_path() : std::filesystem::path{"."};
  const Descriptor directory{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory || ::fsync(directory.get()) != 0)
    fail(errno, m.file, "lies in a directory that cannot be written to its disk");
}

void Journal::sync() {
  Impl& m = *impl_;
  const auto head = m.head.load(std::memory_order_acquire);
  int error = m.ring.sync(m.synced, head);
  if (error == 0) error = m.ring.sync_header();
  if (error != 0) fail(error, m.file, "cannot be written to its disk");
  m.synced = head;
}

bool Journal::append(const Record& record) noexcept {
  return append(record, std::chrono::milliseconds{0});
}

bool Journal::append(const Record& record, std::chrono::milliseconds patience) noexcept {
  Impl& m = *impl_;
  check(known_kind(static_cast<std::uint8_t>(record.kind)), "a journal record has a known kind");
  const auto length = m.length_of(record);
  if (!length) return false;
  bool wake_reader = false;
  {
    std::unique_lock guard{m.mutex};
    if (!m.has_room(*length)) {
      if (patience.count() <= 0) return false;
      ++m.writers_waiting;
      const bool room = m.room.wait_for(guard, patience, [&] { return m.has_room(*length); });
      --m.writers_waiting;
      if (!room) return false;
    }
    m.write(record, *length);
    wake_reader = m.reader_waits;
  }
  if (wake_reader) m.readable.notify_one();
  return true;
}

bool Journal::wait_for_room(const Record& record, std::chrono::milliseconds patience) noexcept {
  Impl& m = *impl_;
  const auto length = m.length_of(record);
  if (!length) return false;
  std::unique_lock guard{m.mutex};
  ++m.writers_waiting;
  const bool room = m.room.wait_for(guard, patience, [&] { return m.has_room(*length); });
  --m.writers_waiting;
  return room;
}

std::optional<Record> Journal::next() {
  Impl& m = *impl_;
  std::uint64_t offset = m.cursor.load(std::memory_order_relaxed);
  if (offset >= m.head.load(std::memory_order_acquire)) return std::nullopt;
  const RecordHeader header = m.header_at(offset);
  const char* data = reinterpret_cast<const char*>(m.ring.at(offset)) + sizeof header;
  Record record;
  record.kind = static_cast<RecordKind>(header.kind);
  record.position = header.position;
  record.received = from_microseconds(header.received);
  record.arrival = from_microseconds(header.arrival);
  record.flags = header.flags;
  record.topic = {data, header.topic};
  record.properties = {data + header.topic, header.properties};
  record.payload = {data + header.topic + header.properties, header.payload};
  m.read_through = header.position;
  m.cursor.store(offset + header.length, std::memory_order_release);
  return record;
}

bool Journal::wait(std::chrono::milliseconds timeout) {
  Impl& m = *impl_;
  const auto has_more = [&] {
    return m.cursor.load(std::memory_order_relaxed) < m.head.load(std::memory_order_acquire);
  };
  if (has_more()) return true;
  std::unique_lock guard{m.mutex};
  m.reader_waits = true;
  m.readable.wait_for(guard, timeout, [&] { return m.woken || has_more(); });
  m.reader_waits = false;
  m.woken = false;
  return has_more();
}

void Journal::wake() noexcept {
  Impl& m = *impl_;
  {
    const std::lock_guard guard{m.mutex};
    m.woken = true;
  }
  m.readable.notify_one();
}

void Journal::seek_after(Position position) {
  Impl& m = *impl_;
  const std::uint64_t tail = m.tail.load(std::memory_order_acquire);
  const auto [offset, before] = m.skip(tail, m.released.load(std::memory_order_relaxed), position);
  m.cursor.store(offset, std::memory_order_release);
  m.read_through = before;
}

void Journal::release_through(Position position) {
  Impl& m = *impl_;
  const std::uint64_t tail = m.tail.load(std::memory_order_acquire);
  const std::uint64_t cursor = m.cursor.load(std::memory_order_relaxed);
  const Position released = m.released.load(std::memory_order_relaxed);
  if (position <= released) return;
  // The usual case, everything that was read, needs no walk.
  const auto [offset, before] = position >= m.read_through && cursor > tail
                                    ? m.skip(cursor, m.read_through, position)
                                    : m.skip(tail, released, position);
  if (offset == tail) return;
  if (cursor < offset) {
    m.cursor.store(offset, std::memory_order_release);
    m.read_through = before;
  }
  bool wake_writers = false;
  {
    const std::lock_guard guard{m.mutex};
    m.state.tail = offset;
    m.state.released = before;
    write_state(m.ring, m.state);
    m.released.store(before, std::memory_order_relaxed);
    m.tail.store(offset, std::memory_order_release);
  }
  // A disk that fails here fails the next `sync` as well, which tells it; room is made all the
  // same.
  if (m.on_disk) m.ring.sync_header();
  {
    const std::lock_guard guard{m.mutex};
    m.free_from = m.state.tail;
    wake_writers = m.writers_waiting > 0;
  }
  if (wake_writers) m.room.notify_all();
}

Position Journal::last_appended() const noexcept {
  return impl_->appended.load(std::memory_order_relaxed);
}
Position Journal::last_released() const noexcept {
  return impl_->released.load(std::memory_order_relaxed);
}
std::uint64_t Journal::unreleased_bytes() const noexcept {
  const std::uint64_t tail = impl_->tail.load(std::memory_order_acquire);
  return impl_->head.load(std::memory_order_acquire) - tail;
}
std::uint64_t Journal::unread_bytes() const noexcept {
  const std::uint64_t cursor = impl_->cursor.load(std::memory_order_acquire);
  return impl_->head.load(std::memory_order_acquire) - cursor;
}
std::uint64_t Journal::capacity() const noexcept { return impl_->ring.capacity; }
Timestamp Journal::last_arrival() const noexcept {
  return from_microseconds(impl_->arrival.load(std::memory_order_relaxed));
}

std::string encode(const ReplyTo& to) {
  std::string bytes = to.topic;
  bytes.append(1, '\0').append(to.correlation);
  return bytes;
}

ReplyTo decode_reply_to(std::string_view properties) {
  const auto end = properties.find('\0');
  if (end == properties.npos) return {};
  return {std::string{properties.substr(0, end)}, std::string{properties.substr(end + 1)}};
}

}  // namespace millwright::ingest
