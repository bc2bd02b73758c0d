// Runs a program to its end and catches what it says.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace millwright::test {

struct Finished {
  int code = 0;  // exit code; 128 + signal when a signal ended it
  std::string out, err;
};

struct Call {
  std::string program;
  std::vector<std::string> arguments;
  std::string input;                               // standard input
  std::map<std::string, std::string> environment;  // added to the test's own
  std::string out_file;  // standard output goes here instead, e.g. /dev/full
};

// Throws std::system_error when it cannot be started, std::runtime_error when it runs for more than
// a minute.
Finished run_program(const Call& call);

}  // namespace millwright::test
