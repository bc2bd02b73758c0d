#include "engine/desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/codec.h"
#include "engine/message.h"
#include "engine/sealed.h"
#include "engine/whole.h"

namespace millwright::engine {
namespace {

constexpr std::uint32_t desk_magic = 0x3144574d;               // "MWD1"
constexpr Duration case_spacing = std::chrono::minutes{1};     // between events that tell no news
constexpr Duration chatter_spacing = std::chrono::minutes{1};  // likewise, of a chattering alert
constexpr Duration stale_after = std::chrono::hours{24};
constexpr Duration longest_shelf = std::chrono::hours{24 * 30};
constexpr Duration longest_maintenance = std::chrono::hours{24 * 90};
// What comes back is told once a shift, unless it is worse or stays.
constexpr Duration repeat_window = std::chrono::hours{8};
constexpr double well_known = 0.5;      // confidence
constexpr double far_worse = 2;         // in score, as `critical` is to the limit
constexpr std::size_t most_times = 64;  // of raises that are remembered, of one alert

std::string key_of(std::string_view machine, std::string_view sensor, std::string_view kind) {
  std::string key{machine};
  key.append(1, '\0').append(sensor).append(1, '\0').append(kind);
  return key;
}
std::string key_of(const Alert& alert) {
  return key_of(alert.machine, alert.sensor, name_of(alert.kind));
}

std::string key_of(const CasePart& part) { return key_of(part.sensor, name_of(part.kind), ""); }
// Of a case that is over: an outage goes by the first of its machines.
std::string key_of_past(const Alert& alert) {
  return key_of(alert.machine, name_of(alert.alert_class()), alert.sensor);
}

bool is_fault(const Alert& alert) { return alert.alert_class() == AlertClass::sensor; }

// How much each sensor has to do with it, by the scores of its alerts; what the machine as a whole
// says is shared out among the sensors it names.
std::vector<Contributor> contributors_of(const std::vector<CasePart>& parts,
                                         const std::vector<Contributor>& of_whole) {
  std::vector<Contributor> out;
  double sum = 0;
  const auto add = [&](const std::string& sensor, double weight) {
    sum += weight;
    const auto known = std::find_if(out.begin(), out.end(),
                                    [&](const Contributor& c) { return c.sensor == sensor; });
    if (known == out.end()) {
      out.push_back({sensor, weight});
    } else {
      known->share += weight;
    }
  };
  for (const auto& part : parts) {
    if (part.state == AlertState::cleared) continue;
    if (part.sensor != whole_machine) {
      add(part.sensor, part.score);
    } else {
      for (const auto& [sensor, share] : of_whole) add(sensor, share * part.score);
    }
  }
  for (auto& one : out) one.share = sum > 0 ? one.share / sum : 0;
  return largest_first(std::move(out));
}

// Worst first; what is over last.
auto rank(const CasePart& part) {
  return std::tuple{part.state == AlertState::cleared, -static_cast<int>(part.severity),
                    -part.score};
}

CommandAnswer refused(std::string why) { return {false, std::move(why)}; }
CommandAnswer done(std::string what) { return {true, std::move(what)}; }

// What a command does to an alert, and the word for it when it is done.
struct Deed {
  Happening what;
  AlertEvent done;
};
// Nothing: the command is not of an alert.
std::optional<Deed> deed_of(CommandKind kind) {
  switch (kind) {
    case CommandKind::acknowledge:
      return Deed{Happening::acknowledge, AlertEvent::acknowledged};
    case CommandKind::comment:
      return Deed{Happening::comment, AlertEvent::commented};
    case CommandKind::shelve:
      return Deed{Happening::shelve, AlertEvent::shelved};
    case CommandKind::unshelve:
      return Deed{Happening::unshelve, AlertEvent::unshelved};
    case CommandKind::close:
      return Deed{Happening::close, AlertEvent::closed};
    default:
      return std::nullopt;
  }
}

}  // namespace

bool Desk::Window::covers(std::string_view machine, Timestamp time) const {
  return time >= from && time < to && glob_matches(machines, machine);
}

Desk::Desk(std::shared_ptr<const Plan> plan, std::uint32_t lanes)
    : plan_(std::move(plan)), budget_rule_(plan_->desk.budget) {
  if (budget_rule_.most > 0)
    budget_rule_.most = std::max<std::uint32_t>(1, budget_rule_.most / std::max(1U, lanes));
}

void Desk::follow(std::span<const Passed> ticks, std::vector<Alert>& alerts) {
  std::vector<Alert> heard;
  std::swap(heard, alerts);
  std::stable_sort(heard.begin(), heard.end(),
                   [](const Alert& a, const Alert& b) { return a.position < b.position; });
  auto tick = ticks.begin();
  for (auto& alert : heard) {
    for (; tick != ticks.end() && tick->position < alert.position; ++tick)
      pass(tick->now, tick->position, alerts);
    position_ = alert.position;
    if (now_ == Timestamp{}) now_ = alert.time;  // no tick yet
    hear(std::move(alert), alerts);
  }
  for (; tick != ticks.end(); ++tick) pass(tick->now, tick->position, alerts);
}

// --- what the engine says ---

// What the desk has made of an alert stays when the engine says more of it.
void Desk::renew(Alert& kept, Alert fresh) {
  fresh.id = std::move(kept.id);
  fresh.revision = kept.revision;
  fresh.onset = kept.onset;
  fresh.severity = std::max(kept.severity, fresh.severity);
  fresh.priority = std::max(priority_of(fresh.severity, fresh.score), fresh.priority);
  fresh.occurrences = kept.occurrences;
  fresh.chattering = kept.chattering;
  fresh.note = std::move(kept.note);
  fresh.of_case = std::move(kept.of_case);
  kept = std::move(fresh);
}

void Desk::hear(Alert alert, std::vector<Alert>& told) {
  const auto found = records_.find(key_of(alert));
  const bool known = found != records_.end() && found->second.raised_as == alert.id;
  const bool over = alert.event == AlertEvent::cleared || alert.event == AlertEvent::closed;
  if (!known) {
    // Of an alert that the desk does not know, only the end is of no interest.
    if (!over) raise(std::move(alert), told);
    return;
  }
  auto& record = found->second;
  if (over) {
    finish(record, std::move(alert), told);
  } else if (!record.dropped) {
    go_on(record, std::move(alert), told);
  }
  if (!record.life.open() && (over || !record.dropped)) records_.erase(found);
}

void Desk::raise(Alert alert, std::vector<Alert>& told) {
  const auto key = key_of(alert);
  counts_.raise(alert, now_);
  const bool chatters = begins_to_chatter(key, alert.time);
  const auto found = records_.find(key);
  if (found != records_.end() && !found->second.dropped) {
    // It is latched, or chatters: the same trouble.
    auto& record = found->second;
    record.begin(alert, now_);
    const auto last = record.alert.time;
    const bool worse = alert.severity > record.alert.severity;
    renew(record.alert, std::move(alert));
    ++record.alert.occurrences;
    record.alert.chattering |= chatters;
    const auto event = happen(record.life, worse ? Happening::got_worse : Happening::came_back);
    const auto time = record.alert.time;
    join(record);
    if (event) return tell(record, *event, time, told);
    if (time - last >= chatter_spacing) return tell(record, AlertEvent::updated, time, told);
    record.alert.time = last;
    return;
  }
  Record record;
  record.begin(alert, now_);
  record.alert = std::move(alert);
  record.alert.chattering = chatters;
  if (chatters) record.alert.occurrences = static_cast<std::uint32_t>(raises_[key].size());
  record.life.suppressed = under_maintenance(record.alert.machine, record.alert.time);
  --record.alert.revision;  // telling counts it
  join(record);
  tell(record, record.alert.event, record.alert.time, told);
  const auto& kept = records_.insert_or_assign(key, std::move(record)).first->second;
  if (is_fault(kept.alert)) doubt_machine(kept.alert, told);
}

bool Desk::begins_to_chatter(const std::string& key, Timestamp time) {
  auto& times = raises_[key];
  std::erase_if(times, [&](Timestamp t) { return time - t >= rule().chatter_window; });
  if (times.size() < most_times) times.push_back(time);
  return times.size() >= rule().chatter_times;
}

void Desk::go_on(Record& record, Alert alert, std::vector<Alert>& told) {
  const bool worse = alert.severity > record.alert.severity;
  const auto time = alert.time;
  renew(record.alert, std::move(alert));
  apply(record, worse ? Happening::got_worse : Happening::grew, time, told);
}

void Desk::finish(Record& record, Alert alert, std::vector<Alert>& told) {
  const bool by_itself = alert.event == AlertEvent::cleared;
  const auto time = alert.time;
  if (!record.dropped) {
    renew(record.alert, std::move(alert));
    if (record.alert.chattering && by_itself) {
      record.quiet = time;
    } else {
      apply(record, by_itself ? Happening::over : Happening::ended, time, told);
    }
  }
  if (is_fault(record.alert)) trust_again(record.alert, told);
}

// By the beginning of their keys, in the order of these.
void Desk::each_record(const std::string& from, const std::function<void(Record&)>& visit) {
  for (auto it = records_.lower_bound(from); it != records_.end() && it->first.starts_with(from);
       ++it)
    visit(it->second);
}

// A sensor that is at fault says nothing of its machine: neither that it is bad nor that it is
// well.
void Desk::doubt_machine(const Alert& fault, std::vector<Alert>& told) {
  each_record(key_of(fault.machine, fault.sensor, ""), [&](Record& record) {
    if (!is_fault(record.alert) && !record.dropped)
      apply(record, Happening::sensor_fails, fault.time, told);
  });
}

void Desk::trust_again(const Alert& fault, std::vector<Alert>& told) {
  const auto of_sensor = key_of(fault.machine, fault.sensor, "");
  bool still = false;
  each_record(of_sensor, [&](const Record& other) {
    still |= is_fault(other.alert) && other.life.open() && !other.quiet;
  });
  if (still) return;
  each_record(of_sensor, [&](Record& record) {
    if (!is_fault(record.alert) && !record.dropped)
      apply(record, Happening::sensor_well, fault.time, told);
  });
}

bool Desk::latches(const Alert& alert) const {
  if (is_fault(alert)) return false;
  return alert.sensor == whole_machine
             ? machine_profile_for(*plan_, alert.machine).alarm.latch
             : profile_for(*plan_, alert.machine, alert.sensor).alarm.latch;
}

bool Desk::under_maintenance(std::string_view machine, Timestamp time) const {
  return std::any_of(windows_.begin(), windows_.end(),
                     [&](const Window& w) { return w.covers(machine, time); });
}

bool Desk::apply(Record& record, Happening what, Timestamp time, std::vector<Alert>& told,
                 std::optional<Timestamp> until) {
  const auto event = happen(record.life, what, latches(record.alert), until);
  if (!event) return false;
  tell(record, *event, time, told);
  return true;
}

// What every event has, of an alert or a case.
void Desk::stamp(Alert& alert, const Life& life, AlertEvent event, Timestamp time) const {
  ++alert.revision;
  alert.event = event;
  alert.time = time;
  alert.position = position_;
  alert.state = life.state;
  alert.acknowledged = life.acknowledged;
  alert.shelved_until = life.shelved_until;
  alert.cleared.reset();
  if (!life.open()) alert.cleared = time;
}

void Desk::tell(Record& record, AlertEvent event, Timestamp time, std::vector<Alert>& told) {
  auto& alert = record.alert;
  alert.suppressed = record.life.suppressed;
  stamp(alert, record.life, event, time);
  told.push_back(alert);
  if (alert.state == AlertState::unknown)
    told.back().message += "; its sensor is at fault since, so nobody knows how it stands";
  if (auto* one = find_case(alert)) one->changed = true;
}

// --- time goes by ---

void Desk::pass(Timestamp now, Position position, std::vector<Alert>& told) {
  now_ = std::max(now_, now);
  position_ = position;
  std::erase_if(windows_, [&](const Window& w) { return w.to <= now_; });
  for (auto& [key, record] : records_) pass(record, told);
  for (auto it = raises_.begin(); it != raises_.end();) {
    std::erase_if(it->second, [&](Timestamp t) { return now_ - t >= rule().chatter_window; });
    it = it->second.empty() ? raises_.erase(it) : std::next(it);
  }
  std::erase_if(past_, [&](const auto& p) { return now_ - p.second.heard_at >= repeat_window; });
  find_outages();
  for (auto& [key, one] : cases_) {
    if (!one.is_crowd()) look_at(one, told);
  }
  find_crowd();
  for (auto& [key, one] : cases_) {
    if (one.is_crowd()) look_at(one, told);
  }
  notify(told);
  drop_ended();
}

void Desk::pass(Record& record, std::vector<Alert>& told) {
  if (record.dropped) return;
  auto& life = record.life;
  if (life.shelved_until && *life.shelved_until <= now_) {
    apply(record, Happening::shelf_ends, now_, told);
    join(record);
  }
  if (under_maintenance(record.alert.machine, now_) != life.suppressed) {
    apply(record, life.suppressed ? Happening::unsuppress : Happening::suppress, now_, told);
    join(record);
  }
  if (record.quiet && now_ - *record.quiet >= rule().chatter_window) {
    record.quiet.reset();
    apply(record, Happening::over, now_, told);
    return;
  }
  if (record.alert.severity != Severity::warning || !life.open() || life.quiet()) return;
  const bool neglected = rule().escalate_after > Duration{0} && !life.acknowledged &&
                         now_ - record.raised >= rule().escalate_after;
  const auto& forecast = record.alert.forecast;
  const bool soon = rule().escalate_within > Duration{0} && forecast &&
                    forecast->earliest - now_ <= rule().escalate_within;
  if (!neglected && !soon) return;
  record.alert.severity = Severity::critical;
  record.alert.priority = priority_of(Severity::critical, record.alert.score);
  apply(record, Happening::got_worse, now_, told);
}

void Desk::drop_ended() {
  std::erase_if(records_, [](const auto& entry) {
    return !entry.second.life.open() && !entry.second.dropped;
  });
  std::erase_if(cases_, [](const auto& entry) { return !entry.second.life.open(); });
}

// --- cases ---

std::string_view Desk::label_of(std::string_view machine) const {
  if (machine == whole_plant) return "Plant";
  const auto& label = machine_profile_for(*plan_, machine).label;
  return label.empty() ? machine : std::string_view{label};
}

Desk::Case& Desk::case_of(const Alert& alert) {
  const auto kind = is_fault(alert) ? AlertKind::sensor_case : AlertKind::machine_case;
  const auto key = key_of(alert.machine, name_of(alert.alert_class()), "");
  auto [found, fresh] = cases_.try_emplace(key);
  auto& one = found->second;
  if (!fresh) return one;
  one.opened = now_;
  one.alert.revision = 0;
  one.alert.kind = kind;
  one.alert.machine = alert.machine;
  one.alert.sensor = whole_machine;
  one.alert.onset = alert.onset;
  one.alert.id = fmt::format("{}/{}/{}/{}", alert.machine, whole_machine, name_of(kind),
                             issued_[alert.machine].issue(kind, alert.onset));
  return one;
}

std::string Desk::key_of_case(const Case& one) {
  return key_of(one.alert.machine, name_of(one.alert.alert_class()),
                one.is_of_plant() ? std::string_view{one.alert.id} : std::string_view{});
}

// An outage or a crowd goes by the first of its machines.
Desk::Case& Desk::begin_of_plant(AlertKind kind, Timestamp onset, const std::string& first) {
  Case one;
  one.opened = now_;
  one.machines.push_back(first);
  auto& alert = one.alert;
  alert.revision = 0;
  alert.kind = kind;
  alert.onset = onset;
  alert.machine = whole_plant;
  alert.sensor = first;
  alert.id = fmt::format("{}/{}/{}/{}", whole_plant, first, name_of(kind),
                         issued_[std::string{whole_plant}].issue(kind, onset));
  auto key = key_of_case(one);
  return cases_.insert_or_assign(std::move(key), std::move(one)).first->second;
}

Desk::Case* Desk::find_case(const Alert& alert) {
  if (alert.of_case.empty()) return nullptr;
  const auto of_class = name_of(alert.alert_class());
  for (const auto& key :
       {key_of(alert.machine, of_class, ""), key_of(whole_plant, of_class, alert.of_case)}) {
    const auto found = cases_.find(key);
    if (found != cases_.end() && found->second.alert.id == alert.of_case) return &found->second;
  }
  return nullptr;
}

void Desk::each_part(const Case& one, const std::function<void(Record&)>& visit) {
  each_record(one.is_outage() ? std::string{} : one.alert.machine + '\0', [&](Record& record) {
    if (record.alert.of_case == one.alert.id && record.life.open()) visit(record);
  });
}

// What people are not to be told of now is part of no case.
void Desk::join(Record& record) {
  if (!record.life.open() || record.life.quiet()) return;
  auto* outage = find_case(record.alert);
  auto& one = outage != nullptr && outage->is_outage() ? *outage : case_of(record.alert);
  record.alert.of_case = one.alert.id;
  one.alert.onset = std::min(one.alert.onset, record.alert.onset);
  one.over.reset();
  one.changed = true;
}

// The part of this id, in its place or new at the end.
CasePart& Desk::part_of(Case& one, const std::string& id) {
  auto& parts = one.alert.parts;
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const CasePart& p) { return p.id == id; });
  return found == parts.end() ? parts.emplace_back() : *found;
}

