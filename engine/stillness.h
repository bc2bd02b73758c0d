// How long a sensor has said the same value, and how often it normally does: what the sensors of a
// machine know of each other when one of them seems to be stuck.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/reading.h"
#include "detectors/numbers.h"

namespace millwright::engine {

class Stillness {
 public:
  void take(const Sample& sample) {
    if (run_ > 0 && sample.value == value_) {
      ++run_;
    } else {
      finish_run();
      value_ = detectors::without_sign_of_zero(sample.value);
      run_ = 1;
      since_ = sample.time;
    }
    last_ = sample.time;
  }

  bool still() const { return run_ >= least_run; }
  Timestamp since() const { return since_; }  // of the present value
  Timestamp last() const { return last_; }    // newest reading
  Duration lasted() const { return detectors::elapsed_between(since_, last_); }
  // Between its readings, as of this run.
  Duration spacing() const {
    return run_ > 1 ? lasted() / static_cast<std::int64_t>(run_ - 1) : Duration{0};
  }
  // Most readings differ from the one before. Runs that are not over do not count.
  bool normally_moves() const { return readings_ >= least_readings && repeats_ < 0.5; }

  static void fields(auto& io, auto& s) {
    io(s.value_, s.run_, s.since_, s.last_, s.readings_, s.repeats_);
    detectors::refuse_unless(io, s.repeats_ >= 0 && s.repeats_ <= 1);
  }

 private:
  static constexpr std::uint64_t least_run = 3, least_readings = 100;
  static constexpr double memory = 1000;  // readings

  void finish_run() {
    if (run_ == 0) return;
    readings_ += run_;
    const auto run = static_cast<double>(run_);
    const double share = std::min(1.0, run / std::min(static_cast<double>(readings_), memory));
    repeats_ += share * ((run - 1) / run - repeats_);
  }

  double value_ = 0;
  std::uint64_t run_ = 0;  // readings of this value
  Timestamp since_{}, last_{};
  std::uint64_t readings_ = 0;  // of finished runs
  double repeats_ = 0;          // share of them that repeat the one before
};

// What the other sensors of a machine say about one that stands still.
struct Siblings {
  int moving_by_nature = 0;  // normally move, and have said something since it stands still
  int still = 0;             // of them: for at least a quarter as long
  int at_once = 0;           // of them: since the same moment
  // The machine rests: two others or more, and half of them at least, stand still as well. Where
  // all of them froze in one moment it is their source that repeats itself.
  bool machine_rests() const {
    return still >= 2 && 2 * still >= moving_by_nature && at_once < moving_by_nature;
  }
  void ask(const Stillness& one, const Stillness& other) {
    if (!other.normally_moves() || other.last() < one.since()) return;
    ++moving_by_nature;
    if (!other.still() || 4 * other.lasted() < one.lasted()) return;
    ++still;
    const auto apart = std::max(detectors::elapsed_between(one.since(), other.since()),
                                detectors::elapsed_between(other.since(), one.since()));
    if (apart <= 3 * std::max(one.spacing(), other.spacing())) ++at_once;
  }
};

}  // namespace millwright::engine
