// Whether a service helped: what the sensors that had an alert said before it and after. The JSON
// form is in daemon/documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/reading.h"
#include "core/score.h"

namespace millwright {

enum class Helped : std::uint8_t {
  yes,
  in_part,
  no,
  unknown  // too few readings since, or level and scatter do not tell
};
std::string_view name_of(Helped helped);

struct ServicedSensor {
  std::string sensor, label, unit;
  std::string alert;  // its id, as the engine gave it
  AlertKind kind{};
  std::string regime;           // only readings in it were compared; empty: in all
  bool scatter = false;         // the figures are standard deviations, else means
  double before = 0;            // while the alert was active
  std::optional<double> after;  // once it was learned anew
  std::optional<double> usual;  // before the alert's onset
  std::uint64_t readings_before = 0, readings_after = 0;
  Helped helped{};
};

struct ServiceOutcome {
  std::string machine;
  Timestamp serviced, time;  // event time
  Helped helped{};
  std::vector<ServicedSensor> sensors;  // at least one
  std::string message;                  // one sentence
  Position position = 0;                // the journal record that completed it
};

}  // namespace millwright
