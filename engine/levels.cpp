#include "engine/levels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace millwright::engine {
namespace {

constexpr double apart = 6;  // scatters: halves of a uniform are 2.7 apart, of a sine 4.3
constexpr double to_deviation = 1.4826;
constexpr double within = 4;  // scatters: beyond, a value is of no level
constexpr std::size_t fewest_rows = 64;
constexpr std::size_t spare = 4;          // segments for outliers
constexpr double least_level = 1.0 / 24;  // of all rows, in one level or state
constexpr double outside = 0.15;          // of all rows, in no level
constexpr double covered = 0.85;          // of all rows, in some state
constexpr double enough_values = 0.8;     // of all rows, in a channel that tells
constexpr double shortest_visit = 4;      // rows, on average
constexpr std::size_t visits = 2;         // of each state
constexpr std::size_t sensors_between_kinds = 2;
constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

std::size_t least_rows(std::size_t n) {
  return std::max<std::size_t>(
      6, static_cast<std::size_t>(std::ceil(least_level * static_cast<double>(n))));
}

double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Level level_of(std::span<const double> sorted, double quantum) {
  const double middle = sorted[sorted.size() / 2];
  std::vector<double> away;
  for (const double x : sorted) away.push_back(std::abs(x - middle));
  return {middle, std::max(to_deviation * median_of(away), quantum)};
}

// The cuts of sorted values into 1, 2, ... segments with the least sum of squares.
class Cuts {
 public:
  Cuts(std::span<const double> sorted, std::size_t most) : n_(sorted.size()) {
    sum_.resize(n_ + 1);
    square_.resize(n_ + 1);
    const double origin = sorted[n_ / 2];
    for (std::size_t i = 0; i < n_; ++i) {
      const double x = sorted[i] - origin;
      sum_[i + 1] = sum_[i] + x;
      square_[i + 1] = square_[i] + x * x;
    }
    std::vector<double> best(n_ + 1), next(n_ + 1);
    for (std::size_t j = 1; j <= n_; ++j) best[j] = cost(0, j);
    begins_.emplace_back(n_ + 1, 0);
    for (std::size_t k = 2; k <= most; ++k) {
      auto& begins = begins_.emplace_back(n_ + 1, 0);
      for (std::size_t j = k; j <= n_; ++j) {
        next[j] = std::numeric_limits<double>::infinity();
        for (std::size_t i = k - 1; i < j; ++i) {
          const double c = best[i] + cost(i, j);
          if (c >= next[j]) continue;
          next[j] = c;
          begins[j] = i;
        }
      }
      best.swap(next);
    }
  }
  // Where the segments begin, and the end.
  std::vector<std::size_t> of(std::size_t segments) const {
    std::vector<std::size_t> out(segments + 1, 0);
    out[segments] = n_;
    for (std::size_t k = segments; k > 1; --k) out[k - 1] = begins_[k - 1][out[k]];
    return out;
  }

 private:
  double cost(std::size_t from, std::size_t to) const {
    const double sum = sum_[to] - sum_[from];
    return square_[to] - square_[from] - sum * sum / static_cast<double>(to - from);
  }
  std::size_t n_;
  std::vector<double> sum_, square_;
  std::vector<std::vector<std::size_t>> begins_;  // by segments: of the last one, by its end
};

// The levels that these segments are, or none.
std::vector<Level> levels_in(std::span<const double> sorted, const std::vector<std::size_t>& cuts,
                             double quantum) {
  const auto n = sorted.size();
  std::vector<Level> out;
  std::size_t kept = 0;
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
    const auto count = cuts[k + 1] - cuts[k];
    if (count < least_rows(n)) continue;
    kept += count;
    out.push_back(level_of(sorted.subspan(cuts[k], count), quantum));
  }
  if (static_cast<double>(n - kept) > outside * static_cast<double>(n)) return {};
  for (std::size_t k = 1; k < out.size(); ++k) {
    const double widest = std::max(out[k].scatter, out[k - 1].scatter);
    if (out[k].middle - out[k - 1].middle <= apart * widest) return {};
  }
  return out;
}

// The smallest step between values: of what comes in steps, neighbours are no levels.
double quantum_of(std::span<const double> sorted) {
  double quantum = std::numeric_limits<double>::infinity();
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i] > sorted[i - 1]) quantum = std::min(quantum, sorted[i] - sorted[i - 1]);
  }
  return std::isinf(quantum) ? 0 : quantum;
}

double value_at(const std::vector<double>& row, std::size_t channel) {
  return channel < row.size() ? row[channel] : nothing;
}

// A channel that tells, and in which of its levels each row is; -1: in none.
struct Teller {
  std::size_t channel = 0;
  double scatter = 0;
  std::vector<int> label;
};

int label_of(const std::vector<Level>& levels, double x) {
  for (std::size_t k = 0; k < levels.size(); ++k) {
    if (std::abs(x - levels[k].middle) <= within * levels[k].scatter) return static_cast<int>(k);
  }
  return -1;
}

bool is_sudden(const std::vector<Level>& levels, double leap) {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t k = 1; k < levels.size(); ++k)
    least = std::min(least, levels[k].middle - levels[k - 1].middle);
  return leap >= least / 2;
}

std::vector<Teller> tellers_of(const Rows& rows, std::span<const double> leaps, std::size_t most) {
  std::vector<Teller> out;
  for (std::size_t c = 0; c < leaps.size(); ++c) {
    std::vector<double> values;
    for (const auto& row : rows) {
      if (!std::isnan(value_at(row, c))) values.push_back(value_at(row, c));
    }
    const auto all = static_cast<double>(rows.size());
    if (static_cast<double>(values.size()) < enough_values * all) continue;
    const auto levels = levels_of(std::move(values), most);
    if (levels.size() < 2 || !is_sudden(levels, leaps[c])) continue;
    Teller teller{c, 0, {}};
    for (const auto& level : levels) teller.scatter = std::max(teller.scatter, level.scatter);
    for (const auto& row : rows) teller.label.push_back(label_of(levels, value_at(row, c)));
    out.push_back(std::move(teller));
  }
  return out;
}

