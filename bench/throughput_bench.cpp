// How much the daemon takes in end to end: a private mosquitto, the daemon with the profile auto,
// and a publisher, all on this machine. The clock runs from the first publish until an alert on the
// last reading has come back.
//
//   bench_throughput [MESSAGES] [BATCHED_MESSAGES]
#include <fmt/format.h>
#include <unistd.h>
#include <csignal>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/time.h"
#include "ingest/session.h"
#include "tests/support/broker.h"
#include "tests/support/process.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int sensors = 1000;
constexpr int sensors_per_message = 100;
constexpr int window = 400;  // publishes on their way

// User and system time of a process so far, seconds.
double cpu_seconds(pid_t pid) {
  std::ifstream in{fmt::format("/proc/{}/stat", pid)};
  std::string field;
  for (int i = 0; i < 13; ++i) in >> field;
  double user = 0, system = 0;
  in >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::string time_of(std::int64_t tick) {
  return format_time(Timestamp{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}} +
                     Duration{tick * 1'000'000});
}

struct Load {
  const char* name;
  std::vector<ingest::Outgoing> messages;
  std::uint64_t readings = 0;
};

Load single_readings(int count) {
  Load load{"one reading a message", {}, 0};
  Random random{1};
  for (int i = 0; i < count; ++i) {
    const int sensor = i % sensors;
    load.messages.push_back({fmt::format("bench/single/m{}/s{}", sensor / 20, sensor % 20),
                             fmt::format("{{\"ts\":\"{}\",\"v\":{:.4f}}}", time_of(i / sensors),
                                         50 + random.normal())});
  }
  load.readings = static_cast<std::uint64_t>(count);
  return load;
}

Load batched_readings(int count) {
  Load load{"100 readings a message", {}, 0};
  Random random{2};
  const int machines = sensors / sensors_per_message;
  for (int i = 0; i < count; ++i) {
    std::string body = fmt::format("{{\"ts\":\"{}\",\"signals\":{{", time_of(i / machines));
    for (int s = 0; s < sensors_per_message; ++s) {
      body += fmt::format("{}\"s{}\":{:.4f}", s == 0 ? "" : ",", s, 50 + random.normal());
    }
    load.messages.push_back({fmt::format("bench/batch/b{}", i % machines), body + "}}"});
  }
  load.readings = static_cast<std::uint64_t>(count) * sensors_per_message;
  return load;
}

std::string configuration(const test::Broker& broker, const test::TemporaryDirectory& directory) {
  return fmt::format(R"({{
  "site": "bench", "state_directory": "{}", "broker": {{ "url": "tcp://127.0.0.1:{}" }},
  "inputs": [
    {{ "topic": "bench/single/{{machine}}/{{sensor}}", "format": "json", "value": "/v", "time": "/ts",
       "machine": "{{machine}}", "sensor": "{{sensor}}" }},
    {{ "topic": "bench/batch/{{machine}}", "format": "json", "value": "/signals/{{sensor}}", "time": "/ts",
       "machine": "{{machine}}", "sensor": "{{sensor}}" }} ],
  "profiles": [ {{ "match": "*/end", "detectors": [ "limit" ], "limits": {{ "high": 1 }} }}, {{ "match": "*" }} ],
  "processing": {{ "clock": "event" }} }})",
                     (directory / "state").string(), broker.port());
}

