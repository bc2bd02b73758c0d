// Times to and from text. Parsing is on the path of every reading: no streams, no allocation.
#include "core/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <system_error>

namespace millwright {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::month;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr std::int64_t earliest =
    Timestamp{sys_days{year{1678} / 1 / 1}}.time_since_epoch().count();
constexpr std::int64_t beyond = Timestamp{sys_days{year{2263} / 1 / 1}}.time_since_epoch().count();

std::optional<Timestamp> in_range(std::int64_t microseconds) {
  if (microseconds < earliest || microseconds >= beyond) return std::nullopt;
  return from_microseconds(microseconds);
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr unsigned digit_of(char c) { return static_cast<unsigned>(c - '0'); }

// Takes a text apart from the left. By pointers, because bounds-checked access would cost half of
// the time here.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  char peek() const { return at_ == end_ ? '\0' : *at_; }
  bool accept(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool accept_one_of(char a, char b, char c) { return accept(a) || accept(b) || accept(c); }
  // Exactly `width` digits.
  bool digits(int width, unsigned& value) {
    if (end_ - at_ < width) return false;
    value = 0;
    for (const char* const stop = at_ + width; at_ != stop; ++at_) {
      if (!is_digit(*at_)) return false;
      value = value * 10 + digit_of(*at_);
    }
    return true;
  }
  // One to nineteen digits: no more than 64 bits hold.
  bool whole(std::uint64_t& value) {
    const char* const begin = at_;
    value = 0;
    for (; at_ != end_ && is_digit(*at_); ++at_) {
      if (at_ - begin == 19) return false;
      value = value * 10 + digit_of(*at_);
    }
    return at_ != begin;
  }
  // One or more digits, as billionths: digits beyond the ninth do not count.
  bool fraction(std::uint64_t& billionths) {
    const char* const begin = at_;
    billionths = 0;
    for (std::uint64_t unit = 100'000'000; at_ != end_ && is_digit(*at_); ++at_, unit /= 10)
      billionths += unit * digit_of(*at_);
    return at_ != begin;
  }

 private:
  const char* at_;
  const char* end_;
};

// Z, +hh, +hhmm, +hh:mm or nothing, up to the end of the text.
bool parse_zone(Scanner& scan, seconds& offset) {
  offset = seconds{0};
  if (scan.at_end()) return true;
  if (scan.accept('Z') || scan.accept('z')) return scan.at_end();
  const bool west = scan.peek() == '-';
  if (!scan.accept('-') && !scan.accept('+')) return false;
  unsigned hour = 0, minute = 0;
  if (!scan.digits(2, hour)) return false;
  if (!scan.at_end()) {
    scan.accept(':');
    if (!scan.digits(2, minute)) return false;
  }
  if (!scan.at_end() || hour > 23 || minute > 59) return false;
  offset = hours{hour} + minutes{minute};
  if (west) offset = -offset;
  return true;
}

std::optional<Timestamp> parse_iso8601(std::string_view text) {
  Scanner scan{text};
  unsigned y = 0, m = 0, d = 0;
  if (!scan.digits(4, y) || !scan.accept('-') || !scan.digits(2, m) || !scan.accept('-') ||
      !scan.digits(2, d))
    return std::nullopt;
  const year_month_day date{year{static_cast<int>(y)}, month{m}, day{d}};
  if (!date.ok()) return std::nullopt;

  unsigned hour = 0, minute = 0, second = 0;
  std::uint64_t billionths = 0;
  seconds offset{0};
  if (!scan.at_end()) {
    if (!scan.accept_one_of('T', ' ', 't') || !scan.digits(2, hour) || !scan.accept(':') ||
        !scan.digits(2, minute))
      return std::nullopt;
    if (scan.accept(':')) {
      if (!scan.digits(2, second)) return std::nullopt;
      if ((scan.accept('.') || scan.accept(',')) && !scan.fraction(billionths)) return std::nullopt;
    }
    if (!parse_zone(scan, offset)) return std::nullopt;
    // A leap second (:60) is the first second of the next minute, as POSIX counts.
    if (hour > 23 || minute > 59 || second > 60) return std::nullopt;
  }
  const seconds since_epoch =
      sys_days{date}.time_since_epoch() + hours{hour} + minutes{minute} + seconds{second} - offset;
  return in_range(since_epoch.count() * 1'000'000 +
                  static_cast<std::int64_t>((billionths + 500) / 1000));
}

TimeFormat unit_by_size(double magnitude) {
  if (magnitude < 1e11) return TimeFormat::epoch_s;
  if (magnitude < 1e14) return TimeFormat::epoch_ms;
  if (magnitude < 1e17) return TimeFormat::epoch_us;
  return TimeFormat::epoch_ns;
}

// `whole` and `billionths` of `unit`, to the nearest microsecond; exact, unlike a double, whose
// steps are 256 ns for today's time in nanoseconds.
std::optional<Timestamp> from_exact(bool negative, std::uint64_t whole, std::uint64_t billionths,
                                    TimeFormat unit) {
  std::uint64_t per_unit = 0;
  switch (unit) {
    case TimeFormat::epoch_s:
      per_unit = 1'000'000;
      break;
    case TimeFormat::epoch_ms:
      per_unit = 1'000;
      break;
    case TimeFormat::epoch_us:
      per_unit = 1;
      break;
    case TimeFormat::epoch_ns:
      whole = whole / 1000 + (whole % 1000 >= 500 ? 1 : 0);
      billionths = 0;
      per_unit = 1;
      break;
    case TimeFormat::automatic:
    case TimeFormat::iso8601:
      return std::nullopt;
  }
  if (whole > static_cast<std::uint64_t>(beyond) / per_unit) return std::nullopt;
  const std::uint64_t of_fraction = (billionths * per_unit + 500'000'000) / 1'000'000'000;
  const auto microseconds = static_cast<std::int64_t>(whole * per_unit + of_fraction);
  return in_range(negative ? -microseconds : microseconds);
}

std::optional<Timestamp> parse_epoch(std::string_view text, TimeFormat format) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  if (digits.empty() || !is_digit(digits.front()) || !is_digit(digits.back())) return std::nullopt;

  Scanner scan{digits};
  std::uint64_t whole = 0, billionths = 0;
  if (scan.whole(whole) &&
      (scan.at_end() || (scan.accept('.') && scan.fraction(billionths) && scan.at_end()))) {
    if (format == TimeFormat::automatic) format = unit_by_size(static_cast<double>(whole));
    return from_exact(negative, whole, billionths, format);
  }
  double number = 0;  // 1.7e9 and the like
  if (const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
      parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return time_from_epoch(number, format);
}

char* put_digits(char* out, std::uint64_t value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
  return out + width;
}

}  // namespace

std::optional<Timestamp> parse_time(std::string_view text, TimeFormat format) {
  const bool looks_like_date = text.size() >= 10 && text[4] == '-';
  if (format == TimeFormat::iso8601 || (format == TimeFormat::automatic && looks_like_date))
    return parse_iso8601(text);
  return parse_epoch(text, format);
}

std::optional<Timestamp> time_from_epoch(double number, TimeFormat format) {
  if (!std::isfinite(number)) return std::nullopt;
  if (format == TimeFormat::automatic) format = unit_by_size(std::abs(number));
  double microseconds = number;
  switch (format) {
    case TimeFormat::epoch_s:
      microseconds = number * 1e6;
      break;
    case TimeFormat::epoch_ms:
      microseconds = number * 1e3;
      break;
    case TimeFormat::epoch_us:
      break;
    case TimeFormat::epoch_ns:
      microseconds = number / 1e3;
      break;
    case TimeFormat::automatic:
    case TimeFormat::iso8601:
      return std::nullopt;
  }
  microseconds = std::round(microseconds);
  if (!(microseconds >= static_cast<double>(earliest) &&
        microseconds < static_cast<double>(beyond)))
    return std::nullopt;
  return from_microseconds(static_cast<std::int64_t>(microseconds));
}

std::string format_time(Timestamp time) {
  const auto midnight = std::chrono::floor<days>(time);
  const year_month_day date{midnight};
  const auto of_day = static_cast<std::uint64_t>((time - midnight).count());
  const int y = static_cast<int>(date.year());
  std::array<char, 40> buffer{};
  char* out = buffer.data();
  if (y < 0) *out++ = '-';
  out = put_digits(out, static_cast<std::uint64_t>(std::abs(y)), std::abs(y) > 9999 ? 5 : 4);
  *out++ = '-';
  out = put_digits(out, static_cast<unsigned>(date.month()), 2);
  *out++ = '-';
  out = put_digits(out, static_cast<unsigned>(date.day()), 2);
  *out++ = 'T';
  out = put_digits(out, of_day / 3'600'000'000u, 2);
  *out++ = ':';
  out = put_digits(out, of_day / 60'000'000u % 60, 2);
  *out++ = ':';
  out = put_digits(out, of_day / 1'000'000u % 60, 2);
  *out++ = '.';
  const std::uint64_t fraction = of_day % 1'000'000u;
  out = fraction % 1000 == 0 ? put_digits(out, fraction / 1000, 3) : put_digits(out, fraction, 6);
  *out++ = 'Z';
  return {buffer.data(), static_cast<std::size_t>(out - buffer.data())};
}

std::string describe_duration(Duration duration) {
  struct Unit {
    double seconds;
    const char* one;
    const char* many;
  };
  static constexpr std::array<Unit, 6> units{{{1e-6, "us", "us"},
                                              {1e-3, "ms", "ms"},
                                              {1, "s", "s"},
                                              {60, "min", "min"},
                                              {3600, "h", "h"},
                                              {86400, "day", "days"}}};
  if (duration == Duration{0}) return "0 s";
  const double all = std::abs(to_seconds(duration));
  const char* const sign = duration < Duration{0} ? "-" : "";
  for (std::size_t i = 0;; ++i) {
    const double exact = all / units[i].seconds;
    const double shown = exact < 9.95 ? std::round(exact * 10) / 10 : std::round(exact);
    // Rounding may reach the next unit: 59.7 s is said as 1 min.
    if (i + 1 < units.size() && shown * units[i].seconds >= units[i + 1].seconds * (1 - 1e-9))
      continue;
    return fmt::format("{}{} {}", sign, shown, shown == 1 ? units[i].one : units[i].many);
  }
}

Duration from_seconds(double seconds) {
  if (std::isnan(seconds)) return Duration{0};
  constexpr double limit = 9.2e18;  // microseconds; just inside of what 64 bits hold
  const double microseconds = std::round(seconds * 1e6);
  if (microseconds >= limit) return Duration{static_cast<std::int64_t>(limit)};
  if (microseconds <= -limit) return Duration{-static_cast<std::int64_t>(limit)};
  return Duration{static_cast<std::int64_t>(microseconds)};
}

}  // namespace millwright
