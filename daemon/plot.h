// A small plot for the terminal: what a sensor said around an alert, with the lines that it is held
// against. Pure: the same input, the same text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"

namespace millwright::daemon {

struct PlotPoint {
  Timestamp time;
  double value = 0;
};
struct PlotRange {  // of a minute
  Timestamp time;
  double low = 0, mean = 0, high = 0;
};
struct Plot {
  std::string unit;
  std::vector<PlotRange> minutes;  // drawn below the readings
  std::vector<PlotPoint> readings;
  std::optional<double> low, high, expected;  // lines
  std::optional<Timestamp> onset;
  std::size_t width = 80;   // columns of the terminal
  std::size_t height = 12;  // rows of values
  bool utf8 = false;        // else plain ASCII
};

inline constexpr std::size_t least_width = 40, most_width = 200;

// Lines that end with a newline, none wider than `width`, which is brought within the two above;
// empty when there is nothing to draw.
std::string drawn(const Plot& plot);

}  // namespace millwright::daemon
