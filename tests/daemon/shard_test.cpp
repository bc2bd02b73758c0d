#include "daemon/shard.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/documents.h"
#include "tests/daemon/recording.h"
#include "tests/daemon/site.h"

using namespace millwright;
using namespace millwright::daemon;
using test::Random;

namespace {

struct Entry {
  ingest::RecordKind kind{};
  std::string topic, payload;
  std::uint32_t flags = 0;
};

constexpr const char* plain = R"({
  "inputs": [
    { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
      "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": ["auto", "rate", "spike", "shift"] } ] })";
constexpr const char* limited = R"({
  "inputs": [
    { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
      "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": ["auto", "rate", "spike", "shift"] } ],
  "overrides": [ { "sensor": "R1/b", "limits": { "high": 12 } } ] })";
constexpr const char* three_lanes = R"({
  "inputs": [
    { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
      "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": ["auto", "rate", "spike", "shift"] } ],
  "processing": { "lanes": 3 } })";

constexpr const char* sisters = R"({
  "inputs": [
    { "topic": "t/{machine}/{sensor}", "format": "json", "value": "/v", "time": "/t",
      "machine": "{machine}", "sensor": "{sensor}" } ],
  "profiles": [ { "match": "*", "detectors": "none" } ],
  "machines": [ { "match": "*", "model": "RX5", "watched": false } ],
  "fleet": { "window_s": 300, "learning": 8 },
  "processing": { "future_tolerance_s": 31536000 } })";

Timestamp at(int second) {
  return Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 3 / 10}} +
         std::chrono::seconds{second};
}

Entry reading(const std::string& machine, const std::string& sensor, int second, double value) {
  return {ingest::RecordKind::message, "t/" + machine + "/" + sensor,
          fmt::format(R"({{"t":"{}","v":{}}})", format_time(at(second)), value)};
}
Entry tick() { return {ingest::RecordKind::tick, "", ""}; }
Entry configuration(const char* text) { return {ingest::RecordKind::configuration, "", text}; }

// A journal with two machines, a spike, a late and a bad message, ticks and a silent sensor.
std::vector<Entry> journal() {
  Random random{31};
  std::vector<Entry> entries;
  for (int second = 0; second < 900; ++second) {
    for (const std::string machine : {"R1", "R2"}) {
      entries.push_back(
          reading(machine, "a", second, 5 + random.normal() + (second == 700 ? 60.0 : 0.0)));
      if (machine == "R2" && second > 500) continue;
      entries.push_back(reading(machine, "b", second, 10 + 0.2 * random.normal()));
    }
    if (second % 2 == 1) entries.push_back(tick());
    if (second == 300) entries.push_back(reading("R1", "a", 200, 5));
    if (second == 301) entries.push_back({ingest::RecordKind::message, "t/R1/a", "no number"});
  }
  return entries;
}

// Hands the entries to a shard as records of the journal, a second of processing time every four.
class Feeder {
 public:
  explicit Feeder(const std::vector<Entry>& entries) : entries_(entries) {
    int quarters = 0;
    // A configuration takes no time, so that one more changes no other record's time.
    for (const auto& entry : entries) {
      arrivals_.push_back(at(quarters / 4));
      if (entry.kind != ingest::RecordKind::configuration) ++quarters;
    }
  }
  void apply(Shard& shard, std::size_t i) const {
    const auto& entry = entries_[i];
    ingest::Record record;
    record.kind = entry.kind;
    record.position = i + 1;
    record.received = record.arrival = arrivals_[i];
    record.flags = entry.flags;
    record.topic = entry.topic;
    record.payload = entry.payload;
    shard.apply(record);
  }
  std::size_t size() const { return entries_.size(); }

 private:
  const std::vector<Entry>& entries_;
  std::vector<Timestamp> arrivals_;
};

void tell(const LaneOutput& output, std::vector<std::string>& told) {
  for (const auto& alert : output.alerts)
    told.push_back(fmt::format("{} {}", alert.position, alert_document(alert, "site")));
  for (const auto& it : output.summaries) {
    const auto& s = it.summary;
    told.push_back(fmt::format("{}/{} {} {} n {} {:a} {:a} {:a} {:a} {:a} {:a} q {}", it.machine,
                               it.sensor, it.unit, format_time(s.minute), s.count, s.mean, s.m2,
                               s.min, s.max, s.first, s.last, s.quality));
  }
}

struct Result {
  std::vector<std::string> alerts_and_summaries;  // sorted: a step tells alerts before summaries
  std::string state;
  std::string configuration;
};

