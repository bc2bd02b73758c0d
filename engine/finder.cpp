#include "engine/finder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace millwright::engine {
namespace {

constexpr Duration longest_pause = std::chrono::minutes{15};  // between frames: no time of looking
constexpr double clearly_nearer = 0.75;   // squared: the new state than the one it is in
constexpr double near = 0.5, beyond = 1;  // of `far`
constexpr double least_leap = 2.0 / 3;    // of `far`: four scatters
constexpr double own_side = 0.5;          // of the way to another state
constexpr double scatters_far = 6;
constexpr std::size_t sensors_apart = 2;
constexpr std::uint64_t few_frames = 8;
constexpr std::uint32_t lasting = 8;  // frames: shorter is a transition
constexpr std::uint32_t sudden = 16;  // frames within which a new state is reached: longer is wear
constexpr double visit_over_settle = 4;  // a program shorter than that is all transition

bool is_number(double x) { return !std::isnan(x); }

}  // namespace

bool RegimeFinder::is_sound() const {
  const auto width = far_.size();
  const auto fits = [&](const std::vector<double>& one) {
    return one.size() == width && std::all_of(one.begin(), one.end(), [](double x) {
             return std::isnan(x) || detectors::in_bounds(x);
           });
  };
  const auto channels = frames_.channels().size();
  const bool rows = rows_.size() <= most_rows &&
                    std::all_of(rows_.begin(), rows_.end(),
                                [&](const auto& row) { return row.size() <= channels; });
  const bool centres = centres_.size() <= most_states && width <= channels &&
                       half_.size() == width && std::all_of(centres_.begin(), centres_.end(), fits);
  return rows && centres && before_.size() <= channels && leaps_.size() <= channels &&
         stride_ >= 1 && stride_ <= most_stride && skipped_ < stride_ && looked_ >= Duration{0} &&
         away_.size() <= width && current_ <= centres_.size() &&
         (candidate_.frames == 0 || fits(candidate_.mean)) &&
         std::all_of(far_.begin(), far_.end(), detectors::in_bounds<double>) &&
         std::all_of(half_.begin(), half_.end(), detectors::in_bounds<double>);
}

void RegimeFinder::reopen() {
  rows_.clear();
  before_.clear();
  leaps_.clear();
  stride_ = 1;
  skipped_ = 0;
  looked_ = Duration{0};
  taken_ = 0;
  last_ = {};
  candidate_ = {};
}

void RegimeFinder::take(const RegimeRule& rule, std::size_t place, const Sample& sample,
                        Regimes& regimes) {
  if (!found() && !is_open(rule)) return;
  if (place >= detectors::MachineLevel::most_sensors) return;
  if (frames_.is_over(place, sample.time)) close_frame(rule, regimes);
  frames_.take(place, sample);
  if (!found() || held_) return;
  const auto& channels = frames_.channels();
  for (std::size_t c = 0; c < far_.size() && !held_; ++c) {
    if (channels[c].sensor == place && !channels[c].scatter) held_ = leaves(rule, c, sample.value);
  }
}

void RegimeFinder::close_frame(const RegimeRule& rule, Regimes& regimes) {
  const auto began = frames_.opened();
  frames_.read(values_);
  frames_.clear();
  held_ = false;
  if (is_open(rule) && last_ != Timestamp{})
    looked_ += std::clamp(detectors::elapsed_between(last_, began), Duration{0}, longest_pause);
  last_ = began;
  if (found()) return follow(rule, began, regimes);
  look(rule, began, regimes);
}

void RegimeFinder::note_leaps() {
  if (taken_ % few_frames != 0) return;
  leaps_.resize(frames_.channels().size());
  for (std::size_t c = 0; c < std::min(before_.size(), values_.size()); ++c) {
    auto& far = leaps_[c].farthest;
    const double leap = std::abs(values_[c] - before_[c]);
    if (!is_number(leap) || leap <= far[0]) continue;
    far[0] = leap;
    std::sort(far.begin(), far.end());
  }
  before_ = values_;
}

