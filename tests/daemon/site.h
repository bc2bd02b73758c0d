// A Millwright beside the test: its configuration, state, log and what it tells systemd, run after
// run over the same state directory; and what the tests ask of its broker and its archive.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/session/client.h"
#include "tests/support/broker.h"
#include "tests/support/process.h"
#include "tests/support/temporary.h"

namespace millwright::test {

using Json = nlohmann::json;

// The other end of NOTIFY_SOCKET. A thread reads it, as systemd would: a full socket would stop the
// daemon.
class Notifications {
 public:
  explicit Notifications(const std::filesystem::path& socket);
  ~Notifications();
  Notifications(const Notifications&) = delete;
  Notifications& operator=(const Notifications&) = delete;

  // Datagrams so far, a string of lines each.
  std::vector<std::string> all() const;
  // How many of them hold this line; a line that ends in = stands for all that begin so.
  std::size_t count(const std::string& line) const;

 private:
  void read();

  int socket_ = -1;
  std::atomic<bool> over_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> all_;
  std::thread thread_;
};

// Whoever changes `config` calls `start`, `reload` or `write_config` afterwards. Thread rule: one
// thread.
class Site {
 public:
  // The robots' telemetry and bare numbers on single/<machine>/<sensor>; event time as the clock.
  explicit Site(const Broker& broker);

  Json config;
  std::vector<std::pair<std::string, std::string>> environment;

  void write_config() const;
  // Both wait until the daemon says that it runs, or has ended.
  void start();
  void start_without_waiting();
  bool running_and_connected() const;  // the run begun last
  void reload();                       // writes the configuration and sends SIGHUP
  Exit stop();                         // SIGTERM
  void kill();                         // SIGKILL
  ChildProcess& process() { return *process_; }

  std::string log() const;   // of the run begun last
  std::string logs() const;  // of all runs
  std::filesystem::path config_file() const { return directory_ / "millwright.json"; }
  std::filesystem::path state() const { return directory_ / "state"; }
  const TemporaryDirectory& directory() const { return directory_; }

 private:
  std::filesystem::path log_file(int run) const;
  std::string log(int run) const;

  TemporaryDirectory directory_;
  int runs_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

// (id, revision) -> the document as it was published or printed. A key that came twice must have
// come with the same document.
using Events = std::map<std::pair<std::string, int>, std::string>;
void add_event(Events& events, const std::string& document);
Events events_in(const std::string& lines);      // a document a line
Events events_of(const Client& client);          // what it received on .../event/alert
Events archived_events(const Site& site);        // of a stopped daemon
std::string raised_kinds(const Events& events);  // sorted, each once, with blanks between
// Machine, sensor, minute and n, mean, min and max of every row of summary_minute of a stopped
// daemon, to the last digit.
std::vector<std::string> archived_summaries(const Site& site);
// Empty when equal; else what is missing, too much or different, three of each.
std::string difference(const Events& expected, const Events& actual);
std::string difference(const std::vector<std::string>& expected,
                       const std::vector<std::string>& actual);

// Listens to all that the site publishes, with MQTT 3.1.1: retained messages come and carry their
// mark.
ingest::SessionOptions listener(const Broker& broker, const std::string& client_id,
                                const std::string& filter = "millwright/test/#");
ingest::Outgoing text_reading(const std::string& machine, const std::string& sensor, double value);
ingest::Outgoing telemetry(const std::string& machine, const std::string& time,
                           const std::string& sensor, double value);
// Publishes a reading that raises an alert of the machine `marker`, and waits until that is heard:
// then all that was published before it has been taken in.
bool pass_marker(Client& client, const std::string& time);

}  // namespace millwright::test
