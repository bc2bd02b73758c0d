#include "config/waveform_meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "config/describe.h"

namespace millwright::config {
namespace {

class Check {
 public:
  Check(const engine::Profile& profile, const Node& node, const std::string& pointer,
        Report& report)
      : profile_(profile), w_(*profile.waveform), report_(report) {
    const Node* written = node.find("waveform");
    node_ = written != nullptr ? written : &node;
    pointer_ = written != nullptr ? pointer_to(pointer, "waveform") : pointer;
  }

  void all() {
    window();
    bands();
    envelope();
    bearing();
    zones();
  }

 private:
  // At the key where it stands, else at the whole.
  void error(std::string_view key, std::string message) {
    const Node* at = node_->find(key);
    report_.error((at != nullptr ? *at : *node_).place,
                  at != nullptr ? pointer_to(pointer_, key) : pointer_, std::move(message));
  }

  void window() {
    if (!w_.rate_hz) return;
    const double samples = to_seconds(w_.window) * *w_.rate_hz;
    if (samples > static_cast<double>(detectors::largest_window)) {
      error("window_s", fmt::format("a window has {} samples; at most {}: make it shorter",
                                    number_text(samples), detectors::largest_window));
    } else if (samples < static_cast<double>(detectors::least_window)) {
      error("window_s", fmt::format("a window has {} samples; at least {}: make it longer",
                                    number_text(samples), detectors::least_window));
    }
  }

  void bands() {
    for (auto band = w_.bands.begin(); band != w_.bands.end(); ++band) {
      if (band->low_hz >= band->high_hz) {
        error("bands_hz",
              fmt::format("the band \"{}\": low ({}) must be below high ({})", band->name,
                          number_text(band->low_hz), number_text(band->high_hz)));
      }
      if (w_.rate_hz && band->low_hz >= *w_.rate_hz / 2) {
        error("bands_hz",
              fmt::format("the band \"{}\" lies above half the sample rate, {} Hz, where nothing "
                          "can be told",
                          band->name, number_text(*w_.rate_hz / 2)));
      }
      const bool twice = std::any_of(w_.bands.begin(), band,
                                     [&](const auto& other) { return other.name == band->name; });
      const auto features = engine::waveform_features();
      const bool taken = std::find(features.begin(), features.end(), band->name) != features.end();
      if (twice || taken) {
        error("bands_hz", fmt::format("the name \"{}\" is {}; choose another one", band->name,
                                      twice ? "given to two bands" : "that of another feature"));
      }
    }
  }

  void envelope() {
    const detectors::WaveformParams parameters = engine::parameters_of(w_, profile_.unit);
    if (!w_.envelope_low_hz && !w_.envelope_high_hz) return;
    const auto band = detectors::envelope_band(parameters, w_.rate_hz.value_or(1e6));
    if (band.low_hz < band.high_hz) return;
    error(w_.envelope_low_hz ? "envelope_low_hz" : "envelope_high_hz",
          fmt::format("the envelope's band from {} to {} Hz holds nothing",
                      number_text(w_.envelope_low_hz.value_or(band.low_hz)),
                      number_text(band.high_hz)));
  }

  void bearing() {
    const auto& g = w_.geometry;
    const bool any = g.balls > 0 || g.ball_mm > 0 || g.pitch_mm > 0;
    if (!w_.bearing.empty() && any) {
      error("bearing", "the bearing is given by its name and by its geometry; keep one");
    } else if (any && (g.balls == 0 || g.ball_mm <= 0 || g.pitch_mm <= 0)) {
      error("bearing", "the geometry needs balls, ball_mm and pitch_mm");
    } else if (any && g.ball_mm >= g.pitch_mm) {
      error("bearing", fmt::format("ball_mm ({}) must be below pitch_mm ({})",
                                   number_text(g.ball_mm), number_text(g.pitch_mm)));
    }
    const bool given = !w_.bearing.empty() || any;
    if (given && w_.speed_sensor.empty() && !w_.speed_rpm) {
      error("bearing",
            "the lines of a bearing lie at multiples of its shaft's speed; add \"speed_sensor\" or "
            "\"speed_rpm\"");
    }
    for (const auto* line : {"bpfo", "bpfi", "bsf", "ftf"}) {
      const bool wanted =
          std::find(w_.features.begin(), w_.features.end(), line) != w_.features.end();
      if (!wanted || given) continue;
      error("features", fmt::format("\"{}\" needs a \"bearing\"", line));
      return;
    }
  }

  void zones() {
    const bool in_motion = engine::motion_of(profile_.unit).motion != detectors::Motion::none;
    const bool wanted =
        std::find(w_.features.begin(), w_.features.end(), "velocity") != w_.features.end();
    constexpr std::string_view needs =
        "needs the profile's \"unit\" to be one of acceleration (g, mg, m/s2, mm/s2) or velocity "
        "(mm/s, m/s, in/s)";
    if (!w_.zones.empty() && !in_motion) {
      error("zones", std::string{needs});
    } else if (!w_.zones.empty() && !w_.features.empty() && !wanted) {
      error("zones", "are limits of the feature \"velocity\"; add it to \"features\"");
    } else if (wanted && !in_motion) {
      error("features", "\"velocity\" " + std::string{needs});
    }
  }

  const engine::Profile& profile_;
  const engine::Waveform& w_;
  const Node* node_ = nullptr;
  std::string pointer_;
  Report& report_;
};

}  // namespace

void check_waveform(const engine::Profile& profile, const Node& node, const std::string& pointer,
                    Report& report) {
  if (profile.waveform) Check{profile, node, pointer, report}.all();
}

}  // namespace millwright::config
