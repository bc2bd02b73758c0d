#include "tests/session/client.h"

#include <algorithm>

namespace millwright::test {

using namespace std::chrono_literals;

ingest::SessionOptions options_for(const Broker& broker, const std::string& client_id,
                                   std::vector<ingest::Decoder::Subscription> subscriptions) {
  return options_for(broker.url(), client_id, std::move(subscriptions));
}

ingest::SessionOptions options_for(const std::string& url, const std::string& client_id,
                                   std::vector<ingest::Decoder::Subscription> subscriptions) {
  ingest::SessionOptions options;
  options.broker.url = url;
  options.broker.client_id = client_id;
  options.subscriptions = std::move(subscriptions);
  options.first_backoff = 20ms;
  options.max_backoff = 200ms;
  return options;
}

ingest::Outgoing outgoing(std::string topic, std::string payload) {
  ingest::Outgoing message;
  message.topic = std::move(topic);
  message.payload = std::move(payload);
  return message;
}

Client::Client(ingest::SessionOptions options, bool started) {
  ingest::SessionHandlers handlers;
  handlers.message = [this](const ingest::Incoming& message) {
    const std::lock_guard lock{mutex_};
    messages_.push_back({std::string{message.topic}, std::string{message.payload},
                         message.properties, std::string{message.response_topic},
                         std::string{message.correlation}, message.retained});
  };
  handlers.event = [this](ingest::SessionEvent event, const std::string& text) {
    const std::lock_guard lock{mutex_};
    events_.push_back({event, text});
  };
  handlers.delivered = [this](std::uint64_t tag, bool taken) {
    const std::lock_guard lock{mutex_};
    answers_[tag].push_back(taken);
  };
  session_ = std::make_unique<ingest::Session>(std::move(options), std::move(handlers));
  if (started) session_->start();
}

bool Client::up(std::chrono::milliseconds within) {
  // The event comes a moment after the fact.
  return wait_until([&] { return session_->connected() && told(ingest::SessionEvent::connected); },
                    within);
}

bool Client::send(const ingest::Outgoing& message, std::uint64_t tag) {
  return session_->publish(message, tag);
}

bool Client::publish(const ingest::Outgoing& message) {
  const std::uint64_t tag = next_tag_++;
  if (!wait_until([&] { return send(message, tag); })) return false;
  const auto answered = [&] {
    const std::lock_guard lock{mutex_};
    return answers_.contains(tag);
  };
  if (!wait_until(answered)) return false;
  const std::lock_guard lock{mutex_};
  return answers_.at(tag).front();
}

std::vector<Received> Client::messages() const {
  const std::lock_guard lock{mutex_};
  return messages_;
}

std::size_t Client::count(const std::function<bool(const Received&)>& which) const {
  const std::lock_guard lock{mutex_};
  return static_cast<std::size_t>(std::count_if(messages_.begin(), messages_.end(), which));
}
std::size_t Client::look(std::size_t from, const std::function<void(const Received&)>& at) const {
  const std::lock_guard lock{mutex_};
  for (; from < messages_.size(); ++from) at(messages_[from]);
  return from;
}
std::size_t Client::received() const {
  const std::lock_guard lock{mutex_};
  return messages_.size();
}

std::vector<std::string> Client::payloads() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> result;
  for (const Received& message : messages_) result.push_back(message.payload);
  return result;
}

bool Client::has_payload(const std::string& payload) const {
  for (const std::string& had : payloads())
    if (had == payload) return true;
  return false;
}

std::vector<Told> Client::events() const {
  const std::lock_guard lock{mutex_};
  return events_;
}

std::vector<std::string> Client::texts(ingest::SessionEvent kind) const {
  std::vector<std::string> result;
  for (const Told& told : events())
    if (told.event == kind) result.push_back(told.text);
  return result;
}

std::map<std::uint64_t, std::vector<bool>> Client::answers() const {
  const std::lock_guard lock{mutex_};
  return answers_;
}

}  // namespace millwright::test
