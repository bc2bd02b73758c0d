// Checkpoint files: whole or not at all, whatever happens while and after they are written.
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <system_error>

#include "core/hash.h"
#include "core/random.h"
#include "storage/checkpoint.h"
#include "tests/storage/helpers.h"
#include "tests/storage/sector.h"

namespace millwright::storage {
namespace {

const Checkpoint old_one{7, "{\"site\":\"old\"}", std::string{"\0old state\xff", 11}};
const Checkpoint new_one{42, "{\"site\":\"new\"}", std::string(300, '\x5a')};

bool same(const std::optional<Checkpoint>& read, const Checkpoint& written) {
  return read && read->position == written.position &&
         read->configuration == written.configuration && read->state == written.state;
}

std::string older(const fs::path& file) { return file.string() + ".1"; }

void write_two(const fs::path& file) {
  write_checkpoint(file, old_one);
  write_checkpoint(file, new_one);
}

// A number of `size` bytes at `place`, little-endian.
std::uint64_t number(const std::string& bytes, std::size_t place, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8U | static_cast<unsigned char>(bytes.at(place + i));
  return value;
}

TEST_CASE("a checkpoint comes back as it was written, and the one before it is kept") {
  const TemporaryDirectory directory;
  const auto file = directory / "lane0.state";
  const auto nothing = read_checkpoint(file);
  CHECK_FALSE(nothing.checkpoint);
  CHECK(nothing.set_aside.empty());
  CHECK_FALSE(nothing.newer_version);

  write_checkpoint(file, old_one);
  CHECK(same(read_checkpoint(file).checkpoint, old_one));
  write_checkpoint(file, new_one);
  const auto result = read_checkpoint(file);
  CHECK(same(result.checkpoint, new_one));
  CHECK(result.set_aside.empty());
  CHECK(names_in(directory.path()) == std::vector<std::string>{"lane0.state", "lane0.state.1"});
  fs::remove(file);
  CHECK(same(read_checkpoint(file).checkpoint, old_one));
}

TEST_CASE("empty configuration and state are a checkpoint, too") {
  const TemporaryDirectory directory;
  const Checkpoint empty{1, "", ""};
  write_checkpoint(directory / "x.state", empty);
  CHECK(same(read_checkpoint(directory / "x.state").checkpoint, empty));
}

TEST_CASE("the bytes are those of docs/formats/checkpoint.md") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_checkpoint(file, new_one);
  const std::string bytes = bytes_of(file);
  const std::size_t c = new_one.configuration.size(), s = new_one.state.size();
  REQUIRE(bytes.size() == 48 + c + s);
  CHECK(bytes.substr(0, 8) == std::string{"MWCHKPT\0", 8});
  CHECK(number(bytes, 8, 4) == 1);
  CHECK(number(bytes, 12, 4) == (hash64(bytes.substr(0, 12)) & 0xffffffffU));
  CHECK(number(bytes, 16, 8) == 42);
  CHECK(number(bytes, 24, 8) == c);
  CHECK(number(bytes, 32, 8) == s);
  CHECK(bytes.substr(40, c) == new_one.configuration);
  CHECK(bytes.substr(40 + c, s) == new_one.state);
  CHECK(number(bytes, 40 + c + s, 8) ==
        hash64(new_one.state, hash64(new_one.configuration, hash64(bytes.substr(0, 40)))));
}

TEST_CASE("a file cut at any byte is set aside and the older one is used") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  const std::string whole = bytes_of(file);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    write_bytes(file, whole.substr(0, length));
    const auto result = read_checkpoint(file);
    REQUIRE(same(result.checkpoint, old_one));
    REQUIRE(result.set_aside.size() == 1);
    REQUIRE_FALSE(result.newer_version);
    REQUIRE_FALSE(fs::exists(file));
  }
  write_bytes(file, whole + "x");
  CHECK(same(read_checkpoint(file).checkpoint, old_one));
}

