// Which build this is.
#pragma once

#include <string>
#include <string_view>

namespace millwright::daemon {

// `0.1.0`, or `0.1.0+g1a2b3c4` when the sources came from git (`-dirty`: and were changed).
std::string_view version();

// One line for --version: `millwright 0.1.0+g1a2b3c4 (GCC 12.2.0, release)`.
std::string build_line();

}  // namespace millwright::daemon
