#include "ingest/decoder.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "core/hash.h"
#include "ingest/format.h"
#include "ingest/input.h"
#include "ingest/topic.h"

namespace millwright::ingest {

// The payload formats: a new one is a file with its make function, and its line here.
MakeFormat make_json, make_text, make_packed_json, make_packed_binary;

namespace {

struct ListedFormat {
  PayloadFormat format;
  MakeFormat* make;
};
constexpr std::array formats{
    ListedFormat{PayloadFormat::json, make_json},
    ListedFormat{PayloadFormat::text, make_text},
    ListedFormat{PayloadFormat::packed_json, make_packed_json},
    ListedFormat{PayloadFormat::packed_binary, make_packed_binary},
};

std::unique_ptr<Format> make_format(const Input& input, const LimitSettings& limits) {
  for (const ListedFormat& listed : formats) {
    if (listed.format == input.settings.format) return listed.make(input, limits);
  }
  throw std::invalid_argument{describe_problem(input, "format", "is not one that is built in")};
}

// Enough for the topics of a large plant; what comes beyond is looked up by the patterns again.
constexpr std::size_t known_topics = 100'000, known_bytes = 32u << 20;
// Topics that no input takes come by mistake or malice.
constexpr std::size_t unknown_topics = 10'000, unknown_bytes = 1u << 20;

std::vector<Decoder::Subscription> subscriptions_of(const std::vector<Input>& inputs) {
  std::vector<Decoder::Subscription> all;
  for (const Input& input : inputs) {
    const auto qos = static_cast<int>(input.settings.qos);
    const auto same = std::find_if(all.begin(), all.end(), [&](const Decoder::Subscription& s) {
      return s.filter == input.topic.filter();
    });
    if (same == all.end())
      all.push_back({input.topic.filter(), qos});
    else
      same->qos = std::max(same->qos, qos);
  }
  return all;
}

}  // namespace

struct Decoder::Impl {
  struct Place {
    std::size_t at = 0, size = 0;
  };
  struct Topic {
    std::size_t input = 0;
    bool is_utf8 = true;
    std::vector<Place> captures;  // in the topic
    std::string machine, sensor;  // of templates that need the topic alone
  };

  Impl(const std::vector<InputSettings>& settings, const LimitSettings& wanted)
      : limits(wanted), inputs(compile_inputs(settings)), subscriptions(subscriptions_of(inputs)) {
    for (const Input& input : inputs) formats.push_back(make_format(input, limits));
  }

  // The topic's entry; nullptr when no input takes it.
  const Topic* look_up(std::string_view topic) {
    if (const Topic* found = known.find(topic)) return found;
    if (unknown.find(topic) != nullptr) return nullptr;
    const Input* input = find_input(inputs, topic, captured);
    if (input == nullptr) {
      unknown.insert(topic, {});
      return nullptr;
    }
    Topic entry;
    entry.input = input->index;
    entry.is_utf8 = simdjson::validate_utf8(topic.data(), topic.size());
    for (const std::string_view capture : captured)
      entry.captures.push_back(
          {static_cast<std::size_t>(capture.data() - topic.data()), capture.size()});
    if (input->machine.from_topic_alone()) entry.machine = fill_in(input->machine, captured);
    if (input->sensor.from_topic_alone()) entry.sensor = fill_in(input->sensor, captured);
    const std::size_t bytes = sizeof(Topic) + entry.machine.size() + entry.sensor.size() +
                              entry.captures.size() * sizeof(Place);
    return &known.insert(topic, std::move(entry), bytes);
  }

  Reject decode(const Message& message, DecodeResult& result) {
    const Topic* topic = look_up(message.topic);
    if (topic == nullptr) return Reject::unknown_topic;
    result.input = topic->input;
    if (message.retained) return Reject::retained;
    if (!topic->is_utf8) return Reject::not_utf8;
    if (message.payload.empty()) return Reject::empty;
    if (message.payload.size() > limits.payload_bytes) return Reject::too_large;
    captured.clear();
    for (const Place& place : topic->captures)
      captured.push_back(message.topic.substr(place.at, place.size));
    return formats[topic->input]->decode(message, {captured, topic->machine, topic->sensor},
                                         result);
  }

