#include "ingest/pointer.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "ingest/capture.h"

namespace millwright::ingest {
namespace {

std::string unescape_step(std::string_view pointer, std::string_view step) {
  std::string out;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] != '~') {
      out += step[i];
      continue;
    }
    const char code = ++i < step.size() ? step[i] : '\0';
    if (code != '0' && code != '1')
      throw std::invalid_argument{fmt::format(
          "\"{}\": in a JSON Pointer ~ is written ~0 (and a / within a key ~1)", pointer)};
    out += code == '0' ? '~' : '/';
  }
  return out;
}

std::size_t array_position(std::string_view key) {
  std::size_t position = 0;
  const char* const end = key.data() + key.size();
  const bool padded = key.size() > 1 && key.front() == '0';
  if (const auto [stop, error] = std::from_chars(key.data(), end, position);
      key.empty() || padded || stop != end || error != std::errc{})
    return Step::no_position;
  return position;
}

}  // namespace

bool Step::same_as(const Step& other) const {
  if (kind != other.kind) return false;
  if (kind == Kind::key) return key == other.key;
  const bool bare = before.empty() && after.empty();
  const bool other_bare = other.before.empty() && other.after.empty();
  if (other.capture.empty() || capture.empty()) return bare && other_bare;
  return capture == other.capture && before == other.before && after == other.after;
}

Pointer parse_pointer(std::string_view text, const std::map<std::string, std::string>& where) {
  Pointer pointer;
  if (text.empty()) return pointer;
  if (text.front() != '/')
    throw std::invalid_argument{fmt::format("\"{}\": a JSON Pointer begins with /", text)};
  std::string_view rest = text;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view written = rest.substr(0, rest.find('/'));
    rest.remove_prefix(written.size());
    Step step;
    if (written == "*") {
      step.kind = Step::Kind::each;
      pointer.push_back(std::move(step));
      continue;
    }
    const CaptureText parts = split_capture(written);
    if (!parts.problem.empty())
      throw std::invalid_argument{fmt::format("\"{}\": {}", text, parts.problem)};
    if (parts.name.empty()) {
      step.key = unescape_step(text, parts.before);
      step.position = array_position(step.key);
    } else {
      step.kind = Step::Kind::each;
      step.capture = parts.name;
      step.before = unescape_step(text, parts.before);
      step.after = unescape_step(text, parts.after);
      if (const auto it = where.find(parts.name); it != where.end()) {
        step.expression = it->second;
        step.where = compile_where(it->first, it->second);
      }
      for (const Step& earlier : pointer) {
        if (earlier.capture == step.capture)
          throw std::invalid_argument{
              fmt::format("\"{}\": {{{}}} is captured twice", text, step.capture)};
      }
    }
    pointer.push_back(std::move(step));
  }
  return pointer;
}

std::string escape_step(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace millwright::ingest
