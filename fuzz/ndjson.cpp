#include "daemon/ndjson.h"

#include <stdexcept>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  try {
    (void)daemon::parse_reading(fuzz::text_of(data, size));
  } catch (const std::invalid_argument&) {
    // A line that is refused in words.
  }
  return 0;
}
