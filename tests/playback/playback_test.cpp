#include "daemon/playback.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.h"
#include "ingest/decoder.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

struct Played {
  Timestamp time;
  std::string machine, sensor;
  double value;
};

bool equal(const Played& a, const Played& b) {
  return a.time == b.time && a.machine == b.machine && a.sensor == b.sensor &&
         (std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value) ||
          (std::isnan(a.value) && std::isnan(b.value)));
}

config::Configuration factory_configuration() {
  const auto loaded =
      config::load(std::string{MILLWRIGHT_SOURCE} + "/config/examples/factory.json");
  for (const auto& problem : loaded.problems) MESSAGE(to_string(problem));
  REQUIRE(loaded.problems.empty());
  REQUIRE(loaded.configuration);
  return *loaded.configuration;
}

// What the daemon gets out of the messages of a source, and what went in.
struct Journey {
  std::vector<Played> sent, received;
  std::map<double, int> programs;  // messages in each
};

Journey travel(PlaybackSource& source, const config::Configuration& configuration,
               const std::string& topic_text) {
  const TopicTemplate topic{topic_text};
  ingest::Decoder decoder{configuration.inputs, configuration.limits};
  TelemetryWriter writer;
  PlayedMessage message;
  ingest::DecodeResult result;
  Journey out;
  const auto receive = [&](const std::string& to, const std::string& payload) {
    ingest::Message arrived;
    arrived.topic = to;
    arrived.payload = payload;
    decoder.decode(arrived, result);
    CAPTURE(payload);
    REQUIRE(result.reject == Reject::none);
    REQUIRE(result.rejected.empty());
    for (const auto& reading : result.readings) {
      if (reading.sensor == "program") {
        ++out.programs[reading.value];
        continue;
      }
      out.received.push_back(
          {reading.time, std::string{reading.machine}, std::string{reading.sensor}, reading.value});
    }
  };
  std::string payload;
  while (source.next(message)) {
    for (const auto& value : message.values) {
      out.sent.push_back(
          {message.time, std::string{message.machine}, std::string{value.sensor}, value.value});
      if (topic.names_sensor()) {
        writer.single(message, value, payload);
        receive(topic.fill(message, value.sensor).value(), payload);
      }
    }
    if (!topic.names_sensor()) {
      writer.message(message, payload);
      receive(topic.fill(message, {}).value(), payload);
    }
  }
  return out;
}

void check_equal(const Journey& journey) {
  REQUIRE(journey.sent.size() == journey.received.size());
  for (std::size_t i = 0; i < journey.sent.size(); ++i)
    REQUIRE(equal(journey.sent[i], journey.received[i]));
}

struct Group {
  std::string machine;
  std::vector<std::string> sensors;
  bool operator==(const Group&) const = default;
};

std::vector<Group> groups_of(const std::string& csv) {
  std::istringstream in{csv};
  ingest::CsvReader reader{in, "press-1"};
  CsvSource source{reader};
  PlayedMessage message;
  std::vector<Group> out;
  while (source.next(message)) {
    Group group{std::string{message.machine}, {}};
    for (const auto& value : message.values) group.sensors.emplace_back(value.sensor);
    out.push_back(std::move(group));
  }
  return out;
}

constexpr const char* telemetry = "factory/{line}/{machine}/telemetry";

}  // namespace

