// The one list of detectors: factory, config parser, schema, docs and the conformance suite follow
// it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <tuple>

#include "detectors/auto.h"
#include "detectors/clock.h"
#include "detectors/detector.h"
#include "detectors/drift.h"
#include "detectors/gap.h"
#include "detectors/limit.h"
#include "detectors/model.h"
#include "detectors/pattern.h"
#include "detectors/rate.h"
#include "detectors/saturated.h"
#include "detectors/seasonal.h"
#include "detectors/shift.h"
#include "detectors/spike.h"
#include "detectors/spread.h"
#include "detectors/stuck.h"
#include "detectors/trend.h"

namespace millwright::detectors {

using All = std::tuple<Auto, Precise, Limit, Rate, Spike, Shift, Gap, Stuck, Drift, Trend,
                       Saturated, Spread, Pattern, Seasonal, Model, Clock>;

// In the order of All; a detector's place here is its index in the engine.
std::span<const DetectorType> types();

// Index by name, or `types().size()`.
std::size_t find_type(std::string_view name);

}  // namespace millwright::detectors
