// The life of one alert: normal -> pending -> active -> cleared, for one sensor and one detector.
#pragma once

#include <cstdint>
#include <optional>

#include "core/alert.h"
#include "core/codec.h"
#include "core/score.h"
#include "engine/plan.h"

namespace millwright::engine {

enum class Phase : std::uint8_t { normal, pending, active };

struct Alarm {
  Phase phase = Phase::normal;
  Severity severity{};
  std::uint32_t revision = 0;  // of the last event of this episode
  Timestamp onset;             // of the deviation; in the id
  Timestamp reached;           // when the score came to the limit
  Timestamp raised;
  Timestamp told;                    // time of the last event
  double told_ratio = 0;             // ratio of the last event
  std::optional<Timestamp> below;    // active, but under the clearing level since
  std::int64_t newest_onset_ms = 0;  // ids of one sensor and kind never repeat
  std::int64_t onset_ms = 0;

  static void fields(auto& io, auto& a) {
    io(a.phase, a.severity, a.revision, a.onset, a.reached, a.raised, a.told, a.told_ratio, a.below,
       a.newest_onset_ms, a.onset_ms);
  }
};

// How severe a score is; sensor faults are notices.
Severity severity_of(AlertKind kind, double ratio);
// 1..100: severity first, then by how far the score is beyond the limit.
int priority_of(Severity severity, double ratio);

// Takes in one score (already divided by the rule's limit) and says which event follows, if any. No
// score changes nothing: a sensor that says nothing does not end its alert.
std::optional<AlertEvent> advance(Alarm& alarm, const AlarmRule& rule, AlertKind kind,
                                  Timestamp time, const std::optional<Score>& score);

}  // namespace millwright::engine
