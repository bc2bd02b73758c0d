#include "engine/impl.h"

namespace millwright::engine {
namespace {

// Is the entry handed to the detector?
bool concerns(const detectors::DetectorType& type, const Entry& entry) {
  if (reads_stamps(type)) return entry.stamp_error.has_value();
  if (hears_arrivals(type)) return entry.kind != Entry::Kind::released;
  return is_scored(entry) && (entry.measure || !goes_by_regime(type) || !entry.in_regimes);
}

// Back into the sensor's unit.
void unmeasure(const Measure& measure, Score& score) {
  score.ratio /= measure.caution();
  score.expected = measure.to(score.expected);
  score.low = measure.to(score.low);
  score.high = measure.to(score.high);
  if (score.value) score.value = measure.to(*score.value);
}

// Readings that were taken in, and no others: what the source sends again after a crash would
// else be counted twice by detectors that hear every arrival.
bool is_lesson(const Entry& entry) {
  return is_scored(entry) || entry.kind == Entry::Kind::waiting || entry.kind == Entry::Kind::heard;
}

// Here and now: what waits is counted later, samples of a waveform were before.
bool is_counted(const Entry& entry) {
  return entry.kind != Entry::Kind::waiting && entry.kind != Entry::Kind::heard &&
         entry.kind != Entry::Kind::refused;
}

void summarise_late(const Entry& entry, Effects& effects) {
  Summary late;
  late.sensor = entry.sensor;
  late.minute = minute_of(entry.sample.time);
  late.add(entry.sample.value);
  late.quality = quality_late;
  late.position = entry.position;
  effects.summaries.push_back(late);
}

}  // namespace

void Engine::Impl::flush(Effects& effects) {
  if (round.empty()) return;
  score_round();
  for (std::size_t i = 0; i < round.size(); ++i) {
    worth[i] = conclude(i, effects);
    told[i] = effects.alerts.size();
  }
  learn_round();
  accept_changes(effects);
  round.clear();
  ++round_number;
}

void Engine::Impl::score_round() {
  if (scores.size() < round.size()) scores.resize(round.size());
  worth.assign(round.size(), Worth::normal);
  told.assign(round.size(), 0);
  for (auto& batch : batches) batch.clear();
  for (std::size_t i = 0; i < round.size(); ++i) {
    const auto& entry = round[i];
    const auto& sensor = sensors[index(entry.sensor)];
    scores[i].assign(sensor.watches.size(), std::nullopt);
    for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
      const auto& watch = sensor.watches[w];
      const auto& type = types[watch.type];
      if (!concerns(type, entry)) continue;
      auto& batch = batches[watch.type];
      batch.items.push_back({watch.slot, sample_for(type, sensor, entry)});
      batch.entries.push_back(i);
      batch.watches.push_back(w);
    }
  }
  for (std::size_t type = 0; type < batches.size(); ++type) {
    auto& batch = batches[type];
    batch.scores.assign(batch.items.size(), std::nullopt);
    columns[type]->score(batch.items, batch.scores);
    for (std::size_t k = 0; k < batch.items.size(); ++k) {
      auto& score = scores[batch.entries[k]][batch.watches[k]];
      score = batch.scores[k];
      const auto& measure = round[batch.entries[k]].measure;
      if (score && measure && goes_by_regime(types[type])) unmeasure(*measure, *score);
    }
  }
}

void Engine::Impl::learn_round() {
  accepted.clear();
  for (std::size_t type = 0; type < batches.size(); ++type) {
    auto& batch = batches[type];
    if (watches_machine(types[type])) drop_faulty(batch);
    batch.trust.clear();
    for (const auto entry : batch.entries) {
      const bool normal = worth[entry] == Worth::normal;
      batch.trust.push_back(normal ? Trust::normal : Trust::suspicious);
    }
    batch.learned.assign(batch.items.size(), Learned::as_usual);
    columns[type]->learn(batch.items, batch.trust, batch.learned);
    for (std::size_t k = 0; k < batch.items.size(); ++k) {
      if (batch.learned[k] == Learned::accepted)
        accepted.push_back({batch.entries[k], batch.watches[k]});
    }
  }
  for (std::size_t i = 0; i < round.size(); ++i) learn_regime(round[i], worth[i]);
}