// Steps after every `batch` records; restores a fresh shard from a checkpoint before each record in
// `restarts`.
Result run(const std::vector<Entry>& entries, std::size_t batch,
           const std::vector<std::size_t>& restarts = {}, const char* text = plain) {
  const Feeder feeder{entries};
  auto registry = std::make_unique<MachineRegistry>();
  auto shard = std::make_unique<Shard>(0, text, *registry, nullptr);
  Result result;
  for (std::size_t i = 0; i < feeder.size(); ++i) {
    if (std::find(restarts.begin(), restarts.end(), i) != restarts.end()) {
      tell(shard->step(), result.alerts_and_summaries);
      const auto checkpoint = shard->checkpoint();
      CHECK(checkpoint.position == i);
      shard.reset();
      registry = std::make_unique<MachineRegistry>();
      shard = std::make_unique<Shard>(0, checkpoint.configuration, *registry, nullptr);
      REQUIRE(!shard->restore(checkpoint));
      CHECK(shard->position() == i);
    }
    feeder.apply(*shard, i);
    if ((i + 1) % batch == 0) {
      const auto output = shard->step();
      CHECK(output.through == i + 1);
      tell(output, result.alerts_and_summaries);
    }
  }
  tell(shard->step(), result.alerts_and_summaries);
  std::sort(result.alerts_and_summaries.begin(), result.alerts_and_summaries.end());
  const auto checkpoint = shard->checkpoint();
  result.state = checkpoint.state;
  result.configuration = checkpoint.configuration;
  return result;
}

void check_equal(const Result& expected, const Result& actual) {
  CHECK(expected.alerts_and_summaries == actual.alerts_and_summaries);
  CHECK(expected.state == actual.state);
  CHECK(expected.configuration == actual.configuration);
}

}  // namespace

