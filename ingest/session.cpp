// The one door to Paho. What each oddity here is for stands in docs/mqtt.md.
#include "ingest/session.h"

#include <fmt/format.h>
#include <mqtt/async_client.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "core/hash.h"
#include "core/random.h"

namespace millwright::ingest {
namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::chrono::seconds connect_timeout{10};
constexpr std::chrono::seconds answer_timeout{15};  // for the answers to SUBSCRIBE and UNSUBSCRIBE
constexpr std::chrono::seconds steady_connection{10};  // after which the backoff begins anew
constexpr int most_short_connections = 3;              // more than bad luck
constexpr std::int32_t receive_maximum = 100;
constexpr std::int32_t maximum_packet_size = 16 << 20;
constexpr std::size_t most_waiting_events = 256;
constexpr int highest_qos = 1;
constexpr int refused = 0x80;  // reason codes from here on are refusals
constexpr int session_taken_over = 0x8e;
constexpr int mqtt5 = 5;

struct Scheme {
  std::string_view ours, pahos;
  bool tls;
  int port;
};
constexpr std::array<Scheme, 6> schemes{{{"tcp://", "tcp://", false, 1883},
                                         {"mqtt://", "tcp://", false, 1883},
                                         {"ssl://", "ssl://", true, 8883},
                                         {"mqtts://", "ssl://", true, 8883},
                                         {"ws://", "ws://", false, 80},
                                         {"wss://", "wss://", true, 443}}};

struct Url {
  std::string text;  // as Paho wants it
  bool tls = false;
};

Url paho_url(const std::string& url) {
  const auto scheme = std::find_if(schemes.begin(), schemes.end(),
                                   [&](const Scheme& s) { return url.starts_with(s.ours); });
  if (scheme == schemes.end())
    throw SettingsError{
        fmt::format("the broker's url `{}` must begin with mqtt://, mqtts://, tcp://, ssl://, "
                    "ws:// or wss://",
                    url)};
  const std::string rest = url.substr(scheme->ours.size());
  const std::size_t slash = rest.find('/');
  std::string address = rest.substr(0, slash);
  const std::string path = slash == std::string::npos ? "" : rest.substr(slash);
  const bool websocket = scheme->pahos.starts_with("ws");
  // A colon inside [...] belongs to an IPv6 address.
  const std::size_t bracket = address.rfind(']');
  const std::size_t colon = address.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  const std::string host = address.substr(0, has_port ? colon : address.size());
  if (host.empty() || address.find('@') != std::string::npos || (!websocket && path.size() > 1))
    throw SettingsError{
        fmt::format("the broker's url `{}` must be {}host:port", url, scheme->ours)};
  if (has_port) {
    int port = 0;
    const char* const end = address.data() + address.size();
    const auto [stopped, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error != std::errc{} || stopped != end || port < 1 || port > 65535)
      throw SettingsError{
          fmt::format("the port in the broker's url `{}` must be from 1 to 65535", url)};
  } else {
    address += fmt::format(":{}", scheme->port);
  }
  return {std::string{scheme->pahos} + address + (websocket ? path : ""), scheme->tls};
}

// What a person can do about a reason code of MQTT 5; Paho's name of it where there is nothing to
// add.
std::string reason_text(int code) {
  switch (code) {
    case 0x81:
      return "malformed packet (0x81)";
    case 0x82:
      return "protocol error (0x82)";
    case 0x84:
      return "the broker does not speak this MQTT version (0x84)";
    case 0x85:
      return "the broker does not accept the client id (0x85)";
    case 0x86:
      return "wrong user name or password (0x86)";
    case 0x87:
      return "not authorized (0x87)";
    case 0x88:
      return "the broker is not available (0x88)";
    case 0x8b:
      return "the broker is shutting down (0x8B)";
    case 0x8d:
      return "keepalive timeout (0x8D)";
    case 0x8e:
      return "session taken over (0x8E)";
    case 0x8f:
      return "the broker does not accept the topic filter (0x8F)";
    case 0x90:
      return "the broker does not accept the topic (0x90)";
    case 0x93:
      return "too many messages in flight (0x93)";
    case 0x95:
      return "packet too large (0x95)";
    case 0x97:
      return "quota exceeded (0x97)";
    default:
      break;
  }
  const char* name = ::MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(code));
  return fmt::format("{} (0x{:02X})", name == nullptr ? "refused" : name, code);
}

// CONNACK of MQTT 3.1.1.
std::string return_code_text(int code) {
  switch (code) {
    case 1:
      return "the broker does not speak this MQTT version (1)";
    case 2:
      return "the broker does not accept the client id (2)";
    case 3:
      return "the broker is not available (3)";
    case 4:
      return "wrong user name or password (4)";
    case 5:
      return "not authorized (5)";
    default:
      return fmt::format("{} ({})", mqtt::exception::error_str(code), code);
  }
}

void must_be_readable(const std::string& file, std::string_view key) {
  if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
    throw std::system_error{errno, std::generic_category(),
                            fmt::format("the broker's {} `{}` cannot be read", key, file)};
}

