// Finding the period of a sensor by itself, in bounded memory: block means over equal times, 192 of
// them. When they are full they are searched for a period, then joined in pairs, so that blocks
// become twice as long: from a few readings to days, every scale comes up once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"
#include "detectors/periods.h"

namespace millwright::detectors {

struct Season {
  static constexpr std::size_t capacity = 192;
  static constexpr double longest_span = 60 * 86400.0;  // seconds; then the search begins anew

  PeriodBlocks<capacity> blocks;
  double first_length = 0, length = 0;  // seconds of a block: at the start, now
  Timestamp start{};
  double sum = 0;  // of the block under way
  std::uint32_t count = 0;

  static void fields(auto& io, auto& self) {
    io(self.blocks.mean, self.blocks.filled, self.first_length, self.length, self.start, self.sum,
       self.count);
    bool sound = self.blocks.filled < capacity &&
                 positive_in_bounds(self.first_length, self.length) &&
                 (self.first_length > 0) == (self.length > 0) && std::abs(self.sum) <= 1e18;
    for (const float v : self.blocks.mean)
      sound = sound && (std::isnan(v) || std::abs(v) <= widest);
    refuse_unless(io, sound);
  }

  void begin(Timestamp now, double block) {
    blocks.filled = count = 0;
    sum = 0;
    first_length = length = std::max(block, 1e-6);
    start = now;
  }
  // A trusted value, in units of the sensor's deviation. True when the blocks have become full: now
  // is the time to look, then `join`.
  bool add(Timestamp now, double value) {
    const double at = std::floor(to_seconds(elapsed_between(start, now)) / length);
    if (at >= static_cast<double>(blocks.filled) + capacity) {  // a silence longer than all blocks
      begin(now, first_length);
      return false;
    }
    bool full = false;
    if (at > blocks.filled) {
      close();
      while (blocks.filled < capacity && static_cast<double>(blocks.filled) < at)
        blocks.mean[blocks.filled++] = missing_block;
      full = blocks.filled >= capacity;
    }
    // What belongs to after the blocks' end waits for the join; it is one reading.
    sum += std::clamp<double>(value, -widest, widest);
    ++count;
    return full;
  }
  void join(Timestamp now) {
    blocks.join();
    length *= 2;
    if (length * capacity > longest_span) begin(now, first_length);
  }

 private:
  static constexpr float widest = 1e6F;

  void close() {
    if (blocks.filled < capacity) {
      blocks.mean[blocks.filled++] =
          count > 0 ? static_cast<float>(sum / count) + 0.0F : missing_block;
    }
    sum = 0;
    count = 0;
  }
};

}  // namespace millwright::detectors
