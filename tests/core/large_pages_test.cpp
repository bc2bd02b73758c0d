// Arrays in large pages: where they begin, and that they are arrays.
#include "core/large_pages.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace millwright {
namespace {

std::uintptr_t address(const auto& array) { return reinterpret_cast<std::uintptr_t>(array.data()); }

TEST_CASE("a small array begins with a line of the cache, a large one with a large page") {
  std::vector<char, LargePages<char>> small(100), large(std::size_t{5} << 20);
  CHECK(address(small) % 64 == 0);
  CHECK(address(large) % (std::size_t{2} << 20) == 0);
}

TEST_CASE("an array keeps its elements as it grows past the size of a large page") {
  std::vector<std::uint64_t, LargePages<std::uint64_t>> values;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) values.push_back(i * i);
  bool same = true;
  for (std::uint64_t i = 0; i < values.size(); ++i) same = same && values[i] == i * i;
  CHECK(same);
}

}  // namespace
}  // namespace millwright
