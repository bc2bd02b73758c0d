#include "daemon/playback.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "daemon/json.h"

namespace millwright::daemon {
namespace {

// Names come from files: whatever is no UTF-8 is replaced, so that the document always is.
std::string json_string(std::string_view text) { return dumped(OrderedJson(text)); }

// Shortest text that reads back as the same double.
void append_number(std::string& out, double value) {
  fmt::format_to(std::back_inserter(out), "{}", value);
}

// JSON has no number for NaN and infinity; as text our readers take them, and the engine refuses
// and counts them.
void append_json_number(std::string& out, double value) {
  if (std::isfinite(value)) {
    append_number(out, value);
  } else {
    out += std::isnan(value) ? R"("NaN")" : value > 0 ? R"("Infinity")" : R"("-Infinity")";
  }
}

bool fits_level(std::string_view name) {
  return !name.empty() &&
         name.find_first_of(std::string_view{"/+#\0", 4}) == std::string_view::npos;
}

void append_csv(std::string& out, std::string_view text) {
  if (text.find_first_of(",;\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

bool FactorySource::next(PlayedMessage& out) {
  if (!factory_.next(frame_)) return false;
  out.time = frame_.time;
  out.line = factory_.line(frame_.robot);
  out.machine = factory_.machine(frame_.robot);
  out.program = frame_.program;
  out.values.clear();
  for (const auto& value : frame_.values) {
    out.values.push_back({simulator::Factory::sensors()[value.sensor].name, value.value});
  }
  return true;
}

std::string_view CsvSource::kept(std::string_view name) {
  auto it = names_.find(name);
  if (it == names_.end()) it = names_.emplace(name).first;
  return *it;
}

// Takes row_ into the message; false when it belongs to the next one.
bool CsvSource::add(PlayedMessage& out) {
  if (!out.values.empty()) {
    if (row_.time != out.time || row_.machine != out.machine) return false;
    for (const auto& value : row_.values) {
      const auto is_same = [&](const PlayedValue& other) { return other.sensor == value.sensor; };
      if (std::any_of(out.values.begin(), out.values.end(), is_same)) return false;
    }
  }
  out.time = row_.time;
  out.machine = kept(row_.machine);
  for (const auto& value : row_.values) {
    const bool is_long = reader_.shape() == ingest::CsvShape::long_shape;
    out.values.push_back({is_long ? kept(value.sensor) : value.sensor, value.value});
  }
  return true;
}

bool CsvSource::next(PlayedMessage& out) {
  out.line = "replay";
  out.program = {};
  out.values.clear();
  if (pending_) add(out);
  pending_ = false;
  while (reader_.next(row_)) {
    if (row_.values.empty()) continue;
    if (!add(out)) {
      pending_ = true;
      return true;
    }
    if (reader_.shape() == ingest::CsvShape::wide_shape) return true;
  }
  return !out.values.empty();
}

TopicTemplate::TopicTemplate(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    throw std::invalid_argument{fmt::format("--topic {}: {}", text, why)};
  };
  if (text.empty()) bad("a topic is needed");
  if (text.find_first_of(std::string_view{"+#\0", 3}) != std::string_view::npos)
    bad("no wildcards in a topic to publish to");
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto open = rest.find('{');
    if (open != 0) parts_.emplace_back(Part::text, std::string{rest.substr(0, open)});
    if (open == std::string_view::npos) break;
    const auto close = rest.find('}', open);
    if (close == std::string_view::npos) bad("a { is not closed");
    const auto name = rest.substr(open + 1, close - open - 1);
    if (name == "line") {
      parts_.emplace_back(Part::line, "");
    } else if (name == "machine" || name == "robot") {
      parts_.emplace_back(Part::machine, "");
    } else if (name == "sensor") {
      parts_.emplace_back(Part::sensor, "");
      names_sensor_ = true;
    } else {
      bad(fmt::format("{{{}}} is not known; {{line}}, {{machine}} and {{sensor}} are", name));
    }
    rest.remove_prefix(close + 1);
  }
}

std::optional<std::string> TopicTemplate::fill(const PlayedMessage& message,
                                               std::string_view sensor) const {
  std::string out;
  for (const auto& [part, text] : parts_) {
    const auto level = part == Part::line      ? message.line
                       : part == Part::machine ? message.machine
                       : part == Part::sensor  ? sensor
                                               : std::string_view{text};
    if (part != Part::text && !fits_level(level)) return std::nullopt;
    out += level;
  }
  return out;
}

const std::string& TelemetryWriter::key(std::string_view sensor) {
  auto it = keys_.find(sensor);
  if (it == keys_.end()) it = keys_.emplace(sensor, json_string(sensor)).first;
  return it->second;
}

void TelemetryWriter::message(const PlayedMessage& message, std::string& out) {
  out = R"({"ts":")";
  out += format_time(message.time);
  out += '"';
  if (!message.program.empty()) {
    out += R"(,"program":)";
    out += key(message.program);
  }
  out += R"(,"signals":{)";
  bool first = true;
  for (const auto& value : message.values) {
    if (!first) out += ',';
    first = false;
    out += key(value.sensor);
    out += R"(:{"v":)";
    append_json_number(out, value.value);
    out += '}';
  }
  out += "}}";
}

void TelemetryWriter::single(const PlayedMessage& message, const PlayedValue& value,
                             std::string& out) {
  out = R"({"ts":")";
  out += format_time(message.time);
  out += R"(","v":)";
  append_json_number(out, value.value);
  out += '}';
}

