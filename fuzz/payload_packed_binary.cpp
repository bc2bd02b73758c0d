#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    std::vector<InputSettings> all;
    for (const auto type :
         {SampleType::int16, SampleType::int32, SampleType::float32, SampleType::float64}) {
      auto settings = fuzz::settings_of(PayloadFormat::packed_binary);
      settings.sample_type = type;
      if (type != SampleType::int16) settings.rate_hz = 1000;
      all.push_back(settings);
    }
    return all;
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
