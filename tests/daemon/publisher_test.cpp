// The publisher beside a broker that loses connections, forgets, and refuses: every row arrives,
// and those of one alert in the order of their revisions.
#include "daemon/publisher.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/daemon/recording.h"
#include "tests/support/process.h"
#include "tests/support/scale.h"

using namespace millwright;
using namespace millwright::test;
using namespace std::chrono_literals;
using daemon::Publisher;

namespace {

// An outbox and a broker in one; what it is handed waits until `work` answers.
class World {
 public:
  explicit World(Publisher::Limits limits)
      : publisher_("/test",
                   {[this](std::uint64_t sequence) { done(sequence); },
                    [this](std::uint64_t after) { asked(after); }},
                   limits) {}
  ~World() { publisher_.stop(0ms); }

  void start() {
    publisher_.start([this](const ingest::Outgoing& message, std::uint64_t tag) {
      const std::lock_guard lock{mutex_};
      if (!online_ || on_its_way_.size() >= 20) return false;
      on_its_way_.push_back({tag, message});
      return true;
    });
  }

  // A committed event, as the writer hands it over.
  void raise(const std::string& alert, std::uint32_t revision,
             const std::string& topic = "event/alert", int priority = 0, bool retain = false) {
    storage::OutboxRow row;
    row.topic = topic;
    row.priority = priority;
    row.retain = retain;
    row.alert_id = alert;
    row.revision = revision;
    row.payload = alert + "#" + std::to_string(revision);
    {
      const std::lock_guard lock{mutex_};
      row.sequence = ++last_;
      outbox_[row.sequence] = row;
      hand_over_.push_back(row);
    }
  }
  // The archive is a new one, with a row that was saved of the old one: nobody hands that over.
  void begin_anew(storage::OutboxRow saved) {
    const std::lock_guard lock{mutex_};
    outbox_.clear();
    last_ = saved.sequence;
    outbox_[saved.sequence] = std::move(saved);
  }
  // The writer's turn: hands over what is new and answers what was asked.
  void write() {
    std::vector<storage::OutboxRow> rows;
    std::vector<std::uint64_t> asked;
    {
      const std::lock_guard lock{mutex_};
      rows.swap(hand_over_);
      asked.swap(asked_);
    }
    if (!rows.empty()) publisher_.enqueue(std::move(rows));
    for (const auto after : asked) {
      std::vector<storage::OutboxRow> more;
      {
        const std::lock_guard lock{mutex_};
        for (auto it = outbox_.upper_bound(after); it != outbox_.end() && more.size() < 50; ++it)
          more.push_back(it->second);
      }
      const bool complete = more.size() < 50;
      publisher_.refill(after, std::move(more), complete);
    }
  }
  // The broker's turn: answers what is on its way, in order.
  void answer() {
    std::vector<std::pair<std::uint64_t, int>> answers;  // 0x00, 0x87
    {
      const std::lock_guard lock{mutex_};
      for (const auto& [tag, message] : on_its_way_) {
        const bool no = refused_.contains(message.topic);
        answers.emplace_back(tag, no ? 0x87 : 0);
        if (!no) unsaved_.push_back({message.topic, message.payload});
      }
      on_its_way_.clear();
    }
    for (const auto& given : answers) {
      if (given.second != 0) publisher_.refused(given.first);
      publisher_.delivered(given.first, given.second == 0);
    }
  }
  // What it has is on its disk, and so with the subscriber.
  void save() {
    const std::lock_guard lock{mutex_};
    arrived_.insert(arrived_.end(), unsaved_.begin(), unsaved_.end());
    unsaved_.clear();
  }
  // A session says so once for every connection.
  void connect() {
    {
      const std::lock_guard lock{mutex_};
      if (online_) return;
      online_ = true;
    }
    publisher_.connected();
  }
  // kill -9: what is on its way is lost, and what was not saved, too.
  void kill(Random& random) {
    std::vector<std::uint64_t> lost;
    {
      const std::lock_guard lock{mutex_};
      online_ = false;
      for (const auto& [tag, message] : on_its_way_) lost.push_back(tag);
      on_its_way_.clear();
      unsaved_.clear();
    }
    publisher_.disconnected();
    // The session answers in the order of its slots.
    while (!lost.empty()) {
      const auto at = lost.begin() + static_cast<std::ptrdiff_t>(random.below(lost.size()));
      publisher_.delivered(*at, false);
      lost.erase(at);
    }
  }
  void refuse(const std::string& topic, bool refuse = true) {
    const std::lock_guard lock{mutex_};
    if (refuse)
      refused_.insert(topic);
    else
      refused_.erase(topic);
  }

