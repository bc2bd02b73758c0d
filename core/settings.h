// Plain data that config fills in and ingest and daemon read. Defaults here are the product's
// defaults.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"

namespace millwright {

struct BrokerSettings {
  std::string url = "tcp://127.0.0.1:1883";  // tcp://, mqtt://, ssl://, mqtts://, ws://, wss://
  std::string client_id;                     // empty: millwright-<site>
  std::uint32_t mqtt_version = 5;            // 5, or 4 for MQTT 3.1.1
  std::string username;
  std::string password_credential;  // systemd credential's name
  std::string password_file;        // or a file
  std::string password;             // literal: accepted with a warning
  std::string ca_file, certificate_file, key_file;
  bool verify_certificate = true;
  Duration keep_alive = std::chrono::seconds{15};
  Duration session_expiry = std::chrono::hours{24};
  friend bool operator==(const BrokerSettings&, const BrokerSettings&) = default;
};

enum class PayloadFormat : std::uint8_t { json, text, packed_json, packed_binary };
enum class SampleType : std::uint8_t { int16, int32, float32, float64 };

// Texts that stand for numbers.
using Words = std::map<std::string, double, std::less<>>;

// One onboarding rule. `{name}` captures in the topic and in the value's JSON Pointer name the
// machine and the sensor.
struct InputSettings {
  std::string topic;  // filter with captures, e.g. acme/{line}/{robot}/telemetry
  std::map<std::string, std::string>
      where;  // capture name -> regular expression that must match it whole
  PayloadFormat format = PayloadFormat::json;
  std::string value;  // JSON Pointer with {captures} and *; json and packed_json
  std::string time;   // JSON Pointer to the event time; empty: time of arrival
  TimeFormat time_format = TimeFormat::automatic;
  std::string machine, sensor;  // text with {captures}
  // json only: sensors that the message has beside, by name: a JSON Pointer each.
  std::map<std::string, std::string> also;
  // json and text: what texts mean as numbers.
  Words words;
  // Packed arrays; the MQTT 5 user properties of these names, and t0, come before them. scale and
  // offset are for all formats.
  std::optional<double> rate_hz;
  SampleType sample_type = SampleType::float32;
  double scale = 1, offset = 0;  // value = raw * scale + offset
  std::uint32_t qos = 1;
  friend bool operator==(const InputSettings&, const InputSettings&) = default;
};

enum class ProcessingMode : std::uint8_t { native, micro_batch };
enum class ProcessingClock : std::uint8_t {
  wall,   // ticks come from the monotonic clock while the broker is connected
  event,  // ticks follow the event time of the readings: for playing history faster than it
          // happened
};

struct ProcessingSettings {
  static constexpr std::uint32_t most_lanes = 64;
  ProcessingMode mode = ProcessingMode::native;
  Duration max_delay = std::chrono::milliseconds{200};  // micro_batch: at most this long
  std::uint32_t max_readings = 10000;                   // micro_batch: or this many readings
  ProcessingClock clock = ProcessingClock::wall;
  std::uint32_t lanes = 1;
  std::uint64_t journal_bytes = 64u << 20;  // per lane
  std::string journal_directory;  // empty: $RUNTIME_DIRECTORY, else <state_directory>/journal
  Duration journal_sync = std::chrono::seconds{1};  // with journal_directory; 0: never
  Duration checkpoint_interval = std::chrono::seconds{60};
  friend bool operator==(const ProcessingSettings&, const ProcessingSettings&) = default;
};

struct LimitSettings {
  std::uint32_t sensors = 20000;  // over all lanes
  std::uint32_t payload_bytes = 262144;
  std::uint32_t depth = 32;  // of nested JSON
  std::uint32_t readings_per_message = 100000;
  std::uint32_t quarantine_messages = 200;  // bad messages kept for inspection
  friend bool operator==(const LimitSettings&, const LimitSettings&) = default;
};

struct ArchiveSettings {
  std::string file;  // empty: <state_directory>/millwright.db
  bool enabled = true;
  std::uint32_t max_megabytes = 2000;
  std::uint32_t keep_days = 0;  // 0: as many as fit
  friend bool operator==(const ArchiveSettings&, const ArchiveSettings&) = default;
};

struct HomeAssistantSettings {
  bool enabled = false;
  std::string prefix = "homeassistant";
  Duration forget_after = std::chrono::hours{24 * 30};
  friend bool operator==(const HomeAssistantSettings&, const HomeAssistantSettings&) = default;
};

}  // namespace millwright
