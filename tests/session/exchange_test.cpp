// What goes over a healthy connection, on MQTT 5 and 3.1.1.
#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <numeric>

#include "tests/session/client.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;
using ingest::SessionEvent;

TEST_CASE("messages arrive in order with topic and payload, on MQTT 5 and 3.1.1") {
  const Broker broker;
  for (const std::uint32_t version : {5u, 4u}) {
    CAPTURE(version);
    auto receiving = options_for(broker, "receiver", {{"plant/+/temp", 1}});
    receiving.broker.mqtt_version = version;
    auto sending = options_for(broker, "sender");
    sending.broker.mqtt_version = version;
    Client receiver{receiving}, sender{sending};
    REQUIRE(receiver.up());
    REQUIRE(sender.up());

    const std::string binary{"\0\x01\xff", 3};
    std::vector<std::string> sent;
    for (int i = 0; i < 50; ++i) sent.push_back("value " + std::to_string(i));
    sent.push_back(binary);
    sent.push_back("");
    for (const std::string& payload : sent)
      CHECK(sender.publish(outgoing("plant/R1/temp", payload)));
    CHECK(sender.publish(outgoing("plant/R1/other", "not subscribed")));
    REQUIRE(wait_until([&] { return receiver.messages().size() >= sent.size(); }));
    CHECK(receiver.payloads() == sent);
    CHECK(receiver.messages().front().topic == "plant/R1/temp");
    CHECK_FALSE(receiver.messages().front().retained);
    const auto connected = receiver.texts(SessionEvent::connected);
    REQUIRE(connected.size() == 1);
    CHECK(connected[0].find("plant/+/temp (QoS 1)") != std::string::npos);
  }
}

TEST_CASE("user properties, response topic, content type and expiry travel on MQTT 5") {
  const Broker broker;
  Client receiver{options_for(broker, "receiver", {{"t/#", 1}})};
  Client sender{options_for(broker, "sender")};
  REQUIRE(receiver.up());
  REQUIRE(sender.up());
  ingest::Outgoing message = outgoing("t/properties", "x");
  message.properties = {{"rate_hz", "25600"}, {"unit", "mm/s"}, {"rate_hz", ""}};
  message.expiry = 1h;
  CHECK(sender.publish(message));
  CHECK(sender.publish(outgoing("t/none", "y")));
  REQUIRE(wait_until([&] { return receiver.messages().size() == 2; }));
  std::string expected;
  for (const std::string part : {"rate_hz", "25600", "unit", "mm/s", "rate_hz", ""})
    expected += part + '\0';
  CHECK(receiver.messages()[0].properties == expected);
  CHECK(receiver.messages()[1].properties.empty());

  // With mosquitto_pub as an independent client for what a session never sends itself.
  const auto published = run({"mosquitto_pub", "-V", "5", "-p", std::to_string(broker.port()), "-t",
                              "t/command", "-m", "z", "-q", "1", "-D", "publish", "response-topic",
                              "answers/here", "-D", "publish", "correlation-data", "id 17"});
  CAPTURE(published.second);
  REQUIRE(published.first.code == 0);
  REQUIRE(wait_until([&] { return receiver.messages().size() == 3; }));
  CHECK(receiver.messages()[2].response_topic == "answers/here");
  CHECK(receiver.messages()[2].correlation == "id 17");
  CHECK(receiver.messages()[2].properties.empty());

  message = outgoing("t/asked", "w");
  message.response_topic = "answers/mine";
  message.correlation = std::string{"\0\xff 18", 5};
  CHECK(sender.publish(message));
  REQUIRE(wait_until([&] { return receiver.messages().size() == 4; }));
  CHECK(receiver.messages()[3].response_topic == "answers/mine");
  CHECK(receiver.messages()[3].correlation == message.correlation);
}

TEST_CASE("retained messages are not delivered on subscribe, but news on the same topic is") {
  const Broker broker;
  const auto published = run({"mosquitto_pub", "-p", std::to_string(broker.port()), "-q", "1", "-r",
                              "-t", "state/a", "-m", "old"});
  CAPTURE(published.second);
  REQUIRE(published.first.code == 0);
  Client receiver{options_for(broker, "receiver", {{"state/#", 1}})};
  // 3.1.1 knows no such wish: the message says that it is a retained one.
  auto options = options_for(broker, "receiver-3", {{"state/#", 1}});
  options.broker.mqtt_version = 4;
  Client receiver3{options};
  Client sender{options_for(broker, "sender")};
  REQUIRE(receiver.up());
  REQUIRE(sender.up());
  REQUIRE(receiver3.up());
  REQUIRE(wait_until([&] { return receiver3.has_payload("old"); }));
  CHECK(receiver3.messages().front().retained);
  CHECK(sender.publish(outgoing("state/a", "new")));
  REQUIRE(wait_until([&] { return receiver.has_payload("new"); }));
  CHECK(receiver.payloads() == std::vector<std::string>{"new"});
}

