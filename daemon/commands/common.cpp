#include "daemon/commands/common.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "daemon/command.h"
#include "daemon/paths.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

// A terminal or /dev/null holds nothing that could be lost, and whoever names it twice means it.
bool same_file(const fs::path& a, const fs::path& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (fs::exists(a, error) && fs::exists(b, error))
    return !fs::is_character_file(a, error) && fs::equivalent(a, b, error);
  const auto whole = [&](const fs::path& path) {
    return fs::weakly_canonical(fs::absolute(path, error), error);
  };
  const auto whole_a = whole(a);
  return !whole_a.empty() && whole_a == whole(b);
}

}  // namespace

void add_config_option(CLI::App& app, std::string& file) {
  file = default_config_file;
  app.add_option("-c,--config", file, "Configuration file; conf.d/*.json beside it is merged in")
      ->option_text(fmt::format("FILE={}", default_config_file));
}

std::optional<config::Configuration> load_configuration(const std::filesystem::path& file) {
  auto loaded = config::load(file);
  for (const auto& problem : loaded.problems) fmt::print(stderr, "{}\n", to_string(problem));
  return std::move(loaded.configuration);
}

std::filesystem::path archive_of(const config::Configuration& configuration) {
  if (!configuration.archive.enabled)
    throw std::invalid_argument{
        "no archive is kept (archive.enabled is false), so none can be read"};
  auto file = archive_file(configuration);
  if (::access(file.c_str(), R_OK) == 0) return file;
  const auto why = errno;
  if (why == EACCES || why == EPERM)
    throw Failure{exit_io, fmt::format("only its owner may read the archive {}; try it with sudo",
                                       file.string())};
  if (why == ENOENT || why == ENOTDIR)
    throw Failure{exit_io, fmt::format("there is no archive {}: the daemon makes it when it first "
                                       "runs; --config names another configuration",
                                       file.string())};
  throw std::system_error{why, std::generic_category(), "cannot read " + file.string()};
}

void keep_apart(const std::vector<std::string>& inputs, const std::vector<Output>& outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [option, file] = outputs[i];
    if (file.empty()) continue;
    for (const auto& input : inputs) {
      if (same_file(input, file))
        throw std::invalid_argument{fmt::format(
            "{} {} would overwrite what is to be read; name another file", option, file)};
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (same_file(outputs[j].file, file))
        throw std::invalid_argument{fmt::format("{} and {} name the same file {}; name two files",
                                                outputs[j].option, option, file)};
    }
  }
}

std::string read_input(const std::string& file, std::size_t most) {
  struct Close {
    void operator()(std::FILE* stream) const {
      if (stream != stdin) std::fclose(stream);
    }
  };
  const auto fail = [&] {
    throw std::system_error(errno, std::generic_category(), fmt::format("cannot read {}", file));
  };
  const std::unique_ptr<std::FILE, Close> in{file == "-" ? stdin : std::fopen(file.c_str(), "rb")};
  if (!in) fail();
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() <= most) {
    const auto wanted = std::min(buffer.size(), most + 1 - text.size());
    const auto got = std::fread(buffer.data(), 1, wanted, in.get());
    text.append(buffer.data(), got);
    if (got < wanted) break;
  }
  if (std::ferror(in.get()) != 0) fail();
  return text;
}

}  // namespace millwright::daemon
