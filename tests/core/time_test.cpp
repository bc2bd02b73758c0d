// Times against epochs worked out by the calendar rules and known from POSIX and RFC 3339.
#include "core/time.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "core/random.h"

using namespace millwright;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

struct Case {
  std::string_view text;
  std::int64_t microseconds;
};

void check_parses(const Case& c, TimeFormat format) {
  CAPTURE(c.text);
  const std::optional<Timestamp> time = parse_time(c.text, format);
  REQUIRE(time.has_value());
  CHECK(to_microseconds(*time) == c.microseconds);
}

}  // namespace

TEST_CASE("ISO 8601 texts are the microseconds since 1970 that the calendar says") {
  static constexpr Case cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T00:00:00.000001Z", 1},
      {"1969-12-31T23:59:59.999Z", -1'000},
      {"2000-02-29T00:00:00Z", 951'782'400'000'000},
      {"2000-03-01T00:00:00Z", 951'868'800'000'000},
      {"2001-09-09T01:46:40Z", 1'000'000'000'000'000},  // the billionth second
      {"2009-02-13T23:31:30Z", 1'234'567'890'000'000},
      {"2038-01-19T03:14:07Z", 2'147'483'647'000'000},  // the last second of 32 bits
      {"2024-02-29T12:00:00Z", 1'709'208'000'000'000},
      {"1996-12-19T16:39:57-08:00", 851'042'397'000'000},  // RFC 3339, section 5.8
      {"1996-12-20T00:39:57Z", 851'042'397'000'000},
      {"1985-04-12T23:20:50.52Z", 482'196'050'520'000},  // the same section
      {"1937-01-01T12:00:27.87+00:20", -1'041'337'172'130'000},
      {"1990-12-31T23:59:60Z", 662'688'000'000'000},  // a leap second
      {"2024-11-22T04:33:20.123Z", 1'732'250'000'123'000},
      {"2024-11-22t04:33:20.123z", 1'732'250'000'123'000},
      {"2024-11-22 04:33:20.123", 1'732'250'000'123'000},
      {"2024-11-22T04:33:20,123", 1'732'250'000'123'000},
      {"2024-11-22T05:33:20+01:00", 1'732'250'000'000'000},
      {"2024-11-22T05:33:20+0100", 1'732'250'000'000'000},
      {"2024-11-22T05:33:20+01", 1'732'250'000'000'000},
      {"2024-11-21T23:03:20-05:30", 1'732'250'000'000'000},
      {"2024-11-22T04:33Z", 1'732'249'980'000'000},
      {"2024-11-22", 1'732'233'600'000'000},
      {"1678-01-01T00:00:00Z", -9'214'560'000'000'000},
      {"2262-12-31T23:59:59.999999Z", 9'246'182'399'999'999},
  };
  for (const Case& c : cases) {
    check_parses(c, TimeFormat::automatic);
    check_parses(c, TimeFormat::iso8601);
  }
}

TEST_CASE("fractions of any length are read to the nearest microsecond") {
  static constexpr Case cases[] = {
      {"1970-01-01T00:00:00.1Z", 100'000},
      {"1970-01-01T00:00:00.1234567Z", 123'457},  // OPC UA writes seven digits
      {"1970-01-01T00:00:00.123456499Z", 123'456},
      {"1970-01-01T00:00:00.123456500Z", 123'457},
      {"1970-01-01T00:00:00.123456499999999Z", 123'456},
      {"1970-01-01T00:00:59.9999999Z", 60'000'000},
  };
  for (const Case& c : cases) check_parses(c, TimeFormat::iso8601);
}

TEST_CASE("numbers since the epoch are read in the unit asked for, exactly") {
  static constexpr std::int64_t expected = 1'732'250'000'123'456;
  check_parses({"1732250000.123456", expected}, TimeFormat::epoch_s);
  check_parses({"1732250000123.456", expected}, TimeFormat::epoch_ms);
  check_parses({"1732250000123456", expected}, TimeFormat::epoch_us);
  check_parses({"1732250000123456789", expected + 1}, TimeFormat::epoch_ns);
  check_parses({"1732250000123456499", expected}, TimeFormat::epoch_ns);
  check_parses({"1.7e9", 1'700'000'000'000'000}, TimeFormat::epoch_s);
  check_parses({"-1.5", -1'500'000}, TimeFormat::epoch_s);
  check_parses({"5", 5'000}, TimeFormat::epoch_ms);
  check_parses({"0", 0}, TimeFormat::epoch_ns);
}

TEST_CASE("automatic tells the epoch units apart by size") {
  static constexpr Case cases[] = {
      {"1732250000", 1'732'250'000'000'000},       {"1732250000123", 1'732'250'000'123'000},
      {"1732250000123456", 1'732'250'000'123'456}, {"1732250000123456000", 1'732'250'000'123'456},
      {"-1732250000", -1'732'250'000'000'000},     {"1732250000.5", 1'732'250'000'500'000},
      {"9000000000", 9'000'000'000'000'000},       {"100000000000", 100'000'000'000'000},
      {"100000000000000", 100'000'000'000'000},    {"100000000000000000", 100'000'000'000'000},
  };
  for (const Case& c : cases) {
    check_parses(c, TimeFormat::automatic);
    const std::optional<Timestamp> time = time_from_epoch(std::stod(std::string{c.text}));
    REQUIRE(time.has_value());
    CHECK(to_microseconds(*time) == c.microseconds);
  }
}

TEST_CASE("doubles since the epoch are read to the microsecond") {
  CHECK(time_from_epoch(1732250000.123456, TimeFormat::epoch_s) ==
        from_microseconds(1'732'250'000'123'456));
  CHECK(time_from_epoch(1732250000123.0, TimeFormat::epoch_ms) ==
        from_microseconds(1'732'250'000'123'000));
  CHECK(time_from_epoch(-0.0, TimeFormat::epoch_us) == from_microseconds(0));
  CHECK(time_from_epoch(1732250000123456512.0, TimeFormat::epoch_ns) ==
        from_microseconds(1'732'250'000'123'457));
  CHECK_FALSE(time_from_epoch(std::numeric_limits<double>::quiet_NaN()).has_value());
  CHECK_FALSE(time_from_epoch(std::numeric_limits<double>::infinity()).has_value());
  CHECK_FALSE(time_from_epoch(1e300, TimeFormat::epoch_ns).has_value());
  CHECK_FALSE(time_from_epoch(-1e300).has_value());
  CHECK_FALSE(time_from_epoch(1732250000.0, TimeFormat::iso8601).has_value());
}

TEST_CASE("malformed times and days that do not exist are refused") {
  static constexpr std::string_view texts[] = {
      "",
      " ",
      "now",
      "2024",  // is a number of seconds only where numbers are asked for
      "2024-11",
      "2024-11-2",
      "2024-1-22",
      "2023-02-29",
      "1900-02-29",
      "2100-02-29",
      "2024-04-31",
      "2024-00-01",
      "2024-13-01",
      "2024-01-00",
      "2024-01-32",
      "2024-11-22T",
      "2024-11-22T04",
      "2024-11-22T04:",
      "2024-11-22T04:33:",
      "2024-11-22T4:33:20Z",
      "2024-11-22T04:33:2",
      "2024-11-22T04:33:20.Z",
      "2024-11-22T04:33:20.",
      "2024-11-22T24:00:00Z",
      "2024-11-22T04:60:00Z",
      "2024-11-22T04:33:61Z",
      "2024-11-22T04:33:20+",
      "2024-11-22T04:33:20+1",
      "2024-11-22T04:33:20+01:",
      "2024-11-22T04:33:20+01:6",
      "2024-11-22T04:33:20+24:00",
      "2024-11-22T04:33:20+01:60",
      "2024-11-22T04:33:20ZZ",
      "2024-11-22T04:33:20Z ",
      " 2024-11-22T04:33:20Z",
      "2024-11-22X04:33:20Z",
      "2024/11/22T04:33:20Z",
      "2024-11-22T04-33-20Z",
      "-024-11-22T04:33:20Z",
      "2024--1-22T04:33:20Z",
      "+2024-11-22T04:33:20Z",
      "12024-11-22T04:33:20Z",
      "2024-11-22T-4:33:20Z",
      "1677-12-31T23:59:59Z",
      "2263-01-01T00:00:00Z",
      "0000-01-01T00:00:00Z",
      "9999-12-31T23:59:59Z",
      "1678-01-01T00:00:00+00:01",
      "2262-12-31T23:59:59.9999999Z",
  };
  for (const std::string_view text : texts) {
    CAPTURE(text);
    CHECK_FALSE(parse_time(text, TimeFormat::iso8601).has_value());
  }
  static constexpr std::string_view numbers[] = {
      "",    "-",   ".",    "1.",  ".5",    "1e",   "1e999", "+1",    "1 ", " 1", "0x10",
      "nan", "inf", "-inf", "1,5", "1.5.5", "1.5e", "--1",   "1_000", "1s", "1Z", "1.-5",
  };
  for (const std::string_view text : numbers) {
    CAPTURE(text);
    CHECK_FALSE(parse_time(text, TimeFormat::epoch_s).has_value());
    CHECK_FALSE(parse_time(text, TimeFormat::automatic).has_value());
  }
  CHECK_FALSE(parse_time("2024-11-22", TimeFormat::epoch_s).has_value());
  CHECK_FALSE(parse_time("1e300", TimeFormat::epoch_s).has_value());
  CHECK_FALSE(parse_time("18446744073709551615", TimeFormat::epoch_s).has_value());
  CHECK_FALSE(
      parse_time("18446744073709551615", TimeFormat::epoch_ns).has_value());  // the year 2554
  CHECK_FALSE(parse_time("99999999999999999999999", TimeFormat::epoch_ns).has_value());
  CHECK_FALSE(parse_time("9246182400", TimeFormat::epoch_s).has_value());  // the year 2263
  CHECK_FALSE(parse_time("-9214560001", TimeFormat::epoch_s).has_value());
}

TEST_CASE("no beginning of a time is taken for another time of the same day") {
  const std::string whole = "2024-11-22T04:33:20.123+01:00";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string text = whole.substr(0, length);
    CAPTURE(text);
    const std::optional<Timestamp> time = parse_time(text, TimeFormat::iso8601);
    // A date, minutes, seconds, fractions, hours of offset: complete times in themselves.
    const bool complete = length == 10 || length == 16 || length == 19 ||
                          (length >= 21 && length <= 23) || length == 26;
    CHECK(time.has_value() == complete);
  }
}

TEST_CASE("times are written as RFC 3339 with milliseconds, microseconds where there are any") {
  CHECK(format_time(from_microseconds(0)) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(from_microseconds(1'732'250'000'123'000)) == "2024-11-22T04:33:20.123Z");
  CHECK(format_time(from_microseconds(1'732'250'000'123'456)) == "2024-11-22T04:33:20.123456Z");
  CHECK(format_time(from_microseconds(-1)) == "1969-12-31T23:59:59.999999Z");
  CHECK(format_time(from_microseconds(951'782'400'000'000)) == "2000-02-29T00:00:00.000Z");
  CHECK(format_time(from_microseconds(-9'214'560'000'000'000)) == "1678-01-01T00:00:00.000Z");
}

TEST_CASE("what is written is read back as the same time") {
  Random random{1};
  for (int i = 0; i < 20'000; ++i) {
    const auto range = static_cast<std::uint64_t>(9'246'182'400'000'000 + 9'214'560'000'000'000);
    std::int64_t microseconds =
        static_cast<std::int64_t>(random.below(range)) - 9'214'560'000'000'000;
    if (i % 2 == 0) microseconds -= microseconds % 1000;
    CAPTURE(microseconds);
    const std::string text = format_time(from_microseconds(microseconds));
    REQUIRE(parse_time(text) == from_microseconds(microseconds));
  }
}

TEST_CASE("durations are said as a person says them") {
  struct {
    Duration duration;
    std::string_view text;
  } const cases[] = {
      {Duration{0}, "0 s"},
      {Duration{250}, "250 us"},
      {milliseconds{1}, "1 ms"},
      {Duration{1500}, "1.5 ms"},
      {milliseconds{850}, "850 ms"},
      {seconds{1}, "1 s"},
      {milliseconds{2500}, "2.5 s"},
      {seconds{12}, "12 s"},
      {milliseconds{12'400}, "12 s"},
      {milliseconds{59'700}, "1 min"},
      {seconds{90}, "1.5 min"},
      {minutes{4}, "4 min"},
      {minutes{59}, "59 min"},
      {minutes{210}, "3.5 h"},
      {hours{23}, "23 h"},
      {hours{24}, "1 day"},
      {minutes{24 * 60 * 2 + 144}, "2.1 days"},
      {days{365}, "365 days"},
      {-seconds{12}, "-12 s"},
  };
  for (const auto& c : cases) CHECK(describe_duration(c.duration) == c.text);
}

TEST_CASE("seconds become durations, saturating") {
  CHECK(from_seconds(1.5) == Duration{1'500'000});
  CHECK(from_seconds(-0.25) == Duration{-250'000});
  CHECK(from_seconds(1e-6) == Duration{1});
  CHECK(from_seconds(std::nan("")) == Duration{0});
  const double years = 365.25 * 86400;
  CHECK(from_seconds(1e300) > from_seconds(291'000 * years));
  CHECK(from_seconds(-1e300) < from_seconds(-291'000 * years));
  CHECK(from_seconds(std::numeric_limits<double>::infinity()) == from_seconds(1e300));
}
