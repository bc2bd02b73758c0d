// What the tests of the configuration share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace millwright::test {

inline config::Loaded parsed(std::string_view text) { return config::parse(text, "c.json"); }

inline std::vector<std::string> lines_of(const config::Loaded& loaded) {
  std::vector<std::string> lines;
  for (const auto& problem : loaded.problems) lines.push_back(to_string(problem));
  return lines;
}

inline std::string problems_of(const config::Loaded& loaded) {
  std::string text;
  for (const auto& line : lines_of(loaded)) text += line + "\n";
  return text;
}

// The configuration, which must have no problems at all.
inline config::Configuration good(std::string_view text) {
  auto loaded = parsed(text);
  CAPTURE(text);
  REQUIRE_MESSAGE(loaded.problems.empty(), problems_of(loaded));
  REQUIRE(loaded.configuration);
  return std::move(*loaded.configuration);
}

inline const engine::DetectorChoice* detector(const engine::Profile& profile,
                                              std::string_view name) {
  const auto it =
      std::find_if(profile.detectors.begin(), profile.detectors.end(),
                   [&](const engine::DetectorChoice& choice) { return choice.name == name; });
  return it == profile.detectors.end() ? nullptr : &*it;
}

// Everything a configuration says, but for the password.
inline bool same(const config::Configuration& a, const config::Configuration& b) {
  auto broker_a = a.broker, broker_b = b.broker;
  broker_a.password.clear();
  broker_b.password.clear();
  return a.site == b.site && a.topic_root == b.topic_root &&
         a.state_directory == b.state_directory && broker_a == broker_b && a.inputs == b.inputs &&
         a.plan == b.plan && a.processing == b.processing && a.limits == b.limits &&
         a.archive == b.archive;
}

}  // namespace millwright::test
