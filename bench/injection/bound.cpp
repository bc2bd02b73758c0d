#include "bench/injection/bound.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>
#include <vector>

namespace millwright::bench {
namespace {

constexpr double month_seconds = 86400 * 365.25 / 12;
constexpr double allowed = 1;  // false alerts a sensor-month

double beyond(double z) { return std::erfc(z / std::numbers::sqrt2) / 2; }
// Student's t with 4 degrees of freedom, scaled to deviation 1: its upper tail has a closed form.
double beyond_heavy(double z) {
  const double t = z * std::numbers::sqrt2, u = t / std::sqrt(t * t + 4);
  return 0.5 - 0.75 * u + 0.25 * u * u * u;
}

// The z that `tail` leaves above itself.
double quantile(double (*above)(double), double tail) {
  double low = 0, high = 1e4;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (above(middle) > tail ? low : high) = middle;
  }
  return low;
}

// An autoregressive process of order one with deviation `deviation`, and white noise on it.
struct Process {
  double keep = 0, deviation = 0, noise = 1;
};

// What a background of nothing but the fault reads, per unit of its size.
std::vector<std::optional<double>> shape_of(const Rate& rate, Fault fault) {
  Background nothing{.name = {}, .rate = rate};
  nothing.signal.assign(1 + duration_of(fault, rate) + tolerance_of(fault), 0.0);
  nothing.times.resize(nothing.signal.size());
  return injected(nothing, {.fault = fault, .start = 1, .sigma = 1, .size = 1});
}

// The signal-to-noise ratio of the matched filter, per unit of the fault's size: what the shape
// leaves of itself in the innovations of the Kalman filter of the process, over their deviation
// (Kay 1998, Fundamentals of Statistical Signal Processing II, 4.4 and 13).
double visibility(const Process& process, const std::vector<std::optional<double>>& shape) {
  const double keep = process.keep, noise = process.noise * process.noise,
               moves = process.deviation * process.deviation * (1 - keep * keep);
  double variance = process.deviation * process.deviation;  // of the state, before a reading
  for (int i = 0; i < 100000; ++i) {
    variance = keep * keep * variance * noise / (variance + noise) + moves;
  }
  const double gain = variance / (variance + noise);
  double state = 0, sum = 0;
  for (const auto& value : shape) {
    const double innovation = value.value_or(0) - state;
    state = keep * (state + gain * innovation);
    sum += innovation * innovation;
  }
  return std::sqrt(sum / (variance + noise));
}

double found(double (*above)(double), double distance, double limit) {
  return above(limit - distance);
}

}  // namespace

std::optional<double> bound(const Rate& rate, std::size_t family, Fault fault, double size) {
  switch (fault) {
    case Fault::spike:
    case Fault::dip:
    case Fault::burst:
    case Fault::step:
    case Fault::drift:
    case Fault::oscillation:
      break;
    default:
      return std::nullopt;
  }
  const std::size_t width = duration_of(fault, rate);
  // A fault that lasts can begin anywhere, but neighbouring places say the same.
  const double chances = month_seconds / to_seconds(rate.interval) /
                         (width > 5 ? static_cast<double>(width) : 1),
               tail = std::min(0.5, allowed / chances / 2);
  const std::string_view name = families()[family];
  if (name == "tails") {
    // Five of them in a row: no closed form, and hardly any background is easier.
    if (width > 1) return std::nullopt;
    const double limit = quantile(beyond_heavy, tail);
    return size < limit ? beyond_heavy(limit - size) : 1 - beyond_heavy(size - limit);
  }
  // The load itself goes up at random, for one reading or for five: only what goes down is news,
  // and only while it does not burst.
  if (name == "bursts" && fault != Fault::dip) return std::nullopt;
  Process process;
  if (name == "ar1") process = {.keep = 0.9, .deviation = 1, .noise = 0};
  if (name == "quantised") {
    const double step = 0.5, rounding = step * step / 12;
    process = {.keep = std::exp(-1 / std::max(200.0, 7200 / to_seconds(rate.interval))),
               .deviation = 2,
               .noise = std::sqrt(0.4 * 0.4 + rounding)};
  }
  return found(beyond, size * visibility(process, shape_of(rate, fault)), quantile(beyond, tail));
}

}  // namespace millwright::bench
