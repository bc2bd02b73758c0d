#include "daemon/right_clock.h"

#include <fmt/format.h>
#include <signal.h>

#include <string>

#include "daemon/notify.h"

namespace millwright::daemon {

Waited wait_for_right_clock(const std::function<Timestamp()>& wall_clock, Log& log) {
  if (wall_clock() >= earliest_right_clock) return Waited::clock_is_right;
  log.warning("The clock is wrong, it is waited for: no reading is taken in until it is set",
              {{"clock", format_time(wall_clock())}});
  notify_ready("");
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  while (wall_clock() < earliest_right_clock) {
    notify_status(fmt::format("waits for the clock to be set, it says {}; takes in no readings",
                              format_time(wall_clock())));
    notify_watchdog();
    const timespec second{1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &second);
    if (signal == SIGTERM || signal == SIGINT) return Waited::told_to_stop;
    if (signal == SIGHUP) return Waited::told_to_reload;
  }
  log.info("The clock has been set", {{"clock", format_time(wall_clock())}});
  return Waited::clock_is_right;
}

}  // namespace millwright::daemon
