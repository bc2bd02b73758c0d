// Waveforms through the whole engine: windows of blocks and of single readings, gaps, clipping,
// save and restore, and a bearing that is found in its envelope before it is loud.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/random.h"
#include "tests/detectors/waves.h"
#include "tests/engine/harness.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::engine;
using namespace std::chrono_literals;

namespace {

constexpr double rate = 2000;

Waveform waveform() {
  Waveform w;
  w.window = 100ms;  // 200 samples
  return w;
}

Plan plan_with(Waveform w, const std::string& unit = "g") {
  Plan plan;
  Profile raw = profile("*/vib", {{"gap", {}}, {"spike", {}}});
  raw.unit = unit;
  raw.label = "Spindle bearing";
  raw.waveform = std::move(w);
  plan.profiles = {raw, profile("*", auto_detectors())};
  return plan;
}

std::vector<double> noise(std::size_t count, std::uint64_t seed) {
  Random random{seed};
  std::vector<double> out(count);
  for (auto& x : out) x = random.normal();
  return out;
}

// What the derived sensors said, to the byte, by the order in which it was said.
struct Told {
  explicit Told(Plan plan) : rig(std::move(plan)) {}

  void block(std::span<const double> samples, std::size_t begin, std::size_t end,
             double shift_s = 0, double hz = rate) {
    const auto first = Wave::sample_time(at(shift_s), hz, begin);
    const auto last = Wave::sample_time(at(shift_s), hz, end - 1);
    const Block block{first, hz, samples.subspan(begin, end - begin)};
    rig.feed.block(rig.engine, "R1", "vib", block, ++rig.position, last, last);
    rig.feed.step(rig.engine, rig.effects);
  }
  std::vector<std::string> features() const {
    std::vector<std::string> out;
    for (const auto& v : rig.effects.verdicts) {
      const auto name = rig.engine.info(v.sensor).sensor;
      if (name == "vib") continue;
      out.push_back(fmt::format("{} {} {:a} {} {:a}", name, to_microseconds(v.sample.time),
                                v.sample.value, name_of(v.outcome), v.score ? v.score->ratio : -1));
    }
    return out;
  }
  std::vector<Sample> values(std::string_view name) const {
    std::vector<Sample> out;
    for (const auto& v : rig.effects.verdicts) {
      if (rig.engine.info(v.sensor).sensor == name) out.push_back(v.sample);
    }
    return out;
  }
  std::uint32_t quality(std::string_view name) {
    rig.tick(10000);
    std::uint32_t all = 0;
    for (const auto& s : rig.effects.summaries) {
      if (rig.engine.info(s.sensor).sensor == name) all |= s.quality;
    }
    return all;
  }
  void check_conserved() const {
    CHECK(rig.engine.outcomes().total() + rig.engine.pending() == rig.engine.received());
  }

  Rig rig;
};

}  // namespace

TEST_CASE("a waveform's windows become sensors with names, units and labels") {
  Told told{plan_with(waveform())};
  told.block(noise(1000, 1), 0, 1000);
  std::map<std::string, std::string> units;
  for (std::size_t i = 0; i < told.rig.engine.sensors(); ++i) {
    const auto who = told.rig.engine.info(static_cast<SensorId>(i));
    units[std::string{who.sensor}] = who.unit;
  }
  CHECK(units == std::map<std::string, std::string>{{"vib", "g"},
                                                    {"vib.rms", "g"},
                                                    {"vib.peak", "g"},
                                                    {"vib.peak_to_peak", "g"},
                                                    {"vib.crest", ""},
                                                    {"vib.kurtosis", ""},
                                                    {"vib.skewness", ""},
                                                    {"vib.velocity", "mm/s"},
                                                    {"vib.band_1", "g"},
                                                    {"vib.band_2", "g"},
                                                    {"vib.band_3", "g"},
                                                    {"vib.band_4", "g"}});
  const auto rms = told.values("vib.rms");
  REQUIRE(rms.size() == 5);
  CHECK(rms[0].time == at(0.0995));
  CHECK(rms[0].value == doctest::Approx(1).epsilon(0.2));
  CHECK(told.values("vib").size() == 1000);
  CHECK(told.rig.engine.windows().whole == 5);
  told.check_conserved();
}

