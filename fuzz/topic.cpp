// A pattern, and topics against it.
#include <algorithm>
#include <stdexcept>

#include "fuzz/fuzz.h"
#include "ingest/decoder.h"
#include "ingest/topic.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  auto rest = fuzz::text_of(data, size);
  const std::string pattern{fuzz::take_line(rest)};
  try {
    const ingest::TopicPattern compiled{pattern};
    InputSettings input;
    input.topic = pattern;
    input.format = PayloadFormat::text;
    input.machine = compiled.captures().empty() ? "m" : "{" + compiled.captures().front() + "}";
    input.sensor = "s";
    ingest::LaneRouter router{{input}, 4};
    while (!rest.empty()) {
      const auto topic = fuzz::take_line(rest);
      ingest::Captured captured;
      const bool matches = compiled.match(topic, captured);
      fuzz::require(!matches || captured.size() == compiled.captures().size(),
                    "a topic that matches gives every capture");
      for (const auto part : captured) {
        fuzz::require(part.find('/') == std::string_view::npos, "a capture is within a level");
      }
      const auto lane = router.lane(topic);
      fuzz::require(lane.has_value() == matches && lane.value_or(0) < 4,
                    "the router takes what the pattern takes");
    }
  } catch (const std::invalid_argument&) {
    // A pattern that is refused in words.
  }
  return 0;
}
