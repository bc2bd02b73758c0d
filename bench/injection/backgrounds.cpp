#include "bench/injection/backgrounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <utility>

#include "core/check.h"
#include "core/random.h"

namespace millwright::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double two_pi = 2 * std::numbers::pi;
constexpr Timestamp first_reading{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};

// Learning: 10 days, 3 days, 6 h, 1 h. Drift: 3 days where readings are slow, four lasting faults
// where they are fast. Injections begin anywhere in the first day, half hour or ten minutes, so
// that slow signals are met in all their phases. Healthy: 30 days, 10 days, 12 h, 2 h.
constexpr std::array<Rate, rate_count> all_rates{{
    {"5 min", minutes{5}, 2880, 400, 864, 288, 8640},
    {"1 min", minutes{1}, 4320, 400, 4320, 1440, 14400},
    {"1 s", seconds{1}, 21600, 900, 3600, 1800, 43200},
    {"0.1 s", milliseconds{100}, 36000, 3000, 12000, 6000, 72000},
}};

// One reading of a family: what the machine does, and the sensor's noise on top.
struct Part {
  double signal = 0, noise = 0;
};

// Every generator draws the same number of times per reading whatever the length, so that a longer
// series begins like a shorter one. Noise has a deviation of 1 unless said otherwise.

struct White {
  White(const Rate&, Random&) {}
  Part next(Random& random) { return {50, random.normal()}; }
};

// A correlation time of ten readings, at every sampling interval.
struct Autoregressive {
  Autoregressive(const Rate&, Random&) {}
  Part next(Random& random) {
    state = 0.9 * state + std::sqrt(1 - 0.9 * 0.9) * random.normal();
    return {50, state};
  }
  double state = 0;
};

struct Daily {
  Daily(const Rate& rate, Random& random)
      : step{to_seconds(rate.interval) / 86400},
        phase{random.uniform()},
        second{random.uniform()} {}
  Part next(Random& random) {
    const double signal =
        50 + 6 * std::sin(two_pi * phase) + 2 * std::sin(two_pi * (2 * phase + second));
    phase += step;
    return {signal, random.normal()};
  }
  double step, phase, second;
};

// Two programs, 20 sigma apart, each for 0.5 to 1.5 times 20 minutes where readings are slow (an
// hour at 5 min, so that a program is seen at all) and 30 seconds where they are fast.
struct Programs {
  Programs(const Rate& rate, Random&) : interval{to_seconds(rate.interval)} {
    dwell = interval >= 60 ? std::max(1200.0, 12 * interval) : 30;
  }
  Part next(Random& random) {
    const double draw = random.uniform();
    if (left <= 0) {
      second = !second;
      left += dwell * (0.5 + draw);
    }
    left -= interval;
    return {second ? 60.0 : 40.0, random.normal()};
  }
  double interval, dwell = 0, left = 0;
  bool second = false;
};

// Student's t with 4 degrees of freedom; chi squared with 4 is -2 ln of the product of two
// uniforms. Divided by sqrt 2, its deviation.
struct HeavyTails {
  HeavyTails(const Rate&, Random&) {}
  Part next(Random& random) {
    const double normal = random.normal();
    const double chi = -2 * std::log((1 - random.uniform()) * (1 - random.uniform()));
    return {50, normal / std::sqrt(chi / 4) / std::numbers::sqrt2};
  }
};

// A slow temperature: an autoregressive process with a correlation time of 2 h, of 200 readings at
// least, and a deviation of 2; noise .4; read to .5.
struct Quantised {
  static constexpr double resolution = 0.5;
  Quantised(const Rate& rate, Random&)
      : keep{std::exp(-1 / std::max(200.0, 7200 / to_seconds(rate.interval)))} {}
  Part next(Random& random) {
    state = keep * state + 2 * std::sqrt(1 - keep * keep) * random.normal();
    return {40 + state, 0.4 * random.normal()};
  }
  double keep, state = 0;
};

