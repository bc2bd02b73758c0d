// Bytes in and out: little-endian, no padding, the same on every machine. One `fields(io, object)`
// serves both ways.
//
//   struct State { std::uint64_t count{}; double mean{};
//     static void fields(auto& io, auto& self) { io(self.count, self.mean); } };
//   std::string bytes; Writer{bytes}(state);      Reader reader{bytes}; reader(state); reader.ok()
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/time.h"

namespace millwright {

static_assert(std::endian::native == std::endian::little, "the codec copies little-endian memory");

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <class T, class Io>
concept HasFields = requires(Io& io, T& value) {
  T::fields(io, value);
};

// Appends to a string that the caller owns.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  std::size_t size() const { return out_.size(); }

 private:
  template <Scalar T>
  void put(const T& value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void put(const Timestamp& value) { put(value.time_since_epoch().count()); }
  void put(const Duration& value) { put(value.count()); }
  void put(const std::string& value) {
    put(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class T, std::size_t n>
  void put(const std::array<T, n>& values) {
    for (const auto& value : values) put(value);
  }
  template <class T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) put(value);
  }
  template <class T>
  requires HasFields<T, Writer>
  void put(const T& value) { T::fields(*this, value); }

  std::string& out_;
};

// Reads from borrowed bytes. After running out of bytes `ok()` is false and everything further
// reads as zero.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  std::size_t left() const { return in_.size(); }
  // The next `size` bytes, borrowed; empty and not ok when there are fewer.
  std::string_view take(std::size_t size) {
    if (size > in_.size()) {
      fail();
      return {};
    }
    const auto bytes = in_.substr(0, size);
    in_.remove_prefix(size);
    return bytes;
  }
  void fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  template <Scalar T>
  void get(T& value) {
    const auto bytes = take(sizeof(T));
    if (bytes.empty()) {
      value = T{};
    } else if constexpr (std::is_same_v<T, bool>) {
      value = bytes[0] != 0;
    } else {
      std::memcpy(&value, bytes.data(), sizeof(T));
    }
  }
  void get(Timestamp& value) {
    std::int64_t count = 0;
    get(count);
    value = from_microseconds(count);
  }
  void get(Duration& value) {
    std::int64_t count = 0;
    get(count);
    value = Duration{count};
  }
  void get(std::string& value) {
    std::uint32_t size = 0;
    get(size);
    value = take(size);
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool there = false;
    get(there);
    value.reset();
    if (there) get(value.emplace());
  }
  template <class T, std::size_t n>
  void get(std::array<T, n>& values) {
    for (auto& value : values) get(value);
  }
  template <class T>
  void get(std::vector<T>& values) {
    std::uint32_t size = 0;
    get(size);
    values.clear();
    if (size > in_.size()) return fail();  // every element takes at least a byte
    values.reserve(size);
    for (std::uint32_t i = 0; i < size && ok_; ++i) get(values.emplace_back());
  }
  template <class T>
  requires HasFields<T, Reader>
  void get(T& value) { T::fields(*this, value); }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace millwright
