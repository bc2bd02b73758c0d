#include "engine/lifecycle.h"

namespace millwright::engine {
namespace {

std::optional<AlertEvent> end(Life& life, AlertEvent event) {
  life.state = AlertState::cleared;
  life.shelved_until.reset();
  life.suppressed = false;
  return event;
}

// Worse than what somebody has taken note of is news.
AlertEvent escalate(Life& life) {
  life.state = AlertState::active;
  life.acknowledged = false;
  return AlertEvent::escalated;
}

std::optional<AlertEvent> be(Life& life, AlertState state, AlertEvent event) {
  if (life.state == state) return std::nullopt;
  life.state = state;
  return event;
}

// What was over and comes back is a new trouble; what was only not known is the old one.
std::optional<AlertEvent> come_back(Life& life) {
  if (life.state == AlertState::latched) life.acknowledged = false;
  return be(life, AlertState::active, AlertEvent::updated);
}

std::optional<AlertEvent> acknowledge(Life& life) {
  const bool news = !life.acknowledged;
  life.acknowledged = true;
  if (life.state == AlertState::latched) return end(life, AlertEvent::cleared);
  return news ? std::optional{AlertEvent::acknowledged} : std::nullopt;
}

std::optional<AlertEvent> unshelve(Life& life) {
  if (!life.shelved_until) return std::nullopt;
  life.shelved_until.reset();
  return AlertEvent::unshelved;
}

std::optional<AlertEvent> suppress(Life& life, bool on) {
  if (life.suppressed == on) return std::nullopt;
  life.suppressed = on;
  return on ? AlertEvent::suppressed : AlertEvent::unsuppressed;
}

}  // namespace

std::optional<AlertEvent> happen(Life& life, Happening what, bool latch,
                                 std::optional<Timestamp> until) {
  if (!life.open()) return std::nullopt;
  switch (what) {
    case Happening::grew:
      if (life.state == AlertState::latched) return std::nullopt;
      life.state = AlertState::active;
      return AlertEvent::updated;
    case Happening::got_worse:
      return escalate(life);
    case Happening::came_back:
      return come_back(life);
    case Happening::over:
      if (latch && !life.acknowledged) return be(life, AlertState::latched, AlertEvent::latched);
      return end(life, AlertEvent::cleared);
    case Happening::ended:
    case Happening::close:
      return end(life, AlertEvent::closed);
    case Happening::sensor_fails:
      if (life.state != AlertState::active) return std::nullopt;
      return be(life, AlertState::unknown, AlertEvent::updated);
    case Happening::sensor_well:
      if (life.state != AlertState::unknown) return std::nullopt;
      return be(life, AlertState::active, AlertEvent::updated);
    case Happening::acknowledge:
      return acknowledge(life);
    case Happening::comment:
      return AlertEvent::commented;
    case Happening::shelve:
      if (life.shelved_until == until) return std::nullopt;
      life.shelved_until = until;
      return AlertEvent::shelved;
    case Happening::unshelve:
    case Happening::shelf_ends:
      return unshelve(life);
    case Happening::suppress:
      return suppress(life, true);
    case Happening::unsuppress:
      return suppress(life, false);
    case Happening::count_:
      break;
  }
  return std::nullopt;
}

}  // namespace millwright::engine