// A cycle of four harmonics, 24 to 100 readings long; every turn is up to 3 % longer or shorter and
// 5 % higher or lower.
struct Cycle {
  Cycle(const Rate& rate, Random& random) {
    const double interval = to_seconds(rate.interval);
    period = interval >= 300 ? 24 : interval >= 60 ? 30 : interval >= 1 ? 40 : 100;
    for (std::size_t k = 0; k < phases.size(); ++k) {
      phases[k] = random.uniform();
      heights[k] = 5 * random.uniform(0.5, 1) / static_cast<double>(k + 1);
    }
  }
  Part next(Random& random) {
    const double length = random.uniform(0.97, 1.03), height = random.uniform(0.95, 1.05);
    if (at >= 1) {
      at -= 1;
      turn = period * length;
      gain = height;
    }
    double signal = 50;
    for (std::size_t k = 0; k < phases.size(); ++k) {
      const double angle = two_pi * (static_cast<double>(k + 1) * at + phases[k]);
      signal += gain * heights[k] * std::sin(angle);
    }
    at += 1 / turn;
    return {signal, random.normal()};
  }
  std::array<double, 4> phases{}, heights{};
  double period = 0, at = 0, turn = 30, gain = 1;
};

// A load that bursts: once in 100 readings on average, for 8 on average, to a log-normal height
// (median 7.4 sigma, one in twenty above 27).
struct Bursts {
  Bursts(const Rate&, Random&) {}
  Part next(Random& random) {
    const double draw = random.uniform(), height = std::exp(2 + 0.8 * random.normal());
    if (burst > 0) {
      if (draw < 1.0 / 8) burst = 0;
    } else if (draw < 1.0 / 100) {
      burst = height;
    }
    return {20 + burst, random.normal()};
  }
  double burst = 0;
};

template <class Family>
void generate(Background& out, Random random, std::size_t readings) {
  Family family{out.rate, random};
  for (std::size_t i = 0; i < readings; ++i) {
    const auto part = family.next(random);
    out.times.push_back(first_reading + static_cast<std::int64_t>(i) * out.rate.interval);
    out.signal.push_back(part.signal);
    out.noise.push_back(part.noise);
  }
  if constexpr (requires { Family::resolution; }) out.step = Family::resolution;
}

using Generate = void (*)(Background&, Random, std::size_t);
constexpr std::array<std::string_view, 8> family_names{"white", "ar1",       "daily", "programs",
                                                       "tails", "quantised", "cycle", "bursts"};
constexpr std::array<Generate, family_names.size()> generators{
    generate<White>,      generate<Autoregressive>, generate<Daily>, generate<Programs>,
    generate<HeavyTails>, generate<Quantised>,      generate<Cycle>, generate<Bursts>};

double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Of the five values from `values` on, about the third.
double median_around(const double* values, Around around) {
  std::array<double, 5> sorted{};
  std::copy_n(values, sorted.size(), sorted.begin());
  if (around == Around::five) {
    std::sort(sorted.begin(), sorted.end());
    return sorted[2];
  }
  std::swap(sorted[2], sorted[4]);
  std::sort(sorted.begin(), sorted.begin() + 4);
  return (sorted[1] + sorted[2]) / 2;
}

std::vector<double> learning_part(const Background& background) {
  std::vector<double> values(std::min(background.rate.learn, background.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = background.reading(i);
  return values;
}

// The smallest change that is not a rounding error of the values themselves.
double resolution_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double dust = 1e-9 * std::max(std::abs(values.front()), std::abs(values.back()));
  double smallest = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    const double change = values[i] - values[i - 1];
    if (change > dust && (smallest == 0 || change < smallest)) smallest = change;
  }
  return smallest;
}

// --- recorded series ---

