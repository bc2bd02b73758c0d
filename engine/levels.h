// Of rows of values (one per channel), the well separated states that they lie in, if there are
// any: what a machine with a few programs looks like. Anything that moves from one value to the
// next without leaving a gap (noise, drift, the time of day, a random walk) is one state.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/whole.h"

namespace millwright::engine {

struct Level {
  double middle = 0, scatter = 0;  // median; 1.4826 times the median deviation from it
};

// The levels of one channel, rising: all are at least six scatters apart, hold a fair part of the
// values each and nearly all together. Fewer than two: it has none.
std::vector<Level> levels_of(std::vector<double> values, std::size_t most);

using Rows = std::vector<std::vector<double>>;  // NaN: no value; rows may be shorter than others

struct States {
  std::vector<std::vector<double>>
      centres;                  // by state, by channel; NaN: this channel does not tell
  std::vector<double> scatter;  // by channel: the widest level's
  double visit = 0;             // rows that the machine stays in a state, on average
};

// At most so many, numbered as they come first. No centres: it is one state. Two states differ in
// two sensors at least, as one sensor alone may be at fault; and each was left and came back, which
// a fault does not.
// `leaps`: by channel, how far it went within a few frames at least three times. A channel tells
// only if that is half the way between two of its levels: what goes there slowly does not change
// program.
States states_of(const Rows& rows, std::span<const Frames::Channel> channels,
                 std::span<const double> leaps, std::size_t most);

}  // namespace millwright::engine
