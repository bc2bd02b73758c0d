// What the publisher says of itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millwright::daemon {

struct PublisherFigures {
  std::uint64_t waiting = 0;                // in memory: queued, on their way, or refused
  std::uint64_t refused = 0;                // of these: on topics that the broker refuses now
  std::uint64_t refusals = 0;               // how often it said no, since the start
  std::vector<std::string> refused_topics;  // the first few, by name
};

}  // namespace millwright::daemon
