// What every detector of the one list keeps to. A new detector is taken up by itself: it needs a
// stimulus here and a page in docs/detectors/.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/detectors/watch.h"

namespace millwright::detectors {
namespace {

constexpr Duration second = std::chrono::seconds{1};

// What each detector is there to find, on 1,000 readings of noise of deviation 1 about 50, a second
// apart.
struct Stimulus {
  std::string_view detector;
  ParameterValues parameters{};        // with which it is run here
  std::vector<std::string> in_unit{};  // of these: those that move with the sensor's zero
  double step = 0, slope = 0;          // readings of noise + step + slope * seconds
  bool frozen = false;                 // or all of the last value
  std::optional<double> ceiling{};     // or none above this
  int readings = 0;
  Duration silence{0};  // then nothing for so long
};
const std::vector<Stimulus>& stimuli() {
  static const std::vector<Stimulus> list{
      {.detector = "auto", .step = 30, .readings = 1},
      {.detector = "precise", .step = 30, .readings = 1},
      {.detector = "limit",
       .parameters = {{"high", 60}, {"low", 40}, {"hysteresis", 1}},
       .in_unit = {"high", "low"},
       .step = 30,
       .readings = 1},
      {.detector = "rate", .slope = 1, .readings = 60},
      {.detector = "spike", .step = 30, .readings = 1},
      {.detector = "shift", .step = 3, .readings = 60},
      {.detector = "gap", .silence = std::chrono::hours{1}},
      {.detector = "stuck", .frozen = true, .readings = 120},
      {.detector = "drift",
       .parameters = {{"reference_s", 560}, {"window_s", 80}, {"warmup", 112}},
       .slope = 0.02,
       .readings = 300},
      {.detector = "trend",
       .parameters = {{"window_s", 320}, {"warmup", 64}},
       .slope = 0.05,
       .readings = 300},
      {.detector = "spread", .frozen = true, .readings = 120},
      {.detector = "pattern", .step = 30, .readings = 60},
      {.detector = "seasonal", .parameters = {{"period_s", 60}}, .step = 4, .readings = 60},
      {.detector = "model", .step = 30, .readings = 1},
      {.detector = "saturated", .step = 30, .ceiling = 57, .readings = 120},
      {.detector = "clock", .step = 3600, .readings = 120},
  };
  return list;
}
const Stimulus* stimulus_for(std::string_view name) {
  for (const auto& stimulus : stimuli()) {
    if (stimulus.detector == name) return &stimulus;
  }
  return nullptr;
}
ParameterValues parameters_for(const DetectorType& type) {
  const auto* stimulus = stimulus_for(type.name);
  return stimulus ? stimulus->parameters : ParameterValues{};
}

// What a detector of time stamps hears of a reading: that the time is in order, but for those here
// whose value is far off.
Sample as_heard(const DetectorType& type, Sample sample) {
  const bool in_order = std::abs(sample.value - 50) < 8;
  if (type.timeline == Timeline::stamp && in_order) sample.value = 0;
  return sample;
}

// One sensor in a column of one detector, fed as the engine feeds it.
struct Run {
  const DetectorType& type;
  std::unique_ptr<Column> column;
  Slot slot;
  Run(const DetectorType& t, const ParameterValues& parameters, int others = 0)
      : type(t), column(t.make_column()), slot(0) {
    for (int i = 0; i <= others; ++i) slot = column->add(parameters);
  }
  std::optional<Score> score(Sample sample) const {
    const std::array items{Item{slot, as_heard(type, sample)}};
    std::array<std::optional<Score>, 1> out;
    column->score(items, out);
    return out[0];
  }
  std::optional<Score> feed(Sample sample) {
    const auto result = score(sample);
    const std::array items{Item{slot, as_heard(type, sample)}};
    const std::array trust{result && result->ratio >= 1 ? Trust::suspicious : Trust::normal};
    std::array<Learned, 1> learned{};
    column->learn(items, trust, learned);
    return result;
  }
  std::string bytes() const {
    std::string out;
    Writer writer{out};
    column->save(slot, writer);
    return out;
  }
};

std::string with_bits(const std::optional<Score>& score) {
  if (!score) return "none";
  std::string out;
  Writer{out}(score->ratio, score->expected, score->low, score->high, score->onset);
  return out;
}
bool finite(const std::optional<Score>& score) {
  return !score ||
         (std::isfinite(score->ratio) && score->ratio >= 0 && std::isfinite(score->expected) &&
          std::isfinite(score->low) && std::isfinite(score->high));
}
// Noise with steps of 1/64: exact at any offset up to 1e8.
std::vector<Sample> noise(std::size_t count, std::uint64_t seed, double offset = 0) {
  Random random{seed};
  std::vector<Sample> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back({test_start + static_cast<int>(i) * second,
                   offset + 50 + std::round(random.normal() * 64) / 64});
  }
  return out;
}
// The highest ratio while the stimulus lasts, after noise.
double response(const DetectorType& type, const Stimulus& stimulus, double offset = 0) {
  auto parameters = stimulus.parameters;
  for (const auto& name : stimulus.in_unit) parameters[name] += offset;
  Run run{type, parameters};
  const auto samples = noise(1000 + static_cast<std::size_t>(stimulus.readings), 5, offset);
  double most = 0, value = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    auto sample = samples[i];
    if (i >= 1000) {
      sample.value += stimulus.step + stimulus.slope * static_cast<double>(i - 1000);
      if (stimulus.frozen) sample.value = value;
      if (stimulus.ceiling) sample.value = std::min(sample.value, *stimulus.ceiling + offset);
    }
    value = sample.value;
    const auto score = run.feed(sample);
    if (i >= 1000 && score) most = std::max(most, score->ratio);
  }
  if (type.hears_silence) {
    std::vector<std::optional<Score>> scores;
    run.column->silence(samples.back().time + stimulus.silence, scores);
    REQUIRE(scores.at(run.slot));
    most = std::max(most, scores[run.slot]->ratio);
  }
  return most;
}