  std::size_t in_outbox() {
    const std::lock_guard lock{mutex_};
    return outbox_.size();
  }
  std::size_t arrived(const std::string& payload) {
    const std::lock_guard lock{mutex_};
    return static_cast<std::size_t>(
        std::count_if(arrived_.begin(), arrived_.end(),
                      [&](const auto& message) { return message.second == payload; }));
  }
  std::size_t distinct() {
    const std::lock_guard lock{mutex_};
    return std::set(arrived_.begin(), arrived_.end()).size();
  }
  // Empty when what came first of each revision rose, per topic and alert, without a gap.
  std::string disorder() {
    const std::lock_guard lock{mutex_};
    std::map<std::pair<std::string, std::string>, int> newest;
    for (const auto& [topic, payload] : arrived_) {
      const auto sign = payload.rfind('#');
      const int revision = std::stoi(payload.substr(sign + 1));
      auto& last = newest[{topic, payload.substr(0, sign)}];
      if (revision > last + 1) return payload + " came before the one before it on " + topic;
      last = std::max(last, revision);
    }
    return "";
  }
  // Payloads, in the order in which they were handed over.
  std::vector<std::string> on_its_way() {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> all;
    for (const auto& it : on_its_way_) all.push_back(it.second.payload);
    return all;
  }
  // Topic and CloudEvents attributes of what is on its way.
  std::vector<std::pair<std::string, std::map<std::string, std::string>>> attributes() {
    const std::lock_guard lock{mutex_};
    std::vector<std::pair<std::string, std::map<std::string, std::string>>> all;
    for (const auto& it : on_its_way_) {
      const auto& properties = it.second.properties;
      all.push_back({it.second.topic, {properties.begin(), properties.end()}});
    }
    return all;
  }
  std::string newest_on(const std::string& topic) {
    const std::lock_guard lock{mutex_};
    std::string newest;
    for (const auto& message : arrived_)
      if (message.first == topic) newest = message.second;
    return newest;
  }
  Publisher& publisher() { return publisher_; }
  bool until(const std::function<bool()>& condition) {
    return wait_until([&] {
      write();
      answer();
      save();
      return condition();
    });
  }

 private:
  void done(std::uint64_t sequence) {
    const std::lock_guard lock{mutex_};
    outbox_.erase(sequence);
  }
  void asked(std::uint64_t after) {
    const std::lock_guard lock{mutex_};
    asked_.push_back(after);
  }

  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, storage::OutboxRow> outbox_;
  std::vector<storage::OutboxRow> hand_over_;
  std::vector<std::uint64_t> asked_;
  bool online_ = false;
  std::set<std::string> refused_;
  std::vector<std::pair<std::uint64_t, ingest::Outgoing>> on_its_way_;
  std::vector<std::pair<std::string, std::string>> unsaved_, arrived_;
  Publisher publisher_;
};

Publisher::Limits quick() {
  Publisher::Limits limits;
  limits.retry = 5ms;
  limits.sure_after = 1h;
  return limits;
}

}  // namespace

TEST_CASE("of what waits the most urgent goes first, but nothing before what must precede it") {
  World world{quick()};
  world.start();
  // An hour without a broker.
  world.raise("a", 1, "event/alert", 10);
  world.raise("a", 1, "state/x", 10, true);
  world.raise("b", 1, "event/alert", 50);
  world.raise("c", 1, "state/x", 90, true);  // of another alert with the same retained topic
  world.raise("a", 2, "event/alert", 99);    // it became worse
  world.raise("", 1, "cmd/reply", 0);
  world.raise("b", 2, "event/alert", 50);
  world.connect();
  // The answer to a command, then by priority; the others wait until these are acknowledged.
  REQUIRE(wait_until([&] {
    world.write();
    return world.on_its_way().size() == 4;
  }));
  CHECK(world.on_its_way() == std::vector<std::string>{"#1", "b#1", "a#1", "a#1"});
  REQUIRE(world.until([&] { return world.distinct() == 7; }));
  CHECK(world.disorder() == "");
  CHECK(world.newest_on("state/x") == "c#1");
}

