// The life of an alert as people see it, after ISA-18.2 / IEC 62682 and OPC UA Part 9 (alarms and
// conditions): whether the condition holds, has somebody taken note, is it put aside. What the
// scores say before that (normal, pending, active) is in alarm.h. Drawn in docs/alerts.md.
#pragma once

#include <cstdint>
#include <optional>

#include "core/alert.h"

namespace millwright::engine {

struct Life {
  AlertState state = AlertState::active;
  bool acknowledged = false;
  std::optional<Timestamp> shelved_until;
  bool suppressed = false;

  bool open() const { return state != AlertState::cleared; }
  // Nobody is to be told of it now.
  bool quiet() const { return suppressed || shelved_until.has_value(); }
  static void fields(auto& io, auto& l) {
    io(l.state, l.acknowledged, l.shelved_until, l.suppressed);
  }
};

// What may happen to an alert that was raised.
enum class Happening : std::uint8_t {
  grew,          // its score rose
  got_worse,     // its severity rose
  came_back,     // the condition holds again, of a latched or unknown one
  over,          // the condition is over
  ended,         // by something other than its score
  sensor_fails,  // what tells it is at fault
  sensor_well,
  acknowledge,
  comment,
  shelve,  // `until`
  unshelve,
  shelf_ends,  // `until` has come
  suppress,
  unsuppress,
  close,  // by a person
  count_
};

// What follows, or nothing: it makes no difference. `latch`: stays until somebody has taken note.
std::optional<AlertEvent> happen(Life& life, Happening what, bool latch = false,
                                 std::optional<Timestamp> until = {});

}  // namespace millwright::engine
