// States and parts of them as bytes, for the tests of what is saved and restored.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "core/codec.h"

namespace millwright::detectors {

template <class T>
std::string bytes_of(const T& object) {
  std::string out;
  Writer writer{out};
  writer(object);
  return out;
}

template <class T>
bool can_restore(std::string_view bytes) {
  T object;
  Reader reader{bytes};
  reader(object);
  return reader.ok();
}

// Restored from the object's bytes; has the same ones.
template <class T>
T restored(const T& object) {
  const auto bytes = bytes_of(object);
  T copy;
  Reader reader{bytes};
  reader(copy);
  REQUIRE(reader.ok());
  REQUIRE(reader.at_end());
  CHECK(bytes_of(copy) == bytes);
  return copy;
}

// Bytes that are cut short are refused, and those with NaN in place of a float that begins `back`
// bytes before the end.
template <class T>
void check_refusals(const T& object, std::initializer_list<std::size_t> back) {
  const auto bytes = bytes_of(object);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE(!can_restore<T>(std::string_view{bytes}.substr(0, size)));
  }
  for (const auto at : back) {
    CAPTURE(at);
    auto wrong = bytes;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(wrong.data() + wrong.size() - at, &nan, sizeof nan);
    CHECK(!can_restore<T>(wrong));
  }
}

}  // namespace millwright::detectors
