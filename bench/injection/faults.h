// The faults that are injected: what each does to the readings of a background.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "bench/injection/backgrounds.h"

namespace millwright::bench {

enum class Fault : std::uint8_t {
  spike,
  dip,
  burst,
  step,
  variance,
  drift,
  oscillation,
  noise_loss,
  stuck,
  gap,
  count_
};
inline constexpr auto fault_count = static_cast<std::size_t>(Fault::count_);
std::string_view name_of(Fault fault);

// One fault at one place.
struct Injection {
  Fault fault{};
  std::size_t start = 0;       // the first reading that is touched
  double sigma = 1, size = 6;  // local noise; the fault's size in it
  std::uint64_t seed = 0;      // of noise that is added to a recorded series
};

// Readings that the fault touches.
std::size_t duration_of(Fault fault, const Rate& rate);
// Readings after its end that may still raise the alert: what was decided late counts too.
std::size_t tolerance_of(Fault fault);

// The readings from `start` to the end of the tolerance, with the fault; nothing where a gap
// swallowed it. The background reaches that far.
std::vector<std::optional<double>> injected(const Background& background,
                                            const Injection& injection);

}  // namespace millwright::bench
