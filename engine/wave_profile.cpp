#include "engine/wave_profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "core/hash.h"

namespace millwright::engine {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(WaveFeature::count_)> names{
    "rms",      "peak",  "peak_to_peak", "crest", "kurtosis", "skewness",
    "velocity", "bands", "bpfo",         "bpfi",  "bsf",      "ftf"};

// The figures are those quoted everywhere; the standards' own tables and the plant's limits win.
constexpr std::array<Zones, 6> presets{{
    {"spindle", 0.71, 1.8, 4.5, "ISO 10816-1 class I, small machines to 15 kW"},
    {"motor_small", 0.71, 1.8, 4.5, "ISO 10816-1 class I, small machines to 15 kW"},
    {"motor", 1.4, 2.8, 4.5, "ISO 10816-3 group 2, 15 to 300 kW on a rigid base"},
    {"motor_large", 2.3, 4.5, 7.1, "ISO 10816-3 group 1, 300 kW to 50 MW on a rigid base"},
    {"pump", 3.2, 5.1, 8.5, "ISO 10816-7 category II, to 200 kW"},
    {"pump_large", 4.2, 6.1, 9.5, "ISO 10816-7 category II, above 200 kW"},
}};

std::optional<detectors::BearingGeometry> geometry_of(const Waveform& w) {
  if (!w.bearing.empty()) return detectors::find_bearing(w.bearing);
  return w.geometry.balls > 0 ? std::optional{w.geometry} : std::nullopt;
}

bool knows_speed(const Waveform& w) { return !w.speed_sensor.empty() || w.speed_rpm; }

// What every value of these windows follows from.
class Meaning {
 public:
  Meaning& add(double number) {
    text_.append(reinterpret_cast<const char*>(&number), sizeof number);
    return *this;
  }
  Meaning& add(std::optional<double> number) { return add(number.value_or(-1)); }
  Meaning& add(std::string_view name) {
    text_.append(name).push_back(';');
    return *this;
  }
  std::uint64_t hash() const { return hash64(text_); }

 private:
  std::string text_;
};

Meaning meaning_of(const Waveform& w, std::string_view unit, std::string_view suffix) {
  Meaning out;
  out.add(suffix).add(unit).add(to_seconds(w.window)).add(w.rate_hz);
  return out;
}

std::string title_of(WaveFeature feature) {
  switch (feature) {
    case WaveFeature::rms:
      return "RMS";
    case WaveFeature::peak_to_peak:
      return "peak to peak";
    case WaveFeature::crest:
      return "crest factor";
    case WaveFeature::velocity:
      return "vibration velocity";
    case WaveFeature::bpfo:
      return "envelope line of the outer race";
    case WaveFeature::bpfi:
      return "envelope line of the inner race";
    case WaveFeature::bsf:
      return "envelope line of the balls";
    case WaveFeature::ftf:
      return "envelope line of the cage";
    default:
      return std::string{names[static_cast<std::size_t>(feature)]};
  }
}

}  // namespace

std::span<const Zones> zone_presets() { return presets; }
std::optional<Zones> zones_named(std::string_view name) {
  for (const auto& zones : presets) {
    if (zones.name == name) return zones;
  }
  return std::nullopt;
}
std::span<const std::string_view> waveform_features() { return names; }

MotionUnit motion_of(std::string_view unit) {
  using detectors::Motion;
  constexpr std::array<std::pair<std::string_view, MotionUnit>, 13> units{
      {{"g", {Motion::acceleration, 9806.65}},
       {"mg", {Motion::acceleration, 9.80665}},
       {"m/s2", {Motion::acceleration, 1000}},
       {"m/s^2", {Motion::acceleration, 1000}},
       {"m/s\xc2\xb2", {Motion::acceleration, 1000}},
       {"mm/s2", {Motion::acceleration, 1}},
       {"mm/s^2", {Motion::acceleration, 1}},
       {"mm/s\xc2\xb2", {Motion::acceleration, 1}},
       {"mm/s", {Motion::velocity, 1}},
       {"m/s", {Motion::velocity, 1000}},
       {"um/s", {Motion::velocity, 0.001}},
       {"in/s", {Motion::velocity, 25.4}},
       {"ips", {Motion::velocity, 25.4}}}};
  for (const auto& [name, meaning] : units) {
    if (name == unit) return meaning;
  }
  return {};
}

