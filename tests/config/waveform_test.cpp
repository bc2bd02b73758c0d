// A profile's `waveform`: what is written arrives, what does not fit together is told at its place,
// and parser and schema agree.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "config/config.h"
#include "tests/config/support.h"
#include "tests/support/schema.h"

namespace millwright {
namespace {

using namespace std::chrono_literals;
using test::good;
using test::parsed;

std::string with_waveform(std::string_view waveform, std::string_view more = R"("unit": "g")") {
  return R"({ "profiles": [ { "match": "*/vib", )" + std::string{more} +
         ",\n  \"waveform\": " + std::string{waveform} + " } ] }";
}

constexpr std::string_view everything =
    R"({ "sample_rate_hz": 25600, "window_s": 0.5, "overlap": 0.25,
    "bands_hz": [ { "name": "gear", "low": 400, "high": 800 }, { "name": "high-1", "low": 800, "high": 9000 } ],
    "envelope_low_hz": 3000, "envelope_high_hz": 6000, "speed_sensor": "speed", "speed_rpm": 1500, "speed_ratio": 2.5,
    "bearing": { "balls": 8, "ball_mm": 7.5, "pitch_mm": 34, "angle_deg": 10 }, "slip": 0.03, "zones": "pump",
    "full_scale": 50, "jitter_s": 0.2, "features": ["rms", "velocity", "bpfo", "bands"] })";

TEST_CASE("every key of a waveform arrives, and its defaults are those of the engine") {
  const auto c = good(with_waveform(everything));
  engine::Waveform w;
  w.rate_hz = 25600;
  w.window = 500ms;
  w.overlap = 0.25;
  w.bands = {{"gear", 400, 800}, {"high-1", 800, 9000}};
  w.envelope_low_hz = 3000;
  w.envelope_high_hz = 6000;
  w.speed_sensor = "speed";
  w.speed_rpm = 1500;
  w.speed_ratio = 2.5;
  w.geometry = {8, 7.5, 34, 10};
  w.slip = 0.03;
  w.zones = "pump";
  w.full_scale = 50;
  w.jitter_s = 0.2;
  w.features = {"rms", "velocity", "bpfo", "bands"};
  REQUIRE(c.plan.profiles[0].waveform);
  CHECK(*c.plan.profiles[0].waveform == w);
  CHECK(good(with_waveform("{}")).plan.profiles[0].waveform == engine::Waveform{});
  CHECK_FALSE(good(R"({ "profiles": [ { "match": "*/vib" } ] })").plan.profiles[0].waveform);
  CHECK(good(with_waveform(R"({ "bearing": { "name": "6204" }, "speed_rpm": 900 })"))
            .plan.profiles[0]
            .waveform->bearing == "6204");
}

TEST_CASE("an override changes one key of a waveform, and its bands are its own") {
  const auto text = R"({ "profiles": [ { "match": "*/vib", "unit": "g", "waveform": { "window_s": 2,
      "bands_hz": [ { "name": "a", "low": 1, "high": 2 } ] } } ],
    "overrides": [ { "sensor": "R1/vib", "waveform": { "overlap": 0.5,
      "bands_hz": [ { "name": "b", "low": 3, "high": 4 } ] } } ] })";
  const auto c = good(text);
  const auto& over = *c.plan.profiles[0].waveform;
  CHECK(over.window == 2s);
  CHECK(over.overlap == 0.5);
  CHECK(over.bands == std::vector<detectors::Band>{{"b", 3, 4}});
  CHECK(c.plan.profiles[1].waveform->bands == std::vector<detectors::Band>{{"a", 1, 2}});
}

