#include "tests/faults/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tests/support/scale.h"

namespace millwright::test {

int many(int normal, int full) {
#if defined(__SANITIZE_THREAD__)
  return normal;
#else
  return sanitized ? normal : scaled(normal, full);
#endif
}

void Seconds::add(std::chrono::steady_clock::duration time) {
  times_.push_back(std::chrono::duration<double>(time).count());
}

double Seconds::quantile(double q) const {
  if (times_.empty()) return std::numeric_limits<double>::quiet_NaN();
  auto sorted = times_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

double Seconds::share_below(double limit) const {
  const auto n = std::count_if(times_.begin(), times_.end(), [&](double t) { return t < limit; });
  return static_cast<double>(n) / static_cast<double>(times_.size());
}

std::string Seconds::describe() const {
  return fmt::format("{:.2f} s (median), at most {:.2f} s, of {}", median(), longest(), count());
}

}  // namespace millwright::test
