#include "tests/faults/vitals.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/support/temporary.h"

namespace millwright::test {
namespace {

std::size_t median(const std::vector<std::size_t>& all, std::size_t quarter) {
  const auto size = static_cast<std::ptrdiff_t>(all.size() / 4);
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(quarter) * size;
  std::vector<std::size_t> part(begin, begin + size);
  std::nth_element(part.begin(), part.begin() + size / 2, part.end());
  return part[part.size() / 2];
}

std::size_t of_status(pid_t pid, const std::string& name) {
  std::istringstream lines{read_file("/proc/" + std::to_string(pid) + "/status")};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
  throw std::runtime_error{"no " + name + " of process " + std::to_string(pid)};
}

}  // namespace

std::size_t resident_kib(pid_t pid) { return of_status(pid, "RssAnon"); }
std::size_t peak_kib(pid_t pid) { return of_status(pid, "VmHWM"); }

std::size_t descriptors(pid_t pid) {
  const std::filesystem::directory_iterator all{"/proc/" + std::to_string(pid) + "/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void Vitals::look(pid_t pid) {
  kib_.push_back(resident_kib(pid));
  descriptors_.push_back(descriptors(pid));
}

std::size_t Vitals::newest_kib() const { return median(kib_, 3); }

double Vitals::growth() const {
  return static_cast<double>(median(kib_, 3)) / static_cast<double>(median(kib_, 1));
}

bool Vitals::descriptors_flat() const { return median(descriptors_, 3) <= median(descriptors_, 1); }

std::string Vitals::describe() const {
  if (!known()) return fmt::format("memory {} KiB", kib_.back());
  return fmt::format("memory {} -> {} KiB, descriptors {} -> {}", median(kib_, 1), median(kib_, 3),
                     median(descriptors_, 1), median(descriptors_, 3));
}

}  // namespace millwright::test
