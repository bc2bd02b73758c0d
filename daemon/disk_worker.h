// One thread for what may hang with the disk, so that whoever orders it can go on without.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace millwright::daemon {

// Thread rule: one thread orders.
class DiskWorker {
 public:
  DiskWorker();
  ~DiskWorker();  // waits for the job under way
  DiskWorker(const DiskWorker&) = delete;
  DiskWorker& operator=(const DiskWorker&) = delete;

  // Begins a job, which must not throw. None may be under way.
  void begin(std::function<void()> job);
  // True when no job is under way (any more).
  bool wait(std::chrono::milliseconds patience = std::chrono::milliseconds{0});

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  bool busy_ = false, over_ = false;
  std::thread thread_;
};

}  // namespace millwright::daemon
