// How unusual a statistic is against its own past: decimal digits of evidence (0: nothing unusual,
// 3: once in a thousand beyond the usual tenth). Two calibrators that fail in different ways,
// averaged, and the record of how far the statistic has gone.
//
// A, a histogram of log2 u in octaves that moves up with the largest value: the empirical tail
// inside, a Pareto tail beyond with the Hill estimate of its index (Hill 1975, Ann. Stat. 3:1163).
// It does not forget, but for the halving of full counters.
// The record waits: what is on its way up teaches it only when it is over, or it would carry its
// own limit upwards. The limit beyond the record is where the tail, drawn through the upper 5 % and
// the record as exp(-c u^tau) (a Weibull tail), would be reached once in a given number of values.
//
// B, peaks over a threshold that tracks the upper 5 % (stochastic approximation): exponential
// excess of log u with a memory of 800 peaks (Pickands 1975, Ann. Stat. 3:119).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

class Tail {
 public:
  // log2 of a statistic; what is not above zero has none.
  static float logarithm(double u) {
    if (!(u > 0)) return nothing;
    int exponent = 0;
    const auto mantissa = static_cast<float>(std::frexp(u, &exponent));  // in [0.5, 1)
    return std::clamp(static_cast<float>(exponent) + std::log2(mantissa), -lowest, lowest);
  }

  // Evidence of a statistic with this logarithm, >= 0; 0 while fewer than 30 are known.
  double evidence(float log2u) const {
    if (count_ < least || log2u == nothing) return 0;
    return (std::max(0.0, digits_by_histogram(log2u) - 1) +
            std::max(0.0, digits_by_peaks(log2u) - 1)) /
           2;
  }
  // The value that is reached once in `values` more, as the tail goes; 0 when nothing is known. At
  // least `margin` times the record, at most 4 times.
  double limit(double values, double margin, double record) const {
    if (record <= 0 || count_ < least) return 0;
    const double seen = std::log(std::max(count_, 100.0F));
    const double spread = std::log2(record) - threshold_;  // octaves from the upper 5 %
    if (spread <= 0) return margin * record;
    const double tau = std::log2(seen / std::log(1 / upper_share)) / spread;
    const double ratio = std::pow(std::log(values) / seen, 1 / std::max(tau, 0.2));
    return std::clamp(ratio, margin, std::max(margin, most_reach)) * record;
  }
  double record() const { return record_; }
  // With what doubtful readings reached lately; for statistics whose record does not wait.
  double record_of_late() const { return std::max(record_, waiting_); }

  void learn(float log2u) {
    learn_histogram(log2u);
    learn_peaks(log2u);
  }
  // How far it has gone. A record is raised by `growth` at most, and `share` of it is forgotten.
  void raise_record(double u, double growth, double share) {
    const double fresh = record_ > 0 ? std::min(u, growth * record_) : u;
    record_ = static_cast<float>(
        std::min<double>(std::max(record_ * (1 - share), fresh), largest_record));
  }
  // What a doubtful reading reached counts for a while: what recurs becomes normal, and what does
  // not is forgotten.
  void raise_for_a_while(double u, double growth) {
    waiting_ = static_cast<float>(std::min<double>(
        std::max<double>(waiting_, std::min(u, growth * record_of_late())), largest_record));
  }
  void forget_doubtful(double share) { waiting_ *= static_cast<float>(1 - share); }
  // The same, later: it counts when `settle_record` has been called twice.
  void reach(double u) {
    newest_ = std::max(newest_, static_cast<float>(std::clamp(u, 0.0, double{largest_record})));
  }
  // What was reached before the last call counts now.
  void settle_record(double growth, double share) {
    raise_record(waiting_, growth, share);
    waiting_ = newest_;
    newest_ = 0;
  }

  static void fields(auto& io, auto& self) {
    io(self.bins_, self.base_, self.started_, self.tail_, self.count_, self.threshold_,
       self.spread_, self.excess_, self.peaks_, self.record_, self.waiting_, self.newest_);
    refuse_unless(io, self.tail_ < bins && std::abs(self.base_) <= 4000 && self.count_ >= 0 &&
                          self.count_ <= most_count && std::abs(self.threshold_) <= 2 * lowest &&
                          self.spread_ >= 0 && self.spread_ <= 4 * lowest && self.excess_ >= 0 &&
                          self.excess_ <= 4 * lowest && self.peaks_ >= 0 &&
                          self.peaks_ <= longest_memory &&
                          positive_in_bounds(self.waiting_, self.newest_) &&
                          self.waiting_ <= largest_record && self.newest_ <= largest_record &&
                          self.record_ >= 0 && self.record_ <= largest_record);
  }

