// CHECK: a broken invariant is a bug; it aborts in every build, systemd restarts, the state is
// restored.
#pragma once

namespace millwright {

// Where a check stands. Not std::source_location: clang 14 (Debian 12) has none.
struct CodePlace {
  const char* file;
  const char* function;
  int line;
  static constexpr CodePlace here(const char* file = __builtin_FILE(),
                                  const char* function = __builtin_FUNCTION(),
                                  int line = __builtin_LINE()) {
    return {file, function, line};
  }
};

[[noreturn]] void check_failed(const char* what, const CodePlace& where);

constexpr void check(bool holds, const char* what, const CodePlace& where = CodePlace::here()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace millwright
