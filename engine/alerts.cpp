#include "engine/impl.h"
#include "engine/message.h"

namespace millwright::engine {
namespace {

// One alert of a kind is open on a sensor at a time: its retained state is one topic. Another
// detector that sees the same waits.
bool is_open(const Sensor& sensor, AlertKind kind) {
  const auto open = [&](const auto& one) {
    return one.alarm.phase == Phase::active && one.alarm.kind == kind;
  };
  return std::any_of(sensor.watches.begin(), sensor.watches.end(), open) ||
         std::any_of(sensor.leftovers.begin(), sensor.leftovers.end(), open);
}

}  // namespace

double Engine::Impl::limit_for(const Sensor& sensor, const Watch& watch, AlertKind kind) const {
  const bool fixed = kind == AlertKind::limit || class_of(kind) == AlertClass::sensor;
  return fixed ? 1.0 : watch.limit * machines[index(sensor.machine)].family_limit;
}

double Engine::Impl::alone_for(const Sensor& sensor, AlertKind kind) const {
  const bool single =
      kind == AlertKind::limit || kind == AlertKind::spike || class_of(kind) == AlertClass::sensor;
  return single ? 1.0 : machines[index(sensor.machine)].family_limit;
}

void Engine::Impl::judge(std::size_t i, std::size_t w, Effects& effects) {
  const auto& entry = round[i];
  const auto& sensor = sensors[index(entry.sensor)];
  const auto& type = types[sensor.watches[w].type];
  if (reads_stamps(type)) return judge_stamp(i, w, effects);
  judge(entry.sensor, w, entry.sample.time, scores[i][w], sample_for(type, sensor, entry),
        entry.position, effects);
}

void Engine::Impl::judge_stamp(std::size_t i, std::size_t w, Effects& effects) {
  const auto& entry = round[i];
  auto score = scores[i][w];
  if (!score) return;
  const double value = entry.sample.value;
  score->value = score->expected = score->low = score->high = value;
  if (score->onset) {
    constexpr Duration longest = std::chrono::hours{24 * 36500};
    const auto ago = detectors::elapsed_between(*score->onset, entry.arrival);
    score->onset = entry.received - std::min(ago, longest);
  }
  judge(entry.sensor, w, entry.received, score, Sample{entry.arrival, *entry.stamp_error},
        entry.position, effects);
}

void Engine::Impl::judge(SensorId id, std::size_t w, Timestamp time, std::optional<Score> score,
                         const std::optional<Sample>& sample, Position position, Effects& effects) {
  if (!score) return;
  auto& sensor = sensors[index(id)];
  auto& watch = sensor.watches[w];
  auto& alarm = watch.alarm;
  const auto& type = types[watch.type];
  const auto& rule = sensor.profile->alarm;
  const bool active = alarm.phase == Phase::active;
  const bool waits = waits_for_proof(alarm, rule) && alone_for(sensor, alarm.kind) > 1;
  const auto kind = active || waits ? alarm.kind : kind_of(type, *score);
  const double limit = limit_for(sensor, watch, kind);
  score->ratio /= limit;
  const bool pending = alarm.phase == Phase::pending;
  const bool may_raise = active || (score->ratio < 1 && !pending) || !is_open(sensor, kind);
  const auto event = advance(alarm, rule, kind, time, score, may_raise, alone_for(sensor, kind));
  if (!event) return;
  auto why = explain(sensor, watch, sample, time);
  if (!why.numbers.empty() && limit != 1)
    why.numbers.push_back({detectors::alarm_limit_number, limit});
  if (*event == AlertEvent::raised) {
    alarm.onset_ms = sensor.issued.issue(kind, alarm.onset);
    if (!why.numbers.empty() && alarm.told_ratio > score->ratio)
      why.numbers.push_back({detectors::earlier_score_number, alarm.told_ratio});
    score->ratio = alarm.told_ratio;
  }
  effects.alerts.push_back(make_alert(sensor, watch, *event, time, *score, why, position));
}

Explanation Engine::Impl::explain(const Sensor& sensor, const Watch& watch,
                                  const std::optional<Sample>& sample,
                                  std::optional<Timestamp> now) const {
  const bool arrival = hears_arrivals(types[watch.type]);
  const auto silent = now.value_or(sensor.newest) - sensor.newest;
  const Sample newest{arrival ? sensor.last_arrival + silent : sensor.newest, sensor.last_value};
  auto why = columns[watch.type]->explain({watch.slot, sample.value_or(newest)});
  const auto& machine = machines[index(sensor.machine)];
  if (machine.in_regimes() && goes_by_regime(types[watch.type])) {
    const double known = sensor.usual.confidence(machine.rule(), sensor.regime);
    why.confidence = std::min(why.confidence, known);
  }
  if (reads_stamps(types[watch.type]))
    why.numbers.push_back({detectors::Clock::lag_number, to_seconds(plan->lag_limit)});
  if (!sample) {
    why.features.clear();
    why.forecast.reset();
  }
  return why;
}

Alert Engine::Impl::make_alert(const Sensor& sensor, const Watch& watch, AlertEvent event,
                               Timestamp time, const Score& score, const Explanation& why,
                               Position position) const {
  auto alert = alert_frame(sensor, types[watch.type].name, watch.alarm, watch.baseline, event, time,
                           position);
  name_detector(alert, watch);
  alert.value = score.value.value_or(alert.value);
  alert.expected = score.expected;
  alert.low = score.low;
  alert.high = score.high;
  alert.score = score.ratio;
  alert.priority = priority_of(alert.severity, score.ratio);
  alert.confidence = why.confidence;
  alert.forecast = why.forecast;
  for (const auto& [feature, share] : why.features)
    alert.features.push_back({std::string{feature}, share});
  for (const auto& [number, value] : why.numbers)
    alert.numbers.push_back({std::string{number}, value});
  // What a person set as a limit is expected at any time; else what was learned says it.
  if (alert.kind == AlertKind::limit) {
    double low = -std::numeric_limits<double>::infinity(), high = -low;
    for (const auto& [number, value] : why.numbers) {
      if (number == "low") low = value;
      if (number == "high") high = value;
    }
    auto& shown = alert.evidence;
    for (std::size_t i = 0; i < shown.values.size(); ++i)
      shown.expected[i] = std::max(low, std::min(shown.values[i], high));
  }
  alert.message = alert_message(alert, label_of(sensor));
  return alert;
}

void Engine::Impl::name_detector(Alert& alert, const Watch& watch) const {
  alert.detector_version = types[watch.type].state_version;
  alert.configuration = columns[watch.type]->fingerprint(watch.slot);
}

Alert Engine::Impl::end_alarm(const Sensor& sensor, Watch& watch, Timestamp time, Position position,
                              BaselineEnd why, std::optional<double> confidence) const {
  close(watch.alarm, time);
  auto alert = closed_alert(sensor, types[watch.type].name, watch.alarm, watch.baseline, time,
                            position, why);
  name_detector(alert, watch);
  alert.confidence = confidence;
  return alert;
}

Alert Engine::Impl::closed_alert(const Sensor& sensor, std::string_view detector,
                                 const Alarm& alarm, const Baseline& baseline, Timestamp time,
                                 Position position, std::optional<BaselineEnd> why) const {
  auto alert = alert_frame(sensor, detector, alarm, baseline, AlertEvent::closed, time, position);
  alert.expected = alert.low = alert.high = alert.value;
  alert.priority = priority_of(alert.severity, 1);
  alert.message = closing_message(alert, label_of(sensor), why);
  return alert;
}

Alert Engine::Impl::alert_frame(const Sensor& sensor, std::string_view detector, const Alarm& alarm,
                                const Baseline& baseline, AlertEvent event, Timestamp time,
                                Position position) const {
  const auto& machine = machines[index(sensor.machine)];
  auto alert = alert_of(alarm, machine.name, sensor.name, event, time, position);
  alert.unit = sensor.unit();
  alert.advice = sensor.profile->advice;
  alert.value = sensor.last_value;
  alert.detector = detector;
  alert.baseline = baseline.version;
  alert.learned_readings = baseline.learned;
  alert.regime = machine.regimes.name(machine.rule(), sensor.regime);
  alert.regime_readings = sensor.usual.learned(sensor.regime);
  alert.evidence = sensor.history.around(alarm.onset);
  return alert;
}

PastBaseline Engine::Impl::past_baseline(const Sensor& sensor, const Watch& watch, Timestamp until,
                                         Position position, BaselineEnd why,
                                         std::optional<double> confidence) const {
  const auto& type = types[watch.type];
  auto past =
      past_of(machines[index(sensor.machine)], sensor.name, watch.baseline, until, position, why);
  past.detector = type.name;
  past.detector_version = type.state_version;
  past.configuration = columns[watch.type]->fingerprint(watch.slot);
  past.confidence = confidence;
  return past;
}

// What every baseline that ends has, whoever learned it.
PastBaseline past_of(const Machine& machine, std::string_view sensor, const Baseline& baseline,
                     Timestamp until, Position position, BaselineEnd why) {
  PastBaseline past;
  past.machine = machine.name;
  past.sensor = sensor;
  past.version = baseline.version;
  past.why = why;
  past.since = baseline.since;
  past.until = until;
  past.learned = baseline.learned;
  past.position = position;
  return past;
}

}  // namespace millwright::engine
