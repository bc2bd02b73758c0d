#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    auto settings = fuzz::settings_of(PayloadFormat::text);
    settings.words = {{"on", 1}, {"off", 0}};
    return std::vector{settings};
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
