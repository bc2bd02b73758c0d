// The formats `packed_json` and `packed_binary`: many samples of one sensor in one message, as
// vibration and current waveforms come. Sample i is at t0 + i / rate, worked out from i each time,
// so that nothing adds up.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "ingest/json_reader.h"

namespace millwright::ingest {
namespace {

using namespace std::string_view_literals;

// What MQTT 5 user properties say of a message; they come before the configuration.
struct Properties {
  std::optional<double> rate_hz;
  std::optional<Timestamp> t0;
  double scale = 1, offset = 0;
  SampleType type{};
  std::string_view bad;  // the property that cannot be read
};

std::optional<SampleType> sample_type_of(std::string_view name) {
  if (name == "int16") return SampleType::int16;
  if (name == "int32") return SampleType::int32;
  if (name == "float32") return SampleType::float32;
  if (name == "float64") return SampleType::float64;
  return std::nullopt;
}

// The reason, and in `out.bad` the property, when one of them cannot be read.
Reject read_properties(std::string_view properties, const InputSettings& settings,
                       Properties& out) {
  out = {settings.rate_hz, std::nullopt, settings.scale, settings.offset, settings.sample_type, {}};
  if (properties.empty()) return Reject::none;
  const auto number = [&](std::string_view name, auto& value) {
    const auto text = user_property(properties, name);
    if (!text) return true;
    const std::optional<double> parsed = parse_number(*text);
    if (parsed) value = *parsed;
    if (!parsed || !std::isfinite(*parsed)) out.bad = name;
    return out.bad.empty();
  };
  if (!number("scale", out.scale) || !number("offset", out.offset)) return Reject::not_a_number;
  if (!number("rate_hz", out.rate_hz)) return Reject::bad_time;
  if (const auto text = user_property(properties, "t0")) {
    out.t0 = parse_time(trimmed(*text), settings.time_format);
    if (!out.t0) out.bad = "t0";
    if (!out.t0) return Reject::bad_time;
  }
  if (const auto text = user_property(properties, "sample_type")) {
    const std::optional<SampleType> type = sample_type_of(trimmed(*text));
    if (type) out.type = *type;
    if (!type) out.bad = "sample_type";
    if (!type) return Reject::not_a_number;
  }
  return Reject::none;
}

Reject refuse_property(Reject reason, const Properties& properties, DecodeResult& result) {
  result.rejected.push_back({reason, std::string{"user property "}.append(properties.bad)});
  return reason;
}

// The times of the samples of one block.
class BlockClock {
 public:
  // `count` samples; without t0 the last one is at `received`. missing_time without a rate,
  // bad_time for one that does not work. One sample alone needs no rate.
  Reject set(std::optional<Timestamp> t0, std::optional<double> rate_hz, std::size_t count,
             Timestamp received) {
    constexpr double longest = 3.2e15;  // microseconds: a hundred years
    said_hz_ = rate_hz && *rate_hz > 0 && std::isfinite(*rate_hz) ? *rate_hz : 0;
    if (count > 1) {
      if (!rate_hz) return Reject::missing_time;
      rate_hz_ = *rate_hz;
      if (!(rate_hz_ > 0) || !std::isfinite(rate_hz_) || !(exact(count - 1) < longest))
        return Reject::bad_time;
    }
    t0_ = t0 ? *t0 : received - offset(count - 1);
    return Reject::none;
  }
  Timestamp at(std::size_t i) const { return t0_ + offset(i); }
  // As said; 0: nothing was, or nothing sensible, and there is one sample.
  double rate_hz() const { return said_hz_; }

 private:
  double exact(std::size_t i) const { return static_cast<double>(i) * 1e6 / rate_hz_; }
  Duration offset(std::size_t i) const { return Duration{std::llround(exact(i))}; }