mqtt::properties properties_of(const Outgoing& message) {
  mqtt::properties result;
  if (!message.content_type.empty())
    result.add({mqtt::property::CONTENT_TYPE, message.content_type});
  for (const auto& pair : message.properties)
    result.add({mqtt::property::USER_PROPERTY, pair.first, pair.second});
  if (message.expiry.count() > 0) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(message.expiry).count();
    result.add({mqtt::property::MESSAGE_EXPIRY_INTERVAL,
                static_cast<std::int32_t>(
                    static_cast<std::uint32_t>(std::min<std::int64_t>(seconds, 0xffffffff)))});
  }
  if (!message.response_topic.empty())
    result.add({mqtt::property::RESPONSE_TOPIC, message.response_topic});
  if (!message.correlation.empty())
    result.add({mqtt::property::CORRELATION_DATA, message.correlation});
  return result;
}

std::string_view view(const MQTTLenString& text) {
  return text.data == nullptr
             ? std::string_view{}
             : std::string_view{text.data, static_cast<std::size_t>(std::max(0, text.len))};
}

// Fills `incoming` from what came with the message; the views borrow from `from`.
void take_properties(const MQTTProperties& from, Incoming& incoming) {
  incoming.properties.clear();
  incoming.response_topic = incoming.correlation = {};
  for (int i = 0; i < from.count; ++i) {
    const MQTTProperty& property = from.array[i];
    switch (property.identifier) {
      case MQTTPROPERTY_CODE_USER_PROPERTY: {
        const std::string_view name = view(property.value.data), value = view(property.value.value);
        // MQTT forbids the NUL; with one inside, the pairs could not be told apart.
        if (name.find('\0') != name.npos || value.find('\0') != value.npos) break;
        incoming.properties.append(name).push_back('\0');
        incoming.properties.append(value).push_back('\0');
        break;
      }
      case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
        incoming.response_topic = view(property.value.data);
        break;
      case MQTTPROPERTY_CODE_CORRELATION_DATA:
        incoming.correlation = view(property.value.data);
        break;
      default:
        break;
    }
  }
}

std::map<std::string, int> wanted_filters(const std::vector<Decoder::Subscription>& list) {
  std::map<std::string, int> result;
  for (const Decoder::Subscription& subscription : list) {
    // QoS 2 would be acknowledged before the message reaches us.
    const int qos = std::clamp(subscription.qos, 0, highest_qos);
    int& kept = result.try_emplace(subscription.filter, qos).first->second;
    kept = std::max(kept, qos);
  }
  return result;
}

// What Paho gives back with an answer: which request, and of which connection or use of a slot.
class Ticket {
 public:
  Ticket(std::uint64_t generation, std::size_t index)
      : number_((generation << index_bits) | index) {}
  explicit Ticket(const mqtt::token& token)
      : number_(reinterpret_cast<std::uintptr_t>(token.get_user_context())) {}
  void* context() const {
    // Never followed: a number in the place where Paho has a pointer.
    return reinterpret_cast<void*>(number_);  // NOLINT(performance-no-int-to-ptr)
  }
  std::uint64_t generation() const { return number_ >> index_bits; }
  std::size_t index() const { return number_ & ((std::uintptr_t{1} << index_bits) - 1); }

 private:
  static constexpr int index_bits = 20;
  static_assert(sizeof(std::uintptr_t) == 8);
  std::uintptr_t number_;
};

}  // namespace

// Everything that Paho's threads and the session's own thread touch.
//
// Locks: `gate` shared around every handler, exclusive to close it. `mutex` around the rest, and
// never while Paho or a handler is called: Paho calls us with locks of its own held.
class Link {
 public:
  Link(SessionOptions options, SessionHandlers handlers);

  void run() noexcept;  // the session's own thread
  void ask_to_stop(Steady::time_point deadline);
  bool wait_until_done(Steady::time_point deadline);
  void close_gate();

  void set_last(Outgoing farewell);
  bool online() const noexcept { return online_.load(std::memory_order_acquire); }
  bool publish(const Outgoing& message, std::uint64_t tag, bool internal) noexcept;
  void resubscribe(const std::vector<Decoder::Subscription>& subscriptions);

 private:
  enum class Progress : std::uint8_t { none, pending, succeeded, failed };
  enum class SlotState : std::uint8_t { free, sending, sent, abandoned };
  struct Slot {
    SlotState state = SlotState::free;
    bool internal = false;
    std::uint64_t tag = 0, generation = 0;
    Steady::time_point since;  // it is on its way
  };
  struct Request {
    std::string filter;
    int qos = 0;
    bool unsubscribe = false;
    bool answered = false;
    int code = 0;
    std::string error;
  };
  struct Event {
    SessionEvent kind;
    std::string text;
  };
  using Lock = std::unique_lock<std::mutex>;

  class Listener final : public mqtt::iaction_listener {
   public:
    using Done = void (Link::*)(const mqtt::token&, bool);
    Listener(Link& link, Done done) : link_(link), done_(done) {}
    void on_success(const mqtt::token& token) override { tell(token, true); }
    void on_failure(const mqtt::token& token) override { tell(token, false); }

   private:
    // An exception must not pass through Paho's C frames; what can be thrown here is out of memory,
    // which ends us.
    void tell(const mqtt::token& token, bool good) noexcept { (link_.*done_)(token, good); }
    Link& link_;
    Done done_;
  };

  void prepare_connect_options(const Url& url);
  std::unique_ptr<mqtt::async_client> make_client();

  // On Paho's threads.
  void on_message(const mqtt::const_message_ptr& message) noexcept;
  void on_lost(const std::string& cause) noexcept;
  void on_server_disconnect(int reason) noexcept;
  void on_connect(const mqtt::token& token, bool good);
  void on_subscription(const mqtt::token& token, bool good);
  void on_delivery(const mqtt::token& token, bool good);
  void on_disconnect(const mqtt::token& token, bool good);
  void post(SessionEvent kind, std::string text);

