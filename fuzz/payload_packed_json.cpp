#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    auto settings = fuzz::settings_of(PayloadFormat::packed_json);
    settings.value = "/samples";
    settings.time = "/t0";
    auto with_rate = settings;
    with_rate.rate_hz = 1000;
    with_rate.time = "";
    return std::vector{settings, with_rate};
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
