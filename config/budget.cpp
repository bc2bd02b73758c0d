#include "config/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

namespace millwright::config {
namespace {

constexpr std::uint32_t most = 1'000'000;
constexpr std::array<std::pair<std::string_view, std::chrono::hours>, 3> times{
    {{"hour", std::chrono::hours{1}},
     {"shift", std::chrono::hours{8}},
     {"day", std::chrono::hours{24}}}};

}  // namespace

std::optional<engine::BudgetRule> parse_budget(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto number = std::string_view{text}.substr(0, slash);
  const auto per = std::string_view{text}.substr(slash + 1);
  const auto* const end = number.data() + number.size();
  const auto time =
      std::find_if(times.begin(), times.end(), [&](const auto& t) { return t.first == per; });
  engine::BudgetRule rule;
  const auto [stop, error] = std::from_chars(number.data(), end, rule.most);
  const bool good = error == std::errc{} && stop == end && rule.most > 0 && rule.most <= most;
  if (!good || time == times.end()) return std::nullopt;
  rule.per = time->second;
  return rule;
}

std::string budget_text(const engine::BudgetRule& rule) {
  if (rule.most == 0) return {};
  const auto time =
      std::find_if(times.begin(), times.end(), [&](const auto& t) { return t.second == rule.per; });
  return time == times.end() ? std::string{} : fmt::format("{}/{}", rule.most, time->first);
}

std::string check_budget(const std::string& text) {
  if (parse_budget(text)) return {};
  return fmt::format("expected alerts per time such as 6/hour, 20/day or 10/shift, found \"{}\"",
                     text);
}

}  // namespace millwright::config
