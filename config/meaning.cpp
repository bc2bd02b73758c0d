#include "config/meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/checks.h"
#include "config/read.h"
#include "engine/plan.h"

namespace millwright::config {
namespace {

// A list whose first matching item counts.
struct MatchList {
  std::string_view pointer, item, subjects;
  std::vector<std::string_view> takes_all;  // patterns that do
  std::optional<std::string> otherwise;     // the pattern of an item without one
};

const MatchList of_profiles{"/profiles", "profile", "sensors", {"*", "**", "*/*"}, {}};
const MatchList of_machines{
    "/machines", "entry", "machines", {"*", "**"}, engine::MachineProfile{}.match};

class Meaning {
 public:
  Meaning(const Draft& draft, Report& report) : draft_(draft), report_(report) {}

  void check(const Node& root) {
    if (const auto m = member(root, "", "broker")) broker(*m.node, m.pointer);
    if (const auto m = member(root, "", "inputs")) inputs(*m.node);
    if (const auto m = member(root, "", "profiles")) never_used(*m.node, of_profiles);
    if (const auto m = member(root, "", "overrides")) overrides(*m.node);
    if (const auto m = member(root, "", "machines")) machines(*m.node);
    journal(root);
  }

 private:
  void error(const Member& at, std::string message) {
    report_.error(at.node->place, at.pointer, std::move(message));
  }
  void warning(const Member& at, std::string message) {
    report_.warning(at.node->place, at.pointer, std::move(message));
  }

  void broker(const Node& node, const std::string& pointer) {
    const auto literal = member(node, pointer, "password");
    if (literal) {
      warning(literal,
              "a password does not belong into the configuration; use password_credential or "
              "password_file");
    }
    Member first;
    for (const auto* name : {"password_credential", "password_file", "password"}) {
      const auto given = member(node, pointer, name);
      if (!given) continue;
      if (first)
        error(given,
              fmt::format("the password is given already by \"{}\"; keep one", first.node->key));
      if (!first) first = given;
    }
    if (first && node.find("username") == nullptr && draft_.broker.mqtt_version == 4) {
      error(first, "MQTT 3.1.1 has no password without a user name; add \"username\"");
    }
    const auto key = member(node, pointer, "key_file");
    if (key && node.find("certificate_file") == nullptr) {
      error(key, "a key without its certificate; add \"certificate_file\"");
    }
    const auto written = node.text("url");
    if (written && !check_url(*written).empty()) return;
    const auto& url = draft_.broker.url;
    const bool encrypted =
        url.starts_with("ssl://") || url.starts_with("mqtts://") || url.starts_with("wss://");
    for (const auto* name : {"ca_file", "certificate_file", "key_file", "verify_certificate"}) {
      const auto given = member(node, pointer, name);
      if (given && !encrypted) {
        warning(
            given,
            fmt::format("has no effect: {} is not encrypted; use ssl://, mqtts:// or wss://", url));
      }
    }
    const auto verify = member(node, pointer, "verify_certificate");
    if (verify && encrypted && !draft_.broker.verify_certificate) {
      warning(verify, "anybody on the network can pose as the broker; set ca_file instead");
    }
  }

  void inputs(const Node& list) {
    struct Seen {
      const Node* node;
      std::map<std::string, std::string> where;
    };
    std::unordered_map<std::string, Seen> seen;
    for (const Node& item : list.children) {
      const auto pointer = pointer_to("/inputs", item);
      input(item, pointer);
      const auto topic = member(item, pointer, "topic");
      const auto text = item.text("topic");
      if (!text || !check_topic(*text).empty()) continue;
      const auto where = where_by_place(*text, item);
      const auto [it, is_new] = seen.emplace(shape_of_topic(*text), Seen{topic.node, where});
      const auto& first = it->second;
      if (!is_new && (first.where.empty() || first.where == where)) {
        warning(
            topic,
            fmt::format(
                "never used: the input at {} takes the same topics; the first that matches does",
                report_.describe(first.node->place, topic.node->place)));
      }
    }
  }

  // `where` by the place of the capture in the topic, so that names do not matter.
  static std::map<std::string, std::string> where_by_place(const std::string& topic,
                                                           const Node& input) {
    std::map<std::string, std::string> out;
    const auto captures = captures_of(topic).names;
    const Node* where = input.find("where");
    for (std::size_t i = 0; where != nullptr && i < captures.size(); ++i) {
      if (const auto expression = where->text(captures[i])) out[std::to_string(i)] = *expression;
    }
    return out;
  }

