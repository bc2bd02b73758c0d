// `millwright simulate`: a factory of robots with faults, or a recorded CSV file, played over MQTT
// or into a file.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/command.h"
#include "daemon/commands/common.h"
#include "daemon/playback.h"
#include "ingest/csv.h"
#include "ingest/session.h"
#include "simulator/factory.h"

namespace millwright::daemon {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Options {
  std::string broker = "tcp://127.0.0.1:1883", username, password_file, ca_file;
  std::uint32_t mqtt_version = 5;
  std::string topic = "factory/{line}/{machine}/telemetry";
  std::string speed = "x1";
  double seconds = 0;  // of wall clock; 0: no limit
  std::string out, csv, machine;
  simulator::FactoryOptions factory;
  std::string period = "10s", duration = "2d", start;
  bool no_faults = false;
  std::string labels;
};

// The broker did not take what it should have: exit_unavailable.
struct BrokerProblem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

volatile std::sig_atomic_t stop_signal = 0;

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_signal = 1; };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// `10s`, `500ms`, `4min`, `36h`, `2d`; a bare number is seconds.
Duration parse_span(std::string_view option, const std::string& text) {
  static constexpr std::pair<std::string_view, double> units[] = {
      {"", 1},   {"s", 1},    {"ms", 1e-3}, {"min", 60},
      {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  for (const auto& [name, seconds] : units) {
    if (error == std::errc{} && unit == name && number > 0 && number * seconds < 1e10) {
      return from_seconds(number * seconds);
    }
  }
  throw std::invalid_argument{
      fmt::format("{} {}: a span of time is needed, such as 10s, 4min, 36h or 2d", option, text)};
}

// Simulated seconds per second; 0: as fast as it goes.
double parse_speed(const std::string& text) {
  if (text == "max") return 0;
  const auto digits = std::string_view{text}.substr(text.starts_with('x') ? 1 : 0);
  double speed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), speed);
  if (error != std::errc{} || end != digits.data() + digits.size() || !(speed > 0) || speed > 1e9) {
    throw std::invalid_argument{fmt::format("--speed {}: x1, x100 or max is needed", text)};
  }
  return speed;
}

struct Played {
  std::uint64_t messages = 0, readings = 0;
  std::optional<Timestamp> until;
};

// Says when a message is due by its event time, and when the time for playing is over.
class Pace {
 public:
  Pace(double speed, double seconds) : speed_(speed), seconds_(seconds) { restart(); }
  void set_origin(Timestamp origin) { origin_ = origin; }
  // The time until here, for connecting, does not count.
  void restart() {
    began_ = Clock::now();
    deadline_ = seconds_ > 0 ? began_ + to_clock(seconds_) : Clock::time_point::max();
  }

  // Waits until then; false when it is time to stop.
  bool wait_for(Timestamp time) {
    if (!origin_) origin_ = time;
    const auto due = speed_ > 0 ? began_ + to_clock(to_seconds(time - *origin_) / speed_) : began_;
    while (!over()) {
      const auto left = due - Clock::now();
      if (left <= Clock::duration{0}) return true;
      // A signal that comes just before the sleep must not wait for its end.
      std::this_thread::sleep_for(std::min<Clock::duration>(left, milliseconds{50}));
    }
    return false;
  }
  bool over() const { return stop_signal != 0 || Clock::now() >= deadline_; }
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

 private:
  static Clock::duration to_clock(double seconds) {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(std::min(seconds, 1e9)));
  }

  double speed_, seconds_;
  Clock::time_point began_, deadline_;
  std::optional<Timestamp> origin_;
};

// Publishes with QoS 1 and a bounded number on their way.
class TelemetryPublisher {
 public:
  explicit TelemetryPublisher(const Options& options)
      : url_(options.broker), session_(settings(options), handlers()) {
    session_.start();
  }
  ~TelemetryPublisher() { session_.stop(milliseconds{2000}); }
  TelemetryPublisher(const TelemetryPublisher&) = delete;
  TelemetryPublisher& operator=(const TelemetryPublisher&) = delete;

  // False when stopped by a signal. Throws BrokerProblem.
  bool connect() {
    const auto deadline = Clock::now() + connect_patience;
    while (!session_.connected()) {
      if (stop_signal != 0) return false;
      if (Clock::now() >= deadline)
        throw BrokerProblem{fmt::format("no connection to {}: {}", url_, last_event())};
      std::unique_lock lock{mutex_};
      changed_.wait_for(lock, milliseconds{50});
    }
    return true;
  }

