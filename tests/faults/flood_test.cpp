// A million topics that nobody knows, and ten thousand alerts at once: memory stays under the
// unit's limit, what was known before is served as before, and everything is counted.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "core/time.h"

#include "tests/faults/figures.h"
#include "tests/faults/plant.h"
#include "tests/faults/table.h"
#include "tests/faults/vitals.h"

using namespace millwright::test;
namespace ingest = millwright::ingest;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t unit_limit_kib = 1 << 20;  // MemoryMax=1G
// Every message in the log would be half of the work.
constexpr const char* quiet = "log_type none\n";

// How long an alert of a sensor that is known takes, from its reading to whoever listens. Each is
// asked once: one that alarms again and again would be told less often.
class Known {
 public:
  static constexpr int sensors = 500;

  Known(const Broker& broker, Client& source)
      : source_(source), observer_(listener(broker, "observer", "millwright/test/state/+/temp/#")) {
    REQUIRE(observer_.up());
    for (int i = 0; i < sensors; ++i) say(i, "2025-03-10T00:00:00Z", 60);
  }

  void measure(Seconds& seconds) {
    if (next_ == sensors) return;
    const auto heard = observer_.received();
    const auto began = Clock::now();
    say(next_++, "2025-03-10T00:01:00Z", 95);
    REQUIRE(wait_until([&] { return observer_.received() > heard; }, 60s));
    seconds.add(Clock::now() - began);
  }
  int sent() const { return sensors + next_; }

 private:
  void say(int number, const std::string& time, double value) {
    REQUIRE(source_.publish(telemetry("K" + std::to_string(number), time, "temp", value)));
  }

  Client& source_;
  Client observer_;
  int next_ = 0;
};

// Not faster than `rate` a second, from a thread of its own.
class Flood {
 public:
  Flood(Client& client, int messages, int rate, std::function<ingest::Outgoing(int)> message)
      : thread_{[&client, messages, rate, message = std::move(message), this] {
          const auto began = Clock::now();
          for (int i = 0; i < messages && !given_up_; ++i) {
            const auto due = began + std::chrono::microseconds{1'000'000LL * i / rate};
            wait_until([&] { return Clock::now() >= due; }, 10s);
            const auto one = message(i);
            if (!wait_until([&] { return client.send(one, static_cast<std::uint64_t>(i)); }, 60s))
              given_up_ = true;
          }
          over_ = true;
        }} {}
  ~Flood() {
    given_up_ = true;
    thread_.join();
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  bool over() const { return over_; }

 private:
  std::atomic<bool> over_{false}, given_up_{false};
  std::thread thread_;
};

std::uint64_t sum(const Json& counts) {
  std::uint64_t all = 0;
  for (const auto& count : counts) all += count.get<std::uint64_t>();
  return all;
}

// Beside the traffic of a usual day, without which the clients' library sleeps between messages.
constexpr int usual_readings = 600;
Seconds usually(Known& known, Client& client) {
  Seconds seconds;
  const Flood usual{client, usual_readings, 400,
                    [](int i) { return text_reading("usual", "x", 50 + i % 7); }};
  while (!usual.over()) {
    known.measure(seconds);
    wait_until([&] { return usual.over(); }, 20ms);
  }
  return seconds;
}

Json status(const Client& watcher) {
  const auto messages = watcher.messages();
  return messages.empty() ? Json{} : Json::parse(messages.back().payload);
}

std::string latencies(const Seconds& before, const Seconds& during) {
  return fmt::format("an alert of a known sensor takes {:.3f} s, before {:.3f} s ({:.2f} times)",
                     during.median(), before.median(), during.median() / before.median());
}

// Promised is 2; a machine that is busy with other tests must not break it.
constexpr double most_slower = 8;

}  // namespace

