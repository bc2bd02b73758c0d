// The journal's promises: order, room, and that nothing it said yes to is lost when the process is
// killed.
#include "ingest/journal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <fstream>
#include <system_error>
#include <thread>
#include <vector>

#include "core/hash.h"
#include "core/random.h"
#include "tests/storage/sector.h"
#include "tests/support/scale.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::ingest;
using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

// A record that owns its content.
struct Owned {
  RecordKind kind = RecordKind::message;
  Position position = 0;
  std::int64_t received = 0, arrival = 0;
  std::uint32_t flags = 0;
  std::string topic, properties, payload;

  friend bool operator==(const Owned&, const Owned&) = default;
  Record record() const {
    Record r;
    r.kind = kind;
    r.received = from_microseconds(received);
    r.arrival = from_microseconds(arrival);
    r.flags = flags;
    r.topic = topic;
    r.properties = properties;
    r.payload = payload;
    return r;
  }
};

Owned owned(const Record& r) {
  return {r.kind,  r.position,           to_microseconds(r.received), to_microseconds(r.arrival),
          r.flags, std::string{r.topic}, std::string{r.properties},   std::string{r.payload}};
}

std::string random_text(Random& random, std::size_t most) {
  std::string text(random.below(most + 1), '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

Owned random_record(Random& random, std::size_t most) {
  Owned r;
  r.kind = static_cast<RecordKind>(1 + random.below(4));
  r.received = static_cast<std::int64_t>(random.next() >> 1);
  r.arrival = static_cast<std::int64_t>(random.below(1'000'000));
  r.flags = static_cast<std::uint32_t>(random.below(2));
  r.topic = random_text(random, most / 3);
  r.properties = random.chance(0.3) ? random_text(random, most / 3) : "";
  r.payload = random_text(random, most / 3);
  return r;
}

// The content says which record it is.
Owned numbered(std::uint64_t number) {
  Owned r;
  r.arrival = static_cast<std::int64_t>(number);
  r.topic = "topic/" + std::to_string(number);
  r.payload = std::string(number % 90, static_cast<char>('a' + number % 26));
  return r;
}

std::vector<Owned> read_all(Journal& journal) {
  std::vector<Owned> result;
  while (const auto record = journal.next()) result.push_back(owned(*record));
  return result;
}

void flip(const std::filesystem::path& file, std::uint64_t offset, std::uint8_t bits) {
  std::fstream f{file, std::ios::binary | std::ios::in | std::ios::out};
  f.seekg(static_cast<std::streamoff>(offset));
  const char was = static_cast<char>(f.get());
  f.seekp(static_cast<std::streamoff>(offset));
  f.put(static_cast<char>(was ^ static_cast<char>(bits)));
  REQUIRE(f.good());
}

}  // namespace

TEST_CASE("a record comes back as it was appended, with positions from 1") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 8192);
  Journal& journal = *opened.journal;
  CHECK(opened.kept_records == 0);
  CHECK_FALSE(opened.set_aside);
  CHECK(journal.capacity() == 8192);
  CHECK(journal.last_appended() == 0);
  CHECK_FALSE(journal.next());

  Owned first = numbered(7);
  first.properties = std::string{"rate_hz\0100\0", 11};
  first.flags = message_retained;
  first.received = -5;
  Owned second;
  second.kind = RecordKind::tick;
  second.arrival = 3;
  REQUIRE(journal.append(first.record()));
  REQUIRE(journal.append(second.record()));
  first.position = 1;
  second.position = 2;
  CHECK(journal.unread_bytes() == journal.unreleased_bytes());
  CHECK(read_all(journal) == std::vector<Owned>{first, second});
  CHECK(journal.last_appended() == 2);
  CHECK(journal.last_released() == 0);
  CHECK(journal.unread_bytes() == 0);
  CHECK(journal.unreleased_bytes() > 0);
  CHECK(journal.last_arrival() == from_microseconds(7));
  journal.release_through(2);
  CHECK(journal.last_released() == 2);
  CHECK(journal.unreleased_bytes() == 0);
}

