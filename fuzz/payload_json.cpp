#include "fuzz/payload.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const auto inputs = [] {
    InputSettings plain;
    plain.topic = "plant/{machine}/#";
    plain.value = "/signals/{signal}/v";
    plain.time = "/ts";
    plain.machine = "{machine}";
    plain.sensor = "{signal}";
    plain.also = {{"program", "/program"}};
    plain.words = {{"on", 1}, {"off", 0}};
    auto joined = plain;
    joined.value = "/values/{signal}";
    joined.time = "/times/{signal}";
    joined.also = {};
    auto listed = plain;
    listed.value = "/list/*/value";
    listed.time = "/list/*/t";
    listed.sensor = "{/list/*/name}";
    listed.where = {};
    auto whole = plain;
    whole.value = "";
    whole.time = "";
    whole.sensor = "all";
    return std::vector{plain, joined, listed, whole};
  }();
  fuzz::decode(inputs, fuzz::text_of(data, size));
  return 0;
}
