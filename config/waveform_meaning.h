// What one key of a profile's `waveform` alone cannot show.
#pragma once

#include <string>

#include "config/document.h"
#include "engine/plan.h"

namespace millwright::config {

// `node`: the profile or override as written, `pointer` its place.
void check_waveform(const engine::Profile& profile, const Node& node, const std::string& pointer,
                    Report& report);

}  // namespace millwright::config
