#include "core/codec.h"
#include "engine/impl.h"
#include "engine/message.h"

namespace millwright::engine {
namespace {

constexpr double least_share = 0.05;  // of a contributor that is told

void tell_health(const Machine& machine, MachineHealth health, Position position,
                 Effects& effects) {
  health.machine = machine.name;
  health.baseline = machine.whole.baseline.version;
  health.position = position;
  effects.health.push_back(std::move(health));
}

}  // namespace

void Engine::Impl::close_frame(Machine& machine, Position position, Effects& effects) {
  auto& whole = machine.whole;
  const auto time = whole.frames.newest();
  const bool watched = machine.watched();
  if (watched) whole.frames.read(frame_values);
  whole.frames.clear();
  if (!watched) return machine.condition.drop_frame();
  const auto id = static_cast<MachineId>(&machine - machines.data());
  if (whole.state.learned == 0) forget_health(machine, time, position, effects);
  std::optional<detectors::MachineScore> score;
  if (measure_frame(machine)) {
    const detectors::MachineFrame frame{time, frame_values, whole.regime};
    score = MachineLevel::score(machine.parameters, whole.state, frame, machine_memo);
    if (score) {
      score->ratio /= frame_caution;
      assess(machine, frame, position, effects);
      judge_whole(machine, frame, *score, position, effects);
    }
    MachineLevel::learn(machine.parameters, whole.state, frame, Trust::normal, machine_memo);
    if (!whole.baseline.since) whole.baseline.since = time;
    ++whole.baseline.learned;
  } else {
    machine.condition.drop_frame();
  }
  if (machine.in_regimes()) {
    // What passes is learned: a small offset of a young regime would else hold itself.
    const bool learned =
        whole.learn_regime(machine.rule(), frame_raw, time, alert_since(whole.alarm));
    if (learned) {
      effects.regimes.push_back({id, machine.regimes.name(machine.rule(), whole.regime),
                                 RegimeNotice::What::learned, time});
    }
  }
  if (effects.want_verdicts) {
    effects.machine_verdicts.push_back(
        {id, time, score ? std::optional{score->ratio} : std::nullopt,
         whole.alarm.phase == Phase::active, effects.verdicts.size()});
  }
}

bool Engine::Impl::measure_frame(const Machine& machine) {
  frame_caution = 1;
  if (!machine.in_regimes()) return true;
  frame_raw = frame_values;
  return machine.whole.measure(machine.rule(), frame_values, frame_caution);
}

void Engine::Impl::assess(Machine& machine, const detectors::MachineFrame& frame, Position position,
                          Effects& effects) {
  auto& condition = machine.condition;
  auto ratios = machine_memo.ratios;
  // As the sensors' own: a ratio of 1 is the limit at which there is an alert.
  for (double& ratio : ratios) ratio /= frame_caution * machine.profile->alarm.limit;
  if (!condition.take(machine.health, frame.time, ratios, machine.whole.state.learned)) return;
  std::vector<std::size_t> places;
  auto health = condition.tell(machine.health, frame.time, places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (health.parts[i].name == "sensor" && places[i] < machine.placed.size())
      health.parts[i].sensor = sensors[index(machine.placed[places[i]])].name;
  }
  if (!health.parts.empty()) health.contributors = contributors(machine, frame);
  health.confidence = MachineLevel::confidence(machine.parameters, machine.whole.state);
  tell_health(machine, std::move(health), position, effects);
}

void Engine::Impl::forget_health(Machine& machine, Timestamp time, Position position,
                                 Effects& effects) {
  if (!machine.condition.forget()) return;
  MachineHealth unknown;
  unknown.time = time;
  tell_health(machine, std::move(unknown), position, effects);
}

void Engine::Impl::judge_whole(Machine& machine, const detectors::MachineFrame& frame,
                               const detectors::MachineScore& said, Position position,
                               Effects& effects) {
  auto& whole = machine.whole;
  Score score{.ratio = said.ratio / machine.profile->alarm.limit, .onset = said.onset};
  const auto event =
      advance(whole.alarm, machine.profile->alarm, MachineLevel::kind, frame.time, score);
  if (!event) return;
  if (*event == AlertEvent::raised)
    whole.alarm.onset_ms = whole.issued.issue(MachineLevel::kind, whole.alarm.onset);
  auto alert = whole_alert(machine, *event, frame.time, position);
  alert.value = alert.score = score.ratio;
  alert.high = 1;
  alert.priority = priority_of(alert.severity, score.ratio);
  alert.confidence = MachineLevel::confidence(machine.parameters, whole.state);
  alert.features.push_back({std::string{said.head}, 1});
  alert.contributors = contributors(machine, frame);
  alert.forecast = machine.condition.forecast(frame.time);
  alert.message = alert_message(alert, label_of(machine));
  effects.alerts.push_back(std::move(alert));
}

std::vector<Contributor> Engine::Impl::contributors(const Machine& machine,
                                                    const detectors::MachineFrame& frame) const {
  const auto shares = machine.whole.frames.by_sensor(
      MachineLevel::shares(machine.parameters, machine.whole.state, frame));
  std::vector<Contributor> out;
  for (std::size_t i = 0; i < std::min(shares.size(), machine.placed.size()); ++i) {
    if (shares[i] >= least_share)
      out.push_back({sensors[index(machine.placed[i])].name, shares[i]});
  }
  return largest_first(std::move(out));
}

Alert Engine::Impl::whole_alert(const Machine& machine, AlertEvent event, Timestamp time,
                                Position position) const {
  const auto& whole = machine.whole;
  auto alert = alert_of(whole.alarm, machine.name, whole_machine, event, time, position);
  alert.advice = machine.profile->advice;
  alert.detector = MachineLevel::name;
  alert.detector_version = MachineLevel::state_version;
  alert.configuration = machine.fingerprint;
  alert.baseline = whole.baseline.version;
  alert.learned_readings = whole.baseline.learned;
  alert.regime = machine.regimes.name(machine.rule(), whole.regime);
  alert.regime_readings = whole.learned(whole.regime);
  return alert;
}

void Engine::Impl::end_whole(Machine& machine, Timestamp time, Position position,
                             std::optional<BaselineEnd> why, Effects& effects) {
  auto& alarm = machine.whole.alarm;
  if (alarm.phase == Phase::active) {
    close(alarm, time);
    auto alert = whole_alert(machine, AlertEvent::closed, time, position);
    alert.priority = priority_of(alert.severity, 1);
    alert.message = closing_message(alert, label_of(machine), why);
    effects.alerts.push_back(std::move(alert));
  }
  interrupt(alarm);
}

void Engine::Impl::forget_place(Machine& machine, std::size_t place) const {
  auto& whole = machine.whole;
  const auto& channels = whole.frames.channels();
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (channels[i].sensor != place) continue;
    MachineLevel::forget(whole.state, i);
    if (i < whole.usual.size()) whole.usual[i] = {};
    whole.learned_regimes = 0;
  }
  whole.frames.forget(place);
  machine.condition.forget(place);
}

void Engine::Impl::renew_whole(Machine& machine, Position position, BaselineEnd why,
                               Effects& effects) {
  auto& whole = machine.whole;
  const auto time = whole.frames.newest();
  end_whole(machine, time, position, why, effects);
  if (!whole.usual.empty()) {
    effects.baselines.push_back(past_usual_of_whole(machine, time, position, why));
    whole.of_usual = whole.of_usual.next();
  }
  whole.frames.forget();
  whole.forget_regimes();
  if (whole.baseline.learned == 0) return forget_health(machine, time, position, effects);
  auto past = past_of(machine, whole_machine, whole.baseline, time, position, why);
  past.detector = MachineLevel::name;
  past.detector_version = MachineLevel::state_version;
  past.configuration = machine.fingerprint;
  past.confidence = MachineLevel::confidence(machine.parameters, whole.state);
  Writer{past.state}(whole.state);
  effects.baselines.push_back(std::move(past));
  whole.state = {};
  whole.baseline = whole.baseline.next();
  forget_health(machine, time, position, effects);
}

}  // namespace millwright::engine
