#include "config/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace millwright::config {
namespace {

struct SyntaxError {
  Place place;
  std::string message;
};

class Scanner {
 public:
  Scanner(std::string_view text, std::uint32_t file, Report& report)
      : text_(text), report_(report), here_{file, 1, 1} {
    if (text_.starts_with("\xEF\xBB\xBF")) offset_ = 3;
  }

  Node document() {
    skip();
    if (at_end()) fail("the file is empty; expected an object, at least {}");
    Node root = value("", 0);
    skip();
    if (!at_end()) fail("expected the end of the file, found " + found());
    return root;
  }

 private:
  [[noreturn]] void fail(std::string message) const {
    throw SyntaxError{here_, std::move(message)};
  }
  [[noreturn]] static void fail_at(const Place& place, std::string message) {
    throw SyntaxError{place, std::move(message)};
  }

  bool at_end() const { return offset_ == text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0';
  }
  bool at(char c) const { return !at_end() && text_[offset_] == c; }

  void advance() {
    const auto byte = static_cast<unsigned char>(text_[offset_++]);
    if (byte == '\n') {
      ++here_.line;
      here_.column = 1;
    } else if ((byte & 0xC0U) != 0x80U) {  // not a continuation byte of a UTF-8 character
      ++here_.column;
    }
  }

  // Whitespace and comments.
  void skip() {
    while (!at_end()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        advance();
      } else if (c == '/' && peek(1) == '/') {
        while (!at_end() && !at('\n')) advance();
      } else if (c == '/' && peek(1) == '*') {
        const Place opened = here_;
        advance();
        advance();
        while (!at_end() && !(at('*') && peek(1) == '/')) advance();
        if (at_end()) fail_at(opened, "this comment is not closed; expected */");
        advance();
        advance();
      } else {
        return;
      }
    }
  }

  // What stands here, for a message.
  std::string found() const {
    if (at_end()) return "the end of the file";
    const auto byte = static_cast<unsigned char>(peek());
    if (byte < 0x20 || byte > 0x7E) return fmt::format("the byte 0x{:02X}", byte);
    if (is_word(peek())) {
      auto end = offset_;
      while (end < text_.size() && end - offset_ < 24 && is_word(text_[end])) ++end;
      return std::string{text_.substr(offset_, end - offset_)};
    }
    return fmt::format("'{}'", peek());
  }

  static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '-' || c == '.' || c == '_';
  }

  std::string string() {
    const Place opened = here_;
    const auto begin = offset_;
    advance();
    while (!at('"')) {
      if (at_end() || at('\n'))
        fail_at(opened, "this text is not closed; expected \" on the same line");
      if (at('\\')) advance();
      if (at_end()) fail_at(opened, "this text is not closed; expected \" on the same line");
      advance();
    }
    advance();
    const auto parsed = nlohmann::json::parse(text_.substr(begin, offset_ - begin), nullptr, false);
    if (!parsed.is_string()) {
      fail_at(opened, "this text has a bad escape, a control character or is not UTF-8");
    }
    return parsed.get<std::string>();
  }

  nlohmann::json word() {
    const Place begin_place = here_;
    const auto what = found();
    const auto begin = offset_;
    while (!at_end() && is_word(peek())) advance();
    const auto token = text_.substr(begin, offset_ - begin);
    auto parsed = token.empty() ? nlohmann::json(nlohmann::json::value_t::discarded)
                                : nlohmann::json::parse(token, nullptr, false);
    if (parsed.is_discarded()) fail_at(begin_place, "expected a JSON value, found " + what);
    return parsed;
  }

  Node value(const std::string& pointer, int depth) {
    skip();
    if (++values_ > most_values) fail(fmt::format("more than {} values", most_values));
    Node node;
    node.place = here_;
    if (at('{') || at('[')) {
      if (depth == deepest_nesting)
        fail(fmt::format("nested deeper than {} levels", deepest_nesting));
      at('{') ? object(node, pointer, depth) : list(node, pointer, depth);
    } else if (at('"')) {
      node.value = string();
    } else {
      node.value = word();
    }
    return node;
  }

  // After a member or an item: true when the closing character came.
  bool closes(char close, const Place& opened) {
    skip();
    if (at(close)) {
      advance();
      return true;
    }
    if (!at(',')) {
      fail(fmt::format("expected ',' or '{}' (opened at {}:{}), found {}", close, opened.line,
                       opened.column, found()));
    }
    const Place comma = here_;
    advance();
    skip();
    if (at(close)) fail_at(comma, fmt::format("a ',' before '{}' is not JSON; remove it", close));
    return false;
  }

  void object(Node& node, const std::string& pointer, int depth) {
    node.type = Node::Type::object;
    std::unordered_map<std::string, Place> seen;
    advance();
    skip();
    if (at('}')) {
      advance();
      return;
    }
    do {
      if (!at('"')) fail("expected a key in double quotes, found " + found());
      const Place key_place = here_;
      std::string key = string();
      skip();
      if (!at(':')) fail(fmt::format("expected ':' after the key \"{}\", found {}", key, found()));
      advance();
      const auto child_pointer = pointer_to(pointer, key);
      Node child = value(child_pointer, depth + 1);
      child.key_place = key_place;
      const auto [it, is_new] = seen.emplace(key, key_place);
      child.key = std::move(key);
      if (is_new) {
        node.children.push_back(std::move(child));
      } else {
        report_.error(
            key_place, child_pointer,
            fmt::format("the key \"{}\" stands twice in this object, first at {}:{}; keep one",
                        child.key, it->second.line, it->second.column));
      }
    } while (!closes('}', node.place));
  }

  void list(Node& node, const std::string& pointer, int depth) {
    node.type = Node::Type::list;
    advance();
    skip();
    if (at(']')) {
      advance();
      return;
    }
    do {
      const auto index = node.children.size();
      Node child = value(pointer_to(pointer, std::to_string(index)), depth + 1);
      child.index = index;
      node.children.push_back(std::move(child));
    } while (!closes(']', node.place));
  }

  std::string_view text_;
  Report& report_;
  Place here_;
  std::size_t offset_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