  LimitSettings limits;
  std::vector<Input> inputs;
  std::vector<Decoder::Subscription> subscriptions;
  std::vector<std::unique_ptr<Format>> formats;
  TopicCache<Topic> known{known_topics, known_bytes};
  struct Nothing {};
  TopicCache<Nothing> unknown{unknown_topics, unknown_bytes};
  Captured captured;
};

Decoder::Decoder(const std::vector<InputSettings>& inputs, const LimitSettings& limits)
    : impl_(std::make_unique<Impl>(inputs, limits)) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

void Decoder::decode(const Message& message, DecodeResult& result) {
  result.input = 0;
  result.readings.clear();
  result.blocks.clear();
  result.samples.clear();
  result.rejected.clear();
  result.reject = impl_->decode(message, result);
  if (result.reject == Reject::none) return;
  result.readings.clear();
  result.blocks.clear();
  // What was noted on the way says where the reason lies, or has nothing to do with it.
  const bool explains =
      std::any_of(result.rejected.begin(), result.rejected.end(),
                  [&](const Rejected& rejected) { return rejected.reason == result.reject; });
  if (!explains) result.rejected.clear();
}

const std::vector<Decoder::Subscription>& Decoder::subscriptions() const {
  return impl_->subscriptions;
}

std::vector<Decoder::Subscription> without_covered(
    const std::vector<Decoder::Subscription>& subscriptions) {
  std::vector<Decoder::Subscription> kept;
  for (const auto& one : subscriptions) {
    const auto known = std::find_if(kept.begin(), kept.end(),
                                    [&](const auto& k) { return covers(k.filter, one.filter); });
    if (known != kept.end()) {
      known->qos = std::max(known->qos, one.qos);
      continue;
    }
    auto wide = one;
    std::erase_if(kept, [&](const auto& k) {
      if (!covers(one.filter, k.filter)) return false;
      wide.qos = std::max(wide.qos, k.qos);
      return true;
    });
    kept.push_back(wide);
  }
  return kept;
}

struct LaneRouter::Impl {
  Impl(const std::vector<InputSettings>& settings, std::uint32_t count)
      : inputs(compile_inputs(settings)), lanes(std::max(count, 1u)) {}

  std::optional<std::uint32_t> work_out(std::string_view topic) {
    const Input* input = find_input(inputs, topic, captured);
    if (input == nullptr) return std::nullopt;
    if (input->machine.from_topic_alone())
      return LaneRouter::lane_of(fill_in(input->machine, captured), lanes);
    return static_cast<std::uint32_t>(hash64({}, input->index) % lanes);
  }

  std::vector<Input> inputs;
  std::uint32_t lanes;
  TopicCache<std::uint32_t> known{known_topics, known_bytes};
  TopicCache<char> unknown{unknown_topics, unknown_bytes};
  Captured captured;
};

LaneRouter::LaneRouter(const std::vector<InputSettings>& inputs, std::uint32_t lanes)
    : impl_(std::make_unique<Impl>(inputs, lanes)) {}
LaneRouter::~LaneRouter() = default;

std::optional<std::uint32_t> LaneRouter::lane(std::string_view topic) {
  if (const std::uint32_t* known = impl_->known.find(topic)) return *known;
  if (impl_->unknown.find(topic) != nullptr) return std::nullopt;
  const std::optional<std::uint32_t> lane = impl_->work_out(topic);
  if (lane)
    impl_->known.insert(topic, *lane);
  else
    impl_->unknown.insert(topic, 0);
  return lane;
}

std::uint32_t LaneRouter::lane_of(std::string_view machine, std::uint32_t lanes) {
  return static_cast<std::uint32_t>(hash64(machine) % std::max(lanes, 1u));
}

}  // namespace millwright::ingest
