#include "tests/support/scale.h"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace millwright::test {

int scaled(int normal, int full) {
  const char* const variable = std::getenv("MILLWRIGHT_TEST_SCALE");
  const std::string_view scale = variable ? variable : "";
  if (scale.empty() || scale == "normal") return normal;
  if (scale == "full") return full;
  throw std::runtime_error("MILLWRIGHT_TEST_SCALE is '" + std::string(scale) +
                           "': it may be 'normal' or 'full'");
}

}  // namespace millwright::test
