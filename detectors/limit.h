// Fixed limits, with hysteresis: alarms at a value somebody set.
//
// Both limits: ratio = |x - middle| / half the distance of the limits. One limit: ratio = 1 + (x -
// high) / |high|, or 1 + (low - x) / |low| (1 in place of a limit of 0), not below 0. Once at the
// limit, the ratio stays at 1 or above until the value is `hysteresis` inside it. Without a limit
// there is no score. With `critical`, the ratio above is 1 + (x - high) / (critical - high).
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/detector.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

struct Limit {
  static constexpr std::string_view name = "limit";
  static constexpr AlertKind kind = AlertKind::limit;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;
  static constexpr bool absolute = true;

  struct Params {
    std::optional<double> high, low, critical;
    double hysteresis = 0;
    static void describe(auto& visit, auto& p) {
      const Range any{-largest_magnitude, largest_magnitude};
      visit("high", "sensor unit", any, "Alarm at this value and above", p.high);
      visit("low", "sensor unit", any, "Alarm at this value and below", p.low);
      visit("hysteresis", "sensor unit", Range{0, largest_magnitude},
            "How far inside the limit the value must come back before the alarm is over",
            p.hysteresis);
      visit(
          "critical", "sensor unit", any,
          "From `high` the ratio rises to 2, which is severity critical, at this value; unset: by "
          "the size of `high`",
          p.critical);
    }
  };

  enum class Side : std::int8_t { none = 0, high = 1, low = -1 };
  struct State {
    Side beyond = Side::none;
    static void fields(auto& io, auto& self) {
      io(self.beyond);
      refuse_unless(
          io, self.beyond == Side::none || self.beyond == Side::high || self.beyond == Side::low);
    }
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    if (!p.high && !p.low) return std::nullopt;
    const double x = sample.value;
    double ratio = 0;
    if (p.high) ratio = std::max(ratio, 1 + (x - *p.high) / span_above(p));
    if (p.low) ratio = std::max(ratio, 1 + (*p.low - x) / span(p, *p.low));
    if (side_after(p, s, x) != Side::none) ratio = std::max(ratio, 1.0);
    // The expected value is the nearest permitted one; a side without a limit is open as far as the
    // value goes.
    const double below = p.high ? std::min(x, *p.high) : x;
    const double nearest = p.low ? std::max(below, *p.low) : below;
    return Score{.ratio = std::min(ratio, largest_ratio),
                 .expected = nearest,
                 .low = p.low.value_or(std::min(x, nearest)),
                 .high = p.high.value_or(std::max(x, nearest))};
  }

  static void learn(const Params& p, State& s, Sample sample, Trust) {
    s.beyond = side_after(p, s, sample.value);
  }

  static std::vector<Number> numbers(const Params& p, const State& s, Sample) {
    std::vector<Number> out;
    if (p.high) out.push_back({"high", *p.high});
    if (p.low) out.push_back({"low", *p.low});
    if (p.critical) out.push_back({"critical", *p.critical});
    out.push_back({"hysteresis", p.hysteresis});
    out.push_back({"beyond", static_cast<double>(s.beyond)});
    return out;
  }
  static std::optional<double> recompute(const Told& told) {
    if (told.evidence.empty()) return std::nullopt;
    const double side = told.number("beyond").value_or(0);
    const Params p{told.number("high"), told.number("low"), told.number("critical"),
                   told.number("hysteresis").value_or(0)};
    const State s{side > 0 ? Side::high : side < 0 ? Side::low : Side::none};
    const auto again = score(p, s, told.evidence.back());
    return again ? std::optional{again->ratio} : std::nullopt;
  }

 private:
  static double span_above(const Params& p) {
    if (p.critical && *p.critical > *p.high) return *p.critical - *p.high;
    return span(p, *p.high);
  }
  static double span(const Params& p, double limit) {
    if (p.high && p.low && *p.high > *p.low) return (*p.high - *p.low) / 2;
    return limit == 0 ? 1 : std::abs(limit);
  }
  static Side side_after(const Params& p, const State& s, double x) {
    if (p.high && x >= *p.high) return Side::high;
    if (p.low && x <= *p.low) return Side::low;
    if (s.beyond == Side::high && p.high && x > *p.high - p.hysteresis) return Side::high;
    if (s.beyond == Side::low && p.low && x < *p.low + p.hysteresis) return Side::low;
    return Side::none;
  }
};

}  // namespace millwright::detectors