void RegimeFinder::look(const RegimeRule& rule, Timestamp began, Regimes& regimes) {
  ++taken_;
  note_leaps();
  if (++skipped_ >= stride_) {
    skipped_ = 0;
    rows_.push_back(values_);
    const auto most = std::clamp<std::size_t>(
        most_values / std::max<std::size_t>(1, values_.size()), 64, most_rows);
    if (rows_.size() * 4 == most * 2 || rows_.size() * 4 == most * 3 || rows_.size() >= most)
      judge_rows(rule, began, regimes);
    if (rows_.size() >= most && stride_ < most_stride) {
      for (std::size_t i = 0; 2 * i + 1 < rows_.size(); ++i) rows_[i] = std::move(rows_[2 * i + 1]);
      rows_.resize(rows_.size() / 2);
      stride_ *= 2;
    }
  }
  if (!found() && is_open(rule)) return;
  rows_ = {};
  before_ = {};
  leaps_ = {};
}

void RegimeFinder::judge_rows(const RegimeRule& rule, Timestamp began, Regimes& regimes) {
  std::vector<double> leaps;
  for (const auto& leap : leaps_) leaps.push_back(leap.farthest[0]);
  const auto states = states_of(rows_, frames_.channels(), leaps, rule.learned);
  if (states.centres.empty()) return;
  const double frame = to_seconds(looked_) / static_cast<double>(taken_);
  const double visit = states.visit * frame * stride_;
  if (visit < visit_over_settle * to_seconds(rule.settle)) return;
  adopt(states);
  for (std::size_t k = 0; k < centres_.size(); ++k) regimes.add(static_cast<double>(k + 1));
  current_ = static_cast<std::uint8_t>(centres_.size());  // none yet
  follow(rule, began, regimes);
}

void RegimeFinder::adopt(const States& states) {
  centres_ = states.centres;
  const auto width = states.scatter.size();
  half_.assign(width, 0);
  far_.assign(width, 0);
  for (std::size_t c = 0; c < width; ++c) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t a = 0; a < centres_.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const double gap = std::abs(centres_[a][c] - centres_[b][c]);
        if (gap > scatters_far * states.scatter[c]) least = std::min(least, gap);
      }
    }
    if (std::isinf(least)) continue;  // it does not tell, or not these
    half_[c] = least / 2;
    // A state may lie between two others.
    far_[c] = std::max(half_[c] / 2, scatters_far * states.scatter[c]);
  }
}

