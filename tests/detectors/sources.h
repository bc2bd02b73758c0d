// Seeded statistics with tails that fall fast or slowly, for the tests of what is fitted to them.
#pragma once

#include <cmath>

#include "core/random.h"

namespace millwright::detectors {

// Statistics as features have them: never negative, with tails that end, fall fast or fall slowly.
struct Source {
  const char* name;
  double (*draw)(Random&);
  double (*reached)(double values);  // the value that is reached once in so many
};
inline const Source exponential{"exponential",
                                [](Random& random) { return -std::log(1 - random.uniform()); },
                                [](double values) { return std::log(values); }};
// Two-sided upper tail 1e-6: 4.8916 (tables of the normal distribution); 1e-8: 5.7307.
inline const Source normal{"normal", [](Random& random) { return std::abs(random.normal()); },
                           [](double values) { return values < 1e7 ? 4.8916 : 5.7307; }};

}  // namespace millwright::detectors
