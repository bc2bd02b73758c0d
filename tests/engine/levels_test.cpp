// Which rows of values are several states, and which are one.
#include "engine/levels.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>

#include "core/random.h"

namespace millwright::engine {
namespace {

using Draw = std::function<double(Random&, int)>;

std::vector<double> drawn(const Draw& draw, std::uint64_t seed, int n = 192) {
  Random random{seed};
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(draw(random, i));
  return out;
}

TEST_CASE("levels of a channel are its clusters, whatever their widths, with outliers between") {
  const auto values = drawn(
      [](Random& random, int i) {
        if (i % 20 == 0) return random.uniform(0, 25);  // on the way
        const double middles[] = {0.5, 4, 9}, widths[] = {0.02, 0.2, 0.4};
        const auto k = static_cast<std::size_t>(i / 8 % 3);
        return middles[k] + widths[k] * random.normal();
      },
      1);
  const auto levels = levels_of(values, 8);
  REQUIRE(levels.size() == 3);
  CHECK(levels[0].middle == doctest::Approx(0.5).epsilon(0.05));
  CHECK(levels[1].middle == doctest::Approx(4).epsilon(0.05));
  CHECK(levels[2].middle == doctest::Approx(9).epsilon(0.05));
  CHECK(levels[0].scatter == doctest::Approx(0.02).epsilon(0.5));
  CHECK(levels[2].scatter == doctest::Approx(0.4).epsilon(0.5));
}

TEST_CASE("what leaves no gap has no levels") {
  struct Case {
    std::string name;
    Draw draw;
  };
  const Case cases[] = {
      {"normal", [](Random& r, int) { return r.normal(); }},
      {"uniform", [](Random& r, int) { return r.uniform(0, 1); }},
      {"exponential", [](Random& r, int) { return -std::log(r.uniform(1e-9, 1)); }},
      {"sine", [](Random& r, int i) { return std::sin(0.1 * i) + 0.01 * r.normal(); }},
      {"drift", [](Random& r, int i) { return i + 3 * r.normal(); }},
      {"constant", [](Random&, int) { return 7.0; }},
      {"two modes, four deviations apart",
       [](Random& r, int i) { return 4.0 * (i / 9 % 2) + r.normal(); }},
  };
  for (const auto& one : cases) {
    CAPTURE(one.name);
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      CAPTURE(seed);
      CHECK(levels_of(drawn(one.draw, seed), 8).size() < 2);
    }
  }
  CHECK(levels_of(drawn([](Random& r, int i) { return 9.0 * (i / 9 % 2) + r.normal(); }, 1), 8)
            .size() == 2);
}

struct Channels {
  Rows rows;
  std::vector<Frames::Channel> channels;
  double leap = 1e9;
};

// Two states of 12 rows each, told by so many of three sensors.
Channels two_states(int telling, int rows, int visit = 12) {
  Channels out;
  Random random{4};
  for (std::uint8_t c = 0; c < 3; ++c) out.channels.push_back({c, false});
  for (int i = 0; i < rows; ++i) {
    auto& row = out.rows.emplace_back();
    for (int c = 0; c < 3; ++c)
      row.push_back((c < telling ? 10.0 * (i / visit % 2) : 0) + random.normal() * 0.5);
  }
  return out;
}

std::size_t count_of(const Channels& c, std::size_t most = 8) {
  const std::vector<double> leaps(c.channels.size(), c.leap);
  return states_of(c.rows, c.channels, leaps, most).centres.size();
}

TEST_CASE("states differ in two sensors, and the machine left each and came back") {
  CHECK(count_of(two_states(3, 96)) == 2);
  CHECK(count_of(two_states(2, 96)) == 2);
  CHECK(count_of(two_states(1, 96)) == 0);      // a sensor that is at fault now and then
  CHECK(count_of(two_states(3, 96, 48)) == 0);  // it changed once and stays
  CHECK(count_of(two_states(3, 96, 2)) == 0);   // no programs: a movement
  CHECK(count_of(two_states(3, 60)) == 0);      // too few rows to tell
  auto scatter = two_states(2, 96);
  scatter.channels[1] = {0, true};  // of the same sensor
  CHECK(count_of(scatter) == 0);
  auto slow = two_states(3, 96);
  slow.leap = 4;  // levels are 10 apart
  CHECK(count_of(slow) == 0);
  slow.leap = 6;
  CHECK(count_of(slow) == 2);
}

TEST_CASE("states are numbered as they come first, and at most so many are taken") {
  Channels four;
  Random random{5};
  for (std::uint8_t c = 0; c < 2; ++c) four.channels.push_back({c, false});
  const double levels[] = {30, 10, 40, 20};
  for (int i = 0; i < 192; ++i) {
    const double level = levels[i / 8 % 4];
    four.rows.push_back({level + random.normal(), -level + random.normal()});
  }
  const auto states = states_of(four.rows, four.channels, std::array{1e9, 1e9}, 8);
  REQUIRE(states.centres.size() == 4);
  for (std::size_t k = 0; k < 4; ++k)
    CHECK(states.centres[k][0] == doctest::Approx(levels[k]).epsilon(0.1));
  CHECK(states.visit == doctest::Approx(8).epsilon(0.02));
  CHECK(count_of(four, 4) == 4);
}

TEST_CASE("a sensor that says nothing, and one that does not tell, leave the others their say") {
  auto with = two_states(2, 96);
  with.channels.push_back({3, false});
  for (auto& row : with.rows) row.push_back(std::numeric_limits<double>::quiet_NaN());
  const auto states = states_of(with.rows, with.channels, std::array{1e9, 1e9, 1e9, 1e9}, 8);
  REQUIRE(states.centres.size() == 2);
  CHECK(std::isnan(states.centres[0][2]));
  CHECK(std::isnan(states.centres[0][3]));
  for (auto& row : with.rows) row.pop_back();  // it joined late: rows are shorter
  CHECK(count_of(with) == 2);
}

}  // namespace
}  // namespace millwright::engine
