// What is written arrives: every key, the defaults, profiles, overrides, round trip, fingerprint.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "config/config.h"
#include "core/parameters.h"
#include "detectors/machine.h"
#include "engine/plan.h"
#include "tests/config/support.h"

namespace millwright {
namespace {

using namespace std::chrono_literals;
using test::detector;
using test::good;
using test::parsed;

constexpr std::string_view everything = R"({
  "$schema": "s", "site": "berlin", "topic_root": "mw/b", "state_directory": "/var/x",
  "broker": { "url": "wss://b:443/mqtt", "client_id": "c", "mqtt_version": 4, "username": "u",
    "password_credential": "cred", "ca_file": "ca", "certificate_file": "cert", "key_file": "key",
    "keep_alive_s": 7, "session_expiry_s": 3600 },
  "inputs": [
    { "topic": "a/{robot}", "where": { "robot": "R.*" }, "format": "packed_json", "value": "/v/{s}", "time": "/t/{s}",
      "time_format": "epoch_ms", "machine": "{robot}", "sensor": "{s}", "rate_hz": 100, "scale": 2, "offset": -1.5,
      "qos": 2 },
    { "topic": "b", "format": "packed_binary", "machine": "m", "sensor": "s", "sample_type": "int16" } ],
  "profiles": [ { "match": "*/x", "unit": "A", "label": "L", "advice": "do", "detectors": { "spike": { "threshold": 8 } },
    "limits": { "high": 5, "low": -5, "hysteresis": 1 }, "sensitivity": "high",
    "alarm": { "on_delay_s": 1.5, "off_delay_s": 30, "clear_ratio": 0.5 } } ],
  "machines": [ { "match": "R[0-9]?", "watched": false, "label": "Robot", "advice": "look", "warmup": 64,
    "learning_s": 0.5, "sensitivity": "low",
    "alarm": { "on_delay_s": 2.5, "off_delay_s": 0, "clear_ratio": 1 } }, {} ],
  "processing": { "mode": "micro_batch", "max_delay_ms": 0.25e3, "max_readings": 5, "clock": "event", "lanes": 3,
    "journal_bytes": 4194304, "journal_directory": "/j", "checkpoint_interval_s": 10, "reorder_ms": 20,
    "future_tolerance_s": 2 },
  "limits": { "sensors": 9, "payload_bytes": 1000, "depth": 8, "readings_per_message": 7, "quarantine_messages": 0 },
  "archive": { "file": "/a.db", "enabled": false }
})";

