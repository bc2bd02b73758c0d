// The broker dies, the line to it is cut, slow or late: the daemon is back in time, and nobody
// misses an alert.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/daemon/recording.h"
#include "tests/faults/figures.h"
#include "tests/faults/plant.h"
#include "tests/faults/table.h"
#include "tests/faults/vitals.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// Seconds of the daemon. The tests allow a second of the machine's own on top: it is busy with
// other tests, and every delay of its counts ten times here.
constexpr double promised = 35;
constexpr int keep_alive = 30;  // seconds
constexpr std::size_t with_full_queue_kib = 32 * 1024;

std::chrono::seconds seconds(int from, int below, Random& random) {
  const auto range = static_cast<std::uint64_t>(below - from);
  return std::chrono::seconds{from + static_cast<int>(random.below(range))};
}

}  // namespace

TEST_CASE(
    "a broker that is killed again and again finds the daemon back in time, all alerts told") {
  Plant plant{{}};
  Load load{plant.source, 5};
  Random random{51};
  Seconds back;
  Vitals memory;
  const int kills = many(4, 200);
  for (int kill = 0; kill < kills; ++kill) {
    CAPTURE(kill);
    // In the middle of what is told. New events count: those of the last two minutes come again
    // first. Half as many are still to come, however often the broker dies.
    const auto more = 20 + random.below(100), until = plant.heard() + more;
    REQUIRE(load.until([&] { return plant.archived_so_far() >= until + more / 2; }));
    REQUIRE(wait_until([&] { return plant.heard() >= until; }, 60s));
    const auto connections = plant.connections();
    plant.broker.kill();
    // Most are down for long enough that the daemon tries in vain; one that is back at once looks
    // to it like another client with its name.
    const auto down = plant.clock.real(random.below(5) == 0 ? 0s : seconds(2, 22, random));
    wait_until([] { return false; }, down);
    plant.broker.start();
    const auto began = Clock::now();
    INFO(plant.site.log());
    REQUIRE(wait_until([&] { return plant.connections() > connections; }, 60s));
    back.add(plant.clock.of_daemon(Clock::now() - began));
    REQUIRE(plant.crew.up(40s));
    REQUIRE(plant.source.up(40s));
    memory.look(plant.site.process().pid());
  }
  for (int i = 0; i < 10; ++i) load.minute();
  REQUIRE(pass_marker(plant.source, load.now()));
  const auto undelivered = plant.undelivered();
  CHECK(undelivered == "");
  CHECK(back.longest() < promised + plant.clock.speed());
  // It fills slowly with what the broker may have forgotten: 10,000 rows at most.
  if (memory.known()) CHECK((memory.growth() < 1.1 || memory.newest_kib() < with_full_queue_kib));
  report_fault(
      "broker kill -9, with persistence", kills,
      "connected < 35 s; every alert (id, revision) heard",
      fmt::format("connected after {}; {} events, {} undelivered; {}", back.describe(),
                  plant.archived(), undelivered.empty() ? "none" : "SOME", memory.describe()));
}

TEST_CASE(
    "a line that is dead, slow or late: offline is told, the daemon comes back, all is told") {
  Plant plant{
      {.proxied = true, .configure = [](Json& c) { c["broker"]["keep_alive_s"] = keep_alive; }}};
  Load load{plant.source, 5};
  Random random{52};
  Seconds offline, back;
  Vitals memory;
  int slow = 0, late = 0, cut = 0;
  const int partitions = many(2, 100);
  const auto some_more = [&](std::size_t events) {
    const auto until = plant.crew.received() + events;
    REQUIRE(load.until([&] { return plant.crew.received() >= until; }));
  };
  for (int partition = 0; partition < partitions; ++partition) {
    CAPTURE(partition);
    some_more(10 + random.below(50));
    // Connected, also after the last round's trouble: else there is nobody to be told of.
    const auto online = heard_status(plant.watcher, true);
    REQUIRE(wait_until([&] { return heard_status(plant.watcher, true) > online; }, 60s));
    const auto told = heard_status(plant.watcher, false);
    plant.proxy.stall(true);
    auto began = Clock::now();
    REQUIRE(wait_until([&] { return heard_status(plant.watcher, false) > told; }, 60s));
    offline.add(plant.clock.of_daemon(Clock::now() - began));
    load.minute();
    wait_until([] { return false; }, plant.clock.real(seconds(0, 30, random)));
    const auto there = heard_status(plant.watcher, true);
    plant.proxy.stall(false);
    began = Clock::now();
    INFO(plant.site.log());
    REQUIRE(wait_until([&] { return heard_status(plant.watcher, true) > there; }, 60s));
    back.add(plant.clock.of_daemon(Clock::now() - began));
    // And one of the smaller troubles.
    if (partition % 3 == 0) {
      ++slow;
      plant.proxy.limit(40'000);
    } else if (partition % 3 == 1) {
      ++late;
      plant.proxy.delay(plant.clock.real(500ms));
    } else {
      ++cut;
      plant.proxy.cut();
    }
    some_more(20);
    plant.proxy.limit(0);
    plant.proxy.delay(0ms);
    memory.look(plant.site.process().pid());
  }
  REQUIRE(pass_marker(plant.source, load.now()));
  const auto undelivered = plant.undelivered();
  CHECK(undelivered == "");
  CHECK(back.longest() < promised + plant.clock.speed());
  // The broker tells when 1.5 of them are over, and looks every 5 s.
  CHECK(offline.median() < 2 * keep_alive);
  if (memory.known()) CHECK(memory.growth() < 1.1);
  report_fault("partition: nothing passes, nobody is told", partitions,
               "offline < 2 keepalives (60 s); connected < 35 s; all heard",
               fmt::format("offline after {}; connected after {}; {} events, {} undelivered; {}",
                           offline.describe(), back.describe(), plant.archived(),
                           undelivered.empty() ? "none" : "SOME", memory.describe()));
  report_fault("line slow (4 kB/s), late (0.5 s each way), cut", slow + late + cut,
               "alerts come, all in the end",
               fmt::format("slow {}, late {}, cut {}: all heard", slow, late, cut));
}
