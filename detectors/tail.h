// How unusual a statistic is against its own past: decimal digits of evidence (0: nothing unusual,
// 3: once in a thousand beyond the usual tenth). Two calibrators that fail in different ways,
// averaged.
//
// A, a histogram of log2 u in octaves that moves up with the largest value: the empirical tail
// inside, a Pareto tail beyond with the Hill estimate of its index (Hill 1975, Ann. Stat. 3:1163).
// It does not forget, but for the halving of full counters.
//
// B, peaks over a threshold that tracks the upper 5 %: exponential excess of log u with a memory of
// 800 peaks (Pickands 1975, Ann. Stat. 3:119).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"
#include "detectors/upper.h"

namespace millwright::detectors {

class Tail {
 public:
  // Evidence of a statistic with this logarithm, >= 0; 0 while fewer than 30 are known.
  double evidence(float log2u) const {
    if (count_ < least || log2u == no_log2) return 0;
    return (std::max(0.0, digits_by_histogram(log2u) - 1) +
            std::max(0.0, digits_by_peaks(log2u) - 1)) /
           2;
  }
  void learn(float log2u) {
    learn_histogram(log2u);
    learn_peaks(log2u);
  }

  static void fields(auto& io, auto& self) {
    io(self.bins_, self.base_, self.started_, self.tail_, self.count_, self.upper_, self.excess_,
       self.peaks_);
    refuse_unless(io, self.tail_ < bins && std::abs(self.base_) <= 4000 && self.count_ >= 0 &&
                          self.count_ <= most_count && self.excess_ >= 0 &&
                          self.excess_ <= 4 * largest_log2 && self.peaks_ >= 0 &&
                          self.peaks_ <= longest_memory);
  }

 private:
  static constexpr int bins = 24;
  static constexpr float least = 30, most_count = bins * 65536.0F;
  static constexpr double most_digits = 12;
  static constexpr double prior_count = 4, prior_octaves = 1;  // of A's tail
  static constexpr double prior_excess = 1;                    // octaves, of B's
  static constexpr double blend = 4;  // values beyond at which A trusts what it saw by half
  static constexpr double longest_memory = 800;  // peaks
  static constexpr double octaves_per_digit = 3.321928094887362;

  double digits_by_histogram(float log2u) const {
    const double position = log2u - base_;
    if (position < tail_) return 0;
    const int here = static_cast<int>(std::min(position, double{bins}));
    // Values from the top down, and their distances from the start of the tail, in bins.
    std::uint32_t values = 0, distances = 0;
    int i = bins - 1;
    for (; i > here; --i) distances += (values += bins_.data()[i]);
    double above = values;
    for (; i > tail_; --i) distances += (values += bins_.data()[i]);
    if (here < bins) above += at(bins_, here) * (1 - (position - here));
    values += bins_.data()[tail_];
    const double beyond_tail = values, far = distances + 0.5 * beyond_tail;
    const double octaves = far + prior_count * prior_octaves, of = beyond_tail + prior_count;
    // Surely not more than a digit, by what was seen and by extrapolation? Most values are, and two
    // logarithms and six divisions are dear. Octaves that the tail falls, times `octaves`; 2^x lies
    // below its chords from 0 to 1 and from 1 to 2.
    constexpr double usual = 0.1 * (1 + 1e-9);
    const double falls = (position - tail_) * of / std::log(2.0);
    if (above + 0.5 >= usual * (count_ + 1) && falls <= 2 * octaves &&
        beyond_tail * octaves >= usual * count_ * std::max(octaves + falls, 2 * falls)) {
      return 0;
    }
    const double hill = octaves / of;
    const double seen = std::log2((above + 0.5) / (count_ + 1));
    const double extrapolated =
        std::log2(std::max(beyond_tail, 0.5) / count_) - (position - tail_) / hill / std::log(2.0);
    const double weight = above / (above + blend);
    return std::min(most_digits,
                    -(weight * seen + (1 - weight) * extrapolated) / octaves_per_digit);
  }
  double digits_by_peaks(float log2u) const {
    const double excess = log2u - upper_.begins();
    if (excess <= 0) return 0;
    const double mean = (excess_ * peaks_ + prior_count * prior_excess) / (peaks_ + prior_count);
    return -std::log10(UpperShare::share) + excess / (mean * std::log(10.0));
  }

  void learn_histogram(float log2u) {
    if (count_ < most_count) count_ += 1;
    if (log2u == no_log2) {
      add(0);
      return;
    }
    const int towards_zero = static_cast<int>(log2u),
              octave = towards_zero - (static_cast<float>(towards_zero) > log2u);  // floor
    if (!started_) {
      started_ = true;
      base_ = static_cast<std::int16_t>(octave - bins * 3 / 4);
    }
    if (octave - base_ >= bins) shift_up(octave - base_ - bins + 1);
    add(std::max(0, octave - base_));
    if (count_ > 64 && static_cast<std::uint32_t>(count_) % 8 != 0) return;
    // The tail starts where at least a twentieth of what is known lies, or eight of it.
    const double wanted = std::max(UpperShare::share * count_, std::min(8.0, 0.2 * count_));
    std::uint32_t sum = 0;
    int i = bins - 1;
    for (; i > 0; --i) {
      sum += bins_.data()[i];
      if (sum >= wanted) break;
    }
    tail_ = static_cast<std::uint8_t>(i);
  }
  void add(int bin) {
    if (++at(bins_, bin) < 65535) return;
    float sum = 0;
    for (auto& n : bins_) {
      n /= 2;
      sum += n;
    }
    count_ = sum;
  }
  void shift_up(int octaves) {
    std::uint32_t lost = 0;
    for (int i = 0; i < std::min(octaves, bins); ++i) lost += at(bins_, i);
    for (int i = 0; i < bins; ++i) {
      at(bins_, i) = i + octaves < bins ? at(bins_, i + octaves) : std::uint16_t{0};
    }
    bins_[0] = static_cast<std::uint16_t>(std::min<std::uint32_t>(bins_[0] + lost, 65534));
    base_ = static_cast<std::int16_t>(base_ + octaves);
  }

  void learn_peaks(float log2u) {
    const float excess = upper_.learn(log2u);
    if (excess <= 0) return;
    peaks_ = static_cast<float>(std::min(peaks_ + 1.0, longest_memory));
    excess_ += (excess - excess_) / peaks_;
  }

  std::array<std::uint16_t, bins> bins_{};
  std::int16_t base_ = 0;  // octave of bin 0
  bool started_ = false;
  std::uint8_t tail_ = 0;  // bin at which the tail starts
  float count_ = 0;
  UpperShare upper_;
  float excess_ = 0, peaks_ = 0;  // octaves
};

}  // namespace millwright::detectors
