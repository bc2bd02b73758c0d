// The daemon's clocks: the wall clock, the time of arrival that goes by it and does not fall, and
// processing time, which stands still while the broker is away.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>

#include "core/time.h"

namespace millwright::daemon {

inline Timestamp wall_clock() {
  return std::chrono::floor<Duration>(std::chrono::system_clock::now());
}

// When a message came, which is the time of readings that have none of their own, and what the
// future is judged by. Goes by the wall clock but never falls: where that is set back, readings
// with right times would be from the future, and those without would be older than the last, for as
// long as it was set back. Thread rule: any thread.
class ReceivedTime {
 public:
  Timestamp now() {
    const std::lock_guard lock{mutex_};
    const auto steady = std::chrono::steady_clock::now();
    const auto passed = std::chrono::floor<Duration>(steady - read_);
    last_ = std::max(wall_clock(), last_ + passed);
    read_ += passed;
    return last_;
  }

 private:
  std::mutex mutex_;
  Timestamp last_ = wall_clock();
  std::chrono::steady_clock::time_point read_ = std::chrono::steady_clock::now();
};

// What silence is measured in: a sensor is not silent because the broker is away or the daemon was
// down, nor because somebody set the clock. Thread rule: any thread.
class ProcessingTime {
 public:
  // Goes on from `start`.
  explicit ProcessingTime(Timestamp start) : base_(start) {}

  Timestamp now() const {
    const std::lock_guard lock{mutex_};
    return running_ ? base_ + since_start() : base_;
  }
  // Later than all that was told before.
  Timestamp next() {
    const std::lock_guard lock{mutex_};
    base_ += Duration{1};
    return running_ ? base_ + since_start() : base_;
  }
  void run() {
    const std::lock_guard lock{mutex_};
    if (running_) return;
    running_ = true;
    started_ = std::chrono::steady_clock::now();
  }
  void stand_still() {
    const std::lock_guard lock{mutex_};
    if (!running_) return;
    base_ += since_start();
    running_ = false;
  }

 private:
  Duration since_start() const {
    return std::chrono::floor<Duration>(std::chrono::steady_clock::now() - started_);
  }

  mutable std::mutex mutex_;
  Timestamp base_;
  std::chrono::steady_clock::time_point started_;
  bool running_ = false;
};

}  // namespace millwright::daemon
