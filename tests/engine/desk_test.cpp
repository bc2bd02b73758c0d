// The desk: what becomes of alerts after they were raised.
#include "engine/desk.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "core/time.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

constexpr Timestamp start = from_microseconds(1'700'000'000'000'000);

// A plant whose engine says what a test wants.
class Plant {
 public:
  explicit Plant(Plan rules = {}) : plan(std::make_shared<const Plan>(std::move(rules))) {}

  // What is told by alerts of this position and a tick after them.
  std::vector<Alert> step(std::vector<Alert> alerts, Duration later = 1s) {
    now_ += later;
    ++position_;
    for (auto& alert : alerts) {
      alert.position = position_;
      if (alert.time == Timestamp{}) alert.time = now_;
      if (alert.onset == Timestamp{}) alert.onset = now_;
      alert.id = fmt::format("{}/{}/{}/{}", alert.machine, alert.sensor, name_of(alert.kind),
                             ids_[key(alert)] += alert.event == AlertEvent::raised ? 1 : 0);
      alert.message = alert.sensor + " is odd";
    }
    const Passed tick{position_, now_};
    desk.follow({&tick, 1}, alerts);
    return alerts;
  }
  CommandAnswer ask(Command command, std::vector<Alert>* told = nullptr) {
    std::vector<Alert> out;
    if (command.by.empty()) command.by = "anna";
    auto answer = desk.take(command, now_, ++position_, out);
    if (told != nullptr) *told = out;
    return answer;
  }
  Timestamp now() const { return now_; }
  void restart() {
    Desk fresh{plan};
    REQUIRE(fresh.restore(desk.save()));
    REQUIRE(fresh.save() == desk.save());
    desk = std::move(fresh);
  }

  std::shared_ptr<const Plan> plan;
  Desk desk{plan};

 private:
  static std::string key(const Alert& a) {
    return a.machine + a.sensor + std::string{name_of(a.kind)};
  }
  Timestamp now_ = start;
  Position position_ = 0;
  std::map<std::string, int> ids_;
};

Alert alert(const std::string& machine, const std::string& sensor,
            AlertEvent event = AlertEvent::raised, AlertKind kind = AlertKind::shift,
            Severity severity = Severity::warning) {
  Alert a;
  a.machine = machine;
  a.sensor = sensor;
  a.event = event;
  a.kind = kind;
  a.severity = severity;
  a.score = severity == Severity::critical ? 3 : 1.2;
  a.priority = priority_of(severity, a.score);
  return a;
}

std::vector<Alert> only(const std::vector<Alert>& told, bool cases) {
  std::vector<Alert> out;
  std::copy_if(told.begin(), told.end(), std::back_inserter(out),
               [&](const Alert& a) { return is_case(a.kind) == cases; });
  return out;
}
std::string events(const std::vector<Alert>& told) {
  std::string out;
  for (const auto& a : told) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name_of(a.kind), name_of(a.event));
    if (a.notify) out += "!";
  }
  return out;
}
std::string wait(Plant& plant, Duration time, Duration step = 1s) {
  std::vector<Alert> all;
  for (Duration t{0}; t < time; t += step) {
    for (auto& a : plant.step({}, step)) all.push_back(std::move(a));
  }
  return events(all);
}

Command command(CommandKind kind, const std::string& id) {
  Command c;
  c.kind = kind;
  c.alert = id;
  return c;
}

}  // namespace

TEST_CASE("a case is never told with a time before its onset") {
  Plant plant;
  plant.step({});
  // The clock of the readings stands still until the next one: its tick is of the one before.
  auto raised = alert("R1", "temp", AlertEvent::raised, AlertKind::limit, Severity::critical);
  raised.onset = raised.time = plant.now() + 60s;
  const auto told = only(plant.step({raised}), true);
  REQUIRE(events(told) == "case raised!");
  CHECK(told[0].onset == raised.onset);
  CHECK(told[0].time == raised.time);
}

TEST_CASE("alerts of one machine are one case, told once after a while") {
  Plant plant;
  CHECK(events(plant.step({alert("R1", "temp")})) == "shift raised");
  CHECK(events(plant.step({alert("R1", "vib", AlertEvent::raised, AlertKind::spread)})) ==
        "spread raised");
  CHECK(wait(plant, 8s) == "");
  const auto told = plant.step({});
  REQUIRE(events(told) == "case raised!");
  const auto& one = told.front();
  CHECK(one.sensor == "_machine");
  CHECK(one.revision == 1);
  REQUIRE(one.parts.size() == 2);
  CHECK(one.parts[0].sensor == "temp");
  CHECK(one.onset == start + 1s);
  REQUIRE(one.contributors.size() == 2);
  CHECK(one.contributors[0].share + one.contributors[1].share == doctest::Approx(1));
  CHECK(one.message == "R1: temp is odd; also vib (spread)");
  // Another of the same machine an hour later joins it, quietly.
  CHECK(wait(plant, 3600s, 60s) == "");
  const auto third = plant.step({alert("R1", "current")}, 60s);
  REQUIRE(events(third) == "shift raised, case updated");
  CHECK(third[0].of_case == one.id);
  CHECK(third[1].parts.size() == 3);
  // It is over ten minutes after the last part.
  plant.step(
      {alert("R1", "temp", AlertEvent::cleared), alert("R1", "current", AlertEvent::cleared)});
  plant.step({alert("R1", "vib", AlertEvent::cleared, AlertKind::spread)});
  const auto end = wait(plant, 601s);
  CHECK(end.ends_with("case cleared"));
  CHECK(plant.desk.open() == 0);
}

