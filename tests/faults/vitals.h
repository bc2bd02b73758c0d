// What a process uses of the machine, out of /proc.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace millwright::test {

// Throw std::runtime_error when there is no such process.
std::size_t resident_kib(pid_t pid);  // anonymous memory: what is not backed by a file
std::size_t peak_kib(pid_t pid);      // the largest resident set so far, files included
std::size_t descriptors(pid_t pid);

// Memory and descriptors after each of many rounds: the last quarter of them is held against the
// second one, since the first is for filling up.
class Vitals {
 public:
  void look(pid_t pid);
  bool known() const { return kib_.size() >= 20; }  // enough rounds to say that it grows
  double growth() const;                            // of memory: 1 is flat
  std::size_t newest_kib() const;                   // of the last quarter
  bool descriptors_flat() const;
  std::string describe() const;

 private:
  std::vector<std::size_t> kib_, descriptors_;
};

}  // namespace millwright::test
