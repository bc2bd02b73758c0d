// What a payload format is: one object per input that turns payloads into readings.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/accounting.h"
#include "core/settings.h"
#include "ingest/decoder.h"
#include "ingest/input.h"

namespace millwright::ingest {

// What the topic of a message says; borrowed.
struct FromTopic {
  const Captured& captures;
  std::string_view machine, sensor;  // of templates that need the topic alone; else empty
};

class Format {
 public:
  virtual ~Format() = default;
  // Appends to `result`, which is empty before. A reason other than `none` refuses the whole
  // message. The payload is neither empty nor too large. Data path: throws nothing.
  virtual Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) = 0;
};

// Throws std::invalid_argument (see describe_problem) for settings that the format cannot serve.
using MakeFormat = std::unique_ptr<Format>(const Input& input, const LimitSettings& limits);

// For formats without JSON: throws when `value`, `time` or a name asks for something from the
// payload.
void require_topic_alone(const Input& input, std::string_view format);

// A number as people and machines write it: surrounding white space and a leading + are taken,
// `NaN` and `Infinity` (any case, short forms too) are NaN and infinities, and so is what
// overflows. Nothing for all else.
std::optional<double> parse_number(std::string_view text);

// The value of a raw one that comes alone. Adding an offset of 0 would take the sign from -0.
inline double scaled(double raw, double scale, double offset) {
  return offset == 0 ? raw * scale : raw * scale + offset;
}

// Without white space around it.
std::string_view trimmed(std::string_view text);

// Of A to Z; `lower` is in lower case.
bool equal_ignoring_case(std::string_view text, std::string_view lower);

// The MQTT 5 user property of that name, if there.
std::optional<std::string_view> user_property(std::string_view properties, std::string_view name);

}  // namespace millwright::ingest