 private:
  static constexpr int bins = 24;
  static constexpr float least = 30, most_count = bins * 65536.0F;
  static constexpr float lowest = 1000, nothing = -4 * lowest;
  static constexpr float largest_record = 1e37F;
  static constexpr double most_digits = 12, most_reach = 4;
  static constexpr double prior_count = 4, prior_octaves = 1;  // of A's tail
  static constexpr double prior_excess = 1;                    // octaves, of B's
  static constexpr double blend = 4;  // values beyond at which A trusts what it saw by half
  static constexpr double upper_share = 0.05;
  static constexpr double longest_memory = 800;  // peaks
  static constexpr double slowest_step = 1 / 16000.0;
  static constexpr double octaves_per_digit = 3.321928094887362;

  double digits_by_histogram(float log2u) const {
    const double position = log2u - base_;
    if (position < tail_) return 0;
    double beyond_tail = 0, far = 0, above = 0;
    const int here = static_cast<int>(std::min(position, double{bins}));
    for (int i = bins - 1; i >= tail_; --i) {
      beyond_tail += at(bins_, i);
      far += at(bins_, i) * (i - tail_ + 0.5);
      if (i > here) above += at(bins_, i);
    }
    if (here < bins) above += at(bins_, here) * (1 - (position - here));
    const double hill = (far + prior_count * prior_octaves) / (beyond_tail + prior_count);
    const double seen = std::log2((above + 0.5) / (count_ + 1));
    const double extrapolated =
        std::log2(std::max(beyond_tail, 0.5) / count_) - (position - tail_) / hill / std::log(2.0);
    const double weight = above / (above + blend);
    return std::min(most_digits,
                    -(weight * seen + (1 - weight) * extrapolated) / octaves_per_digit);
  }
  double digits_by_peaks(float log2u) const {
    const double excess = log2u - threshold_;
    if (excess <= 0) return 0;
    const double mean = (excess_ * peaks_ + prior_count * prior_excess) / (peaks_ + prior_count);
    return -std::log10(upper_share) + excess / (mean * std::log(10.0));
  }

  void learn_histogram(float log2u) {
    if (count_ < most_count) count_ += 1;
    if (log2u == nothing) {
      add(0);
      return;
    }
    const int octave = static_cast<int>(std::floor(log2u));
    if (!started_) {
      started_ = true;
      base_ = static_cast<std::int16_t>(octave - bins * 3 / 4);
    }
    if (octave - base_ >= bins) shift_up(octave - base_ - bins + 1);
    add(std::max(0, octave - base_));
    if (count_ > 64 && static_cast<std::uint32_t>(count_) % 8 != 0) return;
    // The tail starts where at least a twentieth of what is known lies, or eight of it.
    const double wanted = std::max(upper_share * count_, std::min(8.0, 0.2 * count_));
    double sum = 0;
    int i = bins - 1;
    for (; i > 0; --i) {
      sum += at(bins_, i);
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
    if (log2u == nothing) return lower_threshold(3 * spread_ * step() * upper_share);
    if (count_ <= 1) threshold_ = log2u;
    const float difference = log2u - threshold_;
    const double rate = std::max(1.0 / count_, 0.002);
    spread_ += static_cast<float>(rate * (std::min(std::abs(difference), 8.0F) - spread_));
    const double move = 3 * spread_ * step();
    if (difference <= 0) return lower_threshold(move * upper_share);
    peaks_ = static_cast<float>(std::min(peaks_ + 1.0, longest_memory));
    excess_ += (difference - excess_) / peaks_;
    threshold_ =
        static_cast<float>(std::min(threshold_ + move * (1 - upper_share), double{lowest}));
  }
  double step() const { return std::max(1.0 / std::max(count_, 1.0F), slowest_step); }
  void lower_threshold(double by) {
    threshold_ = static_cast<float>(std::max(threshold_ - by, -double{lowest}));
  }

  std::array<std::uint16_t, bins> bins_{};
  std::int16_t base_ = 0;  // octave of bin 0
  bool started_ = false;
  std::uint8_t tail_ = 0;  // bin at which the tail starts
  float count_ = 0;
  float threshold_ = 0, spread_ = 1, excess_ = 0, peaks_ = 0;  // octaves
  float record_ = 0, waiting_ = 0, newest_ = 0;
};

}  // namespace millwright::detectors
