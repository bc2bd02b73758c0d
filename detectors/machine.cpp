#include "detectors/machine.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace millwright::detectors {
namespace {
using Level = MachineLevel;
using Sensor = Level::Sensor;
using Memo = Level::Memo;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr double largest_offset = 1e30;    // squares stay far from overflow
constexpr double largest_deviation = 30;   // scales; more says no more
constexpr double clipped = 4;              // scales a single value may teach
constexpr std::uint32_t least_moves = 16;  // a sensor that hardly ever moves has no scale
constexpr std::uint32_t most_seen = 4000000000;
constexpr std::uint32_t least_modelled = 32;  // frames
constexpr std::uint32_t refresh_every = 256;  // frames, when learned

constexpr double lasting = 1.5;  // * learning periods until what stays is normal

// Bands.
constexpr double usual = 2;                // * z up to which a level is followed
constexpr double most_z = 8;               // * one feature counts at most so much more
constexpr double follow_rate = 0.03;       // * per frame
constexpr double follow_in_alarm = 0.009;  // *
constexpr double forgotten_band = 0.2;     // * of the far end, per learning period
constexpr double first_band = 0.5;         // * deviations of the levels learned, to both sides
constexpr double about_followed = 2;       // variance of the difference of two independent levels
constexpr double stray_memory = 4;         // * learning periods
constexpr double stray_share = 0.5;        // * of what levels stray; the band follows part of it
constexpr double least_spread = 0.15;      // * scales
constexpr double state_limit = 1.5, state_limit_each = 0.06;  // *, see the page
constexpr double hysteresis = 0.3;  // * of the limit, where the alarm ends
constexpr double near_limit = 0.7;  // of the ratio, where an excursion begins
constexpr double largest_jump = 20, least_change = 4, change_sigma = 4;  // *
// Principal components.
constexpr double kept_variance = 0.8;
constexpr double sigma = 4.5;  // one in 300,000; the tails are heavier than a gamma's
constexpr double mean_rate = 0.1, energy_rate = 0.05;  // *
constexpr double most_energy = 9;                      // * times the usual spe
constexpr double calm_below = 0.6;    // * of the limit: what is above teaches nothing
constexpr double calm_memory = 20;    // * learning periods
constexpr double center_memory = 10;  // * learning periods
constexpr double least_known = 50;    // values before there is a limit
constexpr double widest_regime = 4;   // how many times the usual deviation a regime may have
// What recurs.
constexpr double habit_margin = 1.1;  // of what was reached before
// Drift.
constexpr double drift_rate = 0.1;   // *
constexpr double drift_limit = 0.8;  // * squared scales, mean over the sensors
constexpr double wanders = 3;        // * times the scatter of independent values' means

std::uint32_t patience_of(std::uint32_t learned) {
  return static_cast<std::uint32_t>(std::min(lasting * learned, 4e9));
}
std::size_t slot(std::uint64_t frame) { return static_cast<std::size_t>(frame % Level::kept); }

// The newest values of a sensor, `y` first, summed up.
struct Trail {
  std::array<double, Level::kept + 1> sums{};
  std::array<std::size_t, Level::kept + 1> counts{};

