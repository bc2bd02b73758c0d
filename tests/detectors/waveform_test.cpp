// The formulae on signals whose answers are known, and against SciPy: waveform_reference.py works
// the same out independently, and what it printed is waveform_reference.txt.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/random.h"
#include "detectors/waveform.h"
#include "tests/detectors/waves.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::detectors;
using test::pi;
using test::samples_of;

namespace {

constexpr double rate = 20480;
constexpr std::size_t size = 20480;

WaveformFeatures features(const std::vector<float>& samples, const WaveformParams& params = {},
                          std::vector<double> hz = {}, double rate_hz = rate) {
  WaveformAnalyser analyser;
  WaveformFeatures out;
  analyser.analyse(params, samples, rate_hz, {hz}, out);
  return out;
}

WaveformParams with_bearing() {
  WaveformParams params;
  params.bearing = orders_of(*find_bearing("6205"));
  return params;
}

// A carrier of 4 kHz whose amplitude swings by `depth` at `order` turns of a shaft of `hz(t)`.
std::vector<float> modulated(double order, double depth, auto&& turns) {
  return samples_of(size, rate, [&](double t) {
    return (1 + depth * std::cos(2 * pi * order * turns(t))) * std::sin(2 * pi * 4000 * t);
  });
}

}  // namespace

TEST_CASE("a sine has the RMS, crest factor and kurtosis of a sine, whatever it stands on") {
  for (const double offset : {0.0, -50.0, 1000.0}) {
    const auto f = features(
        samples_of(size, rate, [&](double t) { return offset + 3 * std::sin(2 * pi * 160 * t); }));
    CHECK(f.rms == doctest::Approx(3 / std::sqrt(2)).epsilon(1e-4));
    CHECK(f.peak == doctest::Approx(3).epsilon(1e-3));
    CHECK(f.peak_to_peak == doctest::Approx(6).epsilon(1e-3));
    CHECK(*f.crest == doctest::Approx(std::sqrt(2)).epsilon(1e-3));
    CHECK(*f.kurtosis == doctest::Approx(1.5).epsilon(1e-3));
    CHECK(*f.skewness == doctest::Approx(0).epsilon(1e-3));
  }
}

TEST_CASE("square wave, sawtooth, single impulses and noise have the moments of theirs") {
  const auto square = features(
      samples_of(size, rate, [](double t) { return std::fmod(t * 160, 1) < 0.5 ? 2 : -2; }));
  CHECK(square.rms == doctest::Approx(2));
  CHECK(*square.crest == doctest::Approx(1));
  CHECK(*square.kurtosis == doctest::Approx(1));

  // n samples, one of height h: mean h/n, and moments of a Bernoulli variable of p = 1/n.
  std::vector<float> impulse(1000, 0.0F);
  impulse[300] = 8;
  const double p = 0.001, q = 1 - p;
  const auto one = features(impulse);
  CHECK(one.rms == doctest::Approx(8 * std::sqrt(p * q)));
  CHECK(one.peak == doctest::Approx(8 * q));
  CHECK(*one.skewness == doctest::Approx((1 - 2 * p) / std::sqrt(p * q)));
  CHECK(*one.kurtosis == doctest::Approx(3 + (1 - 6 * p * q) / (p * q)));

  Random random{3};
  const auto noise = features(samples_of(size, rate, [&](double) { return random.normal(); }));
  CHECK(noise.rms == doctest::Approx(1).epsilon(0.02));  // +- 4 standard errors of 1/sqrt(2n)
  CHECK(std::abs(*noise.skewness) < 4 * std::sqrt(6.0 / size));
  CHECK(std::abs(*noise.kurtosis - 3) < 4 * std::sqrt(24.0 / size));
}