  // On the session's thread.
  void emit(SessionEvent kind, const std::string& text) noexcept;
  void emit_posted(Lock& lock);
  template <class Condition>
  bool wait(Lock& lock, Steady::time_point deadline, Condition condition);
  bool connect_once();
  std::string renew_client();
  bool settle();
  bool send_requests(std::vector<Request> requests);
  void report(const Request& request);
  std::vector<Request> changes() const;
  void serve();
  bool stalled() const;
  void note_end();
  void pause_before_next(Duration delay);
  Duration next_delay();
  void drop_connection();
  void leave();
  void give_up_deliveries();
  enum class Answer : std::uint8_t { taken, refused, unknown };
  bool finish(std::size_t index, std::uint64_t generation, Answer answer);
  void tell_delivered(std::uint64_t tag, Answer answer) noexcept;

  const SessionOptions options_;
  const SessionHandlers handlers_;
  mqtt::connect_options connect_options_;
  Listener connect_listener_{*this, &Link::on_connect};
  Listener subscription_listener_{*this, &Link::on_subscription};
  Listener delivery_listener_{*this, &Link::on_delivery};
  Listener disconnect_listener_{*this, &Link::on_disconnect};
  std::unique_ptr<mqtt::async_client> client_;
  bool used_ = false;  // the client has been connected
  Incoming incoming_;  // on Paho's thread; reused so that a message costs no allocation of ours

  std::shared_mutex gate_;
  bool gate_closed_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> online_{false};
  bool stopping_ = false, done_ = false;
  Steady::time_point stop_deadline_;
  std::optional<Outgoing> last_;
  std::deque<Event> events_;
  std::size_t events_dropped_ = 0;

  Progress connecting_ = Progress::none;
  std::string connect_error_, connect_note_;
  std::uint64_t connection_ = 0;  // counts attempts
  bool link_up_ = false, lost_ = false, taken_over_ = false, keeps_breaking_ = false,
       disconnected_ = false;
  std::string lost_cause_;
  Steady::time_point connected_at_;

  std::vector<Slot> slots_;
  std::size_t slots_allowed_ = 0, slots_busy_ = 0;
  int publishing_ = 0;

  // Filter -> QoS: what is to be, what was asked for on this connection, what the broker granted.
  std::map<std::string, int> wanted_, tried_, active_;
  std::set<std::string> obsolete_;  // the broker's session may still have them
  std::vector<Request> requests_;
  std::uint64_t request_round_ = 0;
  std::size_t requests_open_ = 0;

  Duration backoff_;
  int short_connections_ = 0;  // in a row, each ended by the broker without a word
  bool outlasted_ = false;     // the last connection was a steady one
  Random random_;
};

Link::Link(SessionOptions options, SessionHandlers handlers)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      last_(),
      slots_(static_cast<std::size_t>(std::clamp(options_.max_in_flight, 1, 65535))),
      wanted_(wanted_filters(options_.subscriptions)),
      backoff_(options_.first_backoff),
      random_(hash64(options_.broker.client_id) ^
              static_cast<std::uint64_t>(Steady::now().time_since_epoch().count())) {
  const BrokerSettings& broker = options_.broker;
  const Url url = paho_url(broker.url);
  if (broker.client_id.empty()) throw SettingsError{"the broker's client_id must not be empty"};
  if (broker.mqtt_version != 4 && broker.mqtt_version != mqtt5)
    throw SettingsError{"the broker's mqtt_version must be 5, or 4 for MQTT 3.1.1"};
  must_be_readable(broker.ca_file, "ca_file");
  must_be_readable(broker.certificate_file, "certificate_file");
  must_be_readable(broker.key_file, "key_file");
  if (broker.certificate_file.empty() != broker.key_file.empty() && broker.certificate_file.empty())
    throw SettingsError{"the broker's key_file needs a certificate_file"};
  try {
    prepare_connect_options(url);
    ::MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    client_ = make_client();
  } catch (const mqtt::exception& error) {
    throw SettingsError{
        fmt::format("no MQTT session with `{}` can be prepared: {}", broker.url, error.what())};
  }
}

std::unique_ptr<mqtt::async_client> Link::make_client() {
  const BrokerSettings& broker = options_.broker;
  const int version = broker.mqtt_version == mqtt5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  mqtt::iclient_persistence* const no_persistence = nullptr;
  auto client = std::make_unique<mqtt::async_client>(paho_url(broker.url).text, broker.client_id,
                                                     mqtt::create_options{version}, no_persistence);
  client->set_connection_lost_handler([this](const std::string& cause) { on_lost(cause); });
  client->set_disconnected_handler([this](const mqtt::properties&, mqtt::ReasonCode reason) {
    on_server_disconnect(static_cast<int>(reason));
  });
  client->set_message_callback([this](const mqtt::const_message_ptr& m) { on_message(m); });
  return client;
}