  void input(const Node& item, const std::string& pointer) {
    const auto format = item.find("format") == nullptr ? "json" : item.text("format").value_or("");
    if (format == "json" && item.type == Node::Type::object && item.find("value") == nullptr) {
      report_.error(item.place, pointer,
                    "the key \"value\" is missing; expected a JSON Pointer to the values, as in "
                    "/signals/{signal}/v");
    }
    const auto has_no_effect = [&](std::string_view name, std::string_view with) {
      if (const auto given = member(item, pointer, name)) {
        warning(given,
                fmt::format("has no effect with the format \"{}\"; it is for {}", format, with));
      }
    };
    if (format == "text" || format == "packed_binary")
      has_no_effect("value", "json and packed_json");
    if (format == "text" || format == "packed_binary")
      has_no_effect("time", "json and packed_json");
    if (format == "json" || format == "text")
      has_no_effect("rate_hz", "packed_json and packed_binary");
    if (format == "packed_json" || format == "packed_binary")
      has_no_effect("words", "json and text");
    // The times in a block, or beside it, are read by it as well.
    const auto written = member(item, pointer, "time_format");
    if (format == "text") has_no_effect("time_format", "json, packed_json and packed_binary");
    if (format == "json" && written && item.text("time").value_or("").empty())
      warning(written, "has no effect without \"time\": the time of arrival counts");
    const auto scale = member(item, pointer, "scale");
    if (scale && scale.node->value.is_number() && scale.node->value.get<double>() == 0)
      error(scale,
            "a scale of 0 makes all values the same; leave it out where nothing is to be scaled");
    const auto also = member(item, pointer, "also");
    if (also && (format == "text" || format == "packed_json" || format == "packed_binary")) {
      error(also, fmt::format("further sensors are found in messages of the format \"json\" only, "
                              "not in \"{}\"; take them in by an input of their own",
                              format));
    }
    if (const auto taken = member(also, "_machine")) {
      report_.error(taken.node->key_place, taken.pointer, check_sensor_name("_machine"));
    }
    if (format == "json" || format == "text" || format == "packed_json") {
      has_no_effect("sample_type", "packed_binary");
    }
    captures(item, pointer);
  }

  void captures(const Node& item, const std::string& pointer) {
    std::vector<std::string> known, of_value;
    bool sure = true;  // false where a pattern is too broken to know what it captures
    for (const auto* name : {"topic", "value"}) {
      const auto pattern = member(item, pointer, name);
      const auto text = item.text(name);
      if (!text) {
        sure = sure && !pattern;
        continue;
      }
      const auto found = captures_of(*text);
      const bool is_topic = pattern.node->key == "topic";
      sure = sure && (is_topic ? check_topic(*text) : check_value_pointer(*text)).empty();
      for (const auto& capture : found.names) {
        if (std::find(known.begin(), known.end(), capture) != known.end()) {
          error(pattern,
                fmt::format("the capture {{{}}} stands twice; give each its own name", capture));
          continue;
        }
        known.push_back(capture);
        if (!is_topic) of_value.push_back(capture);
      }
    }
    if (!sure) return;
    for (const auto* name : {"machine", "sensor"}) {
      const auto user = member(item, pointer, name);
      const auto used = captures_of_name(item.text(name).value_or(""));
      if (!used.problem.empty()) continue;
      uses(user, used.names, known, "topic or value");
      uses(user, used.in_pointers, of_value, "value");
      if (user.node != nullptr && user.node->key == "machine")
        one_lane(user, item, used.names, of_value);
    }
    uses(member(item, pointer, "time"), captures_of(item.text("time").value_or("")).names, of_value,
         "value");
    if (const auto where = member(item, pointer, "where")) {
      for (const Node& child : where.node->children) {
        if (std::find(known.begin(), known.end(), child.key) == known.end()) {
          report_.error(child.key_place, pointer_to(where.pointer, child),
                        no_capture(child.key, known, "topic or value"));
        }
      }
    }
  }

  // The lane is chosen before the payload is looked at: see
  // docs/decisions/007-machines-of-lanes.md.
  void one_lane(const Member& machine, const Node& item, const std::vector<std::string>& used,
                const std::vector<std::string>& of_value) {
    if (draft_.processing.lanes <= 1) return;
    const bool from_payload =
        item.text("machine").value_or("").find("{/") != std::string::npos ||
        std::any_of(used.begin(), used.end(), [&](const std::string& name) {
          return std::find(of_value.begin(), of_value.end(), name) != of_value.end();
        });
    if (!from_payload) return;
    error(
        machine,
        fmt::format(
            "with {} lanes the topic must name the machine, so that all its readings meet on one; "
            "name it there, or set processing.lanes to 1",
            draft_.processing.lanes));
  }

  void uses(const Member& user, const std::vector<std::string>& used,
            const std::vector<std::string>& known, std::string_view where) {
    for (const auto& capture : used) {
      if (std::find(known.begin(), known.end(), capture) == known.end()) {
        error(user, no_capture(capture, known, where));
      }
    }
  }

