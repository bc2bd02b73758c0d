// What one key alone cannot show: keys that need, contradict or hide each other.
#pragma once

#include "config/describe.h"
#include "config/document.h"

namespace millwright::config {

void check_meaning(const Node& root, const Draft& draft, Report& report);

}  // namespace millwright::config