TEST_CASE("every key arrives where it belongs") {
  const auto c = good(everything);
  CHECK(c.site == "berlin");
  CHECK(c.topic_root == "mw/b");
  CHECK(c.state_directory == "/var/x");
  BrokerSettings broker;
  broker.url = "wss://b:443/mqtt";
  broker.client_id = "c";
  broker.mqtt_version = 4;
  broker.username = "u";
  broker.password_credential = "cred";
  broker.ca_file = "ca";
  broker.certificate_file = "cert";
  broker.key_file = "key";
  broker.keep_alive = 7s;
  broker.session_expiry = 1h;
  CHECK(c.broker == broker);

  REQUIRE(c.inputs.size() == 2);
  InputSettings first;
  first.topic = "a/{robot}";
  first.where = {{"robot", "R.*"}};
  first.format = PayloadFormat::packed_json;
  first.value = "/v/{s}";
  first.time = "/t/{s}";
  first.time_format = TimeFormat::epoch_ms;
  first.machine = "{robot}";
  first.sensor = "{s}";
  first.rate_hz = 100;
  first.scale = 2;
  first.offset = -1.5;
  first.qos = 2;
  CHECK(c.inputs[0] == first);
  CHECK(c.inputs[1].format == PayloadFormat::packed_binary);
  CHECK(c.inputs[1].sample_type == SampleType::int16);

  REQUIRE(c.plan.profiles.size() == 1);
  engine::Profile profile;
  profile.match = "*/x";
  profile.unit = "A";
  profile.label = "L";
  profile.advice = "do";
  profile.detectors = {{"limit", {{"high", 5}, {"hysteresis", 1}, {"low", -5}}},
                       {"spike", {{"threshold", 8}}}};
  profile.alarm = {1500ms, 30s, 0.7, 0.5};
  CHECK(c.plan.profiles[0] == profile);
  engine::MachineProfile machine;
  machine.match = "R[0-9]?";
  machine.watched = false;
  machine.parameters = {{"learning_s", 0.5}, {"warmup", 64}};
  machine.advice = "look";
  machine.label = "Robot";
  machine.alarm = {2500ms, 0s, 1.5, 1};
  REQUIRE(c.plan.machines.size() == 2);
  CHECK(c.plan.machines[0] == machine);
  CHECK(c.plan.machines[1] == engine::MachineProfile{});
  const auto params =
      apply_parameters<detectors::MachineLevel::Params>(c.plan.machines[0].parameters);
  CHECK(params.warmup == 64);
  CHECK(params.learning == 500ms);
  CHECK(c.plan.site == "berlin");
  CHECK(c.plan.max_sensors == 9);
  CHECK(c.plan.reorder == 20ms);
  CHECK(c.plan.future_tolerance == 2s);

  ProcessingSettings processing;
  processing.mode = ProcessingMode::micro_batch;
  processing.max_delay = 250ms;
  processing.max_readings = 5;
  processing.clock = ProcessingClock::event;
  processing.lanes = 3;
  processing.journal_bytes = 4194304;
  processing.journal_directory = "/j";
  processing.checkpoint_interval = 10s;
  CHECK(c.processing == processing);
  CHECK(c.limits == LimitSettings{9, 1000, 8, 7, 0});
  CHECK(c.archive == ArchiveSettings{"/a.db", false});
}

TEST_CASE("an empty configuration is the defaults: auto for every sensor") {
  const auto c = good("{}");
  const auto d = config::defaults();
  CHECK(test::same(c, d));
  CHECK(config::fingerprint(c) == config::fingerprint(d));
  CHECK(d.inputs.empty());
  CHECK(d.broker == BrokerSettings{});
  CHECK(d.processing == ProcessingSettings{});
  CHECK(d.limits == LimitSettings{});
  REQUIRE(d.plan.profiles.size() == 1);
  CHECK(d.plan.profiles[0].match == "*");
  CHECK(d.plan.profiles[0].detectors == engine::auto_detectors());
  CHECK(d.plan.profiles[0].alarm == engine::AlarmRule{});
  CHECK(d.plan.machines.empty());
  engine::Plan plan;
  plan.profiles = d.plan.profiles;
  CHECK(d.plan == plan);
}

engine::Profile profile(std::string_view keys) {
  return good(R"({ "profiles": [ { "match": "*", )" + std::string{keys} + " } ] }")
      .plan.profiles.at(0);
}

std::vector<std::string> names(const engine::Profile& profile) {
  std::vector<std::string> out;
  for (const auto& choice : profile.detectors) out.push_back(choice.name);
  return out;
}

using Names = std::vector<std::string>;

TEST_CASE("detectors are written in four ways") {
  CHECK(names(profile(R"("detectors": "none")")).empty());
  CHECK(names(profile(R"("detectors": [])")).empty());
  CHECK(names(profile(R"("detectors": ["gap", "spike"])")) == Names{"spike", "gap"});
  CHECK(profile(R"("detectors": ["gap", { "spike": { "threshold": 8 } }])") ==
        profile(R"("detectors": { "spike": { "threshold": 8 }, "gap": {} })"));
}

