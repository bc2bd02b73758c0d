// What a detector had learned of a sensor, when something new took its place: for the archive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/reading.h"

namespace millwright {

enum class BaselineEnd : std::uint8_t {
  accepted,    // a change lasted, and the detector took it as normal
  serviced,    // a person said that the machine was serviced
  rebaseline,  // a person asked for a new baseline
  regimes      // it was learned of several regimes as if they were one
};
std::string_view name_of(BaselineEnd why);

struct PastBaseline {
  std::string machine, sensor, detector;
  std::uint32_t detector_version = 1;
  std::uint64_t configuration = 0;  // fingerprint of the parameters
  std::uint32_t version = 1;        // 1, 2, ... per sensor and detector
  BaselineEnd why{};
  std::optional<Timestamp> since;    // event time of the first reading that taught it, if any did
  Timestamp until;                   // event time
  std::uint64_t learned = 0;         // readings that taught it
  std::optional<double> confidence;  // 0..1; nothing: not known any more
  std::string state;                 // as in the state format; empty when it is gone (accepted)
  Position position = 0;             // the journal record that caused the end
};

}  // namespace millwright
