// One sensor under all detectors with their defaults, each by itself: scored, judged by its own
// score, then taught.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/random.h"
#include "detectors/all.h"

namespace millwright::detectors {

inline constexpr std::size_t detector_count = std::tuple_size_v<All>;
inline constexpr Timestamp test_start = from_microseconds(1'732'250'000'000'000);

// Alerts begin at ratio 1 and end when the ratio has been below 0.8 for a minute (the engine's
// defaults). What one detector makes of a reading does not change what another learns of it.
class Watch {
 public:
  std::array<std::optional<Score>, detector_count> scores;
  std::array<int, detector_count> alerts{};

  // True when an alert stands after this reading.
  bool feed(Sample sample) {
    bool standing = false;
    each([&](auto index, const auto& params, auto& state) {
      using D = std::tuple_element_t<index, All>;
      if (D::timeline == Timeline::stamp) return;  // times are right here
      scores[index] = D::score(params, state, sample);
      const double ratio = scores[index] ? scores[index]->ratio : 0;
      follow(index, ratio, sample.time);
      standing = standing || active_[index];
      D::learn(params, state, sample, ratio >= 1 ? Trust::suspicious : Trust::normal);
    });
    return standing;
  }
  int total() const {
    int sum = 0;
    for (const int n : alerts) sum += n;
    return sum;
  }
  double ratio(std::string_view detector) const {
    const auto& score = scores[find_type(detector)];
    return score ? score->ratio : -1;
  }
  template <class D>
  auto& params() {
    return std::get<typename D::Params>(params_);
  }
  template <class D>
  const auto& state() const {
    return std::get<typename D::State>(states_);
  }

 private:
  void follow(std::size_t i, double ratio, Timestamp now) {
    if (ratio >= 1 && !active_[i]) ++alerts[i];
    if (ratio >= 1) active_[i] = true;
    if (ratio >= 0.8) high_[i] = now;
    if (active_[i] && now - high_[i] >= std::chrono::minutes{1}) active_[i] = false;
  }
  void each(auto&& call) {
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      (call(std::integral_constant<std::size_t, i>{}, std::get<i>(params_), std::get<i>(states_)),
       ...);
    }
    (std::make_index_sequence<detector_count>{});
  }
  template <class... D>
  static std::tuple<typename D::Params...> params_of(const std::tuple<D...>*);
  template <class... D>
  static std::tuple<typename D::State...> states_of(const std::tuple<D...>*);

  decltype(params_of(static_cast<const All*>(nullptr))) params_;
  decltype(states_of(static_cast<const All*>(nullptr))) states_;
  std::array<bool, detector_count> active_{};
  std::array<Timestamp, detector_count> high_{};
};

// Healthy signals, each a function of the reading's number, with a deviation of about 1 in its
// noise.
struct Background {
  std::string_view name;
  // `n`: reading, `t`: seconds since the start, `memory`: the process's own state.
  double (*value)(Random& random, double t, double& memory);
};

inline constexpr std::array<Background, 7> backgrounds{{
    {"white noise", [](Random& random, double, double&) { return 50 + random.normal(); }},
    {"autoregression 0.9",
     [](Random& random, double, double& memory) {
       memory = 0.9 * memory + std::sqrt(1 - 0.81) * random.normal();
       return 50 + memory;
     }},
    {"daily cycle and noise",
     [](Random& random, double t, double&) {
       return 50 + 3 * std::sin(2 * std::numbers::pi * t / 86400) + random.normal();
     }},
    {"daily cycle without noise",
     [](Random& random, double t, double&) {
       return 50 + 3 * std::sin(2 * std::numbers::pi * t / 86400) + 0.01 * random.normal();
     }},
    {"two programs",
     [](Random& random, double, double& memory) {
       if (random.chance(1.0 / 20)) memory = memory == 0 ? 8 : 0;
       return 50 + memory + random.normal();
     }},
    {"quantised noise",
     [](Random& random, double, double&) { return 50 + std::round(random.normal() / 0.7) * 0.7; }},
    {"coarse slow temperature",
     [](Random& random, double t, double& memory) {
       memory = 0.98 * memory + 0.05 * random.normal();
       return std::round((40 + std::sin(2 * std::numbers::pi * t / 86400) + memory) * 16) / 16;
     }},
}};

}  // namespace millwright::detectors
