// What the tests of faults have in common: a plant whose clocks run faster, with broker, daemon, a
// source of readings that raise and clear alerts, and a crew that listens.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "tests/daemon/site.h"
#include "tests/faults/clock.h"
#include "tests/support/proxy.h"

namespace millwright::test {

// Readings that raise an alert on every machine, make it worse and clear it, minute after minute of
// event time.
class Load {
 public:
  Load(Client& source, int machines) : source_(source), machines_(machines) {}

  void minute();  // of all machines
  // A minute or more, until the condition holds; false when it did not within 2000.
  bool until(const std::function<bool()>& condition);
  std::string now() const;

 private:
  Client& source_;
  const int machines_;
  int minute_ = 0;
  std::uint64_t tag_ = 0;
};

// What a file holds, read on from where it was read last: for logs that grow large.
class Tail {
 public:
  explicit Tail(std::filesystem::path file) : file_(std::move(file)) {}
  // How often the words have come so far; always asked for the same ones.
  std::size_t count(const std::string& words);

 private:
  std::filesystem::path file_;
  std::size_t read_ = 0, count_ = 0;
};

// How many documents of the daemon's status the client has heard that say so.
std::size_t heard_status(const Client& client, bool online);

struct PlantOptions {
  double speed = 10;                       // of all clocks but the test's own
  bool proxied = false;                    // between daemon and broker
  std::string more{};                      // of the broker's configuration
  std::function<void(Json&)> configure{};  // the daemon
};

// All are connected when it is constructed. Alerts are limits only, so that what they must be is
// plain.
class Plant {
 public:
  explicit Plant(const PlantOptions& options);

  std::size_t connections() { return connections_.count(" as millwright-test ("); }
  // Stops the daemon; empty when the crew has heard of all that it archived.
  std::string undelivered();
  std::size_t archived() const { return archived_; }

 private:
  TemporaryDirectory kept_;
  std::size_t archived_ = 0;

 public:
  TestClock clock;
  Broker broker;
  Proxy proxy{broker.port()};
  Site site{broker};
  Client source{listener(broker, "source", "millwright/test/state/marker/#")};
  Client crew{listener(broker, "crew", "millwright/test/event/alert")};
  Client watcher{listener(broker, "watcher", "millwright/test/status")};

 private:
  Tail connections_{broker.directory() / "log"};
};

}  // namespace millwright::test
