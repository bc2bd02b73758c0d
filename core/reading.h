// Readings: what sensors say, and what became of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "core/time.h"

namespace millwright {

enum class SensorId : std::uint32_t {};   // dense index within one lane
enum class MachineId : std::uint32_t {};  // dense index within one lane

// The place of a record in a lane's journal; rises with every record, never reused.
using Position = std::uint64_t;

// One finite value at one event time: all that a per-sensor detector sees.
struct Sample {
  Timestamp time;
  double value = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Reading {
  SensorId sensor{};
  Sample sample;
};

constexpr std::size_t index(SensorId id) { return static_cast<std::size_t>(id); }
constexpr std::size_t index(MachineId id) { return static_cast<std::size_t>(id); }

// Values beyond this cannot be summed in squares without overflow; they are rejected as out of
// range.
inline constexpr double largest_magnitude = 1e100;

}  // namespace millwright
