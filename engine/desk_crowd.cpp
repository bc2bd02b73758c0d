// Many machines that become unusual at once: people are told once, not once for each. One cold
// night, one Monday morning, one failing compressor looks like a fault of every machine; the case
// of the plant says so and lists them. The cases of the machines stay as they are, and are told of
// singly again when one of them gets worse later on.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/desk.h"
#include "engine/message.h"

namespace millwright::engine {
namespace {

// By chance, five of 200 machines with one case a month each do so once in ten thousand years.
constexpr std::size_t least_machines = 5;
constexpr Duration at_once = std::chrono::minutes{10};
constexpr Duration longest = std::chrono::minutes{30};  // that it takes machines in

}  // namespace

bool Desk::is_worse_than_told(const Case& one) {
  return one.heard && one.alert.severity > *one.heard;
}

// Opened a moment ago, or worse since a moment ago, and nobody has put it aside.
bool Desk::may_be_of_crowd(const Case& one) {
  if (one.alert.kind != AlertKind::machine_case || one.is_of_plant() || !one.life.open() ||
      one.life.quiet() || one.alert.parts.empty())
    return false;
  const auto* crowd = find_case(one.alert);
  if (crowd != nullptr && is_young(*crowd)) return false;
  if (is_worse_than_told(one)) return true;
  if (crowd != nullptr) return false;
  return one.heard ? now_ - one.heard_at < at_once : now_ - one.opened < at_once && !is_repeat(one);
}

void Desk::each_member(const Case& crowd, const std::function<void(Case&)>& visit) {
  for (auto& [key, one] : cases_) {
    if (one.alert.of_case == crowd.alert.id && !one.is_of_plant()) visit(one);
  }
}

// It takes in more while it last did so not long ago.
bool Desk::is_young(const Case& crowd) const {
  return crowd.is_crowd() && !crowd.over && crowd.life.open() && now_ - crowd.opened < longest &&
         now_ - crowd.grew < at_once;
}

void Desk::find_crowd() {
  std::vector<Case*> fresh;
  for (auto& [key, one] : cases_) {
    if (may_be_of_crowd(one)) fresh.push_back(&one);
  }
  if (fresh.empty()) return;
  const auto young = std::find_if(cases_.begin(), cases_.end(),
                                  [&](const auto& entry) { return is_young(entry.second); });
  auto* crowd = young == cases_.end() ? nullptr : &young->second;
  if (crowd == nullptr) {
    const bool untold = std::any_of(fresh.begin(), fresh.end(), [](const Case* one) {
      return !one->heard || is_worse_than_told(*one);
    });
    if (fresh.size() < least_machines || !untold) return;
    crowd = &begin_crowd(fresh);
  }
  crowd->grew = now_;
  for (auto* one : fresh) {
    leave_crowd(*one);
    one->alert.of_case = crowd->alert.id;
    crowd->alert.onset = std::min(crowd->alert.onset, one->alert.onset);
  }
  crowd->changed = true;
}

Desk::Case& Desk::begin_crowd(const std::vector<Case*>& members) {
  const auto earliest = [](const Case* a, const Case* b) {
    return a->alert.onset < b->alert.onset;
  };
  const auto by_name = [](const Case* a, const Case* b) {
    return a->alert.machine < b->alert.machine;
  };
  Case one;
  one.opened = now_;
  one.alert.kind = AlertKind::machine_case;
  one.alert.onset = (*std::min_element(members.begin(), members.end(), earliest))->alert.onset;
  name_of_plant(one, (*std::min_element(members.begin(), members.end(), by_name))->alert.machine);
  auto key = key_of_case(one);
  return cases_.insert_or_assign(std::move(key), std::move(one)).first->second;
}

// From now on it speaks for itself, or for another.
void Desk::leave_crowd(Case& one) {
  if (one.is_of_plant()) return;
  if (auto* crowd = find_case(one.alert)) crowd->changed = true;
  one.alert.of_case.clear();
}

// What it says is what its machines' cases say, worst first.
void Desk::gather_crowd(Case& crowd) {
  auto& alert = crowd.alert;
  for (auto& part : alert.parts) part.state = AlertState::cleared;
  const Case* worst = nullptr;
  std::size_t open = 0;
  each_member(crowd, [&](const Case& member) {
    const auto& a = member.alert;
    auto part = std::find_if(alert.parts.begin(), alert.parts.end(),
                             [&](const CasePart& p) { return p.id == a.id; });
    if (part == alert.parts.end()) part = alert.parts.insert(alert.parts.end(), CasePart{});
    *part = {a.id, a.machine + "/" + a.sensor, a.kind, a.severity, member.life.state, a.score};
    const auto place = std::lower_bound(crowd.machines.begin(), crowd.machines.end(), a.machine);
    if (place == crowd.machines.end() || *place != a.machine)
      crowd.machines.insert(place, a.machine);
    open += !member.over && !member.life.quiet();
    if (worst == nullptr || a.severity > worst->alert.severity ||
        (a.severity == worst->alert.severity && a.priority > worst->alert.priority))
      worst = &member;
  });
  rank_parts(alert.parts);
  if (open > 0) {
    crowd.over.reset();
  } else if (!crowd.over) {
    crowd.over = now_;
  }
  if (worst == nullptr) return;
  Alert fresh = worst->alert;
  fresh.kind = alert.kind;
  fresh.machine = alert.machine;
  fresh.sensor = alert.sensor;
  fresh.parts = std::move(alert.parts);
  fresh.contributors.clear();  // of one machine only
  fresh.message = crowd_message(crowd.machines, alert.onset, now_, worst->alert.message);
  const auto severity = alert.severity;
  const auto time = alert.time;
  renew(alert, std::move(fresh));
  alert.time = time;
  if (crowd.told && alert.severity > severity) crowd.life.acknowledged = false;
}

// People are told of its machines when they are told of it, and of what joins later not at all.
void Desk::tell_members(std::vector<Alert>& told) {
  for (auto& entry : cases_) {
    const auto& crowd = entry.second;
    if (!crowd.is_crowd() || !crowd.heard) continue;
    each_member(crowd, [&](Case& member) {
      const auto severity = member.alert.severity;
      if (member.heard >= severity || severity > *crowd.heard || member.alert.parts.empty()) return;
      if (member.heard && !is_young(crowd)) return;
      member.heard = severity;
      member.heard_at = now_;
      tell_case(member, member.told ? AlertEvent::updated : AlertEvent::raised, false, told);
    });
  }
}

// While it is young, all that gets worse does so together.
bool Desk::waits_for_crowd(const Case& one) {
  const auto* crowd = find_case(one.alert);
  return crowd != nullptr && !crowd->life.quiet() && (!crowd->heard || is_young(*crowd));
}

}  // namespace millwright::engine
