// What several commands share: the --config option, reading the configuration, reading a file or
// standard input, outputs that would overwrite something.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace CLI {
class App;
}

namespace millwright::daemon {

// Adds --config to `app`, with the installed file as default.
void add_config_option(CLI::App& app, std::string& file);

// The configuration; its problems, warnings too, go to standard error. Nothing when there is an
// error: exit_config.
std::optional<config::Configuration> load_configuration(const std::filesystem::path& file);

// Its archive's file. Throws std::invalid_argument when none is kept, Failure with a hint when it
// is not there or not for this user to read.
std::filesystem::path archive_of(const config::Configuration& configuration);

// A file that a command is to write, and the option that names it.
struct Output {
  std::string_view option;
  std::string file;  // empty: not given
};

// Throws std::invalid_argument when an output is an input, which would be lost, or another output,
// which would be mixed with it. To be called before any of them is opened.
void keep_apart(const std::vector<std::string>& inputs, const std::vector<Output>& outputs);

// The whole of a file, or of standard input for `-`, but at most one byte more than `most`. Throws
// std::system_error.
std::string read_input(const std::string& file, std::size_t most);

}  // namespace millwright::daemon
