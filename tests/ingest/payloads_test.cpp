// Every example in docs/payloads.md decodes to the readings that stand below it.
//
// An example is a sequence of fenced blocks: ```json input``` (an input of the configuration), then
// ```<language> message TOPIC [PROPERTY=VALUE...]``` (language hex: bytes in hexadecimal), then
// ```text readings``` with `machine/sensor time value` or `refused REASON POINTER` per line. An
// input serves all messages until the next one.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "ingest/decoder.h"

using namespace millwright;
using ingest::Decoder;
using ingest::DecodeResult;
using nlohmann::json;

namespace {

struct Block {
  int line = 0;
  std::string info, text;
};

std::vector<Block> fenced_blocks(const std::string& file) {
  std::ifstream in{file};
  REQUIRE_MESSAGE(in, "cannot read ", file);
  std::vector<Block> blocks;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({number, line.substr(3), {}});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  REQUIRE_MESSAGE(!inside, "a block is not closed");
  return blocks;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

template <class T>
T one_of(const std::map<std::string, T>& choices, const std::string& name) {
  return choices.at(name);
}

InputSettings input_of(const json& text) {
  InputSettings input;
  for (const auto& [key, value] : text.items()) {
    if (key == "topic")
      input.topic = value;
    else if (key == "where")
      input.where = value.get<std::map<std::string, std::string>>();
    else if (key == "format")
      input.format = one_of<PayloadFormat>({{"json", PayloadFormat::json},
                                            {"text", PayloadFormat::text},
                                            {"packed_json", PayloadFormat::packed_json},
                                            {"packed_binary", PayloadFormat::packed_binary}},
                                           value);
    else if (key == "value")
      input.value = value;
    else if (key == "time")
      input.time = value;
    else if (key == "time_format")
      input.time_format = one_of<TimeFormat>(
          {{"iso8601", TimeFormat::iso8601}, {"epoch_ms", TimeFormat::epoch_ms}}, value);
    else if (key == "machine")
      input.machine = value;
    else if (key == "sensor")
      input.sensor = value;
    else if (key == "also")
      input.also = value.get<std::map<std::string, std::string>>();
    else if (key == "words")
      input.words = value.get<Words>();
    else if (key == "rate_hz")
      input.rate_hz = value.get<double>();
    else if (key == "scale")
      input.scale = value;
    else if (key == "offset")
      input.offset = value;
    else if (key == "sample_type")
      input.sample_type = one_of<SampleType>({{"int16", SampleType::int16}}, value);
    else
      throw std::invalid_argument{"the test does not know the key " + key};
  }
  return input;
}

std::string from_hex(const std::string& text) {
  std::string out, digits;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return out;
}

void check_readings(const DecodeResult& result, const std::string& text) {
  std::istringstream in{text};
  std::size_t readings = 0, refused = 0;
  for (std::string line; std::getline(in, line);) {
    CAPTURE(line);
    const std::vector<std::string> parts = words(line);
    if (parts.at(0) == "refused") {
      REQUIRE(refused < result.rejected.size());
      CHECK(name_of(result.rejected[refused].reason) == parts.at(1));
      CHECK(result.rejected[refused].where == parts.at(2));
      ++refused;
      continue;
    }
    REQUIRE(readings < result.readings.size());
    const ingest::Decoded& reading = result.readings[readings++];
    std::string expected;
    for (std::size_t i = 0; i + 2 < parts.size(); ++i) expected += (i == 0 ? "" : " ") + parts[i];
    CHECK(std::string{reading.machine} + "/" + std::string{reading.sensor} == expected);
    CHECK(format_time(reading.time) == parts.at(parts.size() - 2));
    CHECK(reading.value == std::stod(parts.back()));
  }
  CHECK(readings == result.readings.size());
  CHECK(refused == result.rejected.size());
}

}  // namespace

TEST_CASE("the examples of docs/payloads.md decode to what stands below them") {
  const Timestamp received = *parse_time("2024-11-22T04:33:21Z");
  std::vector<InputSettings> inputs;
  int examples = 0;
  std::string topic, payload, properties;
  for (const Block& block : fenced_blocks(MILLWRIGHT_SOURCE "/docs/payloads.md")) {
    CAPTURE(block.line);
    const std::vector<std::string> info = words(block.info);
    REQUIRE(info.size() >= 2);
    if (info[1] == "input") {
      inputs = {input_of(json::parse(block.text))};
    } else if (info[1] == "message") {
      topic = info.at(2);
      payload = info[0] == "hex" ? from_hex(block.text) : block.text;
      properties.clear();
      for (std::size_t i = 3; i < info.size(); ++i) {
        const std::size_t equals = info[i].find('=');
        properties += info[i].substr(0, equals) + '\0' + info[i].substr(equals + 1) + '\0';
      }
    } else {
      REQUIRE(info[1] == "readings");
      Decoder decoder{inputs, LimitSettings{}};
      DecodeResult result;
      decoder.decode({topic, payload, properties, received, false}, result);
      CHECK(name_of(result.reject) == "none");
      check_readings(result, block.text);
      ++examples;
    }
  }
  CHECK(examples >= 16);
}
