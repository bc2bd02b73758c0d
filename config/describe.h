// The one description of every key: name, type, unit, range, default, help. Reading, checking, the
// JSON Schema, the reference page and the fingerprint all walk it; a key that is not here does not
// exist.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/parameters.h"
#include "core/settings.h"
#include "detectors/detector.h"
#include "engine/plan.h"

namespace millwright::config {

struct Field {
  enum class Type : std::uint8_t {
    text,
    number,
    whole,
    boolean,
    choice,
    texts,      // an object of free keys, all texts
    words,      // an object of free keys, all numbers
    numbers,    // a list of numbers, each greater than the one before
    names,      // a list of some of `choices`
    detectors,  // "auto", "none", names, or names with parameters
    object,     // `fields`
    list,       // of objects; `add` makes one
  };
  // What happens to a list that stands in several files.
  enum class Merge : std::uint8_t { replace, append, prepend };

  std::string_view name;
  Type type{};
  std::string_view help;
  std::string_view unit;
  Range range{0, 0};                      // number, whole
  std::vector<std::string_view> choices;  // choice, names
  std::string_view pattern;               // of a text, for the schema; a regular expression
  std::string_view initial;               // what an empty default stands for
  std::string (*check)(const std::string&) =
      nullptr;  // of a text: what is wrong with it, or nothing
  bool required = false;
  bool secret = false;  // never leaves the configuration file
  Merge merge = Merge::replace;
  // Takes a value of the right type and range; of an object or a list, before what is in it is
  // read.
  std::function<void(const nlohmann::json&)> set;
  std::function<nlohmann::json()> get;                    // null: unset
  std::vector<engine::DetectorChoice>* choice = nullptr;  // detectors
  std::vector<Field> fields;                              // object
  std::function<std::vector<Field>()>
      add;  // list: the fields of a new element, valid until the next one

  Field needed() && {
    required = true;
    return std::move(*this);
  }
  Field hidden() && {
    secret = true;
    return std::move(*this);
  }
  Field checked(std::string (*by)(const std::string&), std::string_view schema_pattern = {}) && {
    check = by;
    pattern = schema_pattern;
    return std::move(*this);
  }
  Field otherwise(std::string_view what) && {
    initial = what;
    return std::move(*this);
  }
  Field in_files(Merge how) && {
    merge = how;
    return std::move(*this);
  }
};

// A profile or an override as written: `limits` stand beside `detectors` until both are known.
struct ProfileDraft {
  std::string sensor;       // override: machine/sensor
  engine::Profile profile;  // `detectors` as the key of that name says
  ParameterValues limits;   // for the detector `limit`, added to whatever `detectors` says
  engine::Waveform waveform;
  bool has_waveform = false;
  ProfileDraft();
};

// The configuration as written, before profiles and overrides become a plan.
struct Draft {
  std::string schema_uri, site, topic_root, state_directory;
  BrokerSettings broker;
  std::vector<InputSettings> inputs;
  std::vector<ProfileDraft> profiles, overrides;
  std::vector<engine::MachineProfile> machines;
  ParameterValues fleet;
  engine::DeskRule desk;
  ProcessingSettings processing;
  Duration reorder{}, future_tolerance{};
  LimitSettings limits;
  ArchiveSettings archive;
  HomeAssistantSettings home_assistant;
  Draft();
};

std::vector<Field> describe(Draft& draft);
std::vector<Field> describe(InputSettings& input);
std::vector<Field> describe_profile(ProfileDraft& draft);
std::vector<Field> describe_override(ProfileDraft& draft);
std::vector<Field> describe_machine(engine::MachineProfile& machine);
// The parameters of a detector, read into `values`.
std::vector<Field> describe(const std::vector<Parameter>& parameters, ParameterValues& values);

// `a whole number from 1 to 64`, `"low", "normal" or "high"`: what a value must be.
std::string expectation(const Field& field);
// A number without needless digits: 0.1, 15, 1e+100.
std::string number_text(double number);
// Whole numbers as such.
nlohmann::json number_json(double number);

}  // namespace millwright::config
