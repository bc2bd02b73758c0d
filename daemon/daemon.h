// The daemon: session, journals, lanes, writer and publisher wired together, and the supervisor
// that watches them.
//
//   session --> journal --> lane --> writer --> publisher --> session
//
// Every queue is bounded; at the end they are closed upstream first and drained.
#pragma once

#include <filesystem>

#include "daemon/log.h"

namespace millwright::daemon {

// Runs until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code; what cannot be started is
// said in one sentence. Blocks those signals in the calling thread: call it before any other thread
// is started.
int run_daemon(const std::filesystem::path& config_file, Log& log);

}  // namespace millwright::daemon
