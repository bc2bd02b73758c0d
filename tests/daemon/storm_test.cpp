// An alert storm while subscriber, broker or daemon are away or killed: every (id, revision)
// arrives at least once, and those of one alert in the order of their revisions.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/daemon/load.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"
#include "tests/support/scale.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* alerts_topic = "millwright/test/event/alert";
using Steady = std::chrono::steady_clock;
// After so long a session is there again.
constexpr auto promised = 35s;
constexpr const char* cases_topic = "millwright/test/event/case";

// The first time each (id, revision) came, in the order in which they did.
struct Heard {
  Events events;
  std::string disorder;  // empty: of each id the revisions rose
};

Heard heard(const std::vector<Received>& messages, const std::string& topic, bool without_gaps) {
  Heard heard;
  std::map<std::string, int> newest;
  for (const auto& message : messages) {
    if (message.topic != topic) continue;
    add_event(heard.events, message.payload);
    const auto json = Json::parse(message.payload);
    const auto id = json["id"].get<std::string>();
    const int revision = json["revision"];
    int& last = newest[id];
    if (revision <= last) continue;  // once more
    if (without_gaps && revision != last + 1 && heard.disorder.empty())
      heard.disorder = fmt::format("{}: {} came after {}", id, revision, last);
    last = revision;
  }
  return heard;
}

// Of the case events only those that people are told of.
Events notified(const Events& events) {
  Events told;
  for (const auto& [key, document] : events) {
    if (Json::parse(document)["notify"].get<bool>()) told[key] = document;
  }
  return told;
}

// Of a stopped daemon: all that it raised has been heard, in order.
void check_complete(const Site& site, const Client& subscriber) {
  const auto archived = archived_events(site);
  CHECK(wait_until([&] {
    return heard(subscriber.messages(), alerts_topic, true).events.size() >= archived.size();
  }));
  const auto alerts = heard(subscriber.messages(), alerts_topic, true);
  CHECK(difference(archived, alerts.events) == "");
  CHECK(alerts.disorder == "");
  const auto told = notified(archived);
  CHECK_FALSE(told.empty());
  const auto cases = [&] { return heard(subscriber.messages(), cases_topic, false).events; };
  CHECK(wait_until([&] { return cases().size() >= told.size(); }));
  CHECK(difference(told, cases()) == "");
  // It was a storm: alerts with several revisions, of every machine.
  const auto longest = std::max_element(
      archived.begin(), archived.end(),
      [](const auto& a, const auto& b) { return a.first.second < b.first.second; });
  CHECK(longest->first.second >= 4);
}

// A daemon between a source of readings and a subscriber of all that it tells, all connected.
struct Crew {
  // `more`: of the broker's configuration.
  explicit Crew(const std::string& more = {}) : broker{{.more = shipped_limits + more}} {
    only_limits(site);
    site.start();
    REQUIRE(source.up());
    REQUIRE(subscriber.up());
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  }
  Broker broker;
  Site site{broker};
  Client source{listener(broker, "source", "millwright/test/state/marker/#")};
  Client subscriber{options_for(broker, "crew", {{"millwright/test/event/#", 1}})};
};

// On its disk before anything else: what it keeps of sessions.
void save(const Broker& broker, const std::filesystem::path& database) {
  std::filesystem::remove(database);
  ::kill(broker.pid(), SIGUSR1);
  REQUIRE(wait_until([&] { return std::filesystem::exists(database); }));
}

}  // namespace

