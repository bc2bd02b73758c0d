// docs/command-line.md is held to what --help says: every command with its example, every option,
// and no other.
#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/millwright.h"
#include "tests/support/temporary.h"

using namespace millwright::test;

namespace {

// The commands as the whole help lists them; a long summary stands on a line of its own.
std::vector<std::string> commands_of_help() {
  std::istringstream help{run_millwright({"--help"}).out};
  std::vector<std::string> commands;
  bool inside = false;
  for (std::string line; std::getline(help, line);) {
    if (line == "Commands:") {
      inside = true;
    } else if (line.empty()) {
      inside = false;
    } else if (inside && line.size() > 2 && line[2] != ' ') {
      commands.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return commands;
}

// From `## name` to the next heading of that size.
std::string section(const std::string& page, const std::string& name) {
  const auto begin = page.find("\n## " + name + "\n");
  if (begin == std::string::npos) return {};
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

std::set<std::string> long_options(const std::string& text) {
  static const std::regex option{"--[a-z][a-z0-9-]*"};
  std::set<std::string> found;
  for (auto it = std::sregex_iterator{text.begin(), text.end(), option};
       it != std::sregex_iterator{}; ++it) {
    found.insert(it->str());
  }
  return found;
}

}  // namespace

TEST_CASE("the page of the command line has every command, its example and exactly its options") {
  const auto page = read_file(MILLWRIGHT_SOURCE "/docs/command-line.md");
  const auto commands = commands_of_help();
  REQUIRE(commands.size() >= 8);
  for (const auto& command : commands) {
    CAPTURE(command);
    const auto text = section(page, command);
    CHECK(!text.empty());
    const auto help = run_millwright({command, "--help"}).out;
    auto in_help = long_options(help);
    in_help.erase("--help");
    auto in_text = long_options(text);
    in_text.erase("--help");
    for (const auto& option : in_help) {
      CAPTURE(option);
      CHECK(in_text.contains(option));
    }
    for (const auto& option : in_text) {
      CAPTURE(option);
      CHECK(in_help.contains(option));
    }
    const auto at = help.find("Example:\n  ");
    REQUIRE(at != std::string::npos);
    const auto begin = at + std::string{"Example:\n  "}.size();
    const auto example = help.substr(begin, help.find('\n', begin) - begin);
    CAPTURE(example);
    CHECK(contains(text, example));
  }
}

TEST_CASE("the page of the command line has no command that the program does not have") {
  const auto page = read_file(MILLWRIGHT_SOURCE "/docs/command-line.md");
  const auto commands = commands_of_help();
  const std::set<std::string> known{commands.begin(), commands.end()};
  std::istringstream lines{page};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("## ") || line == "## Exit codes") continue;
    CAPTURE(line);
    CHECK(known.contains(line.substr(3)));
  }
}
