#include <doctest/doctest.h>

#include <limits>

#include "core/codec.h"
#include "core/random.h"

using namespace millwright;

namespace {

struct Inner {
  std::uint16_t small = 0;
  std::optional<double> maybe;
  static void fields(auto& io, auto& s) { io(s.small, s.maybe); }
  friend bool operator==(const Inner&, const Inner&) = default;
};
struct Outer {
  bool flag = false;
  std::int64_t big = 0;
  double number = 0;
  std::string text;
  Timestamp time;
  Duration span{0};
  std::array<std::uint8_t, 3> three{};
  std::vector<Inner> list;
  static void fields(auto& io, auto& s) {
    io(s.flag, s.big, s.number, s.text, s.time, s.span, s.three, s.list);
  }
  friend bool operator==(const Outer&, const Outer&) = default;
};

Outer example() {
  Outer o;
  o.flag = true;
  o.big = -42;
  o.number = -0.1;
  o.text = std::string{"a\0b", 3};
  o.time = from_microseconds(1732250000123456);
  o.span = Duration{-5};
  o.three = {1, 2, 255};
  o.list = {{7, std::nullopt}, {8, 2.5}};
  return o;
}

}  // namespace

TEST_CASE("what is written is read back, field by field") {
  std::string bytes;
  Writer{bytes}(example());
  Reader reader{bytes};
  Outer back;
  reader(back);
  CHECK(reader.ok());
  CHECK(reader.at_end());
  CHECK(back == example());
}

TEST_CASE("integers are little-endian and lists carry a 32 bit count") {
  std::string bytes;
  Writer{bytes}(std::uint16_t{0x1234}, std::vector<std::uint8_t>{9, 8});
  CHECK(bytes == std::string{"\x34\x12\x02\x00\x00\x00\x09\x08", 8});
}

TEST_CASE("bytes cut short anywhere are told apart from whole ones") {
  std::string bytes;
  Writer{bytes}(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    Reader reader{std::string_view{bytes}.substr(0, size)};
    Outer back;
    reader(back);
    CHECK_FALSE(reader.ok());
  }
}

TEST_CASE(
    "a list that claims more elements than there are bytes is refused without allocating them") {
  std::string bytes;
  Writer{bytes}(std::numeric_limits<std::uint32_t>::max());
  Reader reader{bytes};
  std::vector<std::uint64_t> list;
  reader(list);
  CHECK_FALSE(reader.ok());
  CHECK(list.empty());
}

TEST_CASE("the seeded generator gives the published SplitMix64 sequence") {
  // Reference values of the algorithm for seed 1234567, as listed with its public-domain
  // description.
  Random random{1234567};
  CHECK(random.next() == 6457827717110365317u);
  CHECK(random.next() == 3203168211198807973u);
  CHECK(random.next() == 9817491932198370423u);
}

TEST_CASE("normal draws have mean 0 and variance 1") {
  Random random{1};
  double sum = 0, squares = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  CHECK(sum / n == doctest::Approx(0).epsilon(0).scale(1).epsilon(0.01));
  CHECK(squares / n == doctest::Approx(1).epsilon(0.01));
}
