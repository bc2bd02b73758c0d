// A private mosquitto on a free loopback port, with its own configuration, log and (with TLS) a
// throw-away CA.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temporary.h"

namespace millwright::test {

struct BrokerOptions {
  bool persistence =
      false;  // keeps sessions and retained messages over `stop` (and over `kill` as saved)
  std::string username{}, password{};  // both or none; none: anonymous clients are let in
  std::string acl{};                   // content of an ACL file; empty: everything is allowed
  bool tls = false;  // the listener speaks TLS with a certificate for 127.0.0.1 and localhost
  bool client_certificates = false;  // and asks for a client certificate of its CA
  std::string more{};                // further lines of mosquitto.conf
  std::vector<std::pair<std::string, std::string>> environment{};  // added to the test's own
};

// Thread rule: one thread.
class Broker {
 public:
  // Starts it and returns once it accepts connections. Throws std::runtime_error with its log when
  // it does not.
  explicit Broker(BrokerOptions options = {});
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const;  // mqtt://127.0.0.1:port or mqtts://127.0.0.1:port
  pid_t pid() const;

  void start();  // on the same port
  void stop();   // SIGTERM, and waits
  void kill();   // SIGKILL, and waits
  std::string log() const;

  // With TLS; PEM files.
  std::filesystem::path ca_file() const { return directory_ / "ca.crt"; }
  std::filesystem::path client_certificate() const { return directory_ / "client.crt"; }
  std::filesystem::path client_key() const { return directory_ / "client.key"; }
  std::filesystem::path foreign_ca_file() const {
    return directory_ / "foreign.crt";
  }  // did not sign it

  const TemporaryDirectory& directory() const { return directory_; }

 private:
  void make_certificates() const;
  void write_configuration() const;
  bool answers() const;

  TemporaryDirectory directory_;
  BrokerOptions options_;
  std::uint16_t port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

// A TCP port on loopback that nobody listens on at this moment.
std::uint16_t free_port();

}  // namespace millwright::test
