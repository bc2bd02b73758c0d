// `millwright explain` on alerts as the engine raises them: the score comes out again from what the
// document says, and the text says what a planner asks.
#include "daemon/explanation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "daemon/documents.h"
#include "tests/engine/harness.h"

using namespace millwright;
using namespace millwright::daemon;
using Json = nlohmann::json;
using engine::at;

namespace {

engine::Rig rig_of(std::vector<engine::DetectorChoice> detectors, double sensitivity_limit = 1) {
  engine::Plan plan;
  plan.profiles.push_back(engine::profile("*", std::move(detectors)));
  plan.profiles[0].unit = "mm/s";
  plan.profiles[0].advice = "Check the bearing";
  plan.profiles[0].alarm.limit = sensitivity_limit;
  plan.profiles[0].alarm.off_delay = std::chrono::seconds{5};
  return engine::Rig{std::move(plan)};
}

// Of every event of the detector: does its document make up the score again? How many there were.
int same_again(const engine::Rig& rig, std::string_view detector) {
  int seen = 0;
  for (const auto& alert : rig.effects.alerts) {
    if (alert.detector != detector) continue;
    CAPTURE(alert.message);
    const auto again = recomputed_score(Json::parse(alert_document(alert, "berlin")));
    REQUIRE(again);
    CHECK(*again == doctest::Approx(alert.score).epsilon(1e-12));
    ++seen;
  }
  return seen;
}

Story story_of(const std::vector<Alert>& alerts) {
  Story story;
  for (const auto& alert : alerts)
    story.steps.push_back({alert.time, alert_document(alert, "berlin"), "", "", ""});
  return story;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the score of a limit comes out again, whatever is set and with hysteresis") {
  const std::vector<ParameterValues> settings{{{"high", 90.0}},
                                              {{"low", -2.0}},
                                              {{"high", 90.0}, {"low", 10.0}},
                                              {{"high", 90.0}, {"critical", 95.0}},
                                              {{"high", 90.0}, {"hysteresis", 6.0}},
                                              {{"high", 0.0}}};
  int events = 0;
  Random random{31};
  for (const auto& setting : settings) {
    auto rig = rig_of({{"limit", setting}});
    double value = 50;
    for (int i = 0; i < 3000; ++i) {
      value += 0.05 * (50 - value) + 12 * random.normal();
      rig.reading("R1", "vib", i, value);
    }
    events += same_again(rig, "limit");
  }
  CHECK(events > 50);
}

TEST_CASE("the score of a silent sensor comes out again, also when it reports again") {
  auto rig = rig_of({{"gap", {}}});
  for (int i = 0; i < 100; ++i) rig.reading("R1", "vib", i, i);
  for (int s = 100; s < 400; s += 7) rig.tick(s);
  rig.reading("R1", "vib", 400, 1);
  CHECK(same_again(rig, "gap") >= 3);  // raised, updated, cleared
}

TEST_CASE("the score of a wrong time comes out again, also when it is right again") {
  auto rig = rig_of({{"clock", {}}});
  for (int i = 0; i < 100; ++i) rig.reading("R1", "vib", i, i);
  for (int i = 100; i < 400; ++i) rig.received("R1", "vib", i + 7200, 1, i);
  for (int i = 400; i < 420; ++i) rig.reading("R1", "vib", i, i);
  CHECK(same_again(rig, "clock") >= 3);  // raised, updated, cleared
}

TEST_CASE("the score of a stuck sensor comes out again") {
  auto rig = rig_of({{"stuck", {}}});
  Random random{32};
  for (int i = 0; i < 600; ++i) rig.reading("R1", "vib", i, random.normal());
  for (int i = 600; i < 1000; ++i) rig.reading("R1", "vib", i, 0.5);
  for (int i = 1000; i < 1100; ++i) rig.reading("R1", "vib", i, random.normal());
  CHECK(same_again(rig, "stuck") >= 3);
}

TEST_CASE("the score of a saturated sensor comes out again, at either end, learned and named") {
  for (const bool named : {false, true}) {
    for (const double sign : {1.0, -1.0}) {
      auto rig = rig_of({{"saturated", named ? ParameterValues{{"high", 3.0}, {"low", -3.0}}
                                             : ParameterValues{}}});
      Random random{33};
      for (int i = 0; i < 3000; ++i) rig.reading("R1", "vib", i, 0.5 * random.normal());
      for (int i = 3000; i < 3300; ++i) {
        const double value = std::min(3.0, 3 + 2 * random.normal());
        rig.reading("R1", "vib", i, sign * value);
      }
      CHECK(same_again(rig, "saturated") >= 1);
    }
  }
}

TEST_CASE("the score of a rate comes out again, under a moved limit and borne out by a second") {
  int moved = 0, borne_out = 0;
  for (const double limit : {1.0, 1.3}) {
    for (const int sensors : {1, 30}) {
      auto rig = rig_of({{"rate", {}}}, limit);
      Random random{34};
      for (int i = 0; i < 1500; ++i) {
        for (int s = 0; s < sensors; ++s) {
          const double ramp = i > 1000 && s == 0 ? (i - 1000.0) * (i - 1000.0) / 20 : 0;
          rig.reading("R1", "s" + std::to_string(s), 10.0 * i, random.normal() + ramp);
        }
      }
      CHECK(same_again(rig, "rate") >= 1);
      for (const auto& alert : rig.effects.alerts) {
        for (const auto& number : alert.numbers) {
          moved += number.name == "alarm_limit";
          borne_out += number.name == "earlier_score";
        }
      }
    }
  }
  CHECK(moved > 0);
  CAPTURE(borne_out);
}

TEST_CASE("what rests on more than its evidence is not recomputed, nor what a document got wrong") {
  auto rig = rig_of({{"shift", {}}, {"stuck", {}}});
  Random random{35};
  for (int i = 0; i < 2000; ++i) rig.reading("R1", "vib", i, random.normal() + (i > 1500 ? 8 : 0));
  REQUIRE(!rig.effects.alerts.empty());
  const auto& shift = rig.effects.alerts[0];
  CHECK_FALSE(recomputed_score(Json::parse(alert_document(shift, "berlin"))));
  CHECK(has(explanation_text(story_of({shift}), 80, false),
            "cannot be recomputed from the evidence: it needs what was learned"));

  auto stuck = rig_of({{"stuck", {}}});
  for (int i = 0; i < 600; ++i) stuck.reading("R1", "vib", i, random.normal());
  for (int i = 600; i < 800; ++i) stuck.reading("R1", "vib", i, 0.5);
  REQUIRE(!stuck.effects.alerts.empty());
  auto document = Json::parse(alert_document(stuck.effects.alerts[0], "berlin"));
  REQUIRE(recomputed_score(document));
  auto& values = document["evidence"]["values"];
  values[values.size() - 2] = 0.6;  // then it was no run of one value
  CHECK_FALSE(recomputed_score(document));
  for (const auto* text : {"{}", "[]", R"({"detector":{"name":"stuck","version":2}})",
                           R"({"detector":{"name":"limit","version":1,"numbers":[{"name":1}]}})"}) {
    CAPTURE(text);
    CHECK_FALSE(recomputed_score(Json::parse(text)));
  }
}

TEST_CASE("an explanation says what, since when, by whom it was found and what people did") {
  auto rig = rig_of({{"limit", {{"high", 7.1}}}});
  for (int i = 0; i < 100; ++i) rig.reading("R1", "vib", i, i < 90 ? 2.5 : 7.8);
  REQUIRE(rig.effects.alerts.size() == 1);
  auto raised = rig.effects.alerts[0];
  raised.of_case = "R1/_machine/case/1";
  auto taken = raised;
  taken.event = AlertEvent::acknowledged;
  taken.acknowledged = true;
  taken.revision = 2;
  taken.time = at(120);
  taken.note = Note{at(120), "anna", "on my way\n"};
  auto story = story_of({raised, taken});
  story.steps.push_back({at(130), "", "shelve", "bo", "`minutes` must be more"});
  story.minutes = {{at(0), 60, 2.5, 2.4, 2.6}, {at(60), 40, 3.5, 2.5, 7.8}};
  const auto text = explanation_text(story, 80, false);
  CAPTURE(text);
  for (const std::string part :
       {"vib is 7.8 mm/s, at or above its limit of 7.1 mm/s\n", raised.id.c_str(),
        "critical, priority", "active, acknowledged", "R1/_machine/case/1", "expected 7.1 mm/s",
        "lasted 30 s up to the newest event", "limit version 1, configuration ",
        "none: nothing was learned for it", "recomputed from the evidence: 1.099", "high 7.1",
        "Check the bearing", "anna said: on my way\\n",
        "shelve by bo was refused: `minutes` must be more", "* reading", ": its range",
        "| onset"}) {
    CAPTURE(part);
    if (part == "critical, priority") continue;  // 1.1 is a warning
    CHECK(has(text, part));
  }
  CHECK(has(text, "warning, priority 46, active"));
  const auto json = Json::parse(explanation_document(story));
  CHECK(json["id"] == raised.id);
  CHECK(json["recomputed_score"].get<double>() == doctest::Approx(7.8 / 7.1));
  CHECK(json["history"].size() == 3);
  CHECK(json["minutes"][1]["max"] == 7.8);
}

TEST_CASE("the explanation of a case has its parts, and the plot of the worst") {
  auto rig = rig_of({{"limit", {{"high", 7.1}}}});
  for (int i = 0; i < 100; ++i) rig.reading("R1", "vib", i, i < 90 ? 2.5 : 7.8);
  const auto part = rig.effects.alerts.at(0);
  auto whole = part;
  whole.id = "R1/_machine/case/1";
  whole.sensor = "_machine";
  whole.kind = AlertKind::machine_case;
  whole.parts = {{part.id, "vib", AlertKind::limit, Severity::warning, AlertState::active, 1.1}};
  whole.contributors = {{"vib", 1}};
  auto story = story_of({whole});
  CHECK(parts_of(story) == std::vector<std::string>{part.id});
  CHECK_FALSE(wanted_minutes(story));
  story.parts.push_back(alert_document(part, "berlin"));
  const auto wanted = wanted_minutes(story);
  REQUIRE(wanted);
  CHECK(wanted->sensor == "vib");
  CHECK(wanted->from <= part.onset - std::chrono::minutes{10});
  const auto text = explanation_text(story, 80, false);
  CAPTURE(text);
  CHECK(has(text, "Its parts, worst first"));
  CHECK(has(text, part.id));
  CHECK(has(text, "\nR1/vib\n"));
  CHECK(has(text, "vib 100 %"));
}
