#include "tests/faults/vitals.h"

#include <filesystem>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/support/temporary.h"

namespace millwright::test {
namespace {

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

}  // namespace millwright::test
