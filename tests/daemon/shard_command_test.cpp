// Commands in a lane's journal: carried out where they stand, once, and answered by one lane.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/command_document.h"
#include "daemon/documents.h"
#include "daemon/shard.h"

using namespace millwright;
using namespace millwright::daemon;
using Json = nlohmann::json;

namespace {

constexpr const char* hot = R"({
  "inputs": [
    { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
      "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": ["limit", "shift"], "limits": { "high": 90 } } ],
  "processing": { "clock": "event", "lanes": LANES } })";

std::string text_for(int lanes) {
  std::string text = hot;
  return text.replace(text.find("LANES"), 5, std::to_string(lanes));
}

Timestamp at(int second) {
  return Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 3 / 10}} +
         std::chrono::seconds{second};
}

// A record that owns its content.
struct Entry {
  ingest::RecordKind kind{};
  std::string topic, payload, properties;
  std::uint32_t flags = 0;
};

Entry reading(const std::string& machine, int second, double value) {
  return {ingest::RecordKind::message, "t/" + machine + "/temp",
          fmt::format(R"({{"t":"{}","v":{}}})", format_time(at(second)), value), "", 0};
}

Entry command(const std::string& name, const Json& json, std::uint32_t flags = 0) {
  return {ingest::RecordKind::command, name,
          json.is_string() ? json.get<std::string>() : json.dump(),
          ingest::encode({"answers/me", "17"}), flags};
}

// Lanes that hear the same commands; readings go to the first one only, as their topics say.
class Lanes {
 public:
  explicit Lanes(int lanes = 1)
      : text_(text_for(lanes)),
        registry_(std::make_unique<MachineRegistry>(static_cast<std::uint32_t>(lanes))) {
    for (int lane = 0; lane < lanes; ++lane)
      shards_.push_back(
          std::make_unique<Shard>(static_cast<std::uint32_t>(lane), text_, *registry_, nullptr));
  }
  Shard& shard(std::size_t lane) { return *shards_[lane]; }
  void apply(std::size_t lane, const Entry& entry) {
    ingest::Record record;
    record.kind = entry.kind;
    record.position = shards_[lane]->position() + 1;
    record.received = record.arrival = at(0);
    // The same on every lane, and another one for every command.
    if (entry.kind == ingest::RecordKind::command) record.arrival += Duration{++commands_[lane]};
    record.flags = entry.flags;
    record.topic = entry.topic;
    record.properties = entry.properties;
    record.payload = entry.payload;
    shards_[lane]->apply(record);
  }
  // The answers of all lanes.
  std::vector<storage::Operation> give(const Entry& entry) {
    std::vector<storage::Operation> answers;
    for (std::size_t lane = 0; lane < shards_.size(); ++lane) {
      apply(lane, entry);
      auto output = shards_[lane]->step();
      for (auto& alert : output.alerts) alerts.push_back(std::move(alert));
      for (auto& baseline : output.baselines) baselines.push_back(std::move(baseline));
      for (auto& answer : output.operations) answers.push_back(std::move(answer));
    }
    return answers;
  }
  storage::Operation only(const Entry& entry) {
    const auto answers = give(entry);
    REQUIRE(answers.size() == 1);
    return answers.front();
  }
  // As after kill -9: the lanes forget what they have told each other.
  void restart_all() {
    std::vector<storage::Checkpoint> checkpoints;
    for (const auto& shard : shards_) checkpoints.push_back(shard->checkpoint());
    registry_ = std::make_unique<MachineRegistry>(registry_->lanes());
    for (std::size_t lane = 0; lane < shards_.size(); ++lane) {
      shards_[lane] =
          std::make_unique<Shard>(static_cast<std::uint32_t>(lane), text_, *registry_, nullptr);
      REQUIRE(!shards_[lane]->restore(checkpoints[lane]));
    }
  }
  // What one lane answers to what it hears.
  std::vector<storage::Operation> lane(std::size_t lane, const Entry& entry) {
    apply(lane, entry);
    return shards_[lane]->step().operations;
  }
  void restart(std::size_t lane) {
    const auto checkpoint = shards_[lane]->checkpoint();
    shards_[lane] =
        std::make_unique<Shard>(static_cast<std::uint32_t>(lane), text_, *registry_, nullptr);
    REQUIRE(!shards_[lane]->restore(checkpoint));
  }

