// Topic patterns: an MQTT filter whose levels may be `{captures}`.
#pragma once

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace millwright::ingest {

// The values of the captures, in the order of TopicPattern::captures(); borrowed from the topic.
using Captured = std::vector<std::string_view>;

class TopicPattern {
 public:
  // `acme/{line}/{robot}/telemetry`; a level is text, `{name}`, text with `{name}` inside
  // (`robot-{id}`), `+`, or `#` at the end. `where` holds a regular expression (ECMAScript, must
  // match whole) per capture. Throws std::invalid_argument with one sentence on a bad pattern, a
  // capture named twice, a `where` for no capture, or a bad expression.
  explicit TopicPattern(std::string_view pattern,
                        const std::map<std::string, std::string>& where = {});

  // The filter to subscribe: captures become `+`.
  const std::string& filter() const { return filter_; }
  const std::vector<std::string>& captures() const { return captures_; }
  // True and `out` filled when the topic matches. A topic beginning with $ is matched only by a
  // pattern that begins so.
  bool match(std::string_view topic, Captured& out) const;

 private:
  struct Level {
    enum class Kind { text, any, capture, rest } kind = Kind::text;
    std::string before, after;  // capture: text around it; text: `before` alone
    std::size_t capture = 0;
    std::optional<std::regex> where;
  };
  std::string filter_;
  std::vector<std::string> captures_;
  std::vector<Level> levels_;
};

// Of two filters to subscribe: does the first take every topic that the second one takes?
bool covers(std::string_view wide, std::string_view narrow);

}  // namespace millwright::ingest