  Timestamp t0_;
  double rate_hz_ = 1, said_hz_ = 0;
};

class PackedJson final : public Format, private JsonReader::Receiver {
 public:
  PackedJson(const Input& input, const LimitSettings& limits)
      : settings_(input.settings), reader_(input, limits) {
    for (const JsonNode& node : reader_.tree().nodes) {
      if (node.is_value && (!node.keys.empty() || node.each != no_node))
        throw std::invalid_argument{describe_problem(
            input, "value",
            "is a whole block, so `time` and names cannot point into it; t0 and rate_hz in it are "
            "found without")};
    }
  }

  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    if (const Reject reason = read_properties(message.properties, settings_, properties_);
        reason != Reject::none)
      return refuse_property(reason, properties_, result);
    blocks_.clear();
    samples_.clear();
    if (const Reject reason = reader_.read(message.payload, *this, result); reason != Reject::none)
      return reason;
    for (const Block& block : blocks_) {
      if (const Reject reason = complete(block, message, topic, result); reason != Reject::none)
        return reason;
    }
    return reader_.verdict();
  }

 private:
  using Scope = JsonReader::Scope;
  using Value = JsonReader::Value;

  struct PackedSample {
    double value = 0;
    std::size_t position = 0;
    std::optional<Timestamp> time;  // of its own, in a pair
  };
  struct Block {
    Scope scope = 0;
    std::size_t begin = 0, end = 0;  // of samples_
    std::size_t count = 0;           // elements, those that are null or bad too
    bool has_values = false, needs_clock = false;
    std::optional<double> rate_hz;
    std::optional<Timestamp> t0;
  };

  Reject scalar(const Scalar&, Scope scope) override {
    return reader_.refuse_value(Reject::not_a_number, scope);
  }

  Reject container(Value& value, Scope scope, std::uint32_t depth, bool& consumed) override {
    consumed = true;
    Block block;
    block.scope = scope;
    block.begin = samples_.size();
    Scalar kind;
    if (const Reject reason = reader_.scalar_of(value, kind); reason != Reject::none) return reason;
    bool good = true;
    const bool is_object = kind.text == "{"sv;
    const Reject reason =
        is_object ? read_object(value, depth, block, good) : read_array(value, depth, {}, block);
    if (reason != Reject::none) return reason;
    block.end = samples_.size();
    if (!good) {
      samples_.resize(block.begin);
      return Reject::none;
    }
    if (is_object && !block.has_values)
      return reader_.refuse_value(Reject::missing_value, scope, "/values");
    if (block.count == 0)
      return reader_.refuse_value(Reject::wrong_length, scope, is_object ? "/values"sv : ""sv);
    blocks_.push_back(block);
    return Reject::none;
  }

  // {"t0": ..., "rate_hz": ..., "values": [...]}, in any order. `good` turns false when t0 or
  // rate_hz cannot be read.
  Reject read_object(Value& value, std::uint32_t depth, Block& block, bool& good) {
    simdjson::ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return Reject::not_json;
    for (auto next : object) {
      simdjson::ondemand::field field;
      std::string_view key;
      Scalar scalar;
      if (std::move(next).get(field) != simdjson::SUCCESS || !JsonReader::key_of(field, key))
        return Reject::not_json;
      Value& inner = field.value();
      if (const Reject reason = reader_.scalar_of(inner, scalar); reason != Reject::none)
        return reason;
      Reject reason = Reject::none;
      if (key == "values" && scalar.kind == Scalar::Kind::container && scalar.text == "["sv) {
        reason = read_array(inner, depth + 1, "/values", block);
      } else if (key == "values" || scalar.kind == Scalar::Kind::container) {
        reason = reader_.skip(inner, depth + 1);
      } else if (key == "t0" && scalar.kind != Scalar::Kind::null) {
        block.t0 = time_in(scalar, settings_.time_format);
        if (!block.t0) reason = bad(block, "/t0", good);
      } else if (key == "rate_hz" && scalar.kind != Scalar::Kind::null) {
        block.rate_hz = number_of(scalar);
        if (!block.rate_hz) reason = bad(block, "/rate_hz", good);
      }
      if (reason != Reject::none) return reason;
    }
    return Reject::none;
  }

  Reject bad(const Block& block, std::string_view where, bool& good) {
    good = false;
    return reader_.refuse_value(Reject::bad_time, block.scope, where);
  }