TEST_CASE("the example configuration reads every reading of the factory, to the bit") {
  simulator::FactoryOptions options;
  options.duration = std::chrono::hours{2};
  simulator::Factory factory{options};
  FactorySource source{factory};
  const auto journey = travel(source, factory_configuration(), telemetry);
  CHECK(journey.sent.size() > 150'000);
  check_equal(journey);
  // Every message names the program, and all four are known as numbers.
  CHECK(journey.programs.size() == 4);
  for (const auto& [program, messages] : journey.programs) CHECK(messages > 100);
}

TEST_CASE("the example configuration has a unit for every sensor of the factory") {
  const auto configuration = factory_configuration();
  for (const auto& sensor : simulator::Factory::sensors()) {
    CAPTURE(sensor.name);
    const auto& profile = engine::profile_for(configuration.plan, "R001", sensor.name);
    CHECK(profile.unit == sensor.unit);
    CHECK_FALSE(profile.label.empty());
    CHECK_FALSE(profile.advice.empty());
  }
}

TEST_CASE("a recorded file comes through MQTT as it stands in the file") {
  const std::string text =
      "time;\"a \"\"hot\"\" one\";b;T\xc3\xbcr\n"
      "2023-01-01 12:00:00.123456;0.1;-2.024668694;1e-300\n"
      "2023-01-01 12:00:01;;5e-324;1.7976931348623157e308\n"
      "2023-01-01 12:00:02;nan;inf;-inf\n"
      "2023-01-01 12:00:01.5;-0.0;9007199254740993;123456789.123456789\n";
  for (const char* topic : {telemetry, "plant/{machine}/{sensor}"}) {
    CAPTURE(topic);
    auto configuration = factory_configuration();
    if (std::string{topic} != telemetry) {
      auto& input = configuration.inputs.at(0);
      input.topic = topic;
      input.value = "/v";
      input.machine = "{machine}";
      input.sensor = "{sensor}";
    }
    std::istringstream in{text};
    ingest::CsvReader reader{in, "press-1"};
    CsvSource source{reader};
    const auto journey = travel(source, configuration, topic);
    CHECK(journey.sent.size() == 11);
    check_equal(journey);
  }
}

TEST_CASE("rows of one time and machine are one message, until a sensor comes again") {
  const std::string header = "time,machine,sensor,value\n";
  CHECK(groups_of(header).empty());
  CHECK(groups_of(header +
                  "1672574400,A,x,1\n1672574400,A,y,2\n1672574400,B,x,3\n1672574401,B,y,4\n") ==
        std::vector<Group>{{"A", {"x", "y"}}, {"B", {"x"}}, {"B", {"y"}}});
  CHECK(groups_of(header + "1672574400,A,x,1\n1672574400,A,x,2\n1672574400,A,y,2\n") ==
        std::vector<Group>{{"A", {"x"}}, {"A", {"x", "y"}}});
  CHECK(groups_of(header + "1672574400,A,x,1\n1672574401,A,y,\n1672574400,A,y,2\n") ==
        std::vector<Group>{{"A", {"x", "y"}}});
  CHECK(groups_of("time,x,y\n1672574400,1,2\n1672574401,,\n1672574402,,3\n") ==
        std::vector<Group>{{"press-1", {"x", "y"}}, {"press-1", {"y"}}});
}

TEST_CASE("a topic is filled in, and a name that cannot be part of one is refused") {
  PlayedMessage message;
  message.line = "line1";
  message.machine = "R001";
  CHECK(TopicTemplate{telemetry}.fill(message, "") == "factory/line1/R001/telemetry");
  CHECK(TopicTemplate{"x/{robot}-{sensor}"}.fill(message, "temp") == "x/R001-temp");
  CHECK(TopicTemplate{"x/{sensor}"}.names_sensor());
  CHECK_FALSE(TopicTemplate{"x/{machine}"}.names_sensor());
  for (const char* machine : {"", "a/b", "a+", "#"}) {
    CAPTURE(machine);
    message.machine = machine;
    CHECK_FALSE(TopicTemplate{telemetry}.fill(message, ""));
    CHECK(TopicTemplate{"x/{line}"}.fill(message, "") == "x/line1");
  }
  for (const char* bad : {"", "a/+/b", "a/#", "a/{", "a/{machin}", "a/{}"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(TopicTemplate{bad}, std::invalid_argument);
  }
}

TEST_CASE("the labels document says what was planted and how far it was played") {
  const simulator::FactoryOptions options;
  const simulator::Factory factory{options};
  const auto before = labels_document(factory, options, std::nullopt);
  CHECK(before.find("\"played_until\": null") != std::string::npos);
  const auto after = labels_document(factory, options, factory.learning_until());
  CHECK(after.find("\"played_until\": \"2024-01-01T21:36:00.000Z\"") != std::string::npos);
  for (const auto& label : factory.labels()) {
    CHECK(after.find("\"" + label.machine + "\"") != std::string::npos);
    CHECK(after.find("\"" + std::string{simulator::name_of(label.kind)} + "\"") !=
          std::string::npos);
    CHECK(after.find(format_time(label.start)) != std::string::npos);
  }
}
