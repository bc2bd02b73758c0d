#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    InputSettings settings;
    settings.topic = "plant/{machine}/{sensor}";
    settings.format = PayloadFormat::text;
    settings.machine = "{machine}";
    settings.sensor = "{sensor}";
    settings.words = {{"on", 1}, {"off", 0}};
    return std::vector{settings};
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
