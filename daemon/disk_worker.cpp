#include "daemon/disk_worker.h"

#include <utility>

#include "core/check.h"

namespace millwright::daemon {

DiskWorker::DiskWorker() : thread_{[this] { run(); }} {}

DiskWorker::~DiskWorker() {
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void DiskWorker::begin(std::function<void()> job) {
  {
    const std::lock_guard lock{mutex_};
    check(!busy_, "the disk has one job at a time");
    job_ = std::move(job);
    busy_ = true;
  }
  changed_.notify_all();
}

bool DiskWorker::wait(std::chrono::milliseconds patience) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, patience, [&] { return !busy_; });
}

void DiskWorker::run() {
  std::unique_lock lock{mutex_};
  while (true) {
    changed_.wait(lock, [&] { return busy_ || over_; });
    if (!busy_) return;
    const auto job = std::move(job_);
    lock.unlock();
    job();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace millwright::daemon