  // False when it is time to stop. Throws BrokerProblem when the broker stays away.
  bool publish(const ingest::Outgoing& message, const Pace& pace) {
    std::optional<Clock::time_point> waiting;
    for (;;) {
      std::uint64_t seen = 0;
      {
        const std::lock_guard lock{mutex_};
        seen = changes_;
      }
      if (session_.publish(message, sent_)) {
        ++sent_;
        return true;
      }
      if (pace.over()) return false;
      const auto now = Clock::now();
      if (!waiting) waiting = now;
      if (now - *waiting > away_patience)
        throw BrokerProblem{fmt::format("{} takes no messages: {}", url_, last_event())};
      std::unique_lock lock{mutex_};
      changed_.wait_for(lock, milliseconds{100}, [&] { return changes_ != seen; });
    }
  }

  // Waits for what is on its way; how many messages the broker did not take.
  std::uint64_t drain() {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, drain_patience, [&] { return answered_ == sent_; });
    return sent_ - answered_ + refused_;
  }
  std::string last_event() {
    const std::lock_guard lock{mutex_};
    return last_event_.empty() ? "it does not answer" : last_event_;
  }

 private:
  static constexpr std::chrono::seconds connect_patience{15}, away_patience{60}, drain_patience{10};

  static ingest::SessionOptions settings(const Options& options) {
    ingest::SessionOptions out;
    out.broker.url = options.broker;
    out.broker.client_id = fmt::format("millwright-simulate-{}", getpid());
    out.broker.mqtt_version = options.mqtt_version;
    out.broker.username = options.username;
    out.broker.ca_file = options.ca_file;
    out.broker.session_expiry = Duration{0};
    if (!options.password_file.empty()) {
      std::ifstream file{options.password_file};
      if (!std::getline(file, out.password)) {
        throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                                fmt::format("cannot read {}", options.password_file)};
      }
    }
    out.max_in_flight = 100;
    out.first_backoff = milliseconds{200};
    out.max_backoff = std::chrono::seconds{2};
    return out;
  }

  ingest::SessionHandlers handlers() {
    ingest::SessionHandlers out;
    out.event = [this](ingest::SessionEvent event, const std::string& text) {
      {
        const std::lock_guard lock{mutex_};
        ++changes_;
        if (event != ingest::SessionEvent::connected) last_event_ = text;
      }
      changed_.notify_all();
    };
    out.delivered = [this](std::uint64_t, bool taken) {
      {
        const std::lock_guard lock{mutex_};
        ++changes_;
        ++answered_;
        if (!taken) ++refused_;
      }
      changed_.notify_all();
    };
    return out;
  }

  const std::string url_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0, answered_ = 0, refused_ = 0;
  std::string last_event_;
  std::uint64_t sent_ = 0;   // used by the publishing thread only
  ingest::Session session_;  // last: its threads use all of the above
};

// All that one message is on the wire; false when it is time to stop.
bool publish_message(const PlayedMessage& message, const TopicTemplate& topic,
                     TelemetryWriter& writer, TelemetryPublisher& publisher, const Pace& pace,
                     ingest::Outgoing& buffer) {
  const auto take_topic = [&](std::string_view sensor) {
    auto filled = topic.fill(message, sensor);
    if (!filled) {
      throw ingest::CsvError{
          fmt::format("`{}{}{}` cannot be part of a topic: it is empty or holds / + or #",
                      message.machine, sensor.empty() ? "" : "` or `", sensor)};
    }
    buffer.topic = std::move(*filled);
  };
  if (!topic.names_sensor()) {
    take_topic({});
    writer.message(message, buffer.payload);
    return publisher.publish(buffer, pace);
  }
  for (const auto& value : message.values) {
    take_topic(value.sensor);
    writer.single(message, value, buffer.payload);
    if (!publisher.publish(buffer, pace)) return false;
  }
  return true;
}

