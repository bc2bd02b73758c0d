// Healthy readings to inject faults into: synthetic families at four sampling intervals, generated
// with seeds, and recorded series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright::bench {

// A sampling interval, and how many readings everything takes at it.
struct Rate {
  std::string_view name;
  Duration interval{};
  std::size_t learn = 0;    // before anything is injected
  std::size_t lasting = 0;  // of an injected fault that lasts
  std::size_t drift = 0;    // until a drift has reached its size
  std::size_t span = 0;     // of the test part in which an injection may begin
  std::size_t healthy = 0;  // of the continuation on which false alerts are counted
};

inline constexpr std::size_t rate_count = 4;
std::span<const Rate, rate_count> rates();
// The one whose interval is nearest by ratio.
std::size_t nearest_rate(Duration interval);

// What a sensor reads is `signal` + `noise`, to the next multiple of `step` where there is one.
struct Background {
  std::string name;
  Rate rate;  // a recorded series has lengths of its own here
  std::vector<Timestamp> times{};
  std::vector<double> signal{}, noise{};  // noise: empty on recorded series, where nobody knows it
  double step = 0;                        // resolution; 0: none

  std::size_t size() const { return times.size(); }
  double reading(std::size_t i) const;
  double at_resolution(double value) const;
};

// Names of the synthetic families.
std::span<const std::string_view> families();

// `family` is an index into families(); the same seed gives the same readings, however many are
// asked for.
Background synthetic(const Rate& rate, std::size_t family, std::uint64_t seed,
                     std::size_t readings);

// The columns of a wide replay file (`time,NAME,...`), or the one named. `place` is FILE or
// FILE:COLUMN. Empty cells are skipped. Throws std::runtime_error with file and line on what cannot
// be read, and on series of less than 400 readings.
std::vector<Background> recorded(const std::string& place);

// What a reading's neighbourhood of five is when its local noise is estimated.
enum class Around : std::uint8_t {
  neighbours,  // the median of the two before and the two after: follows a slope, not the reading
  five,  // the median of all five: where the signal rises or falls, that is the reading itself
};

// The local noise of the learning part: 1.4826 times the median of |reading - median around it|,
// over what that is for white Gaussian noise of deviation 1, so that sigma of white noise is its
// standard deviation. At least the resolution, the smallest change seen. 0 when nothing moves.
double local_sigma(const Background& background, Around around);

// The share of changes between neighbours of the learning part that are zero.
double flat_share(const Background& background);

}  // namespace millwright::bench
