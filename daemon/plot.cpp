#include "daemon/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "engine/message.h"

namespace millwright::daemon {
namespace {

constexpr std::size_t axis = 11;

// What a cell shows; a later one hides an earlier one.
enum class Mark : std::uint8_t { none, onset, band, expected, spread, mean, reading, count };

std::string_view glyph(Mark mark, bool utf8) {
  constexpr std::string_view plain[] = {" ", "|", "-", "~", ":", "+", "*"};
  constexpr std::string_view fine[] = {" ", "│", "─", "┄", "░", "▒", "●"};
  const auto i = static_cast<std::size_t>(mark);
  return utf8 ? fine[i] : plain[i];
}

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void take(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

Extent values_of(const Plot& plot) {
  Extent out;
  for (const auto& one : plot.readings) out.take(one.value);
  for (const auto& one : plot.minutes) {
    out.take(one.low);
    out.take(one.high);
  }
  if (out.empty()) return out;
  // A line far away would leave nothing to see of the values.
  const double room = 4 * std::max(out.high - out.low, 1e-9 * std::abs(out.high));
  const auto values = out;
  for (const auto& line : {plot.low, plot.high, plot.expected}) {
    if (line && *line > values.low - room && *line < values.high + room) out.take(*line);
  }
  if (out.high <= out.low) {
    const double margin = std::max(std::abs(out.low) * 0.01, 1e-9);
    out.low -= margin;
    out.high += margin;
  }
  return out;
}

class Canvas {
 public:
  Canvas(const Plot& plot, std::size_t width)
      : values_(values_of(plot)),
        width_(width),
        height_(std::max<std::size_t>(plot.height, 2)),
        cells_(width_ * height_, Mark::none) {
    for (const auto& one : plot.readings) take(one.time);
    for (const auto& one : plot.minutes) take(one.time);
    if (plot.onset) take(*plot.onset);
  }
  bool empty() const { return values_.empty(); }
  Timestamp first() const { return first_; }
  Timestamp last() const { return last_; }
  std::size_t column(Timestamp time) const {
    const double span = to_seconds(last_ - first_);
    if (span <= 0) return width_ / 2;
    const double share = to_seconds(time - first_) / span;
    return static_cast<std::size_t>(
        std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width_ - 1)));
  }
  std::optional<std::size_t> row(double value) const {
    if (!(value >= values_.low && value <= values_.high)) return std::nullopt;
    // Halves first: the difference of two huge values would be infinite.
    const double share = (values_.high / 2 - value / 2) / (values_.high / 2 - values_.low / 2);
    return static_cast<std::size_t>(std::lround(share * static_cast<double>(height_ - 1)));
  }
  double value_at(std::size_t at) const {
    const double share = static_cast<double>(at) / static_cast<double>(height_ - 1);
    return values_.high * (1 - share) + values_.low * share;
  }
  void put(std::size_t column, std::size_t row, Mark mark) {
    auto& cell = cells_[row * width_ + column];
    cell = std::max(cell, mark);
  }
  void put_line(const std::optional<double>& value, Mark mark) {
    const auto at = value ? row(*value) : std::nullopt;
    for (std::size_t c = 0; at && c < width_; ++c) put(c, *at, mark);
  }
  std::string line(std::size_t row, bool utf8) const {
    std::string out;
    for (std::size_t c = 0; c < width_; ++c) out += glyph(cells_[row * width_ + c], utf8);
    return out;
  }
  bool shows(Mark mark) const {
    return std::find(cells_.begin(), cells_.end(), mark) != cells_.end();
  }

 private:
  void take(Timestamp time) {
    first_ = std::min(first_, time);
    last_ = std::max(last_, time);
  }

