#include "engine/plan.h"

#include <algorithm>

#include "detectors/all.h"

namespace millwright::engine {
namespace {

// Matches one `[...]` at the start of `glob` against `c` and consumes it; a `[` without `]` is
// itself.
bool class_matches(std::string_view& glob, char c) {
  const auto end = glob.find(']', 2);
  if (end == std::string_view::npos) {
    const bool same = c == '[';
    glob.remove_prefix(1);
    return same;
  }
  const auto set = glob.substr(1, end - 1);
  glob.remove_prefix(end + 1);
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      if (set[i] <= c && c <= set[i + 2]) return true;
      i += 2;
    } else if (set[i] == c) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<std::vector<DetectorChoice>> detector_set(std::string_view name) {
  if (name != "auto" && name != "precise") return std::nullopt;
  return std::vector<DetectorChoice>{
      {std::string{name}, {}}, {"gap", {}}, {"stuck", {}}, {"clock", {}}};
}

std::vector<DetectorChoice> auto_detectors() { return *detector_set("auto"); }

const Profile& profile_for(const Plan& plan, std::string_view machine, std::string_view sensor) {
  static const Profile fallback = [] {
    Profile profile;
    profile.detectors = auto_detectors();
    return profile;
  }();
  std::string name{machine};
  name.append("/").append(sensor);
  for (const auto& profile : plan.profiles) {
    if (glob_matches(profile.match, name)) return profile;
  }
  return fallback;
}

const MachineProfile& machine_profile_for(const Plan& plan, std::string_view machine) {
  static const MachineProfile fallback;
  for (const auto& profile : plan.machines) {
    if (glob_matches(profile.match, machine)) return profile;
  }
  return fallback;
}

bool glob_matches(std::string_view glob, std::string_view text) {
  // Where the last `*` stood and what it had swallowed: going back there is the only backtracking a
  // glob needs.
  std::string_view star_glob, star_text;
  bool starred = false;
  while (true) {
    if (!glob.empty() && glob[0] == '*') {
      glob.remove_prefix(1);
      star_glob = glob;
      star_text = text;
      starred = true;
      continue;
    }
    if (text.empty() && glob.empty()) return true;
    bool matched = false;
    if (!text.empty() && !glob.empty()) {
      if (glob[0] == '[') {
        matched = class_matches(glob, text[0]);
      } else {
        matched = glob[0] == '?' || glob[0] == text[0];
        glob.remove_prefix(1);
      }
    }
    if (matched) {
      text.remove_prefix(1);
      continue;
    }
    if (!starred || star_text.empty()) return false;
    star_text.remove_prefix(1);
    glob = star_glob;
    text = star_text;
  }
}

}  // namespace millwright::engine
