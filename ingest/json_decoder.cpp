// The format `json`: every number that the value pointer finds is a reading.
#include <utility>
#include <vector>

#include "ingest/json_reader.h"

namespace millwright::ingest {
namespace {

class JsonFormat final : public Format, private JsonReader::Receiver {
 public:
  JsonFormat(const Input& input, const LimitSettings& limits)
      : reader_(input, limits), settings_(input.settings) {}

  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    found_.clear();
    if (const Reject reason = reader_.read(message.payload, *this, result); reason != Reject::none)
      return reason;
    for (const Found& found : found_) {
      if (const Reject reason = complete(found, message, topic, result); reason != Reject::none)
        return reason;
    }
    if (const Reject reason = complete_beside(result); reason != Reject::none) return reason;
    return reader_.verdict();
  }

 private:
  struct Found {
    double value = 0;
    JsonReader::Scope scope = 0;
  };

  Reject scalar(const Scalar& scalar, JsonReader::Scope scope) override {
    const std::optional<double> word = word_of(scalar, settings_.words);
    const std::optional<double> raw = word ? word : number_of(scalar);
    if (!raw)
      return scalar.kind == Scalar::Kind::number
                 ? Reject::not_json
                 : reader_.refuse_value(Reject::not_a_number, scope);
    found_.push_back({word ? *word : scaled(*raw, settings_.scale, settings_.offset), scope});
    return reader_.count_one();
  }

  Reject container(JsonReader::Value&, JsonReader::Scope scope, std::uint32_t, bool&) override {
    return reader_.refuse_value(Reject::not_a_number, scope);
  }

  Reject complete(const Found& found, const Message& message, const FromTopic& topic,
                  DecodeResult& result) {
    Decoded reading;
    reading.time = message.received;
    reading.value = found.value;
    if (const Reject reason = reader_.names_of(found.scope, topic, reading.machine, reading.sensor);
        reason != Reject::none)
      return reader_.refuse_name(reason, found.scope);
    if (reader_.tree().time != no_companion) {
      if (const Reject reason = reader_.time_of(found.scope, reading.time); reason != Reject::none)
        return reader_.refuse_time(reason, found.scope);
    }
    result.readings.push_back(reading);
    return Reject::none;
  }

  // They go with the machine and the time of the values, and before them: what the machine is doing
  // is known before what it does.
  Reject complete_beside(DecodeResult& result) {
    if (result.readings.empty()) return Reject::none;
    const Decoded first = result.readings.front();
    std::size_t place = 0;
    for (const auto& what : reader_.tree().beside) {
      const Scalar& scalar = reader_.beside(what);
      if (scalar.kind == Scalar::Kind::absent || scalar.kind == Scalar::Kind::null) continue;
      const auto value = number_of(scalar, settings_.words);
      const Reject reason =
          value ? reader_.count_one() : reader_.refuse_beside(Reject::not_a_number, what);
      if (reason != Reject::none) return reason;
      if (!value) continue;
      result.readings.insert(result.readings.begin() + static_cast<std::ptrdiff_t>(place++),
                             {first.machine, what.sensor, first.time, *value});
    }
    return Reject::none;
  }

  JsonReader reader_;
  const InputSettings& settings_;
  std::vector<Found> found_;
};

}  // namespace

std::unique_ptr<Format> make_json(const Input& input, const LimitSettings& limits) {
  return std::make_unique<JsonFormat>(input, limits);
}

}  // namespace millwright::ingest
