// The command line: finds the command, runs it, and ends every failure as one sentence and an exit
// code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/read.h"
#include "daemon/command.h"
#include "daemon/printable.h"
#include "daemon/version.h"

namespace {

using namespace millwright;
using namespace millwright::daemon;

int fail(ExitCode code, std::string_view sentence) {
  while (sentence.ends_with('\n')) sentence.remove_suffix(1);
  fmt::print(stderr, "millwright: {}\n", printable(sentence));
  return code;
}

// What is wrong with the command's name, if anything; CLI11 alone says only that it did not expect
// the word.
std::optional<std::string> command_problem(int argc, char** argv) {
  if (argc < 2) return "a command is missing; `millwright --help` lists them";
  const std::string_view word = argv[1];
  if (word.starts_with('-')) return std::nullopt;
  std::vector<std::string_view> names;
  for (const auto* command : commands()) {
    if (command->name == word) return std::nullopt;
    names.push_back(command->name);
  }
  const auto meant = config::nearest(word, names);
  return fmt::format("there is no command `{}`; {}", word,
                     meant.empty() ? std::string{"`millwright --help` lists them"}
                                   : fmt::format("did you mean `{}`?", meant));
}

struct Choice {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

std::vector<Choice> add_commands(CLI::App& app) {
  std::vector<Choice> choices;
  for (const auto* command : commands()) {
    auto* sub = app.add_subcommand(std::string{command->name}, std::string{command->summary});
    sub->group("Commands");
    sub->footer(fmt::format("Example:\n  {}", command->example));
    choices.push_back({sub, command->prepare(*sub)});
  }
  return choices;
}

int run_chosen(const std::vector<Choice>& choices) {
  for (const auto& choice : choices) {
    if (choice.app->parsed()) return choice.run();
  }
  return fail(exit_usage, "a command is missing; `millwright --help` lists them");
}

int run_command_line(int argc, char** argv) {
  if (const auto problem = command_problem(argc, argv)) return fail(exit_usage, *problem);
  CLI::App app{"Watches the sensors of factory robots and tells the crew which machine needs work",
               "millwright"};
  auto formatter = app.get_formatter();
  formatter->label("SUBCOMMAND", "COMMAND");
  formatter->label("Positionals", "Arguments");
  formatter->column_width(34);
  app.require_subcommand(0, 1);  // 1 would hide what is wrong with an option
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.set_version_flag("--version", build_line(), "Show which build this is and exit");
  app.footer("`millwright COMMAND --help` shows the options of a command and an example.");
  const auto choices = add_commands(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return exit_ok;
  } catch (const CLI::CallForVersion&) {
    fmt::print("{}\n", build_line());
    return exit_ok;
  } catch (const CLI::ParseError& error) {
    return fail(exit_usage, error.what());
  }
  return run_chosen(choices);
}

int guarded(int argc, char** argv) {
  try {
    return run_command_line(argc, argv);
  } catch (const Failure& failure) {
    return fail(failure.code(), failure.what());
  } catch (const std::invalid_argument& error) {
    return fail(exit_usage, error.what());
  } catch (const std::system_error& error) {
    return fail(exit_io, error.what());
  } catch (const std::exception& error) {
    return fail(exit_internal, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int code = guarded(argc, argv);
  // A full disk behind `>` must not look like success.
  if (std::fflush(stdout) != 0 && code == exit_ok) {
    return fail(exit_io, "cannot write to standard output");
  }
  return code;
}
