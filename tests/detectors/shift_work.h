// Sensors of a robot that works by shifts: breaks, nights and weekends off, and stops in between.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

#include "core/random.h"

namespace millwright::detectors {

// When it works: from 6 to 22 on Monday to Friday, with four breaks a day that begin up to some
// minutes early or late, and a stop of some minutes every two hours.
class Shifts {
 public:
  explicit Shifts(std::uint64_t seed) : random_{seed} {
    next_stop_ = wait();
    for (auto& late : late_) late = 90 * random_.normal();
  }
  // `t`: seconds since Monday, midnight; asked in their order.
  bool works(double t) {
    const double of_day = std::fmod(t, 86400);
    if (static_cast<int>(t / 86400) % 7 >= 5 || of_day < 6 * 3600 || of_day >= 22 * 3600) {
      return false;
    }
    for (std::size_t i = 0; i < breaks.size(); ++i) {
      const double begins = breaks[i].begins + late_[i];
      if (of_day >= begins && of_day < begins + breaks[i].lasts) return false;
    }
    if (t < next_stop_) return true;
    if (stopped_until_ < next_stop_)
      stopped_until_ = t + 60 * std::exp(0.7 + 0.9 * random_.normal());
    if (t < stopped_until_) return false;
    next_stop_ = t + wait();
    return true;
  }

 private:
  struct Break {
    double begins = 0, lasts = 0;  // s
  };
  static constexpr std::array<Break, 4> breaks{
      {{9 * 3600, 900}, {12 * 3600, 1800}, {14 * 3600 - 240, 480}, {18 * 3600, 900}}};

  double wait() { return -7200 * std::log(1 - random_.uniform()); }

  Random random_;
  std::array<double, breaks.size()> late_{};
  double next_stop_ = 0, stopped_until_ = 0;
};

// What it measures.
enum class Measures : std::uint8_t { position, current, temperature, vibration, pressure, count_ };
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Measures::count_)>
    measures_names{"position", "current", "temperature", "vibration", "pressure"};

class ShiftWorker {
 public:
  ShiftWorker(Measures what, std::uint64_t seed)
      : what_{what}, shifts_{seed}, random_{Random{seed}.fork(7)} {
    turn_ = random_.uniform(18, 90);
    double sum = 0;
    for (std::uint64_t n = 3 + random_.below(4); n > 0; --n) {
      sections_.push_back(
          {random_.uniform(0.5, 2), random_.uniform(0, 10), random_.uniform(0.02, 0.3)});
      sum += sections_.back().lasts;
    }
    for (auto& section : sections_) section.lasts *= turn_ / sum;
    lag_ = random_.uniform(600, 3000);
  }
  // At `t` seconds since Monday, midnight, `spacing` seconds after the value before.
  double at(double t, double spacing) {
    const bool works = shifts_.works(t);
    const double hours = spacing / 3600;
    wander_ += -hours * wander_ + 0.05 * std::sqrt(2 * hours) * random_.normal();
    switch (what_) {
      case Measures::position:
        return position(works, spacing);
      case Measures::current:
        return current(works, spacing);
      case Measures::temperature:
        return temperature(works, t, spacing);
      case Measures::vibration:
        return rounded((works ? 2 * std::exp(wander_) : 0.2) * std::exp(0.06 * random_.normal()),
                       100);
      case Measures::pressure:
      case Measures::count_:
        break;
    }
    return pressure(works, spacing);
  }

 private:
  struct Section {
    double lasts = 0, level = 0, noise = 0;
  };
  static double rounded(double x, double per_unit) { return std::round(x * per_unit) / per_unit; }
  // Of a turn; each takes up to some percent more or less than the one before.
  void turn(double spacing) {
    phase_ = std::fmod(phase_ + spacing / turn_ * (1 + 0.01 * random_.normal()) + 1, 1);
  }
  // Sections with jumps between them; it ends its turn before it rests, and waits for a part at
  // times.
  double position(bool works, double spacing) {
    if (!works && section_ == 0 && left_ <= 0) return 0.3 + 0.02 * random_.normal();
    left_ -= spacing;
    while (left_ <= 0) {
      section_ = (section_ + 1) % sections_.size();
      left_ += sections_[section_].lasts * (1 + 0.02 * random_.normal());
      if (section_ == 0 && random_.chance(0.3)) left_ += random_.uniform(0, 8);
    }
    return sections_[section_].level + sections_[section_].noise * random_.normal() + wander_;
  }
  double current(bool works, double spacing) {
    if (!works && phase_ <= 0.02) return 0.5 + 0.03 * random_.normal();
    turn(spacing);
    if (!works && phase_ > 0.98) phase_ = 0;
    const double angle = 2 * std::numbers::pi * phase_;
    return 3 + 2 * std::sin(angle) + std::sin(2 * angle + 1) + 0.15 * random_.normal() + wander_;
  }
  // 30 degrees above a hall that is warmest at 16 o'clock, with a lag of first order.
  double temperature(bool works, double t, double spacing) {
    const double hall = 20 + 4 * std::cos(2 * std::numbers::pi * (t / 86400 - 2.0 / 3));
    const double towards = hall + (works ? 30 + 20 * wander_ : 0);
    heat_ += std::min(1.0, spacing / lag_) * (towards - heat_);
    return rounded(heat_ + 0.12 * random_.normal(), 10);
  }
  // Regulated, with a dip in each turn.
  double pressure(bool works, double spacing) {
    turn(spacing);
    const double dip = works && phase_ < 0.15 ? 0.4 : 0;
    return rounded(6 + 0.3 * wander_ - dip + 0.01 * random_.normal() + (works ? 0 : 0.08), 1000);
  }

  Measures what_;
  Shifts shifts_;
  Random random_;
  std::vector<Section> sections_;
  std::size_t section_ = 0;
  double turn_ = 0, left_ = 0, phase_ = 0, wander_ = 0;  // s, s, 0..1, 1
  double heat_ = 25, lag_ = 0;                           // degC, s
};

}  // namespace millwright::detectors
