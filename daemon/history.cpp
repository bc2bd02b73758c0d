#include "daemon/history.h"

#include <memory>
#include <utility>

#include "daemon/plan_of.h"

namespace millwright::daemon {
namespace {

constexpr std::size_t events_per_step = 4096;

}  // namespace

History::History(const config::Configuration& configuration, HistoryHandlers handlers)
    : engine_(std::make_shared<const engine::Plan>(plan_of(configuration, 1))),
      fleet_(std::make_shared<const engine::Plan>(plan_of(configuration, 1))),
      desk_(std::make_shared<const engine::Plan>(plan_of(configuration, 1))),
      handlers_(std::move(handlers)) {
  effects_.want_verdicts = handlers_.verdict != nullptr;
}

void History::reading(std::string_view machine, std::string_view sensor, Timestamp time,
                      double value) {
  if (position_ == 0 || time != time_ || machine != machine_) {
    if (feed_.size() >= events_per_step) step();
    ++position_;
    time_ = time;
    machine_ = machine;
  }
  ++readings_;
  const auto refused =
      feed_.reading(engine_, machine, sensor, {time, value}, position_, time, time);
  if (refused && handlers_.verdict) {
    step();  // what came before is told before
    engine::Verdict verdict;
    verdict.sample = {time, value};
    verdict.outcome = *refused;
    handlers_.verdict(machine, sensor, verdict);
  }
}

void History::step() {
  effects_.clear();
  feed_.step(engine_, effects_);
  fleet_.follow(engine_, effects_, effects_.alerts);
  desk_.follow(effects_.ticks, effects_.alerts);
  if (handlers_.verdict) {
    auto whole = effects_.machine_verdicts.begin();
    for (std::size_t i = 0; i < effects_.verdicts.size(); ++i) {
      for (; whole != effects_.machine_verdicts.end() && whole->after <= i; ++whole) {
        if (handlers_.machine_verdict)
          handlers_.machine_verdict(engine_.machine_name(whole->machine), *whole);
      }
      const auto& verdict = effects_.verdicts[i];
      const auto who = engine_.info(verdict.sensor);
      handlers_.verdict(who.machine, who.sensor, verdict);
    }
  }
  for (const auto& alert : effects_.alerts) handlers_.alert(alert);
  if (handlers_.health) {
    for (const auto& health : effects_.health) handlers_.health(health);
  }
}

}  // namespace millwright::daemon
