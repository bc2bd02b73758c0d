// The example of docs/waveforms.md as the daemon runs it: packed messages through a shard and the
// same samples from a CSV file through `replay`'s engine tell the same features.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <numbers>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/random.h"
#include "daemon/history.h"
#include "daemon/shard.h"
#include "tests/support/temporary.h"

using namespace millwright;
using namespace millwright::daemon;

namespace {

// The text of the fenced block that begins with "```" + info.
std::string block_of(const std::string& page, const std::string& info) {
  const auto begin = page.find("```" + info + "\n") + info.size() + 4;
  return page.substr(begin, page.find("```", begin) - begin);
}

const Timestamp start{std::chrono::sys_days{std::chrono::year{2026} / 3 / 2}};

std::string sample_bytes(std::int16_t value) {
  const auto bits = static_cast<std::uint16_t>(value);
  return {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
}

std::vector<std::int16_t> samples() {
  Random random{7};
  std::vector<std::int16_t> out(3 * 20480);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / 20480;
    out[i] = static_cast<std::int16_t>(1000 * std::sin(2 * std::numbers::pi * 160 * t) +
                                       200 * random.normal());
  }
  return out;
}

Timestamp time_of(std::size_t sample) {
  return start + Duration{std::llround(static_cast<double>(sample) * 1e6 / 20480)};
}

}  // namespace

TEST_CASE(
    "the example of the waveforms page gives the sensors it lists, from messages and from a file") {
  const auto page = test::read_file(MILLWRIGHT_SOURCE "/docs/waveforms.md");
  const auto text = block_of(page, "jsonc");
  const auto loaded = config::parse(text, "waveforms.md");
  for (const auto& problem : loaded.problems) MESSAGE(config::to_string(problem));
  REQUIRE(loaded.problems.empty());
  REQUIRE(loaded.configuration);
  const auto signal = samples();

  MachineRegistry registry;
  Shard shard{0, loaded.text, registry, nullptr};
  Position position = 0;
  const auto apply = [&](ingest::RecordKind kind, const std::string& topic,
                         const std::string& payload, const std::string& properties,
                         Timestamp time) {
    ingest::Record record;
    record.kind = kind;
    record.position = ++position;
    record.received = record.arrival = time;
    record.topic = topic;
    record.payload = payload;
    record.properties = properties;
    shard.apply(record);
  };
  for (std::size_t from = 0; from < signal.size(); from += 2048) {
    apply(ingest::RecordKind::message, "mill/M1/speed", "1790", "", time_of(from));
    std::string payload;
    for (std::size_t i = from; i < from + 2048; ++i) payload += sample_bytes(signal[i]);
    const std::string end(1, '\0'), t0 = format_time(time_of(from));
    apply(ingest::RecordKind::message, "mill/M1/wave/spindle_vib", payload, "t0" + end + t0 + end,
          time_of(from + 2047));
  }
  apply(ingest::RecordKind::tick, "", "", "", start + std::chrono::hours{1});
  const auto output = shard.step();
  const auto figures = shard.figures();
  CHECK(figures.messages == 60);
  CHECK(figures.rejected.total() == 0);
  // Samples, speeds and 15 features of 3 windows.
  CHECK(figures.readings == signal.size() + 30 + 45);
  CHECK(figures.outcomes.total() == figures.readings);
  CHECK(figures.windows.whole == 3);

  std::set<std::string> told, listed;
  std::map<std::string, double> means;
  for (const auto& it : output.summaries) {
    told.insert(it.sensor + (it.unit.empty() ? "" : " " + it.unit));
    CHECK(it.machine == "M1");
    means[it.sensor] = it.summary.mean;
  }
  std::istringstream lines{block_of(page, "text sensors")};
  for (std::string line; std::getline(lines, line);) listed.insert(line);
  CHECK(told == listed);
  CHECK(means["spindle_vib.rms"] == doctest::Approx(std::sqrt(0.5 + 0.04)).epsilon(0.02));
  // 0.707 g at 160 Hz, and what noise has.
  CHECK(means["spindle_vib.velocity"] ==
        doctest::Approx(9806.65 * std::sqrt(0.5) / (2 * std::numbers::pi * 160)).epsilon(0.05));

  // A row a sample: the rate is not in the file.
  const auto with_rate = text.substr(0, text.find("\"waveform\": {")) +
                         "\"waveform\": { \"sample_rate_hz\": 20480," +
                         text.substr(text.find("\"waveform\": {") + 13);
  const auto for_files = config::parse(with_rate, "waveforms.md");
  REQUIRE(for_files.configuration);
  std::map<std::string, std::vector<double>> values;
  HistoryHandlers handlers;
  handlers.alert = [](const Alert&) {};
  handlers.verdict = [&](std::string_view, std::string_view sensor, const engine::Verdict& v) {
    values[std::string{sensor}].push_back(v.sample.value);
  };
  History history{*for_files.configuration, handlers};
  for (std::size_t i = 0; i < signal.size(); ++i) {
    if (i % 2048 == 0) history.reading("M1", "speed", time_of(i), 1790);
    history.reading("M1", "spindle_vib", time_of(i), static_cast<double>(signal[i]) * 0.001);
  }
  history.step();
  CHECK(values["spindle_vib"].size() == signal.size());
  for (const auto& one : means) {
    if (one.first == "spindle_vib" || one.first == "speed") continue;
    CAPTURE(one.first);
    const auto& found = values[one.first];
    REQUIRE(found.size() == 3);
    CHECK((found[0] + found[1] + found[2]) / 3 == doctest::Approx(one.second).epsilon(1e-12));
  }
  CHECK(history.engine().windows().whole == 3);
}
