// The daemon's clocks: the wall clock, and processing time, which never falls and stands still
// while the broker is away.
#pragma once

#include <chrono>
#include <mutex>

#include "core/time.h"

namespace millwright::daemon {

inline Timestamp wall_clock() {
  return std::chrono::floor<Duration>(std::chrono::system_clock::now());
}

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