std::string page_of(std::string_view name) {
  std::ifstream in{fmt::format("{}/docs/detectors/{}.md", MILLWRIGHT_SOURCE, name)};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}
std::string row_of(const Parameter& p) {
  return fmt::format("| `{}` | {} | {} | {} to {} | {} |", p.name, p.unit,
                     p.initial ? fmt::format("{}", *p.initial) : "unset", p.range.low, p.range.high,
                     p.help);
}

template <class... D>
constexpr bool all_plain(const std::tuple<D...>*) {
  return (std::is_trivially_copyable_v<typename D::State> && ...);
}

TEST_CASE("the state of every detector is a plain struct of fixed size") {
  CHECK(all_plain(static_cast<const All*>(nullptr)));
}

TEST_CASE("types are listed in the order of the list and found by name") {
  REQUIRE(types().size() == detector_count);
  for (std::size_t i = 0; i < types().size(); ++i) CHECK(find_type(types()[i].name) == i);
  CHECK(find_type("no such detector") == types().size());
  std::set<std::string_view> names;
  for (const auto& type : types()) names.insert(type.name);
  CHECK(names.size() == types().size());
}

TEST_CASE(
    "every detector answers what it is there to find with a ratio above 1, and noise with less") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    const auto* stimulus = stimulus_for(type.name);
    REQUIRE_MESSAGE(stimulus != nullptr, "give the detector a stimulus in this file");
    CHECK(response(type, *stimulus) > 1);
    Stimulus nothing{
        .detector = type.name, .parameters = stimulus->parameters, .in_unit = {}, .readings = 60};
    nothing.silence = second;
    CHECK(response(type, nothing) < 1);
  }
}

TEST_CASE("score is pure: twice the same, and the state is what it was") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    Run run{type, parameters_for(type)};
    int scored = 0;
    for (auto sample : noise(700, 1)) {
      if (to_microseconds(sample.time) / 1'000'000 % 97 == 0) sample.value += 25;
      const auto before = run.bytes();
      const auto first = run.score(sample);
      const auto second_time = run.score(sample);
      REQUIRE(with_bits(first) == with_bits(second_time));
      REQUIRE(run.bytes() == before);
      scored += first.has_value() ? 1 : 0;
      run.feed(sample);
    }
    CHECK(scored > 100);
  }
}

