// Where a sensor stands, beside the nearer of its two usual places: idle and at work, one program
// and the other. A level that moves within one of them is lost in the mean of both.
//
// Two means, each learned from the values nearest to it (MacQueen 1967, Proc. 5th Berkeley Symp.
// 1:281, with two clusters); the mean of the newest distances, held against their mean of old. Of a
// sensor with one place the two are its lower and its upper half.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "detectors/numbers.h"

namespace millwright::detectors {

class Places {
 public:
  // How far the newest values lie from their places, more than usual; < 0: below.
  double astray() const { return newest_ - usual_; }
  // They are places of their own, and it went from one to the other and back often enough.
  bool apart() const {
    return changes_ >= least_changes && place_[1] - place_[0] > far_apart * spread_;
  }

  // `x`: relative to the sensor's origin, `spread`: of all values, `n`: values known, this one
  // included.
  void learn(double x, double spread, double n) {
    if (n <= settled) {
      const double mean = (static_cast<double>(place_[0]) + place_[1]) / 2;
      const double moved = mean + (x - mean) / n;
      place_ = {as_float(moved - spread), as_float(moved + spread)};
      spread_ = as_float(spread);
      return;
    }
    const auto nearer = static_cast<std::size_t>(std::abs(x - place_[1]) < std::abs(x - place_[0]));
    if (nearer != at_ && changes_ < least_changes) ++changes_;
    at_ = static_cast<std::uint16_t>(nearer);
    const double distance = within(x - place_[nearer], -widest * spread_, widest * spread_);
    const double slow = std::max(slowest, 1 / n);
    place_[nearer] = as_float(place_[nearer] + 2 * slow * distance);
    // What was only a first guess is forgotten soon.
    const double known = std::max(slowest, 1 / (n - settled + 10));
    spread_ = as_float(spread_ + known * (std::abs(distance) - spread_));
    newest_ = as_float(newest_ + newest_share * (distance - newest_));
    usual_ = as_float(usual_ + slow * (distance - usual_));
  }

  static void fields(auto& io, auto& self) {
    io(self.place_, self.spread_, self.newest_, self.usual_, self.at_, self.changes_);
    bool sound = self.spread_ >= 0 && self.at_ <= 1 && self.changes_ <= least_changes;
    for (const float v : {self.place_[0], self.place_[1], self.spread_, self.newest_, self.usual_})
      sound = sound && in_bounds(v);
    refuse_unless(io, sound);
  }

 private:
  static constexpr double settled = 100, widest = 4, slowest = 0.0005, newest_share = 1.0 / 24,
                          far_apart = 6;
  static constexpr std::uint16_t least_changes = 50;

  std::array<float, 2> place_{};
  float spread_ = 0, newest_ = 0, usual_ = 0;
  std::uint16_t at_ = 0, changes_ = 0;
};

}  // namespace millwright::detectors
