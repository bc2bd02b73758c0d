// The MQTT session: the one place that knows Paho. It connects, stays connected by its own timer,
// subscribes anew on every connect and checks what was granted, hands every message to a callback,
// publishes with a bounded number in flight, and leaves a Will. The hazards it works around are
// listed in docs/mqtt.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/settings.h"
#include "ingest/decoder.h"

namespace millwright::ingest {

struct Outgoing {
  std::string topic;
  std::string payload;
  int qos = 1;
  bool retain = false;
  std::string content_type = "application/json";                // MQTT 5
  std::vector<std::pair<std::string, std::string>> properties;  // MQTT 5 user properties
  Duration expiry{0};                                           // MQTT 5; 0: none
  std::string response_topic, correlation;                      // MQTT 5; empty: none
};

struct Incoming {
  std::string_view topic, payload;
  std::string properties;                   // name\0value\0...; empty on 3.1.1
  std::string response_topic, correlation;  // MQTT 5
  bool retained = false;
  bool redelivered = false;  // the broker sends it again: it may have been taken in before
};

enum class SessionEvent : std::uint8_t {
  connected,             // and subscribed; text: what the broker granted
  disconnected,          // text: why
  connect_failed,        // text: why, and when the next try is
  subscription_refused,  // text: which filter, reason code
  publish_refused,       // text: topic and reason code (0x87: the broker's ACL says no)
  taken_over,            // another client uses our client id: a configuration error
  keeps_breaking,        // likewise, as it seems; or what is between here and the broker does it
  handler_failed,        // a handler threw; text: what was lost by it
};

struct SessionHandlers {
  // On Paho's thread: must not block for long, must not throw. The broker's acknowledgement goes
  // out after it returns.
  std::function<void(const Incoming&)> message;
  // On the session's own thread.
  std::function<void(SessionEvent, const std::string& text)> event;
  // On Paho's or the session's thread, once per accepted publish: true when the broker took it;
  // false when it refused or the connection was lost, so nobody knows. `tag` is what publish was
  // given. May come before publish returns.
  std::function<void(std::uint64_t tag, bool taken)> delivered;
  // Just before `delivered(tag, false)`, when the broker has said no, or the message can never be
  // sent: trying again at once would not help. May be empty.
  std::function<void(std::uint64_t tag)> refused;
};

struct SessionOptions {
  BrokerSettings broker;
  std::string password;  // already resolved; empty: none
  std::vector<Decoder::Subscription> subscriptions;
  std::optional<Outgoing> will;   // offline document
  std::optional<Outgoing> birth;  // published on every connect, before `connected`
  int max_in_flight = 20;
  // A connection on which the broker leaves a publish unanswered for so long is begun anew.
  Duration answered_within = std::chrono::seconds{30};
  Duration first_backoff = std::chrono::seconds{1};
  Duration max_backoff =
      std::chrono::seconds{30};  // with jitter; reconnected < 35 s after the broker is back
};

// Settings that no session can have, in one sentence.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Thread rule: any thread may call publish and connected, but no handler may call publish or stop;
// start, stop and resubscribe from one thread. A stopped session is not started again.
class Session {
 public:
  // Throws SettingsError for settings that cannot work (bad URL), std::system_error for files that
  // cannot be read (certificates).
  Session(SessionOptions options, SessionHandlers handlers);
  ~Session();  // stops
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();  // returns at once; connecting goes on in the background
  // Publishes `last` first if given by set_last; disconnects; comes back after `patience` at the
  // latest, or when a running handler has returned. No handler is called after that, and no message
  // acknowledged.
  void stop(std::chrono::milliseconds patience);
  void set_last(Outgoing farewell);  // e.g. status offline on a clean stop

  bool connected() const noexcept;
  // False: not connected, or max_in_flight are on their way; try again later. `delivered(tag)`
  // belongs to a true. A message that can never be sent (a topic that is not UTF-8) is accepted,
  // reported and answered with false.
  bool publish(const Outgoing& message, std::uint64_t tag) noexcept;
  // Subscribes what is new and unsubscribes what is gone; takes effect at once when connected.
  void resubscribe(const std::vector<Decoder::Subscription>& subscriptions);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millwright::ingest
