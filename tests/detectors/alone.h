// One detector alone: its alerts on the healthy backgrounds, and its state through bytes.
#pragma once

#include <string>
#include <vector>

#include "tests/detectors/one.h"
#include "tests/detectors/watch.h"

namespace millwright::detectors {

// Counts alerts as the engine does: begun at 1, over once below 0.8 for a minute.
template <Detector D>
struct Alone {
  One<D> one{};
  int alerts = 0;

  double feed(double value) {
    const double ratio = one.feed(value);
    const auto now = one.time - one.spacing;
    if (ratio >= 1 && !active_) ++alerts;
    active_ = active_ || ratio >= 1;
    if (ratio >= 0.8) high_ = now;
    if (active_ && now - high_ >= std::chrono::minutes{1}) active_ = false;
    return ratio;
  }

 private:
  bool active_ = false;
  Timestamp high_{};
};

// In a month at one-minute spacing, all sensors together.
template <Detector D>
int alerts_on(const Background& background, int sensors, std::uint64_t seed) {
  int alerts = 0;
  for (int k = 0; k < sensors; ++k) {
    Alone<D> alone;
    alone.one.spacing = std::chrono::minutes{1};
    Random random{seed + static_cast<std::uint64_t>(k)};
    double memory = 0;
    for (int i = 0; i < 30 * 1440; ++i) alone.feed(background.value(random, i * 60.0, memory));
    alerts += alone.alerts;
  }
  return alerts;
}

template <Detector D>
std::string bytes_of(const typename D::State& state) {
  std::string bytes;
  Writer{bytes}(state);
  return bytes;
}

// Is a state that went through bytes after `cut` values the same ever after?
template <Detector D>
bool continues_exactly(const std::vector<double>& values, std::size_t cut, Duration spacing) {
  One<D> whole, other;
  whole.spacing = other.spacing = spacing;
  for (std::size_t i = 0; i < cut; ++i) whole.feed(values[i]);
  const auto bytes = bytes_of<D>(whole.state);
  Reader reader{bytes};
  reader(other.state);
  if (!reader.ok() || !reader.at_end()) return false;
  other.time = whole.time;
  for (std::size_t i = cut; i < values.size(); ++i) {
    if (whole.feed(values[i]) != other.feed(values[i])) return false;
  }
  return bytes_of<D>(whole.state) == bytes_of<D>(other.state);
}

}  // namespace millwright::detectors
