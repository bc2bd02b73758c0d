#include "config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <regex>

namespace millwright::config {
namespace {

constexpr std::size_t longest_topic = 65535;  // MQTT's limit

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Runs from 1 to 65535, without sign or blanks.
bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

template <class Visit>
void for_each_level(std::string_view topic, const Visit& visit) {
  while (true) {
    const auto slash = topic.find('/');
    const bool last = slash == std::string_view::npos;
    visit(topic.substr(0, slash), last);
    if (last) return;
    topic.remove_prefix(slash + 1);
  }
}

std::string check_level(std::string_view level, bool last) {
  if (level == "+") return {};
  if (level == "#") return last ? "" : "'#' may only be the last level";
  if (level.find_first_of("+#") != std::string_view::npos) {
    return fmt::format(
        "the level \"{}\" mixes a wildcard with text; '+' and '#' stand alone, use {{name}} "
        "instead",
        level);
  }
  const auto captures = captures_of(level);
  if (!captures.problem.empty()) return captures.problem;
  if (captures.names.size() > 1)
    return fmt::format("the level \"{}\" has two captures; one per level", level);
  return {};
}

}  // namespace

Captures captures_of(std::string_view text) {
  Captures captures;
  std::size_t begin = 0;
  while ((begin = text.find_first_of("{}", begin)) != std::string_view::npos) {
    if (text[begin] == '}') {
      captures.problem = "'}' without '{'; a capture is written {name}";
      return captures;
    }
    const auto end = text.find_first_of("{}", begin + 1);
    if (end == std::string_view::npos || text[end] == '{') {
      captures.problem = "'{' without '}'; a capture is written {name}";
      return captures;
    }
    const auto name = text.substr(begin + 1, end - begin - 1);
    const bool begins_well = !name.empty() && (name.front() < '0' || name.front() > '9');
    if (!begins_well || !std::all_of(name.begin(), name.end(), is_name_character)) {
      captures.problem = fmt::format(
          "{{{}}} is no capture; its name is letters, digits and '_', as in {{robot}}", name);
      return captures;
    }
    captures.names.emplace_back(name);
    begin = end + 1;
  }
  return captures;
}

Captures captures_of_name(std::string_view text) {
  Captures captures;
  // `{/pointer}` first, as a pointer's own captures lie within its braces.
  std::string rest;
  while (!text.empty()) {
    if (!text.starts_with("{/")) {
      rest += text.front();
      text.remove_prefix(1);
      continue;
    }
    std::size_t depth = 0, end = 0;
    for (; end < text.size(); ++end) {
      if (text[end] == '{') ++depth;
      if (text[end] == '}' && --depth == 0) break;
    }
    if (end == text.size()) {
      captures.problem = "'{' without '}'; a JSON Pointer within a name is written {/path/to/it}";
      return captures;
    }
    const std::string pointer{text.substr(1, end - 1)};
    captures.problem = check_value_pointer(pointer);
    if (!captures.problem.empty()) return captures;
    for (auto& name : captures_of(pointer).names) captures.in_pointers.push_back(std::move(name));
    text.remove_prefix(end + 1);
  }
  auto plain = captures_of(rest);
  captures.names = std::move(plain.names);
  captures.problem = std::move(plain.problem);
  return captures;
}

std::string shape_of_topic(const std::string& topic) {
  std::string shape;
  for_each_level(topic, [&](std::string_view level, bool last) {
    const auto open = level.find('{');
    const auto close = level.find('}');
    if (open == std::string_view::npos || close == std::string_view::npos) {
      shape += level;
    } else if (open == 0 && close + 1 == level.size()) {
      shape += '+';
    } else {
      shape.append(level.substr(0, open)).append("{}").append(level.substr(close + 1));
    }
    if (!last) shape += '/';
  });
  return shape;
}

std::string check_site(const std::string& text) {
  if (text.empty()) return "must not be empty; expected a name such as berlin";
  if (has_control(text) || text.find_first_of("/+#") != std::string::npos) {
    return "is part of MQTT topics and may not contain '/', '+', '#' or control characters";
  }
  return {};
}

std::string check_topic_root(const std::string& text) {
  if (text.size() > 1000) return "longer than 1000 bytes";
  if (has_control(text) || text.find_first_of("+#") != std::string::npos) {
    return "is published to and may not contain '+', '#' or control characters";
  }
  if (text.starts_with('/') || text.ends_with('/') || text.starts_with('$')) {
    return "may not begin with '/' or '$' nor end with '/'; expected a topic such as "
           "millwright/berlin";
  }
  return {};
}

std::string check_discovery_prefix(const std::string& text) {
  return text.empty() ? "may not be empty; Home Assistant's own is homeassistant"
                      : check_topic_root(text);
}

std::string check_url(const std::string& text) {
  static constexpr std::string_view form =
      "expected a URL such as tcp://host:1883 or ssl://host:8883";
  if (text.find('@') != std::string::npos) {  // before any message that repeats the URL
    return "user and password do not belong into the URL; use the keys username and "
           "password_credential";
  }
  const auto colon = text.find("://");
  if (colon == std::string::npos) return fmt::format("\"{}\" has no scheme; {}", text, form);
  const std::string scheme = text.substr(0, colon);
  static constexpr std::string_view schemes[] = {"tcp", "mqtt", "ssl", "mqtts", "ws", "wss"};
  if (std::find(std::begin(schemes), std::end(schemes), scheme) == std::end(schemes)) {
    return fmt::format("the scheme \"{}\" is not known; expected tcp, mqtt, ssl, mqtts, ws or wss",
                       scheme);
  }
  std::string_view rest = std::string_view{text}.substr(colon + 3);
  const auto path = rest.find('/');
  if (path != std::string_view::npos) {
    if (!scheme.starts_with("ws"))
      return fmt::format("only ws:// and wss:// take a path; {}", form);
    rest = rest.substr(0, path);
  }
  if (has_control(rest) || rest.find_first_of(" ?#") != std::string_view::npos) {
    return fmt::format("the host has a character that does not belong there; {}", form);
  }
  std::string_view host = rest, port;
  bool has_port = false;
  if (rest.starts_with('[')) {  // IPv6
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return fmt::format("'[' without ']'; {}", form);
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
    has_port = !port.empty();
    if (has_port && port.front() != ':')
      return fmt::format("expected ':' and the port after ']'; {}", form);
    if (has_port) port.remove_prefix(1);
  } else if (const auto at = rest.find(':'); at != std::string_view::npos) {
    host = rest.substr(0, at);
    port = rest.substr(at + 1);
    has_port = true;
  }
  if (host.empty()) return fmt::format("\"{}\" names no host; {}", text, form);
  if (has_port && !is_port(port))
    return fmt::format("the port \"{}\" is not a number from 1 to 65535", port);
  return {};
}

std::string check_client_id(const std::string& text) {
  if (text.size() > 256) return "longer than 256 bytes";
  if (has_control(text)) return "may not contain control characters";
  return {};
}

std::string check_credential(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return is_name_character(c) || c == '.' || c == '-';
  });
  if (text.empty() || text == "." || text == ".." || text.size() > 255 || !plain) {
    return "is no credential's name (letters, digits, '.', '-', '_'); for the path of a file use "
           "password_file";
  }
  return {};
}