  Trail(const Sensor& s, std::uint64_t frame, double y) {
    for (std::size_t i = 0; i < Level::kept; ++i) {
      const double v = i == 0 ? y : double{s.recent[slot(frame + Level::kept - i)]};
      const bool there = !std::isnan(v);
      sums[i + 1] = sums[i] + (there ? v : 0);
      counts[i + 1] = counts[i] + (there ? 1 : 0);
    }
  }
  // Mean of the values in frames from..to ago; NaN where fewer than half are there.
  double mean(std::size_t from, std::size_t to) const {
    const auto n = counts[to] - counts[from];
    return 2 * n >= to - from ? (sums[to] - sums[from]) / static_cast<double>(n) : nothing;
  }
  double step(std::size_t width) const { return std::abs(mean(0, width) - mean(width, 2 * width)); }
};

double center_of(const Sensor& s) { return s.wander >= wanders ? s.track : s.center; }
double in_scales(double difference, double scale) {
  return std::clamp(difference / scale, -largest_deviation, largest_deviation);
}
double previous(const Sensor& s, std::uint64_t frame) {
  return s.recent[slot(frame + Level::kept - 1)];
}
bool modelled(const Sensor& s) { return s.scale > 0; }

// The part of each sensor in the state, change and drift heads.
struct Sums {
  double independent = 0;  // ready sensors, those that say the same counted once
  double state = 0, change = 0, drift = 0;
  double steady = 0, independent_steady = 0;
};

// A step is known when four times as many frames were seen as it takes.
bool known(const Moments& step, std::size_t which) {
  return step.count >= 4.0 * static_cast<double>(Level::steps[which]);
}

void look_at_changes(const Sensor& s, Memo::Look& look, Memo& memo, Sums& sums) {
  for (std::size_t w = 0; w < Level::steps.size(); ++w) {
    const auto& usually = s.changes[w];
    if (std::isnan(look.changes[w]) || !known(usually, w)) continue;
    memo.changes_known = true;
    const double deviation = std::max(std::sqrt(usually.variance), 0.05 * double{s.scale});
    const double z = (look.changes[w] - usually.mean) / deviation;
    look.parts[Level::by_change] += s.weight * std::clamp(z - usual, 0.0, largest_jump);
  }
  sums.change += look.parts[Level::by_change];
}

// What was seen while learning, or what has been normal of late when that is more: a machine that
// warms up all day strays further than its first minutes told.
double spread_of(const Sensor& s, const Level::Band& band) {
  const double floor = least_spread * least_spread * s.variance;
  return std::max(double{band.spread}, std::sqrt(stray_share * band.stray + floor));
}

void look_at_levels(const Sensor& s, Memo::Look& look, Sums& sums) {
  sums.independent += s.weight;
  for (std::size_t w = 0; w < Level::windows.size(); ++w) {
    const auto& band = s.bands[w];
    if (std::isnan(look.levels[w]) || band.spread <= 0) continue;
    look.distances[w] = band.distance(look.levels[w]) / spread_of(s, band);
    look.parts[Level::by_state] += s.weight * std::clamp(look.distances[w] - usual, 0.0, most_z);
  }
  sums.state += look.parts[Level::by_state];
}

double drifted(const Sensor& s, double value) {
  return s.drifted + drift_rate * (in_scales(value - s.mean, s.scale) - s.drifted);
}
void look_at_drift(const Sensor& s, Memo::Look& look, Sums& sums) {
  if (s.wander >= wanders) return;  // the state head follows those
  const double level = drifted(s, look.value);
  const double far = std::max({0.0, s.taken_low - level, level - s.taken_high});
  look.parts[Level::by_drift] = far * far / std::max(1.0, double{s.wander});
  sums.drift += look.parts[Level::by_drift];
  sums.steady += 1;
  sums.independent_steady += s.weight;
}

Memo::Look look_at(const Sensor& s, std::uint64_t frame, double x, Memo& memo, Sums& sums) {
  Memo::Look look;
  look.value = nothing;
  look.levels.fill(nothing);
  look.changes.fill(nothing);
  if (!std::isfinite(x)) return look;
  look.value = s.started ? std::clamp(x - s.origin, -largest_offset, largest_offset) : 0.0;
  const Trail trail{s, frame, look.value};
  for (std::size_t w = 0; w < Level::windows.size(); ++w) {
    look.levels[w] = trail.mean(0, Level::windows[w]);
  }
  for (std::size_t w = 0; w < Level::steps.size(); ++w) {
    look.changes[w] = trail.step(Level::steps[w]);
  }
  if (!modelled(s)) return look;
  look.deviation = in_scales(look.value - center_of(s), s.scale);
  look_at_changes(s, look, memo, sums);
  if (!s.ready()) return look;
  look_at_levels(s, look, sums);
  look_at_drift(s, look, sums);
  return look;
}

// The mean square of `sensors` averaged deviations of independent values, and its limit.
double limit_of_drift(double independent, std::uint32_t learned) {
  const double mean = drift_rate / (2 - drift_rate) + 1.0 / std::max(learned, 1U);
  const Moments chance{1e9, mean, 2 * mean * mean / std::max(independent, 1.0)};
  return std::max(drift_limit, chance.limit(sigma));
}

// Deviations of this frame and the one before, and the same averaged.
struct Pair {
  Vector newest, averaged;
};
Pair deviations(const Level::State& state, const Memo& memo) {
  const auto& members = state.model.members;
  const auto m = static_cast<Eigen::Index>(members.size());
  Pair out{Vector::Zero(2 * m), Vector::Zero(2 * m)};
  for (Eigen::Index k = 0; k < m; ++k) {
    const auto i = members[static_cast<std::size_t>(k)];
    const auto& s = state.sensors[i];
    const double now = i < memo.looks.size() ? memo.looks[i].deviation : 0;
    const double was = previous(s, state.frames);
    out.newest[k] = now;
    // What is not there is taken as the mean: it says nothing.
    if (!std::isnan(was)) out.newest[m + k] = in_scales(was - center_of(s), s.scale);
    out.averaged[k] = s.lately + mean_rate * (now - s.lately);
    out.averaged[m + k] = s.lately;
  }
  return out;
}

// How many times the deviations outside the components are what they are in all regimes: what goes
// together while a machine works need not when it stands still. Of few frames, little is believed.
double share_of_regime(const Level::State& state, std::uint8_t regime) {
  double count = 0, sum = 0, regimes = 0;
  for (const auto& one : state.usual_spe) {
    count += one.count;
    sum += one.count * one.mean;
    regimes += one.count > 0 ? 1 : 0;
  }
  if (regimes < 2 || regime >= state.usual_spe.size() || sum <= 0) return 1;
  const double mean = sum / count;
  const auto& here = state.usual_spe[regime];
  const double usual_here =
      (here.count * here.mean + least_known * mean) / (here.count + least_known);
  return std::clamp(std::sqrt(usual_here / mean), 1 / widest_regime, widest_regime);
}

void look_at_components(const Level::State& state, std::uint8_t regime, Memo& memo) {
  const auto& model = state.model;
  const auto m = static_cast<Eigen::Index>(model.members.size());
  const auto order = static_cast<Eigen::Index>(model.variances.size());
  if (m == 0) return;
  memo.modelled = true;
  const Matrix vectors =
      Eigen::Map<const Eigen::MatrixXf>{model.vectors.data(), 2 * m, order}.cast<double>();
  const Vector variances =
      Eigen::Map<const Eigen::VectorXf>{model.variances.data(), order}.cast<double>();

  const auto pair = deviations(state, memo);
  const Vector scores = vectors.transpose() * pair.newest;
  const Vector standard = scores.cwiseQuotient(variances);
  const Vector whole = pair.newest - vectors * scores;
  const double share_here = share_of_regime(state, regime);
  const Vector residual = whole / share_here;
  const Vector slow =
      (pair.averaged - vectors * (vectors.transpose() * pair.averaged)) / share_here;
  // How much of a sensor's own deviation stays in its residual: what others get of it is divided
  // out (reconstruction-based contributions).
  const Vector own = (1 - vectors.rowwise().squaredNorm().array()).max(1e-3);
  const Vector toward = vectors * standard;  // each sensor's part in T^2, per deviation

  auto& statistics = memo.statistics;
  statistics[Level::by_t_squared] = scores.dot(standard);
  memo.whole_spe = whole.squaredNorm();
  statistics[Level::by_spe] = residual.squaredNorm();
  statistics[Level::by_mean] = slow.squaredNorm();
  const auto& usual_spe = state.past[Level::by_spe];
  const double most = usual_spe.count > 20 ? most_energy * usual_spe.mean : largest_offset;
  const double share = std::min(1.0, most / std::max(statistics[Level::by_spe], 1e-300));
  for (Eigen::Index k = 0; k < m; ++k) {
    const auto i = model.members[static_cast<std::size_t>(k)];
    const double part = residual[k] * residual[k] + residual[m + k] * residual[m + k];
    const double energy = state.sensors[i].energy;
    const double risen = energy + energy_rate * (share * part - energy);
    statistics[Level::by_energy] += risen;
    if (i >= memo.looks.size()) continue;
    auto& look = memo.looks[i];
    look.residual = share * part;
    const double near = own[k], far = own[m + k];
    look.parts[Level::by_spe] =
        residual[k] * residual[k] / near + residual[m + k] * residual[m + k] / far;
    look.parts[Level::by_mean] = slow[k] * slow[k] / near + slow[m + k] * slow[m + k] / far;
    look.parts[Level::by_energy] = risen / std::min(near, far);
    look.parts[Level::by_t_squared] = std::max(0.0, toward[k] * pair.newest[k]) +
                                      std::max(0.0, toward[m + k] * pair.newest[m + k]);
  }
}

// Share of values that are not repetitions of their neighbours.
double fresh(std::size_t head) {
  return head == Level::by_mean ? mean_rate / 2 : head == Level::by_energy ? energy_rate / 2 : 1;
}

constexpr std::array component_heads{Level::by_t_squared, Level::by_spe, Level::by_mean,
                                     Level::by_energy};

void rate(const Level::State& state, const Sums& sums, Memo& memo) {
  auto& statistics = memo.statistics;
  statistics[Level::by_state] = sums.state;
  statistics[Level::by_change] = sums.change;
  statistics[Level::by_drift] = sums.steady > 0 ? sums.drift / sums.steady : 0;
  auto& heights = memo.heights;
  heights[Level::by_state] =
      ratio_of(sums.state, state_limit + state_limit_each * sums.independent);
  heights[Level::by_change] = ratio_of(
      sums.change, std::max(least_change, state.past[Level::by_change].limit(change_sigma)));
  heights[Level::by_drift] =
      ratio_of(statistics[Level::by_drift], limit_of_drift(sums.independent_steady, state.learned));
  for (const auto head : component_heads) {
    const auto& past = state.past[head];
    if (past.count <= least_known) continue;
    const double limit = past.limit(sigma, fresh(head));
    if (limit > 0) heights[head] = ratio_of(statistics[head], limit);
  }
  for (std::size_t head = 0; head < heights.size(); ++head)
    memo.ratios[head] = heights[head] / std::max(1.0, habit_margin * state.habits[head].record);
  if (state.alarmed) memo.ratios[Level::by_state] /= hysteresis;
}

void look(const Level::State& state, const MachineFrame& frame, Memo& memo) {
  const auto n = std::min(frame.values.size(), Level::most_sensors);
  memo.statistics = {};
  memo.ratios = memo.heights = {};
  memo.whole_spe = 0;
  memo.scored = memo.changes_known = memo.modelled = false;
  memo.looks.resize(n);
  Sums sums;
  static const Sensor unknown;
  for (std::size_t i = 0; i < n; ++i) {
    const auto& s = i < state.sensors.size() ? state.sensors[i] : unknown;
    memo.looks[i] = look_at(s, state.frames, frame.values[i], memo, sums);
  }
  memo.scored = sums.independent > 0;
  look_at_components(state, frame.regime, memo);
  rate(state, sums, memo);
}

std::size_t loudest(const Memo& memo) {
  return static_cast<std::size_t>(std::max_element(memo.ratios.begin(), memo.ratios.end()) -
                                  memo.ratios.begin());
}

bool near(const Memo& memo) { return memo.scored && memo.ratios[loudest(memo)] >= near_limit; }

// Learning.

// Mean half squared difference of blocks `lag` apart.
double variogram(const Sensor& s, std::uint32_t lag) {
  if (s.block_count <= lag) return 0;
  double sum = 0;
  for (std::uint32_t i = lag; i < s.block_count; ++i) {
    const double d = double{s.blocks[i]} - double{s.blocks[i - lag]};
    sum += d * d;
  }
  return sum / 2 / (s.block_count - lag);
}
struct Wander {
  double near, far;  // variograms over 3/16 and 3/8 of what was learned
};
// Three neighbouring lags each: where the blocks happen to begin should not matter.
double around(const Sensor& s, std::uint32_t lag) {
  const auto first = std::max(lag, 2U) - 1;
  return (variogram(s, first) + variogram(s, first + 1) + variogram(s, first + 2)) / 3;
}
Wander wander_of(const Sensor& s) {
  return {around(s, s.block_count * 3 / 16), around(s, s.block_count * 3 / 8)};
}
// How much more the means of blocks scatter than those of independent values would.
double times_white(const Sensor& s, const Wander& wander) {
  return s.variance > 0 ? (wander.near + wander.far) / 2 * s.block_length / s.variance : 0;
}

void add_to_blocks(Sensor& s, double value) {
  s.block_sum += value;
  if (++s.block_fill < s.block_length) return;
  s.blocks[s.block_count++] = as_float(s.block_sum / s.block_length);
  s.block_sum = 0;
  s.block_fill = 0;
  if (s.block_count < Level::most_blocks) return;
  for (std::size_t i = 0; i < Level::most_blocks / 2; ++i)
    s.blocks[i] = (s.blocks[2 * i] + s.blocks[2 * i + 1]) / 2;
  s.block_count /= 2;
  s.block_length *= 2;
}

void learn_first(Sensor& s, const Memo::Look& look) {
  double off = look.value - s.mean;
  const double reach = clipped * std::sqrt(s.variance);
  if (s.seen > 20 && reach > 0) off = std::clamp(off, -reach, reach);
  const double share = 1.0 / s.seen;
  s.mean += share * off;
  s.variance += share * (off * off * (1 - share) - s.variance);
  s.center = s.mean;
  s.scale = as_float(std::sqrt(s.variance));
  for (std::size_t w = 0; w < Level::windows.size(); ++w) {
    if (s.seen < Level::windows[w] || std::isnan(look.levels[w])) continue;
    auto& band = s.bands[w];
    const double from = s.levels[w].count > 0 ? double{band.low} : look.levels[w];
    band.low = band.high = as_float(from + follow_rate * (look.levels[w] - from));
    s.levels[w].learn(look.levels[w]);
  }
  for (std::size_t w = 0; w < Level::steps.size(); ++w) {
    if (s.seen >= 2 * Level::steps[w] && !std::isnan(look.changes[w]))
      s.changes[w].learn(look.changes[w]);
  }
  add_to_blocks(s, look.value);
}

// How far levels stray is taken from learning, and drawn on to twice the longest lag: a level that
// wanders goes on wandering.
void finish(Sensor& s) {
  s.learned = s.seen;
  const auto wander = wander_of(s);
  s.wander = as_float(times_white(s, wander));
  const double growth = wander.near > 0 ? std::clamp(wander.far / wander.near, 1.0, 4.0) : 1;
  for (std::size_t w = 0; w < Level::windows.size(); ++w) {
    const auto& levels = s.levels[w];
    if (levels.count < 3.0 * static_cast<double>(Level::windows[w])) continue;
    // Where the levels were is normal, and so is where they are now.
    auto& band = s.bands[w];
    const double half = first_band * std::sqrt(levels.variance), newest = band.low;
    band.low = as_float(std::min(newest, s.mean - half));
    band.high = as_float(std::max(newest, s.mean + half));
    const double strays = std::max(about_followed * levels.variance, wander.far * growth);
    band.spread = as_float(std::sqrt(strays + least_spread * least_spread * s.variance));
    band.slow = as_float(s.mean);
    band.stray = as_float(levels.variance);
  }
}

void learn_further(Sensor& s, const Memo::Look& look, bool alarmed, bool calm, bool unlock) {
  s.drifted = as_float(drifted(s, look.value));
  const double forgotten = forgotten_band / s.learned;
  for (std::size_t w = 0; w < Level::windows.size(); ++w) {
    if (std::isnan(look.levels[w]) || s.bands[w].spread <= 0) continue;
    auto& band = s.bands[w];
    const double rate = alarmed ? follow_in_alarm : follow_rate;
    if (look.distances[w] < usual) band.learn_straying(look.levels[w], s.learned);
    if (!band.follow(look.levels[w], look.distances[w], rate, forgotten, patience_of(s.learned)))
      continue;
    const auto taken = as_float(in_scales(band.candidate - s.mean, s.scale));
    s.taken_low = std::min(s.taken_low, taken);
    s.taken_high = std::max(s.taken_high, taken);
  }
  for (std::size_t w = 0; w < Level::steps.size(); ++w) {
    auto& usually = s.changes[w];
    if (std::isnan(look.changes[w]) || !known(usually, w)) continue;
    const double most = usually.mean + clipped * std::sqrt(usually.variance);
    usually.learn(std::min(look.changes[w], most), 0.5 / s.learned);
  }
  if (unlock) s.center = s.track;
  if (calm) {
    const double reach = clipped * s.scale;
    s.center += std::clamp(look.value - s.center, -reach, reach) / (center_memory * s.learned);
  }
}

void track(Sensor& s, double value) {
  const double reach = s.scale > 0 ? clipped * s.scale : largest_offset;
  s.track += follow_rate * std::clamp(value - s.track, -reach, reach);
}

// A sensor that has not moved yet has no scale: its learning begins with its first move.
void start(Sensor& s, double x, Timestamp time) {
  if (!s.started) {
    s.started = true;
    s.origin = x;
  }
  s.since = time;
  s.seen = s.block_count = s.block_fill = 0;
  s.block_length = 4;
  s.block_sum = 0;
}

void make_room(Level::State& state, std::size_t wide) {
  const auto p = state.sensors.size();
  if (wide <= p) return;
  for (auto* matrix : {&state.now, &state.before}) {
    std::vector<double> wider(wide * wide, 0.0);
    for (std::size_t i = 0; i < p; ++i)
      std::copy_n(matrix->begin() + static_cast<std::ptrdiff_t>(i * p), p,
                  wider.begin() + static_cast<std::ptrdiff_t>(i * wide));
    *matrix = std::move(wider);
  }
  state.sensors.resize(wide);
}

double teachable(const Sensor& s, double value) {
  if (std::isnan(value)) return nothing;
  const double off = value - center_of(s), reach = clipped * std::sqrt(s.variance);
  return s.seen > 20 && reach > 0 ? std::clamp(off, -reach, reach) : off;
}

// `shares` is how much the frame counts for each sensor; pairs that are not both there keep what
// they know.
void learn_covariances(Level::State& state, const std::vector<double>& shares,
                       const std::vector<double>& values, const std::vector<double>& befores) {
  const auto p = state.sensors.size();
  std::vector<double> now(p), before(p);
  for (std::size_t i = 0; i < p; ++i) {
    now[i] = teachable(state.sensors[i], values[i]);
    before[i] = teachable(state.sensors[i], befores[i]);
  }
  for (std::size_t i = 0; i < p; ++i) {
    if (std::isnan(now[i]) || shares[i] <= 0) continue;
    for (std::size_t j = 0; j < p; ++j) {
      const double share = std::max(shares[i], shares[j]);
      auto& same = state.now[i * p + j];
      auto& lagged = state.before[i * p + j];
      if (!std::isnan(now[j])) same += share * (now[i] * now[j] - same);
      if (!std::isnan(before[j])) lagged += share * (now[i] * before[j] - lagged);
    }
  }
}

// Correlations of two neighbouring frames. The block of the frame before equals that of this one:
// what is learned is taken as stationary.
Matrix correlations(const Level::State& state, const std::vector<std::uint8_t>& members) {
  const auto m = static_cast<Eigen::Index>(members.size());
  const auto p = state.sensors.size();
  Matrix r(2 * m, 2 * m);
  for (Eigen::Index a = 0; a < m; ++a) {
    for (Eigen::Index b = 0; b < m; ++b) {
      const std::size_t i = members[static_cast<std::size_t>(a)];
      const std::size_t j = members[static_cast<std::size_t>(b)];
      const double scale = std::sqrt(state.now[i * p + i]) * std::sqrt(state.now[j * p + j]);
      r(a, b) = r(m + a, m + b) = (state.now[i * p + j] + state.now[j * p + i]) / 2 / scale;
      r(a, m + b) = r(m + b, a) = state.before[i * p + j] / scale;
    }
  }
  return r.cwiseMax(-1).cwiseMin(1);
}

// Sensors that say the same count once: 1 / sum of squared correlations, chance left out.
void weigh(Level::State& state, const std::vector<std::uint8_t>& members, const Matrix& r,
           double count) {
  const double chance = std::min(0.5, 3 / count);
  for (std::size_t a = 0; a < members.size(); ++a) {
    double alike = 1;
    for (std::size_t b = 0; b < members.size(); ++b) {
      const double c = r(static_cast<Eigen::Index>(a), static_cast<Eigen::Index>(b));
      if (a != b) alike += std::max(0.0, (c * c - chance) / (1 - chance));
    }
    state.sensors[members[a]].weight = as_float(1 / alike);
  }
}

// Towards independence, by as much as chance explains (Schaefer and Strimmer 2005).
void shrink(Matrix& r, double count) {
  double chance = 0, seen = 0;
  for (Eigen::Index a = 0; a < r.rows(); ++a) {
    for (Eigen::Index b = 0; b < r.cols(); ++b) {
      if (a == b) continue;
      const double square = r(a, b) * r(a, b);
      chance += (1 - square) * (1 - square) / count;
      seen += square;
    }
  }
  r *= 1 - (seen > 0 ? std::clamp(chance / seen, 0.0, 1.0) : 1);
  r.diagonal().setOnes();
}

std::vector<std::uint8_t> members_of(const Level::State& state, std::uint32_t least) {
  const auto& old = state.model.members;
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i < state.sensors.size(); ++i) {
    const auto& s = state.sensors[i];
    const auto id = static_cast<std::uint8_t>(i);
    const bool wanted = state.learned > 0
                            ? s.ready() || std::binary_search(old.begin(), old.end(), id)
                            : s.seen >= least;
    if (wanted && s.seen >= least_modelled && s.scale > 0 &&
        state.now[i * state.sensors.size() + i] > 0)
      out.push_back(id);
  }
  return out;
}