std::vector<std::string_view> cells_of(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> cells;
  while (true) {
    const auto comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

std::optional<double> number_of(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

// A colon may also be part of the file's name.
std::pair<std::string, std::string> split_place(const std::string& place) {
  const auto colon = place.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(place)) return {place, {}};
  return {place.substr(0, colon), place.substr(colon + 1)};
}

Duration usual_spacing(const std::vector<Timestamp>& times) {
  std::vector<double> spacings;
  for (std::size_t i = 1; i < times.size(); ++i)
    spacings.push_back(to_seconds(times[i] - times[i - 1]));
  return std::max(Duration{1}, from_seconds(median_of(spacings)));
}

// The lengths of the nearest sampling interval, shortened to what the series has: two fifths stay
// for the test at least.
void set_lengths(Background& series) {
  const auto interval = usual_spacing(series.times);
  auto rate = all_rates[nearest_rate(interval)];
  rate.interval = interval;
  rate.learn = std::min(rate.learn, series.size() * 3 / 5);
  const auto test = series.size() - rate.learn;
  rate.lasting = std::min(rate.lasting, test / 3);
  rate.drift = std::min(rate.drift, test / 2);
  rate.span = std::min(rate.span, test / 4);
  rate.healthy = test;
  series.rate = rate;
}

}  // namespace

std::span<const Rate, rate_count> rates() { return all_rates; }

std::size_t nearest_rate(Duration interval) {
  std::size_t best = 0;
  const auto ratio = [&](std::size_t i) {
    return std::abs(std::log(to_seconds(interval) / to_seconds(all_rates[i].interval)));
  };
  for (std::size_t i = 1; i < rate_count; ++i) {
    if (ratio(i) < ratio(best)) best = i;
  }
  return best;
}

double Background::at_resolution(double value) const {
  return step > 0 ? step * std::round(value / step) : value;
}

double Background::reading(std::size_t i) const {
  return at_resolution(signal[i] + (noise.empty() ? 0 : noise[i]));
}

std::span<const std::string_view> families() { return family_names; }

Background synthetic(const Rate& rate, std::size_t family, std::uint64_t seed,
                     std::size_t readings) {
  check(family < family_names.size(), "a family is one of the list");
  Background out{std::string{family_names[family]}, rate};
  const auto stream = static_cast<std::uint64_t>(rate.interval.count()) * 100 + family;
  generators[family](out, Random{seed}.fork(stream), readings);
  return out;
}

std::vector<Background> recorded(const std::string& place) {
  const auto [file, wanted] = split_place(place);
  std::ifstream in{file};
  std::string line;
  if (!in || !std::getline(in, line)) throw std::runtime_error("cannot read " + file);
  const auto stem = std::filesystem::path{file}.stem().string();
  std::vector<Background> columns;
  std::vector<bool> used;
  const auto header = cells_of(line);
  for (std::size_t c = 1; c < header.size(); ++c) {
    columns.push_back({header.size() == 2 ? stem : fmt::format("{}:{}", stem, header[c]), {}});
    used.push_back(wanted.empty() || header[c] == wanted);
  }
  if (std::find(used.begin(), used.end(), true) == used.end())
    throw std::runtime_error(fmt::format("{} has no column '{}'", file, wanted));

  for (std::size_t number = 2; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const auto cells = cells_of(line);
    const auto time = parse_time(cells[0]);
    if (!time) throw std::runtime_error(fmt::format("{}:{}: no time", file, number));
    for (std::size_t c = 0; c < columns.size() && c + 1 < cells.size(); ++c) {
      auto& series = columns[c];
      if (!used[c] || cells[c + 1].empty()) continue;
      const auto value = number_of(cells[c + 1]);
      if (!value) throw std::runtime_error(fmt::format("{}:{}: no number", file, number));
      // Times that repeat or fall are the engine's business, not this benchmark's.
      if (!std::isfinite(*value) || (!series.times.empty() && *time <= series.times.back()))
        continue;
      series.times.push_back(*time);
      series.signal.push_back(*value);
    }
  }
  std::vector<Background> out;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (!used[c]) continue;
    if (columns[c].size() < 400)
      throw std::runtime_error(columns[c].name + " has less than 400 readings");
    set_lengths(columns[c]);
    out.push_back(std::move(columns[c]));
  }
  return out;
}

double local_sigma(const Background& background, Around around) {
  // The same statistic on white noise of deviation 1, by simulation (three times 1e6 readings).
  const double of_white_noise = around == Around::five ? 0.727 : 1.140;
  const auto values = learning_part(background);
  std::vector<double> residuals;
  for (std::size_t i = 2; i + 2 < values.size(); ++i)
    residuals.push_back(std::abs(values[i] - median_around(&values[i - 2], around)));
  if (residuals.empty()) return 0;
  return std::max(1.4826 * median_of(residuals) / of_white_noise, resolution_of(values));
}

double flat_share(const Background& background) {
  const auto values = learning_part(background);
  std::size_t same = 0;
  for (std::size_t i = 1; i < values.size(); ++i) same += values[i] == values[i - 1];
  return values.size() < 2 ? 1 : static_cast<double>(same) / static_cast<double>(values.size() - 1);
}

}  // namespace millwright::bench
