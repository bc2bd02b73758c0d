// Detectors whose scores are written in the readings, so that a test of the engine can say exactly
// what they see: the ratio is the value, and a few values mean more.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "detectors/detector.h"

namespace millwright::engine {

inline constexpr double frozen = 100;  // from here on the sensor is at fault

// What `alpha` and `beta` have in common. A score's ratio is |value| / divisor; a negative value
// looks like a trend.
struct Scripted {
  static constexpr std::uint16_t state_version = 1;
  static constexpr detectors::Timeline timeline = detectors::Timeline::event;
  struct Params {
    double divisor = 1;
    double accept = 1e9;  // a reading at or above it is taken as the new normal
    static void describe(auto& visit, auto& p) {
      visit("divisor", "1", Range{1e-3, 1e3}, "", p.divisor);
      visit("accept", "1", Range{0, 1e9}, "", p.accept);
    }
  };
  struct State {
    std::uint64_t taught = 0, seen = 0;
    std::uint32_t renewals = 0;
    static void fields(auto& io, auto& s) { io(s.taught, s.seen, s.renewals); }
  };
  static std::optional<Score> score(const Params& p, const State&, Sample sample) {
    Score score{.ratio = std::abs(sample.value) / p.divisor};
    if (sample.value < 0) score.kind = AlertKind::trend;
    return score;
  }
  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    ++s.seen;
    s.taught += trust == Trust::normal;
    if (sample.value < p.accept) return Learned::as_usual;
    s = {0, 0, s.renewals};
    return Learned::accepted;
  }
  static double confidence(const Params&, const State& s) {
    return std::min(1.0, static_cast<double>(s.taught) / 100);
  }
  static std::vector<Contribution> contributions(const Params&, const State&, Sample) {
    return {{"level", 0.75}, {"spread", 0.25}};
  }
  static std::optional<Forecast> forecast(const Params&, const State&, Sample sample) {
    if (sample.value < 5) return std::nullopt;
    const auto day = std::chrono::hours{24};
    return Forecast{90, sample.time + 3 * day, sample.time + 2 * day, std::nullopt};
  }
  static void renew(const Params&, State& s) { s = {0, 0, s.renewals + 1}; }
};

struct Alpha : Scripted {
  static constexpr std::string_view name = "alpha";
  static constexpr AlertKind kind = AlertKind::shift;
};
struct Beta : Scripted {
  static constexpr std::string_view name = "beta";
  static constexpr AlertKind kind = AlertKind::shift;
};
struct Pulse : Scripted {
  static constexpr std::string_view name = "pulse";
  static constexpr AlertKind kind = AlertKind::spike;
};
// A limit: it learns nothing.
struct Ceiling : Scripted {
  static constexpr std::string_view name = "ceiling";
  static constexpr AlertKind kind = AlertKind::limit;
};
// Of class sensor: at its limit from `frozen` on.
struct Fault {
  static constexpr std::string_view name = "fault";
  static constexpr AlertKind kind = AlertKind::stuck;
  static constexpr std::uint16_t state_version = 1;
  static constexpr detectors::Timeline timeline = detectors::Timeline::event;
  struct Params {
    double from = frozen;
    static void describe(auto& visit, auto& p) { visit("from", "1", Range{-1e9, 1e9}, "", p.from); }
  };
  struct State {
    std::uint64_t seen = 0;
    static void fields(auto& io, auto& s) { io(s.seen); }
  };
  static std::optional<Score> score(const Params& p, const State&, Sample sample) {
    return Score{.ratio = sample.value >= p.from ? 1.5 : 0.0};
  }
  static void learn(const Params&, State& s, Sample, Trust) { ++s.seen; }
};

// Hears silence: at its limit after 100 s.
struct Silent : Scripted {
  static constexpr std::string_view name = "silent";
  static constexpr AlertKind kind = AlertKind::gap;
  static constexpr detectors::Timeline timeline = detectors::Timeline::arrival;
  struct State {
    Timestamp last{};
    static void fields(auto& io, auto& s) { io(s.last); }
  };
  static std::optional<Score> score(const Params&, const State&, Sample) {
    return Score{.ratio = 0};
  }
  static std::optional<Score> silence(const Params&, const State& s, Timestamp now) {
    return Score{.ratio = to_seconds(now - s.last) / 100};
  }
  static void learn(const Params&, State& s, Sample sample, Trust) { s.last = sample.time; }
  static double confidence(const Params&, const State&) { return 0.5; }
  static std::vector<Contribution> contributions(const Params&, const State&, Sample) {
    return {{"level", 1}};
  }
  static std::optional<Forecast> forecast(const Params&, const State&, Sample sample) {
    return Forecast{1, sample.time, sample.time, sample.time};
  }
  static void renew(const Params&, State&) {}
};

inline std::span<const detectors::DetectorType> scripted_types() {
  static const std::array types{detectors::type_of<Alpha>(),   detectors::type_of<Beta>(),
                                detectors::type_of<Ceiling>(), detectors::type_of<Fault>(),
                                detectors::type_of<Silent>(),  detectors::type_of<Pulse>()};
  return types;
}

}  // namespace millwright::engine
