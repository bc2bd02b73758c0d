// Waveforms through the whole engine: windows of blocks and of single readings, gaps, clipping,
// save and restore, and a bearing that is found in its envelope before it is loud.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/random.h"
#include "tests/detectors/waves.h"
#include "tests/engine/harness.h"

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
