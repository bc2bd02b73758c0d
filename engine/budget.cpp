#include "engine/budget.h"

#include <algorithm>

namespace millwright::engine {

bool Budget::allows(const BudgetRule& rule, Severity severity, Timestamp now) {
  std::erase_if(spent_, [&](Timestamp at) { return now - at >= rule.per; });
  if (rule.most == 0) return true;
  const auto reserve = severity == Severity::notice ? rule.most - rule.most / 2
                                                    : std::max<std::uint32_t>(1, rule.most / 3);
  const auto room = rule.most > 1 ? rule.most - reserve : 1;
  return spent_.size() < std::max<std::uint32_t>(1, room);
}

}  // namespace millwright::engine