// All parts are as they are now; `open`: one of them still goes on.
void Desk::settle_parts(Case& one, bool open) const {
  auto& parts = one.alert.parts;
  std::stable_sort(parts.begin(), parts.end(),
                   [](const CasePart& a, const CasePart& b) { return rank(a) < rank(b); });
  if (parts.size() > most_parts) parts.resize(most_parts);
  if (open) {
    one.over.reset();
  } else if (!one.over) {
    one.over = now_;
  }
}

// It says what its worst part says, under its own name.
void Desk::take_from(Case& one, Alert worst) {
  worst.kind = one.alert.kind;
  worst.machine = one.alert.machine;
  worst.sensor = one.alert.sensor;
  worst.parts = std::move(one.alert.parts);
  const auto severity = one.alert.severity;
  const auto time = one.alert.time;
  renew(one.alert, std::move(worst));
  one.alert.time = time;
  one.alert.occurrences = 1;
  one.alert.chattering = false;
  if (one.told && one.alert.severity > severity) one.life.acknowledged = false;
}

void Desk::gather_parts(Case& one) {
  auto& parts = one.alert.parts;
  for (auto& part : parts) part.state = AlertState::cleared;
  const Record* lead = nullptr;
  bool open = false, only_shared = true;
  one.wait = Duration{0};
  each_part(one, [&](Record& record) {
    const auto& a = record.alert;
    if (record.life.quiet() && !one.life.quiet()) {
      // Not for people now; it joins again when it is.
      std::erase_if(parts, [&](const CasePart& p) { return p.id == a.id; });
      return;
    }
    auto& part = part_of(one, a.id);
    const auto sensor = one.is_outage() ? a.machine + "/" + a.sensor : a.sensor;
    part = {a.id, sensor, a.kind, a.severity, record.life.state, std::max(part.score, a.score)};
    open |= !record.quiet;
    only_shared &= is_shared(a.kind);
    one.wait = std::max(one.wait, nearness(record));
    const auto worse = [](const Record& x, const Record& y) {
      return std::tuple{x.alert.severity, x.alert.priority, x.alert.score} >
             std::tuple{y.alert.severity, y.alert.priority, y.alert.score};
    };
    if (lead == nullptr || worse(record, *lead)) lead = &record;
  });
  if (!only_shared) one.wait = Duration{0};
  settle_parts(one, open);
  if (lead == nullptr) return;
  take_from(one, lead->alert);
  one.alert.contributors = contributors_of(one.alert.parts, lead->alert.contributors);
  if (!one.is_outage()) {
    one.alert.message = case_message(one.alert, label_of(one.alert.machine), lead->alert);
    return;
  }
  // Nobody watches these machines.
  one.alert.severity = std::max(one.alert.severity, Severity::warning);
  one.alert.priority = priority_of(one.alert.severity, one.alert.score);
  one.alert.message = outage_message(one.shared_kind(), one.machines, one.alert.onset, now_);
}

