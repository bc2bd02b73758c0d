#include "daemon/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <system_error>
#include <utility>

namespace millwright::daemon {

ScoresFile::ScoresFile(std::string file) : file_(std::move(file)), out_(file_, std::ios::binary) {
  if (!out_) throw std::system_error{errno, std::generic_category(), "cannot write " + file_};
  out_ << "time,machine,sensor,value,score,alert\n";
}

void ScoresFile::add(std::string_view machine, std::string_view sensor,
                     const engine::Verdict& verdict) {
  auto& instant = instant_of(machine);
  if (instant.open && instant.time != verdict.sample.time) end_instant(machine, instant);
  instant.open = true;
  instant.time = verdict.sample.time;
  std::optional<double> score;
  if (verdict.score) score = verdict.score->ratio;
  if (score) instant.worst = std::max(instant.worst.value_or(0), *score);
  if (const auto known = instant.alerts.find(sensor); known != instant.alerts.end()) {
    known->second = verdict.alert;
  } else {
    instant.alerts.emplace(std::string{sensor}, verdict.alert);
  }
  row(verdict.sample.time, machine, sensor, verdict.sample.value, score, verdict.alert);
}

void ScoresFile::add(std::string_view machine, const engine::MachineVerdict& verdict) {
  instant_of(machine).whole = verdict;
}

ScoresFile::Instant& ScoresFile::instant_of(std::string_view machine) {
  auto found = machines_.find(machine);
  if (found == machines_.end()) found = machines_.emplace(std::string{machine}, Instant{}).first;
  return found->second;
}

void ScoresFile::end_instant(std::string_view machine, Instant& instant) {
  if (instant.whole) {
    row(instant.time, machine, "*", std::nullopt, instant.whole->ratio, instant.whole->alert);
    instant.open = false;
    return;
  }
  const bool alert = std::any_of(instant.alerts.begin(), instant.alerts.end(),
                                 [](const auto& entry) { return entry.second; });
  row(instant.time, machine, "*", std::nullopt, instant.worst, alert);
  instant.worst.reset();
  instant.open = false;
}

void ScoresFile::close() {
  for (auto& [machine, instant] : machines_) {
    if (instant.open) end_instant(machine, instant);
  }
  out_.close();
  if (!out_) throw std::system_error{EIO, std::generic_category(), "cannot write " + file_};
}

void ScoresFile::row(Timestamp time, std::string_view machine, std::string_view sensor,
                     std::optional<double> value, std::optional<double> score, bool alert) {
  line_.assign(format_time(time));
  cell(machine);
  cell(sensor);
  line_.push_back(',');
  if (value) fmt::format_to(std::back_inserter(line_), "{}", *value);
  line_.push_back(',');
  if (score) fmt::format_to(std::back_inserter(line_), "{:.6g}", *score);
  line_.append(alert ? ",1\n" : ",0\n");
  out_ << line_;
}

// RFC 4180: quoted where a separator, a quote or a line break stands in it.
void ScoresFile::cell(std::string_view text) {
  line_.push_back(',');
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    line_.append(text);
    return;
  }
  line_.push_back('"');
  for (const char c : text) {
    if (c == '"') line_.push_back('"');
    line_.push_back(c);
  }
  line_.push_back('"');
}

}  // namespace millwright::daemon
