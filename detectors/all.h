// The one list of detectors: factory, config parser, schema, docs and the conformance suite follow
// it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <tuple>

#include "detectors/detector.h"
#include "detectors/gap.h"
#include "detectors/limit.h"
#include "detectors/rate.h"
#include "detectors/shift.h"
#include "detectors/spike.h"
#include "detectors/stuck.h"

namespace millwright::detectors {

using All = std::tuple<Limit, Rate, Spike, Shift, Gap, Stuck>;

// In the order of All; a detector's place here is its index in the engine.
std::span<const DetectorType> types();

// Index by name, or `types().size()`.
std::size_t find_type(std::string_view name);

}  // namespace millwright::detectors