void Desk::look_at(Case& one, std::vector<Alert>& told) {
  if (std::exchange(one.changed, false)) {
    if (one.is_crowd()) {
      gather_crowd(one);
    } else {
      gather_parts(one);
    }
    one.untold_news = one.told;
    if (auto* crowd = find_case(one.alert)) crowd->changed = true;
  }
  if (one.life.shelved_until && *one.life.shelved_until <= now_) {
    one.heard.reset();  // people put it aside for so long, and no longer
    apply(one, Happening::shelf_ends, told);
  }
  if (one.is_outage()) watch_ebb(one, told);
  if (!one.over || now_ - *one.over < rule().together) return;
  if (!one.heard && !one.alert.parts.empty() && !one.is_crowd()) counts_.hold_back();
  remember(one);
  if (one.told) {
    one.alert.message = case_over_message(one.alert, label_of(one.alert.machine), now_);
    apply(one, Happening::over, told);
  } else {
    one.life.state = AlertState::cleared;
  }
}

bool Desk::needs_notice(const Case& one) {
  if (!one.life.open() || one.life.quiet() || one.alert.parts.empty()) return false;
  if (waits_for_crowd(one)) return false;
  if (one.is_crowd() && one.heard && !is_young(one)) return false;
  if (one.heard) return is_worse_than_told(one) || has_news(one);
  if (is_repeat(one)) return one.over.value_or(now_) - one.opened >= rule().chatter_window;
  return one.alert.severity == Severity::critical ||
         now_ - one.opened >= std::max(rule().gather, one.wait);
}

