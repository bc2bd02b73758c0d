// The period of a sensor in bounded memory: means over blocks of equal time, searched for a lag at
// which they repeat.
//
// A period is held to explain the share R^2 of the blocks' variance that remains when each block is
// foretold from those one and two periods before and after it (never from itself). Noise scores
// below 0. What is merely slow is foretold even better from half the way: a period must beat its
// half by `gain`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace millwright::detectors {

struct Period {
  double seconds = 0;
  double explained = 0;  // R^2
};

// Shift, day and week, seconds: a period that is near one of them is it.
inline constexpr std::array<double, 3> calendar_periods{8 * 3600.0, 86400.0, 7 * 86400.0};

inline bool is_of_calendar(double period) {
  return std::any_of(calendar_periods.begin(), calendar_periods.end(),
                     [period](double known) { return period == known; });
}

inline constexpr float missing_block = std::numeric_limits<float>::quiet_NaN();

template <std::size_t capacity>
struct PeriodBlocks {
  static constexpr double shortest = 8;  // blocks of a period; the longest is a third of all blocks
  static constexpr double enough = 0.4;  // R^2 that makes a period
  static constexpr double gain = 0.25;   // by which it is above that of half the period
  static constexpr double level =
      0.05;  // periods this near in R^2 are equally good: the shorter one

  std::array<float, capacity> mean{};
  std::uint32_t filled = 0;

  // The shortest of the best periods, if there is any; `length`: of a block, seconds.
  std::optional<Period> look(double length) const {
    constexpr std::size_t last = capacity / 3;
    std::array<double, last + 2> by_lag{};
    double best = 0;
    // One lag further on both sides: what still rises at the edge is no peak.
    const auto first = static_cast<std::size_t>(shortest);
    for (std::size_t lag = first - 1; lag <= last + 1; ++lag) {
      by_lag[lag] = explained(static_cast<double>(lag));
      best = std::max(best, by_lag[lag]);
    }
    for (const double period : calendar_periods) {
      if (const double lag = period / length; lag >= shortest && lag <= capacity / 3.0) {
        best = std::max(best, explained(lag));
      }
    }
    if (best < enough) return std::nullopt;
    for (const double period : calendar_periods) {
      const double lag = period / length;
      if (lag < shortest || lag > capacity / 3.0) continue;
      if (const double e = explained(lag); e >= best - level && stands_out(lag, e)) {
        return Period{period, e};
      }
    }
    for (std::size_t lag = first; lag <= last; ++lag) {
      const bool peak = by_lag[lag] >= by_lag[lag + 1] && by_lag[lag] >= by_lag[lag - 1];
      if (!peak || by_lag[lag] < best - 2 * level) continue;
      const auto [fine, e] = refined(static_cast<double>(lag));
      if (e >= best - level && stands_out(fine, e)) return Period{fine * length, e};
    }
    return std::nullopt;
  }
  // R^2 of a period of `lag` blocks.
  double explained(double lag) const {
    double middle = 0, squares = 0, errors = 0;
    std::size_t n = 0, foretold = 0;
    for (std::size_t i = 0; i < filled; ++i) {
      if (std::isnan(mean[i])) continue;
      middle += static_cast<double>(mean[i]);
      ++n;
    }
    if (n < capacity / 2) return 0;
    middle /= static_cast<double>(n);
    const std::array<double, 4> offsets{-2 * lag, -lag, lag, 2 * lag};
    for (std::size_t i = 0; i < filled; ++i) {
      if (std::isnan(mean[i])) continue;
      double sum_of = 0, of = 0;
      for (const double offset : offsets) {
        const float there = at(static_cast<double>(i) + offset);
        if (std::isnan(there)) continue;
        sum_of += static_cast<double>(there);
        of += 1;
      }
      if (of <= 0) continue;
      const double here = static_cast<double>(mean[i]);
      squares += (here - middle) * (here - middle);
      errors += (here - sum_of / of) * (here - sum_of / of);
      ++foretold;
    }
    if (foretold < capacity / 3 || squares <= 1e-20) return 0;
    return std::max(1 - errors / squares, -10.0);
  }
  // In pairs: half as many, twice as long.
  void join() {
    for (std::size_t i = 0; i < capacity / 2; ++i) {
      const float a = mean[2 * i], b = mean[2 * i + 1];
      mean[i] = std::isnan(a) ? b : std::isnan(b) ? a : (a + b) / 2;
    }
    filled = capacity / 2;
  }
  // The block at a place between two, missing beyond the ends.
  float at(double place) const {
    if (!(place >= 0) || place > static_cast<double>(filled) - 1) return missing_block;
    const auto i = static_cast<std::size_t>(place);
    const float share = static_cast<float>(place - static_cast<double>(i));
    if (share <= 0 || i + 1 >= filled) return mean[i];
    return mean[i] + share * (mean[i + 1] - mean[i]);
  }
  // The mean of the blocks at a place and at all that lie whole lags after it; missing where there
  // is none.
  double mean_from(double place, double lag) const {
    double sum = 0, n = 0;
    for (; place < static_cast<double>(capacity); place += lag) {
      const float v = at(std::max(place, 0.0));
      if (std::isnan(v)) continue;
      sum += static_cast<double>(v);
      n += 1;
    }
    return n > 0 ? sum / n : static_cast<double>(missing_block);
  }

 private:
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
