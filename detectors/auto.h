// The detectors behind `"detectors": "auto"` and `"precise"`; see composite.h and
// docs/detectors/auto.md.
#pragma once

#include <string_view>

#include "detectors/composite.h"

namespace millwright::detectors {

struct Auto : Composite<false> {
  static constexpr std::string_view name = "auto";
};

struct Precise : Composite<true> {
  static constexpr std::string_view name = "precise";
};

}  // namespace millwright::detectors