  // Numbers, and pairs of time and value. `where`: from the value's pointer to the array.
  Reject read_array(Value& value, std::uint32_t depth, std::string_view where, Block& block) {
    if (!reader_.may_nest(depth)) return Reject::too_deep;
    block.has_values = true;
    simdjson::ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return Reject::not_json;
    for (auto next : array) {
      if (next.error() != simdjson::SUCCESS) return Reject::not_json;
      Value inner = next.value_unsafe();
      Scalar scalar;
      if (const Reject reason = reader_.scalar_of(inner, scalar); reason != Reject::none)
        return reason;
      const std::size_t position = block.count++;
      PackedSample sample;
      sample.position = position;
      Reject problem = Reject::none;  // with this element
      if (scalar.kind == Scalar::Kind::container && scalar.text == "["sv) {
        if (const Reject reason = read_pair(inner, depth + 1, sample.time, scalar, problem);
            reason != Reject::none)
          return reason;
      } else if (scalar.kind == Scalar::Kind::container) {
        if (const Reject reason = reader_.skip(inner, depth + 1); reason != Reject::none)
          return reason;
      }
      if (const Reject reason = take(sample, scalar, problem, where, block); reason != Reject::none)
        return reason;
    }
    return Reject::none;
  }

  // One element, good or bad.
  Reject take(PackedSample& sample, const Scalar& scalar, Reject problem, std::string_view where,
              Block& block) {
    if (problem == Reject::none && scalar.kind == Scalar::Kind::null) {
      reader_.count_null();
      return Reject::none;
    }
    const std::optional<double> raw = number_of(scalar);
    if (!raw && scalar.kind == Scalar::Kind::number) return Reject::not_json;
    if (problem == Reject::none && !raw) problem = Reject::not_a_number;
    if (problem != Reject::none)
      return reader_.refuse_value(
          problem, block.scope,
          std::string{where}.append("/").append(std::to_string(sample.position)));
    sample.value = *raw * properties_.scale + properties_.offset;
    block.needs_clock |= !sample.time;
    samples_.push_back(sample);
    return reader_.count_one();
  }

  // Leaves the pair's value in `scalar`.
  Reject read_pair(Value& value, std::uint32_t depth, std::optional<Timestamp>& time,
                   Scalar& scalar, Reject& problem) {
    if (!reader_.may_nest(depth)) return Reject::too_deep;
    simdjson::ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return Reject::not_json;
    std::size_t position = 0;
    scalar = {};
    for (auto next : array) {
      if (next.error() != simdjson::SUCCESS) return Reject::not_json;
      Value inner = next.value_unsafe();
      Scalar part;
      if (const Reject reason = reader_.scalar_of(inner, part); reason != Reject::none)
        return reason;
      if (part.kind == Scalar::Kind::container) {
        if (const Reject reason = reader_.skip(inner, depth + 1); reason != Reject::none)
          return reason;
      }
      if (position == 0) time = time_in(part, settings_.time_format);
      if (position == 1) scalar = part;
      ++position;
    }
    if (position != 2)
      problem = Reject::wrong_length;
    else if (!time)
      problem = Reject::bad_time;
    return Reject::none;
  }

  // Turns the samples of a block into readings.
  Reject complete(const Block& block, const Message& message, const FromTopic& topic,
                  DecodeResult& result) {
    Decoded reading;
    if (const Reject reason = reader_.names_of(block.scope, topic, reading.machine, reading.sensor);
        reason != Reject::none)
      return reader_.refuse_name(reason, block.scope);
    BlockClock clock;
    if (block.needs_clock) {
      std::optional<Timestamp> t0 = block.t0;
      if (!t0 && reader_.tree().time != no_companion) {
        Timestamp time;
        if (const Reject reason = reader_.time_of(block.scope, time); reason != Reject::none)
          return reader_.refuse_time(reason, block.scope);
        t0 = time;
      }
      if (!t0) t0 = properties_.t0;
      const auto rate_hz = block.rate_hz ? block.rate_hz : properties_.rate_hz;
      if (const Reject reason = clock.set(t0, rate_hz, block.count, message.received);
          reason != Reject::none) {
        result.rejected.push_back({reason, reader_.value_pointer(block.scope) + "/rate_hz"});
        return Reject::none;
      }
    }
    const auto all_timed_by_clock = [&] {
      return std::none_of(samples_.begin() + static_cast<std::ptrdiff_t>(block.begin),
                          samples_.begin() + static_cast<std::ptrdiff_t>(block.end),
                          [](const PackedSample& sample) { return sample.time.has_value(); });
    };
    const std::size_t size = block.end - block.begin;
    if (result.want_blocks && size == block.count && all_timed_by_clock()) {
      result.blocks.push_back({reading.machine, reading.sensor, clock.at(0), clock.rate_hz(),
                               result.samples.size(), size, result.readings.size()});
      for (std::size_t i = block.begin; i < block.end; ++i)
        result.samples.push_back(samples_[i].value);
      return Reject::none;
    }
    for (std::size_t i = block.begin; i < block.end; ++i) {
      reading.value = samples_[i].value;
      reading.time = samples_[i].time ? *samples_[i].time : clock.at(samples_[i].position);
      result.readings.push_back(reading);
    }
    return Reject::none;
  }

