#include "tests/support/broker.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tests/support/loopback.h"

namespace millwright::test {
namespace {

void must_run(std::vector<std::string> command) {
  const std::string name = command.at(0);
  const auto [ended, output] = run(std::move(command));
  if (ended.code != 0) throw std::runtime_error{name + " failed: " + output};
}

}  // namespace

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool found = socket >= 0 &&
                     ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  if (socket >= 0) ::close(socket);
  if (!found) throw std::system_error{error, std::generic_category(), "no free port"};
  return ntohs(address.sin_port);
}

Broker::Broker(BrokerOptions options) : options_(std::move(options)) {
  if (options_.tls) make_certificates();
  if (!options_.username.empty())
    must_run({"mosquitto_passwd", "-b", "-c", (directory_ / "passwords").string(),
              options_.username, options_.password});
  if (!options_.acl.empty()) write_file(directory_ / "acl", options_.acl);
  // Somebody else may take a free port before the broker does.
  constexpr int tries = 5;
  for (int attempt = 1;; ++attempt) {
    port_ = free_port();
    write_configuration();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      if (attempt == tries) throw;
    }
  }
}

Broker::~Broker() = default;

std::string Broker::url() const {
  return (options_.tls ? "mqtts://127.0.0.1:" : "mqtt://127.0.0.1:") + std::to_string(port_);
}

pid_t Broker::pid() const { return process_->pid(); }

void Broker::start() {
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{"mosquitto", "-c", (directory_ / "mosquitto.conf").string()},
      directory_ / "log", options_.environment);
  const bool up = wait_until([&] { return answers() || !process_->running(); });
  if (!up || !process_->running())
    throw std::runtime_error{"mosquitto does not start: " + process_->output()};
}

void Broker::stop() {
  process_->signal(SIGTERM);
  if (!process_->wait()) throw std::runtime_error{"mosquitto does not stop"};
}

void Broker::kill() {
  process_->signal(SIGKILL);
  if (!process_->wait()) throw std::runtime_error{"mosquitto cannot be killed"};
}

std::string Broker::log() const { return process_->output(); }

bool Broker::answers() const {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const sockaddr_in address = loopback(port_);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

void Broker::write_configuration() const {
  const auto file = [&](std::string_view name) { return (directory_ / name).string(); };
  // As root mosquitto would become another user, who may not read this directory.
  std::string text = "user root\nlog_dest stderr\nlog_type all\n";
  text += "listener " + std::to_string(port_) + " 127.0.0.1\n";
  if (options_.tls) {
    text += "cafile " + file("ca.crt") + "\ncertfile " + file("server.crt") + "\nkeyfile " +
            file("server.key") + "\n";
    if (options_.client_certificates) text += "require_certificate true\n";
  }
  if (options_.username.empty())
    text += "allow_anonymous true\n";
  else
    text += "allow_anonymous false\npassword_file " + file("passwords") + "\n";
  if (!options_.acl.empty()) text += "acl_file " + file("acl") + "\n";
  if (options_.persistence)
    text +=
        "persistence true\nautosave_interval 1\nautosave_on_changes true\npersistence_location " +
        file("") + "\n";
  text += options_.more;
  write_file(directory_ / "mosquitto.conf", text);
}

void Broker::make_certificates() const {
  const auto file = [&](std::string_view name) { return (directory_ / name).string(); };
  const auto authority = [&](const std::string& name) {
    must_run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", file(name + ".key"),
              "-out", file(name + ".crt")});
  };
  const auto signed_by_ca = [&](const std::string& name, const std::string& extensions) {
    must_run({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-subj", "/CN=" + name, "-keyout", file(name + ".key"), "-out", file(name + ".csr")});
    write_file(directory_ / (name + ".ext"), extensions);
    must_run({"openssl", "x509", "-req", "-in", file(name + ".csr"), "-CA", file("ca.crt"),
              "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
              file(name + ".ext"), "-out", file(name + ".crt")});
  };
  authority("ca");
  authority("foreign");
  signed_by_ca("server", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  signed_by_ca("client", "extendedKeyUsage=clientAuth\n");
}

}  // namespace millwright::test
