// The file of `replay --scores`: one row per reading, in input order, and one per machine and
// instant with sensor `*`.
//
//   time,machine,sensor,value,score,alert
//
// `time` ISO 8601 UTC; `score` the highest ratio to an alarm limit, empty while warming up and for
// readings that were not judged (late, repeated, refused); `alert` 1 while an alert on the sensor
// is active. The row `*` is the machine as a whole: the newest ratio of the detector `machine`, and
// 1 while that has an alert. Where it does not watch (a single sensor, or `watched` false): the
// worst sensor at that instant, and 1 while any of them has an alert. Its value is empty.
#pragma once

#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace millwright::daemon {

class ScoresFile {
 public:
  // Throws std::system_error when the file cannot be written; so does `close`.
  explicit ScoresFile(std::string file);

  void add(std::string_view machine, std::string_view sensor, const engine::Verdict& verdict);
  // Of the instants since the machine's last one; before the reading that follows them.
  void add(std::string_view machine, const engine::MachineVerdict& verdict);
  void close();

 private:
  struct Instant {
    Timestamp time;
    std::optional<double> worst;
    std::map<std::string, bool, std::less<>> alerts;  // sensor -> active; kept over instants
    std::optional<engine::MachineVerdict> whole;      // likewise kept
    bool open = false;
  };
  Instant& instant_of(std::string_view machine);
  void end_instant(std::string_view machine, Instant& instant);
  void row(Timestamp time, std::string_view machine, std::string_view sensor,
           std::optional<double> value, std::optional<double> score, bool alert);
  void cell(std::string_view text);

  const std::string file_;
  std::ofstream out_;
  std::string line_;
  std::map<std::string, Instant, std::less<>> machines_;
};

}  // namespace millwright::daemon
