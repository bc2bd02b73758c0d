// An archive that has all the room it may have, or all there is on its disk.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/log.h"
#include "daemon/writer.h"
#include "storage/database.h"
#include "tests/daemon/published.h"
#include "tests/support/mounts.h"
#include "tests/support/process.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

const Timestamp first = parse_time("2025-03-10T00:00:00Z").value();

// A minute of 500 sensors.
LaneOutput minute(int number) {
  LaneOutput out;
  out.through = static_cast<Position>(number + 1);
  for (int i = 0; i < 500; ++i) {
    NamedSummary& one = out.summaries.emplace_back();
    one.machine = "R1";
    one.sensor = fmt::format("s{}", i);
    one.summary.minute = first + std::chrono::minutes{number};
    one.summary.position = out.through;
    one.summary.add(number);
  }
  return out;
}

void archive_minutes(ArchiveWriter& writer, int from, int to) {
  for (int number = from; number < to; ++number) {
    writer.write(minute(number));
    writer.work_off();
  }
}

std::string newest(const std::filesystem::path& file) {
  return storage::Database{file}.text(
      "SELECT datetime(max(t) / 1000000, 'unixepoch') FROM summary_minute");
}

// Its own thread tells of trouble.
bool tells(ArchiveWriter& writer, const test::Published& published, std::string_view words) {
  const auto before = writer.figures().alerts;
  writer.start();
  test::wait_until([&] { return writer.figures().alerts > before; });
  writer.stop();
  return std::any_of(published.rows.begin(), published.rows.end(), [&](const auto& row) {
    return row.topic == "root/event/case" && row.payload.find(words) != row.payload.npos;
  });
}

}  // namespace

TEST_CASE("the status tells how large the archive is, and what made room in it") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  test::Published published;
  WriterOptions options{file, directory.path(), "site", "root", 1};
  options.bounds = {1'000'000};
  ArchiveWriter writer{options, published.handlers(), log};
  archive_minutes(writer, 0, 10);
  CHECK(writer.storage_figures().archive_bytes > 100'000);
  CHECK(writer.storage_figures().removed.minutes == 0);
  archive_minutes(writer, 10, 100);
  const auto figures = writer.storage_figures();
  CHECK(figures.archive_bytes > 800'000);
  CHECK(figures.archive_bytes <= 1'000'000);
  CHECK(figures.removed.minutes > 10'000);
  CHECK(figures.removed.history == 0);
  CHECK(figures.removed.messages == 0);
  CHECK(writer.figures().failures == 0);
  CHECK(newest(file) == "2025-03-10 01:39:00");
}

TEST_CASE("an archive full of messages that nobody took: the least urgent go, and that is told") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  test::Published published;
  WriterOptions options{directory / "archive.db", directory.path(), "site", "root", 1};
  options.bounds = {1'000'000};
  options.delays.raise = {};
  ArchiveWriter writer{options, published.handlers(), log};
  for (int i = 0; i < 200; ++i) {
    LaneOutput out;
    out.through = static_cast<Position>(i + 1);
    Alert& alert = out.alerts.emplace_back();
    alert.machine = "R1";
    alert.sensor = fmt::format("s{}", i);
    alert.id = alert.machine + '/' + alert.sensor + "/limit/1";
    alert.priority = 50;
    alert.message = std::string(2000, 'x');
    writer.write(std::move(out));
    writer.work_off();
  }
  CHECK(writer.storage_figures().removed.messages > 0);
  CHECK(writer.storage_figures().archive_bytes <= 1'000'000);
  CHECK(tells(writer, published, "full of messages that the broker has not taken"));
}

namespace {

// 0: as promised; else the number of what failed.
int on_a_full_disk(const std::filesystem::path& disk) {
  Log log{{.write = [](std::string_view) {}}};
  test::Published published;
  WriterOptions options{disk / "archive.db", disk, "site", "root", 1};
  options.delays.raise = {};
  const auto ballast = disk / "ballast", other = disk / "of somebody else";
  int number = 0;
  const auto write_more = [&](ArchiveWriter& writer, int minutes) {
    archive_minutes(writer, number, number + minutes);
    number += minutes;
    return writer.figures().failures == 0 && writer.storage_figures().archive &&
           newest(disk / "archive.db") ==
               storage::Database{":memory:"}.text(fmt::format(
                   "SELECT datetime({}, 'unixepoch')",
                   to_microseconds(first + std::chrono::minutes{number - 1}) / 1'000'000));
  };
  {
    ArchiveWriter writer{options, published.handlers(), log};
    if (!write_more(writer, 50)) return 1;
    test::write_file(other, std::string(12'000'000, 'x'));
    while (writer.storage_figures().removed.minutes == 0)
      if (!write_more(writer, 1) || number > 1000) return 2;
    if (std::filesystem::exists(ballast)) return 3;
    if (!write_more(writer, 500)) return 4;
    if (!tells(writer, published, "the oldest in its archive makes room")) return 5;
  }
  // A restart does not make it grow into what is left.
  {
    ArchiveWriter writer{options, published.handlers(), log};
    const auto size = std::filesystem::file_size(disk / "archive.db");
    if (!write_more(writer, 500)) return 6;
    if (writer.storage_figures().archive_bytes != size) return 7;
  }
  std::filesystem::remove(other);
  {
    ArchiveWriter writer{options, published.handlers(), log};
    if (!write_more(writer, 10) || !std::filesystem::exists(ballast)) return 8;
  }
  // Not one byte left when it starts.
  std::ofstream{other, std::ios::binary} << std::string(24'000'000, 'x');
  if (std::filesystem::space(disk).available != 0) return 9;
  ArchiveWriter writer{options, published.handlers(), log};
  if (std::filesystem::exists(ballast)) return 10;
  return write_more(writer, 500) ? 0 : 11;
}

}  // namespace

TEST_CASE("on a full disk the ballast goes, then the oldest minutes, and it is told") {
  const test::TemporaryDirectory directory;
  test::with_mounts([&] { return test::mount_small_disk(directory.path(), "24m"); },
                    [&] { return on_a_full_disk(directory.path()); });
}