std::string check_topic(const std::string& text) {
  if (text.empty()) return "must not be empty; expected a topic such as plant/{machine}/{sensor}";
  if (text.size() > longest_topic)
    return fmt::format("longer than {} bytes, MQTT's limit", longest_topic);
  if (has_control(text)) return "may not contain control characters";
  if (text.starts_with("$share/")) {
    return "a shared subscription would tear the readings of one sensor apart; subscribe the topic "
           "itself";
  }
  std::string problem;
  for_each_level(text, [&](std::string_view level, bool last) {
    if (problem.empty()) problem = check_level(level, last);
  });
  return problem;
}

std::string check_value_pointer(const std::string& text) {
  if (text.empty()) return {};  // the whole document, or unset
  if (text.front() != '/')
    return fmt::format("expected a JSON Pointer, which begins with '/': \"/{}\"", text);
  if (text.size() > 1000) return "longer than 1000 bytes";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '~' && (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1'))) {
      return "in a JSON Pointer '~' is written ~0 (and a '/' within a key ~1)";
    }
  }
  std::string problem;
  for_each_level(std::string_view{text}.substr(1), [&](std::string_view step, bool) {
    const auto captures = captures_of(step);
    if (!problem.empty()) return;
    problem = captures.problem;
    if (captures.names.size() > 1)
      problem = fmt::format("\"{}\" has two captures; one between two slashes", step);
  });
  return problem;
}