void Engine::Impl::learn_regime(const Entry& entry, Worth worth_of_it) {
  auto& sensor = sensors[index(entry.sensor)];
  const auto& rule = machines[index(sensor.machine)].rule();
  if (!entry.in_regimes || sensor.names_regime || !is_scored(entry)) return;
  if (entry.regime == regime_transition || worth_of_it == Worth::faulty) return;
  std::optional<Timestamp> alert;
  for (const auto& watch : sensor.watches) {
    const auto since = alert_since(watch.alarm);
    if (since && goes_by_regime(types[watch.type]))
      alert = std::min(alert.value_or(*since), *since);
  }
  if (!sensor.of_usual.since) sensor.of_usual.since = entry.sample.time;
  sensor.usual.learn(rule, entry.regime, entry.sample, worth_of_it == Worth::normal, alert);
}

void Engine::Impl::drop_faulty(Batch& batch) const {
  std::size_t kept = 0;
  for (std::size_t k = 0; k < batch.items.size(); ++k) {
    if (worth[batch.entries[k]] == Worth::faulty) continue;
    batch.items[kept] = batch.items[k];
    batch.entries[kept] = batch.entries[k];
    batch.watches[kept] = batch.watches[k];
    ++kept;
  }
  batch.items.resize(kept);
  batch.entries.resize(kept);
  batch.watches.resize(kept);
}

Worth Engine::Impl::conclude(std::size_t i, Effects& effects) {
  const auto& entry = round[i];
  auto& sensor = sensors[index(entry.sensor)];
  if (entry.kind != Entry::Kind::released) sensor.last_arrival = entry.arrival;
  if (is_scored(entry)) {
    auto& machine = machines[index(sensor.machine)];
    auto& whole = machine.whole;
    const bool changed = whole.regime != entry.regime;
    const bool over = sensor.place && whole.frames.is_over(*sensor.place, entry.sample.time);
    if (over || (changed && !whole.frames.is_empty()))
      close_frame(machine, entry.position, effects);
    if (changed) whole.frames.distrust_held();
    whole.regime = sensor.regime = entry.regime;
    if (entry.new_regime) {
      effects.regimes.push_back({sensor.machine,
                                 machine.regimes.name(machine.rule(), *entry.new_regime),
                                 RegimeNotice::What::learning, entry.sample.time});
    }
    sensor.last_value = entry.sample.value;
    sensor.stillness.take(entry.sample);
  }
  auto opinion = opinion_of(i);
  if (is_scored(entry)) sensor.history.add(entry.sample, opinion.expected);
  // What is too high clipped is too high indeed; what is normal clipped may not be.
  const bool clipped = (entry.quality & quality_clipped) != 0;
  opinion.suspicious |= clipped;
  if (is_scored(entry)) excuse_stillness(i);
  const bool faulty = judge_all(i, effects);
  const auto worth_now = faulty               ? Worth::faulty
                         : opinion.suspicious ? Worth::suspicious
                                              : Worth::normal;
  Outcome outcome = entry.outcome;
  if (is_scored(entry)) {
    if (!faulty && !clipped) follow_trouble(i);
    if (faulty || clipped) {
      leave_frame(sensor);
    } else if (!sensor.names_regime && entry.regime != regime_transition) {
      add_to_frame(entry, opinion.of_machine);
    }
    sensor.warming = opinion.warming;
    if (!faulty && !clipped) follow_service(entry, effects);
    outcome = faulty               ? Outcome::faulty
              : opinion.suspicious ? Outcome::held
              : sensor.warming     ? Outcome::warming
                                   : Outcome::learned;
    if (worth_now == Worth::normal) ++sensor.taught;
    add_to_minute(sensor, entry, outcome, effects);
  } else if (entry.kind == Entry::Kind::late) {
    summarise_late(entry, effects);
  } else if (entry.kind == Entry::Kind::cut) {
    outcome = Outcome::faulty;
    leave_frame(sensor);
    add_to_minute(sensor, entry, Outcome::learned, effects);
  }
  if (worth_now == Worth::normal) count_lesson(sensor, entry);
  if (is_counted(entry)) {
    outcomes.add(outcome);
    if (effects.want_verdicts) {
      effects.verdicts.push_back({entry.sensor, entry.sample, outcome, opinion.combined,
                                  opinion.leader, has_alert(sensor), entry.regime,
                                  sensor.usual.learned(entry.regime)});
    }
  }
  return worth_now;
}

