// A command that somebody gave, and what came of it.
#pragma once

#include <optional>
#include <string>

#include "core/reading.h"
#include "core/time.h"

namespace millwright::storage {

struct Operation {
  Timestamp time;       // when it was applied, by the lane's clock
  std::string command;  // its name as it was given
  std::string by, comment;
  std::string alert, machine, sensor;
  std::optional<Timestamp> from, to;
  bool ok = false;
  std::string text;  // what was done, or why not
  Position position = 0;
  // Whom to answer: MQTT 5 response topic and correlation data.
  std::string reply_topic, correlation;
};

}  // namespace millwright::storage
