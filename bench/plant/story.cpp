#include "bench/plant/story.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "core/random.h"

namespace millwright::bench {
namespace {

using simulator::FaultKind;
using std::chrono::hours;
using std::chrono::minutes;

// The most telling first: what a plant with few sensors would have. Indices in Factory::sensors().
constexpr std::array<std::size_t, 12> order{9, 6, 7, 8, 11, 0, 3, 4, 5, 1, 2, 10};
// All faults lie in this part of a run: what was learned before, what is repaired after.
constexpr double earliest = 0.3, latest = 0.92;

// Short runs squeeze the story; they do not drop it.
Duration lasting(Random& random, double low_hours, double high_hours, Duration run) {
  return std::min(from_seconds(3600 * random.uniform(low_hours, high_hours)),
                  from_seconds(to_seconds(run) * 0.07));
}

Timestamp sometime(Random& random, Timestamp start, Duration run, double from = earliest,
                   double to = latest) {
  return std::chrono::floor<std::chrono::seconds>(
      start + from_seconds(to_seconds(run) * random.uniform(from, to)));
}

simulator::PlannedFault fault(FaultKind kind, std::size_t machine, Random& random,
                              const PlantOptions& options, Timestamp start) {
  const auto run = options.duration;
  simulator::PlannedFault out;
  out.robot = machine;
  out.kind = kind;
  out.joint = random.below(3);
  out.start = sometime(random, start, run, earliest, 0.85);
  switch (kind) {
    case FaultKind::bearing_wear:
      out.severity = random.uniform(2.4, 3.2);
      out.ramp = lasting(random, 12, 48, run);
      out.hold = lasting(random, 12, 24, run);
      break;
    case FaultKind::cooling_loss:
      out.severity = random.uniform(15, 20);
      out.ramp = lasting(random, 1, 2, run);
      out.hold = lasting(random, 6, 12, run);
      break;
    case FaultKind::backlash:
      out.severity = random.uniform(1.22, 1.30);
      out.ramp = lasting(random, 2, 12, run);
      out.hold = lasting(random, 12, 24, run);
      break;
    default:  // a collision: three to six readings, while it works
      out.severity = random.uniform(3, 6);
      out.hold = static_cast<int>(3 + random.below(4)) * options.period;
      break;
  }
  return out;
}

// A fault that shows only in motion, or in the heat of work, begins where every shift works: a
// weekday, 8 to 16 o'clock.
Timestamp at_work(Timestamp time) {
  using namespace std::chrono;
  auto day = floor<days>(time);
  while (weekday{day} == Saturday || weekday{day} == Sunday) day += days{1};
  const auto of_day = time - floor<days>(time);
  return day + hours{8} + of_day / 3;
}

}  // namespace

std::string_view name_of(SensorTrouble::What what) {
  static constexpr std::array<std::string_view, 4> names{"silent", "stuck", "comes and goes",
                                                         "loose"};
  return names[static_cast<std::size_t>(what)];
}

bool Story::switched_off(std::size_t machine, Timestamp time) const {
  using namespace std::chrono;
  if (switched_off_every == 0 || machine % switched_off_every != 7 % switched_off_every)
    return false;
  const auto day = floor<days>(time);
  return weekday{day} == Saturday || weekday{day} == Sunday;
}

std::vector<std::size_t> sensors_read(const PlantOptions& options) {
  return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(options.sensors)};
}

Story story_of(const PlantOptions& options, Timestamp start) {
  if (options.sensors < 1 || options.sensors > order.size())
    throw std::invalid_argument{"a machine has 1 to 12 sensors"};
  if (options.machines < options.faults)
    throw std::invalid_argument{"a machine has one fault at most: more machines or fewer faults"};
  if (options.machines < 10) throw std::invalid_argument{"a plant has at least 10 machines"};
  Story story;
  const auto run = options.duration;
  const auto read = sensors_read(options);
  const Random root{options.seed};
  auto random = root.fork(77);
  std::vector<std::size_t> machines(options.machines);
  std::iota(machines.begin(), machines.end(), std::size_t{0});
  for (std::size_t i = machines.size() - 1; i > 0; --i)
    std::swap(machines[i], machines[random.below(i + 1)]);
  constexpr std::array kinds{FaultKind::bearing_wear, FaultKind::cooling_loss, FaultKind::backlash,
                             FaultKind::collision};
  for (std::size_t i = 0; i < options.faults; ++i) {
    auto one = fault(kinds[i % kinds.size()], machines[i], random, options, start);
    if (one.kind == FaultKind::collision || one.kind == FaultKind::cooling_loss)
      one.start = at_work(one.start);
    story.faults.push_back(one);
  }
  // Every fourth sensor dies on a machine that is at fault, within its fault; the others anywhere.
  using What = SensorTrouble::What;
  for (std::size_t i = 0; i < options.sensor_deaths; ++i) {
    const auto length = lasting(random, 6, 72, run);
    const auto what = i % 2 == 0 ? What::silent : What::stuck;
    const auto sensor = read[random.below(read.size())];
    if (i % 4 == 3 && !story.faults.empty()) {
      const auto& victim = story.faults[random.below(story.faults.size())];
      // Not while a collision lasts, or that shows in no reading: it tears the cable off.
      const auto length_before = victim.kind == FaultKind::collision
                                     ? victim.hold + options.period
                                     : (victim.ramp + victim.hold) / 4;
      const auto from = victim.start + length_before;
      story.troubles.push_back({victim.robot, sensor, what, {from, from + length}});
    } else {
      const auto from = sometime(random, start, run);
      story.troubles.push_back(
          {random.below(options.machines), sensor, what, {from, from + length}});
    }
  }
  for (std::size_t i = 0; i < options.loose; ++i) {
    const auto from = sometime(random, start, run);
    const auto length = lasting(random, 4, 12, run);
    story.troubles.push_back({random.below(options.machines),
                              read[random.below(read.size())],
                              i % 2 == 0 ? What::comes_goes : What::loose,
                              {from, from + length}});
  }
  std::stable_sort(story.troubles.begin(), story.troubles.end(),
                   [](const auto& a, const auto& b) { return a.machine < b.machine; });
  // A gateway has a tenth to a fifth of the machines.
  for (std::size_t i = 0; i < options.gateways; ++i) {
    const auto size =
        std::max<std::size_t>(5, options.machines / 10 + random.below(options.machines / 10 + 1));
    const auto first = random.below(options.machines - size);
    // Each in a stretch of its own, so that each can be counted.
    const double share = (latest - earliest) / static_cast<double>(options.gateways);
    const double at = earliest + share * static_cast<double>(i);
    const auto from = sometime(random, start, run, at, at + share / 2);
    const auto length = lasting(random, 0.5, 4, run);
    story.gateways.push_back({first, first + size - 1, {from, from + length}});
  }
  for (std::size_t i = 0; i < options.windows; ++i) {
    const auto from = sometime(random, start, run);
    story.windows.push_back(
        {random.below(options.machines), {from, from + lasting(random, 2, 6, run)}});
  }
  std::stable_sort(story.windows.begin(), story.windows.end(),
                   [](const auto& a, const auto& b) { return a.span.from < b.span.from; });
  return story;
}

}  // namespace millwright::bench
