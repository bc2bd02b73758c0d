#include "engine/whole.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/time.h"

namespace millwright::engine {
namespace {

constexpr Duration shortest = std::chrono::milliseconds{500};
constexpr float patience = 3;  // usual intervals that a last value counts for
constexpr double interval_rate = 0.1;
constexpr std::uint32_t many = 8;   // readings of a sensor in one frame have a scatter
constexpr std::uint8_t often = 16;  // frames of so many, before it becomes a channel

}  // namespace

Frames::Member& Frames::member(std::size_t sensor) {
  if (members_.size() <= sensor) members_.resize(sensor + 1);
  return members_[sensor];
}

void Frames::add_channel(std::size_t sensor, bool scatter) {
  if (channels_.size() < detectors::MachineLevel::most_sensors)
    channels_.push_back({static_cast<std::uint8_t>(sensor), scatter});
}

bool Frames::is_over(std::size_t sensor, Timestamp time) const {
  const bool again = sensor < members_.size() && members_[sensor].count > 0;
  if (!open_ || !again) return false;
  // Clocks of sensors may differ either way.
  const auto since = std::max(detectors::elapsed_between(opened_, time),
                              detectors::elapsed_between(time, opened_));
  return since >= shortest;
}

void Frames::take(std::size_t sensor, const Sample& sample) {
  if (sensor >= detectors::MachineLevel::most_sensors) return;
  auto& m = member(sensor);
  if (m.known && sample.time > m.last) {
    const double since = to_seconds(detectors::elapsed_between(m.last, sample.time));
    // A gap is no interval: the usual one at most doubles at a time.
    const double fresh = m.interval > 0 ? std::min<double>(since, 2 * m.interval) : since;
    m.interval += static_cast<float>((m.interval > 0 ? interval_rate : 1) * (fresh - m.interval));
  }
  const auto is_of = [&](const Channel& c) { return c.sensor == sensor; };
  if (!m.known && std::none_of(channels_.begin(), channels_.end(), is_of))
    add_channel(sensor, false);
  m.known = true;
  m.faulty = false;
  m.value = sample.value;
  m.last = sample.time;
  if (m.count < Member::most_count) ++m.count;
  const double away = sample.value - m.mean;
  m.mean += away / m.count;
  m.square += away * (sample.value - m.mean);
  newest_ = newest_ == Timestamp{} ? sample.time : std::max(newest_, sample.time);
  if (!open_) opened_ = sample.time;
  open_ = true;
}

void Frames::distrust(std::size_t sensor) {
  if (sensor >= detectors::MachineLevel::most_sensors) return;
  auto& m = member(sensor);
  m.faulty = true;
  m.forget_readings();
}

void Frames::distrust_held() {
  for (auto& m : members_) m.faulty = true;
}

std::size_t Frames::known() const {
  return static_cast<std::size_t>(
      std::count_if(members_.begin(), members_.end(), [](const Member& m) { return m.known; }));
}

void Frames::read(std::vector<double>& values) const {
  values.assign(channels_.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    const auto& m = members_[channels_[i].sensor];
    if (m.faulty || !m.known) continue;
    if (channels_[i].scatter) {
      if (m.count >= many) values[i] = std::sqrt(m.square / m.count);
      continue;
    }
    const bool fresh = m.interval > 0 && to_seconds(detectors::elapsed_between(m.last, newest_)) <=
                                             static_cast<double>(patience * m.interval);
    if (m.count > 0) {
      values[i] = m.mean;
    } else if (fresh) {
      values[i] = m.value;
    }
  }
}

std::vector<double> Frames::by_sensor(const std::vector<double>& of_channels) const {
  std::vector<double> out(members_.size());
  for (std::size_t i = 0; i < std::min(of_channels.size(), channels_.size()); ++i)
    out[channels_[i].sensor] += of_channels[i];
  return out;
}

void Frames::clear() {
  open_ = false;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    auto& m = members_[i];
    if (m.count >= many && m.busy < often && ++m.busy == often) add_channel(i, true);
    m.forget_readings();
  }
}

void Frames::forget() {
  clear();
  for (auto& m : members_) m.known = m.faulty = false;
}

void Frames::forget(std::size_t sensor) {
  if (sensor >= members_.size()) return;
  auto& m = members_[sensor];
  const auto busy = m.busy;
  m = {};
  m.busy = busy;  // it has its channels still
}

std::optional<Measure> Whole::measure_of(const RegimeRule& rule, std::size_t channel) const {
  if (channel >= usual.size()) return std::nullopt;
  return frames.channels()[channel].scatter ? usual[channel].measure_at_once(rule, regime)
                                            : usual[channel].measure(rule, regime);
}

bool Whole::measure(const RegimeRule& rule, std::vector<double>& values, double& caution) const {
  bool any = false;
  caution = 1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto known = measure_of(rule, i);
    values[i] = known ? known->from(values[i]) : std::numeric_limits<double>::quiet_NaN();
    if (std::isnan(values[i])) continue;
    any = true;
    caution = std::max(caution, known->caution());
  }
  return any;
}

bool Whole::learn_regime(const RegimeRule& rule, const std::vector<double>& values, Timestamp time,
                         std::optional<Timestamp> alert) {
  if (usual.size() < values.size()) usual.resize(values.size());
  if (!of_usual.since) of_usual.since = time;
  bool all_known = !values.empty();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      all_known = false;
      continue;
    }
    usual[i].learn(rule, regime, {time, values[i]}, true, alert);
    all_known = all_known && measure_of(rule, i);
  }
  const auto bit = std::uint64_t{1} << regime;
  const bool news = all_known && (learned_regimes & bit) == 0;
  if (news) learned_regimes |= bit;
  return news;
}

std::uint32_t Whole::learned(RegimeId of) const {
  std::uint32_t least = 0;
  for (const auto& channel : usual) {
    const auto count = channel.learned(of);
    if (count > 0) least = least == 0 ? count : std::min(least, count);
  }
  return least;
}

void Whole::forget_regimes() {
  usual.clear();
  learned_regimes = 0;
}

}  // namespace millwright::engine
