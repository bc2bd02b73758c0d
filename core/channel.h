// A bounded queue between two threads. Closing it upstream lets the reader drain what is left.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace millwright {

// Thread rule: any thread may call anything.
template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room. False when the channel is closed; the item is then dropped.
  bool push(T item) {
    std::unique_lock lock{mutex_};
    room_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    return add(std::move(item));
  }
  // False, and the item is untouched, when there is no room or the channel is closed.
  bool try_push(T& item) {
    std::unique_lock lock{mutex_};
    if (items_.size() >= capacity_) return false;
    return add(std::move(item));
  }
  // Waits for an item; nothing when the channel is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock{mutex_};
    ready_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take();
  }
  // Waits at most `timeout`.
  std::optional<T> pop_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock{mutex_};
    ready_.wait_for(lock, timeout, [&] { return closed_ || !items_.empty(); });
    return take();
  }
  void close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    room_.notify_all();
    ready_.notify_all();
  }
  bool drained() const {
    const std::lock_guard lock{mutex_};
    return closed_ && items_.empty();
  }
  std::size_t size() const {
    const std::lock_guard lock{mutex_};
    return items_.size();
  }

 private:
  bool add(T&& item) {
    if (closed_) return false;
    items_.push_back(std::move(item));
    ready_.notify_one();
    return true;
  }
  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item{std::move(items_.front())};
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace millwright