// Another alert joined a shift after people were told, or later: an old trouble hides no new one.
bool Desk::has_news(const Case& one) {
  if (one.is_of_plant() || now_ - one.heard_at < repeat_window) return false;
  bool news = false;
  each_part(one, [&](const Record& record) {
    news |=
        record.noticed - one.heard_at >= repeat_window && !record.quiet && !record.alert.chattering;
  });
  return news;
}

// People were told of the same not long ago, and it is no worse.
bool Desk::is_repeat(const Case& one) const {
  const auto found = past_.find(key_of_past(one.alert));
  if (found == past_.end() || one.alert.severity > found->second.severity) return false;
  const auto& parts = found->second.parts;
  if (one.is_outage()) {
    const auto kind = key_of("", name_of(one.shared_kind()), "");
    return std::any_of(parts.begin(), parts.end(),
                       [&](const std::string& part) { return part.ends_with(kind); });
  }
  return std::all_of(one.alert.parts.begin(), one.alert.parts.end(), [&](const CasePart& p) {
    return std::binary_search(parts.begin(), parts.end(), key_of(p));
  });
}

void Desk::remember(const Case& one) {
  if (!one.heard) return;
  Past past{one.heard_at, *one.heard, {}};
  for (const auto& part : one.alert.parts) past.parts.push_back(key_of(part));
  std::sort(past.parts.begin(), past.parts.end());
  past_.insert_or_assign(key_of_past(one.alert), std::move(past));
}