TEST_CASE("whom to answer a command comes back from its bytes, whatever the correlation data are") {
  for (const auto& to : {ReplyTo{}, ReplyTo{"answers/here", ""}, ReplyTo{"", "x"},
                         ReplyTo{"a/b", std::string{"\0\0\xff", 3}}}) {
    const auto back = decode_reply_to(encode(to));
    CHECK(back.topic == to.topic);
    CHECK(back.correlation == to.correlation);
  }
  CHECK(decode_reply_to("").topic == "");
  CHECK(decode_reply_to("no end").topic == "");
}

TEST_CASE("any sequence of appends, reads, releases and reopenings agrees with a plain queue") {
  const auto seeds = static_cast<std::uint64_t>(scaled(30, 1000));
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    const TemporaryDirectory directory;
    const std::uint64_t capacity = 4096 * (1 + random.below(3));
    auto opened = Journal::open(directory / "j", capacity);
    std::deque<Owned> model;  // what is not released
    std::size_t read = 0;     // of these
    Position last = 0, released = 0;
    std::uint64_t refused = 0;
    for (int step = 0; step < 3000; ++step) {
      const double what = random.uniform();
      if (what < 0.55) {
        Owned r = random_record(random, random.chance(0.02) ? capacity : 400);
        if (opened.journal->append(r.record())) {
          r.position = ++last;
          model.push_back(r);
        } else {
          ++refused;
        }
      } else if (what < 0.9) {
        const auto next = opened.journal->next();
        REQUIRE(next.has_value() == (read < model.size()));
        if (next) REQUIRE(owned(*next) == model[read++]);
      } else if (what < 0.97) {
        // Sometimes less than was read, sometimes more.
        const std::size_t most = random.chance(0.1) ? model.size() : read;
        const std::size_t count = random.below(most + 1);
        if (count > 0) {
          released = model[count - 1].position;
          opened.journal->release_through(released);
          model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(count));
          read -= std::min(read, count);
        }
      } else if (what < 0.98) {
        const std::uint64_t new_capacity =
            random.chance(0.3) ? 4096 * (1 + random.below(6)) : opened.journal->capacity();
        opened.journal.reset();
        opened = Journal::open(directory / "j", new_capacity);
        REQUIRE(opened.kept_records == model.size());
        REQUIRE(opened.torn_records == 0);
        REQUIRE_FALSE(opened.set_aside);
        read = 0;
      } else if (what < 0.99 && !model.empty()) {
        read = random.below(model.size() + 1);
        opened.journal->seek_after(read == 0 ? released : model[read - 1].position);
      }
      REQUIRE(opened.journal->last_appended() == last);
      REQUIRE(opened.journal->last_released() == released);
      REQUIRE((opened.journal->unreleased_bytes() == 0) == model.empty());
      REQUIRE((opened.journal->unread_bytes() == 0) == (read == model.size()));
    }
    CHECK(refused > 0);
    CHECK(last > 500);
  }
}

TEST_CASE("a full ring refuses, loses nothing, and takes again what was released") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  Journal& journal = *opened.journal;
  std::uint64_t count = 0;
  while (journal.append(numbered(count).record())) ++count;
  CHECK(count > 20);
  CHECK(journal.unreleased_bytes() <= 4096);
  CHECK(journal.unreleased_bytes() > 4096 - 200);
  CHECK_FALSE(journal.append(numbered(count).record()));
  const auto records = read_all(journal);
  REQUIRE(records.size() == count);
  for (std::uint64_t i = 0; i < count; ++i) {
    CHECK(records[i].topic == numbered(i).topic);
    CHECK(records[i].position == i + 1);
  }
  journal.release_through(count / 2);
  CHECK(journal.append(numbered(count).record()));
  CHECK(journal.last_appended() == count + 1);
}

