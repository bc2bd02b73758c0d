// Runs the built program.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/program.h"

namespace millwright::test {

inline Finished run_millwright(std::vector<std::string> arguments, std::string input = {}) {
  return run_program({.program = MILLWRIGHT_BINARY,
                      .arguments = std::move(arguments),
                      .input = std::move(input),
                      .environment = {},
                      .out_file = {}});
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace millwright::test