class Bench {
 public:
  Bench() : broker_({.more = "max_inflight_messages 1000\nmax_queued_messages 1000000\n"}) {
    test::write_file(directory_ / "millwright.json", configuration(broker_, directory_));
    daemon_.emplace(std::vector<std::string>{MILLWRIGHT_BINARY, "run", "--config",
                                             directory_ / "millwright.json"},
                    directory_ / "log");
    if (!test::wait_until([&] { return daemon_->output().find("Connected") != std::string::npos; },
                          20s)) {
      throw std::runtime_error{"the daemon does not connect: " + daemon_->output()};
    }
    ingest::SessionOptions options;
    options.broker.url = fmt::format("tcp://127.0.0.1:{}", broker_.port());
    options.broker.client_id = "bench";
    options.subscriptions = {{"millwright/bench/event/alert", 1}};
    options.max_in_flight = window;
    ingest::SessionHandlers handlers;
    handlers.message = [this](const ingest::Incoming& message) {
      if (message.payload.find("\"event\":\"raised\"") == std::string_view::npos) return;
      if (message.payload.find("/end/limit/") != std::string_view::npos) say([this] { ++ended_; });
    };
    handlers.event = [](ingest::SessionEvent, const std::string&) {};
    handlers.delivered = [this](std::uint64_t, bool taken) {
      say([&] { taken ? ++taken_ : ++lost_; });
    };
    session_.emplace(std::move(options), std::move(handlers));
    session_->start();
    if (!test::wait_until([&] { return session_->connected(); }, 20s))
      throw std::runtime_error{"no broker"};
  }

  void run(const Load& load) {
    const double daemon_before = cpu_seconds(daemon_->pid()),
                 broker_before = cpu_seconds(broker_.pid());
    const auto began = Clock::now();
    for (const auto& message : load.messages) publish(message);
    const int round = ++rounds_;
    publish({load.messages.front().topic.starts_with("bench/batch")
                 ? std::string{"bench/batch/batch-end"}
                 : std::string{"bench/single/m-end/end"},
             load.messages.front().topic.starts_with("bench/batch")
                 ? fmt::format("{{\"ts\":\"{}\",\"signals\":{{\"end\":{}}}}}",
                               time_of(100000 + round), 5)
                 : fmt::format("{{\"ts\":\"{}\",\"v\":{}}}", time_of(100000 + round), 5)});
    {
      std::unique_lock lock{mutex_};
      if (!changed_.wait_for(lock, 120s, [&] { return ended_ >= round; })) {
        throw std::runtime_error{"no alert on the last reading came back: " + daemon_->output()};
      }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    const auto count = static_cast<double>(load.messages.size());
    fmt::print(
        "{:<24} {:>9.0f} messages/s {:>10.0f} readings/s   cpu per message: daemon {:6.1f} us, "
        "broker {:6.1f} us\n",
        load.name, count / seconds, static_cast<double>(load.readings) / seconds,
        (cpu_seconds(daemon_->pid()) - daemon_before) / count * 1e6,
        (cpu_seconds(broker_.pid()) - broker_before) / count * 1e6);
    std::fflush(stdout);
  }

  void finish() {
    daemon_->signal(SIGTERM);
    const auto exit = daemon_->wait(30s);
    if (!exit || exit->code != 0)
      throw std::runtime_error{"the daemon did not stop well: " + daemon_->output()};
    const auto log = daemon_->output();
    fmt::print("{}", log.substr(log.rfind('\n', log.size() - 2) + 1));
  }

 private:
  void publish(const ingest::Outgoing& message) {
    while (!session_->publish(message, 1)) {
      std::unique_lock lock{mutex_};
      const auto before = taken_ + lost_;
      changed_.wait_for(lock, 20ms, [&] { return taken_ + lost_ > before; });
    }
  }
  void say(auto&& change) {
    const std::lock_guard lock{mutex_};
    change();
    changed_.notify_all();
  }

  test::TemporaryDirectory directory_;
  test::Broker broker_;
  std::optional<test::ChildProcess> daemon_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0, lost_ = 0;
  int ended_ = 0, rounds_ = 0;
  std::optional<ingest::Session> session_;
};

}  // namespace

int main(int argc, char** argv) {
  const int singles = argc > 1 ? std::stoi(argv[1]) : 300'000;
  const int batches = argc > 2 ? std::stoi(argv[2]) : 30'000;
  const auto single = single_readings(singles);
  const auto batched = batched_readings(batches);
  Bench bench;
  bench.run(single);
  bench.run(batched);
  bench.finish();
}
