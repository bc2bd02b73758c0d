#include "bench/plant/plant.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/fleet.h"

namespace millwright::bench {
namespace {

using simulator::Factory;
using simulator::Frame;

constexpr std::size_t events_per_step = 4096;

// As config/examples/factory.json has it, without the limits: a program names the regime, nothing
// else is said of any sensor.
std::shared_ptr<const engine::Plan> plan_of(const PlantOptions& options) {
  engine::Plan plan;
  engine::MachineProfile machine;
  machine.regime.sensor = "program";
  machine.model = "robot";
  plan.machines.push_back(machine);
  plan.desk.budget.most = options.budget;
  return std::make_shared<const engine::Plan>(std::move(plan));
}

double number_of(std::string_view program) {
  return program == "idle" ? 0 : static_cast<double>(program.front() - 'A') + 1;
}

// What sensors and gateways make of a frame, in front of the daemon.
class Field {
 public:
  Field(const Story& story, std::size_t machines) : story_(story), troubles_(machines) {
    for (const auto& one : story.troubles) troubles_[one.machine].push_back({one, {}});
  }

  // Nothing of this machine comes through.
  bool is_silent(std::size_t machine, Timestamp time) const {
    const auto cut = [&](const Gateway& g) {
      return machine >= g.first && machine <= g.last && g.span.holds(time);
    };
    return story_.switched_off(machine, time) ||
           std::any_of(story_.gateways.begin(), story_.gateways.end(), cut) ||
           worked_on(machine, time).value_or(1) < 0.5;
  }
  std::optional<double> reads(std::size_t machine, std::size_t sensor, Timestamp time,
                              double value) {
    // By hand it runs as it never does: half as fast or at double load.
    if (worked_on(machine, time)) value *= sensor % 2 == 0 ? 0.5 : 1.8;
    for (auto& [trouble, held] : troubles_[machine]) {
      if (trouble.sensor != sensor) continue;
      if (!trouble.span.holds(time)) {
        held = value;
        continue;
      }
      using What = SensorTrouble::What;
      const auto in = (time - trouble.span.from) / std::chrono::minutes{1};
      if (trouble.what == What::silent) return std::nullopt;
      if (trouble.what == What::comes_goes && in % 25 < 15) return std::nullopt;
      if (trouble.what == What::loose && in % 10 < 3) return 0;
      if (trouble.what == What::stuck) value = held.value_or(value);
    }
    return value;
  }

 private:
  // How far the work has come, 0..1; nothing: nobody works on it.
  std::optional<double> worked_on(std::size_t machine, Timestamp time) const {
    for (const auto& w : story_.windows) {
      if (w.machine == machine && w.span.holds(time))
        return to_seconds(time - w.span.from) / to_seconds(w.span.to - w.span.from);
    }
    return std::nullopt;
  }

  const Story& story_;
  std::vector<std::vector<std::pair<SensorTrouble, std::optional<double>>>> troubles_;
};

// Everything that people see, case by case.
struct Heard {
  std::string machine;
  AlertClass of{};
  struct Part {
    Timestamp raised;
    AlertKind kind{};
    std::string machine, sensor;
  };
  std::map<std::string, Part> parts;  // by id; raised: first
  std::vector<Timestamp> told;
  bool with_others = false;  // first told as one of many machines that were unusual at once
  std::string message;
  Severity severity{};
  AlertKind first{};  // kind of its worst part when people were told first
};

class Ledger {
 public:
  void hear(const Alert& alert, PlantResult& result) {
    if (!is_case(alert.kind)) {
      ++result.parts_told;
      if (alert.event == AlertEvent::raised) {
        result.chattering += alert.chattering;
        raised_[alert.id] = {alert.time, alert.kind, alert.machine, alert.sensor};
      }
      return;
    }
    if (is_crowd(alert)) return hear_crowd(alert, result);
    auto& one = cases[alert.id];
    one.machine = alert.machine;
    one.of = alert.alert_class();
    for (const auto& part : alert.parts) {
      if (const auto known = raised_.find(part.id); known != raised_.end())
        one.parts.insert(*known);
    }
    // The machines of a crowd are told of with it, or join it later.
    const bool with_others = !alert.of_case.empty() && !alert.held_back && one.told.empty();
    if (!alert.notify && !with_others) return;
    if (one.told.empty()) {
      one.with_others = !alert.notify;
      one.message = alert.message;
      one.severity = alert.severity;
      if (!alert.parts.empty()) one.first = alert.parts.front().kind;
    }
    one.told.push_back(alert.time);
    if (alert.notify) count(alert, result);
  }
  std::map<std::string, Heard> cases;  // by id