  std::vector<Alert> alerts;
  std::vector<PastBaseline> baselines;

 private:
  const std::string text_;
  std::unique_ptr<MachineRegistry> registry_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::map<std::size_t, int> commands_;
};

// Normal for two minutes, then too hot: one alert is open.
std::vector<Entry> too_hot(const std::string& machine) {
  std::vector<Entry> entries;
  for (int second = 0; second < 130; ++second)
    entries.push_back(reading(machine, second, second < 120 ? 40 + second % 3 : 95));
  return entries;
}

std::string open_alert(const std::vector<Alert>& alerts) {
  for (const auto& alert : alerts) {
    if (alert.kind == AlertKind::limit && alert.event == AlertEvent::raised) return alert.id;
  }
  return "";
}

bool told(const std::vector<Alert>& alerts, AlertEvent event) {
  return std::any_of(alerts.begin(), alerts.end(),
                     [&](const Alert& a) { return a.event == event; });
}

}  // namespace

TEST_CASE("an alert is acknowledged by a command, and the answer says so to whoever asked") {
  Lanes lanes;
  for (const auto& entry : too_hot("R1")) lanes.give(entry);
  const auto id = open_alert(lanes.alerts);
  REQUIRE(id != "");
  lanes.alerts.clear();
  const auto answer =
      lanes.only(command("acknowledge", {{"by", "anna"}, {"comment", "on my way"}, {"alert", id}}));
  CHECK(answer.ok);
  CHECK(answer.text == id + " is acknowledged");
  CHECK(answer.by == "anna");
  CHECK(answer.reply_topic == "answers/me");
  CHECK(answer.correlation == "17");
  CHECK(answer.time == at(129));  // event time, the clock of this configuration
  REQUIRE(told(lanes.alerts, AlertEvent::acknowledged));
  const auto document = Json::parse(alert_document(lanes.alerts.front(), "site"));
  CHECK(document["acknowledged"] == true);
  CHECK(lanes.shard(0).figures().commands_done == 1);
}

TEST_CASE("minutes count from now, or from `from`") {
  Lanes lanes;
  for (const auto& entry : too_hot("R1")) lanes.give(entry);
  const auto id = open_alert(lanes.alerts);
  auto answer = lanes.only(command("shelve", {{"by", "anna"}, {"alert", id}, {"minutes", 2}}));
  CHECK(answer.ok);
  CHECK(answer.to == at(129 + 120));
  answer = lanes.only(command(
      "maintenance_start",
      {{"by", "anna"}, {"machine", "R*"}, {"from", format_time(at(3600))}, {"minutes", 30}}));
  CHECK(answer.ok);
  CHECK(answer.from == at(3600));
  CHECK(answer.to == at(3600 + 1800));
  CHECK(lanes.only(command("maintenance_stop", {{"by", "anna"}, {"machine", "R*"}})).ok);
  CHECK_FALSE(lanes.only(command("maintenance_stop", {{"by", "anna"}, {"machine", "R*"}})).ok);
}

TEST_CASE("a shelved alert comes back by itself when its time is over") {
  Lanes lanes;
  for (const auto& entry : too_hot("R1")) lanes.give(entry);
  const auto id = open_alert(lanes.alerts);
  lanes.only(command("shelve", {{"by", "anna"}, {"alert", id}, {"minutes", 1}}));
  lanes.alerts.clear();
  for (int second = 130; second < 185; ++second) lanes.give(reading("R1", second, 95));
  CHECK_FALSE(told(lanes.alerts, AlertEvent::unshelved));
  for (int second = 185; second < 195; ++second) lanes.give(reading("R1", second, 95));
  CHECK(told(lanes.alerts, AlertEvent::unshelved));
}

