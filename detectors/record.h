// How far a statistic has gone, and how far it may go before that alone is an alarm.
//
// The limit beyond the record is where the tail, drawn through the upper twentieth and the record
// as exp(-c u^tau) (a Weibull tail), would be reached once in a given number of values.
// The record of a statistic over a window waits: what is on its way up teaches it only when it is
// over, or it would carry its own limit upwards.
#pragma once

#include <algorithm>
#include <cmath>

#include "detectors/upper.h"

namespace millwright::detectors {

class Record {
 public:
  double record() const { return record_; }
  // With what doubtful readings reached lately; for statistics whose record does not wait.
  double record_of_late() const { return std::max(record_, waiting_); }

  // The value that is reached once in `values` more, as the tail goes, above `record`; 0 when
  // nothing is known. At least `margin` times the record, at most 4 times.
  double limit(double values, double margin, double record) const {
    if (record <= 0 || upper_.count() < least) return 0;
    const double spread = std::log2(record) - upper_.begins();  // octaves
    if (spread <= 0) return margin * record;
    const double tau = exponent_over(spread);
    const double ratio = std::pow(std::log(values) / seen(), 1 / std::max(tau, 0.2));
    return std::clamp(ratio, margin, std::max(margin, most_reach)) * record;
  }

  // Likewise, of the size of a mean over `window` values, which is as near to normal as means are;
  // 0 before five windows. A mean that slides passes a level z deviations out about z^2 / window
  // times as often as one value does (Rice's formula; z = 4). A deviation that k windows show is
  // known to 0.7 / sqrt(k) of itself: the limit is higher by that. `of`: the mean is the furthest
  // of so many, and the tail of the furthest is the steeper. `wider`: than all that.
  double limit_of_mean(double values, double margin, double record, double window, double of = 1,
                       double wider = 1) const {
    if (record <= 0 || upper_.count() < 5 * window) return 0;
    const double chances = std::max(16 * values / window, 1 / UpperShare::share);
    const double reach = normal_reach(of * chances) / normal_reach(of / UpperShare::share);
    const double unsure = 1 + 0.7 / std::sqrt(upper_.count() / window * std::max(1.0, of / 2));
    return std::max(margin * record, wider * unsure * reach * std::exp2(upper_.begins()));
  }

  // Likewise, of a tail that is known to be light: as a normal distribution goes on from where its
  // upper twentieth begins and from its record. The furthest of n lies, on average, where one in
  // 1.78 n goes (Gumbel). `share`: of all values those that are learned; the others are smaller.
  double limit_of_normal(double values, double margin, double record, double share) const {
    if (record <= 0 || upper_.count() < least) return 0;
    const double far = normal_reach(values);
    const double most = std::max(share, 1e-3), known = std::max<double>(upper_.count(), 100) / most;
    const double by_share =
                     std::exp2(upper_.begins()) / normal_reach(1 / (most * UpperShare::share)),
                 by_record = record / normal_reach(1.78 * known);
    return std::max(margin * record, far * (by_share + by_record) / 2);
  }

  // Values known.
  float count() const { return upper_.count(); }
  // The exponent tau of the tail between its upper twentieth and `record`; 2 far out on a normal
  // distribution, less the heavier it is; 0 when nothing is known.
  double exponent(double record) const {
    if (record <= 0 || upper_.count() < least) return 0;
    const double spread = std::log2(record) - upper_.begins();  // octaves
    return spread > 0 ? exponent_over(spread) : steepest;
  }

  // How often it goes how far.
  void learn(double u) { upper_.learn(log2_of(u)); }
  // How far it has gone. A record is raised by `growth` at most, and `share` of it is forgotten.
  void raise(double u, double growth, double share) {
    const double fresh = record_ > 0 ? std::min(u, growth * record_) : u;
    record_ = static_cast<float>(
        std::min<double>(std::max(record_ * (1 - share), fresh), largest_record));
  }
  // What a doubtful reading reached counts for a while: what recurs becomes normal, and what does
  // not is forgotten.
  void raise_for_a_while(double u, double growth) {
    waiting_ = static_cast<float>(std::min<double>(
        std::max<double>(waiting_, std::min(u, growth * record_of_late())), largest_record));
  }
  void forget_doubtful(double share) { waiting_ *= static_cast<float>(1 - share); }
  // Of a statistic over a window: it counts when `settle` has been called twice.
  void reach(double u) {
    newest_ = std::max(newest_, static_cast<float>(within(u, 0, largest_record)));
  }
  // What was reached before the last call counts now.
  void settle(double growth, double share) {
    raise(waiting_, growth, share);
    waiting_ = newest_;
    newest_ = 0;
  }

  static void fields(auto& io, auto& self) {
    io(self.upper_, self.record_, self.waiting_, self.newest_);
    for (const float v : {self.record_, self.waiting_, self.newest_}) {
      refuse_unless(io, v >= 0 && v <= largest_record);
    }
  }

 private:
  static constexpr float least = 30, largest_record = 1e37F;
  static constexpr double most_reach = 4, steepest = 100;

  // What the size of a standard normal value reaches once in so many; to 3 % from 20 on.
  static double normal_reach(double values) {
    const double twice = 2 * std::log(values);
    return std::sqrt(twice - std::log(twice) - 0.4516);  // ln(pi / 2)
  }
  // -ln of the share of values beyond the record.
  double seen() const { return std::log(std::max(upper_.count(), 100.0F)); }
  double exponent_over(double octaves) const {
    return std::log2(seen() / std::log(1 / UpperShare::share)) / octaves;
  }

  UpperShare upper_;
  float record_ = 0, waiting_ = 0, newest_ = 0;
};

}  // namespace millwright::detectors