TEST_CASE("what is critical is told at once, and what becomes critical once more") {
  Plant plant;
  CHECK(events(plant.step({alert("R1", "temp", AlertEvent::raised, AlertKind::limit,
                                 Severity::critical)})) == "limit raised, case raised!");
  plant.step({alert("R2", "temp")});
  CHECK(wait(plant, 10s) == "case raised!");
  CHECK(events(plant.step({alert("R2", "temp", AlertEvent::escalated, AlertKind::shift,
                                 Severity::critical)})) == "shift escalated, case escalated!");
}

TEST_CASE("faults of sensors are a case of their own, and a machine's alert becomes unknown") {
  Plant plant;
  plant.step({alert("R1", "temp")});
  auto told =
      plant.step({alert("R1", "temp", AlertEvent::raised, AlertKind::gap, Severity::notice)});
  REQUIRE(events(told) == "gap raised, shift updated");
  CHECK(told[1].state == AlertState::unknown);
  CHECK(told[1].message.ends_with("nobody knows how it stands"));
  CHECK(wait(plant, 12s) == "case raised!, sensor_case raised!");
  told = plant.step({alert("R1", "temp", AlertEvent::cleared, AlertKind::gap, Severity::notice)});
  REQUIRE(only(told, false).size() == 2);
  CHECK(only(told, false)[1].state == AlertState::active);
  CHECK(plant.desk.open() == 3);  // the shift and both cases
}

TEST_CASE("an acknowledged alert says so until it gets worse") {
  Plant plant;
  const auto id = plant.step({alert("R1", "temp")}).front().id;
  std::vector<Alert> told;
  CHECK(plant.ask(command(CommandKind::acknowledge, id), &told).ok);
  REQUIRE(events(told) == "shift acknowledged");
  CHECK(told[0].acknowledged);
  CHECK(told[0].revision == 2);
  REQUIRE(told[0].note);
  CHECK(told[0].note->by == "anna");
  CHECK(plant.ask(command(CommandKind::acknowledge, id), &told).ok);  // again: nothing to tell
  CHECK(told.empty());
  plant.restart();
  told = plant.step({alert("R1", "temp", AlertEvent::updated)});
  CHECK(told.front().acknowledged);
  CHECK(told.front().revision == 3);
  told = plant.step(
      {alert("R1", "temp", AlertEvent::escalated, AlertKind::shift, Severity::critical)});
  CHECK_FALSE(told.front().acknowledged);
}

TEST_CASE("a shelved alert comes back by itself") {
  Plant plant;
  const auto id = plant.step({alert("R1", "temp")}).front().id;
  auto shelve = command(CommandKind::shelve, id);
  CHECK(plant.ask(shelve).text == "until when? `to` or `minutes` is missing");
  shelve.to = plant.now();
  CHECK_FALSE(plant.ask(shelve).ok);
  shelve.to = plant.now() + 1h;
  std::vector<Alert> told;
  CHECK(plant.ask(shelve, &told).ok);
  CHECK(told.front().shelved_until == shelve.to);
  // The case was not told yet, and is not now.
  CHECK(wait(plant, 3599s, 1s) == "");
  plant.restart();
  CHECK(wait(plant, 20s) == "shift unshelved, case raised!");
}

TEST_CASE("an old trouble hides no new one: who joins a shift later is told") {
  Plant plant;
  plant.step({alert("R1", "temp")});
  CHECK(wait(plant, 20s) == "case raised!");
  CHECK(plant.ask(command(CommandKind::acknowledge, "R1/_machine/case/1700000001000")).ok);
  // What joins soon is quiet.
  plant.step({alert("R1", "current")});
  CHECK(wait(plant, 600s, 60s) == "case updated");
  CHECK(wait(plant, 9 * 3600s, 60s).empty());
  plant.restart();
  const auto told = plant.step({alert("R1", "torque")});
  CHECK(events(told) == "shift raised, case updated!");
  CHECK_FALSE(told.back().acknowledged);
  CHECK(told.back().parts.size() == 3);
  plant.step({alert("R1", "torque", AlertEvent::cleared)});
  CHECK(wait(plant, 9 * 3600s, 60s).find('!') == std::string::npos);
}

