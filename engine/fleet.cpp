#include "engine/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "detectors/blocks.h"
#include "engine/message.h"
#include "engine/sealed.h"
#include "engine/whole.h"

namespace millwright::engine {
namespace {

constexpr std::uint32_t fleet_magic = 0x3146574d;  // "MWF1"
constexpr std::uint16_t fleet_version = 2;
constexpr std::size_t most_minutes = 240;  // of a window: more are thinned out
constexpr double calm = 0.5;               // of the limit: what is above teaches nothing
constexpr double memory = 20;              // learning periods
constexpr double clear_ratio = 0.6;
constexpr double least_contributor = 0.5;  // ratio
constexpr double least_scale = 1e-9;       // of the values: sensors that never move

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// What is found by name in a list that is sorted by it, added where it is not.
template <class T>
T& named(std::vector<T>& list, std::string_view name, std::string T::*key) {
  const auto before = [key](const T& one, std::string_view text) { return one.*key < text; };
  const auto at = std::lower_bound(list.begin(), list.end(), name, before);
  if (at != list.end() && (*at).*key == name) return *at;
  T fresh;
  fresh.*key = name;
  return *list.insert(at, std::move(fresh));
}
// Null where it is not.
auto* find(auto& list, std::string_view name, auto key) {
  const auto before = [key](const auto& one, std::string_view text) { return one.*key < text; };
  const auto at = std::lower_bound(list.begin(), list.end(), name, before);
  return at != list.end() && (*at).*key == name ? &*at : nullptr;
}

// Every other one goes when there are too many.
void keep(std::vector<double>& minutes, double mean) {
  minutes.push_back(mean);
  if (minutes.size() < most_minutes) return;
  for (std::size_t i = 0; i < most_minutes / 2; ++i) minutes[i] = minutes[2 * i];
  minutes.resize(most_minutes / 2);
}

struct Look {
  Fleet::Sensor* sensor;
  double value;          // less its offset
  double from_all = 0;   // from the median of the others
  double from_near = 0;  // from its sister at the end of the nearest quarter
};

// From a machine's value to those of all others, the nearest first.
std::vector<double> differences(const std::vector<Look>& looks, std::size_t of) {
  std::vector<double> out;
  for (std::size_t i = 0; i < looks.size(); ++i)
    if (i != of) out.push_back(looks[of].value - looks[i].value);
  std::stable_sort(out.begin(), out.end(),
                   [](double a, double b) { return std::abs(a) < std::abs(b); });
  return out;
}

// The offset first; how far the machine is from its nearest sisters when that has begun to settle.
void learn(Fleet::Sensor& sensor, const Look& look, const Fleet::Params& params) {
  ++sensor.learned;
  const auto n = static_cast<double>(sensor.learned);
  if (sensor.learned <= params.learning) sensor.offset += look.from_all / n;
  const double square = look.from_near * look.from_near, half = params.learning / 2.0;
  const double slowest = 1 / (memory * params.learning);
  if (n > half) sensor.variance += std::max(1 / (n - half), slowest) * (square - sensor.variance);
}

}  // namespace

bool Fleet::Member::sound() const {
  const auto apart_is = [this](const Sensor& sensor) { return sensor.name == apart; };
  return std::is_sorted(sensors.begin(), sensors.end(),
                        [](const Sensor& a, const Sensor& b) { return a.name < b.name; }) &&
         (alarm.phase != Phase::active || std::any_of(sensors.begin(), sensors.end(), apart_is));
}

bool Fleet::Sensor::sound() const {
  const auto known = [](double value) { return detectors::in_bounds(value); };
  return open.size() <= most_minutes && next.size() <= most_minutes &&
         std::all_of(open.begin(), open.end(), known) &&
         std::all_of(next.begin(), next.end(), known);
}

Fleet::Fleet(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)), params_(apply_parameters<Params>(plan_->fleet)) {
  fingerprint_ = fingerprint_of(params_, name, state_version);
  rule_.on_delay = params_.window * static_cast<std::int64_t>(params_.windows - 1);
  rule_.off_delay = rule_.on_delay;
  rule_.clear_ratio = clear_ratio;
}

Timestamp Fleet::window_of(Timestamp time) const {
  const auto length = params_.window.count();
  const auto at = to_microseconds(time);
  const auto rest = ((at % length) + length) % length;
  return from_microseconds(at - rest);
}