detectors::WaveformParams parameters_of(const Waveform& waveform, std::string_view unit) {
  detectors::WaveformParams out;
  out.bands = waveform.bands;
  out.envelope_low_hz = waveform.envelope_low_hz;
  out.envelope_high_hz = waveform.envelope_high_hz;
  if (const auto geometry = geometry_of(waveform)) out.bearing = detectors::orders_of(*geometry);
  out.slip = waveform.slip;
  const auto motion = motion_of(unit);
  out.motion = motion.motion;
  out.factor = motion.factor;
  return out;
}

std::vector<DerivedSensor> derived_sensors(const Waveform& w, std::string_view unit) {
  std::vector<DerivedSensor> out;
  const auto geometry = geometry_of(w);
  const auto add = [&](WaveFeature feature, std::size_t band, std::string suffix,
                       std::string_view in, std::string title, const Meaning& meaning) {
    out.push_back(
        {feature, band, std::move(suffix), std::string{in}, std::move(title), meaning.hash()});
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto feature = static_cast<WaveFeature>(i);
    const auto name = names[i];
    const bool wanted = w.features.empty() ||
                        std::find(w.features.begin(), w.features.end(), name) != w.features.end();
    if (!wanted) continue;
    auto meaning = meaning_of(w, unit, name);
    const bool ratio = feature == WaveFeature::crest || feature == WaveFeature::kurtosis ||
                       feature == WaveFeature::skewness;
    if (feature == WaveFeature::bands) {
      if (w.bands.empty()) {
        for (std::size_t b = 0; b < 4; ++b) {
          const auto band = "band_" + std::to_string(b + 1);
          add(feature, b, band, unit, "RMS in " + band, meaning_of(w, unit, band));
        }
      }
      for (std::size_t b = 0; b < w.bands.size(); ++b) {
        const auto& [band, low, high] = w.bands[b];
        add(feature, b, band, unit, "RMS in band " + band,
            meaning_of(w, unit, band).add(low).add(high));
      }
    } else if (feature == WaveFeature::velocity) {
      if (motion_of(unit).motion != detectors::Motion::none)
        add(feature, 0, std::string{name}, "mm/s", title_of(feature), meaning);
    } else if (feature >= WaveFeature::bpfo) {
      if (!geometry || !knows_speed(w)) continue;
      const auto& g = *geometry;
      meaning.add(g.balls).add(g.ball_mm).add(g.pitch_mm).add(g.angle_deg).add(w.slip);
      meaning.add(w.envelope_low_hz).add(w.envelope_high_hz);
      meaning.add(w.speed_sensor).add(w.speed_rpm).add(w.speed_ratio);
      add(feature, 0, std::string{name}, unit, title_of(feature), meaning);
    } else {
      add(feature, 0, std::string{name}, ratio ? "" : unit, title_of(feature), meaning);
    }
  }
  return out;
}

std::size_t window_length(const Waveform& waveform, double rate_hz) {
  const double wanted = to_seconds(waveform.window) * rate_hz;
  const double bounded = std::clamp(wanted + 0.5, static_cast<double>(detectors::least_window),
                                    static_cast<double>(detectors::largest_window));
  return detectors::quick_length(static_cast<std::size_t>(bounded));
}

std::size_t window_step(const Waveform& waveform, std::size_t length) {
  const double step = std::round((1 - waveform.overlap) * static_cast<double>(length));
  return std::clamp(static_cast<std::size_t>(step), std::size_t{1}, length);
}

}  // namespace millwright::engine
