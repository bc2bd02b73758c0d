// How long the past of a residual rings on: the variance of block means over that of single
// readings (the blocking method; Flyvbjerg & Petersen 1989, J. Chem. Phys. 91:461), at block
// lengths 1, 2, 4 ... 2^19, incrementally.
//
// For white noise the factor is 1, for a first-order autoregression with long blocks (1 + rho) / (1
// - rho); a slow cycle shows at the blocks that are shorter than it. A cumulative sum of the
// residual needs a limit that much higher. Cost: amortised constant per reading.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "detectors/numbers.h"

namespace millwright::detectors {

struct Ringing {
  static constexpr std::size_t levels = 20;

  std::array<double, levels> half{};    // the first of two blocks that make one of the next level
  std::array<double, levels> square{};  // mean square of the block sums, over the block length
  std::uint32_t count = 0;              // readings taken in; its bits say which halves wait

  static void fields(auto& io, auto& self) {
    io(self.half, self.square, self.count);
    for (std::size_t i = 0; i < levels; ++i) {
      refuse_unless(io, in_bounds(self.half[i]) && positive_in_bounds(self.square[i]));
    }
  }

  // `share` of the past is forgotten with each reading.
  void add(double residual, double share) {
    double sum = residual;
    std::uint32_t bits = count++;
    for (std::size_t i = 0; i < levels; ++i, bits >>= 1) {
      const double length = static_cast<double>(1u << i);
      const double blocks = static_cast<double>(count >> i);
      const double rate = std::min(1.0, std::max(share * length, 1 / std::max(blocks, 1.0)));
      square[i] += rate * (sum * sum / length - square[i]);
      if ((bits & 1u) == 0) {
        half[i] = sum;
        return;
      }
      sum += half[i];
    }
  }

  // At least 1. `longest`: blocks of more readings do not count.
  double factor(double longest) const {
    double most = 1;
    for (std::size_t i = 1; i < levels; ++i) {
      const double blocks = static_cast<double>(count >> i);
      if (blocks < 4 || static_cast<double>(1u << i) > longest) break;
      // One block of white noise as a prior: few blocks tell little.
      if (square[0] > 0) most = std::max(most, (square[i] / square[0] * blocks + 1) / (blocks + 1));
    }
    return most;
  }
};

}  // namespace millwright::detectors
