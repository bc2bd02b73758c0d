#include "tests/faults/clock.h"

#include <cstdint>
#include <fstream>
#include <stdexcept>

namespace millwright::test {

TestClock::TestClock(const std::filesystem::path& directory, double speed)
    : file_(directory / "clock"), speed_(speed) {
  set({});
}

std::vector<std::pair<std::string, std::string>> TestClock::environment() const {
  if (!clock_in_hand) return {};
  return {{"LD_PRELOAD", MILLWRIGHT_TEST_CLOCK},
          {"MILLWRIGHT_TEST_CLOCK", file_.string()},
          {"MILLWRIGHT_TEST_CLOCK_SPEED", std::to_string(speed_)}};
}

std::chrono::milliseconds TestClock::real(std::chrono::milliseconds time) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time / speed());
}

std::chrono::steady_clock::duration TestClock::of_daemon(
    std::chrono::steady_clock::duration real) const {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(real * speed());
}

void TestClock::set(std::chrono::seconds ahead) const {
  const std::int64_t microseconds = std::chrono::microseconds{ahead}.count();
  // In place: the daemon has the file mapped.
  std::fstream file{file_, std::filesystem::exists(file_)
                               ? std::ios::in | std::ios::out | std::ios::binary
                               : std::ios::out | std::ios::binary};
  file.write(reinterpret_cast<const char*>(&microseconds), sizeof microseconds);
  if (!file.flush()) throw std::runtime_error{"the clock cannot be set: " + file_.string()};
}

}  // namespace millwright::test