TEST_CASE(
    "at most max_in_flight messages are on their way, and each accepted one is answered once") {
  const Broker broker;
  auto options = options_for(broker, "sender");
  options.max_in_flight = 5;
  Client sender{options};
  REQUIRE(sender.up());
  std::uint64_t accepted = 0, refused = 0;
  while (accepted < 2000) {
    if (sender.send(outgoing("a/b", "x"), accepted))
      ++accepted;
    else
      ++refused;
    std::size_t answered = sender.answers().size();
    if (accepted - std::min<std::uint64_t>(accepted, answered) > 5) FAIL("more than 5 in flight");
  }
  CAPTURE(refused);
  REQUIRE(wait_until([&] { return sender.answers().size() == 2000; }));
  for (const auto& entry : sender.answers()) {
    CHECK(entry.first < 2000);
    CHECK(entry.second == std::vector<bool>{true});
  }
}

TEST_CASE("a message that can never be sent is reported and answered with no") {
  const Broker broker;
  Client sender{options_for(broker, "sender")};
  REQUIRE(sender.up());
  CHECK_FALSE(sender.publish(outgoing("bad\xff\xfetopic", "x")));
  REQUIRE(wait_until([&] { return sender.told(SessionEvent::publish_refused); }));
  CHECK(sender.publish(outgoing("good", "x")));
}

TEST_CASE("resubscribe adds what is new and drops what is gone") {
  const Broker broker;
  Client receiver{options_for(broker, "receiver", {{"a", 1}, {"b", 1}})};
  Client sender{options_for(broker, "sender")};
  REQUIRE(receiver.up());
  REQUIRE(sender.up());
  receiver.session().resubscribe({{"b", 1}, {"c", 1}});
  // The broker's log is the proof that both were done.
  REQUIRE(wait_until([&] {
    const std::string log = broker.log();
    return log.find("Received UNSUBSCRIBE from receiver") != std::string::npos &&
           log.find("receiver 1 c") != std::string::npos;
  }));
  CHECK(sender.publish(outgoing("a", "to a")));
  CHECK(sender.publish(outgoing("b", "to b")));
  CHECK(sender.publish(outgoing("c", "to c")));
  REQUIRE(wait_until([&] { return receiver.has_payload("to c"); }));
  CHECK(receiver.payloads() == std::vector<std::string>{"to b", "to c"});
}

TEST_CASE("a handler that throws loses its message, says so, and the session goes on") {
  const Broker broker;
  std::mutex mutex;
  std::vector<std::string> seen, failures;
  ingest::SessionHandlers handlers;
  handlers.message = [&](const ingest::Incoming& message) {
    if (message.payload == "bad") throw std::runtime_error{"no place for it"};
    const std::lock_guard lock{mutex};
    seen.emplace_back(message.payload);
  };
  handlers.event = [&](SessionEvent event, const std::string& text) {
    const std::lock_guard lock{mutex};
    if (event == SessionEvent::handler_failed) failures.push_back(text);
  };
  ingest::Session session{options_for(broker, "receiver", {{"t", 1}}), handlers};
  session.start();
  Client sender{options_for(broker, "sender")};
  REQUIRE(sender.up());
  REQUIRE(wait_until([&] { return session.connected(); }));
  CHECK(sender.publish(outgoing("t", "bad")));
  CHECK(sender.publish(outgoing("t", "good")));
  REQUIRE(wait_until([&] {
    const std::lock_guard lock{mutex};
    return seen.size() == 1 && failures.size() == 1;
  }));
  session.stop(5s);
  CHECK(seen == std::vector<std::string>{"good"});
  CHECK(failures[0].find("no place for it") != std::string::npos);
}

TEST_CASE(
    "the birth document goes out on connect and the farewell on a clean stop, in place of the "
    "Will") {
  const Broker broker;
  Client watcher{options_for(broker, "watcher", {{"status", 1}})};
  REQUIRE(watcher.up());
  auto options = options_for(broker, "daemon");
  options.will = outgoing("status", "will");
  options.birth = outgoing("status", "online");
  Client daemon{options};
  REQUIRE(daemon.up());
  REQUIRE(wait_until([&] { return watcher.has_payload("online"); }));
  daemon.session().set_last(outgoing("status", "offline"));
  daemon.stop();
  REQUIRE(wait_until([&] { return watcher.has_payload("offline"); }));
  CHECK_FALSE(daemon.session().connected());
  CHECK_FALSE(daemon.send(outgoing("status", "late"), 1));
  CHECK(watcher.payloads() == std::vector<std::string>{"online", "offline"});
}