TEST_CASE("a signal that stands still has no crest factor, and nothing is not finite") {
  const auto f = features(std::vector<float>(2048, 7.25F), with_bearing(), {25});
  CHECK(f.rms == 0);
  CHECK(f.peak_to_peak == 0);
  CHECK_FALSE(f.crest);
  CHECK_FALSE(f.kurtosis);
  for (const auto& band : f.bands) CHECK(*band == doctest::Approx(0));
}

TEST_CASE("each band has the RMS of the sines in it, and bands share the whole power of noise") {
  WaveformParams params;
  params.bands = {
      {"low", 0, 500}, {"mid", 500, 2000}, {"high", 2000, 10240}, {"beyond", 12000, 13000}};
  const auto two = features(samples_of(size, rate,
                                       [](double t) {
                                         return 3 * std::sin(2 * pi * 120 * t) +
                                                0.5 * std::cos(2 * pi * 5000 * t);
                                       }),
                            params);
  CHECK(*two.bands[0] == doctest::Approx(3 / std::sqrt(2)).epsilon(1e-6));
  CHECK(*two.bands[1] == doctest::Approx(0).epsilon(1e-6));
  CHECK(*two.bands[2] == doctest::Approx(0.5 / std::sqrt(2)).epsilon(1e-6));
  CHECK_FALSE(two.bands[3]);

  Random random{4};
  const auto noise = features(samples_of(size, rate, [&](double) { return random.normal(); }));
  REQUIRE(noise.bands.size() == 4);
  double power = 0;
  const double shares[] = {1.0 / 8, 1.0 / 8, 1.0 / 4, 1.0 / 2};
  for (std::size_t i = 0; i < 4; ++i) {
    const double share = *noise.bands[i] * *noise.bands[i];
    power += share;
    CHECK(share == doctest::Approx(shares[i]).epsilon(0.15));
  }
  CHECK(std::sqrt(power) == doctest::Approx(noise.rms).epsilon(0.02));
}

TEST_CASE("velocity is the integral of acceleration between 10 and 1000 Hz") {
  const auto at_frequency = [](double hz, double factor, Motion motion) {
    WaveformParams params;
    params.motion = motion;
    params.factor = factor;
    return *features(samples_of(size, rate,
                                [&](double t) { return std::sqrt(2) * std::sin(2 * pi * hz * t); }),
                     params)
                .velocity;
  };
  // 1 g RMS at 159.15 Hz is 9.80665 m/s^2 / 1000 1/s = 9.807 mm/s.
  CHECK(at_frequency(160, 9806.65, Motion::acceleration) ==
        doctest::Approx(9806.65 / (2 * pi * 160)).epsilon(1e-3));
  CHECK(at_frequency(1000, 1000, Motion::acceleration) ==
        doctest::Approx(1000 / (2 * pi * 1000)).epsilon(0.2));  // half of the line lies beyond
  CHECK(at_frequency(160, 25.4, Motion::velocity) == doctest::Approx(25.4).epsilon(1e-6));
  CHECK(at_frequency(5, 1, Motion::acceleration) < 0.001);
  CHECK(at_frequency(2000, 1, Motion::velocity) == doctest::Approx(0).epsilon(1e-6));
  const std::vector<float> brief(512, 1.0F);
  WaveformParams params;
  params.motion = Motion::velocity;
  CHECK_FALSE(features(brief, params).velocity);  // 25 ms hold no quarter of 10 Hz
}