TEST_CASE(
    "serviced puts the old baseline away and closes what rested on it; of a machine that is "
    "not there it is refused") {
  Lanes lanes;
  for (int second = 0; second < 4000; ++second) lanes.give(reading("R1", second, 40 + second % 3));
  const auto answer = lanes.only(command("serviced", {{"by", "bo"}, {"machine", "R1"}}));
  CHECK(answer.ok);
  CHECK(answer.text.find("R1 was serviced") == 0);
  REQUIRE(!lanes.baselines.empty());
  for (const auto& baseline : lanes.baselines) CHECK(baseline.why == BaselineEnd::serviced);
  CHECK(lanes.baselines.front().machine == "R1");
  auto refused = lanes.only(command("serviced", {{"by", "bo"}, {"machine", "R9"}}));
  CHECK_FALSE(refused.ok);
  CHECK(refused.text == "there is no machine R9");
  refused = lanes.only(command("rebaseline", {{"by", "bo"}, {"machine", "R1"}, {"sensor", "x"}}));
  CHECK(refused.text == "machine R1 has no sensor x");
  CHECK(
      lanes.only(command("rebaseline", {{"by", "bo"}, {"machine", "R1"}, {"sensor", "temp"}})).ok);
  CHECK(lanes.shard(0).figures().commands_refused == 2);
}

TEST_CASE("a command that the broker sends again does not act twice, also over a restart") {
  Lanes lanes;
  for (int second = 0; second < 4000; ++second) lanes.give(reading("R1", second, 40 + second % 3));
  const Json json{{"by", "bo"}, {"machine", "R1"}};
  CHECK(lanes.give(command("serviced", json)).size() == 1);
  for (int second = 4000; second < 8000; ++second)
    lanes.give(reading("R1", second, 40 + second % 3));
  lanes.baselines.clear();
  CHECK(lanes.give(command("serviced", json, ingest::message_redelivered)).empty());
  CHECK(lanes.baselines.empty());
  lanes.restart(0);
  CHECK(lanes.give(command("serviced", json, ingest::message_redelivered)).empty());
  CHECK(lanes.baselines.empty());
  // A person who says it again means it; and what never arrived is carried out, marked or not.
  CHECK(lanes.give(command("serviced", json)).size() == 1);
  CHECK_FALSE(lanes.baselines.empty());
  CHECK(
      lanes
          .give(command("serviced", {{"by", "cy"}, {"machine", "R1"}}, ingest::message_redelivered))
          .size() == 1);
}

TEST_CASE("a retained command and a bad one are refused with the reason") {
  Lanes lanes;
  auto answer =
      lanes.only(command("serviced", {{"by", "bo"}, {"machine", "R1"}}, ingest::message_retained));
  CHECK_FALSE(answer.ok);
  CHECK(answer.text.find("retain") != std::string::npos);
  answer = lanes.only(command("serviced", {{"machine", "R1"}}));
  CHECK(answer.text == "who asks? `by` is missing");
  answer = lanes.only(command("explode", {{"by", "bo"}}));
  CHECK(answer.command == "explode");
  CHECK(answer.text.find("there is no command `explode`") == 0);
  answer = lanes.only(command("close", "not json"));
  CHECK(answer.text == "the command is not JSON");
  CHECK(lanes.shard(0).figures().commands_refused == 4);
}

TEST_CASE("with several lanes each hears a command and the one that has the machine answers") {
  Lanes lanes{3};
  for (const auto& entry : too_hot("R1")) lanes.apply(1, entry);
  for (auto& alert : lanes.shard(1).step().alerts) lanes.alerts.push_back(alert);
  const auto id = open_alert(lanes.alerts);
  REQUIRE(id != "");
  auto answer = lanes.only(command("acknowledge", {{"by", "anna"}, {"alert", id}}));
  CHECK(answer.ok);
  answer = lanes.only(command("rebaseline", {{"by", "anna"}, {"machine", "R1"}}));
  CHECK(answer.ok);
  // Nobody has it, or it is a matter of all: the first lane speaks.
  answer = lanes.only(command("rebaseline", {{"by", "anna"}, {"machine", "R9"}}));
  CHECK(answer.text == "there is no machine R9");
  answer = lanes.only(command("acknowledge", {{"by", "anna"}, {"alert", "R9/x/limit/1"}}));
  CHECK_FALSE(answer.ok);
  answer =
      lanes.only(command("maintenance_start", {{"by", "a"}, {"machine", "*"}, {"minutes", 5}}));
  CHECK(answer.ok);
  // Each lane has the window.
  for (std::size_t lane = 0; lane < 3; ++lane) {
    lanes.apply(lane, command("maintenance_stop", {{"by", "a"}, {"machine", "*"}}));
    const auto answers = lanes.shard(lane).step().operations;
    CHECK(answers.size() == (lane == 0 ? 1 : 0));
    if (lane == 0) CHECK(answers.front().ok);
  }
}

