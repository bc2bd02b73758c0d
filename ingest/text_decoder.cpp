// The format `text`: the payload is one number, and the topic names machine and sensor.
#include <simdjson.h>

#include "ingest/format.h"

namespace millwright::ingest {
namespace {

class TextFormat final : public Format {
 public:
  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    const std::string_view text = trimmed(message.payload);
    if (text.empty()) return Reject::empty;
    const std::optional<double> value = parse_number(text);
    if (!value)
      return simdjson::validate_utf8(text.data(), text.size()) ? Reject::not_a_number
                                                               : Reject::not_utf8;
    result.readings.push_back({topic.machine, topic.sensor, message.received, *value});
    return Reject::none;
  }
};

}  // namespace

std::unique_ptr<Format> make_text(const Input& input, const LimitSettings&) {
  require_topic_alone(input, "text");
  return std::make_unique<TextFormat>();
}

}  // namespace millwright::ingest