TEST_CASE("the envelope line of a modulated carrier has the amplitude of the modulation") {
  const auto orders = orders_of(*find_bearing("6205"));
  const double shaft = 29.95;
  const auto steady = [&](double t) { return shaft * t; };
  const auto outer = features(modulated(orders.outer, 0.4, steady), with_bearing(), {shaft});
  CHECK(*outer.outer ==
        doctest::Approx(0.4).epsilon(0.15));  // between two bins a Hann line is lower
  CHECK(*outer.outer > 0.33);
  CHECK(*outer.inner < 0.02);
  CHECK(*outer.ball < 0.02);
  CHECK(*outer.cage < 0.02);
  const auto inner = features(modulated(orders.inner, 0.4, steady), with_bearing(), {shaft});
  CHECK(*inner.inner > 0.33);
  CHECK(*inner.outer < 0.02);
  const auto cage = features(modulated(orders.cage, 0.4, steady), with_bearing(), {shaft});
  CHECK(*cage.cage > 0.33);

  // One per cent off, as balls slip, is found; five per cent is another line.
  CHECK(*features(modulated(orders.outer * 1.01, 0.4, steady), with_bearing(), {shaft}).outer >
        0.33);
  CHECK(*features(modulated(orders.outer * 1.05, 0.4, steady), with_bearing(), {shaft}).outer <
        0.02);
}

TEST_CASE("harmonics and sidebands are part of a line") {
  const auto orders = orders_of(*find_bearing("6205"));
  const double shaft = 30;
  // An inner race passes through the load once a turn: sidebands at the shaft's speed.
  const auto with_sidebands = samples_of(size, rate, [&](double t) {
    const double turn = 2 * pi * shaft * t;
    const double e = 0.2 * std::cos(orders.inner * turn) + 0.2 * std::cos(2 * orders.inner * turn) +
                     0.1 * std::cos((orders.inner - 1) * turn) +
                     0.1 * std::cos((orders.inner + 1) * turn);
    return (1 + e) * std::sin(2 * pi * 4000 * t);
  });
  const auto f = features(with_sidebands, with_bearing(), {shaft});
  CHECK(*f.inner == doctest::Approx(std::sqrt(0.04 + 0.04 + 0.01 + 0.01)).epsilon(0.15));
}

TEST_CASE("a speed that changes smears a line, and order tracking puts it together again") {
  const auto orders = orders_of(*find_bearing("6205"));
  // From 25 to 35 turns a second within the window.
  const auto turns = [](double t) { return 25 * t + 5 * t * t; };
  const auto samples = modulated(orders.outer, 0.4, turns);
  std::vector<double> speeds;
  for (int i = 0; i <= 32; ++i) speeds.push_back(25 + 10.0 * i / 32);
  CHECK(*features(samples, with_bearing(), {30}).outer < 0.15);
  CHECK(*features(samples, with_bearing(), speeds).outer > 0.33);
  // An even speed said point by point is a fixed one.
  const auto steady = modulated(orders.outer, 0.4, [](double t) { return 30 * t; });
  CHECK(*features(steady, with_bearing(), std::vector<double>(33, 30.0)).outer ==
        doctest::Approx(*features(steady, with_bearing(), {30}).outer));
}

TEST_CASE(
    "without speed, with a shaft that stands still or too short a window there are no lines") {
  const auto samples = samples_of(size, rate, [](double t) { return std::sin(2 * pi * 4000 * t); });
  CHECK_FALSE(features(samples, with_bearing()).outer);
  CHECK_FALSE(features(samples, with_bearing(), {0}).outer);
  CHECK_FALSE(features(samples, with_bearing(), {10, 0, 10}).outer);
  CHECK_FALSE(features(samples, {}, {25}).outer);
  const std::vector<float> brief(samples.begin(), samples.begin() + 256);
  CHECK_FALSE(features(brief, with_bearing(), {25}).cage);
}

TEST_CASE("a clipped signal is told from a sine, from noise and from coarse steps") {
  Random random{5};
  const auto sine = [](double level, double top) {
    return samples_of(size, rate, [=](double t) {
      return std::round(std::clamp(level * std::sin(2 * pi * 7 * t), -top, top));
    });
  };
  CHECK_FALSE(is_clipped(sine(1000, 1e9)));
  CHECK_FALSE(is_clipped(sine(30, 1e9)));
  CHECK(is_clipped(sine(1000, 900)));
  for (const double scale : {0.7, 5.0, 1000.0}) {
    CAPTURE(scale);
    const auto rounded =
        samples_of(size, rate, [&](double) { return std::round(scale * random.normal()); });
    CHECK_FALSE(is_clipped(rounded));
  }
  const auto cut =
      samples_of(size, rate, [&](double) { return std::clamp(random.normal(), -2.5, 1e9); });
  CHECK(is_clipped(cut));
  CHECK_FALSE(is_clipped(std::vector<float>(100, 1.0F)));
  CHECK(reaches(cut, 2.5));
  CHECK_FALSE(reaches(cut, 100));
}

