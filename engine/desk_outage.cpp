// Many machines that fall silent at once, or have the wrong time: one case of the plant, not one of
// each machine. What they share - a gateway, the network, the power, a clock - is broken, not their
// sensors. The engine does not know what they share, so the desk goes by the time at which it
// began.
#include <algorithm>
#include <set>
#include <string_view>

#include "engine/desk.h"

namespace millwright::engine {
namespace {

constexpr std::size_t least_together = 3;  // fewer are told of one by one

constexpr AlertKind shared_kinds[] = {AlertKind::gap, AlertKind::clock};

Duration between(Timestamp a, Timestamp b) { return a < b ? b - a : a - b; }

std::size_t machines_of(const auto& gaps) {
  std::set<std::string_view> names;
  for (const auto* gap : gaps) names.insert(gap->alert.machine);
  return names.size();
}

}  // namespace

// How far apart gaps may begin, and be heard of, to be one. Silence is told after ten intervals or
// more; machines behind one gateway send their last reading within an interval of each other, or
// two when one got lost.
Duration Desk::nearness(const Record& gap) const {
  return std::max(rule().gather, (gap.raised - gap.began) / 4);
}

bool Desk::is_shared(AlertKind kind) {
  return std::find(std::begin(shared_kinds), std::end(shared_kinds), kind) !=
         std::end(shared_kinds);
}

bool Desk::may_be_outage(const Record& record) const {
  return is_shared(record.alert.kind) && record.life.open() && !record.life.quiet() &&
         !record.quiet && !record.dropped && now_ - record.noticed <= 2 * nearness(record);
}

void Desk::find_outages() {
  for (const auto kind : shared_kinds) find_outages(kind);
}

void Desk::find_outages(AlertKind kind) {
  std::vector<Record*> fresh;
  for (auto& [key, record] : records_) {
    if (record.alert.kind != kind || !may_be_outage(record)) continue;
    const auto* known = find_case(record.alert);
    if (known == nullptr || !known->is_outage()) fresh.push_back(&record);
  }
  // Late ones of an outage that is known.
  for (auto& entry : cases_) {
    auto& one = entry.second;
    if (!one.is_outage_of(kind)) continue;
    std::erase_if(fresh, [&](Record* gap) {
      if (between(gap->began, one.alert.onset) > nearness(*gap)) return false;
      move(*gap, one);
      return true;
    });
  }
  std::stable_sort(fresh.begin(), fresh.end(),
                   [](const Record* a, const Record* b) { return a->began < b->began; });
  for (std::size_t from = 0; from < fresh.size();) {
    std::vector<Record*> together;
    auto to = from;
    for (; to < fresh.size() && fresh[to]->began - fresh[from]->began <= nearness(*fresh[to]); ++to)
      together.push_back(fresh[to]);
    if (machines_of(together) < least_together) {
      ++from;
      continue;
    }
    auto& outage = begin_outage(together);
    for (auto* gap : together) move(*gap, outage);
    from = to;
  }
}

// The same machines again, before it was over, are the same outage.
Desk::Case& Desk::begin_outage(const std::vector<Record*>& gaps) {
  for (auto& [key, one] : cases_) {
    if (!one.is_outage_of(gaps.front()->alert.kind) || (!one.over && !one.ebbing)) continue;
    const auto& known = one.machines;
    if (std::any_of(gaps.begin(), gaps.end(), [&](const Record* gap) {
          return std::binary_search(known.begin(), known.end(), gap->alert.machine);
        }))
      return one;
  }
  return begin_of_plant(AlertKind::sensor_case, gaps.front()->began, first_by_name(gaps));
}

void Desk::move(Record& gap, Case& outage) {
  if (auto* old = find_case(gap.alert)) {
    std::erase_if(old->alert.parts, [&](const CasePart& p) { return p.id == gap.alert.id; });
    old->changed = true;
  }
  gap.alert.of_case = outage.alert.id;
  outage.add_machine(gap.alert.machine);
  outage.over.reset();
  outage.changed = true;
}

// When most of them report again it is over; who is silent still has a trouble of its own.
void Desk::watch_ebb(Case& outage, std::vector<Alert>& told) {
  std::vector<Record*> silent;
  each_part(outage, [&](Record& record) {
    if (!record.quiet && !record.life.quiet()) silent.push_back(&record);
  });
  if (silent.empty() || 2 * machines_of(silent) > outage.machines.size()) {
    outage.ebbing.reset();
    return;
  }
  if (!outage.ebbing) outage.ebbing = now_;
  if (now_ - *outage.ebbing < rule().together) return;
  for (auto* gap : silent) {
    gap->alert.of_case.clear();
    join(*gap);
    std::erase_if(outage.alert.parts, [&](const CasePart& p) { return p.id == gap->alert.id; });
    tell(*gap, AlertEvent::updated, now_, told);
  }
  outage.over = now_ - rule().together;
}

}  // namespace millwright::engine