TEST_CASE("a flipped bit anywhere is set aside and the older one is used") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  const std::string whole = bytes_of(file);
  for (std::size_t place = 0; place < whole.size(); ++place)
    for (const int bit : {0, 3, 7}) {
      CAPTURE(place);
      CAPTURE(bit);
      std::string bytes = whole;
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << bit));
      write_bytes(file, bytes);
      const auto result = read_checkpoint(file);
      REQUIRE(same(result.checkpoint, old_one));
      REQUIRE(result.set_aside.size() == 1);
      REQUIRE_FALSE(result.newer_version);
    }
}

TEST_CASE("random bytes in both files never crash and leave no checkpoint") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  const std::string whole = bytes_of(file);
  Random random{17};
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    for (const auto& path : {file.string(), older(file)}) {
      std::string bytes = whole;
      // Often only in the header: there the lengths are.
      const auto reach = round % 2 == 0 ? 40 : bytes.size();
      bytes[16 + random.below(reach - 16)] ^= 0x10;
      for (std::uint64_t i = 0, count = random.below(30); i < count; ++i)
        bytes[random.below(reach)] = static_cast<char>(random.next());
      bytes.resize(random.below(4) == 0 ? random.below(bytes.size()) : bytes.size());
      write_bytes(path, bytes);
    }
    const auto result = read_checkpoint(file);
    REQUIRE_FALSE(result.checkpoint);
    REQUIRE(result.set_aside.size() == 2);
  }
}

TEST_CASE("damaged files are kept for inspection, said in a sentence, up to a number") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  write_bytes(file, "first");
  write_bytes(older(file), "second");
  const auto result = read_checkpoint(file);
  CHECK_FALSE(result.checkpoint);
  REQUIRE(result.set_aside.size() == 2);
  CHECK(result.set_aside[0] == file.string() +
                                   " is damaged (it is too short); it was set aside as " +
                                   file.string() + ".damaged-1");
  CHECK(bytes_of(file.string() + ".damaged-1") == "first");
  CHECK(bytes_of(file.string() + ".damaged-2") == "second");
  for (int i = 0; i < 20; ++i) {
    write_bytes(file, "again");
    CHECK(read_checkpoint(file).set_aside.size() == 1);
  }
  CHECK(names_in(directory.path()).size() == 9);
}

