// The plan of one engine.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "engine/plan.h"

namespace millwright::daemon {

// Lanes share the room for sensors evenly.
inline engine::Plan plan_of(const config::Configuration& configuration, std::uint32_t lanes) {
  auto plan = configuration.plan;
  plan.max_sensors = (configuration.limits.sensors + lanes - 1) / lanes;
  return plan;
}

}  // namespace millwright::daemon