TEST_CASE("a lane that steps record by record and one that steps batches tell the same") {
  const auto entries = journal();
  const auto expected = run(entries, 1);
  CHECK(expected.alerts_and_summaries.size() > 4 * 10);
  for (const std::size_t batch : {2u, 7u, 100u, 100'000u}) {
    CAPTURE(batch);
    check_equal(expected, run(entries, batch));
  }
}

TEST_CASE("the odd one of a fleet is told the same however the lane steps, stops and goes on") {
  std::vector<Entry> entries;
  Random random{5};
  for (int minute = 0; minute < 150; ++minute) {
    for (int m = 1; m <= 5; ++m) {
      const double fault = m == 4 && minute > 90 ? 20 : 0;
      entries.push_back(
          reading(fmt::format("R{}", m), "temp", 60 * minute, 40 + m + random.normal() + fault));
    }
  }
  const auto expected = run(entries, 1, {}, sisters);
  const auto odd = std::count_if(expected.alerts_and_summaries.begin(),
                                 expected.alerts_and_summaries.end(), [](const std::string& line) {
                                   return line.find("R4/temp/machine/") != std::string::npos &&
                                          line.find("\"name\":\"fleet\"") != std::string::npos;
                                 });
  CHECK(odd >= 1);
  check_equal(expected, run(entries, 100'000, {}, sisters));
  check_equal(expected, run(entries, 64, {1, 333, 470, 555, 556, 700}, sisters));
  // Without the model the alert is closed, once.
  entries.push_back(configuration(plain));
  const auto closed = run(entries, 64, {}, sisters);
  CHECK(closed.alerts_and_summaries.size() == expected.alerts_and_summaries.size() + 1);
}

TEST_CASE("a lane that is saved and restored midway goes on as if nothing had been") {
  const auto entries = journal();
  const auto expected = run(entries, 64);
  check_equal(expected, run(entries, 64, {1, 2, 500, 1205, 1206, 3000}));
}

TEST_CASE("a configuration in the journal takes effect where it stands, whatever the batches") {
  std::vector<Entry> entries;
  for (int second = 0; second < 20; ++second) {
    entries.push_back(reading("R1", "b", second, 13));  // above the limit that comes at 10
    if (second == 9) entries.push_back(configuration(limited));
  }
  const auto expected = run(entries, 1);
  REQUIRE(expected.alerts_and_summaries.size() >= 1);
  std::size_t raised = 0;
  for (const auto& line : expected.alerts_and_summaries) {
    if (line.find("\"kind\":\"limit\"") == std::string::npos) continue;
    ++raised;
    CHECK(line.starts_with("12 "));  // the first reading after the configuration, record 11
    CHECK(line.find("\"time\":\"2025-03-10T00:00:10.000Z\"") != std::string::npos);
  }
  CHECK(raised == 1);
  CHECK(expected.configuration == limited);
  for (const std::size_t batch : {3u, 11u, 12u, 1000u}) {
    CAPTURE(batch);
    check_equal(expected, run(entries, batch));
  }
  check_equal(expected, run(entries, 1000, {10, 11, 12}));
}

TEST_CASE("a configuration amid a learning journal changes one sensor and leaves the others") {
  auto entries = journal();
  const auto before = run(entries, 64);
  const auto half = static_cast<std::ptrdiff_t>(entries.size() / 2);
  entries.insert(entries.begin() + half, configuration(limited));
  const auto expected = run(entries, 1);
  check_equal(expected, run(entries, 1000));
  const auto middle = static_cast<std::size_t>(half);
  check_equal(expected, run(entries, 1000, {middle, middle + 1}));
  // Nothing but R1/b differs, not even by what is still warming up.
  const auto others = [](const Result& result) {
    std::vector<std::string> lines;
    for (const auto& line : result.alerts_and_summaries) {
      const auto document = line.find('{');
      const auto text = document == std::string::npos ? line : line.substr(document);
      if (text.find("R1/b") == std::string::npos) lines.push_back(text);
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  CHECK(test::difference(others(before), others(expected)) == "");
}

TEST_CASE("a machine on a second lane is refused there and counted") {
  MachineRegistry registry{3};
  Shard first{0, three_lanes, registry, nullptr}, second{1, three_lanes, registry, nullptr};
  const std::vector<Entry> entries{reading("R1", "a", 0, 1), reading("R1", "a", 1, 1)};
  const Feeder feeder{entries};
  feeder.apply(first, 0);
  feeder.apply(second, 1);
  first.step();
  second.step();
  CHECK(first.figures().outcomes[Outcome::two_lanes] == 0);
  CHECK(first.figures().sensors == 1);
  CHECK(second.figures().outcomes[Outcome::two_lanes] == 1);
  CHECK(second.figures().sensors == 0);
}

TEST_CASE("a restored lane claims its machines again") {
  const std::vector<Entry> entries{reading("R1", "a", 0, 1), reading("R1", "a", 1, 1)};
  const Feeder feeder{entries};
  MachineRegistry before{3}, after{3};
  Shard first{0, three_lanes, before, nullptr};
  feeder.apply(first, 0);
  first.step();
  Shard again{0, three_lanes, after, nullptr}, other{1, three_lanes, after, nullptr};
  REQUIRE(!again.restore(first.checkpoint()));
  feeder.apply(other, 1);
  other.step();
  CHECK(other.figures().outcomes[Outcome::two_lanes] == 1);
}

TEST_CASE("the figures of a lane add up and go on after a restore") {
  const auto entries = journal();
  const Feeder feeder{entries};
  MachineRegistry registry;
  Shard shard{0, plain, registry, nullptr};
  for (std::size_t i = 0; i < feeder.size(); ++i) feeder.apply(shard, i);
  shard.step();
  const auto figures = shard.figures();
  std::uint64_t messages = 0;
  for (const auto& entry : entries) messages += entry.kind == ingest::RecordKind::message ? 1u : 0u;
  CHECK(figures.messages == messages);
  CHECK(figures.rejected.total() == 1);
  CHECK(figures.readings == messages - 1);
  CHECK(figures.outcomes.total() == figures.readings);
  CHECK(figures.outcomes[Outcome::late] == 1);
  CHECK(figures.sensors == 4);
  CHECK(figures.machines == 2);
  MachineRegistry fresh;
  Shard restored{0, plain, fresh, nullptr};
  REQUIRE(!restored.restore(shard.checkpoint()));
  CHECK(restored.figures().messages == figures.messages);
  CHECK(restored.figures().rejected == figures.rejected);
  CHECK(restored.figures().outcomes == figures.outcomes);
  CHECK(restored.figures().active_alerts == figures.active_alerts);
}

TEST_CASE("a text that is no configuration is refused in words") {
  MachineRegistry registry;
  try {
    const Shard shard{0, R"({ "sight": 1 })", registry, nullptr};
    FAIL("it was taken");
  } catch (const std::invalid_argument& error) {
    CHECK(std::string{error.what()}.find("sight") != std::string::npos);
  }
}

TEST_CASE("a damaged checkpoint is refused in words and leaves the lane as it was") {
  MachineRegistry registry;
  Shard shard{0, plain, registry, nullptr};
  const std::vector<Entry> entries{reading("R1", "a", 0, 1)};
  Feeder{entries}.apply(shard, 0);
  shard.step();
  const auto good = shard.checkpoint();
  Random random{32};
  for (int round = 0; round < 200; ++round) {
    auto bad = good;
    if (round % 2 == 0)
      bad.state.resize(random.below(bad.state.size()));
    else
      bad.state += '\0';
    MachineRegistry fresh;
    Shard restored{0, plain, fresh, nullptr};
    CHECK(restored.restore(bad));
    CHECK(restored.figures().sensors == 0);
    CHECK(restored.position() == 0);
  }
}