// How many components are kept: fixed with the sensors, because other numbers make other
// statistics. At least one dimension is left to spe.
Eigen::Index order_of(const Vector& rising) {
  const double total = rising.cwiseMax(0).sum();
  double sum = 0;
  Eigen::Index order = 0;
  while (order < rising.size() - 1 && sum < kept_variance * total)
    sum += std::max(0.0, rising[rising.size() - ++order]);
  return order;
}

// Of other members, the statistics are others.
void forget_past(Level::State& state) {
  for (const auto head : component_heads) {
    state.past[head] = {};
    state.habits[head] = Level::grown_up()[head];
  }
  state.usual_spe.clear();
}

void refresh(Level::State& state, std::uint32_t least) {
  auto& model = state.model;
  for (auto& s : state.sensors)
    if (!s.ready()) s.wander = as_float(times_white(s, wander_of(s)));
  auto members = members_of(state, least);
  const bool same = members == model.members;
  if (!same) forget_past(state);
  const auto before = static_cast<Eigen::Index>(model.variances.size());
  model = {};
  if (members.size() < 2) return;
  double count = 1e9;
  for (const auto i : members) count = std::min(count, static_cast<double>(state.sensors[i].seen));
  auto r = correlations(state, members);
  weigh(state, members, r, count);
  shrink(r, count);
  const Eigen::SelfAdjointEigenSolver<Matrix> solved{r};
  const auto size = r.rows();
  const auto order = same ? before : order_of(solved.eigenvalues());
  for (Eigen::Index k = size - 1; k >= size - order; --k) {
    model.variances.push_back(static_cast<float>(std::max(solved.eigenvalues()[k], 1e-6)));
    for (Eigen::Index a = 0; a < size; ++a)
      model.vectors.push_back(static_cast<float>(solved.eigenvectors()(a, k)));
  }
  model.members = std::move(members);
}