TEST_CASE("a record larger than half of the ring is refused at once, one of half always fits") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  Journal& journal = *opened.journal;
  Owned large;
  large.payload.assign(2048 - 56 + 1, 'x');
  CHECK_FALSE(journal.append(large.record(), 1h));
  large.payload.pop_back();
  // Wherever the head stands.
  for (int i = 0; i < 50; ++i) {
    REQUIRE(journal.append(large.record()));
    REQUIRE(read_all(journal).size() == 1);
    journal.release_through(journal.last_appended());
    REQUIRE(journal.append(numbered(static_cast<std::uint64_t>(i)).record()));
    REQUIRE(read_all(journal).size() == 1);
    journal.release_through(journal.last_appended());
  }
  auto wide = Journal::open(directory / "wide", 1u << 20);
  Owned named;
  named.topic.assign(65536, 't');
  CHECK_FALSE(wide.journal->append(named.record()));
  named.topic.pop_back();
  CHECK(wide.journal->append(named.record()));
}

TEST_CASE("an append with patience waits for a release") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  Journal& journal = *opened.journal;
  std::uint64_t count = 0;
  while (journal.append(numbered(count).record())) ++count;
  CHECK_FALSE(journal.append(numbered(count).record(), 5ms));

  std::atomic<bool> appended{false};
  std::thread writer{[&] { appended = journal.append(numbered(count).record(), 30s); }};
  CHECK(read_all(journal).size() >= count);
  journal.release_through(count);
  writer.join();
  CHECK(appended);
  CHECK(journal.last_appended() == count + 1);
}

TEST_CASE("wait ends for a record, for wake, and after its time") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  Journal& journal = *opened.journal;
  CHECK_FALSE(journal.wait(1ms));
  std::thread waker{[&] { journal.wake(); }};
  CHECK_FALSE(journal.wait(1h));
  waker.join();
  std::thread writer{[&] { CHECK(journal.append(numbered(1).record())); }};
  CHECK(journal.wait(1h));
  writer.join();
  CHECK(journal.wait(1h));
}

TEST_CASE("positions and the processing time go on after a restart, also of an empty ring") {
  const TemporaryDirectory directory;
  {
    auto opened = Journal::open(directory / "j", 4096);
    for (std::uint64_t i = 0; i < 5; ++i) REQUIRE(opened.journal->append(numbered(i).record()));
    opened.journal->release_through(5);
  }
  auto opened = Journal::open(directory / "j", 4096);
  CHECK(opened.kept_records == 0);
  CHECK(opened.journal->last_released() == 5);
  CHECK(opened.journal->last_arrival() == from_microseconds(4));
  REQUIRE(opened.journal->append(numbered(0).record()));
  CHECK(opened.journal->next()->position == 6);
  CHECK(opened.journal->last_arrival() == from_microseconds(4));
}

TEST_CASE("start_after makes the positions of a new journal go on behind the checkpoint's") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  opened.journal->start_after(1000);
  CHECK(opened.journal->last_released() == 1000);
  REQUIRE(opened.journal->append(numbered(1).record()));
  CHECK(opened.journal->last_appended() == 1001);
  opened.journal->start_after(17);
  CHECK(opened.journal->last_appended() == 1001);
  opened.journal.reset();
  opened = Journal::open(directory / "j", 4096);
  CHECK(opened.kept_records == 1);
  opened.journal->start_after(2000);
  REQUIRE(opened.journal->append(numbered(2).record()));
  const auto records = read_all(*opened.journal);
  REQUIRE(records.size() == 2);
  CHECK(records[0].position == 1001);
  CHECK(records[1].position == 2001);
  opened.journal.reset();
  opened = Journal::open(directory / "j", 4096);
  CHECK(opened.kept_records == 2);
  opened.journal->release_through(2001);
  CHECK(opened.journal->unreleased_bytes() == 0);
}

TEST_CASE("seek_after skips what a checkpoint holds") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 4096);
  for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(opened.journal->append(numbered(i).record()));
  opened.journal->seek_after(4);
  CHECK(opened.journal->next()->position == 5);
  opened.journal->seek_after(0);
  CHECK(opened.journal->next()->position == 1);
  opened.journal->seek_after(99);
  CHECK_FALSE(opened.journal->next());
}

