// Gives a running Millwright a command over the broker and waits for its answer.
#pragma once

#include <chrono>
#include <string>

#include "core/settings.h"

namespace millwright::daemon {

struct Question {
  BrokerSettings broker;  // the client id is made up
  std::string password;
  std::string topic_root, command, payload;
};

struct Answer {
  enum class Kind : std::uint8_t {
    done,
    refused,     // by Millwright, or the broker does not let us
    unreachable  // the broker, or nobody answers
  };
  Kind kind{};
  std::string text;      // one sentence
  std::string document;  // the answer as it came; empty: none came
};

Answer ask(const Question& question, std::chrono::milliseconds patience);

}  // namespace millwright::daemon