// While learning: at half of the least, and at its doublings. Learned: now and then, when calm.
bool due(const Level::State& state, std::uint32_t oldest, std::uint32_t warmup, bool calm) {
  if (state.learned > 0) return calm && state.frames % refresh_every == 0;
  for (std::uint64_t at = std::max(warmup / 2, least_modelled); at <= oldest; at *= 2)
    if (at == oldest) return true;
  return false;
}

// Excursions that come back and pass are how the machine works: what every pause or shift brings.
// A drift does not pass, and its reference stays where it is.
void follow_habits(Level::State& state, const Memo& memo) {
  if (state.learned == 0) return;
  const Timestamp now{Duration{static_cast<std::int64_t>(state.frames)}};  // in frames
  const Duration accept_after{patience_of(state.learned)};
  for (std::size_t head = 0; head < state.habits.size(); ++head) {
    if (head == Level::by_drift) continue;
    auto& habit = state.habits[head];
    habit.pass(Duration{1}, 1 / (calm_memory * state.learned));
    const auto trust = memo.ratios[head] >= 1 ? Trust::suspicious : Trust::normal;
    habit.follow(memo.heights[head], near_limit, 1, now, trust, accept_after);
  }
}

void keep_onset(Level::State& state, const Memo& memo, Timestamp time) {
  if (!near(memo)) {
    state.onset.reset();
  } else if (!state.onset) {
    state.onset = time;
  }
}

}  // namespace

