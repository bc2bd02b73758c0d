// Measured times, and how many faults a test injects.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace millwright::test {

// As `scaled`; under a sanitizer always the normal amount: what needs many rounds to be seen is
// seen without one.
int many(int normal, int full);

class Seconds {
 public:
  void add(std::chrono::steady_clock::duration time);
  std::size_t count() const { return times_.size(); }
  double median() const { return quantile(0.5); }  // NaN when there are none
  double longest() const { return quantile(1); }
  double share_below(double limit) const;
  std::string describe() const;  // "0.12 s (median), at most 0.40 s, of 100"

 private:
  double quantile(double q) const;
  std::vector<double> times_;
};

}  // namespace millwright::test