TEST_CASE("blocks cut in any way, down to one reading at a time, tell the same to the byte") {
  const auto samples = noise(3333, 2);
  auto w = waveform();
  w.rate_hz = rate;
  w.overlap = 0.4;
  Told whole{plan_with(w)};
  whole.block(samples, 0, samples.size());
  REQUIRE(whole.features().size() > 200);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Told cut{plan_with(w)};
    Random random{seed};
    for (std::size_t from = 0; from < samples.size();) {
      const auto to = std::min(samples.size(), from + 1 + random.below(seed == 0 ? 2000 : 300));
      cut.block(samples, from, to);
      from = to;
    }
    CHECK(cut.features() == whole.features());
    cut.check_conserved();
  }
  Told single{plan_with(w)};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto time = to_seconds(Wave::sample_time(at(0), rate, i) - at(0));
    single.rig.reading("R1", "vib", time, samples[i]);
  }
  CHECK(single.features() == whole.features());
  single.check_conserved();
}

TEST_CASE("saved in the middle of a window and restored, it goes on to the byte") {
  const auto samples = noise(5000, 3);
  auto w = waveform();
  w.overlap = 0.5;
  w.bearing = "6205";
  w.speed_sensor = "speed";
  const auto plan = plan_with(w);
  const auto run = [&](std::size_t restore_at) {
    Told told{plan};
    for (std::size_t from = 0; from < samples.size(); from += 130) {
      if (from / 130 % 3 == 0)
        told.rig.reading("R1", "speed", static_cast<double>(from) / rate,
                         1500 + 0.1 * static_cast<double>(from));
      told.block(samples, from, std::min(samples.size(), from + 130));
      if (from != restore_at) continue;
      const auto bytes = told.rig.engine.save_all(7);
      Engine fresh{std::make_shared<const Plan>(plan)};
      Position position = 0;
      REQUIRE(fresh.restore_all(bytes, position) == RestoreResult::ok);
      CHECK(fresh.save_all(7) == bytes);
      told.rig.engine = std::move(fresh);
    }
    CHECK(told.rig.engine.unreadable_states() == 0);
    return std::pair{told.features(), told.rig.engine.save_all(9)};
  };
  const auto whole = run(samples.size());
  REQUIRE(whole.first.size() > 500);
  for (const std::size_t at : {0U, 130U, 1040U, 2600U}) CHECK(run(at) == whole);
}

TEST_CASE("a changed waveform keeps what means the same and learns the rest anew") {
  const auto samples = noise(4000, 4);
  auto w = waveform();
  w.bands = {{"low", 0, 300}, {"high", 300, 900}};
  // A detector that has learned after 16 windows of these 20.
  const auto plan_with = [](const Waveform& wave) {
    auto plan = ::plan_with(wave);
    plan.profiles[1].detectors = {{"spike", {{"warmup", 16}}}, {"gap", {}}};
    return plan;
  };
  Told told{plan_with(w)};
  for (std::size_t from = 0; from < samples.size(); from += 200)
    told.block(samples, from, from + 200);
  const auto bytes = told.rig.engine.save_all(1);
  const auto restored = [&](const Waveform& changed) {
    Engine engine{std::make_shared<const Plan>(plan_with(changed))};
    Position position = 0;
    CHECK(engine.restore_all(bytes, position) == RestoreResult::ok);
    CHECK(engine.unreadable_states() == 0);
    return engine;
  };
  CHECK(restored(w).save_all(1) == bytes);
  auto fewer = w;
  fewer.features = {"rms", "kurtosis"};
  // Those that nothing tells of any more have no detectors, and hence no silence to be alarmed at.
  auto engine = restored(fewer);
  Effects effects;
  for (int i = 0; i < 100; ++i)
    engine.step(std::vector<Event>{{Event::Kind::tick, 2, at(100 + 60 * i), at(100 + 60 * i)}},
                effects);
  std::set<std::string> silent;
  for (const auto& alert : effects.alerts) silent.insert(alert.sensor);
  // Nor have features: their silence is the waveform's.
  CHECK(silent == std::set<std::string>{"vib"});
  // The other edge of one band: that feature starts anew, and no other does.
  auto other = w;
  other.bands[0].high_hz = 400;
  Told after{plan_with(other)};
  Position position = 0;
  REQUIRE(after.rig.engine.restore_all(bytes, position) == RestoreResult::ok);
  after.block(samples, 0, 200, 2);
  std::map<std::string, bool> scored;
  for (const auto& verdict : after.rig.effects.verdicts)
    scored[std::string{after.rig.engine.info(verdict.sensor).sensor}] = verdict.score.has_value();
  CHECK_FALSE(scored.at("vib.low"));
  for (const auto* same : {"vib.high", "vib.rms", "vib.kurtosis"}) CHECK(scored.at(same));
  auto more = w;
  more.bands.push_back({"mid", 100, 200});
  CHECK(restored(more).sensors() == told.rig.engine.sensors() + 1);
}

