#include "bench/injection/bound.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <string_view>

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
struct Spectrum {
  double keep = 0, deviation = 0, noise = 1;
  double density(double omega) const {
    const double moved = std::norm(1.0 - std::polar(keep, -omega));
    return deviation * deviation * (1 - keep * keep) / moved + noise * noise;
  }
};

// The signal-to-noise ratio of the matched filter for `width` equal readings, per unit of their
// height: the mean over all frequencies of |S|^2 / f (both sides of the fault are known).
double visibility(const Spectrum& spectrum, std::size_t width) {
  constexpr int steps = 1 << 16;
  double sum = 0;
  for (int k = 0; k < steps; ++k) {
    const double omega = std::numbers::pi * (k + 0.5) / steps;
    std::complex<double> shape = 0;
    for (std::size_t i = 0; i < width; ++i)
      shape += std::polar(1.0, -omega * static_cast<double>(i));
    sum += std::norm(shape) / spectrum.density(omega);
  }
  return std::sqrt(sum / steps);
}

double found(double (*above)(double), double distance, double limit) {
  return above(limit - distance);
}

}  // namespace

std::optional<double> bound(const Rate& rate, std::size_t family, Fault fault, double size) {
  if (fault != Fault::spike && fault != Fault::dip && fault != Fault::burst) return std::nullopt;
  const std::size_t width = duration_of(fault, rate);
  const double readings = month_seconds / to_seconds(rate.interval), tail = allowed / readings / 2;
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
  Spectrum spectrum;
  if (name == "ar1") spectrum = {.keep = 0.9, .deviation = 1, .noise = 0};
  if (name == "quantised") {
    const double step = 0.5, rounding = step * step / 12;
    spectrum = {.keep = std::exp(-1 / std::max(200.0, 7200 / to_seconds(rate.interval))),
                .deviation = 2,
                .noise = std::sqrt(0.4 * 0.4 + rounding)};
  }
  return found(beyond, size * visibility(spectrum, width), quantile(beyond, tail));
}

}  // namespace millwright::bench
