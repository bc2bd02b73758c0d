#include "core/time.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  const auto text = fuzz::text_of(data, size);
  for (const auto format : {TimeFormat::automatic, TimeFormat::iso8601, TimeFormat::epoch_s,
                            TimeFormat::epoch_ms, TimeFormat::epoch_us, TimeFormat::epoch_ns}) {
    const auto time = parse_time(text, format);
    if (!time) continue;
    const auto written = format_time(*time);
    const auto again = parse_time(written, TimeFormat::iso8601);
    fuzz::require(again == time, "a time that was read is read again as it is written");
  }
  return 0;
}
