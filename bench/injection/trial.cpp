#include "bench/injection/trial.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/check.h"
#include "core/random.h"
#include "engine/engine.h"
#include "engine/feed.h"

namespace millwright::bench {
namespace {

constexpr Duration tick_spacing = std::chrono::seconds{1};
constexpr std::size_t events_per_step = 1024;

// The state of a player between two readings.
struct Snapshot {
  std::string engine;
  std::optional<Timestamp> ticked;
};

// Feeds one sensor's readings to an engine, with a tick before every reading, no more than one a
// second. The position of a reading is its index in the background plus 1, so an alert says which
// reading raised it.
class Player {
 public:
  explicit Player(std::shared_ptr<const engine::Plan> plan) : engine_{std::move(plan)} {}
  Player(std::shared_ptr<const engine::Plan> plan, const Snapshot& snapshot)
      : engine_{std::move(plan)}, ticked_{snapshot.ticked} {
    Position position = 0;
    check(engine_.restore_all(snapshot.engine, position) == engine::RestoreResult::ok &&
              engine_.unreadable_states() == 0,
          "an engine reads back what it wrote");
  }

  // The i-th reading of the background; without a value only the clock moves on.
  void play(std::size_t i, Timestamp time, std::optional<double> value) {
    const Position position = i + 1;
    if (!ticked_ || time - *ticked_ >= tick_spacing) {
      feed_.tick(position, time, time);
      ticked_ = time;
    }
    if (value) {
      const auto refused =
          feed_.reading(engine_, "machine", "sensor", {time, *value}, position, time, time);
      check(!refused, "the engine takes the sensor");
    }
    if (feed_.size() >= events_per_step) step();
  }

  Snapshot snapshot() {
    step();
    return {engine_.save_all(0), ticked_};
  }

  // All that was told so far.
  const std::vector<Alert>& alerts() {
    step();
    return effects_.alerts;
  }

 private:
  void step() {
    feed_.step(engine_, effects_);
    effects_.summaries.clear();
  }

  engine::Engine engine_;
  engine::Feed feed_{engine::Clock::given};
  engine::Effects effects_;
  std::optional<Timestamp> ticked_;
};

// Alerts that say something new about readings [first, last).
std::vector<const Alert*> told_between(const std::vector<Alert>& alerts, std::size_t first,
                                       std::size_t last) {
  std::vector<const Alert*> out;
  for (const auto& alert : alerts) {
    const bool news = alert.event == AlertEvent::raised || alert.event == AlertEvent::escalated;
    if (news && alert.position > first && alert.position <= last) out.push_back(&alert);
  }
  return out;
}

std::vector<Injection> plan_injections(const Background& background, const Design& design,
                                       double sigma, std::uint64_t seed) {
  std::vector<Injection> out;
  const auto& rate = background.rate;
  for (const auto fault : design.faults) {
    if (fault == Fault::stuck && flat_share(background) >= 0.5) continue;
    // A stream per fault, so that leaving one out does not move the others.
    auto random = Random{seed}.fork(1000 + static_cast<std::uint64_t>(fault));
    const bool is_short = duration_of(fault, rate) < rate.lasting;
    const auto times = is_short ? design.short_faults : design.lasting_faults;
    for (std::size_t n = 0; n < times; ++n) {
      const auto start = rate.learn + random.below(std::max<std::size_t>(1, rate.span));
      out.push_back({fault, start, sigma, design.size, random.next()});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  return out;
}

Trial try_out(const Background& background, const Injection& injection, const Snapshot& before,
              const std::shared_ptr<const engine::Plan>& plan) {
  const auto values = injected(background, injection);
  Player player{plan, before};
  for (std::size_t k = 0; k < values.size(); ++k)
    player.play(injection.start + k, background.times[injection.start + k], values[k]);
  Trial trial{injection.fault};
  const auto last = injection.start + values.size();
  for (const auto* alert : told_between(player.alerts(), injection.start, last)) {
    const auto delay = alert->time - background.times[injection.start];
    trial.delay = trial.found ? std::min(trial.delay, delay) : delay;
    trial.found = true;
    if (std::find(trial.kinds.begin(), trial.kinds.end(), alert->kind) == trial.kinds.end())
      trial.kinds.push_back(alert->kind);
  }
  return trial;
}

void count_false_alerts(const Background& background, const std::vector<Alert>& alerts,
                        Outcomes& out) {
  const auto learn = background.rate.learn;
  out.readings = background.size() - learn;
  // Silences of a recorded series are no time in which anything was watched.
  out.watched = static_cast<std::int64_t>(out.readings) * background.rate.interval;
  out.test_readings = std::min(out.readings, test_length(background.rate));
  for (const auto* alert : told_between(alerts, learn, background.size())) {
    if (alert->event != AlertEvent::raised) continue;
    out.false_alerts.push_back(alert->kind);
    out.test_false_alerts += alert->position <= learn + out.test_readings;
  }
}

}  // namespace

std::size_t test_length(const Rate& rate) {
  std::size_t longest = 0;
  for (std::size_t f = 0; f < fault_count; ++f) {
    const auto fault = static_cast<Fault>(f);
    longest = std::max(longest, duration_of(fault, rate) + tolerance_of(fault));
  }
  return rate.span + longest;
}

Outcomes run(const Background& background, const std::shared_ptr<const engine::Plan>& plan,
             const Design& design, std::uint64_t seed) {
  Outcomes out;
  out.sigma = local_sigma(background, design.around);
  std::vector<Injection> injections;
  if (out.sigma > 0) injections = plan_injections(background, design, out.sigma, seed);

  // The undisturbed run, which every injection leaves at its start.
  Player healthy{plan};
  auto next = injections.begin();
  for (std::size_t i = 0; i < background.size(); ++i) {
    if (next != injections.end() && next->start == i) {
      const auto before = healthy.snapshot();
      for (; next != injections.end() && next->start == i; ++next)
        out.trials.push_back(try_out(background, *next, before, plan));
    }
    healthy.play(i, background.times[i], background.reading(i));
  }
  const auto& alerts = healthy.alerts();
  count_false_alerts(background, alerts, out);
  for (std::size_t n = 0; n < injections.size(); ++n) {
    const auto& injection = injections[n];
    const auto reach = injection.start + duration_of(injection.fault, background.rate) +
                       tolerance_of(injection.fault);
    out.trials[n].by_chance = !told_between(alerts, injection.start, reach).empty();
  }
  return out;
}

}  // namespace millwright::bench
