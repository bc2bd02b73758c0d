// Our own seeded generator and distributions: the standard library's differ between
// implementations.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace millwright {

// SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Uniform in 0..n-1; n > 0. The bias of the modulo is below 1e-9 for n < 2^32.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(double probability) { return uniform() < probability; }
  // Standard normal, by Box and Muller; the second value is dropped, so every call takes two draws.
  double normal() {
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }
  // A generator of its own, independent of what this one draws later.
  Random fork(std::uint64_t stream) const {
    return Random{state_ ^ (stream * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du)};
  }

 private:
  std::uint64_t state_;
};

}  // namespace millwright
