#include "engine/alarm_figures.h"

#include <algorithm>

namespace millwright::engine {
namespace {

constexpr Duration slot_length = std::chrono::minutes{10};
constexpr std::int64_t slots_kept = 144;  // a day
constexpr std::uint32_t flood_begins = 10, flood_ends = 5;
constexpr std::size_t most_counted = 1000, most_worst = 10;

std::int64_t number_of(Timestamp time, Duration length) { return time.time_since_epoch() / length; }

void add(std::vector<WorstSensor>& to, const std::string& machine, const std::string& sensor,
         std::uint64_t alerts) {
  const auto known = std::find_if(to.begin(), to.end(), [&](const WorstSensor& w) {
    return w.machine == machine && w.sensor == sensor;
  });
  if (known != to.end()) {
    known->alerts += alerts;
  } else if (to.size() < most_counted) {
    to.push_back({machine, sensor, alerts});
  }
}

void keep_worst(std::vector<WorstSensor>& all) {
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.alerts > b.alerts; });
  if (all.size() > most_worst) all.resize(most_worst);
}

}  // namespace

void AlarmFigures::merge(const AlarmFigures& other) {
  raised += other.raised;
  notified += other.notified;
  held_back += other.held_back;
  for (std::size_t i = 0; i < by_severity.size(); ++i) by_severity[i] += other.by_severity[i];
  notified_per_slot += other.notified_per_slot;
  most_notified += other.most_notified;
  most_raised += other.most_raised;
  flood_share = std::max(flood_share, other.flood_share);
  open += other.open;
  unacknowledged += other.unacknowledged;
  shelved += other.shelved;
  suppressed += other.suppressed;
  chattering += other.chattering;
  stale += other.stale;
  waiting += other.waiting;
  worst.insert(worst.end(), other.worst.begin(), other.worst.end());
  keep_worst(worst);
}

AlarmCounts::Slot& AlarmCounts::slot(Timestamp now) {
  const auto number = number_of(now, slot_length);
  std::erase_if(slots_, [&](const Slot& s) { return s.number <= number - slots_kept; });
  if (slots_.empty() || slots_.back().number < number) slots_.push_back({number, 0, 0});
  return slots_.back();
}

void AlarmCounts::begin_day(Timestamp now) {
  const auto day = number_of(now, std::chrono::hours{24});
  if (day == day_) return;
  yesterday_ = day == day_ + 1 ? std::move(today_) : std::vector<WorstSensor>{};
  today_.clear();
  day_ = day;
}

void AlarmCounts::raise(const Alert& alert, Timestamp now) {
  ++raised_;
  ++by_severity_[static_cast<std::size_t>(alert.severity)];
  ++slot(now).raised;
  begin_day(now);
  add(today_, alert.machine, alert.sensor, 1);
}

void AlarmCounts::notify(Timestamp now) {
  ++notified_;
  ++slot(now).notified;
}

void AlarmCounts::fill(AlarmFigures& figures, Timestamp now) const {
  figures.raised = raised_;
  figures.notified = notified_;
  figures.held_back = held_back_;
  figures.by_severity = by_severity_;
  const auto oldest = number_of(now, slot_length) - slots_kept;
  std::uint64_t sum = 0;
  std::int64_t flooded = 0, flood_until = 0;
  bool flood = false;
  for (const auto& slot : slots_) {
    if (slot.number <= oldest) continue;
    if (slot.number != flood_until) flood = false;  // quiet slots are not kept
    flood = slot.notified > flood_begins || (flood && slot.notified >= flood_ends);
    flooded += flood;
    flood_until = slot.number + 1;
    sum += slot.notified;
    figures.most_notified = std::max(figures.most_notified, slot.notified);
    figures.most_raised = std::max(figures.most_raised, slot.raised);
  }
  figures.notified_per_slot = static_cast<double>(sum) / slots_kept;
  figures.flood_share = static_cast<double>(flooded) / slots_kept;
  for (const auto& w : today_) add(figures.worst, w.machine, w.sensor, w.alerts);
  for (const auto& w : yesterday_) add(figures.worst, w.machine, w.sensor, w.alerts);
  keep_worst(figures.worst);
}

}  // namespace millwright::engine