TEST_CASE("another capacity keeps the records and the positions") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 16384);
  for (std::uint64_t i = 0; i < 60; ++i) REQUIRE(opened.journal->append(numbered(i).record()));
  opened.journal->release_through(20);
  const std::uint64_t used = opened.journal->unreleased_bytes();
  REQUIRE(used > 4096);
  opened.journal.reset();

  // Too small for what is in it: the old one stays.
  opened = Journal::open(directory / "j", 4096);
  CHECK(opened.journal->capacity() == 16384);
  CHECK(opened.kept_records == 40);
  opened.journal.reset();

  opened = Journal::open(directory / "j", 8192);
  CHECK(opened.journal->capacity() == 8192);
  CHECK_FALSE(opened.set_aside);
  const auto records = read_all(*opened.journal);
  REQUIRE(records.size() == 40);
  CHECK(records.front().position == 21);
  CHECK(records.front().topic == "topic/20");
  CHECK(records.back().position == 60);
  opened.journal->release_through(60);
  opened.journal.reset();

  opened = Journal::open(directory / "j", 4096);
  CHECK(opened.journal->capacity() == 4096);
  REQUIRE(opened.journal->append(numbered(1).record()));
  CHECK(opened.journal->next()->position == 61);
  CHECK(std::filesystem::file_size(directory / "j") == 8192);
}

TEST_CASE("what is no journal of this format is set aside and a new one begun") {
  const TemporaryDirectory directory;
  const auto file = directory / "j";
  const std::vector<std::string> contents{"", "short", std::string(8192, 'x'),
                                          std::string(8192, '\0'), std::string(100000, '\xff')};
  for (const std::string& content : contents) {
    CAPTURE(content.size());
    write_file(file, content);
    auto opened = Journal::open(file, 4096);
    REQUIRE(opened.set_aside);
    CHECK(read_file(*opened.set_aside) == content);
    CHECK(opened.journal->append(numbered(1).record()));
    CHECK(opened.journal->last_appended() == 1);
  }
  // Bounded: three are kept.
  CHECK(std::filesystem::exists(directory / "j.damaged-1"));
  CHECK(std::filesystem::exists(directory / "j.damaged-3"));
  CHECK_FALSE(std::filesystem::exists(directory / "j.damaged-4"));

  std::filesystem::resize_file(file, 8192 + 4096);  // a wrong size
  CHECK(Journal::open(file, 4096).set_aside);
  flip(file, 8, 0xff);  // another version
  CHECK(Journal::open(file, 4096).set_aside);
}

TEST_CASE("a journal with a place that stays unreadable is set aside, instead of a signal later") {
  const TemporaryDirectory directory;
  const auto file = directory / "j";
  CHECK(Journal::open(file, 4096).journal->append(numbered(1).record()));
  {
    const storage::Sector sector{2, 4};
    const auto opened = Journal::open(file, 4096);
    CHECK_FALSE(opened.set_aside);
    CHECK(opened.kept_records == 1);
  }
  const storage::Sector sector{2, 5};
  const auto opened = Journal::open(file, 4096);
  CHECK(opened.set_aside);
  CHECK(opened.kept_records == 0);
  CHECK(opened.journal->append(numbered(1).record()));
}

TEST_CASE("a journal of a newer version is refused in words and not touched") {
  const TemporaryDirectory directory;
  const auto file = directory / "j";
  CHECK(Journal::open(file, 4096).journal->append(numbered(1).record()));
  auto content = read_file(file);
  content[8] = 2;  // the version, and the checksum that belongs to it
  const auto checksum = hash64(std::string_view{content}.substr(0, 24));
  std::memcpy(content.data() + 24, &checksum, sizeof checksum);
  write_file(file, content);
  try {
    Journal::open(file, 4096);
    FAIL("it was opened");
  } catch (const NewerJournal& error) {
    CHECK(std::string{error.what()}.ends_with(
        "has format version 2; this Millwright reads up to version 1"));
  }
  CHECK(read_file(file) == content);
  CHECK_FALSE(std::filesystem::exists(directory / "j.damaged-1"));
}

