// CHECK: a broken invariant is a bug; it aborts in every build, systemd restarts, the state is restored.
#pragma once

#include <source_location>

namespace millwright {

[[noreturn]] void check_failed(const char* what, const std::source_location& where);

constexpr void check(bool holds, const char* what,
                     const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace millwright
