// The health of machines, from a lane's output to the broker and into the archive.
#include <doctest/doctest.h>

#include "daemon/log.h"
#include "daemon/writer.h"
#include "storage/database.h"
#include "tests/daemon/published.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

MachineHealth health(std::string machine, int hour, double index) {
  MachineHealth out;
  out.machine = std::move(machine);
  out.time = Timestamp{} + std::chrono::hours{hour};
  out.index = index;
  return out;
}

LaneOutput output(std::vector<MachineHealth> healths) {
  LaneOutput out;
  out.health = std::move(healths);
  out.through = 5;
  return out;
}

std::int64_t count(const std::filesystem::path& file) {
  return storage::Database{file}.integer("SELECT count(*) FROM health");
}

}  // namespace

TEST_CASE("the newest health of every machine is published, retained, and all are archived once") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  for (int run = 0; run < 2; ++run) {
    test::Published published;
    ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
    CHECK_FALSE(output({health("R1", 1, 90)}).empty());
    writer.write(output({health("R1", 1, 90), health("R/2", 1, 70), health("R1", 2, 80)}));
    writer.work_off();
    CHECK(writer.figures().failures == 0);
    REQUIRE(published.rows.size() == 2);
    CHECK(published.rows[0].topic == "root/state/R_2/_machine/health");
    CHECK(published.rows[1].topic == "root/state/R1/_machine/health");
    CHECK(published.rows[1].payload.find("\"health\":80.0") != std::string::npos);
    CHECK(published.rows[1].retain);
    CHECK(published.rows[1].sequence == 0);
    CHECK(published.rows[1].alert_id.empty());
    CHECK(count(file) == 3);
  }
}

TEST_CASE("after a connect the newest health of every machine is published again") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  test::Published published;
  ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
  writer.write(output({health("R1", 2, 80), health("R1", 1, 90), health("R2", 1, 70)}));
  writer.work_off();
  published.rows.clear();
  writer.publish_open_alerts();
  writer.work_off();
  REQUIRE(published.rows.size() == 2);
  CHECK(published.rows[0].payload.find("\"health\":80.0") != std::string::npos);
  CHECK(published.rows[0].retain);
  CHECK(published.rows[1].topic == "root/state/R2/_machine/health");
}

TEST_CASE("health goes out while the archive cannot be written, and is archived when it can") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  std::filesystem::create_directories(file / "in the way");
  test::Published published;
  ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
  writer.write(output({health("R1", 1, 90)}));
  writer.work_off();
  REQUIRE(published.rows.size() == 1);
  writer.write(output({health("R1", 2, 80)}));
  writer.work_off();
  REQUIRE(published.rows.size() == 2);
  CHECK(published.rows[1].payload.find("\"health\":80.0") != std::string::npos);
  std::filesystem::remove_all(file);
  writer.work_off();
  CHECK(count(file) == 2);
}

TEST_CASE("without an archive health is published all the same") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  test::Published published;
  ArchiveWriter writer{
      {std::nullopt, directory.path(), "site", "root", 1}, published.handlers(), log};
  writer.write(output({health("R1", 1, 90)}));
  writer.work_off();
  CHECK(published.rows.size() == 1);
}
