// What a detector had learned, from a lane's output into the archive: also when the archive could
// not be written at first, and once only.
#include <doctest/doctest.h>

#include "daemon/log.h"
#include "daemon/writer.h"
#include "storage/database.h"
#include "tests/daemon/published.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

LaneOutput output() {
  LaneOutput out;
  PastBaseline past;
  past.machine = "R1";
  past.sensor = "temp";
  past.detector = "shift";
  past.version = 3;
  past.why = BaselineEnd::serviced;
  past.learned = 17;
  past.state = "bytes";
  out.baselines.push_back(std::move(past));
  out.through = 5;
  return out;
}

std::int64_t rows(const std::filesystem::path& file) {
  storage::Database database{file};
  return database.integer(
      "SELECT count(*) FROM baseline WHERE machine = 'R1' AND version = 3 AND learned = 17 "
      "AND reason = 'serviced' AND state = CAST('bytes' AS BLOB)");
}

}  // namespace

TEST_CASE("a baseline that was replaced is in the archive, also after a replay once") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  CHECK_FALSE(output().empty());
  test::Published published;
  for (int run = 0; run < 2; ++run) {
    ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
    writer.write(output());
    writer.work_off();
    CHECK(writer.figures().failures == 0);
  }
  CHECK(rows(file) == 1);
}

TEST_CASE("a baseline waits while the archive cannot be written") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  test::Published published;
  ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
  {
    storage::Database other{file};
    other.execute("BEGIN IMMEDIATE");
    writer.write(output());
    writer.work_off();
    CHECK(writer.figures().failures == 1);
    other.execute("ROLLBACK");
  }
  writer.work_off();
  CHECK(writer.figures().failures == 1);
  CHECK(rows(file) == 1);
}
