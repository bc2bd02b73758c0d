// How far a statistic goes by itself: peaks over a threshold that one value in a hundred passes,
// with an exponential excess (Pickands 1975, Ann. Stat. 3:119). Memory: a hundred thousand values.
#pragma once

#include <algorithm>
#include <cmath>

#include "detectors/numbers.h"

namespace millwright::detectors {

class Peaks {
 public:
  // What is reached once in `values`, >= 0; 0 while fewer than 1000 are known.
  double limit(double values) const {
    if (count_ < least || values * share <= 1) return 0;
    return threshold_ + excess_ * std::log(values * share);
  }
  void learn(double u) {
    count_ = std::min(count_ + 1, most);
    const double step = std::max(1 / (count_ + 10 / share), slowest);
    // In proportion to the excess; up by one value in a hundred as far as down by all others.
    const double scale = std::max<double>(excess_, 1e-3);
    const double peaks = 1 + share * count_;
    if (u > threshold_) {
      excess_ += static_cast<float>((u - threshold_ - excess_) / peaks);
      threshold_ += static_cast<float>(scale * step / share * (1 - share));
    } else {
      threshold_ = std::max(0.0F, threshold_ - static_cast<float>(scale * step));
    }
  }

  static void fields(auto& io, auto& self) {
    io(self.threshold_, self.excess_, self.count_);
    refuse_unless(io, self.threshold_ >= 0 && self.threshold_ <= 1e6F && self.excess_ >= 0 &&
                          self.excess_ <= 1e6F && self.count_ >= 0 && self.count_ <= most);
  }

 private:
  static constexpr double share = 0.01, slowest = 1e-5;
  static constexpr float least = 1000, most = 1e5F;

  float threshold_ = 0, excess_ = 0.1F, count_ = 0;
};

}  // namespace millwright::detectors
