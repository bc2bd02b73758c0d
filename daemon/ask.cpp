#include "daemon/ask.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <stdexcept>

#include "ingest/session.h"

namespace millwright::daemon {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using ingest::SessionEvent;
using namespace std::chrono_literals;

constexpr std::uint32_t mqtt5 = 5;

// What the session's threads tell the one that waits.
struct Heard {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Answer> answer;
};

void tell(Heard& heard, Answer answer) {
  {
    const std::lock_guard lock{heard.mutex};
    if (!heard.answer) heard.answer = std::move(answer);
  }
  heard.changed.notify_all();
}

// Without correlation data, of MQTT 3.1.1: the answer to the same words, or to one that could not
// be read.
bool answers(const Json& answer, const Question& question) {
  const auto asked = Json::parse(question.payload, nullptr, false);
  if (!asked.is_object() || answer.value("command", "") != question.command) return false;
  for (const char* key : {"by", "alert", "machine", "sensor"}) {
    const auto there = answer.find(key);
    const auto said = there != answer.end() && there->is_string() ? there->get<std::string>() : "";
    if (asked.value(key, "") != said) return false;
  }
  return true;
}

void hear(const ingest::Incoming& message, const Question& question, const std::string& correlation,
          Heard& heard) {
  const auto json = Json::parse(message.payload, nullptr, false);
  if (!json.is_object() || message.retained) return;
  const bool five = question.broker.mqtt_version == mqtt5;
  if (five ? message.correlation != correlation : !answers(json, question)) return;
  const auto ok = json.find("ok");
  const auto text = json.find("text");
  if (ok == json.end() || !ok->is_boolean() || text == json.end() || !text->is_string()) return;
  tell(heard, {ok->get<bool>() ? Answer::Kind::done : Answer::Kind::refused,
               text->get<std::string>(), std::string{message.payload}});
}

std::string made_up_id() {
  std::random_device random;
  return fmt::format("millwright-ask-{}-{:08x}", ::getpid(), random());
}

}  // namespace

Answer ask(const Question& question, std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  const auto id = made_up_id();
  const bool five = question.broker.mqtt_version == mqtt5;
  const auto replies = question.topic_root + "/cmd/reply" + (five ? "/" + id : "");

  Heard heard;
  ingest::SessionOptions options;
  options.broker = question.broker;
  options.broker.client_id = id;
  options.broker.session_expiry = 0s;
  options.password = question.password;
  options.subscriptions = {{replies, 1}};
  ingest::SessionHandlers handlers;
  handlers.message = [&](const ingest::Incoming& message) { hear(message, question, id, heard); };
  handlers.event = [&](SessionEvent event, const std::string& text) {
    if (event == SessionEvent::connect_failed || event == SessionEvent::disconnected)
      tell(heard, {Answer::Kind::unreachable,
                   "the broker cannot be reached: " + text.substr(0, text.find("; next try")), ""});
    if (event == SessionEvent::publish_refused || event == SessionEvent::subscription_refused)
      tell(heard, {Answer::Kind::refused, "the broker does not allow it: " + text, ""});
    const std::lock_guard lock{heard.mutex};
    heard.changed.notify_all();
  };
  ingest::Session session{std::move(options), std::move(handlers)};
  session.start();

  ingest::Outgoing message;
  message.topic = question.topic_root + "/cmd/" + question.command;
  message.payload = question.payload;
  message.response_topic = replies;
  message.correlation = id;
  {
    std::unique_lock lock{heard.mutex};
    heard.changed.wait_until(lock, until, [&] { return heard.answer || session.connected(); });
    if (!heard.answer && session.connected()) {
      lock.unlock();
      session.publish(message, 1);
      lock.lock();
    }
    heard.changed.wait_until(lock, until, [&] { return heard.answer.has_value(); });
  }
  const bool reached = session.connected();
  session.stop(1s);
  if (heard.answer) return *heard.answer;
  return {Answer::Kind::unreachable,
          reached
              ? fmt::format("nobody answered within {} s: does Millwright run, with this broker "
                            "and the topic root {}, and may it read its cmd topics? If it is only "
                            "down, the broker keeps the command, and it is carried out later",
                            static_cast<double>(patience.count()) / 1000, question.topic_root)
              : fmt::format("the broker {} cannot be reached", question.broker.url),
          ""};
}

}  // namespace millwright::daemon
