// A machine as a whole: its sensors' readings gathered into frames for the detector `machine`, and
// what the engine keeps of that detector.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/reading.h"
#include "detectors/machine.h"
#include "detectors/numbers.h"
#include "engine/alarm.h"
#include "engine/regime.h"
#include "engine/sensor.h"

namespace millwright::engine {

// The name under which alerts of a whole machine go; no sensor may have it.
inline constexpr std::string_view whole_machine = "_machine";

// Puts readings of sensors that report at their own times and rates side by side. A frame is over
// when one of its sensors reports again, at the earliest half a second after it began: rows stay
// rows, whatever their jitter, and what is faster is averaged.
class Frames {
 public:
  // One value of a frame, and its place there: channels come to stay.
  struct Channel {
    std::uint8_t sensor = 0;  // its place among the machine's
    bool scatter = false;     // the standard deviation within the frame; else the level
    static void fields(auto& io, auto& c) { io(c.sensor, c.scatter); }
  };

  // Would this reading begin a new frame? Then close the old one first.
  bool is_over(std::size_t sensor, Timestamp time) const;
  void take(std::size_t sensor, const Sample& sample);
  // The sensor is at fault: it says nothing until it is well again.
  void distrust(std::size_t sensor);
  // The machine does something else now: what a sensor said before says nothing of it.
  void distrust_held();

  // Places taken so far.
  std::size_t size() const { return members_.size(); }
  // How many sensors have had a reading taken in.
  std::size_t known() const;
  // Event time of the newest reading ever; does not fall when sensors' clocks differ.
  Timestamp newest() const { return newest_; }
  // Event time of the first reading of the open frame.
  Timestamp opened() const { return opened_; }
  bool is_empty() const { return !open_; }
  // By channel: the mean of a sensor's readings in the frame, or its last value while that is no
  // older than three of its usual intervals; their standard deviation, for sensors that report many
  // times in a frame; NaN else. Into `values`.
  void read(std::vector<double>& values) const;
  const std::vector<Channel>& channels() const { return channels_; }
  // Shares of channels as shares of sensors, by place.
  std::vector<double> by_sensor(const std::vector<double>& of_channels) const;
  // Forgets the frame's readings; the last values stay.
  void clear();
  // Forgets all values; those of one sensor.
  void forget();
  void forget(std::size_t sensor);

  static void fields(auto& io, auto& f) {
    io(f.members_, f.channels_, f.open_, f.opened_, f.newest_);
    constexpr auto most = detectors::MachineLevel::most_sensors;
    detectors::refuse_unless(io, f.members_.size() <= most && f.channels_.size() <= most);
    for (const auto& channel : f.channels_)
      detectors::refuse_unless(io, channel.sensor < f.members_.size());
  }

 private:
  struct Member {
    double mean = 0, square = 0;  // of the frame's readings; sum of squared deviations
    std::uint32_t count = 0;
    std::uint8_t busy = 0;  // frames of many readings so far
    bool known = false, faulty = false;
    double value = 0;  // the newest
    Timestamp last{};
    float interval = 0;  // s, usual
    static void fields(auto& io, auto& m) {
      io(m.mean, m.square, m.count, m.busy, m.known, m.faulty, m.value, m.last, m.interval);
      detectors::refuse_unless(io, detectors::in_bounds(m.mean, m.value) && m.square >= 0 &&
                                       m.square <= detectors::largest_square &&
                                       m.count <= most_count &&
                                       detectors::positive_in_bounds(m.interval));
    }
    static constexpr std::uint32_t most_count = 1U << 30;
    void forget_readings() {
      mean = square = 0;
      count = 0;
    }
  };
  Member& member(std::size_t sensor);
  void add_channel(std::size_t sensor, bool scatter);

  std::vector<Member> members_;
  std::vector<Channel> channels_;
  bool open_ = false;
  Timestamp opened_{}, newest_{};
};

struct Whole {
  Frames frames;
  detectors::MachineLevel::State state;
  Alarm alarm;
  Baseline baseline;
  IssuedOnsets issued;

  RegimeId regime = no_regime;        // of the open frame
  std::vector<UsualValues> usual;     // by channel, where the machine has regimes
  Baseline of_usual;                  // its version; its count is the values' own
  std::uint64_t learned_regimes = 0;  // one bit each: all channels were known

  // Of one channel in the regime of the frame. How much a value scatters follows what the machine
  // does.
  std::optional<Measure> measure_of(const RegimeRule& rule, std::size_t channel) const;
  // Holds the values of a frame against its regime: NaN where that is not known yet. True when
  // anything is left to compare; then also how many times wider limits are to be.
  bool measure(const RegimeRule& rule, std::vector<double>& values, double& caution) const;
  // True when the regime has just come to be known in all channels.
  bool learn_regime(const RegimeRule& rule, const std::vector<double>& values, Timestamp time,
                    std::optional<Timestamp> alert);
  // Frames that every channel has learned in the regime.
  std::uint32_t learned(RegimeId of) const;
  void forget_regimes();

  static void fields(auto& io, auto& w) {
    io(w.frames, w.alarm, w.baseline, w.issued, w.regime, w.usual, w.of_usual, w.learned_regimes);
    detectors::refuse_unless(io, w.usual.size() <= w.frames.channels().size() &&
                                     w.regime < Regimes::most + first_regime);
  }
};

}  // namespace millwright::engine
