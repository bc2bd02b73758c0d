// What is usual at a time of the day or of the week: the mean of each phase, and which of the two
// profiles explains the sensor better.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

// The mean of each of `bins` phases of `period_hours`, in UTC; a week begins on a Thursday, as the
// epoch did. float: the values are differences from the sensor's origin.
template <int bins, int period_hours>
class Profile {
 public:
  static int phase(Timestamp time) {
    constexpr auto period = std::chrono::duration_cast<Duration>(std::chrono::hours{period_hours});
    const auto since = time.time_since_epoch() % period;
    return static_cast<int>((since < Duration{0} ? since + period : since) / (period / bins));
  }
  bool knows(int phase, int readings = 2) const { return at(count_, phase) >= readings; }
  double mean(int phase) const { return at(mean_, phase); }
  // `share`: of a reading, for values that come in so many parts; `counts`: it is the last of them.
  void learn(int phase, double value, double share = 1, bool counts = true) {
    const bool first = at(count_, phase) == 0;
    if (at(count_, phase) < 255 && (counts || first)) ++at(count_, phase);
    const double rate = first ? 1 : share * std::max(0.02, 1.0 / at(count_, phase));
    at(mean_, phase) = as_float(at(mean_, phase) + rate * (value - at(mean_, phase)));
  }
  static void fields(auto& io, auto& self) {
    io(self.mean_, self.count_);
    for (const auto m : self.mean_) refuse_unless(io, in_bounds(m));
  }

 private:
  std::array<float, bins> mean_{};
  std::array<std::uint8_t, bins> count_{};  // beyond 50 the rate is the same
};

}  // namespace millwright::detectors
