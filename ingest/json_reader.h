// Walks a JSON payload once, front to back, by an input's JsonTree, and finds the values and the
// times and names that belong to each. Payload formats that are JSON build on it; only they include
// it, and with it simdjson.
//
// Every element of a level opens a *scope*. Times and names are noted with the scope they stand in,
// so it does not matter whether they come before or after the value; when the walk is over,
// `time_of` and `names_of` look outwards from the value's scope.
//
// The walk visits all of the document: a message is JSON as a whole or refused as a whole, and the
// nesting is measured on the way, which bounds the recursion by limits.depth.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/time.h"
#include "ingest/format.h"
#include "ingest/json_tree.h"
#include "ingest/text_arena.h"

namespace millwright::ingest {

// Text is unescaped, the others are as they stand in the document.
struct Scalar {
  enum class Kind : std::uint8_t { absent, null, boolean, number, text, container };
  Kind kind = Kind::absent;
  std::string_view text;
};

// Booleans are 0 and 1, numeric text is taken; nothing when it is no number, null included.
std::optional<double> number_of(const Scalar& scalar);
// What a text means that is one of `words`; nothing for all else.
std::optional<double> word_of(const Scalar& scalar, const Words& words);
// Either of them.
std::optional<double> number_of(const Scalar& scalar, const Words& words);

// A time that is a number or a text.
std::optional<Timestamp> time_in(const Scalar& scalar, TimeFormat format);

// Thread rule: one thread. What it hands out is borrowed until the next `read`.
class JsonReader {
 public:
  using Scope = std::uint32_t;  // 0 is the whole document
  using Value = simdjson::ondemand::value;

  // What to do with the values that the walk finds. A reason other than `none` ends the walk and
  // refuses the message.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual Reject scalar(const Scalar& scalar, Scope scope) = 0;
    // An array or object, of `depth` containers around it. What is not `consumed` is walked
    // through.
    virtual Reject container(Value& value, Scope scope, std::uint32_t depth, bool& consumed) = 0;
  };

  // Throws std::invalid_argument (see describe_problem).
  JsonReader(const Input& input, const LimitSettings& limits);

  // Refusals of single fields go to `result`.
  Reject read(std::string_view payload, Receiver& receiver, DecodeResult& result);

  const JsonTree& tree() const { return tree_; }

  // The time that belongs to a value; the input has a time pointer.
  Reject time_of(Scope scope, Timestamp& time);
  // too_large: all the names of the message take too much memory.
  Reject names_of(Scope scope, const FromTopic& topic, std::string_view& machine,
                  std::string_view& sensor);

  // What stands beside the values, once in the message.
  const Scalar& beside(const JsonBeside& what) { return companion(what.companion, 0); }
  Reject refuse_beside(Reject reason, const JsonBeside& what);

  // One reading or refused field more; too_many_readings when that is above the limit.
  Reject count_one();
  void count_null() { ++nulls_; }

  std::string value_pointer(Scope scope) const {
    return written(tree_.value, tree_.value.size(), scope);
  }
  // Notes, and counts, a value that is no reading. `rest`: what to append to the value's pointer.
  Reject refuse_value(Reject reason, Scope scope, std::string_view rest = {});
  // Note that a value, counted before, has no good time or name. The message is refused when all
  // values share it.
  Reject refuse_time(Reject reason, Scope scope);
  Reject refuse_name(Reject reason, Scope scope);

  // not_json when it is none. Containers are only recognised, not entered.
  Reject scalar_of(Value& value, Scalar& scalar) const;
  Reject skip(Value& value, std::uint32_t depth) { return walk(value, nullptr, 0, depth); }
  // False: not JSON.
  static bool key_of(simdjson::ondemand::field& field, std::string_view& key);
  bool may_nest(std::uint32_t depth) const { return depth < max_depth_; }

  // When all is done: what the message as a whole is refused for if it gave no reading.
  Reject verdict() const;

 private:
  struct OpenScope {
    Scope parent = 0;
    std::uint32_t position = 0;
    bool in_array = false;
    std::string_view key;  // in an object: what the capture took
  };
  struct Joined {
    std::uint64_t key = 0;
    Scalar scalar;
  };
  // A name is the same for all values of one scope.
  struct LastName {
    std::optional<Scope> scope;
    std::string_view text;
    Reject reason = Reject::none;
  };
  // Regular expressions are too slow to try on each reading, so what they said is kept.
  using Sieve = std::unordered_map<std::string, bool>;

  Reject walk(Value& value, const JsonNode* node, Scope scope, std::uint32_t depth);
  Reject walk_object(Value& value, const JsonNode* node, Scope scope, std::uint32_t depth);
  Reject walk_array(Value& value, const JsonNode* node, Scope scope, std::uint32_t depth);
  Reject walk_each(Value& value, const JsonNode& parent, const OpenScope& element,
                   std::uint32_t depth);
  static Reject pass_over(const Scalar& scalar);
  Reject visit_scalar(const Scalar& scalar, const JsonNode& node, Scope scope);
  void note(const JsonNode& node, Scope scope, const Scalar& scalar);
  Reject missing(const JsonNode& node, Scope scope);
  bool takes(const JsonNode& node, std::string_view key, std::string_view& captured);
  Reject read_root_scalar(simdjson::ondemand::document& document);
  Reject classify(std::string_view token, Scalar& scalar) const;
  bool exceeds_depth() const;

  const Scalar& companion(std::size_t index, Scope scope);
  Scope outwards(Scope scope, std::size_t level) const;
  void work_out(const JsonName& name, LastName& last, Scope scope, const FromTopic& topic);
  std::optional<std::string_view> text_of(const NamePiece& piece, Scope scope,
                                          const FromTopic& topic);
  std::string_view text_of(const OpenScope& scope);
  std::string written(const Pointer& pointer, std::size_t steps, Scope scope) const;
  void note_refusal(Reject reason, std::string where);

  LimitSettings limits_;
  std::uint32_t max_depth_ = 0;
  TimeFormat time_format_{};
  JsonTree tree_;
  std::vector<Sieve> sieves_;  // by node

  simdjson::ondemand::parser parser_;
  std::vector<char> buffer_;  // the payload and the padding that simdjson needs
  std::size_t size_ = 0;
  std::vector<OpenScope> scopes_;
  std::vector<Scalar> found_;  // scope * companions + companion
  std::vector<std::string_view> joined_keys_;
  std::vector<Joined> joined_;
  bool joined_sorted_ = true;
  TextArena arena_;
  std::string scratch_;
  Receiver* receiver_ = nullptr;
  DecodeResult* result_ = nullptr;
  std::uint64_t nulls_ = 0, readings_ = 0;

  LastName last_machine_, last_sensor_;
  std::optional<Scope> last_time_scope_;
  Timestamp last_time_;
  Reject last_time_reason_ = Reject::none;
};

}  // namespace millwright::ingest
