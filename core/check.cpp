#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace millwright {

void check_failed(const char* what, const CodePlace& where) {
  std::fprintf(stderr, "<2>bug: %s does not hold, in %s at %s:%d\n", what, where.function,
               where.file, where.line);
  std::abort();
}

}  // namespace millwright
