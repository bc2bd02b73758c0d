#include "engine/regime.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/hash.h"

namespace millwright::engine {
namespace {

constexpr double young = 4;            // learning periods: until then everything teaches
constexpr double full = 20;            // learning periods: nothing more is to be expected
constexpr double furthest = 4;         // scales that one reading counts for, at most
constexpr std::uint32_t settled = 20;  // readings before outliers can be told
// Of squared jumps: what jumps less than this part as it is does not follow the regimes at once;
// when it is clear, few changes are enough to see it.
constexpr double stays = 0.5, clearly = 0.25;
constexpr std::uint8_t few_jumps = 2;
constexpr double least_relative_scale = 0.02;  // of the widest regime: one may stand quite still
constexpr int longest_step = 4;  // of learning per reading: more time between two does not count
constexpr std::uint32_t most_count = 1U << 24;
constexpr Duration most_lasted = std::chrono::hours{24 * 36500};

// Two regimes never share a name for want of digits.
std::string number(double value) { return fmt::format("{:.12g}", value); }

}  // namespace

bool Regimes::follow(const RegimeRule& rule, const Sample& named) {
  double key = detectors::without_sign_of_zero(named.value);
  if (!rule.bins.empty()) {
    const auto above = std::upper_bound(rule.bins.begin(), rule.bins.end(), key);
    key = static_cast<double>(above - rule.bins.begin());
  }
  const auto found = std::find(keys_.begin(), keys_.end(), key);
  const bool fresh = found == keys_.end();
  auto to = static_cast<RegimeId>(found - keys_.begin() + first_regime);
  if (fresh && keys_.size() < most) {
    keys_.push_back(key);
  } else if (fresh) {
    to = other_regimes;
  }
  if (known_ > 0 && changes_.front().to == to) return false;
  change(named.time, to);
  return fresh && to != other_regimes;
}

void Regimes::add(double key) {
  if (keys_.size() < most) keys_.push_back(key);
}

void Regimes::change(Timestamp time, RegimeId to) {
  std::shift_right(changes_.begin(), changes_.end(), 1);
  changes_.front() = {time, to};
  if (known_ < changes_.size()) ++known_;
}

RegimeId Regimes::at(const RegimeRule& rule, Timestamp time) const {
  for (std::uint8_t i = 0; i < known_; ++i) {
    const auto& change = changes_[i];
    if (time < change.time) continue;
    const bool first = i + 1 == known_ && known_ < changes_.size();  // no change at all
    const bool over = first || detectors::elapsed_between(change.time, time) >= rule.settle;
    return over ? change.to : regime_transition;
  }
  return known_ > 0 ? regime_transition : no_regime;
}

std::string Regimes::name(const RegimeRule& rule, RegimeId id) const {
  if (id == no_regime) return {};
  if (id == regime_transition) return "transition";
  const auto place = static_cast<std::size_t>(id - first_regime);
  if (rule.sensor.empty()) return place < keys_.size() ? number(keys_[place]) : "other";
  if (id == other_regimes || place >= keys_.size()) return rule.sensor + "-other";
  if (rule.bins.empty()) return rule.sensor + "-" + number(keys_[place]);
  const auto bin = static_cast<std::size_t>(keys_[place]);
  if (bin == 0) return rule.sensor + "-under-" + number(rule.bins.front());
  const auto from = number(rule.bins[bin - 1]);
  if (bin == rule.bins.size()) return rule.sensor + "-from-" + from;
  return rule.sensor + "-" + from + "-to-" + number(rule.bins[bin]);
}

std::uint64_t rule_fingerprint(const RegimeRule& rule) {
  std::string bytes;
  Writer{bytes}(rule.sensor, rule.bins, rule.settle, rule.warmup, rule.learning, rule.learned,
                rule.find);
  return hash64(bytes);
}

bool UsualValues::is_known(const RegimeRule& rule, const Usual& usual) {
  return usual.count >= rule.warmup && usual.lasted >= rule.learning;
}

bool UsualValues::is_young(const RegimeRule& rule, const Usual& usual) {
  return usual.count < young * rule.warmup ||
         to_seconds(usual.lasted) < young * to_seconds(rule.learning);
}

Measure UsualValues::measure_of(RegimeId regime, const RegimeRule& rule) const {
  double widest = 0;
  for (const auto& usual : regimes_) {
    if (is_known(rule, usual)) widest = std::max(widest, usual.variance);
  }
  const auto& usual = regimes_[regime];
  const double scale =
      std::max(std::sqrt(usual.variance), least_relative_scale * std::sqrt(widest));
  // Not even the widest regime knows any scatter: differences stay as they are.
  return {usual.mean, scale > 0 ? scale : 1, confidence(rule, regime)};
}

bool UsualValues::is_known(const RegimeRule& rule, RegimeId regime) const {
  return regime < regimes_.size() && is_known(rule, regimes_[regime]);
}

std::optional<Measure> UsualValues::measure_at_once(const RegimeRule& rule, RegimeId regime) const {
  return is_known(rule, regime) ? std::optional{measure_of(regime, rule)} : std::nullopt;
}

std::optional<Measure> UsualValues::measure(const RegimeRule& rule, RegimeId regime) const {
  switch (follows_) {
    case Follows::not_at_once:
      return frame_;
    case Follows::at_once:
      break;
    case Follows::unknown:
      if (regime != first_known_ || has_left_) return std::nullopt;
      break;
  }
  return measure_at_once(rule, regime);
}

// How far the value jumped at the change, as it is and measured against the regimes.
void UsualValues::judge_change(const RegimeRule& rule) {
  change_.open = false;
  const auto from = change_.from;
  if (from >= regimes_.size() || !is_known(rule, regimes_[from])) return;
  const double jump = change_.after - change_.before;
  const double measured = jump - (regimes_[last_].mean - regimes_[from].mean);
  jumped_ = std::min(jumped_ + jump * jump, detectors::largest_square);
  measured_ = std::min(measured_ + measured * measured, detectors::largest_square);
  ++jumps_;
  const bool clear = jumped_ < clearly * measured_ || measured_ < clearly * jumped_;
  if (jumps_ < (clear ? few_jumps : enough_jumps)) return;
  decide(rule);
}

void UsualValues::decide(const RegimeRule& rule) {
  follows_ = jumped_ < stays * measured_ ? Follows::not_at_once : Follows::at_once;
  frame_ = measure_of(*first_known_, rule);
  frame_.confidence = 1;
}

std::uint32_t UsualValues::learned(RegimeId regime) const {
  return regime < regimes_.size() ? regimes_[regime].count : 0;
}

std::uint64_t UsualValues::learned() const {
  std::uint64_t sum = 0;
  for (const auto& usual : regimes_) sum += usual.count;
  return sum;
}

double UsualValues::confidence(const RegimeRule& rule, RegimeId regime) const {
  if (follows_ == Follows::not_at_once) return 1;
  if (regime >= regimes_.size()) return 0;
  const auto& usual = regimes_[regime];
  const double by_time = rule.learning > Duration{0}
                             ? to_seconds(usual.lasted) / (full * to_seconds(rule.learning))
                             : 1;
  return std::min({1.0, usual.count / (full * rule.warmup), by_time});
}

void UsualValues::learn(const RegimeRule& rule, RegimeId regime, const Sample& sample, bool normal,
                        std::optional<Timestamp> alert) {
  if (regimes_.size() <= regime) regimes_.resize(regime + std::size_t{1});
  auto& usual = regimes_[regime];
  if (regime == last_ && usual.count > 0) {
    const auto since = detectors::elapsed_between(last_time_, sample.time);
    // A pause is no time in the regime.
    const auto most = std::max(Duration{1}, longest_step * rule.learning / rule.warmup);
    usual.lasted = std::min(most_lasted, usual.lasted + std::min(since, most));
  } else if (regime != last_) {
    change_ = {last_, true, last_value_, sample.value};
  }
  has_left_ = has_left_ || (first_known_ && regime != first_known_);
  last_ = regime;
  last_time_ = sample.time;
  last_value_ = sample.value;
  const bool held = alert && usual.known && *usual.known <= *alert;
  if (held || (!normal && !is_young(rule, usual))) return;
  if (usual.count < most_count) ++usual.count;
  double away = sample.value - usual.mean;
  if (usual.count > settled && usual.variance > 0) {
    const double most = furthest * std::sqrt(usual.variance);
    away = std::clamp(away, -most, most);
  }
  const double share = 1.0 / usual.count;
  usual.mean += share * away;
  // Welford's, as shares.
  usual.variance += share * ((1 - share) * away * away - usual.variance);
  if (!is_known(rule, usual)) return;
  if (!usual.known) usual.known = sample.time;
  if (!first_known_) first_known_ = regime;
  if (follows_ != Follows::unknown) return;
  if (change_.open) judge_change(rule);
  // It stays here: what was seen so far has to do.
  const bool stays_here = regime != first_known_ && !is_young(rule, usual);
  if (follows_ == Follows::unknown && stays_here) decide(rule);
}

}  // namespace millwright::engine
