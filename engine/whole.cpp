#include "engine/whole.h"

#include <algorithm>
#include <limits>

#include "core/time.h"

namespace millwright::engine {
namespace {

constexpr Duration shortest = std::chrono::milliseconds{500};
constexpr float patience = 3;  // usual intervals that a last value counts for
constexpr double interval_rate = 0.1;

}  // namespace

Frames::Member& Frames::member(std::size_t sensor) {
  if (members_.size() <= sensor) members_.resize(sensor + 1);
  return members_[sensor];
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
  m.known = true;
  m.faulty = false;
  m.value = sample.value;
  m.last = sample.time;
  if (m.count < Member::most_count) ++m.count;
  m.mean += (sample.value - m.mean) / m.count;
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

std::size_t Frames::known() const {
  return static_cast<std::size_t>(
      std::count_if(members_.begin(), members_.end(), [](const Member& m) { return m.known; }));
}

void Frames::read(std::vector<double>& values) const {
  values.assign(members_.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto& m = members_[i];
    if (m.faulty || !m.known) continue;
    const bool fresh = m.interval > 0 && to_seconds(detectors::elapsed_between(m.last, newest_)) <=
                                             static_cast<double>(patience * m.interval);
    if (m.count > 0) {
      values[i] = m.mean;
    } else if (fresh) {
      values[i] = m.value;
    }
  }
}

void Frames::clear() {
  open_ = false;
  for (auto& m : members_) m.forget_readings();
}

void Frames::forget() {
  clear();
  for (auto& m : members_) m.known = m.faulty = false;
}

}  // namespace millwright::engine
