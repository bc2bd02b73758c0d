// A sliding window over the newest readings, bounded by count and by age, kept in order of value as
// well: median and median absolute deviation without sorting.
//
// Cost: O(capacity) bytes moved per reading, O(log capacity) per median or deviation. Saved oldest
// first, so that two windows of the same content have the same bytes wherever their rings began.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/reading.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

template <std::size_t capacity>
class SlidingWindow {
  static_assert(capacity >= 2 && capacity <= 255, "places are bytes");

 public:
  std::size_t size() const { return size_; }
  Timestamp oldest() const { return times_[head_]; }
  Timestamp newest() const { return times_[place(size_ - 1u)]; }

  void clear() { head_ = size_ = 0; }

  // The oldest leaves when the window is full.
  void add(Sample sample) {
    if (size_ == capacity) drop_oldest();
    const std::uint8_t at = place(size_);
    times_[at] = sample.time;
    values_[at] = without_sign_of_zero(sample.value);
    const auto begin = order_.begin();
    const auto where =
        std::upper_bound(begin, begin + size_, values_[at],
                         [this](double v, std::uint8_t p) { return v < values_[p]; });
    std::copy_backward(where, begin + size_, begin + size_ + 1);
    *where = at;
    ++size_;
  }

  void drop_before(Timestamp time) {
    while (size_ > 0 && oldest() < time) drop_oldest();
  }

  // The window must not be empty. Of an even number of values the mean of the two in the middle.
  double median() const {
    return size_ % 2 ? sorted(size_ / 2u) : middle(sorted(size_ / 2u - 1), sorted(size_ / 2u));
  }

  // The median of |value - centre|, centre = median(): the upper one of an even number.
  double median_deviation(double centre) const {
    // Distances fall towards the centre from the left and rise from there to the right: two sorted
    // runs, of which the `rank`-th smallest is wanted. `left` elements come from the left run.
    const std::size_t n = size_, split = n / 2, rank = n / 2;
    const auto left_distance = [&](std::size_t i) {
      return centre - sorted(split - 1 - i);
    };  // i < split
    const auto right_distance = [&](std::size_t i) {
      return sorted(split + i) - centre;
    };  // i < n - split
    std::size_t low = rank + 1 > n - split ? rank + 1 - (n - split) : 0,
                high = std::min(rank + 1, split);
    while (low < high) {
      const std::size_t left = (low + high) / 2, right = rank + 1 - left;
      if (right > 0 && left_distance(left) < right_distance(right - 1)) {
        low = left + 1;
      } else {
        high = left;
      }
    }
    const std::size_t left = low, right = rank + 1 - low;
    return std::max(left > 0 ? left_distance(left - 1) : 0.0,
                    right > 0 ? right_distance(right - 1) : 0.0);
  }

  static void fields(auto& io, auto& self) {
    io(self.size_);
    refuse_unless(io, self.size_ <= capacity);
    if constexpr (requires { io.fail(); }) {
      const std::size_t count = io.ok() ? self.size_ : 0;
      self.clear();
      for (std::size_t i = 0; i < count; ++i) {
        Sample sample;
        io(sample.time, sample.value);
        refuse_unless(io, in_bounds(sample.value) && (i == 0 || sample.time >= self.newest()));
        if (!io.ok()) return;
        self.add(sample);
      }
    } else {
      for (std::size_t i = 0; i < self.size_; ++i) {
        const auto at = self.place(i);
        io(self.times_[at], self.values_[at]);
      }
    }
  }

 private:
  static double middle(double a, double b) { return a + (b - a) / 2; }
  std::uint8_t place(std::size_t i) const {
    const std::size_t at = head_ + i;
    return static_cast<std::uint8_t>(at < capacity ? at : at - capacity);
  }
  double sorted(std::size_t rank) const { return values_[order_[rank]]; }
  void drop_oldest() {
    auto* begin = order_.data();
    auto* found = static_cast<std::uint8_t*>(std::memchr(begin, head_, size_));
    std::copy(found + 1, begin + size_, found);
    head_ = place(1);
    --size_;
  }

  std::array<Timestamp, capacity> times_{};
  std::array<double, capacity> values_{};
  std::array<std::uint8_t, capacity> order_{};  // places in order of value
  std::uint8_t head_ = 0, size_ = 0;
};

}  // namespace millwright::detectors
