// Builds the engine's events in journal order: names to sensors, refusals counted, ticks from event
// time where asked. Live lanes, replay and filter all feed the engine through this, so that they
// cannot differ.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace millwright::engine {

// Where processing time comes from.
enum class Clock : std::uint8_t {
  given,  // every call says it
  event,  // it follows the newest event time, with ticks of its own in between
};

// Thread rule: one thread.
class Feed {
 public:
  explicit Feed(Clock clock) : clock_(clock) {}

  // One reading; `received` and `arrival` are not looked at with Clock::event. A reading of a
  // sensor that cannot be onboarded is counted as refused at once; what it was refused for is
  // returned.
  std::optional<Outcome> reading(Engine& engine, std::string_view machine, std::string_view sensor,
                                 const Sample& sample, Position position, Timestamp received,
                                 Timestamp arrival, bool redelivered = false);
  // Many readings of one sensor at even steps of time; the samples are copied. Of a sensor without
  // windows each is a reading as above. What a sensor that cannot be onboarded was refused for is
  // returned, and each sample is counted as refused.
  std::optional<Outcome> block(Engine& engine, std::string_view machine, std::string_view sensor,
                               const Block& block, Position position, Timestamp received,
                               Timestamp arrival, bool redelivered = false);
  // Time has passed; ignored with Clock::event.
  void tick(Position position, Timestamp received, Timestamp arrival);

  // A person said that the machine was serviced, or asked for a new baseline; `sensor` empty: of
  // all its sensors. False, and nothing is done, when there is no such machine or sensor.
  bool renew(const Engine& engine, Event::Kind kind, std::string_view machine,
             std::string_view sensor, Position position, Timestamp received, Timestamp arrival);

  // Processing time: `given`, or with Clock::event what follows from the readings, if there were
  // any.
  Timestamp now(Timestamp given) const {
    return clock_ == Clock::event ? now_.value_or(given) : given;
  }

  // Steps the engine over what was fed and forgets it.
  void step(Engine& engine, Effects& effects);

  // Readings and ticks that wait for `step`.
  std::size_t size() const { return events_.size() + samples_; }

  static void fields(auto& io, auto& feed) { io(feed.now_); }  // between steps

 private:
  void follow(Timestamp time, Position position);
  void advance_regime(const Engine& engine, MachineId machine);

  Clock clock_;
  std::optional<Timestamp> now_;  // Clock::event: the newest event time
  // Blocks stay where they are until they are stepped: events point to them.
  struct Stored {
    Block block;
    std::vector<double> samples;
  };

  std::vector<Event> events_;
  std::vector<std::unique_ptr<Stored>> blocks_;  // the first `stored_` are in use
  std::size_t stored_ = 0, samples_ = 0;
};

}  // namespace millwright::engine
