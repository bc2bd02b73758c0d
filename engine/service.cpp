#include "engine/service.h"

#include <algorithm>
#include <cmath>

#include "detectors/numbers.h"
#include "engine/impl.h"
#include "engine/message.h"

namespace millwright::engine {
namespace {

// A matter of judgement: what is left of the deviation when it helped, and when it helped in part.
constexpr double most_left = 0.5, some_left = 0.8;
constexpr double readings_of_late = 16;
constexpr std::uint64_t least_before = 4;  // kept readings that tell a scatter

bool tells_by_level(AlertKind kind) {
  switch (kind) {
    case AlertKind::limit:
    case AlertKind::shift:
    case AlertKind::drift:
    case AlertKind::trend:
    case AlertKind::seasonal:
    case AlertKind::vibration:
      return true;
    default:
      return false;
  }
}
bool tells_by_scatter(AlertKind kind) { return kind == AlertKind::spread; }

Helped by_share_left(double left, double most = most_left) {
  return left <= most ? Helped::yes : left <= some_left ? Helped::in_part : Helped::no;
}

// How far beyond what is permitted.
double excess(const Trouble& trouble, double value) {
  return std::max({0.0, value - trouble.high, trouble.low - value});
}

Helped judged(const Trouble& trouble, double before, double after,
              const std::optional<double>& usual) {
  if (trouble.kind == AlertKind::limit) {
    const double over = excess(trouble, before), still = excess(trouble, after);
    if (still <= 0) return Helped::yes;
    return over > 0 ? by_share_left(still / over, 0) : Helped::no;
  }
  if (!usual || before == *usual) return Helped::unknown;
  if (tells_by_level(trouble.kind))
    return by_share_left(std::abs(after - *usual) / std::abs(before - *usual));
  if (!tells_by_scatter(trouble.kind) || before <= 0 || after <= 0 || *usual <= 0)
    return Helped::unknown;
  return by_share_left(std::abs(std::log(after / *usual) / std::log(before / *usual)));
}

// Of the readings that are kept from before the onset: the mean of what was expected at them, or
// their own scatter.
std::optional<double> usual_before(const History& history, Timestamp onset, AlertKind kind) {
  const auto evidence = history.around(onset);
  Figure expected, values;
  for (std::size_t i = 0; i < evidence.times.size() && evidence.times[i] < onset; ++i) {
    if (std::isfinite(evidence.expected[i])) expected.add(evidence.expected[i]);
    values.add(evidence.values[i]);
  }
  if (tells_by_scatter(kind)) {
    return values.count >= least_before ? std::optional{values.deviation()} : std::nullopt;
  }
  return expected.count > 0 ? std::optional{expected.mean} : std::nullopt;
}

bool deviates(const Watch& watch) {
  return watch.alarm.phase == Phase::active && !watch.alarm.below &&
         class_of(watch.alarm.kind) == AlertClass::machine && watch.alarm.kind != AlertKind::spike;
}

}  // namespace

void Figure::add(double value) {
  ++count;
  const double delta = value - mean;
  mean += delta / static_cast<double>(count);
  m2 = std::min(m2 + delta * (value - mean), detectors::largest_square);
}
double Figure::deviation() const {
  return count > 1 ? std::sqrt(m2 / static_cast<double>(count - 1)) : 0;
}

bool counts(const Trouble& trouble, Timestamp now) {
  return trouble.readings.count > 0 &&
         detectors::elapsed_between(trouble.last, now) <= trouble_counts;
}

bool is_comparable(const Trouble& trouble, RegimeId regime) {
  return trouble.regime == no_regime || trouble.regime == regime;
}

void take_trouble(Trouble& trouble, double value) {
  auto& readings = trouble.readings;
  const auto count = static_cast<double>(readings.count);
  const bool known = count >= readings_of_late;
  trouble.level += (value - trouble.level) / (known ? readings_of_late : count + 1);
  const bool by_level = trouble.usual && tells_by_level(trouble.kind);
  const bool is_over =
      known && by_level &&
      std::abs(trouble.level - *trouble.usual) < std::abs(trouble.level - readings.mean);
  if (!is_over) readings.add(value);
}

bool look(AfterService& after, const Sample& sample) {
  if (!after.since) after.since = sample.time;
  after.readings.add(sample.value);
  after.done = after.readings.count >= least_looked_after &&
               detectors::elapsed_between(*after.since, sample.time) >= look_after;
  return after.done;
}

ServicedSensor compare(const AfterService& after) {
  ServicedSensor out;
  const auto& before = after.before;
  out.kind = before.kind;
  out.scatter = tells_by_scatter(before.kind);
  const auto figure = [&](const Figure& of) { return out.scatter ? of.deviation() : of.mean; };
  out.before = figure(before.readings);
  out.readings_before = before.readings.count;
  out.readings_after = after.readings.count;
  out.usual = before.usual;
  out.helped = Helped::unknown;
  if (after.readings.count < least_looked_after) return out;
  out.after = figure(after.readings);
  out.helped = judged(before, out.before, *out.after, out.usual);
  return out;
}

Helped helped(const std::vector<ServicedSensor>& sensors) {
  bool yes = false, no = false, part = false;
  for (const auto& sensor : sensors) {
    yes |= sensor.helped == Helped::yes;
    no |= sensor.helped == Helped::no;
    part |= sensor.helped == Helped::in_part;
  }
  if (part || (yes && no)) return Helped::in_part;
  return yes ? Helped::yes : no ? Helped::no : Helped::unknown;
}

// --- in the engine ---

void Engine::Impl::follow_trouble(std::size_t i) {
  const auto& entry = round[i];
  auto& sensor = sensors[index(entry.sensor)];
  const auto found = std::find_if(sensor.watches.begin(), sensor.watches.end(), deviates);
  auto& trouble = sensor.trouble;
  if (found == sensor.watches.end()) {
    if (trouble && trouble->open) {
      trouble->open = std::any_of(sensor.watches.begin(), sensor.watches.end(), [](const Watch& w) {
        return w.alarm.phase == Phase::active && class_of(w.alarm.kind) == AlertClass::machine;
      });
    }
    return;
  }
  if (entry.regime == regime_transition) return;
  const auto& alarm = found->alarm;
  // What comes back after it had gone begins anew, but for the same within a day.
  const bool same =
      trouble && (trouble->open || (trouble->kind == alarm.kind &&
                                    entry.sample.time - trouble->last < std::chrono::hours{24}));
  if (!same) {
    trouble = Trouble{};
    trouble->kind = alarm.kind;
    trouble->onset_ms = alarm.onset_ms;
    trouble->regime = entry.regime;
    trouble->usual = usual_before(sensor.history, alarm.onset, alarm.kind);
    const auto& score = scores[i][static_cast<std::size_t>(found - sensor.watches.begin())];
    if (alarm.kind == AlertKind::limit) {
      const auto why = columns[found->type]->explain({found->slot, entry.sample});
      for (const auto& number : why.numbers) {
        if (number.name == "low") trouble->low = number.value;
        if (number.name == "high") trouble->high = number.value;
      }
    } else if (score && !trouble->usual && tells_by_level(alarm.kind)) {
      trouble->usual = score->expected;
    }
  }
  trouble->open = true;
  trouble->last = entry.sample.time;
  if (is_comparable(*trouble, entry.regime)) take_trouble(*trouble, entry.sample.value);
}

void Engine::Impl::follow_service(const Entry& entry, Effects& effects) {
  auto& sensor = sensors[index(entry.sensor)];
  auto& after = sensor.after_service;
  if (!after || after->done || sensor.warming || !is_comparable(after->before, entry.regime))
    return;
  if (!look(*after, entry.sample)) return;
  auto& machine = machines[index(sensor.machine)];
  const bool all = std::all_of(machine.sensors.begin(), machine.sensors.end(), [&](SensorId id) {
    const auto& other = sensors[index(id)].after_service;
    return !other || other->done;
  });
  if (all) tell_service(machine, entry.sample.time, entry.position, effects);
}

void Engine::Impl::begin_service(Sensor& sensor, const Event& event) {
  const auto now = event_time(sensor, event);
  auto trouble = std::exchange(sensor.trouble, std::nullopt);
  auto earlier = std::exchange(sensor.after_service, std::nullopt);
  if (event.kind != Event::Kind::serviced) return;
  // Serviced again before it was known whether the last time had helped: of the same trouble.
  if (!trouble && earlier) trouble = earlier->before;
  if (!trouble || !counts(*trouble, now)) return;
  sensor.after_service = AfterService{*trouble};
  machines[index(sensor.machine)].service = ServiceWait{now, event.arrival};
}

void Engine::Impl::end_long_service(Machine& machine, const Event& event, Effects& effects) {
  if (!machine.service || event.arrival - machine.service->asked < longest_look) return;
  const auto time = machine.service->serviced + (event.arrival - machine.service->asked);
  tell_service(machine, time, event.position, effects);
}

void Engine::Impl::tell_service(Machine& machine, Timestamp time, Position position,
                                Effects& effects) {
  ServiceOutcome out;
  out.machine = machine.name;
  out.time = time;
  out.position = position;
  if (const auto wait = std::exchange(machine.service, std::nullopt)) out.serviced = wait->serviced;
  for (const auto id : machine.sensors) {
    auto& sensor = sensors[index(id)];
    const auto after = std::exchange(sensor.after_service, std::nullopt);
    if (!after) continue;
    auto one = compare(*after);
    one.sensor = sensor.name;
    one.label = label_of(sensor);
    one.unit = sensor.unit();
    one.alert = alert_id(machine.name, sensor.name, after->before.kind, after->before.onset_ms);
    if (after->before.regime != no_regime)
      one.regime = machine.regimes.name(machine.rule(), after->before.regime);
    out.sensors.push_back(std::move(one));
  }
  if (out.sensors.empty()) return;
  out.helped = helped(out.sensors);
  out.message = service_message(out, label_of(machine));
  effects.services.push_back(std::move(out));
}

}  // namespace millwright::engine