TEST_CASE("under maintenance alerts are kept, and nobody is told") {
  Plant plant;
  Command planned;
  planned.kind = CommandKind::maintenance_start;
  planned.machine = "R*";
  CHECK_FALSE(plant.ask(planned).ok);
  planned.from = plant.now() + 1h;
  planned.to = plant.now() + 2h;
  CHECK(plant.ask(planned).ok);
  plant.step({alert("R1", "temp")});
  CHECK(wait(plant, 20s) == "case raised!");
  CHECK(wait(plant, 3600s, 60s) == "shift suppressed, case updated");
  CHECK(wait(plant, 600s, 60s) == "case cleared");
  const auto told = plant.step({alert("R2", "temp"), alert("X1", "temp")});
  REQUIRE(events(told) == "shift raised, shift raised");
  CHECK(told[0].suppressed);
  CHECK_FALSE(told[1].suppressed);
  CHECK(wait(plant, 20s) == "case raised!");  // X1
  plant.restart();
  CHECK(wait(plant, 3000s, 10s) ==
        "shift unsuppressed, shift unsuppressed, case raised!, case raised!");
  planned.kind = CommandKind::maintenance_stop;
  CHECK_FALSE(plant.ask(planned).ok);
}

TEST_CASE("an alert that comes and goes becomes one that chatters") {
  Plan plan;
  plan.desk.chatter_window = 10min;
  Plant plant{plan};
  std::vector<Alert> all;
  const auto go = [&](AlertEvent event, Duration later) {
    for (auto& a : plant.step({alert("R1", "temp", event)}, later)) all.push_back(std::move(a));
  };
  for (int i = 0; i < 20; ++i) {
    go(AlertEvent::raised, 60s);
    go(AlertEvent::cleared, 30s);
  }
  const auto parts = only(all, false);
  const auto raised = std::count_if(parts.begin(), parts.end(),
                                    [](const Alert& a) { return a.event == AlertEvent::raised; });
  CHECK(raised == 3);
  CHECK(parts.back().chattering);
  CHECK(parts.back().occurrences == 20);
  CHECK(plant.desk.figures().chattering == 1);
  CHECK(only(all, true).size() < 25);
  CHECK(std::count_if(all.begin(), all.end(), [](const Alert& a) { return a.notify; }) == 1);
  const auto end = wait(plant, 1300s, 10s);
  CHECK(end.find("shift cleared") != std::string::npos);
  CHECK(end.ends_with("case cleared"));
  CHECK(plant.desk.open() == 0);
}

TEST_CASE("a latched alert stays until somebody has taken note") {
  Plan plan;
  plan.profiles.emplace_back();
  plan.profiles.back().alarm.latch = true;
  Plant plant{plan};
  const auto id = plant.step({alert("R1", "temp")}).front().id;
  CHECK(events(plant.step({alert("R1", "temp", AlertEvent::cleared)})) == "shift latched");
  // It comes again: the same trouble, under the same id.
  const auto again = plant.step({alert("R1", "temp")}).front();
  CHECK(again.id == id);
  CHECK(again.event == AlertEvent::updated);
  CHECK(again.occurrences == 2);
  plant.step({alert("R1", "temp", AlertEvent::cleared)});
  std::vector<Alert> told;
  CHECK(plant.ask(command(CommandKind::acknowledge, id), &told).ok);
  CHECK(events(told) == "shift cleared");
}

TEST_CASE("an alert that a person has closed is silent until its condition is over") {
  Plant plant;
  const auto id = plant.step({alert("R1", "temp")}).front().id;
  CHECK(plant.ask(command(CommandKind::close, id)).ok);
  CHECK(plant.desk.open() == 1);  // its case, untold
  CHECK(events(plant.step({alert("R1", "temp", AlertEvent::updated)})) == "");
  plant.restart();
  CHECK(events(plant.step({alert("R1", "temp", AlertEvent::cleared)})) == "");
  CHECK_FALSE(plant.ask(command(CommandKind::close, id)).ok);
  CHECK(events(plant.step({alert("R1", "temp")})) == "shift raised");
}

TEST_CASE("warnings that nobody takes note of, or that will soon be true, become critical") {
  Plan plan;
  plan.desk.escalate_after = 1h;
  plan.desk.escalate_within = 48h;
  Plant plant{plan};
  plant.step({alert("R1", "temp")});
  auto wear = alert("R2", "temp");
  wear.forecast = Forecast{90, start + 60h, start + 50h, {}};
  const auto id = plant.step({wear}).front().id;
  CHECK(plant.ask(command(CommandKind::acknowledge, id)).ok);
  wait(plant, 20s);
  CHECK(wait(plant, 3600s, 10s) == "shift escalated, case escalated!");
  CHECK(wait(plant, 3700s, 10s) == "shift escalated, case escalated!");
}

