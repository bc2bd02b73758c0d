// One message through the decoder, as the daemon does it.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "fuzz/fuzz.h"
#include "ingest/decoder.h"

namespace millwright::fuzz {

// Machine and sensor from the topic.
inline InputSettings settings_of(PayloadFormat format) {
  InputSettings settings;
  settings.topic = "plant/{machine}/{sensor}";
  settings.format = format;
  settings.machine = "{machine}";
  settings.sensor = "{sensor}";
  return settings;
}

// The input: a line that follows `plant/` in the topic, a line of user properties with \0 written
// as a blank, the payload. Decodes with each of `inputs` in turn, in both forms that a lane asks
// for.
inline void decode(const std::vector<InputSettings>& inputs, std::string_view input) {
  const auto topic = "plant/" + std::string{take_line(input)};
  std::string properties{take_line(input)};
  for (char& c : properties) c = c == ' ' ? '\0' : c;
  LimitSettings limits;
  limits.readings_per_message = 1000;
  for (const auto& settings : inputs) {
    ingest::Decoder decoder{{settings}, limits};
    for (const bool blocks : {false, true}) {
      ingest::DecodeResult result;
      result.want_blocks = blocks;
      decoder.decode({topic, input, properties, from_microseconds(1'700'000'000'000'000), false},
                     result);
      require(result.reject == Reject::none || (result.readings.empty() && result.blocks.empty()),
              "a refused message yields no reading");
      for (const auto& reading : result.readings) {
        require(!reading.machine.empty() && !reading.sensor.empty(), "a reading has names");
      }
      for (const auto& block : result.blocks) {
        require(block.begin + block.count <= result.samples.size() &&
                    block.after <= result.readings.size() && !std::signbit(block.rate_hz),
                "a block lies in what was decoded");
      }
    }
  }
}

}  // namespace millwright::fuzz
