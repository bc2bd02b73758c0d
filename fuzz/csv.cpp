#include "ingest/csv.h"

#include <sstream>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  std::istringstream in{std::string{fuzz::text_of(data, size)}};
  try {
    ingest::CsvReader reader{in, "machine"};
    ingest::CsvRow row;
    std::uint64_t line = 0;
    while (reader.next(row)) {
      fuzz::require(row.line > line, "lines only rise");
      line = row.line;
      for (const auto& value : row.values) {
        fuzz::require(reader.shape() == ingest::CsvShape::long_shape ||
                          value.column < reader.sensors().size(),
                      "a value belongs to a sensor");
      }
    }
    fuzz::require(
        reader.problems().size() <= 100 && reader.problems().size() <= reader.problem_count(),
        "problems are bounded");
  } catch (const ingest::CsvError&) {
    // A file that is refused in words.
  }
  return 0;
}