TEST_CASE(
    "a gap ends the run of samples, and what is left is told but neither judged nor learned") {
  const auto samples = noise(2000, 5);
  Told told{plan_with(waveform())};
  told.block(samples, 0, 550);      // two windows and three quarters of one
  told.block(samples, 1000, 2000);  // the time between is lost
  const auto rms = told.values("vib.rms");
  REQUIRE(rms.size() == 8);
  CHECK(rms[2].time == at(549 / rate));
  CHECK(rms[3].time == at(1199 / rate));
  CHECK(told.rig.engine.windows().cut == 1);
  CHECK(told.rig.engine.windows().whole == 7);
  CHECK(told.rig.engine.outcomes()[Outcome::faulty] == 10);  // of each feature one
  told.check_conserved();
  CHECK((told.quality("vib.rms") & quality_cut) != 0);
  CHECK((told.quality("vib.rms") & quality_clipped) == 0);

  Told little{plan_with(waveform())};
  little.block(samples, 0, 450);  // a quarter of a window is left: not worth telling
  little.block(samples, 1000, 2000);
  CHECK(little.rig.engine.windows().cut == 0);
  CHECK(little.values("vib.rms").size() == 7);
}

TEST_CASE("a sample that is no number is counted and is a gap") {
  auto samples = noise(1000, 6);
  samples[450] = std::numeric_limits<double>::quiet_NaN();
  samples[451] = 1e300;
  Told told{plan_with(waveform())};
  told.block(samples, 0, 1000);
  const auto& outcomes = told.rig.engine.outcomes();
  CHECK(outcomes[Outcome::not_finite] == 1);
  CHECK(outcomes[Outcome::out_of_range] == 1);
  CHECK(told.values("vib.rms").size() == 4);
  CHECK(told.values("vib.rms")[2].time == at(651 / rate));
  told.check_conserved();
}

TEST_CASE("blocks that stand alone and are shorter than a window are told, marked") {
  const auto samples = noise(1000, 7);
  Told told{plan_with(waveform())};
  for (int i = 0; i < 5; ++i) told.block(samples, 0, 150, 10.0 * i);
  CHECK(told.rig.engine.windows().whole == 0);
  CHECK(told.rig.engine.windows().cut == 4);  // the fifth still waits
  CHECK((told.quality("vib.kurtosis") & quality_cut) != 0);
  told.check_conserved();
}

TEST_CASE("a clipped window is judged and marked, and teaches nothing") {
  auto samples = noise(1000, 8);
  for (std::size_t i = 400; i < 600; ++i) samples[i] = std::clamp(3 * samples[i], -2.0, 2.0);
  for (const bool by_scale : {false, true}) {
    auto w = waveform();
    if (by_scale) {
      w.full_scale = 2;
      for (std::size_t i = 0; i < 1000; ++i)
        if (i < 400 || i >= 600) samples[i] = std::clamp(samples[i], -1.9, 1.9);
    }
    Told told{plan_with(w)};
    told.block(samples, 0, 1000);
    CHECK(told.rig.engine.windows().clipped >= 1);
    if (by_scale) CHECK(told.rig.engine.windows().clipped == 1);
    CHECK(told.rig.engine.outcomes()[Outcome::held] >= 10);
    CHECK((told.quality("vib.rms") & quality_clipped) != 0);
    told.check_conserved();
  }
}

