// A robot's log as a CSV file: 1 Hz, six sensors, with a spike, a shift, a stuck sensor, a limit, a
// silent sensor, missing cells and, if wanted, a silent machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/time.h"

namespace millwright::test {

// The same numbers on every machine and with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  double uniform();  // [0, 1)
  double normal();   // mean 0, deviation 1, within 6
  std::uint64_t below(std::uint64_t limit) { return bits() % limit; }

 private:
  std::uint64_t state_;
};

struct Recording {
  std::string csv;
  std::string last_time;  // of its last row
};

inline constexpr int recording_rows = 3000;
Recording wide_recording(std::uint64_t seed, int rows = recording_rows);
// Machines R1, R2, ... in turn, a row a reading. `silence`: the first machine is silent for ten
// minutes while the others go on.
Recording long_recording(std::uint64_t seed, int machines, bool silence);

}  // namespace millwright::test
