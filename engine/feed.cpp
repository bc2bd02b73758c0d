#include "engine/feed.h"

#include <algorithm>

#include "core/check.h"

namespace millwright::engine {
namespace {

constexpr std::int64_t tick_us = 1'000'000;
constexpr std::int64_t most_ticks = 16;  // over one silence, however long
constexpr std::size_t kept_blocks = 64;  // of memory, between steps

}  // namespace

std::optional<Outcome> Feed::reading(Engine& engine, std::string_view machine,
                                     std::string_view sensor, const Sample& sample,
                                     Position position, Timestamp received, Timestamp arrival,
                                     bool redelivered) {
  Outcome refused{};
  const auto id = engine.sensor(machine, sensor, refused);
  if (!id) {
    engine.refuse(refused);
    return refused;
  }
  if (clock_ == Clock::event) {
    follow(sample.time, position);
    received = arrival = *now_;
  }
  events_.push_back(
      {Event::Kind::reading, position, received, arrival, {*id, sample}, redelivered});
  if (engine.names_regime(*id)) advance_regime(engine, engine.machine_of(*id));
  return std::nullopt;
}

// What names the regime comes before the other readings of the same message, wherever it stands in
// it.
void Feed::advance_regime(const Engine& engine, MachineId machine) {
  const auto newest = events_.end() - 1;
  const auto goes_first = [&](const Event& e) {
    return e.kind == Event::Kind::reading && e.position == newest->position &&
           engine.machine_of(e.reading.sensor) == machine &&
           !engine.names_regime(e.reading.sensor) &&
           e.reading.sample.time >= newest->reading.sample.time;
  };
  auto place = newest;
  while (place != events_.begin() && goes_first(*(place - 1))) --place;
  std::rotate(place, newest, events_.end());
}

std::optional<Outcome> Feed::block(Engine& engine, std::string_view machine,
                                   std::string_view sensor, const Block& block, Position position,
                                   Timestamp received, Timestamp arrival, bool redelivered) {
  const auto& samples = block.samples;
  if (samples.empty()) return std::nullopt;
  Outcome refused{};
  const auto id = engine.sensor(machine, sensor, refused);
  if (!id) {
    engine.refuse(refused, samples.size());
    return refused;
  }
  if (!engine.is_waveform(*id)) {
    check(block.rate_hz > 0 || samples.size() == 1, "times of several samples need a rate");
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Sample sample{Wave::sample_time(block.first, block.rate_hz, i), samples[i]};
      reading(engine, machine, sensor, sample, position, received, arrival, redelivered);
    }
    return std::nullopt;
  }
  if (clock_ == Clock::event) {
    const auto last = Wave::sample_time(block.first, block.rate_hz, samples.size() - 1);
    follow(block.rate_hz > 0 ? last : block.first, position);
    received = arrival = *now_;
  }
  if (stored_ == blocks_.size()) blocks_.push_back(std::make_unique<Stored>());
  auto& stored = *blocks_[stored_++];
  stored.samples.assign(samples.begin(), samples.end());
  stored.block = {block.first, block.rate_hz, stored.samples};
  samples_ += samples.size();
  Event event{Event::Kind::block, position, received, arrival, {*id, {}}, redelivered};
  event.block = &stored.block;
  events_.push_back(event);
  return std::nullopt;
}

void Feed::tick(Position position, Timestamp received, Timestamp arrival) {
  if (clock_ == Clock::given)
    events_.push_back({Event::Kind::tick, position, received, arrival, {}, false});
}

bool Feed::renew(const Engine& engine, Event::Kind kind, std::string_view machine,
                 std::string_view sensor, Position position, Timestamp received,
                 Timestamp arrival) {
  const auto known = engine.find_machine(machine);
  const auto only = engine.find_sensor(machine, sensor);
  if (!known || (!sensor.empty() && !only)) return false;
  if (clock_ == Clock::event) received = arrival = now_.value_or(arrival);
  events_.push_back({kind, position, received, arrival, {}, false, *known, only});
  return true;
}

void Feed::step(Engine& engine, Effects& effects) {
  engine.step(events_, effects);
  events_.clear();
  if (blocks_.size() > kept_blocks) blocks_.resize(kept_blocks);
  stored_ = samples_ = 0;
}

// Ticks on whole seconds between the old now and `time`, thinned out over long silences.
void Feed::follow(Timestamp time, Position position) {
  if (!now_ || time <= *now_) {
    now_ = now_.value_or(time);
    return;
  }
  const std::int64_t last = to_microseconds(time) / tick_us,
                     first = to_microseconds(*now_) / tick_us + 1;
  const std::int64_t stride = std::max<std::int64_t>(1, (last - first + most_ticks) / most_ticks);
  for (std::int64_t at = first; at <= last; at += stride) {
    const auto now = from_microseconds(at * tick_us);
    events_.push_back({Event::Kind::tick, position, now, now, {}, false});
  }
  now_ = time;
}

}  // namespace millwright::engine