TEST_CASE("blocks that come again or too late are counted, and change no window") {
  const auto samples = noise(1000, 9);
  Told once{plan_with(waveform())}, again{plan_with(waveform())};
  for (std::size_t from = 0; from < 1000; from += 100) {
    once.block(samples, from, from + 100);
    again.block(samples, from, from + 100);
    again.block(samples, from, from + 100);
    if (from >= 500) again.block(samples, from - 300, from - 200);
  }
  CHECK(again.features() == once.features());
  CHECK(again.rig.engine.outcomes()[Outcome::duplicate] == 10);  // the last sample of each
  CHECK(again.rig.engine.outcomes()[Outcome::late] == 10 * 99 + 5 * 100);
  again.check_conserved();
}

TEST_CASE("the waveform itself is heard: its silence is an alert, its samples have no other") {
  Told told{plan_with(waveform())};
  const auto samples = noise(40000, 10);
  for (std::size_t from = 0; from < samples.size(); from += 1000)
    told.block(samples, from, from + 1000);
  for (int second = 20; second < 400; ++second) told.rig.tick(second);
  std::set<std::string> raised;
  for (const auto& alert : told.rig.effects.alerts) {
    if (alert.sensor == "vib") raised.insert(std::string{name_of(alert.kind)});
  }
  CHECK(raised == std::set<std::string>{"gap"});
  Outcome refused{};
  CHECK_FALSE(told.rig.engine.sensor("R1", "vib.rms", refused));
  CHECK(refused == Outcome::bad_name);
}

TEST_CASE("serviced, a waveform's features are learned anew, and no others of its machine") {
  Told told{plan_with(waveform())};
  const auto samples = noise(2000, 12);
  told.block(samples, 0, 2000);
  told.rig.reading("R1", "temp", 1, 20);
  CHECK(told.rig.renew(Event::Kind::serviced, 2, "R1", "vib"));
  std::set<std::string> renewed;
  for (const auto& past : told.rig.effects.baselines) renewed.insert(past.sensor);
  CHECK(renewed.size() == 11);  // the samples (gap), and ten features
  CHECK(renewed.contains("vib.kurtosis"));
  CHECK_FALSE(renewed.contains("temp"));
}

TEST_CASE("without a rate samples are counted and make no window; a later block says it") {
  Told told{plan_with(waveform())};
  const auto samples = noise(1000, 13);
  for (int i = 0; i < 100; ++i) told.rig.reading("R1", "vib", i / rate, samples[0]);
  CHECK(told.rig.engine.outcomes()[Outcome::warming] == 100);
  told.block(samples, 100, 1000);
  CHECK(told.rig.engine.windows().whole == 4);
  // Now a reading alone goes on at that rate.
  for (int i = 1000; i < 1100; ++i)
    told.rig.reading(
        "R1", "vib",
        to_seconds(Wave::sample_time(at(0), rate, static_cast<std::size_t>(i)) - at(0)), 1);
  CHECK(told.rig.engine.windows().whole == 5);
  told.check_conserved();
}

TEST_CASE("a waveform for whose features there is no room is refused sample by sample") {
  auto plan = plan_with(waveform());
  plan.max_sensors = 12;  // itself and eleven features
  Told fits{plan};
  fits.block(noise(500, 15), 0, 500);
  CHECK(fits.rig.engine.sensors() == 12);
  plan.max_sensors = 11;
  Told full{plan};
  full.block(noise(500, 15), 0, 500);
  CHECK(full.rig.engine.sensors() == 0);
  CHECK(full.rig.engine.outcomes()[Outcome::sensor_limit] == 500);
  full.check_conserved();
}

TEST_CASE(
    "the speed is known all over a window, however often the sensor speaks and how long it is") {
  struct Case {
    double window_s, every_s, block_s;
  };
  const Case cases[] = {{1, 0.001, 1}, {1, 0.001, 8},   {1, 0.5, 60},   {0.1, 0.001, 0.8},
                        {600, 1, 600}, {600, 0.1, 600}, {600, 7, 4000}, {10, 10, 1000}};
  for (const auto& c : cases) {
    CAPTURE(c.window_s);
    CAPTURE(c.every_s);
    SpeedTrack track;
    const auto spacing = from_seconds(c.window_s / static_cast<double>(SpeedTrack::per_window));
    // From 600 to 1200 turns a minute in the course of the block, after as long a run at 600.
    const auto rpm = [&](double t) { return 600 + 600 * std::clamp(t / c.block_s, 0.0, 1.0); };
    for (double t = -c.block_s; t <= c.block_s; t += c.every_s) track.add(at(t), rpm(t), spacing);
    for (double begin = 0; begin + c.window_s <= c.block_s; begin += c.window_s) {
      const auto hz = track.between(at(begin), at(begin + c.window_s), 2, spacing);
      REQUIRE(!hz.empty());
      for (std::size_t i = 0; i < hz.size(); ++i) {
        const double t = begin + c.window_s * static_cast<double>(i) / 32;
        // Within what it turns faster in one interval or one point.
        const double step = std::max(c.every_s, to_seconds(spacing)) / c.block_s * 600;
        CHECK(std::abs(hz[i] * 60 / 2 - rpm(t)) < step + 1e-6);
      }
    }
    // Half a minute after the last word nothing is known.
    const auto late = c.block_s + 30;
    CHECK(track.between(at(late), at(late + c.window_s), 1, spacing).empty());
  }
}

