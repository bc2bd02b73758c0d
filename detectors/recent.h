// The newest values of a sensor, and sums over windows of them: what the composite looks at anew
// for each frame.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/codec.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

// The newest `size` values, newest first.
template <class T, std::size_t size>
class Ring {
 public:
  std::size_t count() const { return count_; }
  // 0 is the newest.
  T operator[](std::size_t back) const {
    const std::size_t place = next_ + size - 1 - back;
    return values_[place < size ? place : place - size];  // a division is dearer
  }
  void add(T value) {
    values_[next_] = value;
    next_ = static_cast<std::uint16_t>(next_ + 1U < size ? next_ + 1U : 0);
    if (count_ < size) ++count_;
  }
  // All places in one piece, the newest last.
  void copy(T* to) const {
    to = std::copy(values_.begin() + next_, values_.end(), to);
    std::copy(values_.begin(), values_.begin() + next_, to);
  }
  void clear() { *this = Ring{}; }
  static void fields(auto& io, auto& self) {
    io(self.values_, self.next_, self.count_);
    refuse_unless(io, self.next_ < size && self.count_ <= size);
    for (const auto& v : self.values_) refuse_unless(io, in_bounds(static_cast<double>(v)));
  }

 private:
  std::array<T, size> values_{};
  std::uint16_t next_ = 0, count_ = 0;
};

// A value and those before it in one piece, newest first: what looks at many of them does not ask
// each time where the ring begins anew.
template <class T, std::size_t size>
class Recent {
 public:
  Recent(T newest, const Ring<T, size>& before) {
    before.copy(values_.data());
    values_[size] = newest;
  }
  // Of values that are kept as float, relative to `origin`. The newest is rounded as they are: what
  // is the same stays the same.
  Recent(T newest, const Ring<float, size>& before, T origin) requires(!std::is_same_v<T, float>) {
    std::array<float, size> relative;
    before.copy(relative.data());
    std::transform(relative.begin(), relative.end(), values_.begin(),
                   [origin](float v) { return origin + static_cast<T>(v); });
    values_[size] = origin + static_cast<T>(as_float(newest - origin));
  }
  // 0 is the newest.
  T operator[](std::size_t back) const { return values_[size - back]; }
  auto begin() const { return values_.rbegin(); }

 private:
  std::array<T, size + 1> values_;
};

// Of the windows whose sums are asked for, frames.
template <bool precise>
inline constexpr std::array<std::size_t, 7> lengths_of_windows{4, 8, 16, 24, 36, 48, 72};
template <>
inline constexpr std::array<std::size_t, 10> lengths_of_windows<true>{4,  6,  8,  12, 16,
                                                                      24, 36, 48, 72, 144};

// Sums over windows of the newest values, relative to the newest one, and of the newest roughness.
template <bool precise>
struct Sums {
  static constexpr auto windows = lengths_of_windows<precise>;
  static constexpr std::size_t newest_rough = 16, all_rough = 48;  // frames
  std::array<double, windows.size()> sums, squares;
  double newer = 0, older = 0;  // roughness: of the newest 16 frames, and of the 32 before them

  // Windows that are longer than `known` are left out. `rough`: of the newest one. One walk for
  // all: each sum waits for itself, not for the others.
  Sums(const auto& recent, const auto& roughness, double rough, std::size_t known) {
    const double x = recent[0];
    auto before = recent.begin() + 1;
    auto rough_before = roughness.begin() + 1;
    double sum = 0, square = 0;
    std::size_t k = 1;
    for (std::size_t i = 0; i < windows.size() && windows[i] <= known; ++i) {
      const std::size_t end = windows[i];
      if (end <= all_rough) {
        for (; k < end; ++k) {
          const double d = *before++ - x;
          sum += d;
          square += d * d;
          rough += *rough_before++;
        }
      } else {
        for (; k < end; ++k) {
          const double d = *before++ - x;
          sum += d;
          square += d * d;
        }
      }
      sums[i] = sum;
      squares[i] = square;
      if (end == newest_rough) newer = std::exchange(rough, 0);
      if (end == all_rough) older = rough;
    }
  }
  static constexpr std::size_t place(std::size_t window) {
    std::size_t i = 0;
    while (windows[i] != window) ++i;
    return i;
  }
  template <std::size_t window>
  double sum() const {
    return sums[place(window)];
  }
  template <std::size_t window>
  double mean() const {
    return sum<window>() / window;
  }
  // Standard deviation.
  template <std::size_t window>
  double scatter() const {
    return std::sqrt(
        std::max(0.0, squares[place(window)] / window - mean<window>() * mean<window>()));
  }
  // Between the means of the two halves.
  template <std::size_t half>
  double step() const {
    return std::abs(2 * sum<half>() - sum<2 * half>()) / half;
  }
};

}  // namespace millwright::detectors
