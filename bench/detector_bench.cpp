// What a reading costs in each detector, and what a sensor takes in memory: score and learn through
// the column, sensors in shuffled order, at 1, 1,000 and 100,000 sensors. The yardstick is an
// exponentially weighted z-score. Likewise a frame of the detector `machine`.
//
//   bench_detectors [READINGS_PER_MEASUREMENT [DETECTOR]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/random.h"
#include "detectors/all.h"
#include "detectors/health.h"
#include "detectors/machine.h"

namespace millwright::detectors {
namespace {

// The least that can be called a detector.
struct Yardstick {
  static constexpr std::string_view name = "z-score";
  static constexpr AlertKind kind = AlertKind::spike;
  static constexpr std::uint16_t state_version = 1;
  static constexpr Timeline timeline = Timeline::event;
  struct Params {
    double rate = 0.01;
    static void describe(auto& visit, auto& p) { visit("rate", "1", Range{0, 1}, "Rate", p.rate); }
  };
  struct State {
    double mean = 0, variance = 0;
    static void fields(auto& io, auto& self) { io(self.mean, self.variance); }
  };
  static std::optional<Score> score(const Params&, const State& s, Sample sample) {
    const double deviation = std::sqrt(s.variance);
    return Score{std::abs(sample.value - s.mean) / (6 * deviation + 1e-12), s.mean,
                 s.mean - 6 * deviation, s.mean + 6 * deviation};
  }
  static void learn(const Params& p, State& s, Sample sample, Trust) {
    const double difference = sample.value - s.mean;
    s.mean += p.rate * difference;
    s.variance += p.rate * ((1 - p.rate) * difference * difference - s.variance);
  }
};

// Time of this process's own on a processor, so that what else runs there does not count.
std::chrono::nanoseconds processor_time() {
  return std::chrono::nanoseconds{
      static_cast<std::int64_t>(1e9 / CLOCKS_PER_SEC * static_cast<double>(std::clock()))};
}

struct Cost {
  double nanoseconds = 0;  // per reading, the best of three rounds
  double bytes = 0;        // of a sensor's state
};

Cost measure(const DetectorType& type, std::size_t sensors, std::size_t readings,
             Duration spacing) {
  auto column = type.make_column();
  ParameterValues parameters;
  if (type.name == "limit") parameters = {{"high", 60}, {"low", 40}};
  for (std::size_t i = 0; i < sensors; ++i) column->add(parameters);

  Random random{1};
  std::vector<Slot> order(sensors);
  std::iota(order.begin(), order.end(), Slot{0});
  for (std::size_t i = sensors; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::vector<double> noise(4099);
  for (auto& value : noise) value = 50 + random.normal();

  // Batches as the engine makes them; the clock is read once in many.
  constexpr std::size_t stretch = 16 * most_of_batch;
  const std::size_t batch = std::min(sensors, most_of_batch);
  std::vector<Item> items(stretch);
  std::vector<std::optional<Score>> scores(stretch);
  const std::vector<Trust> trust(stretch, Trust::normal);
  std::vector<Learned> learned(stretch);
  std::size_t draw = 0, next = 0;
  Timestamp time{};
  double sink = 0;
  const auto run = [&](std::size_t count) {
    std::chrono::nanoseconds spent{0};
    for (std::size_t done = 0; done < count; done += stretch) {
      for (auto& item : items) {
        if (next == sensors) next = 0;
        if (next == 0) time += spacing;
        item = {order[next++], {time, noise[draw++ % noise.size()]}};
      }
      const auto begin = processor_time();
      for (std::size_t i = 0; i < stretch; i += batch) {
        const auto part = std::span<const Item>{items}.subspan(i, batch);
        column->score(part, std::span{scores}.subspan(i, batch));
        column->learn(part, std::span{trust}.subspan(i, batch),
                      std::span{learned}.subspan(i, batch));
      }
      spent += processor_time() - begin;
      for (const auto& score : scores) sink += score ? score->ratio : 0;
    }
    return static_cast<double>(spent.count()) / static_cast<double>(count);
  };
  // Past the warm-up, windows full.
  run(std::max<std::size_t>(330 * sensors, 10 * stretch));
  Cost cost{.nanoseconds = run(readings), .bytes = static_cast<double>(type.state_bytes)};
  for (int round = 0; round < 2; ++round)
    cost.nanoseconds = std::min(cost.nanoseconds, run(readings));
  if (!std::isfinite(sink)) cost.nanoseconds = -1;
  return cost;
}

void report(const DetectorType& type, std::size_t readings,
            Duration spacing = std::chrono::seconds{1}) {
  const bool slow = spacing > std::chrono::seconds{1};
  fmt::print("{:<16}{:>6}", fmt::format("{}{}", type.name, slow ? ", 5 min" : ""),
             type.state_bytes);
  for (const std::size_t sensors : {1u, 1000u, 100000u}) {
    fmt::print("{:>12.1f}",
               measure(type, sensors, std::max(readings, 2 * sensors), spacing).nanoseconds);
  }
  fmt::print("\n");
}

// A frame of a machine with so many independent sensors, and the bytes of its state.
Cost measure_machine(std::size_t sensors, std::size_t frames) {
  const MachineLevel::Params params{.warmup = 400, .learning = Duration{0}};
  MachineLevel::State state;
  MachineLevel::Memo memo;
  Random random{5};
  std::vector<double> values(sensors);
  Timestamp time{};
  double sink = 0;
  const auto run = [&](std::size_t count) {
    std::chrono::nanoseconds spent{0};
    for (std::size_t i = 0; i < count; ++i) {
      for (auto& value : values) value = random.normal();
      time += std::chrono::seconds{1};
      const auto begin = processor_time();
      const auto score = MachineLevel::score(params, state, {time, values}, memo);
      MachineLevel::learn(params, state, {time, values}, Trust::normal, memo);
      spent += processor_time() - begin;
      sink += score ? score->ratio : 0;
    }
    return static_cast<double>(spent.count()) / static_cast<double>(count);
  };
  run(1000);
  Cost cost{.nanoseconds = run(frames)};
  std::string bytes;
  Writer{bytes}(state);
  cost.bytes = static_cast<double>(bytes.size());
  if (!std::isfinite(sink)) cost.nanoseconds = -1;
  return cost;
}

void report_machine(std::size_t frames) {
  fmt::print(
      "\nns of processor time per frame of the detector `machine`, and bytes of its state\n");
  fmt::print("{:<16}{:>10}{:>12}\n", "sensors", "bytes", "ns a frame");
  for (const std::size_t sensors : {2u, 8u, 20u, 50u, 64u}) {
    const auto cost = measure_machine(sensors, frames);
    fmt::print("{:<16}{:>10.0f}{:>12.0f}\n", sensors, cost.bytes, cost.nanoseconds);
  }
}

// The health of a machine of 20 sensors, frames in which no block of the prognosis ends and those
// in which one does.
void report_health() {
  fmt::print("\nns of processor time per frame of the health, and at the end of a block\n");
  fmt::print("{:<16}{:>10}{:>12}{:>12}\n", "machine", "bytes", "frame", "block");
  for (const double worn : {0.0, 3.0}) {
    const Health::Params params;
    Health::State state;
    Random random{7};
    constexpr std::uint32_t learned = 160, frames = 40000;
    std::vector<float> sensors(20, 0.2F);
    std::chrono::nanoseconds plain{0}, ending{0};
    for (std::uint32_t i = 0; i < frames; ++i) {
      MachineLevel::PerHead heads{};
      heads[MachineLevel::by_drift] = worn * worn * i / frames * (1 + 0.1 * random.normal());
      const auto filled = state.levels.ladder[0].block.count;
      const Timestamp time{std::chrono::seconds{i}};
      const auto begin = processor_time();
      Health::learn(params, state, {time, heads, sensors, learned});
      (filled + 1 == learned / 16 ? ending : plain) += processor_time() - begin;
    }
    std::string bytes;
    Writer{bytes}(state);
    fmt::print("{:<16}{:>10}{:>12.0f}{:>12.0f}\n", worn > 0 ? "worn" : "healthy", bytes.size(),
               static_cast<double>(plain.count()) / (frames * 0.9),
               static_cast<double>(ending.count()) / (frames * 0.1));
  }
}

}  // namespace
}  // namespace millwright::detectors

int main(int argc, char** argv) {
  using namespace millwright::detectors;
  const auto readings =
      argc > 1 ? static_cast<std::size_t>(std::strtoull(argv[1], nullptr, 10)) : 1'000'000;
  const std::string_view only = argc > 2 ? argv[2] : "";
  const bool known = only.empty() || find_type(only) < types().size();
  if (readings == 0 || argc > 3 || !known) {
    fmt::print(stderr, "usage: bench_detectors [READINGS_PER_MEASUREMENT [DETECTOR]]\n");
    return 64;
  }
  fmt::print(
      "ns of processor time per reading (score and learn), shuffled sensors, batches of up to {}\n",
      most_of_batch);
  fmt::print("{:<16}{:>6}{:>12}{:>12}{:>12}\n", "detector", "bytes", "1 sensor", "1,000",
             "100,000");
  report(type_of<Yardstick>(), readings);
  for (const auto& type : types()) {
    if (!only.empty() && type.name != only) continue;
    report(type, readings);
    // A composite condenses fast readings; slow ones cost it most.
    if (!type.alarm_parameter.empty()) report(type, readings, std::chrono::minutes{5});
  }
  if (!only.empty()) return 0;
  report_machine(std::max<std::size_t>(readings / 100, 1000));
  report_health();
  return 0;
}
