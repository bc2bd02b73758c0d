#include "ingest/input.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "ingest/capture.h"

namespace millwright::ingest {
namespace {

constexpr std::size_t none = static_cast<std::size_t>(-1);

std::size_t step_of(const Pointer& value, std::string_view capture) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i].kind == Step::Kind::each && value[i].capture == capture) return i;
  }
  return none;
}

std::size_t index_of(const TopicPattern& topic, std::string_view capture) {
  const auto& captures = topic.captures();
  const auto it = std::find(captures.begin(), captures.end(), capture);
  return it == captures.end() ? none : static_cast<std::size_t>(it - captures.begin());
}

// The brace that closes the one at the front; a pointer's own `{captures}` lie within.
std::size_t closing_brace(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

NameTemplate parse_name(std::string_view text, const TopicPattern& topic, const Pointer& value) {
  if (text.empty()) throw std::invalid_argument{"must not be empty"};
  NameTemplate name;
  while (!text.empty()) {
    if (text.front() == '}')
      throw std::invalid_argument{"'}' without '{'; a capture is written {name}"};
    if (text.front() != '{') {
      const std::size_t end = std::min(text.find_first_of("{}"), text.size());
      name.parts.push_back({NamePart::Kind::text, std::string{text.substr(0, end)}, 0});
      text.remove_prefix(end);
      continue;
    }
    const std::size_t close = closing_brace(text);
    if (close == std::string_view::npos)
      throw std::invalid_argument{"'{' without '}'; a capture is written {name}"};
    const std::string_view inner = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (inner.starts_with('/')) {
      name.parts.push_back({NamePart::Kind::pointer, std::string{inner}, 0});
    } else if (!is_capture_name(inner)) {
      throw std::invalid_argument{
          fmt::format("{{{}}} is neither a capture (letters, digits and '_') nor a JSON Pointer "
                      "(which begins with /)",
                      inner)};
    } else if (const std::size_t in_topic = index_of(topic, inner); in_topic != none) {
      name.parts.push_back({NamePart::Kind::topic, {}, in_topic});
    } else if (const std::size_t in_value = step_of(value, inner); in_value != none) {
      name.parts.push_back({NamePart::Kind::value, {}, in_value});
    } else {
      throw std::invalid_argument{
          fmt::format("neither `topic` nor `value` captures {{{}}}", inner)};
    }
  }
  return name;
}

// Runs one step of compiling; what it throws gets the input and the key in front.
template <class Work>
auto blame(std::size_t index, const InputSettings& settings, std::string_view key, Work work) {
  try {
    return work();
  } catch (const std::invalid_argument& problem) {
    throw std::invalid_argument{
        fmt::format("inputs/{} ({}): {}: {}", index, settings.topic, key, problem.what())};
  }
}

Input compile(std::size_t index, const InputSettings& settings) {
  // A capture is the pointer's or the topic's; `where` does not say which, so its entries are dealt
  // out here.
  Pointer value = blame(index, settings, "value",
                        [&] { return parse_pointer(settings.value, settings.where); });
  std::map<std::string, std::string> where_in_topic;
  for (const auto& [capture, expression] : settings.where) {
    if (step_of(value, capture) == none) where_in_topic.emplace(capture, expression);
  }
  TopicPattern topic = blame(index, settings, "topic", [&] {
    return TopicPattern{settings.topic, where_in_topic};
  });
  blame(index, settings, "value", [&] {
    for (const std::string& capture : topic.captures()) {
      if (step_of(value, capture) != none)
        throw std::invalid_argument{
            fmt::format("{{{}}} is captured by the topic already", capture)};
    }
    return true;
  });
  NameTemplate machine =
      blame(index, settings, "machine", [&] { return parse_name(settings.machine, topic, value); });
  NameTemplate sensor =
      blame(index, settings, "sensor", [&] { return parse_name(settings.sensor, topic, value); });
  return {
      index, settings, std::move(topic), std::move(value), std::move(machine), std::move(sensor)};
}

}  // namespace

bool NameTemplate::from_topic_alone() const {
  return std::all_of(parts.begin(), parts.end(), [](const NamePart& part) {
    return part.kind == NamePart::Kind::text || part.kind == NamePart::Kind::topic;
  });
}

std::string fill_in(const NameTemplate& name, const Captured& captured) {
  std::string out;
  for (const NamePart& part : name.parts) {
    if (part.kind == NamePart::Kind::topic)
      out += captured[part.capture];
    else
      out += part.text;
  }
  return out;
}

std::vector<Input> compile_inputs(const std::vector<InputSettings>& inputs) {
  std::vector<Input> compiled;
  compiled.reserve(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) compiled.push_back(compile(i, inputs[i]));
  return compiled;
}

const Input* find_input(const std::vector<Input>& inputs, std::string_view topic,
                        Captured& captured) {
  for (const Input& input : inputs) {
    if (input.topic.match(topic, captured)) return &input;
  }
  return nullptr;
}

std::string describe_problem(const Input& input, std::string_view key, std::string_view problem) {
  return fmt::format("inputs/{} ({}): {}: {}", input.index, input.settings.topic, key, problem);
}

}  // namespace millwright::ingest
