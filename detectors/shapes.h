// The distribution of a sensor's newest values against all older ones, for the composite
// (composite.h).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

// Kullback-Leibler divergence of the histogram of the newest `recent` values from that of all
// before them, with a prior of 0.1 a bin. Values are compressed, so that bins of 0.5 cover both the
// middle and the tails.
template <int recent>
class Distribution {
 public:
  static constexpr int bins = 24;

  // Of a value at `deviations` from its level.
  static int bin(double deviations) {
    const double size = std::abs(deviations);
    int bin = 0;
    while (bin < bins / 2 - 1 && size >= edges[static_cast<std::size_t>(bin)]) ++bin;
    return deviations < 0 ? bins / 2 - 1 - bin : bins / 2 + bin;
  }
  bool full() const { return count_ == recent; }
  // In nats, with the value of `bin` as the newest; only when full.
  double divergence(int bin) const {
    auto counts = now_;
    ++at(counts, bin);
    --at(counts, int{newest_[next_]});
    const auto& known = of_counts();
    double sum = 0, weight = 0;
    const auto* older = log_older_.data();
    for (const auto n : counts) {
      const auto& [share, logarithm] = known[n];
      sum += share * (logarithm - *older++);
      weight += share;
    }
    return std::max(0.0,
                    sum + weight * std::log((older_ + prior * bins) / (recent + prior * bins)));
  }
  // Of all values before the newest, how many fell into this bin: 0..1.
  double share_of(int bin) const { return older_ > 0 ? at(older_count_, bin) / older_ : 0; }
  void learn(int bin) {
    if (full()) {
      const int oldest = newest_[next_];
      --at(now_, oldest);
      at(older_count_, oldest) += 1;
      older_ += 1;
      at(log_older_, oldest) = std::log(at(older_count_, oldest) + static_cast<float>(prior));
      if (older_ >= most) fade();
    } else {
      ++count_;
    }
    newest_[next_] = static_cast<std::uint8_t>(bin);
    next_ = static_cast<std::uint8_t>(next_ + 1 < recent ? next_ + 1 : 0);
    ++at(now_, bin);
  }

  static void fields(auto& io, auto& self) {
    io(self.newest_, self.next_, self.count_, self.older_count_, self.older_);
    refuse_unless(io, self.next_ < recent && self.count_ <= recent && self.older_ >= 0 &&
                          self.older_ <= most);
    for (const auto b : self.newest_) refuse_unless(io, b < bins);
    for (const auto n : self.older_count_) refuse_unless(io, n >= 0 && n <= most);
    if constexpr (requires { io.fail(); }) {
      self.now_.fill(0);
      if (!io.ok()) return;
      for (int i = 0; i < self.count_; ++i) {
        ++self.now_[at(self.newest_, (self.next_ + recent - 1 - i) % recent)];
      }
      for (int i = 0; i < bins; ++i) {
        at(self.log_older_, i) = std::log(at(self.older_count_, i) + static_cast<float>(prior));
      }
    }
  }

 private:
  static constexpr double prior = 0.1;
  static constexpr float most = 1e6F;  // then older values count half

  // sinh(0.5), sinh(1), ...: where the bins above the middle end.
  static constexpr std::array<double, bins / 2 - 1> edges{
      0.5210953054937474, 1.1752011936438014, 2.1292794550948173, 3.626860407847019,
      6.0502044810397875, 10.017874927409903, 16.542627287634996, 27.28991719712775,
      45.003011151991785, 74.20321057778875,  122.34392274639096};

  // What a count of the newest values stands for, divided and taken the logarithm of beforehand.
  struct OfCount {
    double share = 0, logarithm = 0;
  };
  static const std::array<OfCount, 256>& of_counts() {
    static const auto table = [] {
      std::array<OfCount, 256> out{};  // by a byte
      for (int i = 0; i < recent + 2; ++i)
        at(out, i) = {(i + prior) / (recent + prior * bins), std::log(i + prior)};
      return out;
    }();
    return table;
  }
  void fade() {
    older_ = 0;
    for (int i = 0; i < bins; ++i) {
      at(older_count_, i) /= 2;
      older_ += at(older_count_, i);
      at(log_older_, i) = std::log(at(older_count_, i) + static_cast<float>(prior));
    }
  }

  std::array<std::uint8_t, recent> newest_{};
  std::array<std::uint8_t, bins> now_{};
  std::uint8_t next_ = 0, count_ = 0;
  std::array<float, bins> older_count_{};
  std::array<float, bins> log_older_ = [] {
    std::array<float, bins> out;
    out.fill(std::log(static_cast<float>(prior)));
    return out;
  }();
  float older_ = 0;
};

}  // namespace millwright::detectors