void Fleet::take(const SensorInfo& who, const Summary& summary, std::vector<Alert>& alerts) {
  const auto& profile = machine_profile_for(*plan_, who.machine);
  if (profile.model.empty() || summary.count == 0 || !detectors::in_bounds(summary.mean)) return;
  position_ = summary.position;
  auto& model = named(models_, profile.model, &Model::name);
  const auto window = window_of(summary.minute);
  if (model.members.empty()) model.window = window;
  // A quarter of a window is waited for machines whose minutes come later.
  while (window > model.window && summary.minute - model.window >= params_.window * 5 / 4) {
    close_window(model, alerts);
    const bool empty =
        std::none_of(model.members.begin(), model.members.end(), [](const Member& m) {
          return std::any_of(m.sensors.begin(), m.sensors.end(),
                             [](const Sensor& s) { return !s.open.empty(); });
        });
    if (empty) model.window = window;
  }
  if (window < model.window || (summary.quality & (quality_fault | quality_late)) != 0) return;
  auto& sensors = named(model.members, who.machine, &Member::machine).sensors;
  auto& one = named(sensors, who.sensor, &Sensor::name);
  one.unit = who.unit;
  one.label = who.label;
  keep(window == model.window ? one.open : one.next, summary.mean);
}

void Fleet::close_window(Model& model, std::vector<Alert>& alerts) {
  std::vector<std::string> sensors;
  for (const auto& member : model.members)
    for (const auto& sensor : member.sensors) sensors.push_back(sensor.name);
  std::sort(sensors.begin(), sensors.end());
  sensors.erase(std::unique(sensors.begin(), sensors.end()), sensors.end());
  for (const auto& sensor : sensors) compare(model, sensor);
  for (auto& member : model.members) judge(model, member, alerts);
  for (auto& member : model.members) {
    for (auto& sensor : member.sensors) {
      sensor.open = std::move(sensor.next);
      sensor.next.clear();
    }
  }
  model.window += params_.window;
}

// Every machine's sensor of that name against the others'.
void Fleet::compare(Model& model, std::string_view sensor) {
  std::vector<Look> looks;
  for (auto& member : model.members) {
    auto* one = find(member.sensors, sensor, &Sensor::name);
    if (one != nullptr && !one->open.empty())
      looks.push_back({one, median(one->open) - one->offset});
  }
  if (looks.size() < least_machines) {
    for (auto& look : looks) look.sensor->ratio = look.sensor->off = 0;
    return;
  }
  const std::size_t quarter = looks.size() / 4;
  std::vector<double> deviations, now;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    const auto apart = differences(looks, i);
    looks[i].from_all = median(apart);
    looks[i].from_near = apart[quarter - 1];
    now.push_back(std::abs(looks[i].from_near));
    if (looks[i].sensor->learned >= params_.learning)
      deviations.push_back(std::sqrt(looks[i].sensor->variance));
  }
  const double usual =
      std::max(median(now), deviations.empty() ? 0 : median(std::move(deviations)));
  for (const auto& look : looks) {
    auto& one = *look.sensor;
    const bool ready = one.learned >= params_.learning;
    const double scale =
        std::max({usual, std::sqrt(one.variance), least_scale * std::abs(look.value), least_scale});
    one.off = std::clamp(look.from_near, -largest_magnitude, largest_magnitude);
    one.ratio = ready ? detectors::ratio_of(std::abs(one.off), params_.threshold * scale) : 0;
    if (!ready || one.ratio < calm) learn(one, look, params_);
  }
}

void Fleet::judge(Model& model, Member& member, std::vector<Alert>& alerts) {
  const auto time = model.window + params_.window;
  const Sensor* loudest = nullptr;
  for (const auto& sensor : member.sensors) {
    if (sensor.open.empty() || sensor.learned < params_.learning) continue;
    const bool its_own = member.alarm.phase != Phase::active || sensor.name == member.apart;
    if (its_own && (loudest == nullptr || sensor.ratio > loudest->ratio)) loudest = &sensor;
  }
  if (loudest == nullptr) return;
  const Score score{.ratio = loudest->ratio, .onset = model.window};
  const auto event = advance(member.alarm, rule_, AlertKind::machine, time, score);
  if (!event) return;
  if (*event == AlertEvent::raised) {
    member.apart = loudest->name;
    member.alarm.onset_ms = member.issued.issue(AlertKind::machine, member.alarm.onset);
  }
  alerts.push_back(alert_of(model, member, *event, time));
}