void Link::prepare_connect_options(const Url& url) {
  const BrokerSettings& broker = options_.broker;
  const auto seconds = [](Duration duration, std::int64_t most) {
    return std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(duration).count(), 0,
                                    most);
  };
  mqtt::connect_options& o = connect_options_;
  const bool five = broker.mqtt_version == mqtt5;
  o.set_mqtt_version(five ? MQTTVERSION_5 : MQTTVERSION_3_1_1);
  o.set_automatic_reconnect(false);
  o.set_connect_timeout(connect_timeout);
  o.set_keep_alive_interval(static_cast<int>(seconds(broker.keep_alive, 65535)));
  o.set_max_inflight(static_cast<int>(slots_.size()));
  if (five) {
    o.set_clean_start(false);
    mqtt::properties properties;
    properties.add({mqtt::property::SESSION_EXPIRY_INTERVAL,
                    static_cast<std::int32_t>(
                        static_cast<std::uint32_t>(seconds(broker.session_expiry, 0xffffffff)))});
    properties.add({mqtt::property::RECEIVE_MAXIMUM, receive_maximum});
    properties.add({mqtt::property::MAXIMUM_PACKET_SIZE, maximum_packet_size});
    o.set_properties(std::move(properties));
  } else {
    o.set_clean_session(false);
  }
  if (!broker.username.empty()) o.set_user_name(broker.username);
  if (!options_.password.empty()) o.set_password(mqtt::binary_ref{options_.password});
  if (url.tls) {
    mqtt::ssl_options tls;
    if (!broker.ca_file.empty()) tls.set_trust_store(broker.ca_file);
    if (!broker.certificate_file.empty()) tls.set_key_store(broker.certificate_file);
    if (!broker.key_file.empty()) tls.set_private_key(broker.key_file);
    tls.set_enable_server_cert_auth(broker.verify_certificate);
    tls.set_verify(broker.verify_certificate);
    o.set_ssl(std::move(tls));
  }
  if (options_.will) {
    const Outgoing& will = *options_.will;
    mqtt::will_options w{will.topic, will.payload, std::clamp(will.qos, 0, highest_qos),
                         will.retain};
    if (five) w.set_properties(properties_of(will));
    o.set_will(std::move(w));
  }
}

// ---------------------------------------------------------------- on Paho's threads

void Link::on_message(const mqtt::const_message_ptr& message) noexcept {
  std::shared_lock gate{gate_};
  // Returning would acknowledge a message that nobody took. Only after a `stop` that Paho did not
  // follow.
  if (gate_closed_) {
    gate.unlock();
    for (;;) ::pause();
  }
  if (!handlers_.message) return;
  try {
    incoming_.topic = message->get_topic();
    incoming_.payload =
        message->get_payload_ref() ? std::string_view{message->get_payload()} : std::string_view{};
    incoming_.retained = message->is_retained();
    incoming_.redelivered = message->is_duplicate();
    take_properties(message->get_properties().c_struct(), incoming_);
    handlers_.message(incoming_);
  } catch (const std::exception& error) {
    post(SessionEvent::handler_failed,
         fmt::format("a message on {} was lost: {}", message->get_topic(), error.what()));
  } catch (...) {
    post(SessionEvent::handler_failed,
         fmt::format("a message on {} was lost", message->get_topic()));
  }
}

void Link::on_lost(const std::string& cause) noexcept {
  {
    const Lock lock{mutex_};
    online_.store(false, std::memory_order_release);
    link_up_ = false;
    lost_ = true;
    if (lost_cause_.empty()) lost_cause_ = cause;
  }
  give_up_deliveries();
  changed_.notify_all();
}

// Paho closes the connection after this and does not call on_lost.
void Link::on_server_disconnect(int reason) noexcept {
  {
    const Lock lock{mutex_};
    if (reason == session_taken_over) taken_over_ = true;
  }
  on_lost(reason_text(reason));
}

void Link::on_connect(const mqtt::token& token, bool good) {
  std::string error, note;
  std::size_t allowed = slots_.size();
  const bool five = options_.broker.mqtt_version == mqtt5;
  if (good) {
    try {
      const mqtt::connect_response response = token.get_connect_response();
      note = response.is_session_present() ? "session resumed" : "new session";
      const mqtt::properties& properties = response.get_properties();
      if (five && properties.contains(mqtt::property::RECEIVE_MAXIMUM))
        allowed = std::min<std::size_t>(
            allowed, std::max<std::uint16_t>(
                         1, mqtt::get<std::uint16_t>(properties, mqtt::property::RECEIVE_MAXIMUM)));
    } catch (const mqtt::exception& problem) {
      good = false;
      error = problem.what();
    }
  } else {
    // On MQTT 5 Paho puts the CONNACK's reason code in either place.
    const int code = token.get_return_code();
    const int reason = std::max<int>(token.get_reason_code(), code);
    if (five && reason >= refused)
      error = "the broker refuses: " + reason_text(reason);
    else if (!five && code > 0)
      error = "the broker refuses: " + return_code_text(code);
    else
      error = paho_url(options_.broker.url).tls
                  ? "no connection, or the TLS handshake failed (address, ca_file, certificate)"
                  : "no connection";
  }
  {
    const Lock lock{mutex_};
    if (Ticket{token}.generation() != connection_) return;
    connecting_ = good ? Progress::succeeded : Progress::failed;
    connect_error_ = std::move(error);
    connect_note_ = std::move(note);
    slots_allowed_ = allowed;
    link_up_ = good && !lost_;
  }
  changed_.notify_all();
}

void Link::on_subscription(const mqtt::token& token, bool good) {
  int code = token.get_reason_code();
  std::string error;
  if (good && token.get_type() == mqtt::token::SUBSCRIBE) {
    try {
      const mqtt::subscribe_response response = token.get_subscribe_response();
      const auto& codes = response.get_reason_codes();
      if (!codes.empty()) code = static_cast<int>(codes.front());
    } catch (const mqtt::exception& problem) {
      error = problem.what();
    }
  } else if (!good && code < refused) {
    code = refused;
    error = mqtt::exception::error_str(token.get_return_code());
  }
  const Ticket ticket{token};
  {
    const Lock lock{mutex_};
    if (ticket.generation() != request_round_ || ticket.index() >= requests_.size()) return;
    Request& request = requests_[ticket.index()];
    if (request.answered) return;
    request.answered = true;
    request.code = code;
    request.error = std::move(error);
    --requests_open_;
  }
  changed_.notify_all();
}