// Within the budget; of what it keeps back, of many machines at once, and of what is far worse than
// all that people were told of and is still open. That passes even beyond it, but only where enough
// was learned: on a first morning everything is worse than anything before. So do machines that
// nobody watches, and what a person's own rule calls critical.
bool Desk::may_tell(const Case& one) {
  // They know of the worst of it: what joined waits like a notice.
  if (one.heard && !is_worse_than_told(one))
    return budget_.allows(budget_rule_, Severity::notice, now_);
  if (one.is_outage() || budget_.allows(budget_rule_, one.alert.severity, now_)) return true;
  if (one.alert.severity != Severity::critical) return false;
  if (is_sure(one)) return true;
  if (!budget_.is_spent(budget_rule_)) return one.is_crowd() || is_worst(one);
  return one.alert.confidence.value_or(0) >= well_known && is_worst(one);
}

// A part is critical by a limit that somebody set, or by one of the rules for escalation, and not
// by how far it is from what was learned.
bool Desk::is_sure(const Case& one) const {
  return std::any_of(one.alert.parts.begin(), one.alert.parts.end(), [](const CasePart& p) {
    const bool by_rule = p.kind == AlertKind::limit || severity_of(p.kind, p.score) < p.severity;
    return p.severity == Severity::critical && p.state != AlertState::cleared && by_rule;
  });
}

bool Desk::is_worst(const Case& one) const {
  return std::none_of(cases_.begin(), cases_.end(), [&](const auto& entry) {
    const Case& other = entry.second;
    const bool counts = &other != &one && other.heard && !other.over &&
                        now_ - other.heard_at < budget_rule_.per && other.life.open();
    return counts && std::tuple{other.alert.severity, far_worse * other.alert.score} >=
                         std::tuple{one.alert.severity, one.alert.score};
  });
}

