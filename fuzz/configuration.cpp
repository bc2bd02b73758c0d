#include "config/config.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  const auto loaded = config::parse(fuzz::text_of(data, size), "c.json");
  for (const auto& problem : loaded.problems) {
    fuzz::require(!problem.message.empty(), "a problem is told in words");
  }
  if (!loaded.configuration) {
    fuzz::require(!loaded.problems.empty(), "what is refused has a problem");
    return 0;
  }
  // It goes through the journal and the checkpoint as text.
  const auto again = config::parse(loaded.text, "again");
  fuzz::require(again.configuration.has_value(), "what was taken is taken again");
  fuzz::require(
      config::fingerprint(*again.configuration) == config::fingerprint(*loaded.configuration),
      "and means the same");
  return 0;
}