void Moments::learn(double value, double slowest) {
  count = std::min(count + 1, 1e9);
  const double share = std::max(1 / count, slowest), off = value - mean;
  mean += share * off;
  variance = (1 - share) * (variance + share * off * off);
}

double Moments::limit(double sigmas, double fresh_share) const {
  if (count < 8 || mean <= 0) return 0;
  const double unsure = 1 + 2 / (count * fresh_share);
  const double half = std::max(variance * unsure / mean / mean, 1e-12);  // 2 / degrees of freedom
  const double a = half / 9;
  return mean * std::pow(std::max(0.0, 1 - a + sigmas * std::sqrt(a)), 3);
}

double Level::Band::distance(double level) const {
  return std::max({0.0, low - level, level - high});
}

void Level::Band::learn_straying(double level, std::uint32_t period) {
  const double away = level - slow;
  slow = as_float(slow + away / period);
  stray = as_float(stray + (away * away - stray) / (stray_memory * period));
}

bool Level::Band::follow(double level, double z, double rate, double forgotten,
                         std::uint32_t patience) {
  if (z < usual) {
    low = as_float(low + (level < low ? rate : forgotten) * (level - low));
    high = as_float(high + (level > high ? rate : forgotten) * (level - high));
    if (low > high) low = high = (low + high) / 2;
    outside = 0;
    return false;
  }
  if (outside == 0) candidate = as_float(level);
  candidate = as_float(candidate + follow_rate * (level - candidate));
  if (++outside < patience) return false;
  // It moves further than was thought: once more would be 3 deviations.
  spread = as_float(std::hypot(spread, distance(candidate) / 3));
  low = std::min(low, candidate);
  high = std::max(high, candidate);
  outside = 0;
  return true;
}

