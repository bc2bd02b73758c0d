#include "tests/support/mounts.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace millwright::test {
namespace {

constexpr int not_allowed = 77, threw = 99;

bool have_own_mounts() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

int answer_of(const std::function<bool()>& mount, const std::function<int()>& work) {
  try {
    return have_own_mounts() && mount() ? work() : not_allowed;
  } catch (const std::exception& error) {
    ::dprintf(STDERR_FILENO, "in the child: %s\n", error.what());
    return threw;
  }
}

}  // namespace

bool mount_small_disk(const std::filesystem::path& at, const std::string& size) {
  return ::mount("tmpfs", at.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
}

bool mount_read_only(const std::filesystem::path& at) {
  const auto* path = at.c_str();
  return ::mount(path, path, nullptr, MS_BIND, nullptr) == 0 &&
         ::mount(path, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

void with_mounts(const std::function<bool()>& mount, const std::function<int()>& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(answer_of(mount, work));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == not_allowed) {
    MESSAGE("not allowed to mount here: left out");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace millwright::test
