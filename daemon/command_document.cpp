#include "daemon/command_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "config/read.h"
#include "daemon/json.h"
#include "daemon/printable.h"

namespace millwright::daemon {
namespace {

constexpr int most_levels = 4;
constexpr std::size_t longest_name = 1024, longest_comment = 4096;  // bytes
constexpr std::int64_t most_minutes = 90 * 24 * 60;

struct Key {
  std::string_view name, description;
  std::size_t longest;  // bytes; 0: a number
};
constexpr std::array<Key, 8> keys{{
    {"by", "who says it", longest_name},
    {"comment", "why, in words for people", longest_comment},
    {"alert", "id of the alert or case; of those that concern one", longest_name},
    {"machine", "name of the machine; of maintenance a glob: * any run, ? one character, [abc]",
     longest_name},
    {"sensor", "of serviced and rebaseline: only this sensor", longest_name},
    {"from", "of maintenance: its begin, RFC 3339; now unless told", longest_name},
    {"to", "of shelve and maintenance: the end, RFC 3339", longest_name},
    {"minutes", "instead of `to`: how long", 0},
}};

std::optional<CommandKind> kind_of(std::string_view name) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(CommandKind::count_); ++i) {
    const auto kind = static_cast<CommandKind>(i);
    if (name_of(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string unknown_command(std::string_view name) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < static_cast<std::size_t>(CommandKind::count_); ++i)
    names.push_back(name_of(static_cast<CommandKind>(i)));
  return fmt::format("there is no command `{}`; there are {}", printable(name, 64),
                     fmt::join(names, ", "));
}

std::string unknown_key(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& key : keys) names.push_back(key.name);
  const auto meant = config::nearest(name, names);
  return fmt::format("`{}` is not a key of a command{}", printable(name, 64),
                     meant.empty() ? std::string{} : fmt::format("; did you mean `{}`?", meant));
}

// The parser's own recursion is bounded before it is asked: a level costs stack.
bool too_deep(std::string_view json) {
  int depth = 0;
  bool text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (text) {
      if (c == '\\') ++i;
      if (c == '"') text = false;
    } else if (c == '"') {
      text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most_levels) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Discarded when it is no JSON; of a key that stands twice, says so.
OrderedJson parsed(std::string_view text, std::string& problem) {
  std::set<std::string> seen;
  const auto watch = [&](int depth, OrderedJson::parse_event_t event, OrderedJson& value) {
    if (event == OrderedJson::parse_event_t::key && depth == 1 &&
        !seen.insert(value.get<std::string>()).second)
      problem = fmt::format("`{}` stands there twice", printable(value.get<std::string>(), 64));
    return true;
  };
  return OrderedJson::parse(text, watch, false);
}

std::string read_text(const OrderedJson& value, const Key& key, std::string& into) {
  if (!value.is_string()) return fmt::format("`{}` must be a text", key.name);
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > key.longest)
    return fmt::format("`{}` is longer than {} bytes", key.name, key.longest);
  if (text.find('\0') != text.npos) return fmt::format("`{}` has a NUL in it", key.name);
  into = text;
  return "";
}

std::string read_time(const OrderedJson& value, const Key& key, std::optional<Timestamp>& into) {
  std::string text;
  if (auto problem = read_text(value, key, text); !problem.empty()) return problem;
  into = parse_time(text, TimeFormat::iso8601);
  if (into) return "";
  return fmt::format("`{}` must be a time like 2025-03-10T06:00:00Z", key.name);
}

std::string read_minutes(const OrderedJson& value, std::optional<std::int64_t>& into) {
  const bool fits =
      value.is_number_integer() && value >= OrderedJson(1) && value <= OrderedJson(most_minutes);
  if (!fits) return fmt::format("`minutes` must be a whole number from 1 to {}", most_minutes);
  into = value.get<std::int64_t>();
  return "";
}

std::string read_key(const OrderedJson& value, const Key& key, ReadCommand& out) {
  auto& command = out.command;
  if (key.name == "by") return read_text(value, key, command.by);
  if (key.name == "comment") return read_text(value, key, command.comment);
  if (key.name == "alert") return read_text(value, key, command.alert);
  if (key.name == "machine") return read_text(value, key, command.machine);
  if (key.name == "sensor") return read_text(value, key, command.sensor);
  if (key.name == "from") return read_time(value, key, command.from);
  if (key.name == "to") return read_time(value, key, command.to);
  return read_minutes(value, out.minutes);
}

// All keys are read, so that a refusal says who asked; the first problem is told.
void read_keys(const OrderedJson& json, ReadCommand& out) {
  const auto tell = [&](std::string problem) {
    if (out.problem.empty()) out.problem = std::move(problem);
  };
  for (auto it = json.begin(); it != json.end(); ++it) {
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == it.key(); });
    tell(key == keys.end() ? unknown_key(it.key()) : read_key(it.value(), *key, out));
  }
  const auto& command = out.command;
  if (command.by.empty()) tell("who asks? `by` is missing");
  if (out.minutes && command.to) tell("`to` and `minutes` say the same thing: give one of them");
  const bool renews =
      command.kind == CommandKind::serviced || command.kind == CommandKind::rebaseline;
  if (out.known && renews && command.machine.empty()) tell("which machine? `machine` is missing");
}