TEST_CASE("auto and precise are sets by their names, and detectors in an object") {
  const Names all{"auto", "gap", "stuck", "clock"};
  CHECK(names(profile(R"("detectors": "auto")")) == all);
  CHECK(names(profile(R"("detectors": ["auto"])")) == all);
  CHECK(names(profile(R"("detectors": "precise")")) == Names{"precise", "gap", "stuck", "clock"});
  for (const auto& choice : profile(R"("detectors": "auto")").detectors)
    CHECK(choice.parameters.empty());

  const auto alone = profile(R"("detectors": { "auto": { "frame_s": 60 } })");
  CHECK(names(alone) == Names{"auto"});
  CHECK(detector(alone, "auto")->parameters == ParameterValues{{"frame_s", 60}});

  // A set in a list: whatever the list tunes keeps its parameters, before and behind it.
  for (const auto* text : {R"("detectors": ["auto", { "gap": { "factor": 20 } }])",
                           R"("detectors": [{ "gap": { "factor": 20 } }, "auto"])"}) {
    CAPTURE(text);
    const auto tuned = profile(text);
    CHECK(names(tuned) == all);
    CHECK(detector(tuned, "gap")->parameters == ParameterValues{{"factor", 20}});
    CHECK(detector(tuned, "auto")->parameters.empty());
  }
  const auto framed = profile(R"("detectors": ["auto", { "auto": { "frame_s": 60 } }])");
  CHECK(names(framed) == all);
  CHECK(detector(framed, "auto")->parameters == ParameterValues{{"frame_s", 60}});

  CHECK(names(profile(R"("detectors": ["auto", "trend"])")) ==
        Names{"auto", "gap", "stuck", "trend", "clock"});
  CHECK(names(profile(R"("detectors": ["auto", "gap"])")) == all);
  CHECK(names(profile(R"("detectors": ["auto", "precise"])")) ==
        Names{"auto", "precise", "gap", "stuck", "clock"});
}

TEST_CASE("limits are added to whatever the detectors say") {
  CHECK(names(profile(R"("detectors": "none", "limits": { "high": 1 })")) ==
        std::vector<std::string>{"limit"});
  CHECK(names(profile(R"("detectors": ["spike"], "limits": { "high": 1 })")) ==
        std::vector<std::string>{"limit", "spike"});
  CHECK(profile(R"("detectors": { "limit": { "low": 0 } }, "limits": { "high": 1 })")
            .detectors[0]
            .parameters == ParameterValues{{"high", 1}, {"low", 0}});
  CHECK(names(profile(R"("detectors": "auto", "limits": { "high": 1 })")) ==
        Names{"auto", "limit", "gap", "stuck", "clock"});
}

TEST_CASE("sensitivity sets the alarm limit") {
  CHECK(profile(R"("sensitivity": "low")").alarm.limit == 1.5);
  CHECK(profile(R"("sensitivity": "normal")").alarm.limit == 1);
  CHECK(profile(R"("sensitivity": "high")").alarm.limit == 0.7);
}

engine::MachineProfile machine(std::string_view keys) {
  return good(R"({ "machines": [ { )" + std::string{keys} + " } ] }").plan.machines.at(0);
}

TEST_CASE("an entry of machines holds what is written, and is else as without it") {
  CHECK(machine("") == engine::MachineProfile{});
  CHECK(machine("").match == "*");
  CHECK(machine("").watched);
  CHECK(machine(R"("match": "R1")").match == "R1");
  // A parameter that is not written is not fixed to the default of today.
  CHECK(machine("").parameters.empty());
  CHECK(machine(R"("warmup": 500)").parameters == ParameterValues{{"warmup", 500}});
  CHECK(machine(R"("learning_s": 60)").parameters == ParameterValues{{"learning_s", 60}});
}

TEST_CASE("alarms of machines are written and mean the same as those of profiles") {
  for (const auto* keys : {R"("sensitivity": "low")", R"("sensitivity": "normal")",
                           R"("sensitivity": "high")", R"("alarm": { "on_delay_s": 3 })",
                           R"("alarm": { "off_delay_s": 4, "clear_ratio": 0.25 })"}) {
    CAPTURE(keys);
    auto alarm = profile(keys).alarm;
    if (alarm.on_delay == Duration{0}) alarm.on_delay = 60s;  // the defaults of machines
    if (alarm.off_delay == 60s) alarm.off_delay = 600s;
    CHECK(machine(keys).alarm == alarm);
  }
  CHECK(machine(R"("sensitivity": "high")").alarm.limit == 0.7);
  CHECK(machine(R"("alarm": { "on_delay_s": 3 })").alarm.on_delay == 3s);
}

