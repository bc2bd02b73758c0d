#include "tests/daemon/site.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "storage/database.h"

namespace millwright::test {

using namespace std::chrono_literals;

Notifications::Notifications(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path)
    throw std::runtime_error{"too long for a socket: " + socket.string()};
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0 ||
      ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::system_error{errno, std::generic_category(), socket.string()};
  thread_ = std::thread{[this] { read(); }};
}

Notifications::~Notifications() {
  over_ = true;
  thread_.join();
  ::close(socket_);
}

void Notifications::read() {
  std::array<char, 4096> buffer;
  while (!over_) {
    pollfd readable{socket_, POLLIN, 0};
    if (::poll(&readable, 1, 20) <= 0) continue;
    const auto size = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (size <= 0) continue;
    const std::lock_guard lock{mutex_};
    all_.emplace_back(buffer.data(), static_cast<std::size_t>(size));
  }
}

std::vector<std::string> Notifications::all() const {
  const std::lock_guard lock{mutex_};
  return all_;
}

std::size_t Notifications::count(const std::string& line) const {
  std::size_t n = 0;
  for (const auto& datagram : all()) {
    std::istringstream lines{datagram};
    for (std::string one; std::getline(lines, one);) {
      if (one == line || (line.ends_with("=") && one.starts_with(line))) ++n;
    }
  }
  return n;
}

Site::Site(const Broker& broker) {
  config = {{"site", "test"},
            {"state_directory", state().string()},
            {"broker", {{"url", broker.url()}}},
            {"inputs",
             {{{"topic", "factory/{line}/{robot}/telemetry"},
               {"value", "/signals/{signal}/v"},
               {"time", "/ts"},
               {"machine", "{robot}"},
               {"sensor", "{signal}"}},
              {{"topic", "single/{machine}/{sensor}"},
               {"format", "text"},
               {"machine", "{machine}"},
               {"sensor", "{sensor}"}}}},
            {"profiles", Json::parse(R"([
              { "match": "marker/*", "detectors": ["limit"], "limits": { "high": 1 } },
              { "match": "*/temp", "unit": "degC", "limits": { "high": 90 },
                "detectors": ["auto", "rate", "spike", "shift"] },
              { "match": "*",
                "detectors": ["auto", "rate", "spike", { "shift": { "cycle_s": 300 } }] } ])")},
            {"processing", {{"clock", "event"}, {"checkpoint_interval_s", 1}}}};
}

void Site::write_config() const { write_file(config_file(), config.dump(2)); }

std::filesystem::path Site::log_file(int run) const {
  return directory_ / ("log-" + std::to_string(run));
}

void Site::start_without_waiting() {
  write_config();
  ++runs_;
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{MILLWRIGHT_BINARY, "run", "--config", config_file().string()},
      log_file(runs_), environment);
}

void Site::start() {
  start_without_waiting();
  const bool runs = wait_until(
      [&] { return log().find("Millwright runs") != std::string::npos || !process_->running(); },
      30s);
  if (!runs || !process_->running())
    throw std::runtime_error{"millwright does not start: " + log()};
}

bool Site::running_and_connected() const {
  return log().find("Connected to the broker") != std::string::npos;
}

void Site::reload() {
  write_config();
  process_->signal(SIGHUP);
}

Exit Site::stop() {
  process_->signal(SIGTERM);
  const auto ended = process_->wait(30s);
  if (!ended) throw std::runtime_error{"millwright does not stop: " + log()};
  return *ended;
}

void Site::kill() {
  process_->signal(SIGKILL);
  if (!process_->wait()) throw std::runtime_error{"millwright cannot be killed"};
}

std::string Site::log() const { return log(runs_); }

std::string Site::logs() const {
  std::string all;
  for (int run = 1; run <= runs_; ++run) all += log(run);
  return all;
}

std::string Site::log(int run) const {
  const auto file = log_file(run);
  return std::filesystem::exists(file) ? read_file(file) : std::string{};
}

