// What a test finds that knows its background: by this the figures of a detector are judged.
#pragma once

#include <cstddef>
#include <optional>

#include "bench/injection/backgrounds.h"
#include "bench/injection/faults.h"

namespace millwright::bench {

// The recall of the best linear two-sided test for a fault of known shape (spike, dip, burst, step,
// drift, oscillation; none for others) on a synthetic family, at one false alert a sensor-month. It
// knows the process and its parameters, and where cycles and programs stand; not where heavy tails
// or bursts strike. A fault that lasts has as many chances in a month as it fits into it.
// `size`: of the fault, in units of the background.
std::optional<double> bound(const Rate& rate, std::size_t family, Fault fault, double size);

}  // namespace millwright::bench
