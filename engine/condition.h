// A machine's health as the engine keeps it: what the sensors' own detectors said in the open
// frame, the health itself, and what was told of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/codec.h"
#include "core/health.h"
#include "core/time.h"
#include "detectors/health.h"
#include "detectors/machine.h"

namespace millwright::engine {

// What was told of a health last.
struct ToldHealth {
  Timestamp time{};
  double index = 0;
  std::optional<Timestamp> reaches{};
  static void fields(auto& io, auto& t) { io(t.time, t.index, t.reaches); }
};

class Condition {
 public:
  // A sensor's reading of this frame: the highest ratio of its detectors of class machine.
  void hear(std::size_t sensor, double ratio);
  // The frame is over; `learned`: frames that the machine was learned for. True when the health has
  // changed so much, or so long was nothing told, that it is worth telling.
  bool take(const detectors::Health::Params& params, Timestamp time,
            const detectors::MachineLevel::PerHead& heads, std::uint32_t learned);
  void drop_frame() { said_.clear(); }
  // All but the names: index, parts (`sensor` as its number in `places`), trend and forecast, which
  // count as told.
  MachineHealth tell(const detectors::Health::Params& params, Timestamp time,
                     std::vector<std::size_t>& places);
  std::optional<Forecast> forecast(Timestamp now) const;
  bool told() const { return told_.has_value(); }

  // What is normal is learned anew: of one sensor, of the machine. True when a health was told that
  // no longer holds.
  void forget(std::size_t sensor);
  bool forget();

  static void fields(auto& io, auto& c) {
    io(c.health_, c.said_, c.told_);
    detectors::refuse_unless(io, c.said_.size() <= detectors::MachineLevel::most_sensors);
  }

 private:
  detectors::Health::State health_;
  std::vector<float> said_;  // by sensor; NaN: nothing
  std::optional<ToldHealth> told_;
};

}  // namespace millwright::engine
