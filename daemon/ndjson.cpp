#include "daemon/ndjson.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace millwright::daemon {
namespace {

using Json = nlohmann::json;

constexpr std::size_t longest_line = 65'536;
constexpr int deepest = 8;

const Json& member_of(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end()) throw std::invalid_argument{fmt::format("\"{}\" is missing", name)};
  return *it;
}

std::string text_of_member(const Json& object, const char* name) {
  const auto& value = member_of(object, name);
  if (!value.is_string()) throw std::invalid_argument{fmt::format("\"{}\" is no text", name)};
  return value.get<std::string>();
}

double number(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_string()) {
    const auto& digits = value.get_ref<const std::string&>();
    double parsed = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
    if (error == std::errc{} && end == digits.data() + digits.size()) return parsed;
  }
  throw std::invalid_argument{"\"value\" is no number"};
}

Timestamp time(const Json& value) {
  std::optional<Timestamp> parsed;
  if (value.is_number()) parsed = time_from_epoch(value.get<double>());
  if (value.is_string()) parsed = parse_time(value.get_ref<const std::string&>());
  if (!parsed)
    throw std::invalid_argument{
        "\"time\" is no time: ISO 8601 or a number since the epoch is needed"};
  return *parsed;
}

// The parser recurses: depth is bounded before it sees the text.
void check_depth(std::string_view line) {
  int depth = 0;
  for (const char c : line) {
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > deepest) throw std::invalid_argument{"nested too deeply for a reading"};
  }
}

}  // namespace

std::optional<NamedReading> parse_reading(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
  if (line.size() > longest_line) throw std::invalid_argument{"too long for a reading"};
  check_depth(line);
  const auto object = Json::parse(line, nullptr, false);
  if (!object.is_object()) throw std::invalid_argument{"no JSON object"};
  return NamedReading{text_of_member(object, "machine"), text_of_member(object, "sensor"),
                      time(member_of(object, "time")), number(member_of(object, "value"))};
}

}  // namespace millwright::daemon