TEST_CASE("a clock that runs a little fast or slow ends no run, and times never go back") {
  const auto samples = noise(20000, 14);
  for (const double error : {-3e-4, 3e-4}) {
    Told told{plan_with(waveform())};
    for (std::size_t from = 0; from < samples.size(); from += 200)
      told.block(samples, from, from + 200, error * static_cast<double>(from) / rate);
    CHECK(told.rig.engine.windows().whole == 100);
    CHECK(told.rig.engine.windows().cut == 0);
    const auto rms = told.values("vib.rms");
    for (std::size_t i = 1; i < rms.size(); ++i) CHECK(rms[i].time > rms[i - 1].time);
    CHECK(std::abs(to_seconds(rms.back().time - at(10 * (1 + error)))) < 2 / rate);
    told.check_conserved();
  }
}

TEST_CASE("a minute of samples is summarised the same however it is cut") {
  const auto samples = noise(1000, 11);
  const auto summaries = [&](std::size_t step) {
    Told told{plan_with(waveform())};
    for (std::size_t from = 0; from < 1000; from += step)
      told.block(samples, from, from + step, 59.8);  // the minute ends within
    told.rig.tick(1000);
    std::vector<std::string> out;
    for (auto s : told.rig.effects.summaries) {
      s.position = 0;
      if (told.rig.engine.info(s.sensor).sensor == "vib")
        out.push_back(describe(told.rig.engine, s));
    }
    return out;
  };
  const auto whole = summaries(1000);
  REQUIRE(whole.size() == 2);
  CHECK(whole[0].find("n400 ") != std::string::npos);
  CHECK(summaries(125) == whole);
  CHECK(summaries(8) == whole);
}

TEST_CASE("zones are limits of the velocity, and the plant's own go before them") {
  auto w = waveform();
  w.window = 1s;
  w.zones = "motor";  // C from 2.8, D from 4.5 mm/s
  const auto severities = [&](double velocity, std::optional<double> own) {
    auto plan = plan_with(w, "mm/s");
    if (own)
      plan.profiles.insert(plan.profiles.begin(),
                           profile("*/vib.velocity", {{"limit", {{"high", *own}}}}));
    Told told{plan};
    std::vector<double> samples(4000);
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i] =
          velocity * std::sqrt(2) * std::sin(2 * test::pi * 50 * static_cast<double>(i) / rate);
    told.block(samples, 0, samples.size());
    std::vector<std::string> out;
    for (const auto& alert : told.rig.effects.alerts) {
      if (alert.kind != AlertKind::limit) continue;
      CHECK(alert.sensor == "vib.velocity");
      CHECK(alert.unit == "mm/s");
      CHECK(alert.value == doctest::Approx(velocity).epsilon(1e-3));
      out.push_back(std::string{name_of(alert.severity)});
    }
    return out;
  };
  using Names = std::vector<std::string>;
  CHECK(severities(2.7, {}) == Names{});
  CHECK(severities(2.9, {}) == Names{"warning"});
  CHECK(severities(4.6, {}) == Names{"critical"});
  CHECK(severities(4.6, 5.0) == Names{});
  CHECK(severities(2.0, 1.5) == Names{"warning"});
}