TEST_CASE("the first entry of machines that matches the machine's name counts") {
  const auto c = good(R"({ "machines": [ { "match": "R1*", "label": "first" },
    { "match": "R*", "watched": false }, { "match": "a/b", "label": "slash" } ] })");
  CHECK(engine::machine_profile_for(c.plan, "R17").label == "first");
  CHECK_FALSE(engine::machine_profile_for(c.plan, "R2").watched);
  CHECK(engine::machine_profile_for(c.plan, "a/b").label == "slash");
  CHECK(engine::machine_profile_for(c.plan, "press") == engine::MachineProfile{});
}

TEST_CASE("an override changes one sensor and keeps the rest of its profile") {
  const auto c = good(R"({
    "profiles": [
      { "match": "*/*_temp", "unit": "degC", "advice": "cool", "detectors": ["spike", "gap"], "limits": { "low": 1, "high": 90 } },
      { "match": "*", "unit": "A" } ],
    "overrides": [
      { "sensor": "R1/j1_temp", "unit": "K" },
      { "sensor": "R1/j2_temp", "limits": { "high": 95 } },
      { "sensor": "R1/j3_temp", "detectors": ["stuck"] },
      { "sensor": "R1/j4_temp", "detectors": "none" },
      { "sensor": "R1/j1_vib", "sensitivity": "high" } ] })");
  const auto of = [&](std::string_view sensor) {
    return engine::profile_for(c.plan, "R1", sensor);
  };
  const auto base = of("other_temp");
  CHECK(base.match == "*/*_temp");

  auto expected = base;
  expected.match = "R1/j1_temp";
  expected.unit = "K";
  CHECK(of("j1_temp") == expected);
  CHECK(detector(of("j2_temp"), "limit")->parameters == ParameterValues{{"high", 95}, {"low", 1}});
  CHECK(of("j2_temp").advice == "cool");
  CHECK(names(of("j3_temp")) == std::vector<std::string>{"limit", "stuck"});
  CHECK(names(of("j4_temp")).empty());
  CHECK(of("j1_vib").unit == "A");
  CHECK(of("j1_vib").alarm.limit == 0.7);
  CHECK(of("j2_vib").alarm.limit == 1);
  CHECK(engine::profile_for(c.plan, "R2", "j1_temp") == base);
}

TEST_CASE("an override without a matching profile starts from auto") {
  const auto c = good(
      R"({ "profiles": [ { "match": "a/*", "unit": "V" } ], "overrides": [ { "sensor": "b/x", "unit": "A" } ] })");
  const auto& p = engine::profile_for(c.plan, "b", "x");
  CHECK(p.unit == "A");
  CHECK(p.detectors == engine::auto_detectors());
}

TEST_CASE("an override means its sensor literally") {
  const auto c = good(R"({ "overrides": [ { "sensor": "R*/t[1]?", "unit": "A" } ] })");
  CHECK(engine::profile_for(c.plan, "R*", "t[1]?").unit == "A");
  CHECK(engine::profile_for(c.plan, "R1", "t[1]?").unit.empty());
  CHECK(engine::profile_for(c.plan, "R*", "t1?").unit.empty());
  CHECK(engine::profile_for(c.plan, "R*", "t[1]x").unit.empty());
}