TEST_CASE("quick lengths have no prime factor above 5 and lose little") {
  for (std::size_t n = 64; n < 70000; n += 1 + n / 50) {
    auto length = quick_length(n);
    CHECK(length <= n);
    CHECK(static_cast<double>(length) > 0.8 * static_cast<double>(n));
    CHECK(length % 4 == 0);
    for (const std::size_t prime : {2U, 3U, 5U}) {
      while (length % prime == 0) length /= prime;
    }
    CHECK(length == 1);
  }
  for (const std::size_t n : {12000U, 20000U, 20480U, 25600U, 48000U, 51200U})
    CHECK(quick_length(n) == n);
}

TEST_CASE("an analyser remembers no window") {
  Random random{6};
  WaveformAnalyser analyser;
  WaveformFeatures first, again;
  const auto window = samples_of(4096, rate, [&](double) { return random.normal(); });
  analyser.analyse(with_bearing(), window, rate, {std::vector<double>{25}}, first);
  for (std::size_t n = 64; n < 4000; n += 61)  // more lengths than plans are kept
    analyser.analyse(
        with_bearing(),
        std::vector<float>(window.begin(), window.begin() + static_cast<std::ptrdiff_t>(n)), rate,
        {std::vector<double>{25}}, again);
  analyser.analyse(with_bearing(), window, rate, {std::vector<double>{25}}, again);
  CHECK(again.rms == first.rms);
  CHECK(again.outer == first.outer);
  CHECK(again.bands == first.bands);
}

TEST_CASE("published bearings knock where their data sets say") {
  struct Case {
    const char* name;
    double outer, inner, ball, cage;  // of the shaft
  };
  // Case Western Reserve University's bearing information (its ball figure is two of a turn of the
  // ball), and for ZA-2115 the 236.4 Hz at 2000 turns a minute that is quoted with NASA/IMS.
  const Case cases[] = {{"6205", 3.5848, 5.4152, 4.7135 / 2, 0.39828},
                        {"6203", 3.0530, 4.9469, 3.9874 / 2, 0.38170}};
  for (const auto& c : cases) {
    CAPTURE(c.name);
    const auto orders = orders_of(*find_bearing(c.name));
    CHECK(orders.outer == doctest::Approx(c.outer).epsilon(1e-3));
    CHECK(orders.inner == doctest::Approx(c.inner).epsilon(1e-3));
    CHECK(orders.ball == doctest::Approx(c.ball).epsilon(2e-3));
    CHECK(orders.cage == doctest::Approx(c.cage).epsilon(1e-3));
  }
  CHECK(orders_of(*find_bearing("ZA-2115")).outer * 2000 / 60 ==
        doctest::Approx(236.4).epsilon(1e-3));
  for (const auto& known : known_bearings()) {
    const auto orders = orders_of(known.geometry);
    // Every ball passes both races once in a turn against the cage.
    CHECK(orders.outer + orders.inner == doctest::Approx(known.geometry.balls));
    CHECK(orders.outer == doctest::Approx(known.geometry.balls * orders.cage));
  }
  CHECK_FALSE(find_bearing("620"));
}