// The most severe first; what is over the budget is listed, and waits.
void Desk::notify(std::vector<Alert>& told) {
  tell_members(told);
  std::vector<Case*> waiting;
  for (auto& [key, one] : cases_) {
    if (needs_notice(one)) waiting.push_back(&one);
  }
  std::stable_sort(waiting.begin(), waiting.end(), [](const Case* a, const Case* b) {
    return std::tuple{a->alert.severity, a->alert.priority, b->opened} >
           std::tuple{b->alert.severity, b->alert.priority, a->opened};
  });
  for (auto* one : waiting) {
    if (may_tell(*one)) {
      budget_.spend(now_);
      counts_.notify(now_);
      const bool worse = is_worse_than_told(*one);
      const auto event = !one->told ? AlertEvent::raised
                         : worse    ? AlertEvent::escalated
                                    : AlertEvent::updated;
      if (one->heard) one->life.acknowledged = false;
      one->heard = one->alert.severity;
      one->heard_at = now_;
      leave_crowd(*one);
      tell_case(*one, event, true, told);
    } else if (!one->told) {
      tell_case(*one, AlertEvent::raised, false, told);
    }
  }
  tell_members(told);
  for (auto& [key, one] : cases_) {
    if (one.told && one.untold_news && one.life.open() && now_ - one.alert.time >= case_spacing)
      tell_case(one, AlertEvent::updated, false, told);
  }
}

void Desk::tell_case(Case& one, AlertEvent event, bool notify, std::vector<Alert>& told) {
  one.told = true;
  one.untold_news = false;
  one.alert.notify = notify;
  one.alert.held_back = !one.heard;
  // Where the readings are the clock, the tick that lets a case be told came before the reading
  // that began it.
  stamp(one.alert, one.life, event, std::max(now_, one.alert.onset));
  told.push_back(one.alert);
}

void Desk::apply(Case& one, Happening what, std::vector<Alert>& told,
                 std::optional<Timestamp> until) {
  if (const auto event = happen(one.life, what, false, until)) tell_case(one, *event, false, told);
}

// --- what people say ---

namespace {

// Two people at once: who comes second hears of the first.
std::string nothing_to_do(const Command& command, AlertEvent done,
                          const std::optional<Note>& last) {
  auto text =
      fmt::format("{} was {} already, or there is nothing to do", command.alert, name_of(done));
  if (last) text += fmt::format("; {} was the last to do something with it", last->by);
  return text;
}

std::string done_to(const Command& command, AlertEvent done) {
  if (done == AlertEvent::commented) return "the comment is kept with " + command.alert;
  auto text = fmt::format("{} is {}", command.alert, name_of(done));
  if (done == AlertEvent::shelved && command.to) text += " until " + format_time(*command.to);
  return text;
}

}  // namespace

CommandAnswer Desk::take(const Command& command, Timestamp now, Position position,
                         std::vector<Alert>& told) {
  now_ = std::max(now_, now);
  position_ = position;
  if (command.by.empty()) return refused("who asks? `by` is missing");
  if (deed_of(command.kind)) return answer_alert(command, told);
  if (command.kind == CommandKind::maintenance_start) return plan_maintenance(command, told);
  if (command.kind == CommandKind::maintenance_stop) return stop_maintenance(command, told);
  return refused("not a matter of alerts");
}

CommandAnswer Desk::answer_alert(const Command& command, std::vector<Alert>& told) {
  if (command.alert.empty()) return refused("which alert? `alert` is missing: give its id");
  if (command.kind == CommandKind::shelve) {
    if (!command.to) return refused("until when? `to` or `minutes` is missing");
    if (*command.to <= now_) return refused("`to` is not in the future");
    if (*command.to - now_ > longest_shelf)
      return refused("an alert can be shelved for 30 days at most");
  }
  if (command.kind == CommandKind::comment && command.comment.empty())
    return refused("`comment` is empty");
  for (auto& [key, record] : records_) {
    if (record.alert.id == command.alert && record.life.open())
      return answer_record(record, command, told);
  }
  for (auto& [key, one] : cases_) {
    if (one.alert.id == command.alert && one.told) return answer_case(one, command, told);
  }
  return refused(fmt::format("no open alert has the id {}", command.alert));
}

CommandAnswer Desk::answer_record(Record& record, const Command& command,
                                  std::vector<Alert>& told) {
  const Note note{now_, command.by, command.comment};
  const auto before = std::exchange(record.alert.note, note);
  const bool holds = record.holds();
  const auto deed = *deed_of(command.kind);
  if (!apply(record, deed.what, now_, told, command.to)) {
    record.alert.note = before;
    return done(nothing_to_do(command, deed.done, before));
  }
  record.dropped = command.kind == CommandKind::close && holds;
  join(record);
  drop_ended();
  return done(done_to(command, deed.done));
}

