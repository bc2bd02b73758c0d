// JSON Pointers (RFC 6901) whose steps may be `*` or hold a `{capture}`.
#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace millwright::ingest {

struct Step {
  enum class Kind { key, each } kind = Kind::key;
  std::string key;            // key: the unescaped text
  std::size_t position = 0;   // key: the same as an array index; no_position when it is none
  std::string capture;        // each: the capture's name; empty for `*`
  std::string before, after;  // each: text around the capture
  std::string expression;     // each: what the capture must match, as written; empty: anything
  std::optional<std::regex> where;

  static constexpr std::size_t no_position = std::numeric_limits<std::size_t>::max();
  // Does the step stand for the same fields as the other one? `*` and a bare capture do.
  bool same_as(const Step& other) const;
};

using Pointer = std::vector<Step>;

// The empty text is the whole document. `where` gives the expressions of captures; names it does
// not find here are no business of this pointer. Throws std::invalid_argument with one sentence.
Pointer parse_pointer(std::string_view text, const std::map<std::string, std::string>& where = {});

// `key` with ~ and / escaped, as a step of a pointer.
std::string escape_step(std::string_view key);

}  // namespace millwright::ingest