TEST_CASE("what does not fit together is told with its place") {
  struct Case {
    std::string_view waveform, more, problem;  // at line 2
  };
  const std::string_view g = R"("unit": "g")", bar = R"("unit": "bar")";
  const Case cases[] = {
      {R"({ "sample_rate_hz": 50000, "window_s": 20 })", g,
       "/window_s: a window has 1000000 samples; at most 524288: make it shorter"},
      {R"({ "sample_rate_hz": 100, "window_s": 0.5 })", g,
       "/window_s: a window has 50 samples; at least 64: make it longer"},
      {R"({ "bands_hz": [ { "name": "x", "low": 5, "high": 5 } ] })", g,
       "/bands_hz: the band \"x\": low (5) must be below high (5)"},
      {R"({ "sample_rate_hz": 1000, "bands_hz": [ { "name": "x", "low": 600, "high": 700 } ] })", g,
       "/bands_hz: the band \"x\" lies above half the sample rate, 500 Hz, where nothing can be "
       "told"},
      {R"({ "bands_hz": [ { "name": "rms", "low": 5, "high": 6 } ] })", g,
       "/bands_hz: the name \"rms\" is that of another feature; choose another one"},
      {R"({ "bands_hz": [ { "name": "x", "low": 5, "high": 6 }, { "name": "x", "low": 7, "high": 8 } ] })",
       g, "/bands_hz: the name \"x\" is given to two bands; choose another one"},
      {R"({ "bands_hz": [ { "name": "a/b", "low": 5, "high": 6 } ] })", g,
       "/bands_hz/0/name: expected a name of letters, digits, _ and -, as in gear_mesh"},
      {R"({ "envelope_low_hz": 5000, "envelope_high_hz": 4000 })", g,
       "/envelope_low_hz: the envelope's band from 5000 to 4000 Hz holds nothing"},
      {R"({ "bearing": { "name": "6205" } })", g,
       "/bearing: the lines of a bearing lie at multiples of its shaft's speed; add "
       "\"speed_sensor\" or \"speed_rpm\""},
      {R"({ "speed_rpm": 900, "bearing": { "name": "6205", "balls": 9 } })", g,
       "/bearing: the bearing is given by its name and by its geometry; keep one"},
      {R"({ "speed_rpm": 900, "bearing": { "balls": 9 } })", g,
       "/bearing: the geometry needs balls, ball_mm and pitch_mm"},
      {R"({ "speed_rpm": 900, "bearing": { "balls": 9, "ball_mm": 40, "pitch_mm": 39 } })", g,
       "/bearing: ball_mm (40) must be below pitch_mm (39)"},
      {R"({ "speed_rpm": 900, "bearing": { "name": "6206" } })", g,
       "/bearing/name: expected \"6203\", \"6204\", \"6205\", \"UER204\" or \"ZA-2115\", found the "
       "text \"6206\""},
      {R"({ "features": ["bpfo"] })", g, "/features: \"bpfo\" needs a \"bearing\""},
      {R"({ "features": ["krutosis"] })", g,
       "/features/0: unknown name \"krutosis\"; did you mean \"kurtosis\"?"},
      {R"({ "zones": "motor" })", bar,
       "/zones: needs the profile's \"unit\" to be one of acceleration (g, mg, m/s2, mm/s2) or "
       "velocity (mm/s, m/s, in/s)"},
      {R"({ "zones": "motor", "features": ["rms"] })", g,
       "/zones: are limits of the feature \"velocity\"; add it to \"features\""},
      {R"({ "features": ["velocity"] })", bar,
       "/features: \"velocity\" needs the profile's \"unit\" to be one of acceleration (g, mg, "
       "m/s2, "
       "mm/s2) or velocity (mm/s, m/s, in/s)"},
      {R"({ "overlap": 1 })", g, "/overlap: expected a number from 0 to 0.9, found the number 1"},
      {R"({ "window": 1 })", g, "/window: unknown key \"window\"; did you mean \"window_s\"?"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.waveform);
    const auto lines = test::lines_of(parsed(with_waveform(c.waveform, c.more)));
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("c.json:2:"));
    CHECK(lines[0].ends_with(": error: /profiles/0/waveform" + std::string{c.problem}));
  }
}

TEST_CASE("parser and schema agree on waveforms") {
  const auto schema = config::schema();
  struct Case {
    std::string_view waveform;
    bool right;
  };
  const Case cases[] = {{everything, true},
                        {"{}", true},
                        {"[]", false},
                        {R"({ "features": [] })", false},
                        {R"({ "features": "rms" })", false},
                        {R"({ "features": [3] })", false},
                        {R"({ "features": ["crest", "ftf2"] })", false},
                        {R"({ "bands_hz": {} })", false},
                        {R"({ "bands_hz": [ { "name": "x", "low": 1 } ] })", false},
                        {R"({ "bands_hz": [ { "name": "x y", "low": 1, "high": 2 } ] })", false},
                        {R"({ "zones": "lathe" })", false},
                        {R"({ "overlap": 0.95 })", false},
                        {R"({ "bearing": "6205" })", false},
                        {R"({ "speed_rpm": 0 })", false}};
  for (const auto& c : cases) {
    CAPTURE(c.waveform);
    const auto text = with_waveform(c.waveform);
    CHECK(parsed(text).configuration.has_value() == c.right);
    CHECK(test::schema_problem(schema, text).empty() == c.right);
  }
}

TEST_CASE("the fingerprint follows a waveform, and the text of a configuration keeps it") {
  const auto of = [](std::string_view waveform) {
    return config::fingerprint(good(with_waveform(waveform)));
  };
  CHECK(of("{}") == of(R"({ "window_s": 1, "overlap": 0 })"));
  CHECK(of("{}") != of(R"({ "overlap": 0.5 })"));
  CHECK(of("{}") != of(R"({ "bands_hz": [ { "name": "x", "low": 1, "high": 2 } ] })"));
  CHECK(of("{}") != of(R"({ "features": ["rms"] })"));
  CHECK(of("{}") !=
        config::fingerprint(good(R"({ "profiles": [ { "match": "*/vib", "unit": "g" } ] })")));
  const auto loaded = parsed(with_waveform(everything));
  const auto again = parsed(loaded.text);
  REQUIRE(again.configuration);
  CHECK(test::same(*again.configuration, *loaded.configuration));
  CHECK(config::fingerprint(*again.configuration) == config::fingerprint(*loaded.configuration));
}

}  // namespace
}  // namespace millwright