CommandAnswer Desk::answer_case(Case& one, const Command& command, std::vector<Alert>& told) {
  one.alert.note = Note{now_, command.by, command.comment};
  const auto deed = *deed_of(command.kind);
  std::size_t parts = 0;
  apply(one, deed.what, told, command.to);
  if (one.is_crowd()) {
    std::vector<std::string> members;
    each_member(one, [&](const Case& member) { members.push_back(key_of_case(member)); });
    for (const auto& key : members) {
      answer_case(cases_.at(key), command, told);
      ++parts;
    }
  } else if (command.kind != CommandKind::comment) {
    each_part(one, [&](Record& record) {
      record.alert.note = one.alert.note;
      const bool holds = record.holds();
      parts += apply(record, deed.what, now_, told, command.to);
      record.dropped = command.kind == CommandKind::close && holds;
    });
  }
  drop_ended();
  auto text = done_to(command, deed.done);
  if (deed.done != AlertEvent::commented) text += fmt::format(", and {} of its alerts", parts);
  return done(std::move(text));
}

CommandAnswer Desk::plan_maintenance(const Command& command, std::vector<Alert>& told) {
  if (command.machine.empty()) return refused("which machines? `machine` is missing");
  if (!command.to) return refused("until when? `to` or `minutes` is missing");
  const auto from = command.from.value_or(now_);
  if (*command.to <= from || *command.to <= now_)
    return refused("`to` must be later than `from`, and in the future");
  if (*command.to - from > longest_maintenance)
    return refused("maintenance can be planned for 90 days at a time");
  if (windows_.size() >= most_windows) return refused("too many maintenance windows are planned");
  windows_.push_back({command.machine, from, *command.to, command.by, command.comment});
  pass(now_, position_, told);
  return done(
      fmt::format("maintenance of {} from {} to {}: its alerts are kept, and nobody is told",
                  command.machine, format_time(from), format_time(*command.to)));
}

CommandAnswer Desk::stop_maintenance(const Command& command, std::vector<Alert>& told) {
  bool began = false;
  const auto ended = std::erase_if(windows_, [&](const Window& w) {
    began = began || (w.machines == command.machine && w.from <= now_);
    return w.machines == command.machine;
  });
  if (ended == 0)
    return refused(fmt::format("no maintenance of `{}` is planned or going on", command.machine));
  pass(now_, position_, told);
  return done(fmt::format("{}maintenance of {} is {}", began ? "" : "the planned ", command.machine,
                          began ? "over" : "taken back"));
}

// --- a state that is older than the archive ---

void Desk::catch_up(std::vector<Alert> archived, Timestamp now, Position position,
                    std::vector<Alert>& told) {
  now_ = std::max(now_, now);
  position_ = position;
  std::erase_if(archived, [&](const Alert& a) {
    if (is_case(a.kind)) issued_[a.machine].issue(a.kind, a.onset);
    return catch_up_known(a, told) || a.state == AlertState::cleared;
  });
  // Cases first: the alerts that were in them join them again.
  std::stable_partition(archived.begin(), archived.end(),
                        [](const Alert& a) { return is_case(a.kind); });
  for (auto& alert : archived) {
    if (adopt(alert)) continue;
    alert.message += "; how it went on was lost in a restart";
    stamp(alert, Life{.state = AlertState::cleared}, AlertEvent::closed, now_);
    told.push_back(std::move(alert));
  }
}

// What a person had taken note of stays so. What is over in the archive and not here is told again.
bool Desk::catch_up_known(const Alert& archived, std::vector<Alert>& told) {
  const auto catch_up = [&](Alert& alert, Life& life) {
    alert.revision = std::max(alert.revision, archived.revision);
    life.acknowledged |= archived.acknowledged;
  };
  if (const auto found = records_.find(key_of(archived));
      found != records_.end() && found->second.alert.id == archived.id) {
    auto& record = found->second;
    catch_up(record.alert, record.life);
    if (archived.state == AlertState::cleared && record.life.open() && !record.dropped)
      tell(record, AlertEvent::updated, now_, told);
    return true;
  }
  for (auto& [key, one] : cases_) {
    if (one.alert.id != archived.id) continue;
    catch_up(one.alert, one.life);
    one.told = true;
    if (archived.state == AlertState::cleared && one.life.open())
      tell_case(one, AlertEvent::updated, false, told);
    return true;
  }
  return false;
}

// False where another alert has its place, or when it is of the plant, whose cases are found anew.
bool Desk::adopt(Alert archived) {
  const Life life{.state = archived.state, .acknowledged = archived.acknowledged};
  if (archived.machine == whole_plant) return false;
  if (is_case(archived.kind)) {
    Case one;
    one.opened = now_;
    one.told = true;
    one.life = life;
    one.heard = archived.severity;
    one.heard_at = archived.time;
    one.alert = std::move(archived);
    auto key = key_of_case(one);
    return cases_.try_emplace(std::move(key), std::move(one)).second;
  }
  Record record;
  record.begin(archived, now_);
  record.life = life;
  record.quiet = now_;
  record.alert = std::move(archived);
  const auto [place, fresh] = records_.try_emplace(key_of(record.alert), std::move(record));
  if (fresh) join(place->second);
  return fresh;
}

// --- figures and state ---