void Engine::Impl::add_to_frame(const Entry& entry, double ratio) {
  auto& sensor = sensors[index(entry.sensor)];
  auto& machine = machines[index(sensor.machine)];
  if (!sensor.place) {
    if (machine.placed.size() == MachineLevel::most_sensors) return;
    sensor.place = machine.placed.size();
    machine.placed.push_back(entry.sensor);
  }
  machine.whole.frames.take(*sensor.place, entry.sample);
  machine.condition.hear(*sensor.place, ratio);
}

void Engine::Impl::leave_frame(const Sensor& sensor) {
  if (sensor.place) machines[index(sensor.machine)].whole.frames.distrust(*sensor.place);
}

Opinion Engine::Impl::opinion_of(std::size_t i) const {
  const auto& sensor = sensors[index(round[i].sensor)];
  Opinion opinion;
  bool learning = false, scored_by_learner = false;
  double loudest = 0;  // ratio of those that learned what is normal
  for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
    const auto& type = types[sensor.watches[w].type];
    if (hears_arrivals(type) || (sensor.names_regime && goes_by_regime(type))) continue;
    auto score = scores[i][w];
    learning |= learns(type);
    if (!score) continue;
    scored_by_learner |= learns(type);
    if (learns(type) && watches_machine(type) && !(score->ratio < loudest)) {
      loudest = score->ratio;
      opinion.expected = score->expected;
    }
    // How near a value is to a limit that a person set is no wear.
    const double limit = limit_for(sensor, sensor.watches[w], kind_of(type, *score));
    const bool tells = watches_machine(type) && (learns(type) || score->ratio >= limit);
    if (tells) opinion.of_machine = std::fmax(opinion.of_machine, score->ratio / limit);
    opinion.suspicious |= score->ratio >= limit;
    // A sensor fault is told once; while it lasts, its ratio says nothing of the machine.
    const bool known =
        class_of(type.kind) == AlertClass::sensor && sensor.watches[w].alarm.phase == Phase::active;
    if (known) score->ratio = std::min(score->ratio, just_below_limit);
    if (!opinion.combined || score->ratio > opinion.combined->ratio) {
      opinion.combined = score;
      opinion.leader = type.name;
    }
  }
  const bool new_here = round[i].regime != regime_transition && !round[i].measure &&
                        !sensor.names_regime && round[i].in_regimes;
  opinion.warming = learning && (!scored_by_learner || new_here);
  return opinion;
}

bool Engine::Impl::judge_all(std::size_t i, Effects& effects) {
  const auto& entry = round[i];
  auto& sensor = sensors[index(entry.sensor)];
  bool faulty = false;
  for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
    const auto& type = types[sensor.watches[w].type];
    if (!watches_sensor(type)) continue;
    judge(i, w, effects);
    const auto& score = scores[i][w];
    faulty |=
        is_scored(entry) &&
        (sensor.watches[w].alarm.phase == Phase::active ||
         (score && score->ratio >= limit_for(sensor, sensor.watches[w], kind_of(type, *score))));
  }
  for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
    const auto& type = types[sensor.watches[w].type];
    if (watches_sensor(type)) continue;
    if (faulty && watches_machine(type)) {
      interrupt(sensor.watches[w].alarm);
    } else {
      judge(i, w, effects);
    }
  }
  return faulty;
}