OrderedJson time_or_null(const std::optional<Timestamp>& time) {
  return time ? OrderedJson(format_time(*time)) : OrderedJson(nullptr);
}

}  // namespace

ReadCommand read_command(std::string_view name, std::string_view json) {
  ReadCommand out;
  if (const auto kind = kind_of(name)) {
    out.known = true;
    out.command.kind = *kind;
  } else {
    out.problem = unknown_command(name);
  }
  const auto refuse = [&](std::string problem) {
    if (out.problem.empty()) out.problem = std::move(problem);
    return out;
  };
  if (json.size() > most_command_bytes)
    return refuse(fmt::format("the command is larger than {} bytes", most_command_bytes));
  if (too_deep(json)) return refuse("the command must be one JSON object, without others in it");
  if (json.empty()) return refuse("the command is empty: it must be a JSON object");
  std::string twice;
  const auto read = parsed(json, twice);
  if (read.is_discarded()) return refuse("the command is not JSON");
  if (!read.is_object()) return refuse("the command must be a JSON object");
  if (!twice.empty()) return refuse(twice);
  read_keys(read, out);
  return out;
}

std::string command_schema() {
  auto properties = OrderedJson::object();
  for (const auto& key : keys) {
    OrderedJson one{{"description", key.description}};
    if (key.longest == 0) {
      one.update({{"type", "integer"}, {"minimum", 1}, {"maximum", most_minutes}});
    } else {
      one.update({{"type", "string"}, {"maxLength", key.longest}});
    }
    if (key.name == "from" || key.name == "to") one["format"] = "date-time";
    if (key.name == "by") one["minLength"] = 1;
    properties[std::string{key.name}] = std::move(one);
  }
  const OrderedJson whole{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                          {"title", "Millwright command"},
                          {"description", "Payload of a message to <root>/cmd/<command>"},
                          {"type", "object"},
                          {"properties", std::move(properties)},
                          {"required", {"by"}},
                          {"not", {{"required", {"to", "minutes"}}}},
                          {"additionalProperties", false}};
  return dumped(whole, 2);
}

std::string answer_document(const storage::Operation& operation) {
  const auto& o = operation;
  OrderedJson json{{"schema", 1},
                   {"command", o.command},
                   {"ok", o.ok},
                   {"text", o.text},
                   {"by", o.by},
                   {"alert", o.alert.empty() ? OrderedJson(nullptr) : OrderedJson(o.alert)},
                   {"machine", o.machine.empty() ? OrderedJson(nullptr) : OrderedJson(o.machine)},
                   {"sensor", o.sensor.empty() ? OrderedJson(nullptr) : OrderedJson(o.sensor)},
                   {"from", time_or_null(o.from)},
                   {"to", time_or_null(o.to)},
                   {"time", format_time(o.time)}};
  return dumped(json);
}

std::string answer_schema() {
  const auto maybe = [](std::string_view description) {
    return schema::or_null(schema::text(description));
  };
  const OrderedJson whole{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "Millwright answer"},
      {"description", "What came of a command"},
      {"type", "object"},
      {"properties",
       {{"schema", {{"const", 1}}},
        {"command", schema::text("as it was given")},
        {"ok", {{"type", "boolean"}, {"description", "done; else refused"}}},
        {"text", schema::text("one sentence: what was done, or why not")},
        {"by", schema::text("who asked; empty when the command did not say")},
        {"alert", maybe("id")},
        {"machine", maybe("name, or glob")},
        {"sensor", maybe("name")},
        {"from", maybe("RFC 3339")},
        {"to", maybe("RFC 3339; worked out of `minutes`")},
        {"time", schema::text("when it was applied, RFC 3339, by the clock the alerts go by")}}},
      {"required",
       {"schema", "command", "ok", "text", "by", "alert", "machine", "sensor", "from", "to",
        "time"}},
      {"additionalProperties", false}};
  return dumped(whole, 2);
}

}  // namespace millwright::daemon