TEST_CASE("a subscriber that was down for a day hears of everything when it comes back") {
  const Broker broker{{.more = shipped_limits}};
  Site site{broker};
  only_limits(site);
  site.start();
  Client source{listener(broker, "source", "millwright/test/state/marker/#")};
  REQUIRE(source.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto crew = options_for(broker, "crew", {{"millwright/test/event/#", 1}});
  Load storm{source, scaled(2, 10)};
  std::vector<Received> messages;
  {
    Client subscriber{crew};
    REQUIRE(subscriber.up());
    REQUIRE(storm.until([&] { return subscriber.received() > 0; }));
    subscriber.stop();
    messages = subscriber.messages();
  }
  const auto begun = storm.minutes();
  while (storm.minutes() < begun + 1440) storm.minute();
  REQUIRE(pass_marker(source, storm.now()));
  CHECK(site.stop().code == 0);

  Client back{crew};
  REQUIRE(back.up());
  const auto archived = archived_events(site);
  const auto all = [&] {
    auto both = messages;
    for (auto& message : back.messages()) both.push_back(std::move(message));
    return heard(both, alerts_topic, true);
  };
  CHECK(wait_until([&] { return all().events.size() >= archived.size(); }, 60s));
  CHECK(difference(archived, all().events) == "");
  CHECK(all().disorder == "");
  CHECK(heard(back.messages(), alerts_topic, true).events.size() > archived.size() / 2);

  // And one that the broker does not know finds how things stand.
  Client stranger{listener(broker, "stranger", "millwright/test/state/#")};
  REQUIRE(stranger.up());
  std::map<std::string, int> newest;  // of every open alert
  for (const auto& [key, document] : archived) {
    const auto json = Json::parse(document);
    newest[key.first] = json["state"] == "cleared" ? 0 : key.second;
  }
  std::erase_if(newest, [](const auto& it) { return it.second == 0; });
  CHECK_FALSE(newest.empty());
  const auto knows = [&] {
    auto open = newest;
    for (const auto& message : stranger.messages()) {
      const auto json = Json::parse(message.payload);
      const auto it = open.find(json.value("id", ""));
      if (message.retained && it != open.end() && json["revision"] == it->second) open.erase(it);
    }
    return open.empty();
  };
  CHECK(wait_until(knows));
}

TEST_CASE("a broker killed in a storm forgets nothing that subscribers would miss") {
  const TemporaryDirectory kept;
  // It writes its memory to disk seldom: what it acknowledged since is lost with it.
  const auto every = std::string{"autosave_interval 2\npersistence true\npersistence_location "} +
                     kept.path().string() + "/\n";
  Crew crew{every};
  auto& broker = crew.broker;
  auto& site = crew.site;
  auto &source = crew.source, &subscriber = crew.subscriber;
  save(broker, kept / "mosquitto.db");
  Load storm{source, 5};
  Random random{31};
  // A session that has lasted for ten seconds begins with short pauses again: of many kills most
  // are met by such a one.
  const std::chrono::seconds steady{scaled(0, 11)};
  const int kills = scaled(3, 200);
  Admissions admissions{broker};
  auto longest = 0ms;
  auto back = Steady::now();
  for (int kill = 0; kill < kills; ++kill) {
    CAPTURE(kill);
    const auto earliest = back + (random.below(8) > 0 ? steady : 0s);
    REQUIRE(wait_until([&] { return Steady::now() >= earliest; }, 2 * promised));
    const auto until = subscriber.received() + 20 + random.below(200);
    REQUIRE(storm.until([&] { return subscriber.received() >= until; }));
    const auto before = admissions.count();
    broker.kill();
    // Long enough that the daemon has tried in vain: a broker that is back at once looks to it like
    // another client with its name.
    using millwright::ingest::SessionEvent;
    const auto tries = subscriber.texts(SessionEvent::connect_failed).size() + 16;
    REQUIRE(wait_until(
        [&] { return subscriber.texts(SessionEvent::connect_failed).size() >= tries; }, 40s));
    broker.start();
    const auto started = Steady::now();
    REQUIRE(wait_until([&] { return admissions.count() > before; }, promised));
    back = Steady::now();
    longest = std::max(longest, std::chrono::ceil<std::chrono::milliseconds>(back - started));
    REQUIRE(subscriber.up(promised));
    REQUIRE(source.up(promised));
  }
  MESSAGE(kills << " kills of the broker; connected again after " << longest.count()
                << " ms at the latest");
  INFO(site.log());
  REQUIRE(source.up());
  for (int i = 0; i < 10; ++i) storm.minute();
  REQUIRE(pass_marker(source, storm.now()));
  CHECK(site.stop().code == 0);
  check_complete(site, subscriber);
}

TEST_CASE("a daemon killed at any point of a storm tells of everything, in order") {
  Crew crew;
  auto& site = crew.site;
  auto &source = crew.source, &subscriber = crew.subscriber;
  Load storm{source, 5};
  Random random{41};
  for (int kill = 0; kill < scaled(6, 200); ++kill) {
    CAPTURE(kill);
    // Some as it starts, most while it publishes.
    if (random.below(4) > 0) {
      const auto until = subscriber.received() + 1 + random.below(100);
      REQUIRE(storm.until([&] { return subscriber.received() >= until; }));
    } else {
      storm.minute();
      const auto written = random.below(400);
      REQUIRE(wait_until([&] { return site.log().size() >= written; }, 30s));
    }
    site.kill();
    site.start_without_waiting();
  }
  for (int i = 0; i < 10; ++i) storm.minute();
  REQUIRE(pass_marker(source, storm.now()));
  CHECK(site.stop().code == 0);
  check_complete(site, subscriber);
}
