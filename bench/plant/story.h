// What befalls a simulated plant, drawn from a seed: faults of machines, troubles of sensors,
// gateways that drop out, machines switched off at weekends, planned maintenance. This is the truth
// that alerts are held against; the engine never sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "simulator/factory.h"

namespace millwright::bench {

struct PlantOptions {
  std::size_t machines = 200, sensors = 6;  // a machine; 1 to 12
  Duration duration = std::chrono::hours{24 * 30};
  Duration period = std::chrono::minutes{1};  // between two messages of a machine
  Duration tick = std::chrono::seconds{30};
  std::uint64_t seed = 1;
  std::uint32_t budget = 6;  // notifications an hour; 0: as many as there are
  std::size_t faults = 40, sensor_deaths = 30, loose = 6, gateways = 6, windows = 10;
};

struct Span {
  Timestamp from, to;
  bool holds(Timestamp time) const { return time >= from && time < to; }
};

// One sensor that cannot be trusted.
struct SensorTrouble {
  enum class What : std::uint8_t {
    silent,      // dead
    stuck,       // repeats one value
    comes_goes,  // silent for 15 of every 25 minutes
    loose        // reads 0 for 3 of every 10 minutes: a loose contact
  };
  std::size_t machine = 0, sensor = 0;  // sensor: index in Factory::sensors()
  What what{};
  Span span;
};
std::string_view name_of(SensorTrouble::What what);

// All of these machines are silent at once.
struct Gateway {
  std::size_t first = 0, last = 0;  // machines, both included
  Span span;
};

// Somebody works on the machine: it runs by hand and is silent in between.
struct Window {
  std::size_t machine = 0;
  Span span;
};

struct Story {
  std::vector<simulator::PlannedFault> faults;
  std::vector<SensorTrouble> troubles;  // by machine
  std::vector<Gateway> gateways;
  std::vector<Window> windows;
  std::size_t switched_off_every = 20;  // every so many-th machine, at weekends
  std::size_t day_shift_every = 3;      // likewise, works days only

  bool switched_off(std::size_t machine, Timestamp time) const;
};

// Which sensors are read, as indices in Factory::sensors().
std::vector<std::size_t> sensors_read(const PlantOptions& options);

// Throws std::invalid_argument with one sentence for options out of range.
Story story_of(const PlantOptions& options, Timestamp start);

}  // namespace millwright::bench
