#include "ingest/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace millwright::ingest {
namespace {

// from_chars does not say whether a number was too large or too small. Too large: its first digit
// that counts stands before the decimal point once the exponent has moved it.
bool overflows(std::string_view number) {
  const std::size_t exponent_at = number.find_first_of("eE");
  if (exponent_at != std::string_view::npos) {
    std::string_view exponent = number.substr(exponent_at + 1);
    if (exponent.starts_with('-')) return false;
    if (number.find_first_of("123456789") < exponent_at) return true;
  }
  const std::size_t point = std::min(number.find('.'), number.size());
  return number.find_first_of("123456789") < point;
}

// Most numbers have few digits and no exponent. Up to 15 digits are a whole number that a double
// holds, and so are the powers of ten up to 22; one division of such numbers is rounded once, which
// is as exact as can be (Clinger 1990, "How to read floating point numbers accurately"). Nothing
// for all other texts.
std::optional<double> plain_decimal(std::string_view text) {
  static constexpr std::array powers{1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  if (text.size() > 16) return std::nullopt;
  const char* const end = text.data() + text.size();
  const char* point = end;
  std::uint64_t whole = 0;
  for (const char* at = text.data(); at != end; ++at) {
    const auto digit = static_cast<unsigned>(*at - '0');
    if (digit <= 9) {
      whole = whole * 10 + digit;
    } else if (*at == '.' && point == end && text.size() > 1) {
      point = at;
    } else {
      return std::nullopt;
    }
  }
  if (point == end) {
    if (text.size() > 15) return std::nullopt;
    return static_cast<double>(whole);
  }
  return static_cast<double>(whole) / powers[static_cast<std::size_t>(end - point - 1)];
}

}  // namespace

void require_topic_alone(const Input& input, std::string_view format) {
  const auto require = [&](bool holds, std::string_view key) {
    if (!holds)
      throw std::invalid_argument{describe_problem(
          input, key,
          fmt::format("the format {} has no JSON in its payload to point into", format))};
  };
  require(input.settings.value.empty(), "value");
  require(input.settings.time.empty(), "time");
  require(input.machine.from_topic_alone(), "machine");
  require(input.sensor.from_topic_alone(), "sensor");
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  const auto to_lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [&](char a, char b) { return to_lower(a) == b; });
}

std::string_view trimmed(std::string_view text) {
  const auto is_white = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && is_white(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_white(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  const bool negative = text.starts_with('-');
  std::string_view digits = text;
  if (negative || text.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) return std::nullopt;

  // from_chars would take "inf" too, but also "nan(...)" and a second sign.
  const bool is_number = (digits.front() >= '0' && digits.front() <= '9') || digits.front() == '.';
  if (!is_number) {
    if (equal_ignoring_case(digits, "nan")) return std::numeric_limits<double>::quiet_NaN();
    if (equal_ignoring_case(digits, "inf") || equal_ignoring_case(digits, "infinity"))
      return negative ? -std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::infinity();
    return std::nullopt;
  }
  if (const std::optional<double> plain = plain_decimal(digits)) return negative ? -*plain : *plain;
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range)
    value = overflows(digits) ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -value : value;
}

std::optional<std::string_view> user_property(std::string_view properties, std::string_view name) {
  while (!properties.empty()) {
    const std::size_t name_end = properties.find('\0');
    if (name_end == std::string_view::npos) return std::nullopt;
    const std::string_view found = properties.substr(0, name_end);
    properties.remove_prefix(name_end + 1);
    const std::size_t value_end = std::min(properties.find('\0'), properties.size());
    if (found == name) return properties.substr(0, value_end);
    properties.remove_prefix(std::min(value_end + 1, properties.size()));
  }
  return std::nullopt;
}

}  // namespace millwright::ingest