TEST_CASE("the budget is kept, the worst come first, what is critical gets through") {
  Plan plan;
  plan.desk.budget = {4, 1h};
  Plant plant{plan};
  std::vector<Alert> all;
  const auto collect = [&](std::vector<Alert> told) {
    for (auto& a : told) all.push_back(std::move(a));
  };
  const auto heard = [&] {
    std::string out;
    for (const auto& a : all)
      if (a.notify) out += a.machine + " ";
    return out;
  };
  for (int i = 0; i < 8; ++i) {
    auto a = alert(fmt::format("R{}", i), "temp", AlertEvent::raised, AlertKind::stuck);
    a.priority += i;
    collect(plant.step({a}));
  }
  for (int i = 0; i < 60; ++i) collect(plant.step({}));
  CHECK(heard() == "R1 R0 R2 ");  // one is kept free
  CHECK(plant.desk.figures().waiting == 5);
  CHECK(std::count_if(all.begin(), all.end(), [](const Alert& a) { return a.held_back; }) == 5);
  collect(
      plant.step({alert("C", "temp", AlertEvent::raised, AlertKind::limit, Severity::critical)}));
  CHECK(heard().ends_with("C "));
  // As the hour moves on, those that wait are told, the highest priority first.
  for (int i = 0; i < 3600; i += 10) collect(plant.step({}, 10s));
  CHECK(heard() == "R1 R0 R2 C R7 R6 R5 ");
  plant.restart();
  // What ends unheard is counted.
  collect(plant.step({alert("R3", "temp", AlertEvent::cleared, AlertKind::stuck)}));
  for (int i = 0; i < 700; ++i) collect(plant.step({}));
  CHECK(plant.desk.figures().held_back == 1);
}

TEST_CASE(
    "what was learned to be critical keeps to the budget, but for the worst; a limit passes") {
  Plan plan;
  plan.desk.budget = {4, 1h};
  plan.desk.escalate_after = 30min;
  Plant plant{plan};
  std::string heard;
  const auto step = [&](std::vector<Alert> alerts) {
    for (const auto& a : plant.step(std::move(alerts), 10s))
      if (a.notify) heard += a.machine + " ";
  };
  const auto critical = [](const std::string& machine, double score,
                           AlertKind kind = AlertKind::shift) {
    auto a = alert(machine, "temp", AlertEvent::raised, kind, Severity::critical);
    a.confidence = machine == "young" ? 0.4 : 0.6;
    a.score = score;
    a.priority = priority_of(a.severity, score);
    return a;
  };
  // Far enough apart to be no crowd.
  const auto later = [&] {
    for (int i = 0; i < 20; ++i) step({});
  };
  for (int i = 0; i < 3; ++i, later()) step({critical(fmt::format("R{}", i), 3)});
  CHECK(heard == "R0 R1 R2 ");
  step({critical("R4", 2.5)});
  later();
  CHECK(heard == "R0 R1 R2 ");
  CHECK(plant.desk.figures().waiting == 1);
  step({critical("R5", 8)});
  later();
  step({critical("R6", 7)});
  later();
  CHECK(heard == "R0 R1 R2 R5 ");
  step({critical("L", 1.1, AlertKind::limit)});
  later();
  plant.restart();
  CHECK(heard == "R0 R1 R2 R5 L ");
  // What is twice as bad passes.
  step({critical("R7", 15.9)});
  later();
  CHECK(heard == "R0 R1 R2 R5 L ");
  // On a first morning everything is worse than anything before.
  step({critical("young", 100)});
  later();
  CHECK(heard == "R0 R1 R2 R5 L ");
  step({critical("R8", 16.1)});
  later();
  CHECK(heard == "R0 R1 R2 R5 L R8 ");
  // A warning that nobody took note of is critical by a person's own rule.
  step({alert("W", "temp")});
  CHECK(heard == "R0 R1 R2 R5 L R8 ");
  for (int i = 0; i < 190; ++i) step({});
  CHECK(heard.find("W ") != std::string::npos);
  // Those that wait are told as soon as there is room, the worst of them first.
  for (int i = 0; i < 760; ++i) step({});
  CHECK(heard.find("R7 ") < heard.find("R6 "));
  CHECK(heard.find("R6 ") < heard.find("R4 "));
  CHECK(heard.find("R4 ") != std::string::npos);
  CHECK(plant.desk.figures().waiting == 0);
}

namespace {

// Silence that is told after ten minutes of it.
Alert gap(const Plant& plant, const std::string& machine, const std::string& sensor,
          Duration ago = 600s) {
  auto a = alert(machine, sensor, AlertEvent::raised, AlertKind::gap, Severity::notice);
  a.onset = plant.now() - ago;
  return a;
}
Alert gap_over(const std::string& machine, const std::string& sensor) {
  return alert(machine, sensor, AlertEvent::cleared, AlertKind::gap, Severity::notice);
}

}  // namespace

