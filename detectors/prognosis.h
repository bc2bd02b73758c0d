// When a level that grows reaches its limit, and between when and when: for the health of a
// machine.
//
// Levels become block means in four ladders of 32 blocks, each ladder's blocks four times as long
// as those of the one before: the newest days in detail, months in outline. Through the newest 8,
// 12, 16, 24 and 32 blocks of each go three curves,
//   y = a + b t (wear at a constant rate), sqrt y = a + b t (faster and faster), ln y = a + b t
//   (in proportion to the damage that is there),
// with b by Theil and Sen, each weighed by 1 / (error + 0.02)^2, where error is how far a curve
// through the older two thirds misses the newer third, in parts of the newest level. A curve says
// that the limit is reached by t with probability
//   P(t) = Phi((a + b t - f(L)) / sqrt(s_level^2 + s_slope^2 (t - centre)^2 + s_L^2))
// with the curve's own errors (widened as Student's t asks for) and the limit known within a factor
// of about 1 +- spread. The weighed mean of all curves gives the median and the 10 and 90 % points.
//
// Pure; state 1.7 KB; cost 0.2 ms at the end of a block while the level is up, else next to
// nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/codec.h"
#include "core/time.h"
#include "detectors/blocks.h"

namespace millwright::detectors {

// When a limit is reached: with 50, 10 and 90 %.
struct Crossing {
  Timestamp reaches{}, earliest{}, latest{};
  static void fields(auto& io, auto& c) { io(c.reaches, c.earliest, c.latest); }
};

struct Prognosis {
  static constexpr std::size_t ladders = 4, blocks = 32;
  static constexpr std::uint32_t factor = 4;

  struct Ladder {
    std::array<float, blocks> levels{};
    std::array<Timestamp, blocks> times{};
    std::uint8_t filled = 0, next = 0;
    Block block;
    static void fields(auto& io, auto& l) {
      io(l.levels, l.times, l.filled, l.next, l.block);
      for (const float level : l.levels) refuse_unless(io, positive_in_bounds(double{level}));
      refuse_unless(
          io, l.filled <= blocks && l.next < blocks && (l.filled == blocks || l.next == l.filled));
    }
  };
  struct State {
    std::array<Ladder, ladders> ladder{};
    static void fields(auto& io, auto& s) { io(s.ladder); }
  };

  // The limit is lognormal: its median, and the deviation of its logarithm.
  struct Limit {
    double level = 1, spread = 0;
  };
  struct Outlook {
    double slope = 0;  // per second, now
    std::optional<Crossing> crossing{};
    static void fields(auto& io, auto& o) {
      io(o.slope, o.crossing);
      refuse_unless(io, in_bounds(o.slope));
    }
  };

  // `length`: levels in a block of the finest ladder. True when such a block has just ended. Levels
  // are not negative.
  static bool learn(State&, Timestamp, double level, std::uint32_t length);
  // The slope is there from 8 blocks on, a crossing also needs a level of at least `least`.
  static Outlook look(const State&, const Limit&, double least, Timestamp now);
};

}  // namespace millwright::detectors
