#include "daemon/version.h"

#include <fmt/format.h>

namespace millwright::daemon {
namespace {

#ifdef __clang__
constexpr std::string_view compiler = "Clang " __clang_version__;
#else
constexpr std::string_view compiler = "GCC " __VERSION__;
#endif

}  // namespace

std::string_view version() { return MILLWRIGHT_VERSION MILLWRIGHT_COMMIT; }

std::string build_line() {
  auto name = compiler;
  while (name.ends_with(' ')) name.remove_suffix(1);
  return fmt::format("millwright {} ({}, {})", version(), name, MILLWRIGHT_BUILD_TYPE);
}

}  // namespace millwright::daemon