Played publish_all(PlaybackSource& source, const Options& options,
                   std::optional<Timestamp> origin) {
  const TopicTemplate topic{options.topic};
  Pace pace{parse_speed(options.speed), options.seconds};
  if (origin) pace.set_origin(*origin);
  TelemetryPublisher publisher{options};
  Played played;
  if (!publisher.connect()) return played;
  pace.restart();
  TelemetryWriter writer;
  PlayedMessage message;
  ingest::Outgoing buffer;
  while (!pace.over() && source.next(message)) {
    if (!pace.wait_for(message.time) ||
        !publish_message(message, topic, writer, publisher, pace, buffer))
      break;
    ++played.messages;
    played.readings += message.values.size();
    played.until = message.time;
  }
  const auto lost = publisher.drain();
  const double seconds = std::max(pace.elapsed(), 1e-9);
  fmt::print(stderr,
             "published {} messages with {} readings in {:.1f} s: {:.0f} messages/s, {:.0f} "
             "readings/s{}\n",
             played.messages, played.readings, seconds,
             static_cast<double>(played.messages) / seconds,
             static_cast<double>(played.readings) / seconds,
             played.until ? ", up to " + format_time(*played.until) : std::string{});
  if (lost > 0) {
    throw BrokerProblem{fmt::format("{} did not take {} messages: {}", options.broker, lost,
                                    publisher.last_event())};
  }
  return played;
}

Played write_all(PlaybackSource& source, const Options& options) {
  PlaybackFile file{options.out};
  Pace pace{0, options.seconds};
  Played played;
  PlayedMessage message;
  while (!pace.over() && source.next(message)) {
    file.write(message);
    ++played.messages;
    played.readings += message.values.size();
    played.until = message.time;
  }
  file.close();
  fmt::print(stderr, "wrote {} readings to {} in {:.1f} s{}\n", played.readings, options.out,
             pace.elapsed(),
             played.until ? ", up to " + format_time(*played.until) : std::string{});
  return played;
}

Played play(PlaybackSource& source, const Options& options, std::optional<Timestamp> origin) {
  return options.out.empty() ? publish_all(source, options, origin) : write_all(source, options);
}

std::string fresh_labels(const std::string& name) { return name + ".new"; }

// Written beside and renamed: whoever watches the file never sees half of it. What is no file, such
// as a pipe, is written to instead of being replaced.
void write_labels(const std::string& name, const std::string& text) {
  std::error_code unknown;
  const auto type = std::filesystem::status(name, unknown).type();
  const bool renamed =
      type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  const std::string fresh = renamed ? fresh_labels(name) : name;
  errno = 0;
  std::ofstream file{fresh, std::ios::binary | std::ios::trunc};
  file << text;
  file.close();
  if (!file)
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            fmt::format("cannot write {}", fresh)};
  if (renamed) std::filesystem::rename(fresh, name);
}

int play_csv(const Options& options) {
  errno = 0;
  std::ifstream file{options.csv, std::ios::binary};
  if (!file)
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            fmt::format("cannot read {}", options.csv)};
  const auto machine = options.machine.empty() ? std::filesystem::path{options.csv}.stem().string()
                                               : options.machine;
  ingest::CsvReader reader = [&] {
    try {
      return ingest::CsvReader{file, machine};
    } catch (const std::system_error& error) {
      throw std::system_error{error.code(), "cannot read " + options.csv};
    }
  }();
  CsvSource source{reader};
  const auto say_problems = [&] {
    for (const auto& problem : reader.problems())
      fmt::print(stderr, "{}\n", to_string(problem, options.csv));
    const auto more = reader.problem_count() - reader.problems().size();
    if (more > 0) fmt::print(stderr, "{}: {} more problems\n", options.csv, more);
  };
  try {
    play(source, options, std::nullopt);
  } catch (...) {
    say_problems();
    throw;
  }
  say_problems();
  return exit_ok;
}

