// Any bytes as what the engine, the fleet and the desk learned; what is taken over works on.
// Checksums are put right first.
#include "core/codec.h"
#include "daemon/plan_of.h"
#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/fleet.h"
#include "fuzz/fuzz.h"
#include "fuzz/world.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  const auto bytes = fuzz::repaired_lane_state(fuzz::text_of(data, size));
  std::string engine_state, fleet_state, desk_state;
  Reader{bytes}(engine_state, fleet_state, desk_state);

  fuzz::World world;
  Position position = 0;
  const bool engine_taken =
      world.engine.restore_all(engine_state, position) == engine::RestoreResult::ok;
  std::vector<Alert> closed;
  (void)world.fleet.restore(fleet_state, closed);
  (void)world.desk.restore(desk_state);
  if (engine_taken) {
    for (std::uint32_t i = 0; i < world.engine.sensors(); ++i)
      (void)world.engine.info(static_cast<SensorId>(i));
  }
  world.live_through(position < (Position{1} << 62) ? position : 0, 2);
  engine::Engine again{world.plan};
  fuzz::require(
      again.restore_all(world.engine.save_all(position), position) == engine::RestoreResult::ok,
      "what was learned is taken over again");
  return 0;
}