using Labels = std::vector<int>;  // by teller

std::size_t sensors_between(const Labels& a, const Labels& b, const std::vector<Teller>& tellers,
                            std::span<const Frames::Channel> channels) {
  std::set<std::uint8_t> sensors;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) sensors.insert(channels[tellers[i].channel].sensor);
  }
  return sensors.size();
}

// The labels of each row; empty where some channel is in no level.
std::vector<Labels> labels_of(const std::vector<Teller>& tellers, std::size_t rows) {
  std::vector<Labels> out(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    Labels labels;
    for (const auto& teller : tellers) labels.push_back(teller.label[r]);
    if (std::find(labels.begin(), labels.end(), -1) == labels.end()) out[r] = std::move(labels);
  }
  return out;
}

// Those seen often enough, in the order of their first row; each two sensors from those before it.
std::vector<Labels> kinds_of(const std::vector<Labels>& labels, const std::vector<Teller>& tellers,
                             std::span<const Frames::Channel> channels) {
  std::map<Labels, std::size_t> count;
  for (const auto& one : labels) ++count[one];
  std::vector<Labels> out;
  for (const auto& one : labels) {
    if (one.empty() || count[one] < least_rows(labels.size())) continue;
    const bool like_another = std::any_of(out.begin(), out.end(), [&](const Labels& other) {
      return sensors_between(one, other, tellers, channels) < sensors_between_kinds;
    });
    if (!like_another) out.push_back(one);
  }
  return out;
}

// By row: the state that it is in or differs from in one sensor; -1: none.
std::vector<int> rows_in(const std::vector<Labels>& kinds, const std::vector<Labels>& labels,
                         const std::vector<Teller>& tellers,
                         std::span<const Frames::Channel> channels) {
  std::vector<int> out;
  for (const auto& one : labels) {
    int of = -1;
    for (std::size_t k = 0; of < 0 && !one.empty() && k < kinds.size(); ++k) {
      if (sensors_between(one, kinds[k], tellers, channels) < sensors_between_kinds)
        of = static_cast<int>(k);
    }
    out.push_back(of);
  }
  return out;
}

// How often each state was entered; rows that are in none do not end a visit.
std::vector<std::size_t> visits_of(const std::vector<int>& in, std::size_t states) {
  std::vector<std::size_t> out(states, 0);
  int last = -1;
  for (const int of : in) {
    if (of >= 0 && of != last) ++out[static_cast<std::size_t>(of)];
    if (of >= 0) last = of;
  }
  return out;
}

std::vector<double> centre_of(const Rows& rows, const std::vector<int>& in, int state,
                              const std::vector<Teller>& tellers, std::size_t channels) {
  std::vector<double> centre(channels, nothing);
  for (const auto& teller : tellers) {
    std::vector<double> values;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (in[r] == state) values.push_back(rows[r][teller.channel]);
    }
    centre[teller.channel] = median_of(values);
  }
  return centre;
}

}  // namespace

std::vector<Level> levels_of(std::vector<double> values, std::size_t most) {
  if (values.size() < fewest_rows) return {};
  std::sort(values.begin(), values.end());
  const double quantum = quantum_of(values);
  const Cuts cuts{values, most + spare};
  std::vector<Level> best;
  for (std::size_t k = 2; k <= most + spare; ++k) {
    auto levels = levels_in(values, cuts.of(k), quantum);
    if (levels.size() > best.size() && levels.size() <= most) best = std::move(levels);
  }
  return best;
}

States states_of(const Rows& rows, std::span<const Frames::Channel> channels,
                 std::span<const double> leaps, std::size_t most) {
  States out;
  const auto tellers = tellers_of(rows, leaps.first(std::min(leaps.size(), channels.size())), most);
  if (tellers.size() < sensors_between_kinds) return out;
  const auto labels = labels_of(tellers, rows.size());
  auto kinds = kinds_of(labels, tellers, channels);
  // What was not left and entered again is none yet; without it, others may count fewer visits.
  std::vector<int> in;
  for (bool sure = false; !sure;) {
    in = rows_in(kinds, labels, tellers, channels);
    const auto entered = visits_of(in, kinds.size());
    sure = true;
    for (std::size_t k = kinds.size(); k-- > 0;) {
      if (entered[k] >= visits) continue;
      kinds.erase(kinds.begin() + static_cast<std::ptrdiff_t>(k));
      sure = false;
    }
  }
  if (kinds.size() < 2) return out;
  if (kinds.size() > most) {
    kinds.resize(most);
    in = rows_in(kinds, labels, tellers, channels);
  }
  const auto rows_told = std::count_if(in.begin(), in.end(), [](int of) { return of >= 0; });
  if (static_cast<double>(rows_told) < covered * static_cast<double>(rows.size())) return out;
  std::size_t all_visits = 0;
  for (const auto count : visits_of(in, kinds.size())) all_visits += count;
  out.visit = static_cast<double>(rows_told) / static_cast<double>(all_visits);
  if (out.visit < shortest_visit) return out;
  out.scatter.assign(channels.size(), 0);
  for (const auto& teller : tellers) out.scatter[teller.channel] = teller.scatter;
  for (std::size_t k = 0; k < kinds.size(); ++k)
    out.centres.push_back(centre_of(rows, in, static_cast<int>(k), tellers, channels.size()));
  return out;
}

}  // namespace millwright::engine
