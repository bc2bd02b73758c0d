// Per-sensor summary of one minute; mergeable in any order (Chan, Golub & LeVeque 1983, "Algorithms
// for computing the sample variance", The American Statistician 37:242).
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/reading.h"

namespace millwright {

// Bits of Summary::quality; 0 is clean.
enum Quality : std::uint32_t {
  quality_late = 1,        // late readings are included
  quality_suspicious = 2,  // readings that did not teach are included
  quality_warming = 4,     // the sensor was still warming up
  quality_fault = 8,       // its sensor was stuck or saturated, or a sensor alert was active
  quality_cut = 16,        // of a waveform: a window was short or had a gap
  quality_clipped = 32,    // of a waveform: a window reached the end of the range
};

struct Summary {
  SensorId sensor{};
  Timestamp minute;  // start of the minute, event time
  std::uint64_t count = 0;
  double mean = 0;
  double m2 = 0;  // sum of squared distances from the mean
  double min = 0, max = 0;
  double first = 0, last = 0;
  std::uint32_t quality = 0;
  Position position = 0;  // the journal record that completed it

  void add(double value) {
    if (count == 0) min = max = first = value;
    ++count;
    const double delta = value - mean;
    mean += delta / static_cast<double>(count);
    m2 += delta * (value - mean);
    min = std::min(min, value);
    max = std::max(max, value);
    last = value;
  }
  void merge(const Summary& later) {
    if (later.count == 0) return;
    if (count == 0) {
      *this = later;
      return;
    }
    const auto n = static_cast<double>(count), k = static_cast<double>(later.count);
    const double delta = later.mean - mean;
    mean += delta * k / (n + k);
    m2 += later.m2 + delta * delta * n * k / (n + k);
    count += later.count;
    min = std::min(min, later.min);
    max = std::max(max, later.max);
    last = later.last;
    quality |= later.quality;
  }
  static void fields(auto& io, auto& self) {
    io(self.sensor, self.minute, self.count, self.mean, self.m2, self.min, self.max, self.first,
       self.last, self.quality, self.position);
  }
};

}  // namespace millwright