TEST_CASE("machines that fall silent at once are one case of the plant, told once") {
  Plant plant;
  std::vector<Alert> all;
  const auto step = [&](std::vector<Alert> alerts, Duration later = 10s) {
    for (auto& a : plant.step(std::move(alerts), later)) all.push_back(std::move(a));
  };
  // One that was silent before stays a trouble of its own.
  step({gap(plant, "R3", "old", 700s)});
  for (int i = 0; i < 30; ++i) step({}, 60s);
  REQUIRE(events(only(all, true)) == "sensor_case raised!");
  all.clear();
  // Two sensors each of twenty machines, told over a minute and a half.
  for (int m = 0; m < 20; ++m) {
    const auto name = fmt::format("R{}", m);
    step({gap(plant, name, "temp"), gap(plant, name, "vib")}, 4s);
  }
  plant.restart();
  for (int i = 0; i < 20; ++i) step({});
  auto cases = only(all, true);
  REQUIRE(std::count_if(cases.begin(), cases.end(), [](const Alert& a) { return a.notify; }) == 1);
  const auto one =
      *std::find_if(cases.begin(), cases.end(), [](const Alert& a) { return a.notify; });
  CHECK(one.machine == "_plant");
  CHECK(one.kind == AlertKind::sensor_case);
  CHECK(one.severity == Severity::warning);
  CHECK(one.parts.size() == Desk::most_parts);
  CHECK(one.parts.front().sensor.find('/') != std::string::npos);
  CHECK(one.message.starts_with("Plant: 20 machines fell silent at about the same time"));
  // They report again, but two: these are told of, each as a trouble of its own.
  all.clear();
  for (int m = 0; m < 18; ++m) {
    const auto name = fmt::format("R{}", m);
    step({gap_over(name, "temp"), gap_over(name, "vib")}, 4s);
  }
  for (int i = 0; i < 90; ++i) step({});
  plant.restart();
  std::string heard;
  for (const auto& a : all) {
    if (is_case(a.kind) && (a.notify || a.event == AlertEvent::cleared))
      heard += fmt::format("{} {}, ", a.machine, name_of(a.event));
  }
  CHECK(heard == "_plant cleared, R18 raised, R19 raised, ");
  CHECK(plant.desk.figures().open == 5);
}

TEST_CASE(
    "machines that have the wrong time at once are one case of the plant, apart from silence") {
  Plant plant;
  std::vector<Alert> all;
  const auto step = [&](std::vector<Alert> alerts, Duration later = 10s) {
    for (auto& a : plant.step(std::move(alerts), later)) all.push_back(std::move(a));
  };
  const auto wrong = [&](const std::string& machine) {
    auto a = alert(machine, "temp", AlertEvent::raised, AlertKind::clock, Severity::notice);
    a.onset = plant.now() - 60s;
    return a;
  };
  const auto right = [](const std::string& machine) {
    return alert(machine, "temp", AlertEvent::cleared, AlertKind::clock, Severity::notice);
  };
  step({wrong("R1"), wrong("R2"), gap(plant, "S1", "temp", 60s), gap(plant, "S2", "temp", 60s)});
  step({wrong("R3"), wrong("R4")});
  plant.restart();
  for (int i = 0; i < 20; ++i) step({});
  std::map<std::string, Alert> heard;
  for (const auto& a : all)
    if (a.notify) CHECK(heard.emplace(a.machine, a).second);
  REQUIRE(heard.size() == 3);  // with S1 and S2, each by itself
  const auto& one = heard.at("_plant");
  CHECK(one.parts.size() == 4);
  CHECK(one.message.starts_with("Plant: 4 machines have the wrong time, "));
  all.clear();
  step({right("R1"), right("R2"), right("R3"), right("R4")});
  for (int i = 0; i < 90; ++i) step({});
  const auto told = only(all, true);
  CHECK(std::any_of(told.begin(), told.end(), [](const Alert& a) {
    return a.machine == "_plant" && a.event == AlertEvent::cleared;
  }));
}

TEST_CASE("an outage is told though the budget is used up") {
  Plan plan;
  plan.desk.budget = {2, 1h};
  Plant plant{plan};
  std::string heard;
  const auto step = [&](std::vector<Alert> alerts) {
    for (const auto& a : plant.step(std::move(alerts), 10s))
      if (a.notify) heard += a.machine + " ";
  };
  for (int m = 0; m < 3; ++m) {
    step({alert(fmt::format("C{}", m), "temp", AlertEvent::raised, AlertKind::limit,
                Severity::critical)});
  }
  step({alert("W", "temp", AlertEvent::raised, AlertKind::stuck)});
  step({gap(plant, "R1", "temp"), gap(plant, "R2", "temp"), gap(plant, "R3", "temp")});
  for (int i = 0; i < 60; ++i) step({});
  CHECK(heard == "C0 C1 C2 _plant ");
}

TEST_CASE("silence of few machines, or at different times, is told one by one") {
  Plant plant;
  std::string heard;
  const auto step = [&](std::vector<Alert> alerts, Duration later = 10s) {
    for (const auto& a : plant.step(std::move(alerts), later))
      if (a.notify) heard += a.machine + " ";
  };
  step({gap(plant, "R1", "temp"), gap(plant, "R2", "temp")});
  for (int i = 0; i < 100; ++i) step({});
  CHECK(heard == "R1 R2 ");
  for (int m = 3; m < 7; ++m) {
    step({gap(plant, fmt::format("R{}", m), "temp")});
    for (int i = 0; i < 60; ++i) step({});
  }
  CHECK(heard == "R1 R2 R3 R4 R5 R6 ");
}

TEST_CASE("a gateway that fails again before it was over is the same outage") {
  Plant plant;
  std::size_t heard = 0;
  const auto run = [&](auto make, Duration time) {
    std::vector<Alert> alerts;
    for (int m = 0; m < 5; ++m) alerts.push_back(make(fmt::format("R{}", m)));
    for (Duration t{0}; t < time; t += 10s) {
      for (const auto& a : plant.step(std::exchange(alerts, {}), 10s)) heard += a.notify;
    }
  };
  for (int i = 0; i < 4; ++i) {
    run([&](const std::string& name) { return gap(plant, name, "temp"); }, 300s);
    run([&](const std::string& name) { return gap_over(name, "temp"); }, 800s);
  }
  CHECK(heard == 1);
}

