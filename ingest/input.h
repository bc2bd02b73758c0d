// A configured input, compiled: what decoder and lane router look up by topic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/settings.h"
#include "ingest/pointer.h"
#include "ingest/topic.h"

namespace millwright::ingest {

// A machine's or sensor's name: text, captures, and JSON values beside the reading's.
struct NamePart {
  enum class Kind { text, topic, value, pointer } kind = Kind::text;
  std::string text;  // text: itself; pointer: the JSON Pointer as written
  std::size_t capture =
      0;  // topic: index in TopicPattern::captures(); value: step of the value pointer
};

struct NameTemplate {
  std::vector<NamePart> parts;
  bool from_topic_alone() const;
};

// The name by a template that needs the topic alone.
std::string fill_in(const NameTemplate& name, const Captured& captured);

struct Input {
  std::size_t index = 0;
  InputSettings settings;
  TopicPattern topic;
  Pointer value;
  NameTemplate machine, sensor;
};

// In the order of the configuration. Throws std::invalid_argument with one sentence that names the
// input and the key.
std::vector<Input> compile_inputs(const std::vector<InputSettings>& inputs);

// The first input that takes the topic, with its captures; nullptr when none does.
const Input* find_input(const std::vector<Input>& inputs, std::string_view topic,
                        Captured& captured);

// The sentence of a problem with one input: `inputs/3 (plant/+/x): value: ...`.
std::string describe_problem(const Input& input, std::string_view key, std::string_view problem);

// What was worked out for a topic, so that patterns are not tried for every message. Bounded in
// entries and bytes: when full it starts anew, so that a flood of topics costs time but no memory.
template <class Entry>
class TopicCache {
 public:
  TopicCache(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes) {}

  // Stays valid until the next `insert`.
  Entry* find(std::string_view topic) {
    const auto it = entries_.find(topic);
    return it == entries_.end() ? nullptr : &it->second;
  }
  // `extra_bytes`: what the entry itself holds on the heap.
  Entry& insert(std::string_view topic, Entry entry, std::size_t extra_bytes = 0) {
    const std::size_t cost = topic.size() + extra_bytes;
    if (entries_.size() >= max_entries_ || bytes_ + cost > max_bytes_) {
      entries_.clear();
      bytes_ = 0;
    }
    bytes_ += cost;
    return entries_.insert_or_assign(std::string{topic}, std::move(entry)).first->second;
  }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return static_cast<std::size_t>(hash64(text));
    }
  };
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
  std::size_t max_entries_, max_bytes_, bytes_ = 0;
};

}  // namespace millwright::ingest
