// `6/hour`: how often people can be told of something.
#pragma once

#include <optional>
#include <string>

#include "engine/budget.h"

namespace millwright::config {

// Of a whole number up to a million, `/` and `hour`, `shift` (eight hours) or `day`; nothing for
// another text.
std::optional<engine::BudgetRule> parse_budget(const std::string& text);
// As it is written; empty: no limit.
std::string budget_text(const engine::BudgetRule& rule);
// What is wrong with the text; empty: nothing.
std::string check_budget(const std::string& text);

}  // namespace millwright::config
