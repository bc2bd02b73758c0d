// The table of the faults that were injected: what a test of this folder reports is printed as one
// table at the end of the program, and kept in the build directory for tools/test to show.
#pragma once

#include <cstdint>
#include <string>

namespace millwright::test {

// A row. `times`: how often the fault was injected. `seen`: figures, not "ok"; what must hold is
// CHECKed by the test itself. Thread rule: any thread.
void report_fault(std::string fault, std::int64_t times, std::string expected, std::string seen);

}  // namespace millwright::test