TEST_CASE("an outage can be answered, and is over when all report") {
  Plant plant;
  plant.step({gap(plant, "R1", "temp"), gap(plant, "R2", "temp"), gap(plant, "R3", "temp")});
  std::string id;
  for (int i = 0; i < 20; ++i) {
    for (const auto& a : plant.step({}, 10s))
      if (a.notify) id = a.id;
  }
  REQUIRE(id.starts_with("_plant/R1/sensor_case/"));
  CHECK(plant.ask(command(CommandKind::acknowledge, id)).text ==
        id + " is acknowledged, and 3 of its alerts");
  plant.step({gap_over("R1", "temp"), gap_over("R2", "temp"), gap_over("R3", "temp")});
  CHECK(wait(plant, 700s, 10s).ends_with("sensor_case cleared"));
  CHECK(plant.desk.open() == 0);
}

TEST_CASE(
    "machines that become unusual at once are told of together, and singly when it gets worse") {
  Plan plan;
  plan.desk.budget = {6, 1h};
  Plant plant{plan};
  std::vector<Alert> all;
  const auto step = [&](std::vector<Alert> alerts, Duration later = 10s) {
    for (auto& a : plant.step(std::move(alerts), later)) all.push_back(std::move(a));
  };
  const auto heard = [&] {
    std::string out;
    for (const auto& a : std::exchange(all, {})) {
      if (a.notify)
        out += fmt::format("{} {} {}, ", a.machine, name_of(a.event), name_of(a.severity));
    }
    return out;
  };
  const auto critical = [](const std::string& machine) {
    return alert(machine, "temp", AlertEvent::raised, AlertKind::shift, Severity::critical);
  };
  // Twelve within two minutes, some of them critical and told at once.
  for (int m = 0; m < 12; ++m) {
    const auto name = fmt::format("R{:02}", m);
    step({m % 3 == 0 ? critical(name) : alert(name, "temp")});
  }
  plant.restart();
  for (int i = 0; i < 6; ++i) step({});
  const auto plants = std::count_if(all.begin(), all.end(), [](const Alert& a) {
    return a.machine == Desk::whole_plant && a.notify;
  });
  CHECK(plants == 1);
  std::vector<Alert> crowd, members;
  std::copy_if(all.begin(), all.end(), std::back_inserter(crowd),
               [](const Alert& a) { return a.machine == Desk::whole_plant; });
  REQUIRE_FALSE(crowd.empty());
  const auto last = crowd.back();
  CHECK(last.kind == AlertKind::machine_case);
  CHECK(last.severity == Severity::critical);
  CHECK(last.parts.size() == 12);
  CHECK(last.parts.front().sensor == "R00/_machine");
  CHECK(last.message.starts_with("Plant: 12 machines are not as usual at about the same time"));
  std::map<std::string, Alert> listed;  // as told last
  for (const auto& a : all) {
    if (a.kind == AlertKind::machine_case && a.machine != Desk::whole_plant) listed[a.machine] = a;
  }
  CHECK(listed.size() == 12);
  for (const auto& [machine, a] : listed) CHECK_FALSE(a.held_back);
  CHECK(plant.desk.figures().waiting == 0);
  CHECK(heard() ==
        "R00 raised critical, R01 raised warning, R02 raised warning, R03 raised critical, "
        "_plant raised critical, ");
  // One of them gets worse at once: no more than people know. Later it speaks for itself.
  auto soon = alert("R05", "temp", AlertEvent::updated);
  soon.severity = Severity::critical;
  step({soon});
  for (int i = 0; i < 180; ++i) step({});
  CHECK(heard().empty());
  auto worse = alert("R04", "temp", AlertEvent::updated);
  worse.severity = Severity::critical;
  step({worse});
  for (int i = 0; i < 3; ++i) step({});
  CHECK(heard() == "R04 escalated critical, ");
  // Others follow, and are told of together from the fifth on.
  for (const auto* machine : {"R01", "R02", "R07", "R08", "R10", "R11"}) {
    worse = alert(machine, "temp", AlertEvent::updated);
    worse.severity = Severity::critical;
    step({worse});
  }
  for (int i = 0; i < 3; ++i) step({});
  CHECK(heard() ==
        "R01 escalated critical, R02 escalated critical, R07 escalated critical, "
        "_plant raised critical, ");
  // A person answers for all of them.
  CHECK(plant.ask(command(CommandKind::acknowledge, last.id)).text ==
        last.id + " is acknowledged, and 5 of its alerts");
  plant.restart();
  std::vector<Alert> well;
  for (int m = 0; m < 12; ++m)
    well.push_back(alert(fmt::format("R{:02}", m), "temp", AlertEvent::cleared));
  step(std::move(well));
  CHECK(wait(plant, 1300s, 10s).ends_with("case cleared"));
  CHECK(plant.desk.open() == 0);
}

