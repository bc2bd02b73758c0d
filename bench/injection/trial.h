// One background through the engine: learned once, then every injection from the state that the
// undisturbed engine had just before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bench/injection/backgrounds.h"
#include "bench/injection/faults.h"
#include "core/score.h"
#include "engine/plan.h"

namespace millwright::bench {

// What is injected into one background. Short faults cost little and are decided by a single draw
// of the noise, so they are tried more often.
struct Design {
  std::vector<Fault> faults;
  double size = 6;  // sigma
  Around around = Around::neighbours;
  std::size_t short_faults = 12, lasting_faults = 3;  // times that each is tried
};

struct Trial {
  Fault fault{};
  bool found = false;
  bool by_chance = false;          // the same readings without the fault raise an alert too
  Duration delay{0};               // from its start to the alert, in event time; if found
  std::vector<AlertKind> kinds{};  // that were raised, each once
};

struct Outcomes {
  double sigma = 0;
  std::vector<Trial> trials;
  std::size_t readings = 0;             // of the healthy continuation
  Duration watched{0};                  // their time
  std::vector<AlertKind> false_alerts;  // raised on them
  std::size_t test_readings = 0;        // the first of them, as many as injections reach
  std::size_t test_false_alerts = 0;
};

// Readings that the injections can reach: learning part not included.
std::size_t test_length(const Rate& rate);

// `stuck` is left out where half of the changes are zero anyway, and all faults where nothing ever
// moves.
Outcomes run(const Background& background, const std::shared_ptr<const engine::Plan>& plan,
             const Design& design, std::uint64_t seed);

}  // namespace millwright::bench
