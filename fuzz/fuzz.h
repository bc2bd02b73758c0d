// What the targets share. A target takes any bytes; it must neither crash nor trip a sanitizer, and
// what it claims with `require` must hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace millwright::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// What stands before the first newline is taken off `rest` and returned.
inline std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  const auto line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return line;
}

// As a sanitizer does it: a claim that does not hold ends the program.
inline void require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

// Mutation breaks checksums first, and what lies behind them would never be reached: these put them
// right. Each takes any bytes and returns them with the magic numbers, versions, lengths and
// checksums that the reader wants to see first.
std::string repaired_checkpoint(std::string_view bytes);
std::string repaired_journal(std::string_view bytes);
std::string repaired_lane_state(std::string_view bytes);

}  // namespace millwright::fuzz