TEST_CASE("a state restored mid-stream into another place continues exactly") {
  for (const auto& type : types()) {
    for (const std::size_t cut : {0u, 1u, 2u, 9u, 17u, 51u, 63u, 64u, 65u, 128u, 350u, 701u}) {
      CAPTURE(type.name);
      CAPTURE(cut);
      auto samples = noise(1000, 2);
      for (std::size_t i = 0; i < samples.size(); i += 41) samples[i].value += i % 2 ? 12.0 : -9.0;
      for (std::size_t i = 720; i < 800; ++i)
        samples[i].value = i < 760 ? 53.5 : samples[i].value + 4;
      Run whole{type, parameters_for(type)};
      for (std::size_t i = 0; i < cut; ++i) whole.feed(samples[i]);
      Run other{type, parameters_for(type), 2};
      REQUIRE(other.column->restore(other.slot, whole.bytes()));
      REQUIRE(other.bytes() == whole.bytes());
      for (std::size_t i = cut; i < samples.size(); ++i) {
        REQUIRE(with_bits(other.feed(samples[i])) == with_bits(whole.feed(samples[i])));
      }
      CHECK(other.bytes() == whole.bytes());
    }
  }
}

TEST_CASE("how readings are batched changes nothing") {
  constexpr std::size_t sensors = 7, readings = 500;
  for (const auto& type : types()) {
    CAPTURE(type.name);
    const auto run = [&](auto batch_size) {
      auto column = type.make_column();
      std::vector<std::vector<Sample>> samples;
      for (std::size_t s = 0; s < sensors; ++s) {
        column->add(parameters_for(type));
        samples.push_back(noise(readings, 10 + s));
      }
      std::string out;
      for (std::size_t i = 0; i < readings; ++i) {
        for (std::size_t s = 0; s < sensors;) {
          std::vector<Item> items;
          for (std::size_t k = batch_size(); k > 0 && s < sensors; --k, ++s) {
            items.push_back({static_cast<Slot>(s), as_heard(type, samples[s][i])});
          }
          std::vector<std::optional<Score>> scores(items.size());
          column->score(items, scores);
          std::vector<Trust> trust;
          for (const auto& score : scores) {
            trust.push_back(score && score->ratio >= 1 ? Trust::suspicious : Trust::normal);
            out += with_bits(score);
          }
          std::vector<Learned> learned(items.size());
          column->learn(items, trust, learned);
        }
      }
      Writer writer{out};
      for (Slot s = 0; s < sensors; ++s) column->save(s, writer);
      return out;
    };
    Random random{3};
    const auto one = run([] { return std::size_t{1}; });
    CHECK(run([] { return sensors; }) == one);
    CHECK(run([&] { return 1 + random.below(sensors); }) == one);
  }
}

TEST_CASE("flat input stays finite and raises nothing") {
  for (const auto& type : types()) {
    if (type.timeline == Timeline::stamp) continue;  // always wrong by as much is wrong
    for (const double value : {0.0, 20.0, -1e100, 1e-300}) {
      CAPTURE(type.name);
      CAPTURE(value);
      Run run{type, type.name == "limit" ? ParameterValues{} : parameters_for(type)};
      for (int i = 0; i < 2000; ++i) {
        const auto score = run.feed({test_start + i * second, value});
        REQUIRE(finite(score));
        if (score) REQUIRE(score->ratio < 1);
      }
    }
  }
}

TEST_CASE("an offset of 1e8 does not change the ratio") {
  for (const auto& type : types()) {
    if (type.timeline == Timeline::stamp) continue;  // sees no values
    CAPTURE(type.name);
    const auto* stimulus = stimulus_for(type.name);
    REQUIRE(stimulus != nullptr);
    const double here = response(type, *stimulus), there = response(type, *stimulus, 1e8);
    CHECK(there == doctest::Approx(here).epsilon(1e-3));
  }
}

TEST_CASE("extreme finite values keep every number finite") {
  constexpr std::array extremes{1e100, -1e100, 0.0,  1e-300, -1e-300,
                                1e100, 1e100,  -0.0, 5e-324, 1.0};
  for (const auto& type : types()) {
    CAPTURE(type.name);
    for (const bool from_the_start : {true, false}) {
      Run run{type, parameters_for(type)};
      Random random{4};
      auto samples = noise(1500, 6);
      for (std::size_t i = from_the_start ? 0 : 800; i < samples.size(); ++i) {
        if (random.chance(0.5)) samples[i].value = extremes[random.below(extremes.size())];
      }
      for (const auto& sample : samples) REQUIRE(finite(run.feed(sample)));
      const auto bytes = run.bytes();
      Run other{type, parameters_for(type)};
      CHECK(other.column->restore(other.slot, bytes));
    }
  }
}