void Link::on_delivery(const mqtt::token& token, bool good) {
  const int reason = token.get_reason_code();
  // Paho's own mark for "3.1.1, no reason code" is a refusal's number too.
  const bool five = options_.broker.mqtt_version == mqtt5;
  const bool says_no = five && reason >= refused;
  const auto answer = says_no ? Answer::refused : good ? Answer::taken : Answer::unknown;
  const Ticket ticket{token};
  if (!finish(ticket.index(), ticket.generation(), answer)) return;
  if (says_no) {
    const auto topics = token.get_topics();
    post(SessionEvent::publish_refused,
         fmt::format("{}: {}", topics && !topics->empty() ? (*topics)[0] : "a message",
                     reason_text(reason)));
  }
}

void Link::on_disconnect(const mqtt::token&, bool) {
  {
    const Lock lock{mutex_};
    disconnected_ = true;
  }
  changed_.notify_all();
}

void Link::post(SessionEvent kind, std::string text) {
  {
    const Lock lock{mutex_};
    if (events_.size() < most_waiting_events)
      events_.push_back({kind, std::move(text)});
    else
      ++events_dropped_;
  }
  changed_.notify_all();
}

// ---------------------------------------------------------------- deliveries

// False when the ticket is of an earlier use of the slot.
bool Link::finish(std::size_t index, std::uint64_t generation, Answer answer) {
  std::uint64_t tag = 0;
  bool internal = false;
  {
    const Lock lock{mutex_};
    if (index >= slots_.size()) return false;
    Slot& slot = slots_[index];
    if (slot.generation != generation ||
        (slot.state != SlotState::sent && slot.state != SlotState::sending))
      return false;
    slot.state = SlotState::free;
    --slots_busy_;
    tag = slot.tag;
    internal = slot.internal;
    if (stopping_ || internal) changed_.notify_all();
  }
  if (!internal) tell_delivered(tag, answer);
  return true;
}

void Link::tell_delivered(std::uint64_t tag, Answer answer) noexcept {
  const std::shared_lock gate{gate_};
  if (gate_closed_ || !handlers_.delivered) return;
  try {
    if (answer == Answer::refused && handlers_.refused) handlers_.refused(tag);
    handlers_.delivered(tag, answer == Answer::taken);
  } catch (const std::exception& error) {
    post(SessionEvent::handler_failed,
         fmt::format("an acknowledgement was lost: {}", error.what()));
  } catch (...) {
    post(SessionEvent::handler_failed, "an acknowledgement was lost");
  }
}

// The connection is gone: nobody knows whether the broker took what was on its way.
void Link::give_up_deliveries() {
  std::vector<std::uint64_t> tags;
  {
    const Lock lock{mutex_};
    for (Slot& slot : slots_) {
      if (slot.state == SlotState::sending) {
        // `publish` is inside Paho with it; it frees the slot and says no.
        slot.state = SlotState::abandoned;
      } else if (slot.state == SlotState::sent) {
        slot.state = SlotState::free;
        --slots_busy_;
        if (!slot.internal) tags.push_back(slot.tag);
      }
    }
  }
  for (const std::uint64_t tag : tags) tell_delivered(tag, Answer::unknown);
}

bool Link::publish(const Outgoing& message, std::uint64_t tag, bool internal) noexcept {
  std::size_t index = 0;
  std::uint64_t generation = 0;
  {
    const Lock lock{mutex_};
    if (internal ? !link_up_ : !online_.load(std::memory_order_relaxed) || stopping_) return false;
    if (slots_busy_ >= slots_allowed_) return false;
    while (slots_[index].state != SlotState::free) ++index;
    Slot& slot = slots_[index];
    slot.state = SlotState::sending;
    slot.internal = internal;
    slot.tag = tag;
    slot.since = Steady::now();
    generation = ++slot.generation;
    ++slots_busy_;
    ++publishing_;
  }
  bool accepted = true, hopeless = false;
  std::string error;
  try {
    auto paho_message =
        mqtt::message::create(message.topic, message.payload.data(), message.payload.size(),
                              std::clamp(message.qos, 0, highest_qos), message.retain);
    if (options_.broker.mqtt_version == mqtt5) paho_message->set_properties(properties_of(message));
    client_->publish(std::move(paho_message), Ticket{generation, index}.context(),
                     delivery_listener_);
  } catch (const mqtt::exception& problem) {
    accepted = false;
    const int code = problem.get_return_code();
    hopeless = code == MQTTASYNC_BAD_UTF8_STRING || code == MQTTASYNC_BAD_QOS ||
               code == MQTTASYNC_NULL_PARAMETER || code == MQTTASYNC_BAD_MQTT_OPTION;
    error = problem.what();
  } catch (const std::exception& problem) {
    accepted = false;
    error = problem.what();
  }
  {
    const Lock lock{mutex_};
    --publishing_;
    Slot& slot = slots_[index];
    // Another generation: the answer came before we got here, and the slot may be in use again.
    if (slot.generation == generation) {
      if (slot.state == SlotState::abandoned || (slot.state == SlotState::sending && !accepted)) {
        slot.state = SlotState::free;
        --slots_busy_;
        accepted = false;
      } else if (slot.state == SlotState::sending) {
        slot.state = SlotState::sent;
      }
    }
    if (stopping_ || lost_) changed_.notify_all();
  }
  if (!hopeless) return accepted;
  // Trying again would never help: it is taken off the caller's hands.
  post(SessionEvent::publish_refused, fmt::format("{}: {}", message.topic, error));
  if (!internal) tell_delivered(tag, Answer::refused);
  return true;
}

