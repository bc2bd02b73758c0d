#include "detectors/health.h"

#include <algorithm>
#include <cmath>

namespace millwright::detectors {
namespace {

constexpr double quiet = 0.5;               // of an alarm limit: evidence from here on
constexpr double least_level = 0.7;         // at which a forecast is made: an alarm limit
constexpr double limit_spread = 0.4;        // * of the limit's logarithm
constexpr double risen = 0.5, back = 0.25;  // levels between which a fall begins and ends
constexpr double widest = 3;                // an interval, in times of the fall so far

double heard(double ratio) { return std::clamp(ratio - quiet, 0.0, largest_ratio); }

double rate_of(std::uint32_t learned) { return std::min(1.0, 8.0 / std::max(learned, 1U)); }
std::uint32_t block_of(std::uint32_t learned) { return std::max(learned / 16, 1U); }

double worst_of(const Health::State& s) {
  return s.sensors.empty() ? 0.0 : double{*std::max_element(s.sensors.begin(), s.sensors.end())};
}

double energy_of(const Health::State& s) {
  double sum = worst_of(s) * worst_of(s);
  for (const double x : s.heads) sum += x * x;
  return sum;
}

}  // namespace

void Health::learn(const Params& p, State& s, const Evidence& said) {
  s.learned = std::max(said.learned, 1U);
  const double rate = rate_of(s.learned);
  for (std::size_t i = 0; i < std::min(said.heads.size(), s.heads.size()); ++i)
    s.heads[i] += rate * (heard(said.heads[i]) - s.heads[i]);
  const auto sensors = std::min(said.sensors.size(), MachineLevel::most_sensors);
  if (s.sensors.size() < sensors) s.sensors.resize(sensors);
  for (std::size_t i = 0; i < sensors; ++i) {
    const double ratio = double{said.sensors[i]};
    if (std::isnan(ratio)) continue;
    s.sensors[i] = as_float(s.sensors[i] + rate * (heard(ratio) - s.sensors[i]));
  }
  const double now = level(s);
  if (now < back) s.since.reset();
  if (now >= risen && !s.since) s.since = said.time;
  if (Prognosis::learn(s.levels, said.time, now, block_of(s.learned)))
    s.outlook = Prognosis::look(s.levels, {p.limit, limit_spread}, least_level, said.time);
}

double Health::level(const State& s) { return std::sqrt(std::sqrt(energy_of(s))); }

double Health::index(const Params& p, const State& s) {
  return best * std::max(0.0, 1 - level(s) / p.limit);
}

double Health::slope(const Params& p, const State& s) {
  return without_sign_of_zero(-best * s.outlook.slope / p.limit);
}

Health::Parts Health::parts(const State& s) {
  Parts out;
  out.sensors.assign(s.sensors.size(), 0.0);
  const double energy = energy_of(s), worst = worst_of(s);
  if (!(energy > 0)) return out;
  for (std::size_t i = 0; i < s.heads.size(); ++i) out.heads[i] = s.heads[i] * s.heads[i] / energy;
  double sum = 0;
  for (const float x : s.sensors) sum += double{x} * double{x};
  if (!(sum > 0)) return out;
  for (std::size_t i = 0; i < s.sensors.size(); ++i) {
    const double x = double{s.sensors[i]};
    out.sensors[i] = x * x / sum * (worst * worst / energy);
  }
  return out;
}

std::optional<Crossing> Health::forecast(const State& s, Timestamp now) {
  const auto& crossing = s.outlook.crossing;
  if (!crossing || !s.since || crossing->latest <= now) return std::nullopt;
  const auto earliest = std::max(now, crossing->earliest);
  const double width = to_seconds(elapsed_between(earliest, crossing->latest));
  if (width > widest * to_seconds(elapsed_between(*s.since, now))) return std::nullopt;
  return Crossing{std::max(now, crossing->reaches), earliest, crossing->latest};
}

void Health::forget(State& s, std::size_t sensor) {
  if (sensor < s.sensors.size()) s.sensors[sensor] = 0;
  s.levels = {};
  s.outlook = {};
}

}  // namespace millwright::detectors
