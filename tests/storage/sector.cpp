#include "tests/storage/sector.h"

#include <dlfcn.h>
#include <sys/types.h>

#include <cerrno>

namespace {

off_t sick_page = -1;
int failures = 0;

bool is_sick(size_t size, off_t from) {
  const auto page = sick_page * 4096;
  if (sick_page < 0 || failures == 0 || from > page || page >= from + static_cast<off_t>(size))
    return false;
  --failures;
  errno = EIO;
  return true;
}

}  // namespace

// Calls come here first, those of SQLite and our own: the test program's symbols go before the C
// library's.
extern "C" ssize_t pread64(int descriptor, void* bytes, size_t size, off64_t from) {
  static const auto real = reinterpret_cast<decltype(&pread64)>(::dlsym(RTLD_NEXT, "pread64"));
  return is_sick(size, from) ? -1 : real(descriptor, bytes, size, from);
}
extern "C" ssize_t pread(int descriptor, void* bytes, size_t size, off_t from) {
  static const auto real = reinterpret_cast<decltype(&pread)>(::dlsym(RTLD_NEXT, "pread"));
  return is_sick(size, from) ? -1 : real(descriptor, bytes, size, from);
}

namespace millwright::storage {

Sector::Sector(std::int64_t page, int times) {
  sick_page = page - 1;
  failures = times;
}
Sector::~Sector() { sick_page = -1; }
int Sector::failures_left() const { return failures; }

}  // namespace millwright::storage