// ---------------------------------------------------------------- the session's own thread

void Link::emit(SessionEvent kind, const std::string& text) noexcept {
  const std::shared_lock gate{gate_};
  if (gate_closed_ || !handlers_.event) return;
  // No way is left to report what an event handler throws; it ends the program.
  handlers_.event(kind, text);
}

void Link::emit_posted(Lock& lock) {
  while (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    if (events_.empty() && events_dropped_ > 0)
      event.text += fmt::format(" (and {} more)", std::exchange(events_dropped_, 0));
    lock.unlock();
    emit(event.kind, event.text);
    lock.lock();
  }
}

// Until the condition holds (true) or the deadline has passed; tells what was posted meanwhile.
template <class Condition>
bool Link::wait(Lock& lock, Steady::time_point deadline, Condition condition) {
  for (;;) {
    emit_posted(lock);
    if (condition()) return true;
    if (!changed_.wait_until(lock, deadline, [&] { return condition() || !events_.empty(); })) {
      emit_posted(lock);
      return condition();
    }
  }
}

void Link::run() noexcept {
  for (;;) {
    {
      const Lock lock{mutex_};
      if (stopping_) break;
    }
    if (connect_once() && settle()) serve();
    Lock lock{mutex_};
    if (stopping_) break;
    lock.unlock();
    pause_before_next(next_delay());
  }
  leave();
}

// A client that has been connected holds what was on its way, and would send it again by itself,
// which it does not do right (docs/mqtt.md). A new one knows only what is published from now on.
// The answer is what went wrong.
std::string Link::renew_client() {
  if (!used_) return {};
  Lock lock{mutex_};
  wait(lock, Steady::time_point::max(), [&] { return publishing_ == 0; });
  lock.unlock();
  try {
    // Before the old one goes: with its last client Paho ends its threads.
    auto fresh = make_client();
    client_.swap(fresh);
  } catch (const mqtt::exception& problem) {
    return problem.what();
  }
  used_ = false;
  return {};
}

bool Link::connect_once() {
  std::string error = renew_client();
  Lock lock{mutex_};
  ++connection_;
  connecting_ = Progress::pending;
  lost_ = taken_over_ = keeps_breaking_ = false;
  lost_cause_.clear();
  lock.unlock();
  try {
    if (error.empty())
      client_->connect(connect_options_, Ticket{connection_, 0}.context(), connect_listener_);
  } catch (const mqtt::exception& problem) {
    error = problem.what();
  }
  lock.lock();
  if (!error.empty()) {
    connecting_ = Progress::failed;
    connect_error_ = error;
  }
  // Paho ends every attempt itself within connect_timeout; beginning another one before that
  // confuses it.
  while (!wait(lock, Steady::now() + 2 * connect_timeout,
               [&] { return connecting_ != Progress::pending; })) {
    lock.unlock();
    drop_connection();
    lock.lock();
  }
  if (connecting_ == Progress::succeeded) {
    used_ = true;
    connected_at_ = Steady::now();
    outlasted_ = false;
    return true;
  }
  short_connections_ = 0;
  if (stopping_) return false;
  const Duration delay = std::max(backoff_, Duration{1});
  error = fmt::format("{}: {}; next try in at most {}", options_.broker.url, connect_error_,
                      describe_duration(delay));
  lock.unlock();
  emit(SessionEvent::connect_failed, error);
  return false;
}

// Birth and subscriptions. False when the connection did not last so long.
bool Link::settle() {
  if (options_.birth && !publish(*options_.birth, 0, true)) {
    Lock lock{mutex_};
    if (!lost_)
      events_.push_back({SessionEvent::publish_refused,
                         fmt::format("{}: could not be sent", options_.birth->topic)});
  }
  Lock lock{mutex_};
  active_.clear();
  tried_.clear();
  std::vector<Request> requests = changes();
  tried_ = wanted_;
  lock.unlock();
  const bool answered = send_requests(std::move(requests));
  lock.lock();
  if (answered && !lost_ && !stopping_) {
    online_.store(true, std::memory_order_release);
    std::string granted;
    for (const auto& [filter, qos] : active_) {
      granted += fmt::format("{}{} (QoS {}", granted.empty() ? "" : ", ", filter, qos);
      const auto wanted = wanted_.find(filter);
      granted += wanted != wanted_.end() && wanted->second > qos
                     ? fmt::format(", {} was asked for)", wanted->second)
                     : ")";
    }
    const std::string text =
        fmt::format("{} as {}, {}; subscribed: {}", options_.broker.url, options_.broker.client_id,
                    connect_note_, granted.empty() ? "nothing" : granted);
    lock.unlock();
    emit(SessionEvent::connected, text);
    return true;
  }
  if (stopping_ && !lost_) return true;
  const std::string why = lost_ ? lost_cause_ : "the broker does not answer to SUBSCRIBE";
  const bool taken_over = taken_over_, lost = lost_;
  lock.unlock();
  if (!lost) drop_connection();
  if (!taken_over)
    emit(SessionEvent::connect_failed,
         fmt::format("{}: the connection was lost before the subscriptions were made: {}",
                     options_.broker.url, why.empty() ? "closed" : why));
  return taken_over;
}