void add_event(Events& events, const std::string& document) {
  const auto json = Json::parse(document);
  const std::pair key{json.at("id").get<std::string>(), json.at("revision").get<int>()};
  const auto known = events.try_emplace(key, document).first;
  CHECK(known->second == document);
}

Events events_in(const std::string& lines) {
  Events events;
  std::istringstream in{lines};
  for (std::string line; std::getline(in, line);) add_event(events, line);
  return events;
}

Events events_of(const Client& client) {
  Events events;
  for (const auto& message : client.messages()) {
    if (message.topic == "millwright/test/event/alert") add_event(events, message.payload);
  }
  return events;
}

Events archived_events(const Site& site) {
  storage::Database database{site.state() / "millwright.db"};
  auto rows = database.prepare("SELECT document FROM alert_event");
  Events events;
  rows.start();
  while (rows.next()) add_event(events, rows.text(0));
  return events;
}

std::string raised_kinds(const Events& events) {
  std::set<std::string> kinds;
  for (const auto& [key, document] : events) {
    const auto json = Json::parse(document);
    if (json["event"] == "raised") kinds.insert(json["kind"].get<std::string>());
  }
  return fmt::format("{}", fmt::join(kinds, " "));
}

std::vector<std::string> archived_summaries(const Site& site) {
  storage::Database database{site.state() / "millwright.db"};
  auto rows = database.prepare(
      "SELECT machine, sensor, t, n, mean, min, max FROM summary_minute JOIN sensor "
      "ON sensor.id = sensor_id ORDER BY machine, sensor, t");
  std::vector<std::string> summaries;
  rows.start();
  while (rows.next()) {
    summaries.push_back(fmt::format("{}/{} {} n {} mean {:.17g} min {:.17g} max {:.17g}",
                                    rows.text(0), rows.text(1), rows.integer(2), rows.integer(3),
                                    rows.real(4), rows.real(5), rows.real(6)));
  }
  return summaries;
}

std::string difference(const Events& expected, const Events& actual) {
  std::vector<std::string> a, b;
  for (const auto& [key, document] : expected) a.push_back(document);
  for (const auto& [key, document] : actual) b.push_back(document);
  return difference(a, b);
}

std::string difference(const std::vector<std::string>& expected,
                       const std::vector<std::string>& actual) {
  const std::set<std::string> a{expected.begin(), expected.end()}, b{actual.begin(), actual.end()};
  const auto only_in = [](const std::set<std::string>& here, const std::set<std::string>& there,
                          const std::string& what) {
    std::string text;
    int shown = 0, n = 0;
    for (const auto& line : here) {
      if (there.contains(line)) continue;
      ++n;
      if (++shown <= 3) text += what + line + "\n";
    }
    return n == 0 ? std::string{} : fmt::format("{}({} in all)\n", text, n);
  };
  return only_in(a, b, "missing: ") + only_in(b, a, "too much: ");
}

ingest::SessionOptions listener(const Broker& broker, const std::string& client_id,
                                const std::string& filter) {
  auto options = options_for(broker, client_id, {{filter, 1}});
  options.broker.mqtt_version = 4;
  options.max_in_flight = 100;
  return options;
}

ingest::Outgoing text_reading(const std::string& machine, const std::string& sensor, double value) {
  return outgoing("single/" + machine + "/" + sensor, fmt::format("{}", value));
}

ingest::Outgoing telemetry(const std::string& machine, const std::string& time,
                           const std::string& sensor, double value) {
  return outgoing("factory/l1/" + machine + "/telemetry",
                  Json{{"ts", time}, {"signals", {{sensor, {{"v", value}}}}}}.dump());
}

bool pass_marker(Client& client, const std::string& time) {
  static int number = 0;
  const auto sensor = "m" + std::to_string(++number);
  if (!client.publish(telemetry("marker", time, sensor, 2))) return false;
  return wait_until(
      [&] {
        for (const auto& message : client.messages()) {
          if (message.topic == "millwright/test/state/marker/" + sensor + "/limit") return true;
        }
        return false;
      },
      60s);
}

}  // namespace millwright::test
