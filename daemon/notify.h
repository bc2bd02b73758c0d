// What systemd is told: READY, STATUS, RELOADING, STOPPING, WATCHDOG. Nothing happens where there
// is no systemd.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace millwright::daemon {

void notify_ready(const std::string& status);
void notify_status(const std::string& status);
void notify_reloading();
void notify_stopping(const std::string& status);
void notify_watchdog();
// How often the watchdog wants to be fed at the least; nothing when it is off.
std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace millwright::daemon