std::optional<MachineScore> Level::score(const Params&, const State& state,
                                         const MachineFrame& frame, Memo& memo) {
  look(state, frame, memo);
  if (!memo.scored) return std::nullopt;
  const auto head = loudest(memo);
  const auto began = state.onset ? state.onset : std::optional{frame.time};
  return MachineScore{memo.ratios[head], near(memo) ? began : std::nullopt, heads[head]};
}
std::optional<MachineScore> Level::score(const Params& params, const State& state,
                                         const MachineFrame& frame) {
  Memo memo;
  return score(params, state, frame, memo);
}

void Level::learn(const Params& params, State& state, const MachineFrame& frame, Trust trust) {
  Memo memo;
  look(state, frame, memo);
  learn(params, state, frame, trust, memo);
}

void Level::learn(const Params& params, State& state, const MachineFrame& frame, Trust trust,
                  const Memo& memo) {
  keep_onset(state, memo, frame.time);
  follow_habits(state, memo);
  make_room(state, memo.looks.size());
  const auto p = state.sensors.size();
  const bool any_ready = state.learned > 0;
  const bool trusted = trust == Trust::normal;
  double loud = 0;
  for (const auto head : component_heads) loud = std::max(loud, memo.ratios[head]);
  const bool quiet = loud < calm_below;
  const bool calm = quiet && trusted;
  // Whatever has been unusual for so long is how it is now.
  const bool unlock = any_ready && state.locked > patience_of(state.learned);
  state.alarmed = memo.ratios[by_state] >= 1;

  std::vector<double> values(p, nothing), befores(p, nothing), shares(p, 0.0);
  std::uint32_t oldest = 0;
  bool finished = false;
  for (std::size_t i = 0; i < p; ++i) {
    auto& s = state.sensors[i];
    const auto unseen = Memo::Look{.value = nothing};
    const auto& seen = i < memo.looks.size() ? memo.looks[i] : unseen;
    s.lately = as_float(s.lately + mean_rate * (seen.deviation - s.lately));
    // Where the sensor is in no model, and for parts of none, there is nothing to average.
    s.energy = as_float(s.energy + energy_rate * (seen.residual - s.energy));
    befores[i] = previous(s, state.frames);
    s.recent[slot(state.frames)] = std::numeric_limits<float>::quiet_NaN();
    if (std::isnan(seen.value)) continue;

    if (!s.started || (s.moved == 0 && seen.value == 0)) start(s, frame.values[i], frame.time);
    const double held = std::isnan(befores[i]) ? 0 : befores[i];
    if (as_float(seen.value) != as_float(held) && s.moved < least_moves) ++s.moved;
    values[i] = seen.value;
    s.recent[slot(state.frames)] = as_float(seen.value);
    if (s.seen < most_seen) ++s.seen;
    if (s.seen == 1) s.track = seen.value;
    track(s, seen.value);
    oldest = std::max(oldest, s.seen);
    if (s.ready()) {
      learn_further(s, seen, state.alarmed, calm, unlock);
      shares[i] = calm ? 1 / (calm_memory * s.learned) : 0;
      continue;
    }
    shares[i] = 1.0 / s.seen;
    learn_first(s, seen);
    if (s.seen < params.warmup || s.moved < least_moves || s.scale <= 0 ||
        elapsed_between(s.since, frame.time) < params.learning)
      continue;
    finish(s);
    finished = true;
  }
  learn_covariances(state, shares, values, befores);

  const double slowest = any_ready ? 1 / (calm_memory * state.learned) : 0;
  if (memo.changes_known && (!any_ready || (memo.ratios[by_change] < 1 && trusted)))
    state.past[by_change].learn(memo.statistics[by_change], slowest);
  if (memo.modelled && (!any_ready || calm || unlock)) {
    for (const auto head : component_heads) state.past[head].learn(memo.statistics[head], slowest);
    if (state.usual_spe.size() <= frame.regime) state.usual_spe.resize(frame.regime + 1U);
    state.usual_spe[frame.regime].learn(memo.whole_spe, slowest);
  }
  state.locked = quiet ? 0 : std::min(state.locked, 1000000000U) + 1;
  ++state.frames;
  const bool refreshed = finished || due(state, oldest, params.warmup, calm);
  for (const auto& s : state.sensors) state.learned = std::max(state.learned, s.learned);
  if (refreshed) refresh(state, std::max(params.warmup / 4, least_modelled));
}

