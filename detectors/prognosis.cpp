#include "detectors/prognosis.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "detectors/line.h"

namespace millwright::detectors {
namespace {

constexpr std::array<std::size_t, 5> lengths{8, 12, 16, 24, 32};
constexpr double interval = 1.2816;     // sigma: 80 % lie between
constexpr double forgiven = 0.02;       // of the level: errors below it weigh alike
constexpr double smallest = 0.25;       // the logarithm of less is noise
constexpr double farthest = 315360000;  // s: nobody plans further than ten years
constexpr double largest_exponent = 50;

enum class Shape : std::uint8_t { linear, quadratic, exponential };

double transformed(Shape shape, double level) {
  switch (shape) {
    case Shape::linear:
      return level;
    case Shape::quadratic:
      return std::sqrt(std::max(level, 0.0));
    case Shape::exponential:
      return std::log(std::max(level, smallest));
  }
  return level;
}
double level_of(Shape shape, double y) {
  switch (shape) {
    case Shape::linear:
      return y;
    case Shape::quadratic:
      return y > 0 ? y * y : 0;
    case Shape::exponential:
      return std::exp(std::min(y, largest_exponent));
  }
  return y;
}
// d level / d y
double steepness(Shape shape, double y) {
  switch (shape) {
    case Shape::linear:
      return 1;
    case Shape::quadratic:
      return 2 * std::max(y, 0.0);
    case Shape::exponential:
      return std::exp(std::min(y, largest_exponent));
  }
  return 1;
}

// The newest blocks of a ladder, oldest first; times in seconds from now.
struct Points {
  std::array<double, Prognosis::blocks> time{}, level{};
  std::size_t count = 0;
};

struct Curve {
  Shape shape{};
  double level = 0, slope = 0;  // of y; level at `centre`
  double centre = 0;
  double level_error = 0, slope_error = 0;
  double weight = 0;
  double at(double t) const { return level + slope * (t - centre); }
};

using Values = std::array<double, Prognosis::blocks>;

bool any_pair(std::size_t, std::size_t) { return true; }

// Theil and Sen's line through the points from..to-1.
std::optional<Curve> line_through(const Points& points, const Values& y, Shape shape,
                                  std::size_t from, std::size_t to) {
  const std::size_t n = to - from;
  const auto slope = median_slope<Prognosis::blocks>(points.time, y, from, to, n, &any_pair);
  if (!slope) return std::nullopt;
  Curve curve{.shape = shape, .slope = *slope};
  for (std::size_t i = from; i < to; ++i) curve.centre += points.time[i] / static_cast<double>(n);
  Values rest{};
  for (std::size_t i = from; i < to; ++i)
    rest[i - from] = y[i] - curve.slope * (points.time[i] - curve.centre);
  curve.level = median_of(rest.data(), n);
  return curve;
}

void judge(Curve& curve, const Points& points, const Values& y, std::size_t from, std::size_t to) {
  const std::size_t n = to - from;
  double squares = 0, neighbours = 0, of_times = 0, before = 0;
  for (std::size_t i = from; i < to; ++i) {
    const double rest = y[i] - curve.at(points.time[i]);
    squares += rest * rest;
    neighbours += rest * before;
    before = rest;
    of_times += (points.time[i] - curve.centre) * (points.time[i] - curve.centre);
  }
  const double freedom = std::max(independent_of(squares, neighbours, n) - 2, 1.0);
  const double wider = student(interval, freedom) / interval;
  const double residual = squares / freedom;
  curve.level_error = wider * std::sqrt(residual / static_cast<double>(n));
  curve.slope_error = wider * std::sqrt(residual / of_times / slope_efficiency);
}

// How far the curve through the older two thirds misses the rest, in parts of the newest level.
std::optional<double> error_of(const Points& points, const Values& y, Shape shape, std::size_t from,
                               double newest) {
  const std::size_t held = from + (points.count - from) * 2 / 3;
  const auto curve = line_through(points, y, shape, from, held);
  if (!curve) return std::nullopt;
  double squares = 0;
  for (std::size_t i = held; i < points.count; ++i) {
    const double off = level_of(shape, curve->at(points.time[i])) - points.level[i];
    squares += off * off;
  }
  return std::sqrt(squares / static_cast<double>(points.count - held)) / newest;
}

Points points_of(const Prognosis::Ladder& ladder, Timestamp now) {
  Points out;
  out.count = ladder.filled;
  for (std::size_t i = 0; i < out.count; ++i) {
    const auto at = (ladder.next + Prognosis::blocks - out.count + i) % Prognosis::blocks;
    out.time[i] = -to_seconds(elapsed_between(ladder.times[at], now));
    out.level[i] = double{ladder.levels[at]};
  }
  return out;
}

void add_curves(const Points& points, Shape shape, double newest, std::vector<Curve>& curves) {
  Values y{};
  for (std::size_t i = 0; i < points.count; ++i) y[i] = transformed(shape, points.level[i]);
  for (const auto length : lengths) {
    if (length > points.count) return;
    const std::size_t from = points.count - length;
    if (shape == Shape::exponential && points.level[from] < smallest) continue;
    auto curve = line_through(points, y, shape, from, points.count);
    const auto error = error_of(points, y, shape, from, newest);
    if (!curve || !error) continue;
    judge(*curve, points, y, from, points.count);
    curve->weight = 1 / ((*error + forgiven) * (*error + forgiven));
    if (std::isfinite(curve->slope_error) && std::isfinite(curve->weight)) curves.push_back(*curve);
  }
}

double probability(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// That the limit is reached `t` seconds from now, by all curves together.
double reached(std::span<const Curve> curves, const Prognosis::Limit& limit, double t) {
  double sum = 0, weights = 0;
  for (const auto& curve : curves) {
    const double y = transformed(curve.shape, limit.level);
    const double unsure = limit.spread * limit.level / steepness(curve.shape, y);
    const double slope = curve.slope_error * (t - curve.centre);
    const double error = std::hypot(curve.level_error, slope, unsure);
    sum += curve.weight * probability((curve.at(t) - y) / std::max(error, 1e-9));
    weights += curve.weight;
  }
  return sum / weights;
}

// Seconds from now at which `reached` gets to `share`; nothing beyond ten years.
std::optional<double> when(std::span<const Curve> curves, const Prognosis::Limit& limit,
                           double share) {
  if (reached(curves, limit, 0) >= share) return 0.0;
  double low = 0, high = 1;
  for (; reached(curves, limit, high) < share; high *= 2) {
    if (high > farthest) return std::nullopt;
    low = high;
  }
  for (int i = 0; i < 24; ++i) {
    const double middle = (low + high) / 2;
    (reached(curves, limit, middle) < share ? low : high) = middle;
  }
  return high;
}

Timestamp after(Timestamp time, double seconds) {
  std::int64_t sum = 0;
  const auto ahead = from_seconds(seconds);
  const bool over = __builtin_add_overflow(to_microseconds(time), ahead.count(), &sum);
  return over ? Timestamp::max() : from_microseconds(sum);
}

std::optional<Crossing> crossing_of(std::span<const Curve> curves, const Prognosis::Limit& limit,
                                    Timestamp now) {
  const auto latest = when(curves, limit, 0.9);
  if (!latest) return std::nullopt;
  const auto reaches = when(curves, limit, 0.5), earliest = when(curves, limit, 0.1);
  if (!reaches || !earliest) return std::nullopt;
  return Crossing{after(now, *reaches), after(now, *earliest), after(now, *latest)};
}

// A block of one ladder ends: it goes into the next one.
void close(Prognosis::State& state, std::size_t which) {
  auto& ladder = state.ladder[which];
  const auto time = ladder.block.middle();
  const double level = ladder.block.mean;
  ladder.block = Block{};
  ladder.levels[ladder.next] = as_float(level);
  ladder.times[ladder.next] = time;
  ladder.next = static_cast<std::uint8_t>((ladder.next + 1) % Prognosis::blocks);
  if (ladder.filled < Prognosis::blocks) ++ladder.filled;
  if (which + 1 == Prognosis::ladders) return;
  auto& longer = state.ladder[which + 1];
  longer.block.add(time, level);
  if (longer.block.count >= Prognosis::factor) close(state, which + 1);
}

}  // namespace

bool Prognosis::learn(State& state, Timestamp time, double level, std::uint32_t length) {
  auto& finest = state.ladder[0];
  finest.block.add(time, level);
  if (finest.block.count < length) return false;
  close(state, 0);
  return true;
}

Prognosis::Outlook Prognosis::look(const State& state, const Limit& limit, double least,
                                   Timestamp now) {
  const auto& finest = state.ladder[0];
  if (finest.filled == 0) return {};
  const double newest = double{finest.levels[(finest.next + blocks - 1) % blocks]};
  if (newest <= 0) return {};
  std::vector<Curve> curves;
  for (const auto& ladder : state.ladder) {
    const auto points = points_of(ladder, now);
    add_curves(points, Shape::linear, newest, curves);
    if (newest < least) continue;
    add_curves(points, Shape::quadratic, newest, curves);
    add_curves(points, Shape::exponential, newest, curves);
  }
  if (curves.empty()) return {};
  Outlook out;
  double weights = 0;
  for (const auto& curve : curves) {
    out.slope += curve.weight * curve.slope * steepness(curve.shape, curve.at(0));
    weights += curve.weight;
  }
  out.slope = std::clamp(out.slope / weights, -largest_learned, largest_learned);
  if (newest >= least) out.crossing = crossing_of(curves, limit, now);
  return out;
}

}  // namespace millwright::detectors
