// Every edge of the life of an alert: what happens in each state, as drawn in docs/alerts.md.
#include "engine/lifecycle.h"

#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"

using namespace millwright;
using namespace millwright::engine;

namespace {

constexpr auto none = std::optional<AlertEvent>{};
constexpr Timestamp noon = from_microseconds(1'700'000'000'000'000);

struct Edge {
  AlertState from;
  bool acknowledged;
  Happening what;
  bool latch;
  std::optional<AlertEvent> event;
  AlertState to;
  bool acknowledged_after;
};

using enum AlertState;
using H = Happening;
using E = AlertEvent;

// What does not depend on the profile or on who took note is written once.
const std::vector<Edge> edges{
    {active, false, H::grew, false, E::updated, active, false},
    {active, true, H::grew, false, E::updated, active, true},
    {active, false, H::got_worse, false, E::escalated, active, false},
    {active, true, H::got_worse, false, E::escalated, active, false},
    {active, false, H::came_back, false, none, active, false},
    {active, false, H::over, false, E::cleared, cleared, false},
    {active, false, H::over, true, E::latched, latched, false},
    {active, true, H::over, true, E::cleared, cleared, true},
    {active, false, H::ended, true, E::closed, cleared, false},
    {active, false, H::sensor_fails, false, E::updated, unknown, false},
    {active, true, H::sensor_fails, false, E::updated, unknown, true},
    {active, false, H::sensor_well, false, none, active, false},
    {active, false, H::acknowledge, false, E::acknowledged, active, true},
    {active, true, H::acknowledge, false, none, active, true},
    {active, false, H::comment, false, E::commented, active, false},
    {active, false, H::close, true, E::closed, cleared, false},
    {unknown, false, H::grew, false, E::updated, active, false},
    {unknown, true, H::got_worse, false, E::escalated, active, false},
    {unknown, true, H::came_back, false, E::updated, active, true},
    {unknown, false, H::over, false, E::cleared, cleared, false},
    {unknown, false, H::over, true, E::latched, latched, false},
    {unknown, false, H::ended, false, E::closed, cleared, false},
    {unknown, false, H::sensor_fails, false, none, unknown, false},
    {unknown, false, H::sensor_well, false, E::updated, active, false},
    {unknown, false, H::acknowledge, false, E::acknowledged, unknown, true},
    {unknown, false, H::comment, false, E::commented, unknown, false},
    {unknown, false, H::close, false, E::closed, cleared, false},
    {latched, false, H::grew, true, none, latched, false},
    {latched, false, H::got_worse, true, E::escalated, active, false},
    {latched, false, H::came_back, true, E::updated, active, false},
    {latched, false, H::over, true, none, latched, false},
    {latched, false, H::ended, true, E::closed, cleared, false},
    {latched, false, H::sensor_fails, true, none, latched, false},
    {latched, false, H::sensor_well, true, none, latched, false},
    {latched, false, H::acknowledge, true, E::cleared, cleared, true},
    {latched, false, H::comment, true, E::commented, latched, false},
    {latched, false, H::close, true, E::closed, cleared, false},
};

}  // namespace

TEST_CASE("every edge of an alert's life") {
  for (const auto& edge : edges) {
    CAPTURE(name_of(edge.from));
    CAPTURE(static_cast<int>(edge.what));
    CAPTURE(edge.latch);
    Life life{edge.from, edge.acknowledged, {}, false};
    CHECK(happen(life, edge.what, edge.latch) == edge.event);
    CHECK(life.state == edge.to);
    CHECK(life.acknowledged == edge.acknowledged_after);
  }
}

TEST_CASE("every happening is walked in every open state") {
  for (const auto from : {active, unknown, latched}) {
    for (int i = 0; i < static_cast<int>(H::count_); ++i) {
      const auto what = static_cast<Happening>(i);
      if (what >= H::shelve && what <= H::unsuppress) continue;  // below
      CAPTURE(name_of(from));
      CAPTURE(i);
      bool walked = false;
      for (const auto& edge : edges) walked |= edge.from == from && edge.what == what;
      CHECK(walked);
    }
  }
}

TEST_CASE("shelves and maintenance stand beside the condition") {
  for (const auto state : {active, unknown, latched}) {
    CAPTURE(name_of(state));
    Life life{state, false, {}, false};
    CHECK_FALSE(life.quiet());
    CHECK(happen(life, H::unshelve) == none);
    CHECK(happen(life, H::shelf_ends) == none);
    CHECK(happen(life, H::shelve, false, noon) == E::shelved);
    CHECK(happen(life, H::shelve, false, noon) == none);
    CHECK(happen(life, H::shelve, false, noon + std::chrono::hours{1}) == E::shelved);
    CHECK(life.quiet());
    CHECK(happen(life, H::shelf_ends) == E::unshelved);
    CHECK(happen(life, H::shelve, false, noon) == E::shelved);
    CHECK(happen(life, H::unshelve) == E::unshelved);
    CHECK_FALSE(life.quiet());
    CHECK(happen(life, H::unsuppress) == none);
    CHECK(happen(life, H::suppress) == E::suppressed);
    CHECK(happen(life, H::suppress) == none);
    CHECK(life.quiet());
    CHECK(happen(life, H::unsuppress) == E::unsuppressed);
    CHECK(life.state == state);
    CHECK_FALSE(life.acknowledged);
  }
}

TEST_CASE("what is over ends its shelf, and then nothing happens any more") {
  Life life;
  CHECK(happen(life, H::shelve, false, noon) == E::shelved);
  CHECK(happen(life, H::suppress) == E::suppressed);
  CHECK(happen(life, H::over) == E::cleared);
  CHECK_FALSE(life.quiet());
  for (int i = 0; i < static_cast<int>(H::count_); ++i)
    CHECK(happen(life, static_cast<Happening>(i), true, noon) == none);
}
