#include "ingest/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace millwright::ingest {
namespace {

class Compiler {
 public:
  explicit Compiler(const Input& input) : input_(input) {
    tree_.value = input.value;
    tree_.levels = levels_before(input.value.size());
    tree_.nodes.emplace_back();
  }

  JsonTree compile() {
    insert(
        input_.settings.value, input_.value, [](JsonNode& node) { node.is_value = true; }, true);
    if (!input_.settings.time.empty()) tree_.time = companion("time", input_.settings.time);
    tree_.machine = name("machine", input_.machine);
    tree_.sensor = name("sensor", input_.sensor);
    for (const auto& [sensor, pointer] : input_.settings.also) beside(sensor, pointer);
    return std::move(tree_);
  }

 private:
  std::size_t levels_before(std::size_t step) const {
    return static_cast<std::size_t>(std::count_if(
        input_.value.begin(), input_.value.begin() + static_cast<std::ptrdiff_t>(step),
        [](const Step& s) { return s.kind == Step::Kind::each; }));
  }

  std::size_t shared_steps(const Pointer& pointer) const {
    const std::size_t most = std::min(pointer.size(), input_.value.size());
    std::size_t shared = 0;
    while (shared < most && pointer[shared].same_as(input_.value[shared])) ++shared;
    return shared;
  }

  static std::string step_text(const Step& step) {
    return step.capture.empty() ? "*" : step.before + "{" + step.capture + "}" + step.after;
  }

  // Whose key a capture outside of the value's path must equal.
  std::size_t joined_level(const std::string& text, const Step& step) const {
    for (std::size_t i = 0; i < input_.value.size(); ++i) {
      const Step& of_value = input_.value[i];
      if (of_value.kind == Step::Kind::each && !step.capture.empty() &&
          of_value.capture == step.capture)
        return levels_before(i) + 1;
    }
    throw std::invalid_argument{
        fmt::format("\"{}\": {} stands where `value` has something else, so it is not clear which "
                    "element belongs to which value",
                    text, step_text(step))};
  }

  // The index of the pointer among the companions; each is there once. `key` is to blame for what
  // is wrong with it.
  std::size_t companion(std::string_view key, const std::string& text) {
    for (std::size_t i = 0; i < tree_.companions.size(); ++i) {
      if (tree_.companions[i].text == text) return i;
    }
    try {
      return add_companion(text);
    } catch (const std::invalid_argument& problem) {
      throw std::invalid_argument{describe_problem(input_, key, problem.what())};
    }
  }

  void beside(const std::string& sensor, const std::string& text) {
    const auto index = companion("also", text);
    const auto& pointer = tree_.companions[index].pointer;
    const bool many = std::any_of(pointer.begin(), pointer.end(),
                                  [](const Step& s) { return s.kind == Step::Kind::each; });
    if (many)
      throw std::invalid_argument{describe_problem(
          input_, "also",
          fmt::format("\"{}\" must point to one value, without * and {{captures}}", text))};
    if (tree_.machine.level > 0)
      throw std::invalid_argument{describe_problem(
          input_, "also", "needs a machine that is the same for the whole message")};
    tree_.beside.push_back({sensor, index});
  }

  std::size_t add_companion(const std::string& text) {
    Companion made;
    made.text = text;
    made.pointer = parse_pointer(text);
    const std::size_t shared = shared_steps(made.pointer);
    made.shared_level = made.level = levels_before(shared);
    for (std::size_t i = shared; i < made.pointer.size(); ++i) {
      if (made.pointer[i].kind != Step::Kind::each) continue;
      made.joined.push_back(joined_level(text, made.pointer[i]));
      made.level = std::max(made.level, made.joined.back());
    }
    const std::size_t index = tree_.companions.size();
    insert(
        text, made.pointer, [index](JsonNode& node) { node.companions.push_back(index); }, false);
    tree_.companions.push_back(std::move(made));
    return index;
  }

  template <class Mark>
  void insert(const std::string& text, const Pointer& pointer, Mark mark, bool is_value) {
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < pointer.size(); ++i) {
      tree_.nodes[at].on_value_path |= is_value;
      at = pointer[i].kind == Step::Kind::key ? by_key(at, pointer[i], is_value)
                                              : each(at, pointer[i], text);
      tree_.nodes[at].depth = i + 1;
    }
    tree_.nodes[at].on_value_path |= is_value;
    mark(tree_.nodes[at]);
  }

  std::uint32_t by_key(std::uint32_t at, const Step& step, bool is_value) {
    for (const JsonNode::Literal& literal : tree_.nodes[at].keys) {
      if (literal.key == step.key) return literal.node;
    }
    const auto made = static_cast<std::uint32_t>(tree_.nodes.size());
    tree_.nodes.emplace_back();
    tree_.nodes[at].keys.push_back({step.key, step.position, made});
    if (is_value) tree_.nodes[at].value_key = made;
    return made;
  }

  std::uint32_t each(std::uint32_t at, const Step& step, const std::string& text) {
    if (const std::uint32_t there = tree_.nodes[at].each; there != no_node) {
      if (step.same_as(tree_.nodes[at].each_step)) return there;
      throw std::invalid_argument{fmt::format(
          "\"{}\": its step {} and another pointer's step would both take the same fields", text,
          step_text(step))};
    }
    const auto made = static_cast<std::uint32_t>(tree_.nodes.size());
    tree_.nodes.emplace_back();
    tree_.nodes[at].each = made;
    tree_.nodes[at].each_step = step;
    return made;
  }

  JsonName name(std::string_view key, const NameTemplate& written) {
    JsonName made;
    made.from_topic = written.from_topic_alone();
    for (const NamePart& part : written.parts) {
      NamePiece piece;
      piece.kind = part.kind;
      piece.text = part.text;
      if (part.kind == NamePart::Kind::topic) piece.index = part.capture;
      if (part.kind == NamePart::Kind::value) {
        piece.index = levels_before(part.capture) + 1;
        made.level = std::max(made.level, piece.index);
      }
      if (part.kind == NamePart::Kind::pointer) {
        piece.index = companion(key, part.text);
        made.level = std::max(made.level, tree_.companions[piece.index].level);
      }
      made.pieces.push_back(std::move(piece));
    }
    return made;
  }

  const Input& input_;
  JsonTree tree_;
};

}  // namespace

JsonTree compile_tree(const Input& input) { return Compiler{input}.compile(); }

}  // namespace millwright::ingest
