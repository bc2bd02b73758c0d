// Whether what was alarmed is still there. A moving level, and a record, get used to a fault that
// lasts within hours; an alarm must not end by that. So an alarm keeps what was usual before it,
// and is upheld until that is back.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/codec.h"
#include "detectors/numbers.h"

namespace millwright::detectors {

class Standing {
 public:
  Standing() = default;
  // `statistic`: an index, which is away from `band` on; `before`: the level of the sensor then,
  // relative to its origin; `age` of the sensor, s; `told`: there was an alarm.
  Standing(std::size_t statistic, double before, double band, double age, bool told)
      : before_(as_float(before)),
        band_(as_float(band)),
        from_(static_cast<std::uint32_t>(within(age, 0, 4e9))),
        statistic_(static_cast<std::uint8_t>(statistic)),
        told_(told) {}

  // There was something, and it is not over.
  bool any() const { return band_ != 0; }
  std::size_t statistic() const { return statistic_; }
  double before() const { return before_; }
  double band() const { return std::abs(static_cast<double>(band_)); }
  // Since it was noticed, s.
  double lasted(double age) const { return std::max(0.0, age - static_cast<double>(from_)); }
  // It has lasted for `longest`, or for as long as what was before it was known: the one is no more
  // usual than the other. s.
  bool is_old_news(double age, double longest) const {
    return lasted(age) >= std::min(static_cast<double>(from_), longest);
  }

  struct Look {
    bool upheld = false;
    bool below = false;     // it went down
    std::uint8_t back = 0;  // frames since it was away
  };
  // `away`: how far it is now, with the sign of its side; nothing: not known. Once it is away, the
  // other side is none. It is over when it was below `back_at` of the band for `patience` frames.
  Look look(std::optional<double> away, double back_at, std::size_t patience) const {
    Look out{upheld_, std::signbit(band_), back_};
    if (out.back < 255) ++out.back;
    if (!away) return out;
    if (!upheld_) out.below = *away < 0;
    if ((out.below ? -*away : *away) >= (upheld_ ? back_at : 1) * band()) {
      out.upheld = any();
      out.back = 0;
    } else if (out.back >= patience) {
      out.upheld = false;
    }
    return out;
  }
  // So it was, by the newest frame.
  bool upheld() const { return upheld_; }
  // People were told of it.
  bool told() const { return told_; }
  void go_on(const Look& look, bool alarm) {
    upheld_ = look.upheld;
    back_ = look.back;
    band_ = std::copysign(band_, look.below ? -1.0F : 1.0F);
    told_ |= alarm;
  }

  static void fields(auto& io, auto& self) {
    io(self.before_, self.band_, self.from_, self.statistic_, self.upheld_, self.told_, self.back_);
    refuse_unless(io,
                  in_bounds(static_cast<double>(self.before_), static_cast<double>(self.band_)));
  }

 private:
  float before_ = 0;
  float band_ = 0;          // < 0: below
  std::uint32_t from_ = 0;  // age, s
  std::uint8_t statistic_ = 0;
  bool upheld_ = false, told_ = false;
  std::uint8_t back_ = 0;
};

}  // namespace millwright::detectors
