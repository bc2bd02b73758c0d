// A small plant, as bench_plant plays a large one: what its crew must be able to rely on.
#include "bench/plant/plant.h"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>

using namespace millwright;
using namespace millwright::bench;
using namespace std::chrono_literals;

namespace {

PlantOptions small() {
  PlantOptions options;
  options.machines = 20;
  options.duration = 24h * 6;
  options.seed = 4711;
  options.faults = 4;
  options.sensor_deaths = 3;
  options.loose = 2;
  options.gateways = 2;
  options.windows = 2;
  return options;
}

}  // namespace

TEST_CASE("a crew hears of every fault, once of each gateway, and within its budget") {
  const auto result = run_plant(small());
  REQUIRE(result.faults.size() == 4);
  for (const auto& fault : result.faults) {
    CAPTURE(fault.label.machine);
    CAPTURE(fault.label.meaning);
    CHECK(fault.found());
  }
  CHECK(result.most_notified(1h, false) <= small().budget);
  REQUIRE(result.per_gateway.size() == 2);
  for (const auto told : result.per_gateway) CHECK(told == 1);
  // Far fewer than alerts.
  CHECK(result.notified.size() * 2 < result.raised.size());
  CHECK(result.readings > 1'000'000);
}

TEST_CASE("the same plant tells the same") {
  auto options = small();
  options.machines = 10;
  options.duration = 24h * 2;
  const auto one = run_plant(options), other = run_plant(options);
  CHECK(one.readings == other.readings);
  CHECK(one.notified == other.notified);
  options.seed += 1;
  CHECK(run_plant(options).notified != one.notified);
}

TEST_CASE("a plant that cannot be is refused") {
  auto options = small();
  options.sensors = 13;
  CHECK_THROWS_AS(run_plant(options), std::invalid_argument);
  options = small();
  options.faults = 21;
  CHECK_THROWS_AS(run_plant(options), std::invalid_argument);
}
