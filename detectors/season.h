// Finding the period of a sensor by itself, in bounded memory: block means over equal times, 192 of
// them. When they are full they are searched for a period, then joined in pairs, so that blocks
// become twice as long: from a few readings to days, every scale comes up once.
//
// A period is held to explain the share R^2 of the blocks' variance that remains when each block is
// foretold from those one and two periods before and after it (never from itself). Noise scores
// below 0. What is merely slow is foretold even better from half the way: a period must beat its
// half by `gain`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "detectors/numbers.h"

namespace millwright::detectors {

struct Season {
  static constexpr std::size_t capacity = 192;
  static constexpr double shortest = 8;  // blocks of a period; the longest is a third of all blocks
  static constexpr double enough = 0.4;  // R^2 that makes a period
  static constexpr double gain = 0.25;   // by which it is above that of half the period
  static constexpr double level =
      0.05;  // periods this near in R^2 are equally good: the shorter one
  static constexpr float missing = std::numeric_limits<float>::quiet_NaN();
  // Shift, day and week: what is near one of them is it.
  static constexpr std::array<double, 3> calendar{8 * 3600.0, 86400.0, 7 * 86400.0};
  static constexpr double longest_span = 60 * 86400.0;  // seconds; then the search begins anew

  std::array<float, capacity> blocks{};
  std::uint32_t filled = 0;
  double first_length = 0, length = 0;  // seconds of a block: at the start, now
  Timestamp start{};
  double sum = 0;  // of the block under way
  std::uint32_t count = 0;

  static void fields(auto& io, auto& self) {
    io(self.blocks, self.filled, self.first_length, self.length, self.start, self.sum, self.count);
    bool sound = self.filled < capacity && positive_in_bounds(self.first_length, self.length) &&
                 (self.first_length > 0) == (self.length > 0) && std::abs(self.sum) <= 1e18;
    for (const float v : self.blocks) sound = sound && (std::isnan(v) || std::abs(v) <= widest);
    refuse_unless(io, sound);
  }

  struct Found {
    double period = 0;  // seconds
    double explained = 0;
  };

  void begin(Timestamp now, double block) {
    filled = count = 0;
    sum = 0;
    first_length = length = std::max(block, 1e-6);
    start = now;
  }
  // A trusted value, in units of the sensor's deviation. True when the blocks have become full: now
  // is the time to look, then `join`.
  bool add(Timestamp now, double value) {
    const double at = std::floor(to_seconds(elapsed_between(start, now)) / length);
    if (at >= static_cast<double>(filled) + capacity) {  // a silence longer than all blocks
      begin(now, first_length);
      return false;
    }
    bool full = false;
    if (at > filled) {
      close();
      while (filled < capacity && static_cast<double>(filled) < at) blocks[filled++] = missing;
      full = filled >= capacity;
    }
    // What belongs to after the blocks' end waits for the join; it is one reading.
    sum += std::clamp<double>(value, -widest, widest);
    ++count;
    return full;
  }
  void join(Timestamp now) {
    for (std::size_t i = 0; i < capacity / 2; ++i) {
      const float a = blocks[2 * i], b = blocks[2 * i + 1];
      blocks[i] = std::isnan(a) ? b : std::isnan(b) ? a : (a + b) / 2;
    }
    filled = capacity / 2;
    length *= 2;
    if (length * capacity > longest_span) begin(now, first_length);
  }

  // The shortest of the best periods, if there is any.
  std::optional<Found> look() const {
    constexpr std::size_t last = capacity / 3;
    std::array<double, last + 2> by_lag{};
    double best = 0;
    // One lag further on both sides: what still rises at the edge is no peak.
    const auto first = static_cast<std::size_t>(shortest);
    for (std::size_t lag = first - 1; lag <= last + 1; ++lag) {
      by_lag[lag] = explained(static_cast<double>(lag));
      best = std::max(best, by_lag[lag]);
    }
    for (const double period : calendar) {
      if (const double lag = period / length; lag >= shortest && lag <= capacity / 3.0) {
        best = std::max(best, explained(lag));
      }
    }
    if (best < enough) return std::nullopt;
    for (const double period : calendar) {
      const double lag = period / length;
      if (lag < shortest || lag > capacity / 3.0) continue;
      if (const double e = explained(lag); e >= best - level && stands_out(lag, e)) {
        return Found{period, e};
      }
    }
    for (std::size_t lag = first; lag <= last; ++lag) {
      const bool peak = by_lag[lag] >= by_lag[lag + 1] && by_lag[lag] >= by_lag[lag - 1];
      if (!peak || by_lag[lag] < best - 2 * level) continue;
      const auto [fine, e] = refined(static_cast<double>(lag));
      if (e >= best - level && stands_out(fine, e)) return Found{fine * length, e};
    }
    return std::nullopt;
  }
  // R^2 of a period of `lag` blocks.
  double explained(double lag) const {
    double mean = 0, squares = 0, errors = 0;
    std::size_t n = 0, foretold = 0;
    for (std::size_t i = 0; i < filled; ++i) {
      if (std::isnan(blocks[i])) continue;
      mean += static_cast<double>(blocks[i]);
      ++n;
    }
    if (n < capacity / 2) return 0;
    mean /= static_cast<double>(n);
    const std::array<double, 4> offsets{-2 * lag, -lag, lag, 2 * lag};
    for (std::size_t i = 0; i < filled; ++i) {
      if (std::isnan(blocks[i])) continue;
      double sum_of = 0, of = 0;
      for (const double offset : offsets) {
        const float there = at(static_cast<double>(i) + offset);
        if (std::isnan(there)) continue;
        sum_of += static_cast<double>(there);
        of += 1;
      }
      if (of <= 0) continue;
      const double here = static_cast<double>(blocks[i]);
      squares += (here - mean) * (here - mean);
      errors += (here - sum_of / of) * (here - sum_of / of);
      ++foretold;
    }
    if (foretold < capacity / 3 || squares <= 1e-20) return 0;
    return std::max(1 - errors / squares, -10.0);
  }
  // The block at a place between two, missing beyond the ends.
  float at(double place) const {
    if (!(place >= 0) || place > static_cast<double>(filled) - 1) return missing;
    const auto i = static_cast<std::size_t>(place);
    const float share = static_cast<float>(place - static_cast<double>(i));
    if (share <= 0 || i + 1 >= filled) return blocks[i];
    return blocks[i] + share * (blocks[i + 1] - blocks[i]);
  }

 private:
  static constexpr float widest = 1e6F;

  void close() {
    if (filled < capacity) {
      blocks[filled++] = count > 0 ? static_cast<float>(sum / count) + 0.0F : missing;
    }
    sum = 0;
    count = 0;
  }
  bool stands_out(double lag, double e) const {
    return e >= enough && e - explained(lag / 2) >= gain;
  }
  std::pair<double, double> refined(double lag) const {
    std::pair<double, double> best{lag, explained(lag)};
    for (int i = -9; i <= 9; ++i) {
      const double near = lag + i / 10.0;
      if (near < shortest) continue;
      if (const double e = explained(near); e > best.second) best = {near, e};
    }
    return best;
  }
};

}  // namespace millwright::detectors