std::size_t Desk::open() const {
  const auto is_open = [](const auto& entry) { return entry.second.life.open(); };
  return static_cast<std::size_t>(std::count_if(records_.begin(), records_.end(), is_open) +
                                  std::count_if(cases_.begin(), cases_.end(), is_open));
}

AlarmFigures Desk::figures() const {
  AlarmFigures out;
  counts_.fill(out, now_);
  for (const auto& [key, record] : records_) {
    if (!record.life.open()) continue;
    ++out.open;
    out.unacknowledged += !record.life.acknowledged;
    out.shelved += record.life.shelved_until.has_value();
    out.suppressed += record.life.suppressed;
    out.chattering += record.alert.chattering;
    out.stale += now_ - record.raised >= stale_after;
  }
  for (const auto& [key, one] : cases_) out.waiting += one.told && !one.heard;
  return out;
}

struct Desk::Saved {
  std::vector<Record> records;
  std::vector<Case> cases;
  std::vector<std::string> past_of;
  std::vector<Past> past;
  std::vector<Raises> raises;
  std::vector<std::string> issued_for;
  std::vector<IssuedOnsets> issued;
  std::vector<Window> windows;
  Budget budget;
  AlarmCounts counts;
  Timestamp now;
  Position position = 0;
  static void fields(auto& io, auto& s) {
    io(s.records, s.cases, s.past_of, s.past, s.raises, s.issued_for, s.issued, s.windows, s.budget,
       s.counts, s.now, s.position);
  }
};

std::string Desk::save() const {
  Saved saved;
  for (const auto& [key, record] : records_) saved.records.push_back(record);
  for (const auto& [key, one] : cases_) saved.cases.push_back(one);
  for (const auto& [key, past] : past_) {
    saved.past_of.push_back(key);
    saved.past.push_back(past);
  }
  for (const auto& [key, times] : raises_) saved.raises.push_back({key, times});
  for (const auto& [machine, issued] : issued_) {
    saved.issued_for.push_back(machine);
    saved.issued.push_back(issued);
  }
  saved.windows = windows_;
  saved.budget = budget_;
  saved.counts = counts_;
  saved.now = now_;
  saved.position = position_;
  std::string body;
  Writer{body}(saved);
  return seal(desk_magic, format_version, body);
}

bool Desk::restore(std::string_view bytes) {
  const auto body = unseal(bytes, desk_magic, format_version);
  if (!body) return false;
  Saved saved;
  Reader reader{*body};
  reader(saved);
  if (!reader.ok() || !reader.at_end() || saved.issued.size() != saved.issued_for.size() ||
      saved.past.size() != saved.past_of.size())
    return false;
  records_.clear();
  cases_.clear();
  past_.clear();
  raises_.clear();
  issued_.clear();
  for (auto& record : saved.records) {
    auto key = key_of(record.alert);
    records_.emplace(std::move(key), std::move(record));
  }
  for (auto& one : saved.cases) {
    auto key = key_of_case(one);
    cases_.emplace(std::move(key), std::move(one));
  }
  for (std::size_t i = 0; i < saved.past.size(); ++i)
    past_.emplace(std::move(saved.past_of[i]), std::move(saved.past[i]));
  for (auto& raises : saved.raises) raises_.emplace(std::move(raises.key), std::move(raises.times));
  for (std::size_t i = 0; i < saved.issued.size(); ++i)
    issued_.emplace(std::move(saved.issued_for[i]), std::move(saved.issued[i]));
  windows_ = std::move(saved.windows);
  budget_ = std::move(saved.budget);
  counts_ = std::move(saved.counts);
  now_ = saved.now;
  position_ = saved.position;
  return true;
}

bool Desk::take_over(std::string_view bytes, const std::function<bool(std::string_view)>& mine) {
  Desk other{plan_};
  if (!other.restore(bytes)) return false;
  const auto machine_of = [](std::string_view key) { return key.substr(0, key.find('\0')); };
  const auto take = [&](auto& from, auto& to) {
    for (auto& [key, value] : from) {
      if (mine(machine_of(key))) to.insert_or_assign(key, std::move(value));
    }
  };
  take(other.records_, records_);
  // A case of the plant goes where the first of its machines goes.
  for (auto& [key, one] : other.cases_) {
    if (mine(one.is_of_plant() ? one.machines.front() : machine_of(key)))
      cases_.insert_or_assign(key, std::move(one));
  }
  take(other.past_, past_);
  take(other.raises_, raises_);
  take(other.issued_, issued_);
  for (auto& window : other.windows_) {
    const auto same = [&](const Window& w) {
      return w.machines == window.machines && w.from == window.from && w.to == window.to;
    };
    if (std::none_of(windows_.begin(), windows_.end(), same)) windows_.push_back(std::move(window));
  }
  now_ = std::max(now_, other.now_);
  position_ = std::max(position_, other.position_);
  // What was part of an outage that went elsewhere.
  for (auto& [key, record] : records_) {
    if (!record.alert.of_case.empty() && find_case(record.alert) == nullptr) join(record);
  }
  return true;
}

}  // namespace millwright::engine
