// How many times people may be told in a while: the alarm budget. What is less severe leaves room
// for what is more so; who passes it all the same is decided by the desk.
#pragma once

#include <cstdint>
#include <vector>

#include "core/alert.h"
#include "core/codec.h"
#include "core/time.h"

namespace millwright::engine {

struct BudgetRule {
  std::uint32_t most = 0;  // notifications in any `per`; 0: as many as there are
  Duration per = std::chrono::hours{1};
  friend bool operator==(const BudgetRule&, const BudgetRule&) = default;
};

class Budget {
 public:
  // May people be told now? Of notices up to half of the budget, of warnings and of what is
  // critical all but a third (at least one), which is kept for the worst.
  bool allows(const BudgetRule& rule, Severity severity, Timestamp now);
  // As of the last question.
  bool is_spent(const BudgetRule& rule) const {
    return rule.most > 0 && spent_.size() >= rule.most;
  }
  void spend(Timestamp now) { spent_.push_back(now); }
  static void fields(auto& io, auto& b) { io(b.spent_); }

 private:
  std::vector<Timestamp> spent_;  // within `per`, oldest first
};

}  // namespace millwright::engine
