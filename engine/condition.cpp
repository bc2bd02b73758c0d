#include "engine/condition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace millwright::engine {
namespace {

using detectors::Health;
using detectors::MachineLevel;

constexpr Duration soonest = std::chrono::minutes{1}, longest = std::chrono::hours{1};
constexpr double step = 2;           // points of the index that are worth telling
constexpr double moved = 0.2;        // of the time to the limit
constexpr double least_part = 0.01;  // of a part that is told
constexpr double per_day = 86400;
// The index can lose or win no more than it has: what falls faster is gone within the day.
constexpr double most_trend = Health::best;

}  // namespace

void Condition::hear(std::size_t sensor, double ratio) {
  if (sensor >= MachineLevel::most_sensors || std::isnan(ratio)) return;
  if (said_.size() <= sensor) said_.resize(sensor + 1, std::numeric_limits<float>::quiet_NaN());
  const auto heard = detectors::as_float(std::min(ratio, detectors::largest_ratio));
  said_[sensor] = std::isnan(said_[sensor]) ? heard : std::max(said_[sensor], heard);
}

bool Condition::take(const Health::Params& params, Timestamp time,
                     const MachineLevel::PerHead& heads, std::uint32_t learned) {
  Health::learn(params, health_, {time, heads, said_, learned});
  said_.clear();
  if (!told_) return true;
  const auto since = detectors::elapsed_between(told_->time, time);
  if (since < soonest) return false;
  const auto expected = forecast(time);
  const bool other = expected.has_value() != told_->reaches.has_value();
  const bool stepped = std::abs(Health::index(params, health_) - told_->index) >= step;
  if (other || stepped || since >= longest) return true;
  if (!expected) return false;
  const double off = std::abs(to_seconds(expected->reaches - *told_->reaches));
  return off > moved * to_seconds(detectors::elapsed_between(time, expected->reaches)) &&
         off > to_seconds(longest);
}

MachineHealth Condition::tell(const Health::Params& params, Timestamp time,
                              std::vector<std::size_t>& places) {
  MachineHealth out;
  out.time = time;
  out.index = Health::index(params, health_);
  out.trend = std::clamp(Health::slope(params, health_) * per_day, -most_trend, most_trend);
  out.forecast = forecast(time);
  told_ = ToldHealth{time, *out.index,
                     out.forecast ? std::optional{out.forecast->reaches} : std::nullopt};

  struct Part {
    HealthPart part;
    std::size_t place;
  };
  std::vector<Part> parts;
  const auto shares = Health::parts(health_);
  for (std::size_t i = 0; i < shares.heads.size(); ++i)
    parts.push_back({{std::string{MachineLevel::heads[i]}, "", shares.heads[i]}, 0});
  for (std::size_t i = 0; i < shares.sensors.size(); ++i)
    parts.push_back({{"sensor", "", shares.sensors[i]}, i});
  std::erase_if(parts, [](const Part& one) { return one.part.share < least_part; });
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.part.share > b.part.share; });
  places.clear();
  for (auto& [part, place] : parts) {
    out.parts.push_back(std::move(part));
    places.push_back(place);
  }
  return out;
}

std::optional<Forecast> Condition::forecast(Timestamp now) const {
  const auto crossing = Health::forecast(health_, now);
  if (!crossing) return std::nullopt;
  return Forecast{0, crossing->reaches, crossing->earliest, crossing->latest};
}

void Condition::forget(std::size_t sensor) {
  if (sensor < said_.size()) said_[sensor] = std::numeric_limits<float>::quiet_NaN();
  Health::forget(health_, sensor);
}

bool Condition::forget() {
  const bool told = told_.has_value();
  *this = {};
  return told;
}

}  // namespace millwright::engine