TEST_CASE(
    "one journal is not opened twice, and no space or no folder is an error with a sentence") {
  const TemporaryDirectory directory;
  const auto opened = Journal::open(directory / "j", 4096);
  CHECK_THROWS_AS(Journal::open(directory / "j", 4096), std::system_error);
  CHECK_THROWS_AS(Journal::open(directory / "no" / "j", 4096), std::system_error);
  CHECK_THROWS_AS(Journal::open(directory.path(), 4096), std::system_error);
  try {
    Journal::open(directory / "huge", std::uint64_t{1} << 60);
    FAIL("there is no disk of that size");
  } catch (const std::system_error& error) {
    const std::string text = error.what();
    CHECK(text.find("huge needs 1152921504606851072 bytes") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(directory / "huge"));
  CHECK_FALSE(std::filesystem::exists(directory / "huge.new"));
}

TEST_CASE(
    "a flipped bit anywhere is noticed: what is read is a prefix, and what is missing is "
    "reported") {
  std::uint64_t set_aside = 0, torn = 0;
  const auto seeds = static_cast<std::uint64_t>(scaled(300, 3000));
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    const TemporaryDirectory directory;
    const auto file = directory / "j";
    std::vector<Owned> expected;
    {
      auto opened = Journal::open(file, 4096);
      // So that the content lies across the end of the ring.
      const std::uint64_t before = random.below(60);
      for (std::uint64_t i = 0; i < before; ++i) {
        REQUIRE(opened.journal->append(random_record(random, 200).record()));
        if (i % 8 == 7) opened.journal->release_through(opened.journal->last_appended());
      }
      opened.journal->release_through(opened.journal->last_appended());
      for (;;) {
        Owned r = random_record(random, 200);
        if (!opened.journal->append(r.record())) break;
        r.position = opened.journal->last_appended();
        expected.push_back(r);
      }
    }
    const bool in_header = random.chance(0.3);
    const std::uint64_t offset = in_header ? random.below(192) : 4096 + random.below(4096);
    CAPTURE(offset);
    flip(file, offset, static_cast<std::uint8_t>(1u << random.below(8)));
    auto opened = Journal::open(file, 4096);
    if (opened.set_aside) {
      CHECK(in_header);
      CHECK_FALSE(opened.journal->next());
      ++set_aside;
      continue;
    }
    const auto records = read_all(*opened.journal);
    REQUIRE(records.size() == opened.kept_records);
    REQUIRE(records.size() + opened.torn_records == expected.size());
    for (std::size_t i = 0; i < records.size(); ++i) REQUIRE(records[i] == expected[i]);
    torn += opened.torn_records > 0 ? 1 : 0;
    // It goes on, and no position is given twice.
    opened.journal->release_through(opened.journal->last_appended());
    REQUIRE(opened.journal->append(numbered(1).record()));
    CHECK(opened.journal->next()->position > expected.back().position);
  }
  CHECK(set_aside > 0);
  CHECK(torn > seeds / 3);
}

TEST_CASE("garbage in place of header or ring never crashes") {
  const auto seeds = static_cast<std::uint64_t>(scaled(150, 3000));
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    const TemporaryDirectory directory;
    const auto file = directory / "j";
    {
      auto opened = Journal::open(file, 8192);
      for (std::uint64_t i = 0; i < 40; ++i) REQUIRE(opened.journal->append(numbered(i).record()));
    }
    std::string content = read_file(file);
    const std::uint64_t from = random.below(content.size());
    const std::uint64_t size = random.below(std::min<std::uint64_t>(content.size() - from, 600));
    for (std::uint64_t i = from; i < from + size; ++i)
      content[i] = random.chance(0.5) ? static_cast<char>(random.next()) : '\xff';
    if (random.chance(0.2)) content.resize(random.below(content.size()));
    write_file(file, content);
    auto opened = Journal::open(file, 8192);
    const auto records = read_all(*opened.journal);
    for (std::size_t i = 0; i < records.size(); ++i) REQUIRE(records[i].topic == numbered(i).topic);
    REQUIRE(opened.journal->append(numbered(1).record()));
  }
}