const Node* Node::find(std::string_view name) const {
  if (type != Type::object) return nullptr;
  for (const Node& child : children) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

std::optional<std::string> Node::text(std::string_view name) const {
  const Node* member = find(name);
  if (member == nullptr || !member->is_text()) return std::nullopt;
  return member->value.get<std::string>();
}

std::string pointer_to(const std::string& parent, std::string_view name) {
  std::string pointer = parent + '/';
  for (const char c : name) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

std::string pointer_to(const std::string& parent, const Node& child) {
  return pointer_to(parent, child.key_place.line != 0 ? child.key : std::to_string(child.index));
}

Member member(const Node& parent, const std::string& pointer, std::string_view name) {
  return {parent.find(name), pointer_to(pointer, name)};
}

Member member(const Member& parent, std::string_view name) {
  return parent ? member(*parent.node, parent.pointer, name) : Member{};
}

std::uint32_t Report::add_file(std::string name) {
  files_.push_back(std::move(name));
  return static_cast<std::uint32_t>(files_.size() - 1);
}

void Report::error(const Place& place, std::string pointer, std::string message) {
  has_errors_ = true;
  add(Problem::Level::error, place, std::move(pointer), std::move(message));
}

void Report::warning(const Place& place, std::string pointer, std::string message) {
  add(Problem::Level::warning, place, std::move(pointer), std::move(message));
}

void Report::add(Problem::Level level, const Place& place, std::string pointer,
                 std::string message) {
  if (entries_.size() == most_problems) {
    ++left_out_;
    return;
  }
  entries_.push_back({place,
                      {level, files_[place.file], static_cast<int>(place.line),
                       static_cast<int>(place.column), std::move(pointer), std::move(message)}});
}

std::string Report::describe(const Place& place, const Place& from) const {
  if (place.file == from.file) return fmt::format("line {}", place.line);
  return fmt::format("{}:{}", file(place), place.line);
}

std::vector<Problem> Report::problems() const {
  auto entries = entries_;
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place.file, a.place.line, a.place.column) <
           std::tie(b.place.file, b.place.line, b.place.column);
  });
  std::vector<Problem> problems;
  problems.reserve(entries.size() + 1);
  for (auto& entry : entries) problems.push_back(std::move(entry.problem));
  if (left_out_ > 0) {
    problems.push_back({has_errors_ ? Problem::Level::error : Problem::Level::warning,
                        files_.front(), 0, 0, "",
                        fmt::format("{} more problems are not shown", left_out_)});
  }
  return problems;
}

std::optional<Node> read_document(std::string_view text, std::uint32_t file, Report& report) {
  if (text.size() > largest_text) {
    report.error({file, 1, 1}, "", fmt::format("larger than {} bytes", largest_text));
    return std::nullopt;
  }
  try {
    return Scanner{text, file, report}.document();
  } catch (const SyntaxError& error) {
    report.error(error.place, "", error.message);
    return std::nullopt;
  }
}

nlohmann::ordered_json to_json(const Node& node) {
  if (node.type == Node::Type::scalar) return node.value;
  if (node.type == Node::Type::list) {
    auto list = nlohmann::ordered_json::array();
    for (const Node& child : node.children) list.push_back(to_json(child));
    return list;
  }
  auto object = nlohmann::ordered_json::object();
  // push_back, not []: the keys are known to be unique and ordered_json looks each up from the
  // front.
  auto& members = object.get_ref<nlohmann::ordered_json::object_t&>();
  for (const Node& child : node.children) members.push_back({child.key, to_json(child)});
  return object;
}

}  // namespace millwright::config
