// What people see of alerts: their life after they were raised, cases, the budget, and what people
// answer. Stands behind the engine and the fleet in a lane, under the same contract: a pure
// function of their alerts, of ticks and of commands, in the order of the journal; state is bytes.
// All of one journal position comes in one call.
//
//   alerts --> follow --> the same alerts with what people said, revisions of their own, and cases
//   ticks  -->            shelves that end, maintenance, chattering that is over, notifications
//   commands -> take  --> acknowledged, shelved, ...
//
// Page: docs/alerts.md. Thread rule: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert.h"
#include "core/command.h"
#include "engine/alarm.h"
#include "engine/alarm_figures.h"
#include "engine/budget.h"
#include "engine/engine.h"
#include "engine/lifecycle.h"
#include "engine/plan.h"

namespace millwright::engine {

class Desk {
 public:
  static constexpr std::uint16_t format_version = 3;  // docs/formats/state.md
  static constexpr std::size_t most_parts = 32;       // of a case that are listed
  static constexpr std::size_t most_windows = 1000;   // of maintenance
  // The machine of a case of many machines that fell silent, or became unusual, at once; its sensor
  // is the first of them.
  static constexpr std::string_view whole_plant = "_plant";

  // `lanes` share the budget evenly.
  explicit Desk(std::shared_ptr<const Plan> plan, std::uint32_t lanes = 1);

  // Replaces `alerts` by what is told.
  void follow(std::span<const Passed> ticks, std::vector<Alert>& alerts);
  // Of alerts and maintenance. Appends what is told.
  CommandAnswer take(const Command& command, Timestamp now, Position position,
                     std::vector<Alert>& told);

  // The newest events, as the archive has them, of alerts that were told of in a time that this
  // state has lost. Revisions go on from there; what is open there and unknown here goes on when
  // the engine raises it again, and else ends as what chatters does. Appends what is told.
  void catch_up(std::vector<Alert> archived, Timestamp now, Position position,
                std::vector<Alert>& told);

  // Open ones, cases too.
  std::size_t open() const;
  AlarmFigures figures() const;

  std::string save() const;
  // False, and nothing changes, when the bytes are none of a desk.
  bool restore(std::string_view bytes);
  // Takes what another desk had of the machines that are `mine`; figures and the budget begin anew.
  // False, and nothing changes, when the bytes are none of a desk.
  bool take_over(std::string_view bytes, const std::function<bool(std::string_view)>& mine);

 private:
  // An alert that was raised and is not over, or that chatters.
  struct Record {
    Alert alert;            // as told last
    std::string raised_as;  // the engine's id of the present episode; the alert keeps its first
    Life life;
    Timestamp raised, began;         // of the present episode, event time
    Timestamp noticed;               // likewise, by the clock of ticks
    std::optional<Timestamp> quiet;  // chatters, but is over since
    bool dropped = false;  // a person closed it: nothing is told until its condition is over
    // The engine will still say when its condition is over.
    bool holds() const {
      return !quiet && (life.state == AlertState::active || life.state == AlertState::unknown);
    }
    void begin(const Alert& episode, Timestamp now) {
      raised_as = episode.id;
      raised = episode.time;
      began = episode.onset;
      noticed = now;
      quiet.reset();
    }
    static void fields(auto& io, auto& r) {
      io(r.alert, r.raised_as, r.life, r.raised, r.began, r.noticed, r.quiet, r.dropped);
    }
  };
  // Alerts of one class on one machine that belong together.
  struct Case {
    Alert alert;  // as told last, or to be told
    Life life;
    Timestamp opened;                        // by the clock of ticks
    bool told = false;                       // published at all
    std::optional<Severity> heard;           // people were told of it at this severity,
    Timestamp heard_at;                      // last then
    Duration wait{};                         // more than the usual, before people are told
    std::optional<Timestamp> over;           // no part is open since
    bool changed = false;                    // a part is not as it was when they were gathered
    bool untold_news = false;                // gathered since it was told
    std::vector<std::string> machines = {};  // of the plant: of which it is, by name
    std::optional<Timestamp> ebbing;         // an outage: most of them report again since
    Timestamp grew{};                        // a crowd: took in a machine last
    void add_machine(const std::string& machine) {
      const auto place = std::lower_bound(machines.begin(), machines.end(), machine);
      if (place == machines.end() || *place != machine) machines.insert(place, machine);
    }
    bool is_of_plant() const { return alert.machine == whole_plant && !machines.empty(); }
    bool is_outage() const { return is_of_plant() && alert.kind == AlertKind::sensor_case; }
    // What its machines have in common: they are silent, or have the wrong time.
    AlertKind shared_kind() const {
      return alert.parts.empty() ? AlertKind::gap : alert.parts.front().kind;
    }
    bool is_outage_of(AlertKind kind) const { return is_outage() && shared_kind() == kind; }
    bool is_crowd() const { return is_of_plant() && alert.kind == AlertKind::machine_case; }
    static void fields(auto& io, auto& c) {
      io(c.alert, c.life, c.opened, c.told, c.heard, c.heard_at, c.wait, c.over, c.changed,
         c.untold_news, c.machines, c.ebbing, c.grew);
    }
  };
  // What people were told of and is over: when it comes back it is no news for a while.
  struct Past {
    Timestamp heard_at;
    Severity severity{};
    std::vector<std::string> parts;  // sensor\0kind, by name
    static void fields(auto& io, auto& p) { io(p.heard_at, p.severity, p.parts); }
  };
  struct Window {
    std::string machines;  // glob
    Timestamp from, to;
    std::string by, comment;
    bool covers(std::string_view machine, Timestamp time) const;
    static void fields(auto& io, auto& w) { io(w.machines, w.from, w.to, w.by, w.comment); }
  };
  struct Raises {
    std::string key;
    std::vector<Timestamp> times;  // within the window of chattering
    static void fields(auto& io, auto& r) { io(r.key, r.times); }
  };
  struct Saved;