TEST_CASE("what cannot be read for a moment is no damage, what stays so is") {
  const TemporaryDirectory directory;
  const auto file = directory / "lane-0";
  write_checkpoint(file, {1, "older", "state"});
  write_checkpoint(file, {2, "newer", std::string(10'000, 's')});
  {
    const Sector sector{2, 4};
    const auto read = read_checkpoint(file);
    REQUIRE(read.checkpoint);
    CHECK(read.checkpoint->position == 2);
    CHECK(read.set_aside.empty());
  }
  const Sector sector{2, 5};
  const auto read = read_checkpoint(file);
  REQUIRE(read.checkpoint);
  CHECK(read.checkpoint->position == 1);
  REQUIRE(read.set_aside.size() == 1);
  CHECK(read.set_aside[0].find("Input/output error") != std::string::npos);
}

TEST_CASE("a newer format is refused and left where it is") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  std::string bytes = bytes_of(file);
  bytes[8] = 2;
  const std::uint64_t check = hash64(bytes.substr(0, 12));
  std::memcpy(bytes.data() + 12, &check, 4);
  // What comes after the first 16 bytes is for the newer version to say.
  bytes.resize(20);
  write_bytes(file, bytes);
  const auto result = read_checkpoint(file);
  CHECK_FALSE(result.checkpoint);
  CHECK(result.set_aside.empty());
  REQUIRE(result.newer_version);
  CHECK(result.newer_version->find("version 2") != std::string::npos);
  CHECK(result.newer_version->find("up to version 1") != std::string::npos);
  CHECK(bytes_of(file) == bytes);
}

TEST_CASE("a write that stops after any step leaves a good file") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  const auto fresh = file.string() + ".new";
  write_checkpoint(directory / "made", new_one);
  const std::string next = bytes_of(directory / "made");
  const Checkpoint oldest{1, "", "oldest"};
  write_checkpoint(file, oldest);
  write_checkpoint(file, old_one);

  SUBCASE("while the new file is written") {
    for (std::size_t length = 0; length <= next.size(); ++length) {
      write_bytes(fresh, next.substr(0, length));
      CHECK(same(read_checkpoint(file).checkpoint, old_one));
    }
  }
  SUBCASE("between the two renames") {
    write_bytes(fresh, next);
    fs::rename(file, older(file));
    const auto result = read_checkpoint(file);
    CHECK(same(result.checkpoint, old_one));
    CHECK(result.set_aside.empty());
  }
  SUBCASE("after the second") {
    write_bytes(fresh, next);
    fs::rename(file, older(file));
    fs::rename(fresh, file);
    CHECK(same(read_checkpoint(file).checkpoint, new_one));
  }
  // And the next write works from every one of these states.
  write_checkpoint(file, new_one);
  CHECK(same(read_checkpoint(file).checkpoint, new_one));
  CHECK_FALSE(fs::exists(fresh));
}

TEST_CASE(
    "killed at any instant, the last checkpoint that was promised, or a later one, is there") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  for (int round = 0; round < 10; ++round) {
    CAPTURE(round);
    const auto child = start_child([&](int pipe) {
      for (Position position = 1;; ++position) {
        write_checkpoint(file, {position, "", std::string(50'000, static_cast<char>(position))});
        if (::write(pipe, &position, sizeof position) != sizeof position) return 1;
      }
    });
    Position promised = 0;
    for (int i = 0; i < 3 + round; ++i)
      REQUIRE(::read(child.pipe, &promised, sizeof promised) == sizeof promised);
    ::kill(child.pid, SIGKILL);
    REQUIRE(WIFSIGNALED(child.wait()));
    while (::read(child.pipe, &promised, sizeof promised) == sizeof promised) {
    }
    const auto result = read_checkpoint(file);
    REQUIRE(result.checkpoint);
    CHECK(result.set_aside.empty());
    CHECK(result.checkpoint->position >= promised);
    CHECK(result.checkpoint->state ==
          std::string(50'000, static_cast<char>(result.checkpoint->position)));
  }
}

TEST_CASE("a write that fails says why, removes what it began and leaves the old files") {
  const TemporaryDirectory directory;
  const auto file = directory / "x.state";
  write_two(file);
  std::string sentence;
  SUBCASE("no room") {
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit lower{1000, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lower) == 0);
    try {
      write_checkpoint(file, {99, "", std::string(5000, 'x')});
    } catch (const std::system_error& error) {
      sentence = error.what();
      CHECK(error.code() == std::errc::file_too_large);
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(sentence.find("cannot write") != std::string::npos);
  }
  SUBCASE("the old one cannot be moved") {
    fs::remove(older(file));
    fs::create_directories(fs::path{older(file)} / "in the way");
    try {
      write_checkpoint(file, {99, "", ""});
    } catch (const std::system_error& error) {
      sentence = error.what();
    }
    CHECK(sentence.find("cannot rename") != std::string::npos);
  }
  CHECK(sentence.find(file.string()) != std::string::npos);
  CHECK_FALSE(fs::exists(file.string() + ".new"));
  CHECK(same(read_checkpoint(file).checkpoint, new_one));
}

TEST_CASE("a missing directory is an error with its name") {
  const TemporaryDirectory directory;
  const auto file = directory / "missing" / "x.state";
  CHECK_THROWS_AS(write_checkpoint(file, new_one), std::system_error);
  CHECK_FALSE(read_checkpoint(file).checkpoint);
}

}  // namespace
}  // namespace millwright::storage