TEST_CASE("every event carries CloudEvents attributes, the same when it is published again") {
  World world{quick()};
  Random random{5};
  world.start();
  world.raise("a", 1, "root/event/alert", 10);
  world.raise("", 1, "root/event/service");
  world.raise("", 1, "answers/planner");
  world.raise("", 2, "answers/planner");
  world.raise("", 1, "homeassistant/device/x/config", 0, true);
  const auto handed_over = [&] {
    world.connect();
    REQUIRE(wait_until([&] {
      world.write();
      return world.attributes().size() == 4;  // the second answer waits for the first
    }));
    auto all = world.attributes();
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto first = handed_over();
  std::map<std::string, std::string> types;
  std::set<std::string> ids;
  for (const auto& one : first) {
    const auto& topic = one.first;
    const auto& attributes = one.second;
    CAPTURE(topic);
    if (topic.starts_with("homeassistant/")) {
      CHECK(attributes.empty());
      continue;
    }
    CHECK(attributes.at("specversion") == "1.0");
    CHECK(attributes.at("source") == "/test");
    CHECK(ids.insert(attributes.at("id")).second);
    types[topic] = attributes.at("type");
  }
  CHECK(types == std::map<std::string, std::string>{{"answers/planner", "millwright.answer"},
                                                    {"root/event/alert", "millwright.alert"},
                                                    {"root/event/service", "millwright.service"}});
  world.kill(random);
  CHECK(handed_over() == first);
  REQUIRE(world.until([&] { return world.distinct() == 5; }));
}

TEST_CASE("what a killed broker had acknowledged and forgot is published again, in order") {
  World world{quick()};
  world.start();
  world.connect();
  for (std::uint32_t revision = 1; revision <= 3; ++revision) world.raise("a", revision);
  // All three were acknowledged, none was saved.
  REQUIRE(wait_until([&] {
    world.write();
    world.answer();
    return world.publisher().figures().waiting == 0;
  }));
  Random random{1};
  world.kill(random);
  world.raise("a", 4);
  world.connect();
  CHECK(world.until([&] { return world.distinct() == 4; }));
  CHECK(world.disorder() == "");
  CHECK(world.in_outbox() == 4);
  world.publisher().stop(0ms);
  CHECK(world.in_outbox() == 0);
}

TEST_CASE("what the broker has had for long enough leaves the outbox, but not while it is away") {
  auto limits = quick();
  limits.sure_after = 50ms;
  World world{limits};
  world.start();
  world.connect();
  world.raise("a", 1);
  CHECK(world.until([&] { return world.in_outbox() == 0; }));
  CHECK(world.arrived("a#1") == 1);
}

TEST_CASE("more rows than fit into memory come from the outbox, all of them and in order") {
  auto limits = quick();
  limits.waiting = 60;
  World world{limits};
  // Left by a run before, and more than one page of them.
  for (std::uint32_t revision = 1; revision <= 40; ++revision) {
    for (const auto* alert : {"a", "b", "c", "d", "e"}) world.raise(alert, revision);
  }
  world.start();
  world.write();
  world.connect();
  std::uint32_t revision = 40;
  CHECK(world.until([&] {
    if (revision < 80) {
      ++revision;
      for (const auto* alert : {"a", "b", "c", "d", "e"}) world.raise(alert, revision);
    }
    return world.distinct() == 5 * 80;
  }));
  CHECK(world.disorder() == "");
}

TEST_CASE("a topic that the broker refuses is counted and kept, and holds nobody else up") {
  auto limits = quick();
  limits.held = 10;
  World world{limits};
  world.refuse("event/alert");
  world.start();
  world.connect();
  for (std::uint32_t revision = 1; revision <= 30; ++revision) {
    world.raise("a", revision);
    world.raise("a", revision, "event/case");
  }
  REQUIRE(world.until([&] { return world.distinct() == 30; }));
  const auto figures = world.publisher().figures();
  CHECK(figures.refused >= 1);
  CHECK(figures.refused <= 11);  // in memory; the rest stays in the outbox
  CHECK(figures.refusals >= 1);
  CHECK(figures.refused_topics == std::vector<std::string>{"event/alert"});
  CHECK(world.in_outbox() == 60);
  CHECK(world.arrived("a#1") == 1);

  // The right is given: what waited comes, in order.
  world.refuse("event/alert", false);
  CHECK(world.until([&] { return world.distinct() == 60; }));
  CHECK(world.disorder() == "");
  CHECK(world.until([&] { return world.publisher().figures().refused == 0; }));
}

TEST_CASE("rows of an archive that was begun anew are published, though their numbers are low") {
  World world{quick()};
  world.start();
  world.connect();
  for (std::uint32_t revision = 1; revision <= 5; ++revision) world.raise("a", revision);
  REQUIRE(world.until([&] { return world.distinct() == 5; }));
  storage::OutboxRow saved;
  saved.sequence = 1;
  saved.topic = "event/alert";
  saved.alert_id = "b";
  saved.revision = 1;
  saved.payload = "b#1";
  world.begin_anew(saved);
  world.raise("c", 1);
  CHECK(world.until([&] { return world.arrived("b#1") == 1 && world.arrived("c#1") == 1; }));
  CHECK(world.disorder() == "");
}

TEST_CASE("whatever the broker does, every row arrives, and each alert's in order") {
  for (int seed = 1; seed <= scaled(20, 500); ++seed) {
    CAPTURE(seed);
    Random random{static_cast<std::uint64_t>(seed)};
    auto limits = quick();
    limits.retry = 1ms;
    limits.waiting = 30 + random.below(100);
    limits.held = 5 + random.below(50);
    World world{limits};
    const std::vector<std::string> topics{"event/alert", "event/case", "state/a"};
    std::map<std::string, std::uint32_t> revisions;
    std::size_t raised = 0;
    world.start();
    for (int i = 0; i < 400; ++i) {
      const auto what = random.below(100);
      if (what < 60) {
        const std::string alert{static_cast<char>('a' + random.below(5))};
        const auto revision = ++revisions[alert];
        for (const auto& topic : topics)
          world.raise(alert, revision, topic, static_cast<int>(random.below(100)));
        raised += topics.size();
      } else if (what < 75) {
        world.answer();
      } else if (what < 85) {
        world.write();
      } else if (what < 90) {
        world.save();
      } else if (what < 93) {
        world.kill(random);
      } else if (what < 96) {
        world.connect();
      } else {
        // No rights are taken away while it may die: what it forgot would have to wait for them.
        std::this_thread::yield();
      }
    }
    world.connect();
    CHECK(world.until([&] { return world.distinct() == raised; }));
    CHECK(world.disorder() == "");
  }
}
