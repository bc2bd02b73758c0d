// Disks that are small or read-only: mounted in a child process, for it alone.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace millwright::test {

// In the child only; false: not allowed here.
bool mount_small_disk(const std::filesystem::path& at, const std::string& size);  // a tmpfs
bool mount_read_only(const std::filesystem::path& at);

// Runs `work` in a child once `mount` has made its mounts, and checks that it answers 0; a test
// returns the number of what failed. Left out, with a message, where mounting is not allowed.
void with_mounts(const std::function<bool()>& mount, const std::function<int()>& work);

}  // namespace millwright::test
