#include "config/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "detectors/all.h"

namespace millwright::config {
namespace {

using Type = Field::Type;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string listed(std::span<const std::string_view> names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// `unknown key "adress"; did you mean "address"?`
std::string unknown(std::string_view what, std::string_view name,
                    std::span<const std::string_view> known) {
  const auto near = nearest(name, known);
  if (!near.empty())
    return fmt::format("unknown {} \"{}\"; did you mean \"{}\"?", what, name, near);
  return fmt::format("unknown {} \"{}\"; known here: {}", what, name, listed(known));
}

class Reader {
 public:
  explicit Reader(Report& report) : report_(report) {}

  void members(const Node& node, const std::string& pointer, std::vector<Field>& fields) {
    if (node.type != Node::Type::object) {
      report_.error(node.place, pointer, "expected an object, found " + describe_value(node));
      return;
    }
    std::vector<std::string_view> names;
    for (const Field& field : fields) names.push_back(field.name);
    for (const Node& child : node.children) {
      const auto field = std::find_if(fields.begin(), fields.end(),
                                      [&](const Field& f) { return f.name == child.key; });
      const auto child_pointer = pointer_to(pointer, child);
      if (field == fields.end()) {
        report_.error(child.key_place, child_pointer, unknown("key", child.key, names));
      } else {
        value(child, child_pointer, *field);
      }
    }
    for (const Field& field : fields) {
      if (field.required && node.find(field.name) == nullptr) {
        report_.error(
            node.place, pointer,
            fmt::format("the key \"{}\" is missing; expected {}", field.name, expectation(field)));
      }
    }
  }

 private:
  void wrong(const Node& node, const std::string& pointer, const Field& field) {
    report_.error(node.place, pointer,
                  field.secret ? "expected " + expectation(field)
                               : fmt::format("expected {}, found {}", expectation(field),
                                             describe_value(node)));
  }

  void value(const Node& node, const std::string& pointer, Field& field) {
    switch (field.type) {
      case Type::text:
        return text(node, pointer, field);
      case Type::number:
      case Type::whole:
        return number(node, pointer, field);
      case Type::boolean:
        if (!node.value.is_boolean()) return wrong(node, pointer, field);
        return field.set(node.value);
      case Type::choice:
        return choice(node, pointer, field);
      case Type::texts:
        return texts(node, pointer, field);
      case Type::words:
        return words(node, pointer, field);
      case Type::numbers:
        return numbers(node, pointer, field);
      case Type::names:
        return names(node, pointer, field);
      case Type::detectors:
        return detectors(node, pointer, field);
      case Type::object:
        if (node.type != Node::Type::object) return wrong(node, pointer, field);
        if (field.set) field.set(node.value);
        return members(node, pointer, field.fields);
      case Type::list:
        if (node.type != Node::Type::list) return wrong(node, pointer, field);
        if (field.set) field.set(node.value);
        for (const Node& item : node.children) {
          auto fields = field.add();
          members(item, pointer_to(pointer, item), fields);
        }
        return;
    }
  }

  void text(const Node& node, const std::string& pointer, Field& field) {
    if (!node.is_text()) return wrong(node, pointer, field);
    if (field.check != nullptr) {
      if (auto problem = field.check(node.value.get_ref<const std::string&>()); !problem.empty()) {
        report_.error(node.place, pointer, std::move(problem));
        return;
      }
    }
    field.set(node.value);
  }

  void number(const Node& node, const std::string& pointer, Field& field) {
    if (!node.value.is_number()) return wrong(node, pointer, field);
    const auto number = node.value.get<double>();
    const bool fits = number >= field.range.low && number <= field.range.high &&
                      (field.type != Type::whole || number == std::trunc(number));
    if (!fits) return wrong(node, pointer, field);
    field.set(node.value);
  }

  void choice(const Node& node, const std::string& pointer, Field& field) {
    if (!node.is_text()) return wrong(node, pointer, field);
    const auto& chosen = node.value.get_ref<const std::string&>();
    if (std::find(field.choices.begin(), field.choices.end(), chosen) == field.choices.end()) {
      return wrong(node, pointer, field);
    }
    field.set(node.value);
  }

  void texts(const Node& node, const std::string& pointer, Field& field) {
    if (node.type != Node::Type::object) return wrong(node, pointer, field);
    auto values = nlohmann::json::object();
    for (const Node& child : node.children) {
      const auto child_pointer = pointer_to(pointer, child);
      if (!child.is_text()) {
        report_.error(child.place, child_pointer,
                      "expected a text, found " + describe_value(child));
      } else if (auto problem = field.check(child.value.get_ref<const std::string&>());
                 !problem.empty()) {
        report_.error(child.place, child_pointer, std::move(problem));
      } else {
        values[child.key] = child.value;
      }
    }
    field.set(values);
  }

  void words(const Node& node, const std::string& pointer, Field& field) {
    if (node.type != Node::Type::object) return wrong(node, pointer, field);
    auto values = nlohmann::json::object();
    for (const Node& child : node.children) {
      const double value = child.value.is_number() ? child.value.get<double>() : 0;
      if (!child.value.is_number() || value < field.range.low || value > field.range.high) {
        report_.error(child.place, pointer_to(pointer, child),
                      "expected a number, found " + describe_value(child));
      } else {
        values[child.key] = child.value;
      }
    }
    field.set(values);
  }

  void numbers(const Node& node, const std::string& pointer, Field& field) {
    if (node.type != Node::Type::list) return wrong(node, pointer, field);
    auto values = nlohmann::json::array();
    for (const Node& item : node.children) {
      const bool number = item.value.is_number();
      const double value = number ? item.value.get<double>() : 0;
      if (!number || value < field.range.low || value > field.range.high) {
        report_.error(item.place, pointer_to(pointer, item),
                      "expected a number, found " + describe_value(item));
      } else if (!values.empty() && value <= values.back().get<double>()) {
        report_.error(item.place, pointer_to(pointer, item),
                      fmt::format("must be above {}, the number before it",
                                  number_text(values.back().get<double>())));
      } else {
        values.push_back(item.value);
      }
    }
    field.set(values);
  }

  void names(const Node& node, const std::string& pointer, Field& field) {
    if (node.type != Node::Type::list || node.children.empty()) return wrong(node, pointer, field);
    auto values = nlohmann::json::array();
    for (const Node& item : node.children) {
      const auto item_pointer = pointer_to(pointer, item);
      if (!item.is_text()) {
        report_.error(item.place, item_pointer, "expected a text, found " + describe_value(item));
        continue;
      }
      const auto& name = item.value.get_ref<const std::string&>();
      const auto& known = field.choices;
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        report_.error(item.place, item_pointer, unknown("name", name, known));
      } else {
        values.push_back(name);
      }
    }
    field.set(values);
  }

  void detectors(const Node& node, const std::string& pointer, Field& field) {
    auto& chosen = *field.choice;
    chosen.clear();
    if (node.is_text()) {
      const auto& name = node.value.get_ref<const std::string&>();
      if (auto set = engine::detector_set(name)) {
        chosen = std::move(*set);
      } else if (name != "none") {
        wrong(node, pointer, field);
      }
    } else if (node.type == Node::Type::object) {
      named_detectors(node, pointer, chosen);
    } else if (node.type == Node::Type::list) {
      std::vector<engine::DetectorChoice> from_sets;
      for (const Node& item : node.children) {
        auto set = item.is_text() ? engine::detector_set(item.value.get_ref<const std::string&>())
                                  : std::nullopt;
        if (set) {
          add_missing(std::move(*set), from_sets);
        } else {
          listed_detector(item, pointer_to(pointer, item), chosen);
        }
      }
      add_missing(std::move(from_sets), chosen);
    } else {
      wrong(node, pointer, field);
    }
  }

  static void add_missing(std::vector<engine::DetectorChoice>&& more,
                          std::vector<engine::DetectorChoice>& chosen) {
    for (auto& choice : more) {
      if (!has(chosen, choice.name)) chosen.push_back(std::move(choice));
    }
  }

  static bool has(const std::vector<engine::DetectorChoice>& chosen, std::string_view name) {
    return std::any_of(chosen.begin(), chosen.end(),
                       [&](const engine::DetectorChoice& choice) { return choice.name == name; });
  }

  void listed_detector(const Node& item, const std::string& pointer,
                       std::vector<engine::DetectorChoice>& chosen) {
    if (item.is_text()) {
      add_detector(item.value.get_ref<const std::string&>(), item.place, pointer, chosen);
    } else if (item.type == Node::Type::object) {
      named_detectors(item, pointer, chosen);
    } else {
      report_.error(item.place, pointer,
                    "expected a detector's name or { name: { parameter: value } }, found " +
                        describe_value(item));
    }
  }

  void named_detectors(const Node& node, const std::string& pointer,
                       std::vector<engine::DetectorChoice>& chosen) {
    for (const Node& child : node.children) {
      const auto child_pointer = pointer_to(pointer, child);
      if (const auto* type = add_detector(child.key, child.key_place, child_pointer, chosen)) {
        auto fields = describe(type->parameters(), chosen.back().parameters);
        members(child, child_pointer, fields);
      }
    }
  }

  // Adds the detector `name` to the end; nothing and a problem when there is none such, or it
  // stands there already.
  const detectors::DetectorType* add_detector(const std::string& name, const Place& place,
                                              const std::string& pointer,
                                              std::vector<engine::DetectorChoice>& chosen) {
    const auto types = detectors::types();
    const auto index = detectors::find_type(name);
    if (index == types.size()) {
      std::vector<std::string_view> names;
      for (const auto& type : types) names.push_back(type.name);
      report_.error(place, pointer, unknown("detector", name, names));
      return nullptr;
    }
    if (has(chosen, name)) {
      report_.error(place, pointer,
                    fmt::format("the detector \"{}\" stands twice; keep one", name));
      return nullptr;
    }
    chosen.push_back({name, {}});
    return &types[index];
  }

  Report& report_;
};

}  // namespace

void read(const Node& node, const std::string& pointer, std::vector<Field>& fields,
          Report& report) {
  Reader{report}.members(node, pointer, fields);
}

std::string describe_value(const Node& node) {
  if (node.type == Node::Type::object) return "an object";
  if (node.type == Node::Type::list) return "a list";
  auto text = node.value.dump();
  if (text.size() > 60) {
    // Cut between characters, not within one.
    std::size_t end = 57;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end) + "...";
  }
  if (node.value.is_string()) return "the text " + text;
  if (node.value.is_number()) return "the number " + text;
  return text;
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> candidates) {
  constexpr std::size_t longest = 64;  // nobody mistypes a key into this
  if (text.empty() || text.size() > longest) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 2) + 1;
  for (const auto candidate : candidates) {
    if (const auto distance = edit_distance(text, candidate); distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

void merge(Node& into, Node&& later, const std::vector<Field>& fields) {
  for (Node& member : later.children) {
    const auto here = std::find_if(into.children.begin(), into.children.end(),
                                   [&](const Node& child) { return child.key == member.key; });
    if (here == into.children.end()) {
      into.children.push_back(std::move(member));
      continue;
    }
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& f) { return f.name == member.key; });
    const auto how = field == fields.end() ? Field::Merge::replace : field->merge;
    if (here->type == Node::Type::object && member.type == Node::Type::object) {
      static const std::vector<Field> none;
      merge(*here, std::move(member), field == fields.end() ? none : field->fields);
    } else if (here->type == Node::Type::list && member.type == Node::Type::list &&
               how != Field::Merge::replace) {
      const auto at = how == Field::Merge::append ? here->children.end() : here->children.begin();
      here->children.insert(at, std::make_move_iterator(member.children.begin()),
                            std::make_move_iterator(member.children.end()));
    } else {
      *here = std::move(member);
    }
  }
}

}  // namespace millwright::config
