// The format `text`: the payload is one number, and the topic names machine and sensor.
#include <simdjson.h>

#include "ingest/format.h"

namespace millwright::ingest {
namespace {

class TextFormat final : public Format {
 public:
  explicit TextFormat(const InputSettings& settings) : settings_(settings) {}

  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    const std::string_view text = trimmed(message.payload);
    if (text.empty()) return Reject::empty;
    const auto give = [&](double value) {
      result.readings.push_back({topic.machine, topic.sensor, message.received, value});
      return Reject::none;
    };
    const auto word = settings_.words.find(text);
    if (word != settings_.words.end()) return give(word->second);
    if (const auto raw = parse_number(text))
      return give(scaled(*raw, settings_.scale, settings_.offset));
    return simdjson::validate_utf8(text.data(), text.size()) ? Reject::not_a_number
                                                             : Reject::not_utf8;
  }

 private:
  const InputSettings& settings_;
};

}  // namespace

std::unique_ptr<Format> make_text(const Input& input, const LimitSettings&) {
  require_topic_alone(input, "text");
  return std::make_unique<TextFormat>(input.settings);
}

}  // namespace millwright::ingest
