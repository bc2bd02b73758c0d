// What a sensor said, for the evidence of an alert: the newest readings one by one, older ones the
// sparser the longer ago, in bounded room.
//
// Numbering the readings 1, 2, 3, ..., level k holds the newest whose number is an odd multiple of
// 2^k (the ruler sequence): no reading stands on two levels, and one or two are left in every
// doubling of age, a quarter to half a million readings back. With each is kept what was expected
// then.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/alert.h"
#include "core/reading.h"
#include "detectors/numbers.h"

namespace millwright::engine {

class History {
 public:
  static constexpr std::size_t dense = 8;            // newest readings, all of them
  static constexpr std::size_t first_level = 3;      // 2^3: what the dense ones do not cover
  static constexpr std::size_t levels = 16;          // so up to 2^18
  static constexpr std::ptrdiff_t before_onset = 4;  // readings of evidence that precede it

  // `expected`: by what was learned; NaN: nothing yet.
  void add(const Sample& sample, double expected) {
    ++count_;
    put(count_ % dense, sample, expected);
    const auto level = static_cast<std::size_t>(std::countr_zero(count_));
    if (level >= first_level && level < first_level + levels)
      put(dense + level - first_level, sample, expected);
  }

  // From a few readings before the onset on.
  Evidence around(Timestamp onset) const {
    const auto all = places();
    const auto is_before = [&](std::size_t place) { return times_[place] < onset; };
    const auto begin = std::partition_point(all.begin(), all.end(), is_before);
    const auto first = begin - std::min<std::ptrdiff_t>(begin - all.begin(), before_onset);
    Evidence out;
    for (auto it = first; it != all.end(); ++it) {
      out.times.push_back(times_[*it]);
      out.values.push_back(values_[*it]);
      out.expected.push_back(expected_[*it]);
    }
    return out;
  }

  static void fields(auto& io, auto& self) {
    io(self.count_, self.times_, self.values_, self.expected_);
  }

 private:
  static constexpr std::size_t size = dense + levels;

  void put(std::size_t place, const Sample& sample, double expected) {
    times_[place] = sample.time;
    values_[place] = sample.value;
    expected_[place] = detectors::as_float(expected);
  }
  // Of what is kept, oldest first. Which number a level holds follows from the count.
  std::vector<std::size_t> places() const {
    struct Numbered {
      std::uint64_t number = 0;
      std::size_t place = 0;
    };
    std::vector<Numbered> found;
    const auto newest = std::min<std::uint64_t>(count_, dense);
    for (auto number = count_ - newest + 1; number <= count_; ++number)
      found.push_back({number, number % dense});
    for (std::size_t i = 0; i < levels; ++i) {
      const auto multiples = count_ >> (first_level + i);
      if (multiples == 0) break;
      const auto number = (multiples - (multiples + 1) % 2) << (first_level + i);
      if (number + dense <= count_) found.push_back({number, dense + i});
    }
    std::sort(found.begin(), found.end(),
              [](const Numbered& a, const Numbered& b) { return a.number < b.number; });
    std::vector<std::size_t> out;
    for (const auto& one : found) out.push_back(one.place);
    return out;
  }

  // Side by side, not as structs: padding would take an eighth more.
  std::uint64_t count_ = 0;
  std::array<Timestamp, size> times_{};
  std::array<double, size> values_{};
  std::array<float, size> expected_{};
};
static_assert(sizeof(History) <= 512, "one for each of many thousand sensors");

}  // namespace millwright::engine