TEST_CASE("few machines, or some that become unusual one after the other, are told of singly") {
  Plant plant;
  std::string heard;
  for (int m = 0; m < 12; ++m) {
    std::vector<Alert> alerts{alert(fmt::format("R{:02}", m), "temp")};
    for (int i = 0; i < 16; ++i) {
      for (const auto& a : plant.step(std::exchange(alerts, {}), 10s))
        if (a.notify) heard += a.machine + " ";
    }
  }
  CHECK(heard == "R00 R01 R02 R03 R04 R05 R06 R07 R08 R09 R10 R11 ");
}

TEST_CASE("what comes back within a shift is told again only when it is worse or stays") {
  Plant plant;
  std::vector<Alert> heard;
  const auto run = [&](std::vector<Alert> alerts, Duration time) {
    for (Duration t{0}; t < time; t += 30s) {
      for (const auto& a : plant.step(std::exchange(alerts, {}), 30s))
        if (a.notify) heard.push_back(a);
    }
  };
  const auto raised = [](Severity severity = Severity::warning) {
    return alert("R1", "temp", AlertEvent::raised, AlertKind::shift, severity);
  };
  // A loose sensor: every 25 minutes for five minutes, too slow to chatter.
  for (int i = 0; i < 10; ++i) {
    run({raised()}, 300s);
    run({alert("R1", "temp", AlertEvent::cleared)}, 1200s);
  }
  CHECK(heard.size() == 1);
  CHECK(plant.desk.figures().held_back == 9);
  plant.restart();
  // Another sensor is news, and so is what is worse.
  run({alert("R1", "vib")}, 300s);
  CHECK(heard.size() == 2);
  run({alert("R1", "vib", AlertEvent::cleared)}, 900s);
  run({raised(Severity::critical)}, 60s);
  CHECK(heard.size() == 3);
  run({alert("R1", "temp", AlertEvent::cleared)}, 900s);
  // It stays.
  run({raised()}, 1700s);
  CHECK(heard.size() == 3);
  run({}, 200s);
  CHECK(heard.size() == 4);
}

TEST_CASE("a desk does the same however its input is cut, and after every restart") {
  Random random{7};
  std::vector<std::vector<Alert>> steps;
  std::map<std::string, std::pair<bool, int>> open;
  for (int i = 0; i < 400; ++i) {
    steps.emplace_back();
    for (std::uint64_t k = random.next() % 3; k > 0; --k) {
      const auto machine = fmt::format("R{}", random.next() % 4);
      const auto sensor = fmt::format("s{}", random.next() % 3);
      const auto kind = random.next() % 3 == 0 ? AlertKind::gap : AlertKind::shift;
      auto a = alert(machine, sensor, AlertEvent::raised, kind,
                     kind == AlertKind::gap ? Severity::notice : Severity::warning);
      auto& [is_open, number] = open[machine + sensor + std::string{name_of(kind)}];
      a.event = is_open ? AlertEvent::cleared : AlertEvent::raised;
      number += is_open ? 0 : 1;
      is_open = !is_open;
      a.id = fmt::format("{}/{}/{}/{}", machine, sensor, name_of(kind), number);
      a.position = static_cast<Position>(i) + 1;
      a.time = a.onset = start + std::chrono::seconds{20 * i};
      steps.back().push_back(a);
    }
  }
  Plan plan;
  plan.desk.budget = {5, 1h};
  const auto shared = std::make_shared<const Plan>(plan);
  const auto run = [&](std::size_t chunk, bool restarts) {
    Desk desk{shared};
    std::string out;
    for (std::size_t i = 0; i < steps.size(); i += chunk) {
      std::vector<Alert> alerts;
      std::vector<Passed> ticks;
      for (std::size_t k = i; k < std::min(i + chunk, steps.size()); ++k) {
        alerts.insert(alerts.end(), steps[k].begin(), steps[k].end());
        ticks.push_back({static_cast<Position>(k + 1),
                         start + std::chrono::seconds{20 * static_cast<std::int64_t>(k)}});
      }
      desk.follow(ticks, alerts);
      for (const auto& a : alerts) Writer{out}(a);
      if (restarts) {
        Desk fresh{shared};
        REQUIRE(fresh.restore(desk.save()));
        desk = std::move(fresh);
      }
    }
    return std::pair{out, desk.save()};
  };
  const auto whole = run(1, false);
  CHECK(whole.first.size() > 10000);
  CHECK(run(7, false) == whole);
  CHECK(run(1000, false) == whole);
  CHECK(run(3, true) == whole);
}

TEST_CASE("a desk refuses what is none, and takes over machines of another") {
  Plant plant;
  plant.step({alert("R1", "temp"), alert("R2", "temp")});
  auto bytes = plant.desk.save();
  Desk other{plant.plan};
  CHECK(other.take_over(bytes, [](std::string_view machine) { return machine == "R2"; }));
  CHECK(other.open() == 2);
  for (std::size_t i = 0; i < bytes.size(); i += 7) {
    auto damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    Desk fresh{plant.plan};
    CHECK_FALSE(fresh.restore(damaged));
    CHECK_FALSE(fresh.restore(std::string_view{bytes}.substr(0, i)));
    CHECK(fresh.open() == 0);
  }
}

