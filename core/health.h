// How a machine is, as it goes to the archive and to subscribers. The JSON form is in
// daemon/documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/alert.h"
#include "core/reading.h"
#include "core/score.h"

namespace millwright {

// What makes up a health below 100.
struct HealthPart {
  std::string name;    // a head of the detector `machine`, or `sensor`: its own detectors
  std::string sensor;  // of `sensor`, which one; else empty
  double share = 0;    // 0..1; all parts add up to 1
};

struct MachineHealth {
  std::string machine;
  Timestamp time;                         // event time
  std::optional<double> index;            // 0..100; nothing: what is normal is still learned
  std::vector<HealthPart> parts;          // largest share first
  std::vector<Contributor> contributors;  // sensors that stand out just now
  std::optional<double> trend;            // of the index, per day
  std::optional<Forecast> forecast;       // when the index is 0
  std::optional<double> confidence;       // of the baseline, 0..1
  std::uint32_t baseline = 1;             // its version
  Position position = 0;                  // the journal record that caused it
};

}  // namespace millwright
