// Text from outside made safe to show and to store: names, topics and payloads may hold anything.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace millwright::daemon {

bool is_utf8(std::string_view text);

// The text on one line: control characters, invisible direction marks and bytes that are not UTF-8
// are escaped (`\n`,
// `\x1b`, `\u202e`), a backslash is doubled. Longer than `most` bytes of input: cut, with `...` at
// the end.
std::string printable(std::string_view text,
                      std::size_t most = std::numeric_limits<std::size_t>::max());

}  // namespace millwright::daemon
