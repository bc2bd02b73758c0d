// The format `text`: the payload is one number, and the topic names machine and sensor.
#include <simdjson.h>

#include "ingest/format.h"

namespace millwright::ingest {
namespace {

class TextFormat final : public Format {
 public:
  explicit TextFormat(const Words& words) : words_(words) {}

  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    const std::string_view text = trimmed(message.payload);
    if (text.empty()) return Reject::empty;
    const auto word = words_.find(text);
    const std::optional<double> value =
        word != words_.end() ? std::optional{word->second} : parse_number(text);
    if (!value)
      return simdjson::validate_utf8(text.data(), text.size()) ? Reject::not_a_number
                                                               : Reject::not_utf8;
    result.readings.push_back({topic.machine, topic.sensor, message.received, *value});
    return Reject::none;
  }

 private:
  const Words& words_;
};

}  // namespace

std::unique_ptr<Format> make_text(const Input& input, const LimitSettings&) {
  require_topic_alone(input, "text");
  return std::make_unique<TextFormat>(input.settings.words);
}

}  // namespace millwright::ingest
