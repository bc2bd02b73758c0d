// What the storage tests share: a child process, batches, and reading
// tables as text.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/archive.h"
#include "storage/database.h"
#include "tests/support/temporary.h"

namespace millwright::storage {

namespace fs = std::filesystem;

using test::TemporaryDirectory;

inline std::string bytes_of(const fs::path& file) { return test::read_file(file); }
inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}
inline void write_bytes(const fs::path& file, std::string_view bytes) {
  test::write_file(file, bytes);
}

inline std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{directory})
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Runs `work` in a child; `pipe` is where it can tell the parent something. Nothing of the child
// returns.
struct Child {
  pid_t pid = -1;
  int pipe = -1;  // the parent's end
  ~Child() { ::close(pipe); }
  int wait() const {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return status;
  }
};
inline Child start_child(const std::function<int(int pipe)>& work) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    int code = 99;
    try {
      code = work(ends[1]);
    } catch (const std::exception& error) {
      ::dprintf(STDERR_FILENO, "in the child: %s\n", error.what());
    }
    ::_exit(code);
  }
  ::close(ends[1]);
  return {pid, ends[0]};
}

// Every row of a query, columns by `|`, rows by newline; NULL is empty. Numbers with 15 digits.
inline std::string rows_of(Database& database, const std::string& sql) {
  std::string out;
  Statement statement = database.prepare(sql);
  statement.start();
  while (statement.next()) {
    for (int column = 0; column < statement.columns(); ++column) {
      if (column > 0) out += '|';
      out += statement.text(column);
    }
    out += '\n';
  }
  return out;
}
inline std::string rows_of(const fs::path& file, const std::string& sql) {
  Database database{file};
  return rows_of(database, sql);
}

// All that an archive holds.
inline std::string content_of(const fs::path& file) {
  Database database{file};
  std::string out;
  for (const char* table :
       {"sensor", "summary_minute", "alert", "alert_event", "baseline", "outbox", "lane_position"})
    out += std::string{table} + "\n" +
           rows_of(database, std::string{"SELECT * FROM "} + table + " ORDER BY 1, 2");
  return out;
}

inline Timestamp at(const char* text) { return parse_time(text).value(); }

inline Summary summary_of(Timestamp minute, const std::vector<double>& values, Position position) {
  Summary summary;
  summary.minute = minute;
  summary.position = position;
  for (const double value : values) summary.add(value);
  return summary;
}

inline SummaryRow row(std::string_view machine, std::string_view sensor, const Summary& summary,
                      std::uint32_t lane = 0) {
  return {lane, machine, sensor, "degC", summary};
}

inline AlertRow alert_row(const std::string& id, std::uint32_t revision, AlertState state) {
  AlertRow result;
  Alert& alert = result.alert;
  alert.id = id;
  alert.revision = revision;
  alert.event = state == AlertState::cleared ? AlertEvent::cleared
                : revision == 1              ? AlertEvent::raised
                                             : AlertEvent::updated;
  alert.state = state;
  alert.kind = AlertKind::drift;
  alert.severity = Severity::warning;
  alert.priority = 62;
  alert.machine = "R017";
  alert.sensor = "j3_temp";
  alert.unit = "degC";
  alert.onset = at("2024-11-22T04:33:20.123Z");
  alert.time = alert.onset + std::chrono::minutes{revision};
  if (state == AlertState::cleared) alert.cleared = alert.time;
  alert.value = 71.4;
  alert.expected = 62.0;
  alert.message = "Joint 3 temperature is above normal";
  result.document = "{\"revision\":" + std::to_string(revision) + "}";
  return result;
}

inline BaselineRow baseline_row(const std::string& detector, std::uint32_t version,
                                BaselineEnd why = BaselineEnd::serviced) {
  BaselineRow result;
  PastBaseline& past = result.baseline;
  past.machine = "R017";
  past.sensor = "j3_temp";
  past.detector = detector;
  past.detector_version = 3;
  past.configuration = 0x9f2c1a0000000001;
  past.version = version;
  past.why = why;
  past.since = at("2024-11-22T04:33:20.123Z");
  past.until = *past.since + std::chrono::hours{version};
  past.learned = 86400;
  past.position = 7;
  if (why != BaselineEnd::accepted) {
    past.confidence = 0.75;
    past.state = std::string("a\0b\xff", 4);
  }
  return result;
}

inline HealthRow health_row(const std::string& machine, std::optional<double> index) {
  HealthRow result;
  MachineHealth& health = result.health;
  health.machine = machine;
  health.time = at("2024-11-22T04:33:20.123Z");
  health.index = index;
  health.trend = -1.5;
  health.confidence = 0.75;
  health.baseline = 2;
  health.position = 7;
  const auto hours = [&](int n) { return health.time + std::chrono::hours{n}; };
  health.forecast = Forecast{0, hours(30), hours(20), hours(50)};
  result.document = "{\"health\":" + std::to_string(index.value_or(-1)) + "}";
  return result;
}

inline OutboxRow outbox_row(const std::string& id, std::uint32_t revision, int priority) {
  OutboxRow result;
  result.topic = "millwright/site/event/alert";
  result.payload = id + " " + std::to_string(revision);
  result.priority = priority;
  result.alert_id = id;
  result.revision = revision;
  return result;
}

}  // namespace millwright::storage
