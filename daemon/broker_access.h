// What a client of the broker needs beyond the settings themselves: the password from where it is
// kept, and the root of Millwright's topics.
#pragma once

#include <string>

#include "config/config.h"

namespace millwright::daemon {

// From the systemd credential, the file or the settings. Throws Failure.
std::string broker_password(const BrokerSettings& broker);

std::string topic_root(const config::Configuration& configuration);

}  // namespace millwright::daemon
