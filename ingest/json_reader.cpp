#include "ingest/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/hash.h"
#include "ingest/capture.h"

namespace millwright::ingest {
namespace {

namespace json = simdjson::ondemand;

constexpr std::uint32_t deepest = 1000;        // simdjson keeps its books for 1024
constexpr std::size_t longest_name = 1024;     // the engine refuses names far shorter than that
constexpr std::size_t largest_sieve = 10'000;  // keys whose verdict is kept

bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The text of a JSON string up to its closing quote; `escaped` when it cannot be taken as it is.
// simdjson has made sure that the quote is there.
std::string_view raw_text(const char* begin, bool& escaped) {
  const char* end = begin;
  while (*end != '"' && *end != '\\') ++end;
  escaped = *end == '\\';
  return {begin, static_cast<std::size_t>(end - begin)};
}

// Python and others write NaN and Infinity bare. That is no JSON, but the intention is clear, and
// the other fields of the message are good.
bool is_bare_non_finite(std::string_view token) {
  return token == "NaN" || token == "Infinity" || token == "-Infinity" || token == "nan" ||
         token == "-nan" || token == "inf" || token == "-inf";
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The form of a number but for what stands between its first and its last digit: reading it finds
// that out.
bool looks_like_number(std::string_view token) {
  if (token.front() == '-') token.remove_prefix(1);
  if (token.empty() || !is_digit(token.front()) || !is_digit(token.back())) return false;
  return token.front() != '0' || token.size() == 1 || !is_digit(token[1]);
}

// For a number that nobody reads.
bool has_only_number_characters(std::string_view token) {
  return std::all_of(token.begin(), token.end(), [](char c) {
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
  });
}

Reject reject_of(simdjson::error_code error) {
  switch (error) {
    case simdjson::SUCCESS:
      return Reject::none;
    case simdjson::UTF8_ERROR:
      return Reject::not_utf8;
    case simdjson::CAPACITY:
      return Reject::too_large;
    case simdjson::EMPTY:
      return Reject::empty;
    default:
      return Reject::not_json;
  }
}

std::uint64_t joined_hash(std::size_t companion, JsonReader::Scope scope) {
  return (static_cast<std::uint64_t>(companion) << 32) ^ scope;
}

}  // namespace

std::optional<double> number_of(const Scalar& scalar) {
  switch (scalar.kind) {
    case Scalar::Kind::number:
    case Scalar::Kind::text:
      return parse_number(scalar.text);
    case Scalar::Kind::boolean:
      return scalar.text == "true" ? 1.0 : 0.0;
    case Scalar::Kind::absent:
    case Scalar::Kind::null:
    case Scalar::Kind::container:
      break;
  }
  return std::nullopt;
}

std::optional<double> word_of(const Scalar& scalar, const Words& words) {
  if (scalar.kind != Scalar::Kind::text) return std::nullopt;
  const auto word = words.find(trimmed(scalar.text));
  return word == words.end() ? std::nullopt : std::optional{word->second};
}

std::optional<double> number_of(const Scalar& scalar, const Words& words) {
  const auto word = word_of(scalar, words);
  return word ? word : number_of(scalar);
}

std::optional<Timestamp> time_in(const Scalar& scalar, TimeFormat format) {
  if (scalar.kind != Scalar::Kind::number && scalar.kind != Scalar::Kind::text) return std::nullopt;
  return parse_time(scalar.kind == Scalar::Kind::text ? trimmed(scalar.text) : scalar.text, format);
}

JsonReader::JsonReader(const Input& input, const LimitSettings& limits)
    : limits_(limits),
      max_depth_(std::min(limits.depth, deepest)),
      time_format_(input.settings.time_format),
      tree_(compile_tree(input)),
      sieves_(tree_.nodes.size()) {}

Reject JsonReader::read(std::string_view payload, Receiver& receiver, DecodeResult& result) {
  receiver_ = &receiver;
  result_ = &result;
  nulls_ = readings_ = 0;
  scopes_.clear();
  scopes_.emplace_back();
  found_.assign(tree_.companions.size(), Scalar{});
  joined_keys_.clear();
  joined_.clear();
  joined_sorted_ = true;
  arena_.clear();
  last_machine_.scope = last_sensor_.scope = last_time_scope_ = std::nullopt;

  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (payload.starts_with(byte_order_mark)) payload.remove_prefix(byte_order_mark.size());
  size_ = payload.size();
  if (buffer_.size() < size_ + simdjson::SIMDJSON_PADDING)
    buffer_.resize(size_ + simdjson::SIMDJSON_PADDING);
  std::copy(payload.begin(), payload.end(), buffer_.begin());
  std::fill_n(buffer_.begin() + static_cast<std::ptrdiff_t>(size_), simdjson::SIMDJSON_PADDING,
              '\0');

  json::document document;
  if (const auto error =
          parser_.iterate(buffer_.data(), size_, size_ + simdjson::SIMDJSON_PADDING).get(document))
    return exceeds_depth() ? Reject::too_deep : reject_of(error);

  const std::string_view whole = trimmed({buffer_.data(), size_});
  if (whole.empty()) return Reject::empty;
  if (whole.front() != '{' && whole.front() != '[') return read_root_scalar(document);
  Value root;
  if (document.get_value().get(root) != simdjson::SUCCESS) return Reject::not_json;
  const Reject reason = walk(root, &tree_.nodes.front(), 0, 0);
  if (reason == Reject::not_json) return exceeds_depth() ? Reject::too_deep : reason;
  // Something after the document's end.
  if (reason == Reject::none && document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return Reject::not_json;
  return reason;
}

Reject JsonReader::read_root_scalar(json::document& document) {
  const std::string_view whole = trimmed({buffer_.data(), size_});
  Scalar scalar;
  if (whole.front() == '"') {
    scalar.kind = Scalar::Kind::text;
    if (document.get_string().get(scalar.text) != simdjson::SUCCESS) return Reject::not_json;
    bool escaped = false;
    const std::string_view raw = raw_text(whole.data() + 1, escaped);
    if (!escaped && raw.size() + 2 != whole.size()) return Reject::not_json;
  } else if (const Reject reason = classify(whole, scalar); reason != Reject::none) {
    return reason;
  }
  return visit_scalar(scalar, tree_.nodes.front(), 0);
}

// simdjson gives up on an unclosed document before it is walked through, so what is refused is
// looked at again: a flood of brackets shall be called what it is.
bool JsonReader::exceeds_depth() const {
  std::uint32_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < size_; ++i) {
    const char c = buffer_[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth_) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

Reject JsonReader::classify(std::string_view token, Scalar& scalar) const {
  while (!token.empty() && is_white(token.back())) token.remove_suffix(1);
  scalar.text = token;
  if (token.empty()) return Reject::not_json;
  if (looks_like_number(token) || is_bare_non_finite(token)) {
    scalar.kind = Scalar::Kind::number;
  } else if (token == "null") {
    scalar.kind = Scalar::Kind::null;
  } else if (token == "true" || token == "false") {
    scalar.kind = Scalar::Kind::boolean;
  } else {
    return Reject::not_json;
  }
  return Reject::none;
}

Reject JsonReader::scalar_of(Value& value, Scalar& scalar) const {
  std::string_view token = value.raw_json_token();
  const char* const end = buffer_.data() + size_;
  if (token.empty() || token.data() >= end) return Reject::not_json;
  token = token.substr(0, static_cast<std::size_t>(end - token.data()));
  switch (token.front()) {
    case '"': {
      scalar.kind = Scalar::Kind::text;
      bool escaped = false;
      scalar.text = raw_text(token.data() + 1, escaped);
      if (escaped && value.get_string().get(scalar.text) != simdjson::SUCCESS)
        return Reject::not_json;
      return Reject::none;
    }
    case '{':
    case '[':
      scalar = {Scalar::Kind::container, token.substr(0, 1)};
      return Reject::none;
    default:
      return classify(token, scalar);
  }
}

bool JsonReader::key_of(json::field& field, std::string_view& key) {
  bool escaped = false;
  key = raw_text(field.key().raw(), escaped);
  return !escaped || field.unescaped_key().get(key) == simdjson::SUCCESS;
}

Reject JsonReader::walk(Value& value, const JsonNode* node, Scope scope, std::uint32_t depth) {
  Scalar scalar;
  if (const Reject reason = scalar_of(value, scalar); reason != Reject::none) return reason;
  if (scalar.kind != Scalar::Kind::container)
    return node == nullptr ? pass_over(scalar) : visit_scalar(scalar, *node, scope);

  if (!may_nest(depth)) return Reject::too_deep;
  if (node != nullptr) {
    note(*node, scope, scalar);
    if (node->is_value) {
      bool consumed = false;
      if (const Reject reason = receiver_->container(value, scope, depth, consumed);
          reason != Reject::none || consumed)
        return reason;
    }
  }
  return scalar.text.front() == '{' ? walk_object(value, node, scope, depth + 1)
                                    : walk_array(value, node, scope, depth + 1);
}

Reject JsonReader::walk_object(Value& value, const JsonNode* node, Scope scope,
                               std::uint32_t depth) {
  json::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return Reject::not_json;
  bool value_key_seen = false;
  for (auto next : object) {
    json::field field;
    std::string_view key;
    if (std::move(next).get(field) != simdjson::SUCCESS || !key_of(field, key))
      return Reject::not_json;
    Value& inner = field.value();

    const JsonNode* child = nullptr;
    if (node != nullptr) {
      for (const JsonNode::Literal& literal : node->keys) {
        if (literal.key != key) continue;
        child = &tree_.nodes[literal.node];
        value_key_seen |= literal.node == node->value_key;
        break;
      }
      std::string_view captured;
      if (child == nullptr && node->each != no_node && takes(*node, key, captured)) {
        if (const Reject reason = walk_each(inner, *node, {scope, 0, false, captured}, depth);
            reason != Reject::none)
          return reason;
        continue;
      }
    }
    if (const Reject reason = walk(inner, child, scope, depth); reason != Reject::none)
      return reason;
  }
  if (node != nullptr && node->value_key != no_node && !value_key_seen)
    return missing(tree_.nodes[node->value_key], scope);
  return Reject::none;
}

Reject JsonReader::walk_array(Value& value, const JsonNode* node, Scope scope,
                              std::uint32_t depth) {
  json::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return Reject::not_json;
  bool value_key_seen = false;
  std::uint32_t position = 0;
  for (auto next : array) {
    if (next.error() != simdjson::SUCCESS) return Reject::not_json;
    Value inner = next.value_unsafe();
    const JsonNode* child = nullptr;
    bool each = false;
    if (node != nullptr) {
      for (const JsonNode::Literal& literal : node->keys) {
        if (literal.position != position) continue;
        child = &tree_.nodes[literal.node];
        value_key_seen |= literal.node == node->value_key;
        break;
      }
      // A capture with text around it means keys.
      each = child == nullptr && node->each != no_node && node->each_step.before.empty() &&
             node->each_step.after.empty();
    }
    const Reject reason = each ? walk_each(inner, *node, {scope, position, true, {}}, depth)
                               : walk(inner, child, scope, depth);
    if (reason != Reject::none) return reason;
    ++position;
  }
  if (node != nullptr && node->value_key != no_node && !value_key_seen)
    return missing(tree_.nodes[node->value_key], scope);
  return Reject::none;
}

Reject JsonReader::walk_each(Value& value, const JsonNode& parent, const OpenScope& element,
                             std::uint32_t depth) {
  const JsonNode& node = tree_.nodes[parent.each];
  if (!node.on_value_path) {
    joined_keys_.push_back(element.key);
    const Reject reason = walk(value, &node, element.parent, depth);
    joined_keys_.pop_back();
    return reason;
  }
  // Twice: an element can be null or without a value, and is then counted nowhere else.
  if (scopes_.size() / 2 > limits_.readings_per_message) return Reject::too_many_readings;
  const auto scope = static_cast<Scope>(scopes_.size());
  scopes_.push_back(element);
  found_.resize(found_.size() + tree_.companions.size());
  return walk(value, &node, scope, depth);
}

bool JsonReader::takes(const JsonNode& node, std::string_view key, std::string_view& captured) {
  const Step& step = node.each_step;
  const std::size_t around = step.before.size() + step.after.size();
  if (around > 0 &&
      (key.size() <= around || !key.starts_with(step.before) || !key.ends_with(step.after)))
    return false;
  captured = key.substr(step.before.size(), key.size() - around);
  if (!step.where) return true;

  Sieve& sieve = sieves_[static_cast<std::size_t>(&node - tree_.nodes.data())];
  scratch_.assign(captured);
  if (const auto known = sieve.find(scratch_); known != sieve.end()) return known->second;
  if (sieve.size() >= largest_sieve) sieve.clear();
  return sieve.emplace(scratch_, matches_whole(captured, *step.where)).first->second;
}

Reject JsonReader::pass_over(const Scalar& scalar) {
  return scalar.kind != Scalar::Kind::number || is_bare_non_finite(scalar.text) ||
                 has_only_number_characters(scalar.text)
             ? Reject::none
             : Reject::not_json;
}

Reject JsonReader::visit_scalar(const Scalar& scalar, const JsonNode& node, Scope scope) {
  note(node, scope, scalar);
  if (!node.is_value) {
    if (const Reject reason = pass_over(scalar); reason != Reject::none) return reason;
  }
  if (!node.on_value_path) return Reject::none;
  if (scalar.kind == Scalar::Kind::null) {
    count_null();
    return Reject::none;
  }
  return node.is_value ? receiver_->scalar(scalar, scope) : missing(node, scope);
}

void JsonReader::note(const JsonNode& node, Scope scope, const Scalar& scalar) {
  for (const std::size_t index : node.companions) {
    if (tree_.companions[index].joined.empty()) {
      found_[scope * tree_.companions.size() + index] = scalar;
      continue;
    }
    std::uint64_t key = joined_hash(index, scope);
    for (const std::string_view part : joined_keys_) key = hash64(part, key);
    joined_.push_back({key, scalar});
    joined_sorted_ = false;
  }
}

// The elements of an array are alike, so one without the value is worth a word; the fields of an
// object need not be.
Reject JsonReader::missing(const JsonNode& node, Scope scope) {
  if (scope != 0 && !scopes_[scope].in_array) return Reject::none;
  note_refusal(Reject::missing_value, written(tree_.value, node.depth, scope));
  return count_one();
}

JsonReader::Scope JsonReader::outwards(Scope scope, std::size_t level) const {
  for (std::size_t at = tree_.levels; at > level; --at) scope = scopes_[scope].parent;
  return scope;
}

std::string_view JsonReader::text_of(const OpenScope& scope) {
  if (!scope.in_array) return scope.key;
  char digits[16];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), scope.position).ptr;
  const std::string_view text{digits, static_cast<std::size_t>(end - digits)};
  return arena_.add(text).value_or(std::string_view{});
}

const Scalar& JsonReader::companion(std::size_t index, Scope scope) {
  const Companion& pointer = tree_.companions[index];
  const Scope shared = outwards(scope, pointer.shared_level);
  if (pointer.joined.empty()) return found_[shared * tree_.companions.size() + index];

  if (!joined_sorted_) {
    std::stable_sort(joined_.begin(), joined_.end(),
                     [](const Joined& a, const Joined& b) { return a.key < b.key; });
    joined_sorted_ = true;
  }
  std::uint64_t key = joined_hash(index, shared);
  for (const std::size_t level : pointer.joined)
    key = hash64(text_of(scopes_[outwards(scope, level)]), key);
  const auto it = std::lower_bound(joined_.begin(), joined_.end(), key,
                                   [](const Joined& a, std::uint64_t b) { return a.key < b; });
  static constexpr Scalar absent;
  return it != joined_.end() && it->key == key ? it->scalar : absent;
}

Reject JsonReader::time_of(Scope scope, Timestamp& time) {
  const Scope known = outwards(scope, tree_.companions[tree_.time].level);
  if (last_time_scope_ != known) {
    last_time_scope_ = known;
    const Scalar& scalar = companion(tree_.time, scope);
    const std::optional<Timestamp> parsed = time_in(scalar, time_format_);
    const bool there = scalar.kind != Scalar::Kind::absent && scalar.kind != Scalar::Kind::null;
    last_time_reason_ = parsed ? Reject::none : there ? Reject::bad_time : Reject::missing_time;
    if (parsed) last_time_ = *parsed;
  }
  time = last_time_;
  return last_time_reason_;
}

Reject JsonReader::names_of(Scope scope, const FromTopic& topic, std::string_view& machine,
                            std::string_view& sensor) {
  machine = topic.machine;
  sensor = topic.sensor;
  if (!tree_.machine.from_topic) {
    work_out(tree_.machine, last_machine_, scope, topic);
    if (last_machine_.reason != Reject::none) return last_machine_.reason;
    machine = last_machine_.text;
  }
  if (!tree_.sensor.from_topic) {
    work_out(tree_.sensor, last_sensor_, scope, topic);
    if (last_sensor_.reason != Reject::none) return last_sensor_.reason;
    sensor = last_sensor_.text;
  }
  return Reject::none;
}

void JsonReader::work_out(const JsonName& name, LastName& last, Scope scope,
                          const FromTopic& topic) {
  const Scope known = outwards(scope, name.level);
  if (last.scope == known) return;
  last.scope = known;
  last.reason = Reject::missing_name;
  if (name.pieces.size() == 1) {
    const auto text = text_of(name.pieces.front(), scope, topic);
    if (!text || text->empty()) return;
    last.text = *text;
    last.reason = Reject::none;
    return;
  }
  scratch_.clear();
  for (const NamePiece& piece : name.pieces) {
    const auto text = text_of(piece, scope, topic);
    if (!text || text->empty()) return;
    scratch_ += *text;
  }
  // What is too long stays too long when it is cut, and the engine says so.
  if (scratch_.size() > longest_name) scratch_.resize(longest_name);
  const auto kept = arena_.add(scratch_);
  last.reason = kept ? Reject::none : Reject::too_large;
  if (kept) last.text = *kept;
}

std::optional<std::string_view> JsonReader::text_of(const NamePiece& piece, Scope scope,
                                                    const FromTopic& topic) {
  switch (piece.kind) {
    case NamePart::Kind::text:
      return piece.text;
    case NamePart::Kind::topic:
      return topic.captures[piece.index];
    case NamePart::Kind::value:
      return text_of(scopes_[outwards(scope, piece.index)]);
    case NamePart::Kind::pointer:
      break;
  }
  const Scalar& scalar = companion(piece.index, scope);
  if (scalar.kind != Scalar::Kind::text && scalar.kind != Scalar::Kind::number) return std::nullopt;
  return scalar.text;
}

Reject JsonReader::count_one() {
  return ++readings_ > limits_.readings_per_message ? Reject::too_many_readings : Reject::none;
}

std::string JsonReader::written(const Pointer& pointer, std::size_t steps, Scope scope) const {
  std::vector<Scope> chain;  // outermost first
  for (Scope at = scope; at != 0; at = scopes_[at].parent) chain.push_back(at);
  std::reverse(chain.begin(), chain.end());
  std::string out;
  std::size_t level = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    const Step& step = pointer[i];
    out += '/';
    if (step.kind == Step::Kind::key) {
      out += escape_step(step.key);
    } else if (level >= chain.size()) {
      out += '*';
    } else if (const OpenScope& element = scopes_[chain[level++]]; element.in_array) {
      out += fmt::format_int(element.position).str();
    } else {
      out += escape_step(step.before) + escape_step(element.key) + escape_step(step.after);
    }
  }
  return out;
}

void JsonReader::note_refusal(Reject reason, std::string where) {
  constexpr std::size_t longest = 256;  // keys may be as long as the payload
  if (where.size() > longest) where.resize(longest);
  result_->rejected.push_back({reason, std::move(where)});
}

Reject JsonReader::refuse_value(Reject reason, Scope scope, std::string_view rest) {
  note_refusal(reason, value_pointer(scope).append(rest));
  return count_one();
}

Reject JsonReader::refuse_beside(Reject reason, const JsonBeside& what) {
  note_refusal(reason, tree_.companions[what.companion].text);
  return count_one();
}

Reject JsonReader::refuse_time(Reject reason, Scope scope) {
  const Companion& time = tree_.companions[tree_.time];
  note_refusal(reason, written(time.pointer, time.pointer.size(), outwards(scope, time.level)));
  return time.level == 0 ? reason : Reject::none;
}

Reject JsonReader::refuse_name(Reject reason, Scope scope) {
  note_refusal(reason, value_pointer(scope));
  const bool shared = (tree_.machine.from_topic || tree_.machine.level == 0) &&
                      (tree_.sensor.from_topic || tree_.sensor.level == 0);
  return shared || reason == Reject::too_large ? reason : Reject::none;
}

Reject JsonReader::verdict() const {
  if (!result_->readings.empty() || !result_->blocks.empty()) return Reject::none;
  if (!result_->rejected.empty()) return result_->rejected.front().reason;
  return nulls_ == 0 ? Reject::missing_value : Reject::none;
}

}  // namespace millwright::ingest