namespace {

struct Course {
  test::Knocking knocking;
  bool tracked = false;
  const char* bearing = "6205";
  const char* line = "vib.bpfo";
  double limit = 1;  // 1.5: sensitivity low
};

// Windows since the fault began to an alert on the line and on the RMS. An alert on the line while
// the knocks are lower than half of the noise is chance and does not count; one on the RMS does.
struct Found {
  std::optional<int> line, rms;
};

// Half a second every five minutes, as wireless sensors send it; healthy for `healthy` of them,
// then the knocks grow over `growing`. What else the machine does goes up and down with its load,
// by a tenth: so does the RMS of every machine, and what grows within that is hidden from it.
Found run(const Course& course, int healthy, int growing, double most) {
  constexpr double hz = 10240;
  constexpr std::size_t block = 5120;
  Waveform w;
  w.window = 500ms;
  w.bearing = course.bearing;
  if (course.tracked) {
    w.speed_sensor = "speed";
  } else {
    w.speed_rpm = 1800;
  }
  Plan plan = plan_with(w);
  plan.profiles[1].alarm.limit = course.limit;
  Engine engine{std::make_shared<const Plan>(plan)};
  Feed feed{Clock::given};
  Effects effects;
  auto knocking = course.knocking;
  knocking.rate_hz = hz;
  knocking.resonance_hz = 3000;
  test::Spindle spindle{knocking};
  Found found;
  std::vector<double> samples(block);
  double t = 0;
  for (int i = 0; i < healthy + growing; ++i) {
    feed.tick(1, at(t), at(t));
    const double load = std::sin(2 * test::pi * t / 7000);
    const double height = most * std::max(0.0, static_cast<double>(i - healthy) / growing);
    // Between 24 and 36 turns a second, up and down in 7 seconds: up to 1.3 within a window.
    const auto speed = [&](double at_s) {
      return course.tracked ? 30 + 6 * std::sin(2 * test::pi * at_s / 7) : 30;
    };
    const auto first = at(t);
    for (std::size_t k = 0; k < block; ++k)
      samples[k] = spindle.sample(speed(t + static_cast<double>(k) / hz), height, 1 + 0.1 * load);
    for (int k = 0; course.tracked && k <= 5; ++k) {
      const double now = t + 0.05 * k;
      feed.reading(engine, "R1", "speed", {at(now), 60 * speed(now)}, 1, at(t + 1), at(t));
    }
    feed.block(engine, "R1", "vib", {first, hz, samples}, 1, at(t + 1), at(t));
    feed.step(engine, effects);
    t += 300;
    for (const auto& alert : effects.alerts) {
      if (alert.event != AlertEvent::raised || class_of(alert.kind) != AlertClass::machine)
        continue;
      if (alert.sensor == course.line && height >= 0.5 && !found.line) found.line = i - healthy;
      if (alert.sensor == "vib.rms" && i >= healthy && !found.rms) found.rms = i - healthy;
    }
    effects.clear();
  }
  return found;
}

}  // namespace

TEST_CASE("a bearing that begins to knock is found in its envelope before it is loud") {
  const auto orders_of = [](const char* name) {
    return detectors::orders_of(*detectors::find_bearing(name));
  };
  std::vector<Course> courses;
  const auto seeds = static_cast<std::uint64_t>(test::scaled(2, 20));
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    courses.push_back({{.order = orders_of("6205").outer, .seed = seed}, false});
    courses.push_back({{.order = orders_of("6205").outer, .seed = seed}, true});
  }
  courses.push_back({{.order = orders_of("ZA-2115").outer, .seed = 11}, false, "ZA-2115"});
  courses.push_back({{.order = orders_of("6203").outer, .seed = 12}, true, "6203"});
  courses.push_back({{.order = orders_of("6205").inner, .seed = 13}, false, "6205", "vib.bpfi"});
  courses.push_back(
      {{.order = orders_of("6205").outer, .seed = 14}, true, "6205", "vib.bpfo", 1.5});
  std::size_t louder = 0;
  for (const auto& course : courses) {
    CAPTURE(std::string{course.bearing});
    CAPTURE(course.tracked);
    CAPTURE(course.knocking.seed);
    CAPTURE(course.limit);
    const auto found = run(course, 800, 800, 4);
    REQUIRE(found.line);
    MESSAGE(std::string{course.line}, " after ", *found.line, ", RMS after ",
            found.rms.value_or(-1));
    // The limit of a machine of many features may be above all that the RMS comes to.
    louder += found.rms.has_value();
    CHECK((!found.rms || *found.line < *found.rms));
  }
  CHECK(louder > courses.size() / 3);
}
