// The plot in the terminal: where things stand, how wide it is, and that nothing makes it fall
// over.
#include "daemon/plot.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/random.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

Timestamp at(int seconds) {
  return from_microseconds(1'732'250'000'000'000 + seconds * 1'000'000LL);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// A staircase: eleven readings from 0 to 10, limit at 8, onset at the seventh.
Plot stairs() {
  Plot plot;
  for (int i = 0; i <= 10; ++i) plot.readings.push_back({at(i), double(i)});
  plot.high = 8;
  plot.onset = at(7);
  plot.unit = "mm/s";
  plot.height = 11;
  plot.width = 13 + 51;  // five columns a second
  return plot;
}

}  // namespace

TEST_CASE("a plot has every reading, the line and the onset where they belong") {
  const auto lines = lines_of(drawn(stairs()));
  REQUIRE(lines.size() == 13);
  for (std::size_t row = 0; row <= 10; ++row) {
    CAPTURE(lines[row]);
    const auto value = 10 - row;
    REQUIRE(lines[row].size() > 13 + 5 * value);
    CHECK(lines[row][13 + 5 * value] == '*');
    if (row != 2 && row != 3) CHECK(lines[row][13 + 5 * 7] == '|');
  }
  // The row of 8 is a line but for the reading.
  CHECK(std::count(lines[2].begin(), lines[2].end(), '-') == 50);
  CHECK(lines[0].find("         10 |") == 0);
  CHECK(lines[10].find("          0 |") == 0);
  CHECK(lines[11].find("2024-11-22T04:33:20.000Z") != std::string::npos);
  CHECK(lines[12] == "* reading   - 8 mm/s   | onset");
}

TEST_CASE("minutes are drawn as ranges below the readings") {
  auto plot = stairs();
  plot.readings = {{at(0), 3}};
  plot.minutes = {{at(0), 0, 3, 10}, {at(10), 2, 5, 7}};
  const auto lines = lines_of(drawn(plot));
  CHECK(lines[0][13] == ':');
  CHECK(lines[10][13] == ':');
  CHECK(lines[7][13] == '*');  // not the mean, which is there, too
  CHECK(lines[5][13 + 50] == '+');
  CHECK(lines[8][13 + 50] == ':');
}

TEST_CASE("a plot is plain ASCII unless told that more can be shown, and never too wide") {
  Random random{91};
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    Plot plot;
    plot.width = 40 + random.below(120);
    plot.height = 2 + random.below(20);
    plot.utf8 = round % 2 == 0;
    const double size = std::pow(10, random.uniform(-100, 100));
    for (auto n = random.below(40); n > 0; --n)
      plot.readings.push_back(
          {at(static_cast<int>(random.below(1000000))), size * random.normal()});
    for (auto n = random.below(40); n > 0; --n) {
      const double low = size * random.normal();
      plot.minutes.push_back(
          {at(static_cast<int>(random.below(1000000))), low, low, 2 * size + low});
    }
    if (random.chance(0.5)) plot.high = size * random.normal();
    if (random.chance(0.5)) plot.onset = at(static_cast<int>(random.below(1000000)));
    if (random.chance(0.5)) plot.expected = 0;
    const auto text = drawn(plot);
    CHECK(text.empty() == (plot.readings.empty() && plot.minutes.empty()));
    for (const auto& line : lines_of(text)) {
      CAPTURE(line);
      CHECK(columns(line) <= plot.width);
      if (!plot.utf8) CHECK(columns(line) == line.size());
    }
  }
}

TEST_CASE("one reading, or readings of one value, are drawn as well") {
  Plot plot;
  plot.readings = {{at(0), 5}};
  CHECK(drawn(plot).find('*') != std::string::npos);
  plot.readings.push_back({at(1), 5});
  CHECK(drawn(plot).find('*') != std::string::npos);
  plot.readings = {{at(0), 0}};
  CHECK(drawn(plot).find('*') != std::string::npos);
  CHECK(drawn(Plot{}).empty());
}
