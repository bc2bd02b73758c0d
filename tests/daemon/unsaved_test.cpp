// What cannot be written to the archive, and the broker.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "daemon/log.h"
#include "daemon/writer.h"
#include "tests/daemon/published.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

TEST_CASE("after a connect alerts that no archive has are published again") {
  const test::TemporaryDirectory directory;
  Log log{{.write = [](std::string_view) {}}};
  const auto file = directory / "archive.db";
  std::filesystem::create_directories(file / "in the way");
  test::Published published;
  ArchiveWriter writer{{file, directory.path(), "site", "root", 1}, published.handlers(), log};
  LaneOutput out;
  out.through = 5;
  Alert& alert = out.alerts.emplace_back();
  alert.id = "R1/temp/limit/1";
  alert.machine = "R1";
  alert.sensor = "temp";
  writer.write(std::move(out));
  writer.work_off();
  const auto times = [&] {
    return std::count_if(published.rows.begin(), published.rows.end(), [](const auto& row) {
      return row.topic == "root/event/alert" && row.alert_id == "R1/temp/limit/1";
    });
  };
  REQUIRE(times() == 1);
  writer.publish_open_alerts();
  writer.work_off();
  CHECK(times() == 2);
}