// With the lock held: what to ask of the broker so that it has what is wanted.
std::vector<Link::Request> Link::changes() const {
  std::vector<Request> result;
  for (const std::string& filter : obsolete_)
    result.push_back(Request{filter, 0, true, false, 0, {}});
  for (const auto& [filter, qos] : wanted_) {
    // What was refused, or granted with less, is asked for again on the next connection, not in a
    // loop.
    const auto before = tried_.find(filter);
    if (before == tried_.end() || before->second != qos)
      result.push_back(Request{filter, qos, false, false, 0, {}});
  }
  return result;
}

// One packet per filter: Paho answers a lone filter and a list in different ways, and a lone
// refusal names itself.
bool Link::send_requests(std::vector<Request> requests) {
  if (requests.empty()) return true;
  Lock lock{mutex_};
  requests_ = requests;
  requests_open_ = requests_.size();
  const std::uint64_t round = ++request_round_;
  lock.unlock();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::string error;
    int code = MQTTASYNC_SUCCESS;
    try {
      const Request& request = requests[i];
      void* const context = Ticket{round, i}.context();
      if (request.unsubscribe) {
        client_->unsubscribe(request.filter, context, subscription_listener_);
      } else {
        mqtt::subscribe_options how;
        if (options_.broker.mqtt_version == mqtt5)
          how.set_retain_handling(mqtt::subscribe_options::DONT_SEND_RETAINED);
        client_->subscribe(request.filter, request.qos, context, subscription_listener_, how);
      }
    } catch (const mqtt::exception& problem) {
      error = problem.what();
      code = problem.get_return_code();
    }
    // Where the connection is gone, on_lost is about to say so.
    if (code == MQTTASYNC_SUCCESS || code == MQTTASYNC_DISCONNECTED) continue;
    lock.lock();
    requests_[i].answered = true;
    requests_[i].code = refused;
    requests_[i].error = error;
    --requests_open_;
    lock.unlock();
  }
  lock.lock();
  wait(lock, Steady::now() + answer_timeout,
       [&] { return requests_open_ == 0 || lost_ || stopping_; });
  const bool answered = requests_open_ == 0 && !lost_;
  ++request_round_;
  requests = std::move(requests_);
  requests_.clear();
  if (!answered) return false;
  for (const Request& request : requests) {
    if (request.unsubscribe) {
      obsolete_.erase(request.filter);
      active_.erase(request.filter);
    } else if (request.code < refused) {
      active_[request.filter] = request.code;
    }
  }
  lock.unlock();
  for (const Request& request : requests) report(request);
  return true;
}

void Link::report(const Request& request) {
  if (request.unsubscribe || request.code < refused) return;
  emit(SessionEvent::subscription_refused,
       fmt::format("{}: {}", request.filter,
                   request.error.empty() ? reason_text(request.code) : request.error));
}

// While connected: tells events, follows `resubscribe`, sees that publishes are answered. Returns
// when the connection is lost or we are to stop.
void Link::serve() {
  Lock lock{mutex_};
  for (;;) {
    const bool news = wait(lock, Steady::now() + options_.answered_within / 4, [&] {
      return lost_ || stopping_ || wanted_ != tried_ || !obsolete_.empty();
    });
    if (stopping_) return;
    if (lost_) break;
    if (stalled()) {
      lock.unlock();
      drop_connection();
      lock.lock();
      lost_cause_ = "the broker does not answer to PUBLISH";
      break;
    }
    if (!news) continue;
    std::vector<Request> requests = changes();
    tried_ = wanted_;
    lock.unlock();
    const bool answered = send_requests(std::move(requests));
    if (!answered) drop_connection();
    lock.lock();
    if (!answered && !stopping_) {
      if (lost_cause_.empty()) lost_cause_ = "the broker does not answer to SUBSCRIBE";
      break;
    }
  }
  note_end();
  const bool taken_over = taken_over_, keeps_breaking = keeps_breaking_;
  const std::string why = lost_cause_.empty() ? "the connection broke" : lost_cause_;
  lock.unlock();
  if (taken_over)
    emit(SessionEvent::taken_over,
         fmt::format("another client uses the client id {} ({}); next try in {}",
                     options_.broker.client_id, why, describe_duration(options_.max_backoff)));
  else if (keeps_breaking)
    emit(SessionEvent::keeps_breaking,
         fmt::format("{}: another client uses the client id {}, or something between here and the "
                     "broker ends them; next try in {}",
                     why, options_.broker.client_id, describe_duration(options_.max_backoff)));
  else
    emit(SessionEvent::disconnected, why);
}

// With the lock held. Pings are answered, but acknowledgements do not come: nothing but another
// connection helps.
bool Link::stalled() const {
  const auto limit = Steady::now() - options_.answered_within;
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.state == SlotState::sent && slot.since < limit;
  });
}

// With the lock held, after the end of a connection: how long it was, and who may have ended it.
void Link::note_end() {
  const auto lasted = Steady::now() - connected_at_;
  outlasted_ = lasted >= steady_connection;
  // mosquitto 2.0.11 closes the connection that another client takes over without the reason code
  // 0x8E. What tells it from a broker that goes down is that the next attempt succeeds at once and
  // does not last either.
  const bool suspicious = lost_cause_.empty() && lasted < 2 * options_.max_backoff;
  short_connections_ = suspicious ? short_connections_ + 1 : 0;
  if (short_connections_ < most_short_connections) return;
  keeps_breaking_ = true;
  lost_cause_ = fmt::format("{} connections in a row were closed soon", short_connections_);
}

