// The samples of one waveform between blocks: the open window, the clock of the samples, the speed
// of the shaft, and the open minute. Which samples are in a window does not depend on how the
// stream is cut into blocks.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/codec.h"
#include "core/reading.h"
#include "core/summary.h"
#include "core/time.h"
#include "detectors/numbers.h"
#include "detectors/waveform.h"
#include "engine/wave_profile.h"

namespace millwright::engine {

// What a speed sensor said, for looking back over windows: the newest 512 points. What comes
// closer together than `spacing` is averaged to one, so that they reach back 512 times that at
// least, however fast the sensor speaks.
class SpeedTrack {
 public:
  static constexpr std::size_t most_points = 512;
  // Of the points within a window: the analysis looks at 33 moments of it.
  static constexpr std::int64_t per_window = 64;

  void add(Timestamp time, double rpm, Duration spacing);
  // Turns per second at even steps from `begin` to `end`, one value where they are all the same;
  // empty when nothing was said in the ten seconds before `end`. Borrowed until the next call.
  std::span<const double> between(Timestamp begin, Timestamp end, double ratio, Duration spacing);

  static void fields(auto& io, auto& s) {
    io(s.points_, s.open_, s.merged_);
    detectors::refuse_unless(
        io, s.points_.size() <= most_points && (s.merged_ > 0) == !s.points_.empty());
  }

 private:
  struct Point {
    Timestamp time;
    double rpm = 0;
    static void fields(auto& io, auto& p) { io(p.time, p.rpm); }
  };
  double at(Timestamp time) const;

  std::vector<Point> points_;  // times rise
  Timestamp open_;             // when the first reading of the newest point came
  std::uint32_t merged_ = 0;   // readings in it
  std::vector<double> steps_;  // not state
};

// What became of the windows of a waveform.
struct WindowCounts {
  std::uint64_t whole = 0;    // told, and learned from
  std::uint64_t cut = 0;      // by a gap, or from a block that is shorter: told, not judged
  std::uint64_t clipped = 0;  // told and judged, not learned from
  void merge(const WindowCounts& other) {
    whole += other.whole;
    cut += other.cut;
    clipped += other.clipped;
  }
  static void fields(auto& io, auto& c) { io(c.whole, c.cut, c.clipped); }
};

// A window to be analysed. Borrowed until the next call of the wave.
struct Window {
  std::span<const float> samples;
  Timestamp begin, end;  // of its first and its last sample
  bool cut = false;
};

class Wave {
 public:
  Wave(const Waveform& profile, std::string_view unit)
      : profile_(&profile), parameters_(parameters_of(profile, unit)) {}

  const Waveform& profile() const { return *profile_; }
  const detectors::WaveformParams& parameters() const { return parameters_; }

  // 0 while not known.
  double rate_hz() const { return rate_hz_; }
  // The rate that samples said to come at `block_hz` (0: nothing said) have; 0: not known.
  double rate_for(double block_hz) const {
    const bool said = block_hz >= 1e-6 && block_hz <= 1e9;
    return profile_->rate_hz.value_or(said ? block_hz : rate_hz_);
  }
  // Do samples from `first` on go on where the last ones ended? `count` come together.
  bool continues(Timestamp first, double rate_hz, std::size_t count) const;
  // The first sample that is newer than `newest`.
  static std::size_t first_after(Timestamp newest, Timestamp first, double rate_hz,
                                 std::size_t count);
  static Timestamp sample_time(Timestamp first, double rate_hz, std::size_t i) {
    if (i == 0) return first;  // of one sample the rate may not be known
    return first + Duration{std::llround(static_cast<double>(i) * 1e6 / rate_hz)};
  }

  // Ends the run of samples without gaps: what is left of a window, if it is worth telling.
  std::optional<Window> end_run();
  // The next samples of the run, which begins with them if there is none. Takes as many as the
  // minute and the window have room for, at least one.
  struct Taken {
    std::size_t count = 0;
    Timestamp first, last;  // their times, by the clock of the run
    bool full = false;      // the window is
  };
  Taken take(std::span<const double> samples, Timestamp first, double rate_hz);
  Window window() const;  // when it is full
  void next_window();     // forgets what the next one does not have in common with it

  void hear_speed(Timestamp time, double rpm) { speed_.add(time, rpm, spacing()); }
  // Of the shaft within a window, as SpeedTrack says it.
  std::span<const double> speed_in(const Window& window) {
    return speed_.between(window.begin, window.end, profile_->speed_ratio, spacing());
  }
  WindowCounts counts;

  // The minute being filled: sums about its first value, exact in whatever pieces they come.
  struct Minute {
    Timestamp start;
    std::uint64_t count = 0;
    double first = 0, last = 0, min = 0, max = 0, sum = 0, squares = 0;
    void add(std::span<const double> values);
    Summary summary() const;
    static void fields(auto& io, auto& m) {
      io(m.start, m.count, m.first, m.last, m.min, m.max, m.sum, m.squares);
    }
  };
  Minute minute;

  // Of the parameters that the open window follows from.
  std::uint64_t fingerprint() const;
  static void fields(auto& io, auto& w) {
    io(w.rate_hz_, w.running_, w.told_, w.anchor_, w.at_anchor_, w.next_, w.samples_, w.speed_,
       w.counts, w.minute);
    const bool sound = w.rate_hz_ >= 0 && w.rate_hz_ <= 1e9 && w.at_anchor_ <= w.next_ &&
                       w.samples_.size() <= detectors::largest_window &&
                       (!w.running_ || w.rate_hz_ > 0);
    detectors::refuse_unless(io, sound);
  }

 private:
  Duration spacing() const { return profile_->window / SpeedTrack::per_window; }
  Timestamp time_of(std::uint64_t sample) const;
  void follow(Timestamp first);

  const Waveform* profile_;
  SpeedTrack speed_;
  detectors::WaveformParams parameters_;

  double rate_hz_ = 0;
  bool running_ = false;         // samples without a gap so far
  bool told_ = false;            // the run has had a full window
  Timestamp anchor_;             // time of the sample at_anchor_
  std::uint64_t at_anchor_ = 0;  // samples of the run before it
  std::uint64_t next_ = 0;       // samples of the run
  std::vector<float> samples_;   // of the open window
};

}  // namespace millwright::engine
