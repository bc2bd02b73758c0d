// From an MQTT message to readings, by the input that its topic matches. Data path: no exceptions,
// every refusal has a name. The one list of payload formats is in decoder.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/accounting.h"
#include "core/settings.h"
#include "core/time.h"

namespace millwright::ingest {

struct Message {
  std::string_view topic;
  std::string_view payload;
  std::string_view properties;  // MQTT 5 user properties as name\0value\0...
  Timestamp received;
  bool retained = false;
};

// Borrowed from the message and the decoder, until the next call of `decode`. The value may be NaN
// or infinite: the engine refuses and counts it.
struct Decoded {
  std::string_view machine, sensor;
  Timestamp time;
  double value = 0;
};

// Readings of one sensor at even steps of time, as one; lifetime as of Decoded.
struct DecodedBlock {
  std::string_view machine, sensor;
  Timestamp first;
  double rate_hz = 0;                // more than 0 where there are several samples
  std::size_t begin = 0, count = 0;  // of DecodeResult::samples
  std::size_t after = 0;             // so many of the readings stand before it
};

struct Rejected {
  Reject reason{};
  std::string where;  // JSON pointer or a few words; empty when the reason says it all
};

struct DecodeResult {
  std::size_t input = 0;         // index of the input that took it
  Reject reject = Reject::none;  // the whole message was refused
  std::vector<Decoded> readings;
  bool want_blocks = false;  // asked for: what comes packed is in `blocks`, and not in `readings`
  std::vector<DecodedBlock> blocks;
  std::vector<double> samples;
  std::vector<Rejected>
      rejected;  // fields that yielded no reading while others did; with `reject` set they only say
                 // where its reason lies, and are not counted on top of it
};

// Thread rule: one thread each (it reuses its buffers).
class Decoder {
 public:
  // Throws std::invalid_argument with one sentence that names the input and the key, for what
  // config cannot see.
  Decoder(const std::vector<InputSettings>& inputs, const LimitSettings& limits);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  // The first input whose topic matches decodes. `result` is reused, its old content is dropped.
  void decode(const Message& message, DecodeResult& result);

  // The filters to subscribe, each once, with the highest QoS asked for.
  struct Subscription {
    std::string filter;
    int qos = 1;
  };
  const std::vector<Subscription>& subscriptions() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Those that no other one covers, with the highest QoS of all that they stand for: a broker sends a
// message once for every filter that takes it.
std::vector<Decoder::Subscription> without_covered(
    const std::vector<Decoder::Subscription>& subscriptions);

// Which lane a message belongs to, from its topic alone: by the machine named there, else by the
// input; nothing when no input takes the topic. Used on the MQTT thread: cheap, no allocation once
// warm.
class LaneRouter {
 public:
  LaneRouter(const std::vector<InputSettings>& inputs, std::uint32_t lanes);
  ~LaneRouter();
  std::optional<std::uint32_t> lane(std::string_view topic);
  // The lane of a machine by its name.
  static std::uint32_t lane_of(std::string_view machine, std::uint32_t lanes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millwright::ingest
