// The newest document on a topic.
#pragma once

#include <string>

#include "tests/daemon/site.h"

namespace millwright::test {

// Null: none came.
inline Json newest_on(const Client& client, const std::string& topic) {
  Json newest;
  for (const auto& message : client.messages())
    if (message.topic == topic) newest = Json::parse(message.payload);
  return newest;
}
inline Json newest_status(const Client& client) {
  return newest_on(client, "millwright/test/status");
}

}  // namespace millwright::test
