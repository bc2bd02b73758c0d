// Many machines that become unusual at once: people are told once, not once for each. One cold
// night, one Monday morning, one failing compressor looks like a fault of every machine; the case
// of the plant says so and lists them. The cases of the machines stay as they are, and are told of
// singly again when one of them gets worse later on.
#include <algorithm>
#include <tuple>

#include "engine/desk.h"
#include "engine/message.h"

namespace millwright::engine {
namespace {

// By chance, five of 200 machines with one case a month each do so once in ten thousand years.
constexpr std::size_t least_crowd = 5;
constexpr Duration at_once = std::chrono::minutes{10};
constexpr Duration longest_gathering = std::chrono::minutes{30};  // that it takes machines in

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
  return crowd.is_crowd() && !crowd.over && crowd.life.open() &&
         now_ - crowd.opened < longest_gathering && now_ - crowd.grew < at_once;
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
    const auto began_earlier = [](const Case* a, const Case* b) {
      return a->alert.onset < b->alert.onset;
    };
    const bool untold = std::any_of(fresh.begin(), fresh.end(), [](const Case* one) {
      return !one->heard || is_worse_than_told(*one);
    });
    if (fresh.size() < least_crowd || !untold) return;
    const auto onset = (*std::min_element(fresh.begin(), fresh.end(), began_earlier))->alert.onset;
    crowd = &begin_of_plant(AlertKind::machine_case, onset, first_by_name(fresh));
  }
  crowd->grew = now_;
  for (auto* one : fresh) {
    leave_crowd(*one);
    one->alert.of_case = crowd->alert.id;
    crowd->alert.onset = std::min(crowd->alert.onset, one->alert.onset);
  }
  crowd->changed = true;
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
  bool open = false;
  each_member(crowd, [&](const Case& member) {
    const auto& a = member.alert;
    part_of(crowd, a.id) = {a.id,       a.machine + "/" + a.sensor, a.kind,
                            a.severity, member.life.state,          a.score};
    crowd.add_machine(a.machine);
    open |= !member.over && !member.life.quiet();
    if (worst == nullptr || std::tuple{a.severity, a.priority} >
                                std::tuple{worst->alert.severity, worst->alert.priority})
      worst = &member;
  });
  settle_parts(crowd, open);
  if (worst == nullptr) return;
  take_from(crowd, worst->alert);
  alert.contributors.clear();  // of one machine only
  alert.message = crowd_message(crowd.machines, alert.onset, now_, worst->alert.message);
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
