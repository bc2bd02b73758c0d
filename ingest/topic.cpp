#include "ingest/topic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "ingest/capture.h"

namespace millwright::ingest {
namespace {

constexpr std::size_t longest_topic = 65535;  // MQTT's limit

[[noreturn]] void fail(std::string_view pattern, std::string_view problem) {
  throw std::invalid_argument{fmt::format("topic \"{}\": {}", pattern, problem)};
}

// Cuts the next level off the front; `more` says whether another one follows.
std::string_view next_level(std::string_view& topic, bool& more) {
  const std::size_t slash = topic.find('/');
  const std::string_view level = topic.substr(0, slash);
  more = slash != std::string_view::npos;
  topic.remove_prefix(more ? slash + 1 : topic.size());
  return level;
}

}  // namespace

bool covers(std::string_view wide, std::string_view narrow) {
  if (narrow.starts_with('$') != wide.starts_with('$')) return false;  // no wildcard takes these
  bool more_wide = true, more_narrow = true;
  while (more_wide) {
    const auto level = next_level(wide, more_wide);
    if (level == "#") return true;  // the level above it, too
    if (!more_narrow) return false;
    const auto other = next_level(narrow, more_narrow);
    if (other == "#" || (level != "+" && level != other)) return false;
  }
  return !more_narrow;
}

TopicPattern::TopicPattern(std::string_view pattern,
                           const std::map<std::string, std::string>& where) {
  if (pattern.empty()) fail(pattern, "must not be empty");
  if (pattern.size() > longest_topic) fail(pattern.substr(0, 40), "is longer than 65535 bytes");
  if (const std::size_t nul = pattern.find('\0'); nul != std::string_view::npos)
    fail(pattern.substr(0, nul), "holds a NUL character");
  if (pattern.starts_with("$share/"))
    fail(pattern, "a shared subscription would tear the readings of one sensor apart");

  std::string_view rest = pattern;
  for (bool more = true; more;) {
    const std::string_view text = next_level(rest, more);
    Level level;
    if (text == "#") {
      if (more) fail(pattern, "# may only be the last level");
      level.kind = Level::Kind::rest;
    } else if (text == "+") {
      level.kind = Level::Kind::any;
    } else if (text.find_first_of("+#") != std::string_view::npos) {
      fail(pattern, "+ and # must stand alone in their level");
    } else {
      const CaptureText parts = split_capture(text);
      if (!parts.problem.empty()) fail(pattern, parts.problem);
      level.before = parts.before;
      level.after = parts.after;
      if (!parts.name.empty()) {
        level.kind = Level::Kind::capture;
        level.capture = captures_.size();
        if (std::find(captures_.begin(), captures_.end(), parts.name) != captures_.end())
          fail(pattern, fmt::format("{{{}}} is captured twice", parts.name));
        captures_.push_back(parts.name);
        if (const auto it = where.find(parts.name); it != where.end())
          level.where = compile_where(it->first, it->second);
      }
    }
    if (!levels_.empty()) filter_ += '/';
    switch (level.kind) {
      case Level::Kind::text:
        filter_ += level.before;
        break;
      case Level::Kind::rest:
        filter_ += '#';
        break;
      case Level::Kind::any:
      case Level::Kind::capture:
        filter_ += '+';
        break;
    }
    levels_.push_back(std::move(level));
  }
  for (const auto& [name, expression] : where) {
    if (std::find(captures_.begin(), captures_.end(), name) == captures_.end())
      fail(pattern, fmt::format("where names {{{}}}, which the topic does not capture", name));
  }
}

bool TopicPattern::match(std::string_view topic, Captured& out) const {
  out.clear();
  const bool names_system = topic.starts_with('$');
  const Level& first = levels_.front();
  if (names_system && (first.kind != Level::Kind::text || !first.before.starts_with('$')))
    return false;

  bool more = true;
  for (const Level& level : levels_) {
    // `a/#` takes `a` itself too, so this comes before the question whether there is more.
    if (level.kind == Level::Kind::rest) return true;
    if (!more) return false;
    const std::string_view text = next_level(topic, more);
    switch (level.kind) {
      case Level::Kind::text:
        if (text != level.before) return false;
        break;
      case Level::Kind::capture: {
        const std::size_t around = level.before.size() + level.after.size();
        if (text.size() <= around || !text.starts_with(level.before) ||
            !text.ends_with(level.after))
          return false;
        const std::string_view value = text.substr(level.before.size(), text.size() - around);
        if (level.where && !matches_whole(value, *level.where)) return false;
        out.push_back(value);
        break;
      }
      case Level::Kind::any:
      case Level::Kind::rest:
        break;
    }
  }
  return !more;
}

}  // namespace millwright::ingest