PlaybackFile::PlaybackFile(const std::string& name)
    : name_(name), out_(&file_), ndjson_(name.ends_with(".ndjson")) {
  if (name == "-") {
    out_ = &std::cout;
  } else {
    file_.open(name, std::ios::binary | std::ios::trunc);
    if (!file_)
      throw std::system_error{errno, std::generic_category(), fmt::format("cannot write {}", name)};
  }
  if (!ndjson_) buffer_ = "time,machine,sensor,value\n";
}

PlaybackFile::~PlaybackFile() = default;

void PlaybackFile::write(const PlayedMessage& message) {
  const auto time = format_time(message.time);
  std::string machine;
  if (ndjson_) {
    machine = json_string(message.machine);
  } else {
    append_csv(machine, message.machine);
  }
  for (const auto& value : message.values) {
    if (ndjson_) {
      fmt::format_to(std::back_inserter(buffer_),
                     R"({{"time":"{}","machine":{},"sensor":{},"value":)", time, machine,
                     json_string(value.sensor));
      append_json_number(buffer_, value.value);
      buffer_ += '}';
    } else {
      buffer_.append(time).append(",").append(machine).append(",");
      append_csv(buffer_, value.sensor);
      buffer_ += ',';
      append_number(buffer_, value.value);
    }
    buffer_ += '\n';
  }
  if (buffer_.size() > 256 * 1024) flush();
}

void PlaybackFile::flush() {
  errno = 0;
  out_->write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  buffer_.clear();
  if (!*out_) {
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            fmt::format("cannot write {}", name_)};
  }
}

void PlaybackFile::close() {
  flush();
  out_->flush();
  if (file_.is_open()) file_.close();
  if (!*out_) {
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            fmt::format("cannot write {}", name_)};
  }
}

std::string labels_document(const simulator::Factory& factory,
                            const simulator::FactoryOptions& options,
                            std::optional<Timestamp> played_until) {
  OrderedJson faults = OrderedJson::array();
  for (const auto& label : factory.labels()) {
    faults.push_back(OrderedJson{{"machine", label.machine},
                                 {"line", factory.line(label.robot)},
                                 {"kind", simulator::name_of(label.kind)},
                                 {"sensors", label.sensors},
                                 {"start", format_time(label.start)},
                                 {"end", format_time(label.end)},
                                 {"repaired", label.repaired},
                                 {"severity", label.severity},
                                 {"meaning", label.meaning}});
  }
  const OrderedJson document{{"seed", options.seed},
                             {"robots", options.robots},
                             {"sensors_per_robot", simulator::Factory::sensors().size()},
                             {"period_s", to_seconds(options.period)},
                             {"start", format_time(options.start)},
                             {"end", format_time(factory.end())},
                             {"learning_until", format_time(factory.learning_until())},
                             {"played_until", played_until ? OrderedJson(format_time(*played_until))
                                                           : OrderedJson(nullptr)},
                             {"faults", faults}};
  return document.dump(2) + "\n";
}

}  // namespace millwright::daemon
