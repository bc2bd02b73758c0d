#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    InputSettings settings;
    settings.topic = "plant/{machine}/{sensor}";
    settings.format = PayloadFormat::packed_json;
    settings.value = "/samples";
    settings.time = "/t0";
    settings.machine = "{machine}";
    settings.sensor = "{sensor}";
    auto with_rate = settings;
    with_rate.rate_hz = 1000;
    with_rate.time = "";
    return std::vector{settings, with_rate};
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