TEST_CASE(
    "a command about a machine that is first heard of meanwhile has one answer, by its lane") {
  const auto serviced = command("serviced", {{"by", "bo"}, {"machine", "R1"}});
  // Lane 1 gets its first reading just before the command, or just after it. Lanes work at their
  // own pace: in every order.
  for (const bool before : {true, false}) {
    std::vector<std::size_t> order{0, 1, 2};
    do {
      CAPTURE(before);
      CAPTURE(order);
      Lanes lanes{3};
      std::vector<storage::Operation> answers;
      for (const auto lane : order) {
        if (lane == 1 && before) lanes.apply(1, reading("R1", 0, 40));
        for (auto& answer : lanes.lane(lane, serviced)) answers.push_back(std::move(answer));
        if (lane == 1 && !before) lanes.apply(1, reading("R1", 0, 40));
      }
      REQUIRE(answers.size() == 1);
      CHECK(answers.front().ok == before);
      // The next one is answered by its lane, whoever comes last.
      answers.clear();
      for (const auto lane : order) {
        for (auto& answer : lanes.lane(lane, serviced)) answers.push_back(std::move(answer));
      }
      REQUIRE(answers.size() == 1);
      CHECK(answers.front().ok);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("a command that some lanes had dealt with before a crash is answered once") {
  const auto unknown = command("serviced", {{"by", "bo"}, {"machine", "R9"}});
  Lanes lanes{3};
  CHECK(lanes.lane(0, unknown).empty());
  CHECK(lanes.lane(2, unknown).empty());
  lanes.restart_all();
  const auto answers = lanes.lane(1, unknown);
  REQUIRE(answers.size() == 1);
  CHECK(answers.front().text == "there is no machine R9");

  // Answered already, and not by the last one.
  lanes.apply(1, reading("R1", 0, 40));
  const auto known = command("serviced", {{"by", "bo"}, {"machine", "R1"}});
  CHECK(lanes.lane(1, known).size() == 1);
  CHECK(lanes.lane(0, known).empty());
  lanes.restart_all();
  CHECK(lanes.lane(2, known).empty());
}

TEST_CASE("commands come out the same however the lane steps, is saved and goes on") {
  std::vector<Entry> entries = too_hot("R1");
  const auto more = too_hot("R2");
  entries.insert(entries.end(), more.begin(), more.end());
  Lanes first;
  for (const auto& entry : entries) first.give(entry);
  const auto id = open_alert(first.alerts);
  const std::vector<Entry> commands = {
      command("comment", {{"by", "anna"}, {"alert", id}, {"comment", "hm"}}),
      command("shelve", {{"by", "anna"}, {"alert", id}, {"minutes", 1}}),
      command("serviced", {{"by", "bo"}, {"machine", "R2"}}),
      command("serviced", {{"by", "bo"}, {"machine", "R2"}}, ingest::message_redelivered),
      command("maintenance_start", {{"by", "bo"}, {"machine", "R2"}, {"minutes", 1}}),
      command("close", "[1"),
  };
  for (std::size_t i = 0; i < commands.size(); ++i) {
    entries.push_back(commands[i]);
    for (int second = 0; second < 15; ++second)
      entries.push_back(reading("R1", 130 + 15 * static_cast<int>(i) + second, 95));
  }
  const auto run = [&](std::size_t batch, std::size_t restart) {
    Lanes lanes;
    std::vector<std::string> all;
    const auto take = [&](LaneOutput output) {
      for (const auto& alert : output.alerts) all.push_back(alert_document(alert, "site"));
      for (const auto& answer : output.operations)
        all.push_back(fmt::format("{} {}", answer.position, answer_document(answer)));
    };
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i == restart) {
        take(lanes.shard(0).step());
        lanes.restart(0);
      }
      lanes.apply(0, entries[i]);
      if ((i + 1) % batch == 0) take(lanes.shard(0).step());
    }
    take(lanes.shard(0).step());
    all.push_back(lanes.shard(0).checkpoint().state);
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto expected = run(1, entries.size());
  for (const std::size_t batch : {2u, 7u, 1000u}) {
    CAPTURE(batch);
    CHECK(run(batch, entries.size()) == expected);
    for (std::size_t restart = 259; restart < entries.size(); restart += 15)
      CHECK(run(batch, restart) == expected);
  }
}