std::string check_name_template(const std::string& text) {
  if (text.empty()) return "must not be empty; expected a name, with {captures} where it varies";
  if (text.size() > 1000) return "longer than 1000 bytes";
  if (has_control(text)) return "may not contain control characters";
  return captures_of_name(text).problem;
}

std::string check_match(const std::string& text) {
  if (text.empty())
    return "must not be empty; expected a pattern over machine/sensor such as */*_temp";
  if (text.find_first_of("/*?[") == std::string::npos) {
    return fmt::format(
        "can never match: sensors are written machine/sensor; try \"{}/*\" or \"*/{}\"", text,
        text);
  }
  return {};
}

std::string check_machine_name(const std::string& text) {
  if (text == "_plant")
    return "\"_plant\" is reserved: it stands for the plant as a whole; give the machine another "
           "name";
  return check_name_template(text);
}

std::string check_sensor_name(const std::string& text) {
  if (text == "_machine")
    return "\"_machine\" is reserved: it stands for the machine as a whole; give the sensor "
           "another "
           "name";
  return check_name_template(text);
}

std::string check_state_directory(const std::string& text) {
  if (text.empty() || text.front() == '/') return {};
  return fmt::format(
      "\"{}\" depends on where the program is started; expected a whole path such as "
      "/var/lib/millwright",
      text);
}

std::string check_machine_match(const std::string& text) {
  if (text.empty()) return "must not be empty; expected a pattern over machines such as R*";
  return {};
}

std::string check_sensor(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return fmt::format("expected machine/sensor such as R017/j3_temp, found \"{}\"", text);
  }
  return {};
}

std::string check_regime_sensor(const std::string& text) {
  if (text == "_machine")
    return "\"_machine\" stands for the machine as a whole and has no values; expected the name of "
           "one of its sensors, such as program";
  if (text.find_first_of("*?") != std::string::npos) {
    return fmt::format(
        "\"{}\" is a pattern; one sensor names the regime: expected its name, such as program",
        text);
  }
  return {};
}

std::string check_single_pointer(const std::string& text) {
  if (text.empty()) return "must not be empty; expected a JSON Pointer such as /program";
  if (auto problem = check_value_pointer(text); !problem.empty()) return problem;
  std::string problem;
  for_each_level(std::string_view{text}.substr(1), [&](std::string_view step, bool) {
    if (step == "*" || !captures_of(step).names.empty())
      problem = "points to one value of the message, so without * and {captures}";
  });
  return problem;
}

std::string check_expression(const std::string& text) {
  // libstdc++ compiles by recursion: a limit on the length is one on its stack.
  if (text.size() > 500) return "longer than 500 bytes";
  try {
    const std::regex compiled{text, std::regex::ECMAScript};
    return {};
  } catch (const std::regex_error&) {
    return fmt::format("\"{}\" is not a regular expression (ECMAScript)", text);
  }
}

std::string check_band_name(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 40 &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return is_name_character(c) || c == '-'; });
  return good ? "" : "expected a name of letters, digits, _ and -, as in gear_mesh";
}

}  // namespace millwright::config