namespace {

struct ReferenceCase {
  const char* name;
  double offset, depth, order, shaft, noise;
  std::uint64_t seed;
  bool tracked;
};

// As in waveform_reference.py.
constexpr ReferenceCase reference_cases[] = {{"plain", 0, 0, 3.5, 30, 0.2, 1, false},
                                             {"outer", 9.81, 0.4, 3.585, 29.6, 0.5, 2, false},
                                             {"inner", -3, 0.7, 5.415, 17.3, 1.0, 3, false},
                                             {"tracked", 0, 0.5, 3.585, 0, 0.3, 4, true}};

std::map<std::string, double> named_features(const ReferenceCase& c) {
  std::uint64_t state = c.seed;
  const auto samples = samples_of(size, rate, [&](double t) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const double noise = static_cast<double>(state >> 40) / 16777216 - 0.5;
    const double turns = c.tracked ? 25 * t + 5 * t * t : c.shaft * t;
    return c.offset +
           (1 + c.depth * std::cos(2 * pi * c.order * turns)) * std::sin(2 * pi * 4000 * t) +
           2 * std::sin(2 * pi * 160 * t) + c.noise * noise;
  });
  auto params = with_bearing();
  params.motion = Motion::acceleration;
  params.factor = 9806.65;
  std::vector<double> speeds{c.shaft};
  if (c.tracked) speeds.clear();
  for (int i = 0; c.tracked && i <= 32; ++i) speeds.push_back(25 + 10.0 * i / 32);
  const auto f = features(samples, params, speeds);
  return {{"rms", f.rms},          {"peak", f.peak},          {"peak_to_peak", f.peak_to_peak},
          {"crest", *f.crest},     {"kurtosis", *f.kurtosis}, {"skewness", *f.skewness},
          {"band_1", *f.bands[0]}, {"band_2", *f.bands[1]},   {"band_3", *f.bands[2]},
          {"band_4", *f.bands[3]}, {"velocity", *f.velocity}, {"bpfo", *f.outer},
          {"bpfi", *f.inner},      {"bsf", *f.ball},          {"ftf", *f.cage}};
}

// case/feature -> value
std::map<std::string, double> reference(std::istream& in) {
  std::map<std::string, double> out;
  std::string name, feature;
  double value = 0;
  while (in >> name >> feature >> value) out[name.append("/").append(feature)] = value;
  return out;
}

const std::string here = std::string{MILLWRIGHT_SOURCE} + "/tests/detectors/";

}  // namespace

TEST_CASE("SciPy works out the same features") {
  std::ifstream file{here + "waveform_reference.txt"};
  const auto expected = reference(file);
  REQUIRE(expected.size() == 4 * 15);
  for (const auto& c : reference_cases) {
    for (const auto& feature : named_features(c)) {
      const auto key = std::string{c.name} + "/" + feature.first;
      CAPTURE(key);
      // Lines of the envelope in noise: SciPy's comes at the full rate, ours folds a little of the
      // magnitude's own harmonics back.
      const bool line =
          feature.first.size() <= 4 && feature.first != "rms" && feature.first != "peak";
      const double wanted = expected.at(key);
      const double tolerance = line ? 0.03 * wanted + 0.001 : 1e-5 * std::abs(wanted) + 1e-6;
      CHECK(std::abs(feature.second - wanted) < tolerance);
    }
  }
}

TEST_CASE("the reference is what the script prints, where SciPy is") {
  const std::string python = "/usr/bin/python3";
  if (std::system((python + " -c 'import scipy' 2>/dev/null").c_str()) != 0) {
    MESSAGE("no SciPy here: the script is not run");
    return;
  }
  const test::TemporaryDirectory directory;
  const auto printed = directory / "reference.txt";
  REQUIRE(std::system(
              (python + " " + here + "waveform_reference.py > " + printed.string()).c_str()) == 0);
  std::ifstream now{printed}, then{here + "waveform_reference.txt"};
  const auto fresh = reference(now), kept = reference(then);
  REQUIRE(fresh.size() == kept.size());
  for (const auto& one : kept)
    CHECK(fresh.at(one.first) == doctest::Approx(one.second).epsilon(1e-6));
}
