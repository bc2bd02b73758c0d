// The JSON Pointers of one input merged into one tree of steps: the value's, the time's and those
// in name templates.
//
// Every step of the value pointer that is `*` or a `{capture}` is a *level*: each element it stands
// for opens a scope, and a time or name inside belongs to that element. A pointer that leaves the
// value's path may use its captures again
// (`/metadata/{signal}/timestamp` beside `/reported/{signal}`): it is then *joined* by their text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ingest/input.h"
#include "ingest/pointer.h"

namespace millwright::ingest {

inline constexpr std::uint32_t no_node = 0xffffffffu;
inline constexpr std::size_t no_companion = static_cast<std::size_t>(-1);

struct JsonNode {
  struct Literal {
    std::string key;
    std::size_t position = 0;  // the key as an array index
    std::uint32_t node = no_node;
  };
  std::vector<Literal> keys;
  std::uint32_t each = no_node;  // the child for all other elements
  Step each_step;
  std::uint32_t value_key = no_node;  // the child by key that lies on the value's path
  bool on_value_path = false;
  bool is_value = false;
  std::size_t depth = 0;                // steps from the root
  std::vector<std::size_t> companions;  // that end here
};

// A pointer beside the value's.
struct Companion {
  std::string text;
  Pointer pointer;
  std::size_t shared_level = 0;  // how many scopes of the value it lies in
  std::vector<std::size_t>
      joined;             // for each capture after that: the level whose key it must equal
  std::size_t level = 0;  // the deepest level it depends on
};

struct NamePiece {
  NamePart::Kind kind{};
  std::string text;
  std::size_t index = 0;  // topic: capture; pointer: companion; value: level
};

struct JsonName {
  std::vector<NamePiece> pieces;
  std::size_t level = 0;    // the deepest level it depends on
  bool from_topic = false;  // needs nothing from the payload
};

// A value that stands once in the message, beside those of the value pointer.
struct JsonBeside {
  std::string sensor;
  std::size_t companion = 0;
};

struct JsonTree {
  Pointer value;
  std::size_t levels = 0;
  std::vector<JsonNode> nodes;  // the first is the root
  std::vector<Companion> companions;
  std::size_t time = no_companion;
  JsonName machine, sensor;
  std::vector<JsonBeside> beside;
};

// Throws std::invalid_argument (see describe_problem).
JsonTree compile_tree(const Input& input);

}  // namespace millwright::ingest
