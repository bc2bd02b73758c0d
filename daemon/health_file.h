// The file of `replay --health`: a row whenever the health of a machine is told.
//
//   time,machine,health,trend_per_day,reaches_limit,earliest,latest,parts
//
// Times ISO 8601 UTC; `health` 0..100, empty while it is learned; the forecast empty where none is
// shown; `parts` as `drift 0.81; sensor:j3_temp 0.19`.
#pragma once

#include <fstream>
#include <string>

#include "core/health.h"

namespace millwright::daemon {

class HealthFile {
 public:
  // Throws std::system_error when the file cannot be written; so does `close`.
  explicit HealthFile(std::string file);

  void add(const MachineHealth& health);
  void close();

 private:
  const std::string file_;
  std::ofstream out_;
};

}  // namespace millwright::daemon
