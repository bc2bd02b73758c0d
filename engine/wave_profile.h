// What a profile says of a waveform, and the sensors that follow from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "detectors/bearing.h"
#include "detectors/waveform.h"

namespace millwright::engine {

struct Waveform {
  std::optional<double> rate_hz;  // unset: as the blocks say
  Duration window = std::chrono::seconds{1};
  double overlap = 0;  // share of a window that the next one has in common with it
  std::vector<detectors::Band> bands;
  std::optional<double> envelope_low_hz, envelope_high_hz;
  std::string speed_sensor;             // of the same machine, in turns per minute
  std::optional<double> speed_rpm;      // where no sensor says it
  double speed_ratio = 1;               // shaft of the bearing / what the sensor or figure says
  std::string bearing;                  // one of detectors::known_bearings(), or
  detectors::BearingGeometry geometry;  // with `balls` 0: none
  double slip = 0.02;
  std::string zones;                  // one of zone_presets(); empty: none
  std::optional<double> full_scale;   // a sample of this size is clipped
  std::optional<double> jitter_s;     // of the times of blocks; unset: half a block
  std::vector<std::string> features;  // of waveform_features(); empty: all
  friend bool operator==(const Waveform&, const Waveform&) = default;
};

// Boundaries of the zones of vibration velocity, mm/s RMS from 10 to 1000 Hz.
struct Zones {
  std::string_view name;
  double a_to_b, b_to_c, c_to_d;
  std::string_view source;  // where these figures are commonly quoted from
};
std::span<const Zones> zone_presets();
std::optional<Zones> zones_named(std::string_view name);

enum class WaveFeature : std::uint8_t {
  rms,
  peak,
  peak_to_peak,
  crest,
  kurtosis,
  skewness,
  velocity,
  bands,
  bpfo,
  bpfi,
  bsf,
  ftf,
  count_
};
// Their names in the order of WaveFeature.
std::span<const std::string_view> waveform_features();

// What a unit of acceleration or velocity is in mm; Motion::none for any other.
struct MotionUnit {
  detectors::Motion motion = detectors::Motion::none;
  double factor = 1;
};
MotionUnit motion_of(std::string_view unit);

detectors::WaveformParams parameters_of(const Waveform& waveform, std::string_view unit);

// A sensor made of a waveform's windows.
struct DerivedSensor {
  WaveFeature feature{};
  std::size_t band = 0;  // with WaveFeature::bands
  std::string suffix;    // "rms": sensor <waveform>.rms
  std::string unit;
  std::string title;          // after the waveform's label: "RMS"
  std::uint64_t meaning = 0;  // of the parameters that its values follow from
};
std::vector<DerivedSensor> derived_sensors(const Waveform& waveform, std::string_view unit);

// Samples in a window, and from one window to the next.
std::size_t window_length(const Waveform& waveform, double rate_hz);
std::size_t window_step(const Waveform& waveform, std::size_t length);

}  // namespace millwright::engine
