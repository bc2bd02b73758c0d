#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace millwright {

void check_failed(const char* what, const std::source_location& where) {
  std::fprintf(stderr, "<2>bug: %s does not hold, in %s at %s:%u\n", what, where.function_name(), where.file_name(),
               static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace millwright