 private:
  static bool is_crowd(const Alert& alert) {
    return alert.machine == engine::Desk::whole_plant && alert.kind == AlertKind::machine_case;
  }
  static void count(const Alert& alert, PlantResult& result) {
    result.notified.push_back(alert.time);
    result.notified_as.push_back(alert.severity);
  }
  static void hear_crowd(const Alert& alert, PlantResult& result) {
    if (!alert.notify) return;
    ++result.crowds;
    count(alert, result);
  }

  std::map<std::string, Heard::Part> raised_;  // by id
};

class Judge {
 public:
  Judge(const Story& story, const Factory& factory) : story_(story), factory_(factory) {
    for (std::size_t i = 0; i < factory.robots(); ++i) numbers_[factory.machine(i)] = i;
  }

  static bool concerns(const simulator::Label& fault, const std::string& machine, Timestamp time) {
    return fault.machine == machine && time >= fault.start && time < fault.end + plant_grace;
  }
  static bool concerns(const simulator::Label& fault, const Heard& one) {
    return std::any_of(one.parts.begin(), one.parts.end(), [&](const auto& p) {
      return concerns(fault, one.machine, p.second.raised);
    });
  }

  Cause cause_of(const Heard& one) const {
    for (const auto& fault : factory_.labels()) {
      if (concerns(fault, one)) return Cause::fault;
    }
    const auto number = numbers_.find(one.machine);
    if (number == numbers_.end()) return Cause::sensor_trouble;  // of many machines
    const auto machine = number->second;
    const auto near = [&](const Span& span) {
      return std::any_of(one.parts.begin(), one.parts.end(), [&](const auto& p) {
        return p.second.raised >= span.from && p.second.raised < span.to + plant_grace;
      });
    };
    for (const auto& t : story_.troubles) {
      if (t.machine == machine && near(t.span)) return Cause::sensor_trouble;
    }
    for (const auto& g : story_.gateways) {
      if (machine >= g.first && machine <= g.last && near(g.span)) return Cause::sensor_trouble;
    }
    for (const auto& w : story_.windows) {
      if (w.machine == machine && near(w.span)) return Cause::maintenance;
    }
    // Switched off, or on again a while ago.
    const auto off = [&](const auto& p) {
      return story_.switched_off(machine, p.second.raised) ||
             story_.switched_off(machine, p.second.raised - plant_grace);
    };
    if (std::any_of(one.parts.begin(), one.parts.end(), off)) return Cause::sensor_trouble;
    return Cause::nothing;
  }

  FaultOutcome outcome_of(const simulator::Label& fault, const Ledger& ledger) const {
    FaultOutcome out;
    out.label = fault;
    for (const auto& [id, one] : ledger.cases) {
      if (one.of != AlertClass::machine) continue;
      out.in_any_case |= concerns(fault, one);
      if (one.told.empty()) continue;
      for (const auto& [part_id, part] : one.parts) {
        if (!concerns(fault, one.machine, part.raised)) continue;
        if (out.part && *out.part <= part.raised) continue;
        out.part = part.raised;
        out.case_was_open = one.told.front() < fault.start;
        const auto told = std::lower_bound(one.told.begin(), one.told.end(), fault.start);
        out.told = told == one.told.end() ? std::nullopt : std::optional{*told};
      }
    }
    return out;
  }

