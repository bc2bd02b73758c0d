// A daemon under load: readings that raise alerts by limits alone, so that what they must be is
// plain; and what a broker needs for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "tests/daemon/site.h"

namespace millwright::test {

// Of the example configuration of mosquitto that is shipped.
inline constexpr const char* shipped_limits =
    "max_inflight_messages 1000\nmax_queued_messages 100000\nmax_queued_bytes 268435456\n";

// Detectors of the site: of the marker, and 90 for all others.
void only_limits(Site& site);

// Readings that raise an alert on every machine, make it worse and clear it, minute after minute of
// event time.
class Load {
 public:
  Load(Client& source, int machines) : source_(source), machines_(machines) {}

  void minute();  // of all machines
  // A minute or more, until the condition holds; false when it did not within 2000.
  bool until(const std::function<bool()>& condition);
  std::string now() const;
  int minutes() const { return minute_; }

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

// How often the broker has let the daemon in, as its log says.
class Admissions {
 public:
  explicit Admissions(const Broker& broker) : log_{broker.directory() / "log"} {}
  std::size_t count() { return log_.count(" as millwright-test ("); }

 private:
  Tail log_;
};

}  // namespace millwright::test