void Level::forget(State& state, std::size_t which) {
  const auto p = state.sensors.size();
  if (which >= p) return;
  state.sensors[which] = {};
  for (std::size_t i = 0; i < p; ++i) {
    for (auto* matrix : {&state.now, &state.before})
      (*matrix)[which * p + i] = (*matrix)[i * p + which] = 0;
  }
  const auto is_ready = [](const Sensor& s) { return s.ready(); };
  if (state.learned > 0 && std::none_of(state.sensors.begin(), state.sensors.end(), is_ready)) {
    state = {};
    return;
  }
  const auto& members = state.model.members;
  if (!std::binary_search(members.begin(), members.end(), static_cast<std::uint8_t>(which))) return;
  state.model = {};
  forget_past(state);
}

std::vector<double> Level::shares(const Params&, const State& state, const MachineFrame& frame) {
  Memo memo;
  look(state, frame, memo);
  std::vector<double> out(frame.values.size(), 0.0);
  const auto head = loudest(memo);
  double sum = 0;
  for (std::size_t i = 0; i < memo.looks.size(); ++i) {
    out[i] = memo.looks[i].parts[head];
    sum += out[i];
  }
  if (!memo.scored || sum <= 0) return std::vector<double>(out.size(), 0.0);
  for (auto& share : out) share /= sum;
  return out;
}