  // Notifications of silence of its machines while it was cut off, and a while after.
  std::size_t told_of(const Gateway& gateway, const Ledger& ledger) const {
    const auto of_it = [&](const auto& entry) {
      const auto& part = entry.second;
      const auto number = numbers_.at(part.machine);
      return part.kind == AlertKind::gap && number >= gateway.first && number <= gateway.last &&
             part.raised >= gateway.span.from && part.raised < gateway.span.to + plant_grace;
    };
    std::size_t n = 0;
    for (const auto& [id, one] : ledger.cases) {
      if (one.of != AlertClass::sensor || std::none_of(one.parts.begin(), one.parts.end(), of_it))
        continue;
      n += static_cast<std::size_t>(
          std::count_if(one.told.begin(), one.told.end(), [&](Timestamp time) {
            return time >= gateway.span.from && time < gateway.span.to + plant_grace;
          }));
    }
    return n;
  }

 private:
  const Story& story_;
  const Factory& factory_;
  std::map<std::string, std::size_t> numbers_;
};

// Sends the plant through engine, fleet and desk, with ticks and commands.
class Run {
 public:
  Run(const PlantOptions& options, const Story& story, const Factory& factory)
      : factory_(factory),
        options_(options),
        story_(story),
        plan_(plan_of(options)),
        engine_(plan_),
        fleet_(plan_),
        desk_(plan_),
        field_(story, options.machines) {
    result.options = options;
    for (const auto s : sensors_read(options)) read_[s] = true;
    for (const auto& one : factory.labels()) repairs_.push_back({one.end, one.machine});
    std::sort(repairs_.begin(), repairs_.end());
  }

  void frame(const Frame& frame) {
    pass_until(frame.time);
    if (field_.is_silent(frame.robot, frame.time)) return;
    ++position_;
    const auto& machine = factory_.machine(frame.robot);
    read(machine, "program", frame.time, number_of(frame.program));
    for (const auto& [sensor, truth] : frame.values) {
      if (!read_[sensor]) continue;
      const auto value = field_.reads(frame.robot, sensor, frame.time, truth);
      if (value) read(machine, Factory::sensors()[sensor].name, frame.time, *value);
    }
    if (feed_.size() >= events_per_step) step();
  }
  void finish() {
    step();
    result.figures = desk_.figures();
  }

  PlantResult result;
  Ledger ledger;

 private:
  void read(std::string_view machine, std::string_view sensor, Timestamp time, double value) {
    ++result.readings;
    feed_.reading(engine_, machine, sensor, {time, value}, position_, time, time);
  }

  void pass_until(Timestamp time) {
    if (!next_tick_) next_tick_ = next_look_ = time;
    for (; *next_tick_ <= time; *next_tick_ += options_.tick) {
      ask(*next_tick_);
      feed_.tick(++position_, *next_tick_, *next_tick_);
      if (*next_tick_ < next_look_) continue;
      step();
      look();
      next_look_ += std::chrono::hours{1};
    }
  }

  // Maintenance is planned an hour ahead; what was repaired is said to be serviced.
  void ask(Timestamp now) {
    for (; windows_ < story_.windows.size(); ++windows_) {
      const auto& [machine, span] = story_.windows[windows_];
      if (span.from - std::chrono::hours{1} > now) break;
      Command command;
      command.kind = CommandKind::maintenance_start;
      command.by = "planner";
      command.machine = factory_.machine(machine);
      command.from = span.from;
      // Readings of work by hand are still in the scores for a while.
      command.to = span.to + std::chrono::minutes{30};
      step();
      std::vector<Alert> told;
      desk_.take(command, now, ++position_, told);
      hear(told);
    }
    for (; repairs_at_ < repairs_.size() && repairs_[repairs_at_].first <= now; ++repairs_at_) {
      const auto& machine = repairs_[repairs_at_].second;
      step();
      ++position_;
      if (!feed_.renew(engine_, engine::Event::Kind::serviced, machine, "", position_, now, now))
        continue;
      step(&machine);
    }
  }

