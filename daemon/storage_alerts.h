// Trouble with the storage, as cases of the plant: kind sensor_case, machine _plant, sensor
// _archive, _checkpoint, _journal, _damage or _outbox. What a planner sees of it: docs/alerts.md.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert.h"

namespace millwright::daemon {

enum class StorageTrouble : std::uint8_t {
  archive,     // it cannot be written
  checkpoint,  // what was learned cannot be saved
  journal,     // what came in is not on its disk
  damage,      // a file was damaged and set aside
  messages,    // some that nobody took were removed, for want of room
  count_
};

// Thread rule: one thread.
class StorageAlerts {
 public:
  using Clock = std::chrono::steady_clock;
  struct Delays {
    Clock::duration raise = std::chrono::seconds{4};   // a lock of two seconds is no news
    Clock::duration clear = std::chrono::seconds{15};  // well for so long: over
    // Of what has happened, and nothing can be done about any more.
    Clock::duration past = std::chrono::minutes{10};
  };
  struct Now {
    Timestamp time;           // of alerts
    Clock::time_point clock;  // of delays
  };

  // `note` is what `note` of an earlier run said; empty: nothing.
  StorageAlerts(std::string_view note, Delays delays, const Now& now);

  // An alert of an earlier run that is still open in the archive: it ends unless its condition
  // lasts. Of another sensor it is no business of ours.
  void adopt(std::string_view sensor, std::string_view id, std::uint32_t revision, const Now& now);

  void trouble(StorageTrouble what, std::string message, Severity severity, const Now& now);
  void well(StorageTrouble what, const Now& now);
  // Events that are due, to be told.
  std::vector<Alert> due(const Now& now);
  // Which alerts are open, for the next run, which has to end them; nothing when it is as before.
  std::optional<std::string> note();
  // As told last by this run, of those that are open.
  std::vector<Alert> open() const;

 private:
  struct Condition {
    std::optional<Clock::time_point> since, well_since;
    Timestamp onset;
    std::string message;
    Severity severity = Severity::warning;
    std::optional<Alert> told;  // open
    bool adopted = false;       // it was an earlier run that told it last
  };
  static constexpr auto conditions = static_cast<std::size_t>(StorageTrouble::count_);

  Condition& of(StorageTrouble what) { return conditions_[static_cast<std::size_t>(what)]; }
  static Alert first_event(StorageTrouble what, const Condition& condition);
  static void next_event(Alert& alert, AlertEvent event, const Now& now);

  const Delays delays_;
  std::array<Condition, conditions> conditions_;
  std::string noted_;
};

std::string_view sensor_of(StorageTrouble what);

}  // namespace millwright::daemon
