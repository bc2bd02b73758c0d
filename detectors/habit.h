// How far a statistic normally goes: a slowly fading record of its peaks in normal operation, and
// the rule by which peaks that raised alarms may become normal after all.
//
// A suspicious peak is put in quarantine. It becomes normal only when such peaks have come back in
// at least `episodes_to_accept` separate episodes over at least `accept_after`: what recurs every
// shift is how the machine works. One fault, however long, is one episode. While the record is
// younger than a day, half its age is enough.
//
// What was seen for an hour is not all that is normal: shifts, programs and the daily cycle are
// still to come. So the young record of a sensor that strays further than its noise explains
// reaches further than itself (`reach`): four times at first, as the square root of a day over its
// age after that, and no further than itself from a day on. Early alarms are for what is gross.
//
// A statistic that wanders is taken in by excursions (`follow`): the peak teaches when the
// excursion has come back by itself, never on the way up. Else whatever grows step by step would
// carry its own limit upwards.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/score.h"
#include "core/time.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Habit {
  static constexpr std::uint32_t episodes_to_accept = 4;
  static constexpr Duration grown_up = std::chrono::hours{24};
  static constexpr Duration longest_step =
      std::chrono::hours{1};  // between readings; more is a silence
  static constexpr double widest = 4;

  double record = 0;       // highest normal peak, faded
  Duration age{0};         // time over which it was kept, silences left out
  double quarantined = 0;  // highest suspicious peak since `since`
  Timestamp since{};       // first suspicious peak in quarantine
  Timestamp last{};        // the latest one
  std::uint32_t episodes = 0;
  bool suspicious = false;  // a reading of the excursion under way was
  double peak = 0;          // of the excursion under way

  static void fields(auto& io, auto& self) {
    io(self.record, self.age, self.quarantined, self.since, self.last, self.episodes,
       self.suspicious, self.peak);
    refuse_unless(io, positive_in_bounds(self.record, self.quarantined, self.peak) &&
                          self.age >= Duration{0} && self.age <= grown_up);
  }

  // Time has passed since the reading before; `share` of the past is forgotten (see `forgotten`).
  void pass(Duration elapsed, double share) {
    record *= 1 - share;
    age = std::min(grown_up, age + std::min(elapsed, longest_step));
  }
  double maturity() const { return to_seconds(age) / to_seconds(grown_up); }  // 0..1
  // What stands within `margin` times the record is normal. Up to `noise`, which is how far noise
  // alone would go, youth makes no difference.
  double reach(double margin, double noise = 0) const {
    const double youth = std::clamp(std::sqrt(1 / std::max(maturity(), 1e-6)), 1.0, widest);
    const double beyond = noise > 0 ? std::clamp(2 * (record / noise - 1), 0.0, 1.0) : 1;
    return margin * (1 + (youth - 1) * beyond) * record;
  }
  void teach(double height) { record = std::max(record, height); }

  void suspect(double height, Timestamp now, Duration patience) {
    // Of a record that is younger than a day, less can be asked: half its age.
    const double asked = maturity() < 1 ? std::max(maturity() / 2, 1.0 / 24) : 1;
    const auto accept_after = std::chrono::floor<Duration>(patience * asked);
    if (episodes == 0 || elapsed_between(last, now) / 3 > accept_after) {
      quarantined = 0;
      since = now;
      episodes = 1;
    } else if (elapsed_between(last, now) > accept_after / 48) {
      ++episodes;
    }
    last = now;
    quarantined = std::max(quarantined, height);
    if (episodes >= episodes_to_accept && elapsed_between(since, now) >= accept_after) {
      record = std::max(record, quarantined);
      episodes = 0;
    }
  }

  // An excursion lasts while the statistic is above `ground`.
  void follow(double statistic, double ground, double limit, Timestamp now, Trust trust,
              Duration accept_after) {
    if (statistic > ground) {
      peak = std::max(peak, statistic);
      suspicious = suspicious || trust == Trust::suspicious;
    } else if (peak > 0) {
      if (!suspicious) {
        teach(peak);
      } else if (peak >= limit) {
        suspect(peak, now, accept_after);
      }
      peak = 0;
      suspicious = false;
    }
  }
};

}  // namespace millwright::detectors
