// A JSON Pointer with captures; the first line is what its capture `a` must match.
#include <stdexcept>

#include "fuzz/fuzz.h"
#include "ingest/pointer.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  auto rest = fuzz::text_of(data, size);
  const std::string expression{fuzz::take_line(rest)};
  try {
    // Nothing of an administrator's is longer; std::regex takes ages to compile some.
    if (expression.size() > 32) return 0;
    const auto pointer = ingest::parse_pointer(
        rest, expression.empty() ? std::map<std::string, std::string>{}
                                 : std::map<std::string, std::string>{{"a", expression}});
    std::string again;
    for (const auto& step : pointer) {
      if (step.kind == ingest::Step::Kind::each) return 0;
      again += "/" + ingest::escape_step(step.key);
    }
    fuzz::require(again == rest, "a pointer without captures is written as it was read");
  } catch (const std::invalid_argument&) {
    // A pointer that is refused in words.
  }
  return 0;
}
