// Waveforms with known properties: sums of sines, noise, and bearings that knock.
#pragma once

#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "core/random.h"
#include "detectors/bearing.h"

namespace millwright::test {

inline constexpr double pi = std::numbers::pi;

inline std::vector<float> samples_of(std::size_t count, double rate_hz, auto&& value) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(value(static_cast<double>(i) / rate_hz));
  return out;
}

// A spindle whose bearing knocks: noise of RMS 1, and at every knock a resonance that rings off.
// The knocks come at `order` turns of the shaft, each a little early or late as balls slip.
struct Knocking {
  double rate_hz = 20480;
  double order = 3.585;
  double resonance_hz = 4000, damping = 900;  // 1/s
  double slip = 0.01;                         // standard deviation of a spacing
  std::uint64_t seed = 1;
};

class Spindle {
 public:
  explicit Spindle(const Knocking& knocking)
      : k_(knocking), random_(knocking.seed), next_(next_angle()) {}

  // The next sample; `height` of the knocks, the shaft turning `hz` times a second, noise and
  // imbalance times `load`.
  double sample(double hz, double height, double load = 1) {
    angle_ += hz / k_.rate_hz;
    if (angle_ >= next_) {
      a_ += height;
      next_ += next_angle();
    }
    const double decay = std::exp(-k_.damping / k_.rate_hz);
    const double turn = 2 * pi * k_.resonance_hz / k_.rate_hz;
    const double a = decay * (a_ * std::cos(turn) - b_ * std::sin(turn));
    b_ = decay * (a_ * std::sin(turn) + b_ * std::cos(turn));
    a_ = a;
    return load * (random_.normal() + std::sin(2 * pi * angle_)) + b_;
  }

 private:
  double next_angle() { return (1 + k_.slip * random_.normal()) / k_.order; }

  Knocking k_;
  Random random_;
  double angle_ = 0, a_ = 0, b_ = 0;
  double next_;
};

}  // namespace millwright::test