  void step(const std::string* serviced = nullptr) {
    effects_.clear();
    feed_.step(engine_, effects_);
    if (serviced != nullptr) fleet_.renew(*serviced, effects_.alerts);
    fleet_.follow(engine_, effects_, effects_.alerts);
    for (const auto& alert : effects_.alerts) {
      if (alert.event == AlertEvent::raised) result.raised.push_back(alert.time);
    }
    desk_.follow(effects_.ticks, effects_.alerts);
    hear(effects_.alerts);
  }
  void hear(const std::vector<Alert>& told) {
    for (const auto& alert : told) ledger.hear(alert, result);
  }
  void look() {
    const auto now = desk_.figures();
    result.most_chattering = std::max(result.most_chattering, now.chattering);
    result.most_stale = std::max(result.most_stale, now.stale);
    result.most_waiting = std::max(result.most_waiting, now.waiting);
  }

  const Factory& factory_;
  const PlantOptions options_;
  const Story& story_;
  std::shared_ptr<const engine::Plan> plan_;  // shared: as in the daemon
  engine::Engine engine_;
  engine::Fleet fleet_;
  engine::Desk desk_;
  engine::Feed feed_{engine::Clock::given};
  engine::Effects effects_;
  Field field_;
  std::array<bool, 12> read_{};
  Position position_ = 0;
  std::optional<Timestamp> next_tick_;
  Timestamp next_look_{};
  std::size_t windows_ = 0, repairs_at_ = 0;
  std::vector<std::pair<Timestamp, std::string>> repairs_;
};

}  // namespace

std::string_view name_of(Cause cause) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Cause::count_)> names{
      "fault", "sensor trouble", "maintenance", "nothing planted"};
  return names[static_cast<std::size_t>(cause)];
}

std::size_t PlantResult::found() const {
  return static_cast<std::size_t>(
      std::count_if(faults.begin(), faults.end(), [](const auto& f) { return f.found(); }));
}

std::size_t PlantResult::cases_of(Cause cause, bool with_others) const {
  return static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), [&](const ToldCase& c) {
    return c.of == AlertClass::machine && c.cause == cause && c.with_others == with_others;
  }));
}

double PlantResult::machine_months() const {
  return static_cast<double>(options.machines) * to_seconds(options.duration) / (86400.0 * 30);
}

std::size_t PlantResult::most_notified(Duration window, bool critical) const {
  std::size_t most = 0;
  std::vector<Timestamp> in;  // oldest first
  for (std::size_t i = 0; i < notified.size(); ++i) {
    if (!critical && notified_as[i] == Severity::critical) continue;
    std::erase_if(in, [&](Timestamp t) { return notified[i] - t >= window; });
    in.push_back(notified[i]);
    most = std::max(most, in.size());
  }
  return most;
}

PlantResult run_plant(const PlantOptions& options) {
  simulator::FactoryOptions made;
  made.robots = options.machines;
  made.seed = options.seed;
  made.duration = options.duration;
  made.period = options.period;
  const auto story = story_of(options, made.start);
  made.faults = false;
  made.planned = story.faults;
  made.day_shift_every = story.day_shift_every;
  Factory factory{made};
  Run run{options, story, factory};
  for (Frame frame; factory.next(frame);) run.frame(frame);
  run.finish();

  auto& result = run.result;
  const Judge judge{story, factory};
  for (const auto& label : factory.labels())
    result.faults.push_back(judge.outcome_of(label, run.ledger));
  for (const auto& gateway : story.gateways)
    result.per_gateway.push_back(judge.told_of(gateway, run.ledger));
  for (const auto& [id, one] : run.ledger.cases) {
    if (one.told.empty()) continue;
    result.cases.push_back({id, one.machine, one.message, one.of, one.told.front(), one.severity,
                            one.first, judge.cause_of(one), one.with_others});
  }
  std::stable_sort(result.cases.begin(), result.cases.end(),
                   [](const auto& a, const auto& b) { return a.told < b.told; });
  return std::move(run.result);
}

}  // namespace millwright::bench
