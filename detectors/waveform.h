// One window of a vibration or current waveform condensed to a few numbers, each worth watching as
// a sensor of its own. Pure; formulae, units and what they show are in docs/waveforms.md.
//
// With x the window less its mean, n samples at `rate_hz`, X its discrete Fourier transform:
//   rms            sqrt(mean x^2)                 peak          max |x|
//   peak_to_peak   max x - min x                  crest         peak / rms
//   kurtosis       mean x^4 / rms^4 (3: noise)    skewness      mean x^3 / rms^3
//   band           sqrt of the power of the Hann-windowed spectrum between two frequencies
//   velocity       the same of X / (2 pi f) from 10 to 1000 Hz, in mm/s (of an acceleration)
//   bpfo ... ftf   lines of the envelope spectrum: the part of the spectrum in the envelope's band
//                  alone, back in time, is the signal that knocks modulate; of its magnitude e, the
//                  amplitudes at an order of the shaft speed, its harmonics and its sidebands,
//                  sqrt(sum of squares). Where the speed is tracked, e is put on even steps of the
//                  shaft's angle first, so that a speed that changes smears no line.
//
// Cost: 20 to 40 ns a sample (bench_waveforms). No allocation per window of a length seen before.
// Misses: what is slower than a window, and what knocks outside the envelope's band.
// Randall & Antoni 2011, "Rolling element bearing diagnostics - a tutorial", Mechanical Systems and
// Signal Processing 25:485; Fyfe & Munck 1997, "Analysis of computed order tracking", ibid. 11:187.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "detectors/bearing.h"

namespace millwright::detectors {

struct Band {
  std::string name;
  double low_hz = 0, high_hz = 0;
  friend bool operator==(const Band&, const Band&) = default;
};

// How the samples relate to mm/s.
enum class Motion : std::uint8_t { none, acceleration, velocity };

struct WaveformParams {
  std::vector<Band> bands;  // empty: the four octaves below half the rate
  std::optional<double> envelope_low_hz, envelope_high_hz;  // unset: see envelope_band
  std::optional<BearingOrders> bearing;
  double slip = 0.02;  // a line may be this share off its place
  Motion motion = Motion::none;
  double factor = 1;  // samples * factor are mm/s^2 or mm/s
};

// What the shaft did in the window: turns per second at equal steps, the first at its beginning,
// the last at its end. One value: it was even. Empty: not known.
struct ShaftSpeed {
  std::span<const double> hz;
};

struct WaveformFeatures {
  double rms = 0, peak = 0, peak_to_peak = 0;
  std::optional<double> crest, kurtosis, skewness;  // nothing when all samples are the same
  std::optional<double> velocity;                   // mm/s
  std::vector<std::optional<double>> bands;         // nothing beyond half the rate
  std::optional<double> outer, inner, ball, cage;   // nothing without bearing or speed
};

// Flat at the top or bottom as no vibration is: samples that lie on the very extreme are many, and
// eight times as many as those on the next value below it. A sine of whole numbers has 2.4 times as
// many.
bool is_clipped(std::span<const float> samples);
// At the end of the sensor's range.
bool reaches(std::span<const float> samples, double full_scale);

// The largest even length up to `samples` without prime factors above 5, which the transform is
// quick with; at most a few percent less. At least 16.
std::size_t quick_length(std::size_t samples);

// Where the envelope is taken: as configured, else where rolling bearings ring: 2 to 10 kHz, and
// with slow rates from an eighth of the rate. Never beyond 0.45 of the rate.
Band envelope_band(const WaveformParams& params, double rate_hz);
std::vector<Band> bands_of(const WaveformParams& params, double rate_hz);

inline constexpr std::size_t least_window = 64;          // samples
inline constexpr std::size_t largest_window = 1U << 19;  // samples

// Thread rule: one thread. Holds plans and scratch of the lengths last seen, no state.
class WaveformAnalyser {
 public:
  WaveformAnalyser();
  ~WaveformAnalyser();
  WaveformAnalyser(WaveformAnalyser&&) noexcept;
  WaveformAnalyser& operator=(WaveformAnalyser&&) noexcept;

  // `samples`: least_window to largest_window of them, finite, below 1e30; of other lengths than a
  // quick one, the spectrum is of the first quick_length(). `out` is reused.
  void analyse(const WaveformParams& params, std::span<const float> samples, double rate_hz,
               const ShaftSpeed& speed, WaveformFeatures& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace millwright::detectors
