// The readings that an alert shows: from before its onset to the event, in bounded room.
#include "engine/history.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/codec.h"
#include "core/random.h"
#include "tests/engine/harness.h"

using namespace millwright;
using namespace millwright::engine;

namespace {

// Reading number n is taken at second n and says n.
History counting(int readings) {
  History history;
  for (int n = 1; n <= readings; ++n) history.add({at(n), double(n)}, n / 2.0);
  return history;
}

}  // namespace

TEST_CASE("few readings are all there, in their order, with what was expected then") {
  const auto evidence = counting(8).around(at(5));
  CHECK(evidence.values == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(evidence.expected == std::vector<double>{0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4});
  CHECK(evidence.times.front() == at(1));
  CHECK(History{}.around(at(0)).times.empty());
}

TEST_CASE("what is kept thins out with its age, and leaves no gap wider than its age") {
  for (const int readings : {9, 100, 1000, 4095, 4096, 4097, 30000, 87381}) {
    CAPTURE(readings);
    const auto values = counting(readings).around(at(0)).values;
    REQUIRE(values.size() <= History::dense + History::levels);
    // The newest one by one.
    for (std::size_t i = 0; i < History::dense; ++i)
      CHECK(values[values.size() - 1 - i] == readings - double(i));
    for (std::size_t i = 1; i < values.size(); ++i) {
      CHECK(values[i] > values[i - 1]);
      // At most four times as old as the next.
      CHECK(readings - values[i - 1] <= 4 * (readings - values[i]) + 8);
    }
    // The oldest lies in the first two thirds of all there were.
    CHECK(values.front() <= std::max(8, 2 * readings / 3 + 1));
  }
}

TEST_CASE("evidence begins with four kept readings before the onset") {
  const auto history = counting(1000);  // 1111101000 in binary
  CHECK(history.around(at(999.5)).values == std::vector<double>{996, 997, 998, 999, 1000});
  CHECK(history.around(at(990)).values ==
        std::vector<double>{768, 896, 960, 976, 992, 993, 994, 995, 996, 997, 998, 999, 1000});
  // What is kept begins after the onset: all of it.
  CHECK(history.around(at(-5)).values.front() == 512);
}

TEST_CASE("history is restored exactly") {
  auto original = counting(777);
  std::string bytes;
  Writer{bytes}(original);
  CHECK(bytes.size() <= 512);
  History restored;
  Reader reader{bytes};
  reader(restored);
  REQUIRE((reader.ok() && reader.at_end()));
  for (auto* history : {&original, &restored}) {
    for (int n = 778; n < 2000; ++n) history->add({at(n), double(n)}, std::nan(""));
  }
  std::string first, second;
  Writer{first}(original);
  Writer{second}(restored);
  CHECK(first == second);
}

TEST_CASE("the evidence of a slow drift shows the readings before its onset") {
  Plan plan;
  plan.profiles.push_back(profile("*", {{"drift", {}}}));
  Rig rig{std::move(plan)};
  Random random{771};
  const double begin = 5 * 86400;
  for (int i = 0; i < 100000 && rig.effects.alerts.empty(); ++i) {
    const double t = 10.0 * i, wear = t > begin ? 5e-5 * (t - begin) : 0;
    rig.reading("R1", "temp", t, 60 + random.normal() + wear);
  }
  REQUIRE(!rig.effects.alerts.empty());
  const auto& alert = rig.effects.alerts[0];
  CAPTURE(alert.message);
  const auto& evidence = alert.evidence;
  REQUIRE(evidence.times.size() == evidence.values.size());
  REQUIRE(evidence.times.size() == evidence.expected.size());
  CHECK(evidence.times.front() < alert.onset);
  CHECK(evidence.times.back() == alert.time);
  CHECK(evidence.values.back() == alert.value);
  CHECK(evidence.values.front() == doctest::Approx(60).epsilon(0.1));
  CHECK(evidence.expected.back() == doctest::Approx(alert.expected).epsilon(1e-6));
}
