#include "bench/injection/faults.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "core/random.h"

namespace millwright::bench {
namespace {

constexpr std::array<std::string_view, fault_count> names{
    "spike", "dip",         "burst",      "step",  "variance",
    "drift", "oscillation", "noise_loss", "stuck", "gap"};
constexpr double oscillation_period = 12;  // readings
constexpr double louder = 2, quieter = 0.1;
constexpr std::size_t smoothing = 25;  // readings that take noise off a recorded series

// A drift stays where it arrived for a quarter of the time it took.
std::size_t stay_of(const Rate& rate) { return rate.drift / 4; }

double running_mean(const Background& background, std::size_t i) {
  const auto first = i < smoothing / 2 ? 0 : i - smoothing / 2;
  const auto last = std::min(background.size(), i + smoothing / 2 + 1);
  double sum = 0;
  for (auto k = first; k < last; ++k) sum += background.reading(k);
  return sum / static_cast<double>(last - first);
}

// The reading with its noise `factor` times as loud.
double with_noise(const Background& background, const Injection& injection, std::size_t i,
                  double factor, Random& random) {
  if (!background.noise.empty())
    return background.at_resolution(background.signal[i] + factor * background.noise[i]);
  if (factor < 1) return running_mean(background, i);
  // Independent noise on top, so that the variances add up to the square of the factor.
  return background.reading(i) + std::sqrt(factor * factor - 1) * injection.sigma * random.normal();
}

// What the fault adds to its k-th reading, in sigma.
double offset_of(const Injection& injection, const Rate& rate, std::size_t k) {
  const double size = injection.size, turn = static_cast<double>(k) / oscillation_period;
  switch (injection.fault) {
    case Fault::spike:
    case Fault::burst:
      return size;
    case Fault::dip:
      return -size;
    case Fault::step:
      return size / 2;
    case Fault::drift:
      return size * std::min(1.0, static_cast<double>(k + 1) / static_cast<double>(rate.drift));
    case Fault::oscillation:
      return size / 2 * std::sin(2 * std::numbers::pi * turn);
    case Fault::variance:
    case Fault::noise_loss:
    case Fault::stuck:
    case Fault::gap:
    case Fault::count_:
      return 0;
  }
  return 0;
}

}  // namespace

std::string_view name_of(Fault fault) { return names.at(static_cast<std::size_t>(fault)); }

std::size_t duration_of(Fault fault, const Rate& rate) {
  switch (fault) {
    case Fault::spike:
    case Fault::dip:
      return 1;
    case Fault::burst:
      return 5;
    case Fault::drift:
      return rate.drift + stay_of(rate);
    default:
      return rate.lasting;
  }
}

std::size_t tolerance_of(Fault fault) { return fault == Fault::burst ? 10 : 5; }

std::vector<std::optional<double>> injected(const Background& background,
                                            const Injection& injection) {
  const auto& rate = background.rate;
  const auto touched = duration_of(injection.fault, rate);
  const auto all = touched + tolerance_of(injection.fault);
  check(injection.start > 0 && injection.start + all <= background.size(),
        "an injection lies within its background");
  std::vector<std::optional<double>> out;
  Random random{injection.seed};
  for (std::size_t k = 0; k < all; ++k) {
    const auto i = injection.start + k;
    if (k >= touched) {
      out.emplace_back(background.reading(i));
      continue;
    }
    switch (injection.fault) {
      case Fault::variance:
        out.emplace_back(with_noise(background, injection, i, louder, random));
        break;
      case Fault::noise_loss:
        out.emplace_back(with_noise(background, injection, i, quieter, random));
        break;
      case Fault::stuck:
        out.emplace_back(background.reading(injection.start - 1));
        break;
      case Fault::gap:
        out.emplace_back(std::nullopt);
        break;
      default: {
        const double added = injection.sigma * offset_of(injection, rate, k);
        const double noise = background.noise.empty() ? 0 : background.noise[i];
        out.emplace_back(background.at_resolution(background.signal[i] + noise + added));
      }
    }
  }
  return out;
}

}  // namespace millwright::bench
