// The configuration: reading, merging, checking; its JSON Schema and reference page. One
// description (describe.h) of every key drives all of them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/settings.h"
#include "engine/plan.h"

namespace millwright::config {

struct Configuration {
  std::string site = "site";
  std::string topic_root;       // empty: millwright/<site>
  std::string state_directory;  // empty: $STATE_DIRECTORY, else /var/lib/millwright
  BrokerSettings broker;
  std::vector<InputSettings> inputs;
  // Profiles (with overrides in front), machines, reorder, tolerances, site, max_sensors.
  engine::Plan plan;
  ProcessingSettings processing;
  LimitSettings limits;
  ArchiveSettings archive;
  HomeAssistantSettings home_assistant;
};

struct Problem {
  enum class Level { error, warning } level = Level::error;
  std::string file;
  int line = 0, column = 0;  // from 1; 0: the whole file
  std::string pointer;       // JSON Pointer, e.g. /inputs/0/topic
  std::string message;       // what is wrong and what would be right
};

// `file:line:column: error: /pointer: message`
std::string to_string(const Problem& problem);

// A file of a setting; whether it can be read is the command's or the daemon's to find out.
struct NamedFile {
  std::string path;
  Problem at;  // where it stands; a warning without a message
};

struct Loaded {
  std::optional<Configuration> configuration;  // nothing when there is any error
  std::vector<Problem> problems;               // in file order; errors and warnings
  std::vector<NamedFile> files;                // those that the broker's settings name, to be read
  std::string text;  // merged, self-contained JSON that `parse` takes: for the journal
};

// FILE merged with every *.json of the folder conf.d beside it, in name order: objects merge, later
// scalars win, `inputs` and `overrides` are appended, `profiles` and `machines` of later files
// stand before earlier ones.
Loaded load(const std::filesystem::path& file);
// One text, as from a file called `name`.
Loaded parse(std::string_view text, const std::string& name);
// The defaults: profile auto for every sensor, no inputs.
Configuration defaults();

// JSON Schema (draft 2020-12) of a configuration file, and the reference page
// docs/configuration.md, as text.
std::string schema();
std::string reference_page();
// A hash of what the configuration means; equal for equal meaning.
std::string fingerprint(const Configuration& configuration);

}  // namespace millwright::config
