#include "daemon/broker_access.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "daemon/command.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

std::string read_secret(const fs::path& file) {
  errno = 0;
  std::ifstream in{file};
  std::string secret;
  if (!in || !std::getline(in, secret)) {
    const auto why = errno != 0 ? std::generic_category().message(errno) : "it is empty";
    throw Failure{exit_io, fmt::format("the broker's password cannot be read from {}: {}",
                                       file.string(), why)};
  }
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  return secret;
}

}  // namespace

std::string broker_password(const BrokerSettings& broker) {
  if (!broker.password_credential.empty()) {
    const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
    if (directory == nullptr) {
      throw Failure{
          exit_config,
          fmt::format("broker.password_credential names {}, but systemd gave no credentials; add "
                      "LoadCredential={}:FILE to the unit",
                      broker.password_credential, broker.password_credential)};
    }
    return read_secret(fs::path{directory} / broker.password_credential);
  }
  if (!broker.password_file.empty()) return read_secret(broker.password_file);
  return broker.password;
}

std::string topic_root(const config::Configuration& configuration) {
  return configuration.topic_root.empty() ? "millwright/" + configuration.site
                                          : configuration.topic_root;
}

}  // namespace millwright::daemon
