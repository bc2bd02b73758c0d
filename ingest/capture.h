// `{captures}`: their spelling and their regular expressions, the same in topics, JSON Pointers and
// names.
#pragma once

#include <regex>
#include <string>
#include <string_view>

namespace millwright::ingest {

// Letters, digits and '_', not beginning with a digit.
bool is_capture_name(std::string_view name);

// `robot-{id}` is before "robot-", name "id", after "". Without a capture all is `before`.
// `problem` is a sentence when the braces do not fit; the other fields are then of no use.
struct CaptureText {
  std::string before, name, after;
  std::string problem;
};
CaptureText split_capture(std::string_view text);

// Throws std::invalid_argument with one sentence for an expression that std::regex (ECMAScript)
// does not take.
std::regex compile_where(const std::string& capture, const std::string& expression);

// Texts above 256 bytes never match.
bool matches_whole(std::string_view text, const std::regex& expression);

}  // namespace millwright::ingest