  Extent values_;
  std::size_t width_, height_;
  std::vector<Mark> cells_;
  Timestamp first_ = Timestamp::max(), last_ = Timestamp::min();
};

void draw(const Plot& plot, Canvas& canvas) {
  if (plot.onset) {
    for (std::size_t row = 0; row < plot.height; ++row)
      canvas.put(canvas.column(*plot.onset), row, Mark::onset);
  }
  canvas.put_line(plot.low, Mark::band);
  canvas.put_line(plot.high, Mark::band);
  canvas.put_line(plot.expected, Mark::expected);
  for (const auto& minute : plot.minutes) {
    const auto column = canvas.column(minute.time);
    const auto top = canvas.row(minute.high), bottom = canvas.row(minute.low);
    for (auto row = top.value_or(1); top && bottom && row <= *bottom; ++row)
      canvas.put(column, row, Mark::spread);
    if (const auto row = canvas.row(minute.mean)) canvas.put(column, *row, Mark::mean);
  }
  for (const auto& reading : plot.readings) {
    if (const auto row = canvas.row(reading.value))
      canvas.put(canvas.column(reading.time), *row, Mark::reading);
  }
}

// What stands for what, on as many lines as it needs.
std::string legend(const Plot& plot, const Canvas& canvas, std::size_t width) {
  const auto with_unit = [&](double value) {
    return engine::format_value(value) + (plot.unit.empty() ? "" : " " + plot.unit);
  };
  std::vector<std::string> items;
  const auto add = [&](Mark mark, const std::string& what) {
    if (canvas.shows(mark)) items.push_back(fmt::format("{} {}", glyph(mark, plot.utf8), what));
  };
  add(Mark::reading, "reading");
  add(Mark::mean, "mean of a minute");
  add(Mark::spread, "its range");
  if (plot.low && plot.high && *plot.low != *plot.high) {
    add(Mark::band,
        fmt::format("{} to {}", engine::format_value(*plot.low), with_unit(*plot.high)));
  } else if (plot.low || plot.high) {
    add(Mark::band, with_unit(plot.low ? *plot.low : *plot.high));
  }
  if (plot.expected) add(Mark::expected, "expected " + with_unit(*plot.expected));
  // Also where all of it is covered by readings.
  if (plot.onset) items.push_back(fmt::format("{} onset", glyph(Mark::onset, plot.utf8)));
  std::string out, line;
  // By characters: a glyph is one, however many bytes it has.
  std::size_t used = 0;
  for (const auto& item : items) {
    const auto columns =
        static_cast<std::size_t>(std::count_if(item.begin(), item.end(), [](char c) {
          return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        }));
    if (used > 0 && used + 3 + columns > width) {
      out += line + "\n";
      line.clear();
      used = 0;
    }
    line += used > 0 ? "   " + item : item;
    used += columns + (used > 0 ? 3 : 0);
  }
  return out + line + (line.empty() ? "" : "\n");
}

}  // namespace

std::string drawn(const Plot& asked) {
  auto plot = asked;
  plot.height = std::clamp<std::size_t>(plot.height, 2, 100);
  const auto width = std::clamp(plot.width, least_width, most_width);
  Canvas canvas{plot, width - axis - 2};
  if (canvas.empty()) return "";
  draw(plot, canvas);
  std::string out;
  for (std::size_t row = 0; row < plot.height; ++row) {
    const bool labelled = row % 3 == 0 || row + 1 == plot.height;
    const auto label = labelled ? engine::format_value(canvas.value_at(row)) : std::string{};
    auto line =
        fmt::format("{:>{}} {}{}", label, axis, plot.utf8 ? "┤" : "|", canvas.line(row, plot.utf8));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  const auto begin = format_time(canvas.first()), end = format_time(canvas.last());
  out += fmt::format("{:{}}{}", "", axis + 2, begin);
  const auto used = axis + 2 + begin.size();
  // Where both do not fit on one line, the end is on the next.
  if (used + 1 + end.size() <= width) {
    out += fmt::format("{:>{}}\n", end, width - used);
  } else {
    out += fmt::format("\n{:>{}}\n", end, width);
  }
  return out + legend(plot, canvas, width);
}

}  // namespace millwright::daemon
