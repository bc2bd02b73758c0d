#include "ingest/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace millwright::ingest {
namespace {

// std::regex recurses once or more per character: longer texts could exhaust the stack.
constexpr std::size_t longest_tested = 256;

}  // namespace

bool is_capture_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !is_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

CaptureText split_capture(std::string_view text) {
  CaptureText out;
  const std::size_t open = text.find('{'), close = text.find('}');
  if (open == std::string_view::npos && close == std::string_view::npos) {
    out.before = text;
    return out;
  }
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    out.problem = fmt::format("\"{}\" has a brace without its partner", text);
    return out;
  }
  out.before = text.substr(0, open);
  out.name = text.substr(open + 1, close - open - 1);
  out.after = text.substr(close + 1);
  if (out.after.find_first_of("{}") != std::string::npos) {
    out.problem = fmt::format("\"{}\" has more than one capture between two slashes", text);
  } else if (!is_capture_name(out.name)) {
    out.problem = fmt::format(
        "{{{}}} is no capture; its name is letters, digits and '_', as in {{robot}}", out.name);
  }
  return out;
}

std::regex compile_where(const std::string& capture, const std::string& expression) {
  try {
    return std::regex{expression, std::regex::ECMAScript | std::regex::optimize};
  } catch (const std::regex_error& error) {
    throw std::invalid_argument{
        fmt::format("where: the expression \"{}\" for {{{}}} is not valid: {}", expression, capture,
                    error.what())};
  }
}

bool matches_whole(std::string_view text, const std::regex& expression) {
  return text.size() <= longest_tested && std::regex_match(text.begin(), text.end(), expression);
}

}  // namespace millwright::ingest
