// The life of one alert: normal -> pending -> active -> cleared, for one sensor and one detector.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/alert.h"
#include "core/codec.h"
#include "core/score.h"
#include "engine/plan.h"

namespace millwright::engine {

enum class Phase : std::uint8_t { normal, pending, active };

struct Alarm {
  Phase phase = Phase::normal;
  AlertKind kind{};  // as it was raised: an episode keeps its kind, and with it its id
  Severity severity{};
  std::uint32_t revision = 0;  // of the last event of this episode
  Timestamp onset;             // of the deviation; in the id
  Timestamp reached;           // when the score came to the limit
  Timestamp raised;
  Timestamp told;                  // time of the last event
  double told_ratio = 0;           // ratio of the last event; pending: the highest so far
  std::optional<Timestamp> below;  // active, but under the clearing level since
  std::int64_t onset_ms = 0;       // in the id

  static void fields(auto& io, auto& a) {
    io(a.phase, a.kind, a.severity, a.revision, a.onset, a.reached, a.raised, a.told, a.told_ratio,
       a.below, a.onset_ms);
  }
};

// The onsets in the ids of one sensor's alerts: of one kind none comes twice, whichever detector
// raises it.
class IssuedOnsets {
 public:
  // In milliseconds: the onset, or the first later one that is free.
  std::int64_t issue(AlertKind kind, Timestamp onset);
  static void fields(auto& io, auto& self) { io(self.newest_); }

 private:
  struct Newest {
    AlertKind kind{};
    std::int64_t onset_ms = 0;
    static void fields(auto& io, auto& n) { io(n.kind, n.onset_ms); }
  };
  std::vector<Newest> newest_;  // a sensor raises few kinds
};

// How severe a score is; sensor faults are notices.
Severity severity_of(AlertKind kind, double ratio);
// 1..100: severity first, then by how far the score is beyond the limit.
int priority_of(Severity severity, double ratio);

// Takes in one score (already divided by the rule's limit) and says which event follows, if any. No
// score changes nothing: a sensor that says nothing does not end its alert. `kind` is what this
// score looks like; an active alarm goes by its own. While it may not be raised, it stays pending.
// Whoever raises it issues `onset_ms`.
//
// `alone` is the ratio at which one score is enough. Below it, and where no on-delay asks for more,
// the next score must bear it out by not being gone: then the alarm is of the highest ratio,
// `told_ratio`. While it waits for that, hand over the kind of the first score.
std::optional<AlertEvent> advance(Alarm& alarm, const AlarmRule& rule, AlertKind kind,
                                  Timestamp time, const std::optional<Score>& score,
                                  bool may_raise = true, double alone = 1);
// Did the last score want one more?
bool waits_for_proof(const Alarm& alarm, const AlarmRule& rule);

// A score that cannot be trusted: what was counted towards raising or clearing begins anew.
void interrupt(Alarm& alarm);
// The end of an active alarm by anything but its score: one more event.
void close(Alarm& alarm, Timestamp time);

// As an alert lists them: the largest share first, at most eight.
std::vector<Contributor> largest_first(std::vector<Contributor> contributors);

std::string alert_id(std::string_view machine, std::string_view sensor, AlertKind kind,
                     std::int64_t onset_ms);

// What every event of an alarm has, whoever raised it.
Alert alert_of(const Alarm& alarm, std::string_view machine, std::string_view sensor,
               AlertEvent event, Timestamp time, Position position);

}  // namespace millwright::engine
