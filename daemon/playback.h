// What `simulate` plays and in which form: messages of one machine at one time, from the simulated
// factory or from a recorded CSV file; as telemetry JSON for MQTT, as long CSV, or as NDJSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "ingest/csv.h"
#include "simulator/factory.h"

namespace millwright::daemon {

struct PlayedValue {
  std::string_view sensor;
  double value = 0;
};

// Borrowed from the source until its next `next`.
struct PlayedMessage {
  Timestamp time;
  std::string_view line, machine;
  std::string_view program;  // empty: not known
  std::vector<PlayedValue> values;
};

// Thread rule: one thread.
class PlaybackSource {
 public:
  virtual ~PlaybackSource() = default;
  virtual bool next(PlayedMessage& out) = 0;
};

class FactorySource final : public PlaybackSource {
 public:
  // `factory` is borrowed.
  explicit FactorySource(simulator::Factory& factory) : factory_(factory) {}
  bool next(PlayedMessage& out) override;

 private:
  simulator::Factory& factory_;
  simulator::Frame frame_;
};

// A row of a wide file is a message; of a long file, the rows in a run with one machine and time,
// as long as no sensor comes twice. So the readings are played in the order of the file.
class CsvSource final : public PlaybackSource {
 public:
  // `reader` is borrowed. Throws ingest::CsvError.
  explicit CsvSource(ingest::CsvReader& reader) : reader_(reader) {}
  bool next(PlayedMessage& out) override;

 private:
  bool add(PlayedMessage& out);
  std::string_view kept(std::string_view name);

  ingest::CsvReader& reader_;
  ingest::CsvRow row_;
  bool pending_ = false;                      // row_ belongs to the next message
  std::set<std::string, std::less<>> names_;  // messages borrow their names from here
};

// A topic with {line}, {machine} (or {robot}) and {sensor}, as in
// `factory/{line}/{machine}/telemetry`.
class TopicTemplate {
 public:
  // Throws std::invalid_argument for an unknown or open placeholder, for wildcards and for an empty
  // topic.
  explicit TopicTemplate(std::string_view text);
  bool names_sensor() const { return names_sensor_; }
  // Nothing when a name holds a character that a topic level cannot carry (/ + # NUL), or is empty.
  std::optional<std::string> fill(const PlayedMessage& message, std::string_view sensor) const;

 private:
  enum class Part : std::uint8_t { text, line, machine, sensor };
  std::vector<std::pair<Part, std::string>> parts_;
  bool names_sensor_ = false;
};

// Values are written so that reading them gives the same double again; NaN and infinity as text,
// which the payload decoders take.
class TelemetryWriter {
 public:
  // {"ts":"2024-01-01T00:00:03.250Z","program":"A","signals":{"j1_temp":{"v":41.2},...}}
  void message(const PlayedMessage& message, std::string& out);
  // One sensor: {"ts":"2024-01-01T00:00:03.250Z","v":41.2}
  void single(const PlayedMessage& message, const PlayedValue& value, std::string& out);

 private:
  const std::string& key(std::string_view sensor);

  std::map<std::string, std::string, std::less<>> keys_;  // sensor -> its JSON string
};

// Long CSV, or NDJSON with one reading a line: {"time":...,"machine":...,"sensor":...,"value":...}
class PlaybackFile {
 public:
  // NDJSON when the name ends in .ndjson; `-` is standard output, as CSV. Throws std::system_error.
  explicit PlaybackFile(const std::string& name);
  ~PlaybackFile();
  PlaybackFile(const PlaybackFile&) = delete;
  PlaybackFile& operator=(const PlaybackFile&) = delete;

  void write(const PlayedMessage& message);
  // Throws std::system_error when not everything could be written.
  void close();

 private:
  void flush();

  std::string name_;
  std::ofstream file_;
  std::ostream* out_;
  bool ndjson_ = false;
  std::string buffer_;
};

// The labels of a factory as a JSON document: what was planted where and when. `played_until`: the
// time of the last message, once that is known.
std::string labels_document(const simulator::Factory& factory,
                            const simulator::FactoryOptions& options,
                            std::optional<Timestamp> played_until);

}  // namespace millwright::daemon
