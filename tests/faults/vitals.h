// What a process uses of the machine, out of /proc.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace millwright::test {

// Throw std::runtime_error when there is no such process.
std::size_t resident_kib(pid_t pid);  // anonymous memory: what is not backed by a file
std::size_t peak_kib(pid_t pid);      // the largest resident set so far, files included
std::size_t descriptors(pid_t pid);

}  // namespace millwright::test
