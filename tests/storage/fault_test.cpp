// Disk full, read-only, kill -9, a copy taken mid-way, and what waits for the disk.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <csignal>
#include <fstream>

#include "tests/storage/helpers.h"
#include "tests/support/mounts.h"

namespace {
int syncs = 0;
}

// SQLite's calls come here first: the test program's symbols go before the C library's.
extern "C" int fdatasync(int descriptor) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}
extern "C" int fsync(int descriptor) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace millwright::storage {
namespace {

const Timestamp minute = at("2024-11-22T04:33:00Z");

Batch summaries(Position position, int count = 1, std::string_view machine = "R017") {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (int i = 0; i < 5000; ++i) made.push_back("sensor_" + std::to_string(i));
    return made;
  }();
  Batch batch;
  for (int i = 0; i < count; ++i)
    batch.summaries.push_back(
        row(machine, names.at(static_cast<std::size_t>(i)),
            summary_of(minute + std::chrono::minutes{position}, {1, 2}, position)));
  batch.through = {{0, position}};
  return batch;
}

Batch with_alert(Position position) {
  Batch batch = summaries(position);
  const auto revision = static_cast<std::uint32_t>(position);
  batch.alerts = {alert_row("a", revision, AlertState::active)};
  batch.outbox = {outbox_row("a", revision, 5)};
  return batch;
}

// Files of this process may not grow beyond `bytes`; SIGXFSZ becomes an error of write().
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit lower{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lower) == 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_CASE("a commit that cannot be written writes nothing, and works once it can") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Archive archive{file};
  archive.commit(with_alert(1));
  const std::string before = content_of(file);
  {
    const FileSizeLimit limit{64 * 1024};
    // Sensors that are new in it: their numbers must not be remembered.
    auto large = summaries(2, 5000, "new");
    large.alerts = {alert_row("a", 2, AlertState::active)};
    large.outbox = {outbox_row("a", 2, 5)};
    CHECK_THROWS_AS(archive.commit(large), StorageError);
    CHECK_THROWS_AS(archive.commit(large), StorageError);
  }
  CHECK(content_of(file) == before);
  CHECK_FALSE(archive.set_aside());
  auto large = summaries(2, 5000, "new");
  large.alerts = {alert_row("a", 2, AlertState::active)};
  large.outbox = {outbox_row("a", 2, 5)};
  CHECK(archive.commit(large).outbox.size() == 1);
  CHECK(rows_of(file,
                "SELECT machine, count(DISTINCT sensor), count(*) FROM summary_minute JOIN "
                "sensor ON id = sensor_id GROUP BY machine") == "R017|1|1\nnew|5000|5000\n");
  CHECK(rows_of(file, "PRAGMA integrity_check") == "ok\n");
}

// 0: as promised; else the number of what failed.
int on_a_small_disk(const fs::path& disk) {
  const auto file = disk / "archive.db", ballast = disk / "ballast";
  const auto code_of_commit = [](Archive& archive, const Batch& batch) {
    try {
      archive.commit(batch);
      return 0;
    } catch (const StorageError& error) {
      return error.code() & 0xff;
    }
  };
  Archive archive{file};
  archive.commit(with_alert(1));
  // More than there is room for: what fits is written.
  std::ofstream{ballast, std::ios::binary} << std::string(4 * 1024 * 1024, 'x');

  if (code_of_commit(archive, summaries(2, 5000, "new")) != SQLITE_FULL) return 1;
  if (archive.applied(0) != 1 || archive.open_alerts().size() != 1) return 2;
  fs::remove(ballast);
  if (code_of_commit(archive, with_alert(3)) != 0) return 3;
  if (archive.applied(0) != 3 || archive.outbox_size() != 2) return 4;
  return 0;
}

TEST_CASE("a full disk fails the commit in words, and freed space is enough to go on") {
  const TemporaryDirectory directory;
  test::with_mounts([&] { return test::mount_small_disk(directory.path(), "2m"); },
                    [&] { return on_a_small_disk(directory.path()); });
}

TEST_CASE("an archive on a read-only disk is refused in words") {
  const TemporaryDirectory directory;
  { Archive{directory / "archive.db"}.commit(with_alert(1)); }
  test::with_mounts([&] { return test::mount_read_only(directory.path()); },
                    [&] {
                      try {
                        Archive archive{directory / "archive.db"};
                        archive.commit(with_alert(2));
                      } catch (const StorageError& error) {
                        const std::string what = error.what();
                        return what.find("Read-only file system") != std::string::npos ? 0 : 1;
                      }
                      return 2;
                    });
  CHECK(Archive{directory / "archive.db"}.applied(0) == 1);
}

TEST_CASE("after kill -9 every commit that returned is there, whole") {
  const TemporaryDirectory directory;
  const auto file = directory / "archive.db";
  Position promised = 0;
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    const Position first = promised + 1;
    const auto child = start_child([&](int pipe) {
      Archive archive{file};
      for (Position position = first;; ++position) {
        archive.commit(with_alert(position));
        if (::write(pipe, &position, sizeof position) != sizeof position) return 1;
      }
    });
    for (int i = 0; i < 5 + round; ++i)
      REQUIRE(::read(child.pipe, &promised, sizeof promised) == sizeof promised);
    ::kill(child.pid, SIGKILL);
    REQUIRE(WIFSIGNALED(child.wait()));
    // What the child said before it died counts as well.
    while (::read(child.pipe, &promised, sizeof promised) == sizeof promised) {
    }
    Archive archive{file};
    CHECK_FALSE(archive.set_aside());
    const Position applied = archive.applied(0);
    CHECK(applied >= promised);
    CHECK(archive.outbox_size() == applied);
    CHECK(rows_of(file, "SELECT count(*), max(revision) FROM alert_event") ==
          std::to_string(applied) + "|" + std::to_string(applied) + "\n");
    CHECK(rows_of(file, "SELECT count(*), sum(n) FROM summary_minute") ==
          std::to_string(applied) + "|" + std::to_string(2 * applied) + "\n");
    promised = applied;
  }
}

TEST_CASE("a copy of the file and its log taken while it is open holds what was committed") {
  const TemporaryDirectory directory;
  const auto copies = directory / "copies";
  fs::create_directory(copies);
  Archive archive{directory / "archive.db"};
  for (Position position = 1; position <= 5; ++position) {
    archive.commit(position % 2 == 0 ? with_alert(position) : summaries(position, 50));
    for (const char* name : {"archive.db", "archive.db-wal"})
      fs::copy_file(directory / name, copies / name, fs::copy_options::overwrite_existing);
    CHECK(Archive{copies / "archive.db"}.applied(0) == position);
    CHECK(content_of(copies / "archive.db") == content_of(directory / "archive.db"));
    for (const auto& name : names_in(copies)) fs::remove(copies / name);
  }
}

TEST_CASE("a commit with an alert waits for the disk, one with summaries alone does not") {
  const TemporaryDirectory directory;
  Archive archive{directory / "archive.db"};
  archive.commit(with_alert(1));
  const auto syncs_of = [&](const Batch& batch) {
    const int before = syncs;
    archive.commit(batch);
    return syncs - before;
  };
  CHECK(syncs_of(summaries(2)) == 0);
  CHECK(syncs_of(with_alert(3)) >= 1);
  CHECK(syncs_of(summaries(4)) == 0);
  Batch message;
  message.outbox = {outbox_row("", 0, 1)};
  CHECK(syncs_of(message) >= 1);
}

}  // namespace
}  // namespace millwright::storage