void Engine::Impl::excuse_stillness(std::size_t i) {
  const auto& sensor = sensors[index(round[i].sensor)];
  for (std::size_t w = 0; w < sensor.watches.size(); ++w) {
    const auto& watch = sensor.watches[w];
    auto& score = scores[i][w];
    const bool asks = types[watch.type].kind == AlertKind::stuck && score && score->ratio >= 1 &&
                      watch.alarm.phase != Phase::active;
    if (asks && machine_rests(sensor)) score->ratio = just_below_limit;
  }
}

// By what was concluded so far, in the order of the input. What windows of a waveform say stands
// still with the waveform, and tells nothing of the machine.
bool Engine::Impl::machine_rests(const Sensor& sensor) const {
  Siblings siblings;
  for (const auto id : machines[index(sensor.machine)].sensors) {
    const auto& other = sensors[index(id)];
    if (&other == &sensor || other.names_regime || !other.kin.parent.empty()) continue;
    siblings.ask(sensor.stillness, other.stillness);
  }
  return siblings.machine_rests();
}

void Engine::Impl::count_lesson(Sensor& sensor, const Entry& entry) const {
  if (!is_lesson(entry)) return;
  for (auto& watch : sensor.watches) {
    const auto& type = types[watch.type];
    if (!learns(type) || !concerns(type, entry)) continue;
    ++watch.baseline.learned;
    if (!watch.baseline.since) watch.baseline.since = entry.sample.time;
  }
}

void Engine::Impl::accept_changes(Effects& effects) {
  std::sort(accepted.begin(), accepted.end());
  std::size_t closed = 0;
  for (const auto& [i, w] : accepted) {
    const auto& entry = round[i];
    auto& sensor = sensors[index(entry.sensor)];
    auto& watch = sensor.watches[w];
    const bool counted = worth[i] == Worth::normal && is_lesson(entry);
    if (counted) --watch.baseline.learned;  // it teaches the new one
    if (watch.alarm.phase == Phase::active) {
      auto alert = end_alarm(sensor, watch, entry.sample.time, entry.position,
                             BaselineEnd::accepted, std::nullopt);
      const auto place = told[i] + closed++;
      effects.alerts.insert(effects.alerts.begin() + static_cast<std::ptrdiff_t>(place),
                            std::move(alert));
    }
    interrupt(watch.alarm);
    effects.baselines.push_back(past_baseline(sensor, watch, entry.sample.time, entry.position,
                                              BaselineEnd::accepted, std::nullopt));
    watch.baseline = watch.baseline.next(entry.sample.time);
  }
}

void Engine::Impl::add_to_minute(Sensor& sensor, const Entry& entry, Outcome outcome,
                                 Effects& effects) {
  const auto start = minute_of(entry.sample.time);
  if (sensor.open.count > 0 && sensor.open.minute != start)
    close_minute(sensor, entry.position, effects);
  if (sensor.open.count == 0) {
    sensor.open = Summary{};
    sensor.open.sensor = entry.sensor;
    sensor.open.minute = start;
  }
  sensor.open.add(entry.sample.value);
  sensor.open.quality |= entry.quality;
  if (outcome == Outcome::held) sensor.open.quality |= quality_suspicious;
  if (outcome == Outcome::warming) sensor.open.quality |= quality_warming;
  const bool alerted =
      std::any_of(sensor.watches.begin(), sensor.watches.end(), [](const Watch& w) {
        return w.alarm.phase == Phase::active && class_of(w.alarm.kind) == AlertClass::sensor;
      });
  if (alerted || outcome == Outcome::faulty) sensor.open.quality |= quality_fault;
}

}  // namespace millwright::engine
