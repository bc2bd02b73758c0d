// Recorded readings through the production engine, with event time as the clock: what `replay` and
// `filter` share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "config/config.h"
#include "core/alert.h"
#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/fleet.h"

namespace millwright::daemon {

struct HistoryHandlers {
  std::function<void(const Alert&)> alert;
  // Empty: not wanted. In the order in which readings were judged; a reading that could not be
  // onboarded has no ids, so names come with it.
  std::function<void(std::string_view machine, std::string_view sensor, const engine::Verdict&)>
      verdict;
  // Likewise, of a machine as a whole.
  std::function<void(std::string_view machine, const engine::MachineVerdict&)> machine_verdict;
  std::function<void(const MachineHealth&)> health;  // empty: not wanted
};

class History {
 public:
  History(const config::Configuration& configuration, HistoryHandlers handlers);

  void reading(std::string_view machine, std::string_view sensor, Timestamp time, double value);
  // Judges what was fed so far; also done by itself every few thousand readings.
  void step();

  const engine::Engine& engine() const { return engine_; }
  std::uint64_t readings() const { return readings_; }

 private:
  engine::Engine engine_;
  engine::Fleet fleet_;
  engine::Desk desk_;
  engine::Feed feed_{engine::Clock::event};
  engine::Effects effects_;
  const HistoryHandlers handlers_;
  // Readings of one machine at one time are one message.
  Position position_ = 0;
  std::string machine_;
  Timestamp time_{};
  std::uint64_t readings_ = 0;
};

}  // namespace millwright::daemon