namespace {

// An event of the archive: `revision` of an alert that this desk has not told.
Alert archived(const std::string& sensor, int number, std::uint32_t revision,
               AlertState state = AlertState::active, AlertKind kind = AlertKind::shift) {
  Alert a = alert("R1", sensor, AlertEvent::updated, kind);
  a.id = fmt::format("R1/{}/{}/{}", sensor, name_of(kind), number);
  a.revision = revision;
  a.state = state;
  a.time = a.onset = start;
  a.message = sensor + " is odd";
  return a;
}

std::vector<Alert> catch_up(Plant& plant, std::vector<Alert> of_archive) {
  std::vector<Alert> told;
  plant.desk.catch_up(std::move(of_archive), plant.now(), 1'000, told);
  return told;
}

}  // namespace

TEST_CASE("revisions go on from those that the archive has of a time that was lost") {
  Plant plant;
  const auto first = plant.step({alert("R1", "temp")});
  REQUIRE(first.size() == 1);
  auto newer = archived("temp", 1, 4);
  REQUIRE(newer.id == first[0].id);
  newer.acknowledged = true;
  CHECK(catch_up(plant, {newer}).empty());
  const auto told = only(
      plant.step({alert("R1", "temp", AlertEvent::raised, AlertKind::shift, Severity::critical),
                  alert("R1", "temp", AlertEvent::cleared)}),
      false);
  REQUIRE(told.size() >= 1);
  CHECK(told.front().revision == 5);
  CHECK(told.back().event == AlertEvent::cleared);
}

TEST_CASE("what is over in the archive, and still goes on here, is told again") {
  Plant plant;
  plant.step({alert("R1", "temp")});
  const auto told = catch_up(plant, {archived("temp", 1, 3, AlertState::cleared)});
  REQUIRE(events(told) == "shift updated");
  CHECK(told[0].revision == 4);
  CHECK(told[0].state == AlertState::active);
  // Of what is over, and of which nothing is known, there is nothing to say.
  CHECK(catch_up(plant, {archived("vib", 1, 3, AlertState::cleared)}).empty());
}

TEST_CASE("an open alert that only the archive knows goes on when it is raised again") {
  Plant plant;
  plant.step({});
  CHECK(catch_up(plant, {archived("temp", 77, 2)}).empty());
  CHECK(plant.desk.open() == 2);  // and its case
  plant.restart();
  const auto again = only(plant.step({alert("R1", "temp")}, 90s), false);
  REQUIRE(events(again) == "shift updated");
  CHECK(again[0].id == "R1/temp/shift/77");
  CHECK(again[0].revision == 3);
  const auto over = only(plant.step({alert("R1", "temp", AlertEvent::cleared)}), false);
  REQUIRE(events(over) == "shift cleared");
  CHECK(over[0].id == "R1/temp/shift/77");
  CHECK(over[0].revision == 4);
}

TEST_CASE("an open alert that only the archive knows ends when nothing raises it again") {
  Plant plant;
  plant.step({});
  const auto of_case = [] {
    auto one = archived("_machine", 77, 5, AlertState::active, AlertKind::machine_case);
    one.id = "R1/_machine/case/77";
    return one;
  }();
  CHECK(catch_up(plant, {archived("temp", 77, 2), of_case}).empty());
  CHECK(plant.desk.open() == 2);
  std::vector<Alert> told;
  for (int minute = 0; minute < 60; ++minute) {
    for (auto& one : plant.step({}, 1min)) told.push_back(std::move(one));
  }
  const auto alerts = only(told, false), cases = only(told, true);
  REQUIRE(events(alerts) == "shift cleared");
  CHECK(alerts[0].id == "R1/temp/shift/77");
  CHECK(alerts[0].revision == 3);
  REQUIRE(!cases.empty());
  CHECK(cases.back().event == AlertEvent::cleared);
  CHECK(cases.back().id == of_case.id);
  CHECK(cases.back().revision == 5 + cases.size());
  CHECK(plant.desk.open() == 0);
}

TEST_CASE("a person can close what only the archive knows") {
  Plant plant;
  plant.step({});
  catch_up(plant, {archived("temp", 77, 2)});
  std::vector<Alert> told;
  CHECK(plant.ask(command(CommandKind::close, "R1/temp/shift/77"), &told).ok);
  REQUIRE(!told.empty());
  CHECK(told[0].event == AlertEvent::closed);
  CHECK(told[0].revision == 3);
}

TEST_CASE("of two alerts of one kind the one that only the archive knows is closed") {
  Plant plant;
  plant.step({alert("R1", "temp")});
  auto of_plant = archived("temp", 7, 2, AlertState::active, AlertKind::sensor_case);
  of_plant.machine = Desk::whole_plant;
  const auto told = catch_up(plant, {archived("temp", 77, 2), of_plant});
  REQUIRE(events(told) == "sensor_case closed, shift closed");
  CHECK(told[1].id == "R1/temp/shift/77");
  CHECK(told[1].revision == 3);
  CHECK(told[1].state == AlertState::cleared);
  CHECK(told[1].message == "temp is odd; how it went on was lost in a restart");
}