  static std::string no_capture(const std::string& name, const std::vector<std::string>& known,
                                std::string_view where) {
    const std::vector<std::string_view> names(known.begin(), known.end());
    const auto near = nearest(name, names);
    if (!near.empty()) {
      return fmt::format("{{{}}} is not captured in {}; did you mean {{{}}}?", name, where, near);
    }
    if (names.empty())
      return fmt::format("{{{}}} is not captured in {}, which captures nothing", name, where);
    return fmt::format("{{{}}} is not captured in {}; captured there: {{{}}}", name, where,
                       fmt::join(names, "}, {"));
  }

  // Items behind one that takes all there is, or the same.
  void never_used(const Node& list, const MatchList& kind) {
    struct Seen {
      std::string pattern;
      Place place;
    };
    std::optional<Seen> catch_all;
    std::unordered_map<std::string, Seen> seen;
    for (const Node& item : list.children) {
      if (item.type != Node::Type::object) continue;
      const auto pointer = pointer_to(std::string{kind.pointer}, item);
      const auto match = member(item, pointer, "match");
      const auto pattern = match ? item.text("match") : kind.otherwise;
      if (!pattern) continue;
      const auto at = match ? match : Member{&item, pointer};
      const auto [it, is_new] = seen.emplace(*pattern, Seen{*pattern, at.node->place});
      if (catch_all || !is_new) {
        const Seen& before = catch_all ? *catch_all : it->second;
        warning(at, fmt::format(
                        "never used: the {} \"{}\" at {} stands before it and takes the same {}",
                        kind.item, before.pattern, report_.describe(before.place, at.node->place),
                        kind.subjects));
      }
      const bool takes_all =
          std::find(kind.takes_all.begin(), kind.takes_all.end(), *pattern) != kind.takes_all.end();
      if (takes_all && !catch_all) catch_all = it->second;
    }
  }

  void machines(const Node& list) {
    never_used(list, of_machines);
    for (const Node& item : list.children) {
      const auto pointer = pointer_to("/machines", item);
      if (const auto rule = member(item, pointer, "regime")) regime(*rule.node, rule.pointer);
      const auto model = member(item, pointer, "model");
      const bool compared = model && !item.text("model").value_or("").empty();
      if (compared && draft_.processing.lanes > 1) {
        warning(model,
                fmt::format("with {} lanes, only those of these machines that share a lane are "
                            "compared with each other; with processing.lanes 1 all are",
                            draft_.processing.lanes));
      }
    }
  }

  // Found or named: not both.
  void regime(const Node& node, const std::string& pointer) {
    const auto learned = member(node, pointer, "learned");
    for (const auto* key : {"sensor", "bins"}) {
      if (learned && member(node, pointer, key))
        error(learned, fmt::format("not together with \"{}\": regimes are named or found", key));
    }
    if (const auto find = member(node, pointer, "find_s"); find && !learned)
      warning(find, "has no effect without \"learned\"");
    const Node* sensor = node.find("sensor");
    if (learned || (sensor != nullptr && node.text("sensor") != "")) return;
    if (const auto bins = member(node, pointer, "bins")) {
      error(bins,
            "these are edges between values of a sensor that is not named; add \"sensor\" beside "
            "them");
    }
    for (const auto* name : {"settle_s", "warmup", "learning_s"}) {
      if (const auto given = member(node, pointer, name))
        warning(given, "has no effect: regimes are told apart only where \"sensor\" names one");
    }
  }

  void overrides(const Node& list) {
    std::unordered_map<std::string, const Node*> seen;
    for (const Node& item : list.children) {
      const auto sensor = member(item, pointer_to("/overrides", item), "sensor");
      const auto name = item.text("sensor");
      if (!name) continue;
      const auto [it, is_new] = seen.emplace(*name, sensor.node);
      if (!is_new && it->second->place.file == sensor.node->place.file) {
        warning(
            sensor,
            fmt::format("\"{}\" has an override at line {} already; this one goes on from there",
                        *name, it->second->place.line));
      }
    }
  }

  void journal(const Node& root) {
    const auto bytes = draft_.limits.payload_bytes;
    if (draft_.processing.journal_bytes / 4 >= bytes) return;
    for (const auto& [section, key] :
         {std::pair{"limits", "payload_bytes"}, {"processing", "journal_bytes"}}) {
      const auto parent = member(root, "", section);
      const auto given = member(parent, key);
      if (!given) continue;
      error(given,
            fmt::format(
                "processing.journal_bytes ({}) must be at least 4 times limits.payload_bytes ({})",
                draft_.processing.journal_bytes, bytes));
      return;
    }
  }

  const Draft& draft_;
  Report& report_;
};

}  // namespace

void check_meaning(const Node& root, const Draft& draft, Report& report) {
  Meaning{draft, report}.check(root);
}

}  // namespace millwright::config
