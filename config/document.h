// A JSON text as a tree in which every key and value knows where it stands, also after several
// files were merged. Structure and positions are scanned here, within fixed limits; texts, numbers
// and literals are nlohmann/json's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace millwright::config {

inline constexpr std::size_t largest_text = std::size_t{4} << 20;  // bytes, over all files together
inline constexpr int deepest_nesting = 32;
inline constexpr std::size_t most_values = 500'000;

struct Place {
  std::uint32_t file = 0;              // index in Report
  std::uint32_t line = 0, column = 0;  // from 1; the column counts characters, not bytes
};

struct Node {
  enum class Type : std::uint8_t { scalar, object, list } type = Type::scalar;
  Place place;                 // of the value
  Place key_place;             // of its key, in an object
  std::string key;             // in an object
  std::size_t index = 0;       // in a list, counted in its own file
  nlohmann::json value;        // of a scalar
  std::vector<Node> children;  // members or items, as written

  const Node* find(std::string_view name) const;
  bool is_text() const { return type == Type::scalar && value.is_string(); }
  // The text of the member `name`; nothing when it is missing or no text.
  std::optional<std::string> text(std::string_view name) const;
};

// The child's JSON Pointer in its own file.
std::string pointer_to(const std::string& parent, const Node& child);
// `pointer` + `/name`, escaped.
std::string pointer_to(const std::string& parent, std::string_view name);

// A node with its pointer; nothing where there is none.
struct Member {
  const Node* node = nullptr;
  std::string pointer;
  explicit operator bool() const { return node != nullptr; }
};
// The member `name` of a node whose pointer is `pointer`.
Member member(const Node& parent, const std::string& pointer, std::string_view name);
Member member(const Member& parent, std::string_view name);

// Problems with their places. Keeps at most `most_problems` and says how many there were beyond.
class Report {
 public:
  static constexpr std::size_t most_problems = 1000;

  std::uint32_t add_file(std::string name);
  const std::string& file(const Place& place) const { return files_[place.file]; }
  void error(const Place& place, std::string pointer, std::string message);
  void warning(const Place& place, std::string pointer, std::string message);
  bool has_errors() const { return has_errors_; }
  // `line 3`, or with the file's name when that is not the file of `from`.
  std::string describe(const Place& place, const Place& from) const;
  // In file order.
  std::vector<Problem> problems() const;

 private:
  struct Entry {
    Place place;
    Problem problem;
  };
  void add(Problem::Level level, const Place& place, std::string pointer, std::string message);

  std::vector<std::string> files_;
  std::vector<Entry> entries_;
  std::size_t left_out_ = 0;
  bool has_errors_ = false;
};

// Nothing, and one error in `report`, when the text is no JSON (with comments) or beyond a limit.
// Duplicate keys are errors too; the first one stays.
std::optional<Node> read_document(std::string_view text, std::uint32_t file, Report& report);

nlohmann::ordered_json to_json(const Node& node);

}  // namespace millwright::config
