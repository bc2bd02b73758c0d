// The daemon's clocks in a test's hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/scale.h"

namespace millwright::test {

// A library that is loaded first does not go together with a sanitizer's.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool clock_in_hand = false;
#else
inline constexpr bool clock_in_hand = !sanitized;
#endif

class TestClock {
 public:
  // In `directory`, which lives longer than the daemon. Where clocks are not in hand the speed is 1
  // and they cannot be set.
  explicit TestClock(const std::filesystem::path& directory, double speed = 1);

  std::vector<std::pair<std::string, std::string>> environment() const;
  double speed() const { return clock_in_hand ? speed_ : 1; }
  // How long the daemon's `time` takes.
  std::chrono::milliseconds real(std::chrono::milliseconds time) const;
  std::chrono::steady_clock::duration of_daemon(std::chrono::steady_clock::duration real) const;
  // The wall clock is this far ahead of the computer's from now on.
  void set(std::chrono::seconds ahead) const;

 private:
  std::filesystem::path file_;
  double speed_;
};

}  // namespace millwright::test