  const DeskRule& rule() const { return plan_->desk; }
  static void renew(Alert& kept, Alert fresh);
  bool catch_up_known(const Alert& archived, std::vector<Alert>& told);
  bool adopt(Alert archived);
  void hear(Alert alert, std::vector<Alert>& told);
  void raise(Alert alert, std::vector<Alert>& told);
  void go_on(Record& record, Alert alert, std::vector<Alert>& told);
  void finish(Record& record, Alert alert, std::vector<Alert>& told);
  bool begins_to_chatter(const std::string& key, Timestamp time);
  void doubt_machine(const Alert& fault, std::vector<Alert>& told);
  void trust_again(const Alert& fault, std::vector<Alert>& told);
  bool latches(const Alert& alert) const;
  bool under_maintenance(std::string_view machine, Timestamp time) const;
  bool apply(Record& record, Happening what, Timestamp time, std::vector<Alert>& told,
             std::optional<Timestamp> until = {});
  void each_record(const std::string& from, const std::function<void(Record&)>& visit);
  void stamp(Alert& alert, const Life& life, AlertEvent event, Timestamp time) const;
  void tell(Record& record, AlertEvent event, Timestamp time, std::vector<Alert>& told);
  void pass(Timestamp now, Position position, std::vector<Alert>& told);
  void pass(Record& record, std::vector<Alert>& told);
  void drop_ended();

  std::string_view label_of(std::string_view machine) const;
  Case& case_of(const Alert& alert);
  Case* find_case(const Alert& alert);  // that the alert is part of
  static std::string key_of_case(const Case& one);
  void each_part(const Case& one, const std::function<void(Record&)>& visit);
  void join(Record& record);
  void look_at(Case& one, std::vector<Alert>& told);
  void gather_parts(Case& one);
  void notify(std::vector<Alert>& told);
  static CasePart& part_of(Case& one, const std::string& id);
  void settle_parts(Case& one, bool open) const;
  static void take_from(Case& one, Alert worst);
  bool needs_notice(const Case& one);
  bool has_news(const Case& one);
  bool is_repeat(const Case& one) const;
  bool may_tell(const Case& one);
  bool is_sure(const Case& one) const;
  bool is_worst(const Case& one) const;
  void remember(const Case& one);

  // Many machines that fall silent at once (desk_outage.cpp).
  Duration nearness(const Record& gap) const;
  bool may_be_outage(const Record& record) const;
  void find_outages();
  void find_outages(AlertKind kind);
  // May it be what many machines share that is at fault?
  static bool is_shared(AlertKind kind);
  Case& begin_outage(const std::vector<Record*>& gaps);
  void move(Record& gap, Case& outage);
  void watch_ebb(Case& outage, std::vector<Alert>& told);

  // Many machines that become unusual at once (desk_crowd.cpp).
  static bool is_worse_than_told(const Case& one);
  bool may_be_of_crowd(const Case& one);
  void each_member(const Case& crowd, const std::function<void(Case&)>& visit);
  bool is_young(const Case& crowd) const;
  void find_crowd();
  void gather_crowd(Case& crowd);
  void leave_crowd(Case& one);
  void tell_members(std::vector<Alert>& told);
  bool waits_for_crowd(const Case& one);

  Case& begin_of_plant(AlertKind kind, Timestamp onset, const std::string& first);
  // The first machine of records or cases.
  static const std::string& first_by_name(const auto& of) {
    return (*std::min_element(
                of.begin(), of.end(),
                [](const auto* a, const auto* b) { return a->alert.machine < b->alert.machine; }))
        ->alert.machine;
  }
  void tell_case(Case& one, AlertEvent event, bool notify, std::vector<Alert>& told);
  void apply(Case& one, Happening what, std::vector<Alert>& told,
             std::optional<Timestamp> until = {});

  CommandAnswer answer_alert(const Command& command, std::vector<Alert>& told);
  CommandAnswer answer_record(Record& record, const Command& command, std::vector<Alert>& told);
  CommandAnswer answer_case(Case& one, const Command& command, std::vector<Alert>& told);
  CommandAnswer plan_maintenance(const Command& command, std::vector<Alert>& told);
  CommandAnswer stop_maintenance(const Command& command, std::vector<Alert>& told);

  std::shared_ptr<const Plan> plan_;
  BudgetRule budget_rule_;
  std::map<std::string, Record> records_;  // machine\0sensor\0kind
  std::map<std::string, Case> cases_;      // machine\0class\0; outages: and the id
  std::map<std::string, Past> past_;       // likewise, without the id
  std::map<std::string, std::vector<Timestamp>> raises_;
  std::map<std::string, IssuedOnsets> issued_;  // of cases, by machine
  std::vector<Window> windows_;
  Budget budget_;
  AlarmCounts counts_;
  Timestamp now_{};  // by ticks and commands; never falls
  Position position_ = 0;
};

}  // namespace millwright::engine