Duration Link::next_delay() {
  const Lock lock{mutex_};
  if (taken_over_ || keeps_breaking_) return options_.max_backoff;
  if (outlasted_ && connecting_ == Progress::succeeded) backoff_ = options_.first_backoff;
  const Duration limit = std::min(backoff_, options_.max_backoff);
  backoff_ = std::min(2 * backoff_, options_.max_backoff);
  // Jitter only shortens: all gateways of a plant must not come back at the same instant, nor later
  // than promised.
  return std::chrono::duration_cast<Duration>(limit * random_.uniform(0.5, 1.0));
}

void Link::pause_before_next(Duration delay) {
  Lock lock{mutex_};
  wait(lock, Steady::now() + delay, [&] { return stopping_; });
}

// Ends a connection that is of no use any more. Deliveries are given up.
void Link::drop_connection() {
  {
    const Lock lock{mutex_};
    online_.store(false, std::memory_order_release);
    link_up_ = false;
    lost_ = true;
    disconnected_ = false;
  }
  try {
    client_->disconnect(0, nullptr, disconnect_listener_);
    Lock lock{mutex_};
    wait(lock, Steady::now() + 5s, [&] { return disconnected_; });
  } catch (const mqtt::exception&) {
    // Not connected is what was wanted.
  }
  give_up_deliveries();
}

// Says farewell, disconnects, and takes Paho's client down while nobody is inside it.
void Link::leave() {
  Lock lock{mutex_};
  online_.store(false, std::memory_order_release);
  const bool up = link_up_ && !lost_;
  const std::optional<Outgoing> farewell = last_;
  // The last part of the patience belongs to the disconnect.
  const auto until = Steady::now() + (stop_deadline_ - Steady::now()) / 2;
  if (up) {
    const auto room = [&] { return lost_ || slots_busy_ < slots_allowed_; };
    wait(lock, until, room);
    lock.unlock();
    if (farewell) publish(*farewell, 0, true);
    lock.lock();
    wait(lock, until, [&] { return lost_ || slots_busy_ == 0; });
  }
  wait(lock, Steady::time_point::max(), [&] { return publishing_ == 0; });
  lock.unlock();
  if (up) drop_connection();
  give_up_deliveries();
  client_.reset();
  lock.lock();
  emit_posted(lock);
  done_ = true;
  lock.unlock();
  changed_.notify_all();
}

// ---------------------------------------------------------------- the session's user

void Link::ask_to_stop(Steady::time_point deadline) {
  {
    const Lock lock{mutex_};
    if (!stopping_) stop_deadline_ = deadline;
    stopping_ = true;
  }
  changed_.notify_all();
}

bool Link::wait_until_done(Steady::time_point deadline) {
  Lock lock{mutex_};
  return changed_.wait_until(lock, deadline, [&] { return done_; });
}

void Link::close_gate() {
  online_.store(false, std::memory_order_release);
  give_up_deliveries();
  const std::unique_lock gate{gate_};
  gate_closed_ = true;
}

void Link::set_last(Outgoing farewell) {
  const Lock lock{mutex_};
  last_ = std::move(farewell);
}

void Link::resubscribe(const std::vector<Decoder::Subscription>& subscriptions) {
  std::map<std::string, int> wanted = wanted_filters(subscriptions);
  {
    const Lock lock{mutex_};
    for (const auto& [filter, qos] : wanted_)
      if (!wanted.contains(filter)) obsolete_.insert(filter);
    for (const auto& [filter, qos] : wanted) obsolete_.erase(filter);
    wanted_ = std::move(wanted);
  }
  changed_.notify_all();
}

struct Session::Impl {
  // Shared with the session's thread: where Paho hangs, the thread must be left behind, and what it
  // uses with it.
  std::shared_ptr<Link> link;
  std::thread thread;
  bool stopped = false;
};

Session::Session(SessionOptions options, SessionHandlers handlers)
    : impl_(std::make_unique<Impl>()) {
  impl_->link = std::make_shared<Link>(std::move(options), std::move(handlers));
}

Session::~Session() { stop(2s); }

void Session::start() {
  if (impl_->thread.joinable() || impl_->stopped) return;
  impl_->thread = std::thread{[link = impl_->link] { link->run(); }};
}

void Session::stop(std::chrono::milliseconds patience) {
  if (std::exchange(impl_->stopped, true) || !impl_->thread.joinable()) return;
  const auto deadline = Steady::now() + patience;
  impl_->link->ask_to_stop(deadline);
  const bool done = impl_->link->wait_until_done(deadline);
  impl_->link->close_gate();
  if (done)
    impl_->thread.join();
  else
    impl_->thread.detach();
}

void Session::set_last(Outgoing farewell) { impl_->link->set_last(std::move(farewell)); }
bool Session::connected() const noexcept { return impl_->link->online(); }
bool Session::publish(const Outgoing& message, std::uint64_t tag) noexcept {
  return impl_->link->publish(message, tag, false);
}
void Session::resubscribe(const std::vector<Decoder::Subscription>& subscriptions) {
  impl_->link->resubscribe(subscriptions);
}

}  // namespace millwright::ingest
