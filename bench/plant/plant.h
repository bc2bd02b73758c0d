// A plant played through the production engine, fleet and desk, and what its crew would have lived
// with. Everything is judged by the story that was planted, never by what the engine says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/plant/story.h"
#include "core/alert.h"
#include "engine/alarm_figures.h"

namespace millwright::bench {

// What came of one planted fault. Times are event time.
struct FaultOutcome {
  simulator::Label label;
  std::optional<Timestamp> part;  // first part raised of a case that people were told of
  std::optional<Timestamp> told;  // when they were first told after the fault began
  bool in_any_case = false;       // also one that people were not told of, for the budget
  bool case_was_open = false;     // people had been told of that case before the fault began
  bool found() const { return part.has_value(); }
};

// Where a case of class machine comes from, by the story.
enum class Cause : std::uint8_t {
  fault,           // a planted fault of that machine
  sensor_trouble,  // a sensor of it that cannot be trusted, or its gateway
  maintenance,     // somebody works or worked on it
  nothing,
  count_
};
std::string_view name_of(Cause cause);

struct ToldCase {
  std::string id, machine, message;  // message as people were told first
  AlertClass of{};
  Timestamp told;
  Severity severity{};
  AlertKind kind{};  // of its worst part then
  Cause cause{};
  bool with_others = false;  // people were told first of many machines at once, this one among them
};

struct PlantResult {
  PlantOptions options;
  std::uint64_t readings = 0;
  std::vector<FaultOutcome> faults;
  std::vector<ToldCase> cases;           // that people were told of
  std::vector<std::size_t> per_gateway;  // notifications of silence during each drop-out
  std::uint64_t crowds = 0;              // notifications of many machines that are unusual at once
  std::vector<Timestamp> notified;
  std::vector<Severity> notified_as;
  std::vector<Timestamp> raised;  // alerts as the engine gives them, without a desk
  std::uint64_t parts_told = 0;   // events of single alerts behind the desk
  std::uint64_t chattering = 0;   // alerts that were told to chatter
  std::uint64_t most_chattering = 0, most_stale = 0, most_waiting = 0;  // at any full hour
  engine::AlarmFigures figures;                                         // at the end
  double seconds = 0;  // filled in by whoever has a clock

  std::size_t found() const;
  // Of machines, told one by one or with many others at once.
  std::size_t cases_of(Cause cause, bool with_others = false) const;
  double machine_months() const;
  // Most in any window of this length, critical ones counted or not.
  std::size_t most_notified(Duration window, bool critical = true) const;
};

// How long after its end a fault may still be told, and is no false case.
inline constexpr Duration plant_grace = std::chrono::hours{2};

// Thread rule: one thread. Throws std::invalid_argument for options out of range.
PlantResult run_plant(const PlantOptions& options);

std::string as_text(const PlantResult& result, bool list);

}  // namespace millwright::bench
