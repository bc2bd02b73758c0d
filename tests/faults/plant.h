// What the tests of faults have in common: a plant whose clocks run faster, with broker, daemon, a
// source of readings that raise and clear alerts, and a crew that listens.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "tests/daemon/load.h"
#include "tests/daemon/site.h"
#include "tests/faults/clock.h"
#include "tests/support/proxy.h"

namespace millwright::test {

// How many documents of the daemon's status the client has heard that say so.
std::size_t heard_status(const Client& client, bool online);

struct PlantOptions {
  double speed = 10;                       // of all clocks but the test's own
  bool proxied = false;                    // between daemon and broker
  std::string more{};                      // of the broker's configuration
  std::function<void(Json&)> configure{};  // the daemon
};

// All are connected when it is constructed.
class Plant {
 public:
  explicit Plant(const PlantOptions& options);

  std::size_t connections() { return connections_.count(); }
  // How many events the archive of the running daemon has.
  std::size_t archived_so_far() const;
  // How many events the crew has heard of, each counted once however often it came.
  std::size_t heard();
  // Stops the daemon; empty when the crew has heard of all that it archived.
  std::string undelivered();
  std::size_t archived() const { return archived_; }

 private:
  TemporaryDirectory kept_;
  std::size_t archived_ = 0, looked_at_ = 0;
  std::unordered_set<std::string> heard_;

 public:
  TestClock clock;
  Broker broker;
  Proxy proxy{broker.port()};
  Site site{broker};
  Client source{listener(broker, "source", "millwright/test/state/marker/#")};
  Client crew{listener(broker, "crew", "millwright/test/event/alert")};
  Client watcher{listener(broker, "watcher", "millwright/test/status")};

 private:
  Admissions connections_{broker};
};

}  // namespace millwright::test
