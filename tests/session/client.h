// A session that keeps what it is told, for the tests to look at.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ingest/session.h"
#include "tests/support/broker.h"

namespace millwright::test {

struct Received {
  std::string topic, payload, properties, response_topic, correlation;
  bool retained = false;
};
struct Told {
  ingest::SessionEvent event;
  std::string text;
};

// A broker's settings that reconnect at a test's pace.
ingest::SessionOptions options_for(const std::string& url, const std::string& client_id,
                                   std::vector<ingest::Decoder::Subscription> subscriptions = {});
ingest::SessionOptions options_for(const Broker& broker, const std::string& client_id,
                                   std::vector<ingest::Decoder::Subscription> subscriptions = {});
ingest::Outgoing outgoing(std::string topic, std::string payload);

class Client {
 public:
  explicit Client(ingest::SessionOptions options, bool started = true);

  ingest::Session& session() { return *session_; }
  // Waits until it is connected; false when that takes too long.
  bool up(std::chrono::milliseconds within = std::chrono::seconds{20});
  // Publishes, waits for room where there is none, and for the broker's answer: true when it took
  // the message.
  bool publish(const ingest::Outgoing& message);
  // Publishes without waiting; false: not accepted.
  bool send(const ingest::Outgoing& message, std::uint64_t tag);

  std::vector<Received> messages() const;
  std::size_t received() const;  // how many
  // How many of them; without a copy, for who asks again and again.
  std::size_t count(const std::function<bool(const Received&)>& which) const;
  // Shows those from this one on; how many there are then.
  std::size_t look(std::size_t from, const std::function<void(const Received&)>& at) const;
  std::vector<std::string> payloads() const;
  bool has_payload(const std::string& payload) const;
  std::vector<Told> events() const;
  // The texts of one kind of event.
  std::vector<std::string> texts(ingest::SessionEvent kind) const;
  bool told(ingest::SessionEvent kind) const { return !texts(kind).empty(); }
  // tag -> the answers that came for it.
  std::map<std::uint64_t, std::vector<bool>> answers() const;

  void stop() { session_->stop(std::chrono::seconds{5}); }

 private:
  mutable std::mutex mutex_;
  std::vector<Received> messages_;
  std::vector<Told> events_;
  std::map<std::uint64_t, std::vector<bool>> answers_;
  std::uint64_t next_tag_ = 1u << 20;
  std::unique_ptr<ingest::Session> session_;  // last: its handlers use the rest
};

}  // namespace millwright::test