  InputSettings settings_;
  JsonReader reader_;
  Properties properties_;
  std::vector<PackedSample> samples_;
  std::vector<Block> blocks_;
};

class PackedBinary final : public Format {
 public:
  PackedBinary(const Input& input, const LimitSettings& limits)
      : settings_(input.settings), limits_(limits) {}

  Reject decode(const Message& message, const FromTopic& topic, DecodeResult& result) override {
    Properties properties;
    if (const Reject reason = read_properties(message.properties, settings_, properties);
        reason != Reject::none)
      return refuse_property(reason, properties, result);
    switch (properties.type) {
      case SampleType::int16:
        return unpack<std::uint16_t, std::int16_t>(message, topic, properties, result);
      case SampleType::int32:
        return unpack<std::uint32_t, std::int32_t>(message, topic, properties, result);
      case SampleType::float32:
        return unpack<std::uint32_t, float>(message, topic, properties, result);
      case SampleType::float64:
        return unpack<std::uint64_t, double>(message, topic, properties, result);
    }
    return Reject::wrong_length;
  }

 private:
  // The sample's bytes are read as the unsigned type `Bits`, least significant first.
  template <class Bits, class Raw>
  Reject unpack(const Message& message, const FromTopic& topic, const Properties& properties,
                DecodeResult& result) const {
    static_assert(sizeof(Bits) == sizeof(Raw));
    const std::string_view payload = message.payload;
    if (payload.size() % sizeof(Raw) != 0) return Reject::wrong_length;
    const std::size_t count = payload.size() / sizeof(Raw);
    if (count > limits_.readings_per_message) return Reject::too_many_readings;
    BlockClock clock;
    if (const Reject reason = clock.set(properties.t0, properties.rate_hz, count, message.received);
        reason != Reject::none) {
      result.rejected.push_back({reason, "rate_hz"});
      return reason;
    }
    const auto value_at = [&](std::size_t i) {
      const auto raw = std::bit_cast<Raw>(little_endian<Bits>(payload.data() + i * sizeof(Raw)));
      return static_cast<double>(raw) * properties.scale + properties.offset;
    };
    if (result.want_blocks && count > 0) {
      result.blocks.push_back(
          {topic.machine, topic.sensor, clock.at(0), clock.rate_hz(), 0, count, 0});
      result.samples.resize(count);
      for (std::size_t i = 0; i < count; ++i) result.samples[i] = value_at(i);
      return Reject::none;
    }
    result.readings.reserve(count);
    Decoded reading{topic.machine, topic.sensor, {}, 0};
    for (std::size_t i = 0; i < count; ++i) {
      reading.value = value_at(i);
      reading.time = clock.at(i);
      result.readings.push_back(reading);
    }
    return Reject::none;
  }

  template <class Bits>
  static Bits little_endian(const char* bytes) {
    Bits bits = 0;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&bits, bytes, sizeof bits);
    } else {
      for (std::size_t i = sizeof bits; i-- > 0;)
        bits = static_cast<Bits>((bits << 8) | static_cast<unsigned char>(bytes[i]));
    }
    return bits;
  }

  InputSettings settings_;
  LimitSettings limits_;
};

}  // namespace

std::unique_ptr<Format> make_packed_json(const Input& input, const LimitSettings& limits) {
  return std::make_unique<PackedJson>(input, limits);
}

std::unique_ptr<Format> make_packed_binary(const Input& input, const LimitSettings& limits) {
  require_topic_alone(input, "packed_binary");
  return std::make_unique<PackedBinary>(input, limits);
}

}  // namespace millwright::ingest