double RegimeFinder::distance(const std::vector<double>& values,
                              const std::vector<double>& centre) const {
  double sum = 0;
  int count = 0;
  for (std::size_t c = 0; c < std::min(centre.size(), values.size()); ++c) {
    if (half_[c] <= 0 || !is_number(values[c])) continue;
    const double part = std::min(1.0, std::abs(values[c] - centre[c]) / half_[c]);
    sum += part * part;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

std::size_t RegimeFinder::sensors_beyond(const std::vector<double>& values,
                                         const std::vector<double>& centre, double part) const {
  std::set<std::uint8_t> sensors;
  for (std::size_t c = 0; c < std::min(centre.size(), values.size()); ++c) {
    if (half_[c] <= 0 || !is_number(values[c])) continue;
    if (std::abs(values[c] - centre[c]) >= part * far_[c])
      sensors.insert(frames_.channels()[c].sensor);
  }
  return sensors.size();
}

void RegimeFinder::follow(const RegimeRule& rule, Timestamp began, Regimes& regimes) {
  std::size_t nearest = 0;
  std::vector<double> away(centres_.size());
  for (std::size_t k = 0; k < centres_.size(); ++k) {
    away[k] = distance(values_, centres_[k]);
    if (away[k] < away[nearest]) nearest = k;
  }
  if (is_open(rule) && centres_.size() < rule.learned && join(rule, began, nearest, regimes))
    return note_away();
  candidate_ = {};
  if (current_ == centres_.size() ||
      (nearest != current_ && away[nearest] < clearly_nearer * away[current_]))
    enter(static_cast<std::uint8_t>(nearest), began, regimes);
  note_away();
}

// True while it is none of the states known: a transition, until it has lasted.
bool RegimeFinder::join(const RegimeRule& rule, Timestamp began, std::size_t nearest,
                        Regimes& regimes) {
  const bool strange = sensors_beyond(values_, centres_[nearest], beyond) >= sensors_apart;
  const bool close = sensors_beyond(values_, centres_[nearest], near) < sensors_apart;
  since_near_ = close ? 0 : std::min(since_near_ + 1, sudden + 1);
  if (!strange || (candidate_.frames == 0 && since_near_ > sudden)) return false;
  auto& c = candidate_;
  if (c.frames == 0 || sensors_beyond(values_, c.mean, beyond) >= sensors_apart) {
    if (c.frames == 0) {
      regimes.change(began, regime_transition);
      current_ = static_cast<std::uint8_t>(centres_.size());
    }
    c = {0, began, std::vector<double>(half_.size(), std::numeric_limits<double>::quiet_NaN())};
  }
  ++c.frames;
  bool whole = true;
  for (std::size_t i = 0; i < std::min(c.mean.size(), values_.size()); ++i) {
    if (half_[i] <= 0 || !is_number(values_[i])) continue;
    c.mean[i] = is_number(c.mean[i]) ? c.mean[i] + (values_[i] - c.mean[i]) / c.frames : values_[i];
  }
  for (std::size_t i = 0; i < c.mean.size(); ++i) whole &= half_[i] <= 0 || is_number(c.mean[i]);
  const auto lasted = to_seconds(detectors::elapsed_between(c.began, began));
  if (!whole || c.frames < lasting || lasted < visit_over_settle * to_seconds(rule.settle))
    return true;
  centres_.push_back(c.mean);
  candidate_ = {};
  regimes.add(static_cast<double>(centres_.size()));
  since_near_ = 0;
  // It has settled long ago.
  enter(static_cast<std::uint8_t>(centres_.size() - 1), began - rule.settle, regimes);
  return true;
}

void RegimeFinder::enter(std::uint8_t state, Timestamp time, Regimes& regimes) {
  current_ = state;
  regimes.change(time, static_cast<RegimeId>(first_regime + state));
}

// What has left its state by itself is no change of state: from the next frame on it is judged.
void RegimeFinder::note_away() {
  away_.assign(half_.size(), 0);
  if (current_ >= centres_.size()) return;
  const auto& centre = centres_[current_];
  for (std::size_t c = 0; c < std::min(half_.size(), values_.size()); ++c) {
    const bool left = half_[c] > 0 && is_number(values_[c]) &&
                      std::abs(values_[c] - centre[c]) >= own_side * half_[c];
    away_[c] = left ? 1 : 0;
  }
}

bool RegimeFinder::leaves(const RegimeRule& rule, std::size_t channel, double value) const {
  if (current_ >= centres_.size() || half_[channel] <= 0) return false;
  if (channel < away_.size() && away_[channel] != 0) return false;
  const double here = std::abs(value - centres_[current_][channel]);
  const bool may_join = is_open(rule) && centres_.size() < rule.learned;
  if (may_join && here >= far_[channel]) return true;
  return std::any_of(centres_.begin(), centres_.end(), [&](const auto& other) {
    // Beyond it, too: a change overshoots.
    const double between = other[channel] - centres_[current_][channel];
    const bool towards = (value - centres_[current_][channel]) * between > 0;
    // Of two states that this channel does not tell apart, none is where it goes.
    return std::abs(between) > half_[channel] && towards &&
           here > std::max(own_side * std::abs(between), least_leap * far_[channel]);
  });
}

}  // namespace millwright::engine
