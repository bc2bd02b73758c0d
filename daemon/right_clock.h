// At the start the wall clock may be wrong: a gateway without a battery for it begins anywhere
// until it is told the time. Readings that have no time of their own would get that one, and what
// is learned from them would be of another day.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "core/time.h"
#include "daemon/log.h"

namespace millwright::daemon {

// No machine that runs this has seen an earlier day.
inline constexpr Timestamp earliest_right_clock =
    std::chrono::sys_days{std::chrono::year{2020} / 1 / 1};

enum class Waited : std::uint8_t { clock_is_right, told_to_stop, told_to_reload };

// Returns at once when the clock is right. Else says so, tells systemd that we are ready and what
// we wait for, and looks again every second. The caller has blocked SIGTERM, SIGINT and SIGHUP,
// which end the wait.
Waited wait_for_right_clock(const std::function<Timestamp()>& wall_clock, Log& log);

}  // namespace millwright::daemon