TEST_CASE("topics that nobody knows, without end: refused, counted, and known sensors go on") {
  Plant plant{{.speed = 1, .more = quiet, .configure = [](Json& config) {
                 config["processing"].erase("checkpoint_interval_s");  // as by default
                 config["limits"]["sensors"] = many(5'000, 20'000);
                 config["profiles"].push_back({{"match", "*"}, {"detectors", "auto"}});
                 config["profiles"][1]["match"] = "K*/*";
               }}};
  Known known{plant.broker, plant.source};
  const int topics = many(20'000, 1'000'000);
  Client stranger{listener(plant.broker, "stranger", "nothing")};
  REQUIRE(stranger.up());
  const auto before = usually(known, stranger);
  Seconds during;
  {
    const Flood flood{stranger, topics, 5'000,
                      [](int i) { return text_reading("F" + std::to_string(i), "x", i % 10); }};
    while (!flood.over()) {
      known.measure(during);
      wait_until([&] { return flood.over(); }, std::chrono::milliseconds{many(50, 700)});
    }
  }
  const auto sent = static_cast<std::uint64_t>(topics + usual_readings + known.sent());
  CHECK(wait_until(
      [&] {
        const auto now = status(plant.watcher);
        return !now.is_null() && now["messages"] == sent && sum(now["readings"]) == sent;
      },
      60s));
  const auto last = status(plant.watcher);
  INFO(last.dump(2));
  CHECK(sum(last["rejected"]) == 0);
  const auto refused = last["readings"].value("sensor_limit", std::uint64_t{0});
  CHECK(refused == static_cast<std::uint64_t>(topics) + Known::sensors + 1 -
                       last["sensors"].get<std::uint64_t>());
  const auto peak = peak_kib(plant.site.process().pid());
  CHECK(plant.site.stop().code == 0);
  if (clock_in_hand) {
    CHECK(peak < unit_limit_kib);
    CHECK(during.median() / before.median() < most_slower);
  }
  report_fault(
      "topics that nobody knows", topics,
      "memory < 1 GiB; all counted; known sensors <= 2 times slower",
      fmt::format("{} MiB at most; {} of {} readings refused by the limit of sensors, none "
                  "lost; {}",
                  peak / 1024, refused, sent, latencies(before, during)));
}

TEST_CASE("alerts of thousands of sensors at once: all told, memory bounded, others as before") {
  constexpr int per_machine = 10;
  const int alerts = many(500, 10'000);
  Plant plant{{.speed = 1, .more = quiet, .configure = [](Json& config) {
                 config["processing"].erase("checkpoint_interval_s");  // as by default
               }}};
  Known known{plant.broker, plant.source};
  Client factory{listener(plant.broker, "factory", "nothing")};
  REQUIRE(factory.up());
  const auto all_say = [&](const std::string& time, double value) {
    return [=](int machine) {
      Json signals;
      for (int s = 0; s < per_machine; ++s) signals["s" + std::to_string(s)] = {{"v", value}};
      return outgoing("factory/l1/S" + std::to_string(machine) + "/telemetry",
                      Json{{"ts", time}, {"signals", signals}}.dump());
    };
  };
  const auto machines = alerts / per_machine;
  {
    const Flood usual{factory, machines, 1'000, all_say("2025-03-10T00:00:00Z", 60)};
    REQUIRE(wait_until([&] { return usual.over(); }, 60s));
  }
  const auto before = usually(known, factory);
  Seconds during;
  const auto began = Clock::now();
  Clock::duration told{};
  {
    const Flood storm{factory, machines, 50, all_say("2025-03-10T00:01:00Z", 95)};
    do {
      known.measure(during);
    } while (!wait_until([&] { return storm.over(); }, std::chrono::milliseconds{many(20, 70)}));
    // Messages alone say nothing: there are cases among them, and some come twice.
    const auto told_of_storm = [&] {
      const auto events = events_of(plant.crew);
      return std::count_if(events.begin(), events.end(), [](const auto& event) {
        const auto& id = event.first.first;
        return id.starts_with("S") && id.find("/limit/") != id.npos;
      });
    };
    const auto enough = static_cast<std::size_t>(alerts);
    CHECK(wait_until([&] { return plant.crew.received() >= enough && told_of_storm() >= alerts; },
                     120s));
    told = Clock::now() - began;
  }
  const auto peak = peak_kib(plant.site.process().pid());
  const auto undelivered = plant.undelivered();
  CHECK(undelivered == "");
  CHECK(plant.archived() >= static_cast<std::size_t>(alerts));
  if (clock_in_hand) {
    CHECK(peak < unit_limit_kib);
    CHECK(during.median() / before.median() < most_slower);
  }
  report_fault(
      "alert storm, 500 a second", alerts,
      "memory < 1 GiB; all told; known sensors <= 2 times slower",
      fmt::format("{} MiB at most; all told within {:.0f} s; {} events, {} undelivered; {}",
                  peak / 1024, std::chrono::duration<double>(told).count(), plant.archived(),
                  undelivered.empty() ? "none" : "SOME", latencies(before, during)));
}
