#include "tests/daemon/recording.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>

namespace millwright::test {
namespace {

constexpr std::array<const char*, 6> sensors{"temp",    "current", "torque",
                                             "vib_rms", "speed",   "pressure"};
constexpr std::array<double, 6> levels{60, 4, 12, 1.5, 100, 6}, swings{2, 0.2, 0.5, 0, 3, 0.1},
    noises{0.2, 0.1, 0.3, 0.05, 1, 0.02};

// One sensor's value in one row; nothing: an empty cell.
std::optional<double> value_at(std::size_t sensor, int row, Random& random) {
  double value = levels[sensor] +
                 swings[sensor] * std::sin(row * 0.02 + static_cast<double>(sensor)) +
                 noises[sensor] * random.normal();
  const bool missing = random.below(100) == 0;
  if (sensor == 0 && row >= 2500 && row < 2520) value = 93;           // limit
  if (sensor == 1 && row == 1800) value += 60 * noises[sensor];       // spike
  if (sensor == 2 && row >= 2000) value += 25 * noises[sensor];       // shift
  if (sensor == 3 && row >= 2200 && row < 2450) value = 1.5;          // stuck
  if (sensor == 5 && row >= 1700 && row < 1950) return std::nullopt;  // gap
  if (missing) return std::nullopt;
  return value;
}

// A robot's clock is not exact, but rises.
Timestamp time_at(int row, Random& random) {
  const auto start = parse_time("2025-03-10T06:00:00Z");
  if (!start) throw std::logic_error{"not a time"};
  const int silent = row >= 2700 ? 600 : 0;
  return *start + std::chrono::seconds{row + silent} + std::chrono::milliseconds{random.below(40)};
}

}  // namespace

std::uint64_t Random::bits() {  // splitmix64 (Steele, Lea and Flood 2014)
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Random::normal() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

Recording wide_recording(std::uint64_t seed, int rows) {
  Random random{seed};
  Recording recording{"time", {}};
  for (const auto* sensor : sensors) recording.csv += std::string{","} + sensor;
  for (int row = 0; row < rows; ++row) {
    recording.last_time = format_time(time_at(row, random));
    recording.csv += "\n" + recording.last_time;
    for (std::size_t sensor = 0; sensor < sensors.size(); ++sensor) {
      const auto value = value_at(sensor, row, random);
      recording.csv += value ? fmt::format(",{:.4f}", *value) : ",";
    }
  }
  recording.csv += "\n";
  return recording;
}

Recording long_recording(std::uint64_t seed, int machines, bool silence) {
  Random random{seed};
  Recording recording{"time,machine,sensor,value\n", {}};
  for (int row = 0; row < recording_rows; ++row) {
    recording.last_time = format_time(time_at(row, random));
    for (int machine = 1; machine <= machines; ++machine) {
      const bool silent = silence && machine == 1 && row >= 900 && row < 1500;
      for (std::size_t sensor = 0; sensor < sensors.size(); ++sensor) {
        const auto value = value_at(sensor, row, random);
        if (!value || silent) continue;
        recording.csv += fmt::format("{},R{},{},{:.4f}\n", recording.last_time, machine,
                                     sensors[sensor], *value);
      }
    }
  }
  return recording;
}

}  // namespace millwright::test