TEST_CASE("kill -9 at a random moment loses nothing that append said yes to") {
  Random random{4711};
  std::uint64_t total = 0;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    const TemporaryDirectory directory;
    const auto file = directory / "j";
    int acknowledgements[2];
    REQUIRE(::pipe2(acknowledgements, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // Reads and releases as a lane would; the last release is told too, as a negative number.
      auto opened = Journal::open(file, 16384);
      for (std::uint64_t number = 0;; ++number) {
        while (!opened.journal->append(numbered(number).record())) {
          while (opened.journal->next()) {
          }
          const auto through = static_cast<std::int64_t>(opened.journal->last_appended() - 20);
          const std::int64_t told = -through;
          // Told first: the tail may move at any moment after it.
          if (::write(acknowledgements[1], &told, sizeof told) != sizeof told) ::_exit(1);
          opened.journal->release_through(static_cast<Position>(through));
        }
        const auto position = static_cast<std::int64_t>(opened.journal->last_appended());
        if (::write(acknowledgements[1], &position, sizeof position) != sizeof position) ::_exit(1);
      }
    }
    REQUIRE(child > 0);
    ::close(acknowledgements[1]);
    const std::uint64_t until = 1 + random.below(3000);
    std::int64_t number = 0, last = 0, released = 0;
    std::uint64_t seen = 0;
    const auto take = [&] {
      if (::read(acknowledgements[0], &number, sizeof number) != sizeof number) return false;
      (number < 0 ? released : last) = number < 0 ? -number : number;
      return true;
    };
    while (seen < until && take()) ++seen;
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    while (take()) ++seen;  // what was in the pipe when it died
    ::close(acknowledgements[0]);
    REQUIRE(seen >= until);

    auto opened = Journal::open(file, 16384);
    CHECK_FALSE(opened.set_aside);
    CHECK(opened.torn_records == 0);
    const auto records = read_all(*opened.journal);
    const auto appended = static_cast<std::int64_t>(opened.journal->last_appended());
    CHECK(appended >= last);
    CHECK(appended <= last + 1);
    REQUIRE_FALSE(records.empty());
    CHECK(static_cast<std::int64_t>(records.front().position) <= released + 1);
    CHECK(static_cast<std::int64_t>(records.back().position) == appended);
    for (std::size_t i = 0; i < records.size(); ++i) {
      const Position position = records.front().position + i;
      REQUIRE(records[i].position == position);
      REQUIRE(records[i].topic == numbered(position - 1).topic);
      REQUIRE(records[i].payload == numbered(position - 1).payload);
    }
    total += seen;
  }
  CHECK(total > 10000);
}

TEST_CASE("three producers and a reader at full speed: nothing lost, each in order") {
  const TemporaryDirectory directory;
  auto opened = Journal::open(directory / "j", 16384);
  Journal& journal = *opened.journal;
  constexpr std::uint64_t each = 20000;
  std::vector<std::thread> producers;
  for (std::uint64_t who = 0; who < 3; ++who)
    producers.emplace_back([&journal, who] {
      for (std::uint64_t number = 0; number < each; ++number) {
        Owned r = numbered(number);
        r.flags = static_cast<std::uint32_t>(who);
        if (!journal.append(r.record(), 60s)) return;
      }
    });
  std::vector<std::uint64_t> next(3, 0);
  Position last = 0;
  bool good = true;
  while (last < 3 * each && journal.wait(60s)) {
    while (const auto record = journal.next()) {
      good = good && record->position == last + 1 &&
             record->topic == numbered(next[record->flags]).topic &&
             record->payload == numbered(next[record->flags]).payload;
      ++next[record->flags];
      last = record->position;
      if (last % 7 == 0) journal.release_through(last);
    }
    journal.release_through(last);
  }
  for (std::thread& producer : producers) producer.join();
  CHECK(good);
  CHECK(last == 3 * each);
  CHECK(journal.unreleased_bytes() == 0);
}