TEST_CASE("readings at one instant, years apart and out of order keep every number finite") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    Run run{type, parameters_for(type)};
    Random random{8};
    auto time = test_start;
    for (int i = 0; i < 3000; ++i) {
      const auto draw = random.below(100);
      if (draw == 0) {
        time += std::chrono::hours{24 * 365};
      } else if (draw == 1) {
        time -= std::chrono::hours{1};
      } else if (draw > 20) {
        time += second;
      }
      REQUIRE(finite(run.feed({time, random.normal()})));
      if (type.hears_silence) {
        std::vector<std::optional<Score>> scores;
        run.column->silence(time - second, scores);
        REQUIRE(finite(scores.at(run.slot)));
        run.column->silence(Timestamp::max(), scores);
        REQUIRE(finite(scores.at(run.slot)));
      }
    }
  }
}

TEST_CASE("parameters are described in full, with defaults inside their ranges") {
  for (const auto& type : types()) {
    std::set<std::string_view> names;
    for (const auto& parameter : type.parameters()) {
      CAPTURE(type.name);
      CAPTURE(parameter.name);
      CHECK(names.insert(parameter.name).second);
      CHECK_FALSE(parameter.name.empty());
      CHECK_FALSE(parameter.unit.empty());
      CHECK_FALSE(parameter.help.empty());
      CHECK(parameter.range.low < parameter.range.high);
      if (parameter.initial) {
        CHECK(*parameter.initial >= parameter.range.low);
        CHECK(*parameter.initial <= parameter.range.high);
      }
    }
    CHECK_FALSE(names.empty());
  }
}

TEST_CASE("the fingerprint tells parameter sets apart and knows equal ones") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    auto column = type.make_column();
    const auto first = type.parameters().front();
    const auto a = column->add({}), b = column->add({{std::string{first.name}, first.range.high}}),
               c = column->add({});
    CHECK(column->fingerprint(a) == column->fingerprint(c));
    CHECK(column->fingerprint(a) != column->fingerprint(b));
  }
}

TEST_CASE("the page of every detector gives its state size, parameters and paper") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    const auto page = page_of(type.name);
    REQUIRE_FALSE(page.empty());
    const auto size = fmt::format("State: {} bytes", type.state_bytes);
    CHECK_MESSAGE(page.find(size) != std::string::npos, size);
    for (const auto& parameter : type.parameters()) {
      CHECK_MESSAGE(page.find(row_of(parameter)) != std::string::npos, row_of(parameter));
    }
    for (const auto* heading :
         {"## Model", "## Parameters", "## Cost", "## What it misses", "## Source"}) {
      CHECK_MESSAGE(page.find(heading) != std::string::npos, heading);
    }
  }
}

TEST_CASE("saved states are no larger than in memory") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    Run run{type, parameters_for(type)};
    for (const auto& sample : noise(500, 9)) {
      run.feed(sample);
      REQUIRE(run.bytes().size() <= type.state_bytes);
    }
  }
}

TEST_CASE("a state that is cut off or too long is refused and the sensor starts anew") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    Run run{type, parameters_for(type)}, other{type, parameters_for(type)};
    for (const auto& sample : noise(500, 9)) run.feed(sample);
    const auto fresh = other.bytes(), bytes = run.bytes();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      REQUIRE(other.column->restore(other.slot, bytes));
      REQUIRE_FALSE(other.column->restore(other.slot, std::string_view{bytes}.substr(0, size)));
      REQUIRE(other.bytes() == fresh);
    }
    CHECK_FALSE(other.column->restore(other.slot, bytes + '\0'));
  }
}

TEST_CASE("damaged states are refused, or score finite numbers, and never crash") {
  for (const auto& type : types()) {
    CAPTURE(type.name);
    Run run{type, parameters_for(type)};
    const auto samples = noise(600, 9);
    for (std::size_t i = 0; i < 500; ++i) run.feed(samples[i]);
    const auto good = run.bytes();
    Random random{7};
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
      auto bytes = good;
      if (round % 3 == 0) {
        for (auto& byte : bytes) byte = static_cast<char>(random.next());
      } else {
        for (auto k = 1 + random.below(4); k > 0; --k)
          bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      }
      if (!run.column->restore(run.slot, bytes)) {
        ++refused;
        continue;
      }
      for (std::size_t i = 500; i < 520; ++i) REQUIRE(finite(run.feed(samples[i])));
    }
    CHECK(refused > 0);
  }
}

}  // namespace
}  // namespace millwright::detectors