Alert Fleet::alert_of(const Model& model, const Member& member, AlertEvent event,
                      Timestamp time) const {
  const auto& sensor = *find(member.sensors, member.apart, &Sensor::name);
  const auto& alarm = member.alarm;
  auto alert = engine::alert_of(alarm, member.machine, member.apart, event, time, position_);
  alert.unit = sensor.unit;
  alert.value = sensor.open.empty() ? 0 : median(sensor.open);
  alert.expected = sensor.open.empty() ? 0 : alert.value - sensor.off;
  const double band = sensor.ratio > 0 ? std::abs(sensor.off) / sensor.ratio : 0;
  alert.low = alert.expected - band;
  alert.high = alert.expected + band;
  alert.score = sensor.ratio;
  alert.priority = priority_of(alert.severity, sensor.ratio);
  alert.detector = name;
  alert.detector_version = state_version;
  alert.configuration = fingerprint_;
  alert.learned_readings = sensor.learned;
  alert.advice = machine_profile_for(*plan_, member.machine).advice;
  double sum = 0;
  for (const auto& one : member.sensors)
    if (one.ratio >= least_contributor) sum += one.ratio * one.ratio;
  for (const auto& one : member.sensors)
    if (one.ratio >= least_contributor)
      alert.contributors.push_back({one.name, one.ratio * one.ratio / sum});
  std::stable_sort(alert.contributors.begin(), alert.contributors.end(),
                   [](const auto& a, const auto& b) { return a.share > b.share; });
  const auto sisters =
      std::count_if(model.members.begin(), model.members.end(), [&](const Member& other) {
        const auto* one = find(other.sensors, member.apart, &Sensor::name);
        return &other != &member && one != nullptr && !one->open.empty();
      });
  alert.message = fleet_message(alert, sensor.label, static_cast<std::size_t>(sisters));
  return alert;
}

void Fleet::follow(const Engine& engine, const Effects& effects, std::vector<Alert>& alerts) {
  auto renewal = effects.renewals.begin();
  const auto renew_until = [&](Position position) {
    for (; renewal != effects.renewals.end() && renewal->position < position; ++renewal)
      renew(engine.machine_name(renewal->machine), alerts);
  };
  for (const auto& summary : effects.summaries) {
    renew_until(summary.position);
    // What names the regime is no wear; what a waveform is like, its features say.
    if (engine.names_regime(summary.sensor) || engine.is_waveform(summary.sensor)) continue;
    take(engine.info(summary.sensor), summary, alerts);
  }
  renew_until(std::numeric_limits<Position>::max());
}

void Fleet::renew(std::string_view machine, std::vector<Alert>& alerts) {
  for (auto& model : models_) {
    if (auto* member = find(model.members, machine, &Member::machine); member != nullptr)
      begin_anew(model, *member, alerts);
  }
}

void Fleet::renew_all(std::vector<Alert>& alerts) {
  for (auto& model : models_)
    for (auto& member : model.members) begin_anew(model, member, alerts);
}

void Fleet::begin_anew(const Model& model, Member& member, std::vector<Alert>& alerts) const {
  if (member.alarm.phase == Phase::active) {
    close(member.alarm, model.window);
    alerts.push_back(alert_of(model, member, AlertEvent::closed, model.window));
  }
  interrupt(member.alarm);
  for (auto& sensor : member.sensors) {
    Sensor fresh;
    fresh.name = std::move(sensor.name);
    fresh.unit = std::move(sensor.unit);
    fresh.label = std::move(sensor.label);
    sensor = std::move(fresh);
  }
}

std::string Fleet::save() const {
  std::string body;
  Writer{body}(fingerprint_, position_, models_);
  return seal(fleet_magic, fleet_version, body);
}

bool Fleet::restore(std::string_view bytes, std::vector<Alert>& alerts) {
  const auto body = unseal(bytes, fleet_magic, fleet_version);
  if (!body) return false;
  Reader reader{*body};
  std::uint64_t fingerprint = 0;
  Position position = 0;
  std::vector<Model> models;
  reader(fingerprint, position, models);
  if (!reader.ok() || !reader.at_end()) return false;
  position_ = position;
  models_ = std::move(models);
  for (auto& model : models_) {
    const auto stays = [&](const Member& member) {
      return fingerprint == fingerprint_ &&
             machine_profile_for(*plan_, member.machine).model == model.name;
    };
    for (auto& member : model.members)
      if (!stays(member)) begin_anew(model, member, alerts);
    std::erase_if(model.members, [&](const Member& member) { return !stays(member); });
  }
  std::erase_if(models_, [](const Model& model) { return model.members.empty(); });
  return true;
}

}  // namespace millwright::engine