int play_factory(const Options& options) {
  auto factory_options = options.factory;
  factory_options.faults = !options.no_faults;
  factory_options.period = parse_span("--period", options.period);
  factory_options.duration = parse_span("--duration", options.duration);
  if (!options.start.empty()) {
    const auto start = parse_time(options.start);
    if (!start)
      throw std::invalid_argument{
          fmt::format("--start {}: an ISO 8601 time is needed", options.start)};
    factory_options.start = *start;
  } else if (options.out.empty() && parse_speed(options.speed) == 1) {
    // At the speed of life the readings are of now; else a fixed start, so that runs can be
    // compared.
    factory_options.start =
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  simulator::Factory factory{factory_options};
  FactorySource source{factory};
  if (!options.labels.empty()) {
    write_labels(options.labels, labels_document(factory, factory_options, std::nullopt));
  }
  const auto played = play(source, options, factory_options.start);
  if (!options.labels.empty()) {
    write_labels(options.labels, labels_document(factory, factory_options, played.until));
  }
  return exit_ok;
}

int simulate(const Options& options) {
  keep_apart({options.csv, options.password_file, options.ca_file},
             {{"--out", options.out},
              {"--labels", options.labels},
              {"--labels", options.labels.empty() ? "" : fresh_labels(options.labels)}});
  stop_on_signals();
  try {
    return options.csv.empty() ? play_factory(options) : play_csv(options);
  } catch (const ingest::CsvError& error) {
    fmt::print(stderr, "millwright: {}: {}\n", options.csv, error.what());
    return exit_bad_data;
  } catch (const ingest::SettingsError& error) {
    throw Failure{exit_usage, error.what()};
  } catch (const BrokerProblem& error) {
    throw Failure{exit_unavailable, error.what()};
  }
}

void add_broker_options(CLI::App& app, Options& options) {
  const auto* group = "Broker";
  app.add_option("-b,--broker", options.broker, "Where to publish: tcp://, ssl://, ws://")
      ->option_text("URL=" + options.broker)
      ->group(group);
  app.add_option("--topic", options.topic,
                 "Topic with {line}, {machine} and {sensor}; with {sensor} one message a reading")
      ->option_text("TEMPLATE=" + options.topic)
      ->group(group);
  app.add_option("--mqtt-version", options.mqtt_version, "5, or 4 for MQTT 3.1.1")
      ->check(CLI::IsMember({4, 5}))
      ->option_text("N=5")
      ->group(group);
  app.add_option("--username", options.username, "User name at the broker")
      ->option_text("NAME")
      ->group(group);
  app.add_option("--password-file", options.password_file, "File whose first line is the password")
      ->option_text("FILE")
      ->group(group);
  app.add_option("--ca-file", options.ca_file, "PEM file of the broker's authority")
      ->option_text("FILE")
      ->group(group);
}

void add_factory_options(CLI::App& app, Options& options, CLI::Option* csv) {
  const auto* group = "Simulated factory";
  const auto add = [&](const char* name, auto& value, const char* help, const char* text) {
    app.add_option(name, value, help)->option_text(text)->group(group)->excludes(csv);
  };
  add("--robots", options.factory.robots, "Robots, of twelve sensors each", "N=20");
  add("--seed", options.factory.seed, "The same seed gives the same factory", "N=1");
  add("--period", options.period, "Simulated time between two messages of a robot", "SPAN=10s");
  add("--duration", options.duration,
      "Simulated time of the whole; the first 45 % are free of faults", "SPAN=2d");
  add("--start", options.start, "Simulated time of the start; at speed x1 now, else 2024-01-01",
      "TIME");
  add("--labels", options.labels, "Write the planted faults here, as JSON", "FILE");
  app.add_flag("--no-faults", options.no_faults, "Plant no faults")
      ->option_text(" ")
      ->group(group)
      ->excludes(csv);
}

std::function<int()> prepare(CLI::App& app) {
  // Shared: std::function must be copyable, and CLI11 writes into it after this returns.
  const auto options = std::make_shared<Options>();
  app.add_option("--speed", options->speed,
                 "x1, x100: times real time; max: as fast as the broker takes it")
      ->option_text("xN=x1");
  app.add_option("--seconds", options->seconds,
                 "Stop after this many seconds of the clock on the wall")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  app.add_option("-o,--out", options->out,
                 "Write a file instead of publishing: long CSV, or NDJSON if it ends in .ndjson")
      ->option_text("FILE");
  auto* csv = app.add_option("--csv", options->csv,
                             "Play this recorded CSV file (wide or long) instead of a simulation")
                  ->option_text("FILE");
  app.add_option("--machine", options->machine, "Machine of a wide CSV file; else the file's name")
      ->option_text("NAME")
      ->needs(csv);
  add_broker_options(app, *options);
  add_factory_options(app, *options, csv);
  return [options] { return simulate(*options); };
}

}  // namespace

const Command simulate_command{
    "simulate", "Play a factory of robots with faults, or a recorded CSV file",
    "millwright simulate --speed x60 --duration 2d --labels labels.json", &prepare};

}  // namespace millwright::daemon
