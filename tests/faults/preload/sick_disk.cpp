// Loaded into a daemon: files under $MILLWRIGHT_TEST_DISK fail as the file $MILLWRIGHT_TEST_FAULT
// says at that moment: "eio", "erofs", "enospc", "ballast" (full until the file `ballast` there is
// gone) or "hang" (until it says something else); "msync": maps cannot be written back, and all
// else works. No such file, or an empty one: the disk is well.
#include <linux/fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

extern "C" long syscall(long number, ...) noexcept;
extern "C" int usleep(unsigned microseconds);

namespace {

constexpr long here = AT_FDCWD;

// With raw calls: this is called by the functions that replace the library's.
long read_into(const char* file, char* to, unsigned long size) {
  const long descriptor = syscall(SYS_openat, here, file, O_RDONLY, 0);
  if (descriptor < 0) return 0;
  const long got = syscall(SYS_read, descriptor, to, size - 1);
  syscall(SYS_close, descriptor);
  to[got > 0 ? got : 0] = '\0';
  return got;
}

bool begins(const char* text, const char* start) {
  return std::strncmp(text, start, std::strlen(start)) == 0;
}

// 0: the disk is well; else the error of this call.
int fault_of(const char* path, bool writes) {
  static const char* const disk = std::getenv("MILLWRIGHT_TEST_DISK");
  static const char* const control = std::getenv("MILLWRIGHT_TEST_FAULT");
  if (disk == nullptr || control == nullptr || !begins(path, disk)) return 0;
  char fault[64] = "";
  while (true) {
    if (read_into(control, fault, sizeof fault) <= 0) return 0;
    if (!begins(fault, "hang")) break;
    usleep(20'000);
  }
  if (begins(fault, "eio")) return EIO;
  if (!writes) return 0;
  if (begins(fault, "erofs")) return EROFS;
  if (begins(fault, "enospc")) return ENOSPC;
  if (begins(fault, "ballast")) {
    char ballast[4096];
    std::strncpy(ballast, disk, sizeof ballast - 16);
    ballast[sizeof ballast - 16] = '\0';
    std::strcat(ballast, "/ballast");
    return syscall(SYS_access, ballast, 0) == 0 ? ENOSPC : 0;
  }
  return 0;
}

int fault_of(int descriptor, bool writes) {
  char link[32] = "/proc/self/fd/", path[4096];
  int digits = 0;
  for (int rest = descriptor; digits == 0 || rest > 0; rest /= 10) ++digits;
  for (int rest = descriptor, at = digits; at > 0; rest /= 10)
    link[14 + --at] = static_cast<char>('0' + rest % 10);
  const long size = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  return fault_of(path, writes);
}

template <class Result, class Where, class Call>
Result unless_sick(Where where, bool writes, const Call& call) {
  const int before = errno;
  if (const int error = fault_of(where, writes)) {
    errno = error;
    return -1;
  }
  errno = before;
  return static_cast<Result>(call());
}

int open_at(const char* path, int flags, unsigned mode) {
  const bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
  return unless_sick<int>(path, writes,
                          [&] { return syscall(SYS_openat, here, path, flags, mode); });
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0U;
  va_end(arguments);
  return open_at(path, flags, mode);
}
// The same where offsets have 64 bits.
extern "C" int open64(const char*, int, ...) __attribute__((alias("open")));
extern "C" long write(int descriptor, const void* bytes, unsigned long size) {
  return unless_sick<long>(descriptor, true,
                           [&] { return syscall(SYS_write, descriptor, bytes, size); });
}
extern "C" long pwrite64(int descriptor, const void* bytes, unsigned long size, long offset) {
  return unless_sick<long>(descriptor, true,
                           [&] { return syscall(SYS_pwrite64, descriptor, bytes, size, offset); });
}
extern "C" long pread64(int descriptor, void* bytes, unsigned long size, long offset) {
  return unless_sick<long>(descriptor, false,
                           [&] { return syscall(SYS_pread64, descriptor, bytes, size, offset); });
}
extern "C" int ftruncate64(int descriptor, long length) noexcept {
  return unless_sick<int>(descriptor, true,
                          [&] { return syscall(SYS_ftruncate, descriptor, length); });
}
extern "C" int fsync(int descriptor) {
  return unless_sick<int>(descriptor, true, [&] { return syscall(SYS_fsync, descriptor); });
}
extern "C" int fdatasync(int descriptor) {
  return unless_sick<int>(descriptor, true, [&] { return syscall(SYS_fdatasync, descriptor); });
}
// Wherever the map is from: only journals ask.
extern "C" int msync(void* from, unsigned long size, int flags) {
  static const char* const control = std::getenv("MILLWRIGHT_TEST_FAULT");
  char fault[64] = "";
  if (control != nullptr && read_into(control, fault, sizeof fault) > 0 && begins(fault, "msync")) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_msync, from, size, flags));
}
extern "C" int rename(const char* from, const char* to) noexcept {
  return unless_sick<int>(from, true, [&] { return syscall(SYS_rename, from, to); });
}