TEST_CASE("the text for the journal gives the same configuration again, without the password") {
  for (
      const auto& text :
      {std::string{everything}, std::string{"{}"},
       std::string{
           R"({ "broker": { "username": "u", "password": "open sesame" }, "alerts": { "budget": "6/hour" } })"},
       std::string{R"({ "profiles": [ { "match": "*/\u00e9\"\\*", "limits": { "high": 0.1 } } ],
                         "overrides": [ { "sensor": "a/b", "limits": { "high": 1e-7 } } ] })"},
       std::string{R"({ "machines": [ { "match": "R*", "learning_s": 1e-9 }, {} ] })"}}) {
    CAPTURE(text);
    const auto loaded = parsed(text);
    REQUIRE(loaded.configuration);
    CHECK(loaded.text.find("sesame") == std::string::npos);
    const auto again = parsed(loaded.text);
    REQUIRE_MESSAGE(again.configuration, test::problems_of(again));
    CHECK(test::same(*loaded.configuration, *again.configuration));
    CHECK(again.configuration->broker.password.empty());
    CHECK(again.text == loaded.text);
    CHECK(config::fingerprint(*again.configuration) == config::fingerprint(*loaded.configuration));
  }
}

TEST_CASE("the fingerprint follows the meaning, not the writing") {
  const auto of = [](std::string_view text) { return config::fingerprint(good(text)); };
  const auto plain = of("{}");
  CHECK(
      plain ==
      of(R"({ "site": "site", "broker": { "keep_alive_s": 15.0 }, "profiles": [ { "match": "*" } ] })"));
  CHECK(plain == of(R"({ "$schema": "elsewhere" })"));
  CHECK(plain == of(R"({ "machines": [] })"));
  CHECK(plain == of(R"({ "machines": [ {} ] })"));
  CHECK(plain ==
        of(R"({ "machines": [ { "match": "*", "watched": true, "warmup": 300, "learning_s": 86400.0,
            "sensitivity": "normal", "alarm": { "off_delay_s": 600 } } ] })"));
  CHECK(
      plain ==
      of(R"({ "profiles": [ { "match": "*", "detectors": ["auto", { "gap": { "factor": 10 } }] } ] })"));
  for (
      const auto* other :
      {R"({ "site": "b" })",
       R"({ "broker": { "keep_alive_s": 16 } })",
       R"({ "processing": { "reorder_ms": 1 } })",
       R"({ "processing": { "future_tolerance_s": 1 } })",
       R"({ "limits": { "sensors": 1 } })",
       R"({ "archive": { "enabled": false } })",
       R"({ "profiles": [ { "match": "*/*" } ] })",
       R"({ "profiles": [ { "match": "*", "detectors": ["auto", { "gap": { "factor": 11 } }] } ] })",
       R"({ "profiles": [ { "match": "*", "detectors": ["auto", "trend"] } ] })",
       R"({ "profiles": [ { "match": "*", "detectors": "precise" } ] })",
       R"({ "profiles": [ { "match": "*", "detectors": { "auto": {} } } ] })",
       R"({ "profiles": [ { "match": "*", "detectors": "none" } ] })",
       R"({ "profiles": [ { "match": "*", "limits": { "high": 1 } } ] })",
       R"({ "profiles": [ { "match": "*", "sensitivity": "high" } ] })",
       R"({ "profiles": [ { "match": "*", "alarm": { "clear_ratio": 0.7 } } ] })",
       R"({ "machines": [ { "match": "R*" } ] })",
       R"({ "machines": [ { "watched": false } ] })",
       R"({ "machines": [ { "warmup": 301 } ] })",
       R"({ "machines": [ { "learning_s": 1 } ] })",
       R"({ "machines": [ { "sensitivity": "high" } ] })",
       R"({ "machines": [ { "alarm": { "on_delay_s": 1 } } ] })",
       R"({ "machines": [ { "label": "L" } ] })",
       R"({ "machines": [ { "advice": "A" } ] })",
       R"({ "inputs": [ { "topic": "t", "format": "text", "machine": "m", "sensor": "s" } ] })"}) {
    CAPTURE(other);
    CHECK(of(other) != plain);
  }
}

}  // namespace
}  // namespace millwright