double Level::confidence(const Params& params, const State& state) {
  double sum = 0, sensors = 0;
  for (const auto& s : state.sensors) {
    if (s.moved == 0) continue;
    const double whole = 4.0 * std::max(params.warmup, s.learned);
    sum += std::min(1.0, s.seen / whole);
    sensors += 1;
  }
  return sensors > 0 ? sum / sensors : 0;
}

bool Level::sound(const Sensor& s) {
  for (const float v : s.recent)
    if (!std::isnan(v) && !in_bounds(double{v})) return false;
  for (const float v : s.blocks)
    if (!in_bounds(double{v})) return false;
  return in_bounds(s.origin, s.mean, s.center, s.track, s.block_sum) && s.variance >= 0 &&
         s.variance <= largest_square && positive_in_bounds(s.scale, s.wander, s.energy) &&
         s.weight > 0 && s.weight <= 1 && std::abs(s.lately) <= largest_deviation &&
         std::abs(s.drifted) <= largest_deviation && s.taken_low <= 0 &&
         s.taken_low >= -largest_deviation && s.taken_high >= 0 &&
         s.taken_high <= largest_deviation && s.moved <= least_moves && s.learned <= s.seen &&
         s.block_length >= 4 && s.block_fill < s.block_length && s.block_count < most_blocks;
}

bool Level::sound(const State& s) {
  const auto p = s.sensors.size();
  const auto& m = s.model;
  if (p > most_sensors || s.now.size() != p * p || s.before.size() != p * p) return false;
  for (const auto* matrix : {&s.now, &s.before})
    for (const double v : *matrix)
      if (!(std::abs(v) <= largest_square)) return false;
  for (std::size_t i = 0; i < p; ++i)
    if (s.now[i * p + i] < 0) return false;
  for (std::size_t k = 0; k < m.members.size(); ++k)
    if (m.members[k] >= p || (k > 0 && m.members[k] <= m.members[k - 1]) ||
        s.sensors[m.members[k]].scale <= 0)
      return false;
  if (m.variances.size() > 2 * m.members.size() ||
      m.vectors.size() != 2 * m.members.size() * m.variances.size())
    return false;
  for (const float v : m.vectors)
    if (!(std::abs(v) <= 1.001F)) return false;
  return std::all_of(m.variances.begin(), m.variances.end(),
                     [](float v) { return v > 0 && v <= 1e6F; });
}

}  // namespace millwright::detectors
