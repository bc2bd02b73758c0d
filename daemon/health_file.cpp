#include "daemon/health_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace millwright::daemon {
namespace {

// RFC 4180: quoted where a separator, a quote or a line break stands in it.
std::string cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
  std::string out{"\""};
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string parts_of(const MachineHealth& health) {
  std::string out;
  for (const auto& part : health.parts) {
    if (!out.empty()) out += "; ";
    out += part.name;
    if (!part.sensor.empty()) out += ":" + part.sensor;
    out += fmt::format(" {:.2f}", part.share);
  }
  return out;
}

}  // namespace

HealthFile::HealthFile(std::string file) : file_(std::move(file)), out_(file_, std::ios::binary) {
  if (!out_) throw std::system_error{errno, std::generic_category(), "cannot write " + file_};
  out_ << "time,machine,health,trend_per_day,reaches_limit,earliest,latest,parts\n";
}

void HealthFile::add(const MachineHealth& health) {
  std::string row = format_time(health.time) + "," + cell(health.machine) + ",";
  if (health.index) row += fmt::format("{:.1f}", *health.index);
  row += ",";
  if (health.trend) row += fmt::format("{:.4g}", *health.trend);
  row += ",";
  const auto& f = health.forecast;
  row += f ? format_time(f->reaches) + "," + format_time(f->earliest) + "," : ",,";
  if (f && f->latest) row += format_time(*f->latest);
  out_ << row << "," << cell(parts_of(health)) << "\n";
}

void HealthFile::close() {
  out_.close();
  if (!out_) throw std::system_error{EIO, std::generic_category(), "cannot write " + file_};
}

}  // namespace millwright::daemon
