// A line with the command's name, its JSON, and the answer to it.
#include "daemon/command_document.h"

#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  auto rest = fuzz::text_of(data, size);
  const auto name = fuzz::take_line(rest);
  const auto read = daemon::read_command(name, rest);
  fuzz::require(read.known || !read.problem.empty(), "what is not known is told");
  storage::Operation operation;
  operation.command = name;
  operation.by = read.command.by;
  operation.comment = read.command.comment;
  operation.alert = read.command.alert;
  operation.machine = read.command.machine;
  operation.sensor = read.command.sensor;
  operation.from = read.command.from;
  operation.to = read.command.to;
  operation.text = read.problem;
  operation.correlation = rest;
  const auto answer = daemon::answer_document(operation);
  fuzz::require(nlohmann::json::accept(answer), "the answer is JSON");
  fuzz::require(answer.find('\n') == std::string::npos, "and one line");
  return 0;
}
