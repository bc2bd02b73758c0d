#include "engine/impl.h"

namespace millwright::engine {
namespace {

constexpr Duration minute_patience = std::chrono::seconds{90};

}  // namespace

void Engine::Impl::tick(const Event& event, Effects& effects) {
  // The reorder buffer of a sensor that went quiet is let out first, so that its last readings
  // count.
  each_sensor([&](SensorId id) {
    const auto& sensor = sensors[index(id)];
    while (!sensor.waiting.empty() && event.arrival - sensor.last_arrival > plan->reorder) {
      release(id, event.position, effects);
    }
  });
  flush(effects);
  hear_silence(event, effects);
  each_sensor([&](SensorId id) {
    auto& sensor = sensors[index(id)];
    const bool over =
        sensor.open.count > 0 && event.arrival - sensor.last_arrival > minute_patience;
    if (over) close_minute(sensor, event.position, effects);
    if (sensor.kin.wave) {
      auto& of = waves[*sensor.kin.wave];
      if (of.wave.minute.count > 0 && event.arrival - sensor.last_arrival > minute_patience)
        close_wave_minute(of, event.position, effects);
    }
    close_leftovers(sensor, event.position, effects);
  });
  for (auto& machine : machines) {
    end_long_service(machine, event, effects);
    const auto time = machine.whole.frames.newest();
    const bool watched = machine.profile->watched;
    if (!watched) end_whole(machine, time, event.position, std::nullopt, effects);
    // Under a changed configuration what was told may rest on what is learned anew.
    const bool anew = machine.whole.state.learned == 0 && machine.condition.told();
    if (!watched || anew) forget_health(machine, time, event.position, effects);
  }
}

void Engine::Impl::hear_silence(const Event& event, Effects& effects) {
  for (std::size_t type = 0; type < columns.size(); ++type) {
    if (!types[type].hears_silence) continue;
    columns[type]->silence(event.arrival, silence);
    each_sensor([&](SensorId id) { hear_silence_of(id, type, event, effects); });
  }
}

void Engine::Impl::hear_silence_of(SensorId id, std::size_t type, const Event& event,
                                   Effects& effects) {
  auto& sensor = sensors[index(id)];
  if (!sensor.seen) return;
  for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
    if (sensor.watches[w].type != type) continue;
    auto score = silence[sensor.watches[w].slot];
    if (!score) continue;
    // In event time, silence began with the newest reading.
    score->onset = sensor.newest;
    score->expected = score->low = score->high = sensor.last_value;
    judge(id, w, event_time(sensor, event), score, std::nullopt, event.position, effects);
  }
}

void Engine::Impl::close_leftovers(Sensor& sensor, Position position, Effects& effects) {
  for (auto& [detector, alarm, baseline] : sensor.leftovers) {
    close(alarm, sensor.newest);
    effects.alerts.push_back(
        closed_alert(sensor, detector, alarm, baseline, sensor.newest, position, std::nullopt));
  }
  sensor.leftovers.clear();
}

}  // namespace millwright::engine
