// Blocks of 2,048 samples a second that one core condenses to features: the analysis alone, and
// through Engine::step with all that follows (windows, features, their detectors); and how large
// the state of a waveform is.
//
//   bench_waveforms [SECONDS of signal]
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "core/random.h"
#include "detectors/waveform.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "ingest/decoder.h"

using namespace millwright;
using Clock = std::chrono::steady_clock;

namespace {

constexpr double rate_hz = 20480;
constexpr std::size_t block_size = 2048;

std::vector<double> signal(std::size_t count) {
  Random random{1};
  std::vector<double> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double t = static_cast<double>(i) / rate_hz;
    out[i] = std::sin(2 * std::numbers::pi * 4000 * t) + random.normal();
  }
  return out;
}

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

detectors::WaveformParams parameters(bool bearing) {
  detectors::WaveformParams out;
  out.motion = detectors::Motion::acceleration;
  out.factor = 9806.65;
  if (bearing) out.bearing = detectors::orders_of(*detectors::find_bearing("6205"));
  return out;
}

void analysis(std::string_view name, std::size_t window, bool bearing, std::vector<double> speed,
              int seconds) {
  const auto samples = signal(window);
  const std::vector<float> x(samples.begin(), samples.end());
  detectors::WaveformAnalyser analyser;
  detectors::WaveformFeatures features;
  const auto params = parameters(bearing);
  analyser.analyse(params, x, rate_hz, {speed}, features);
  const auto windows =
      static_cast<std::size_t>(20.0 * seconds * rate_hz / static_cast<double>(window));
  const auto began = Clock::now();
  for (std::size_t i = 0; i < windows; ++i) {
    if (detectors::is_clipped(x)) return;
    analyser.analyse(params, x, rate_hz, {speed}, features);
  }
  const double spent = seconds_since(began);
  const double count = static_cast<double>(windows * window);
  fmt::print("analysis  {:<34} {:>6} samples a window {:>8.0f} blocks/s {:>6.1f} ns a sample\n",
             name, window, count / block_size / spent, spent / count * 1e9);
}

engine::Plan plan(bool bearing, bool tracked, const std::string& detectors_of_features) {
  engine::Plan plan;
  engine::Profile raw;
  raw.match = "*/vib";
  raw.unit = "g";
  raw.detectors = engine::auto_detectors();
  raw.waveform.emplace();
  if (bearing) raw.waveform->bearing = "6205";
  if (bearing && !tracked) raw.waveform->speed_rpm = 1800;
  if (tracked) raw.waveform->speed_sensor = "speed";
  engine::Profile rest;
  if (detectors_of_features == "auto") rest.detectors = engine::auto_detectors();
  plan.profiles = {raw, rest};
  return plan;
}

void through_engine(std::string_view name, bool bearing, bool tracked,
                    const std::string& detectors_of_features, int machines, int seconds) {
  engine::Engine engine{
      std::make_shared<const engine::Plan>(plan(bearing, tracked, detectors_of_features))};
  engine::Feed feed{engine::Clock::given};
  engine::Effects effects;
  const auto samples = signal(static_cast<std::size_t>(rate_hz));
  const Timestamp start{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}};
  const std::size_t blocks = samples.size() / block_size;
  std::size_t count = 0;
  const auto began = Clock::now();
  for (int second = 0; second < seconds; ++second) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const auto i = static_cast<std::size_t>(second) * blocks + b;
      const auto first = start + from_seconds(static_cast<double>(i * block_size) / rate_hz);
      for (int m = 0; m < machines; ++m) {
        const auto machine = "R" + std::to_string(m);
        if (tracked && b == 0)
          feed.reading(engine, machine, "speed", {first, 1800 + 30 * std::sin(second)}, ++count,
                       first, first);
        feed.block(engine, machine, "vib",
                   {first, rate_hz, std::span{samples}.subspan(b * block_size, block_size)},
                   ++count, first + std::chrono::seconds{1}, first);
      }
      feed.step(engine, effects);
      effects.clear();
    }
  }
  const double spent = seconds_since(began);
  const double done = static_cast<double>(seconds) * static_cast<double>(blocks) * machines;
  // In the middle of a window, with half of it to keep.
  for (std::size_t b = 0; b < blocks / 2; ++b) {
    const auto i = static_cast<std::size_t>(seconds) * blocks + b;
    const auto first = start + from_seconds(static_cast<double>(i * block_size) / rate_hz);
    for (int m = 0; m < machines; ++m)
      feed.block(engine, "R" + std::to_string(m), "vib",
                 {first, rate_hz, std::span{samples}.subspan(b * block_size, block_size)}, ++count,
                 first + std::chrono::seconds{1}, first);
    feed.step(engine, effects);
    effects.clear();
  }
  std::size_t state = 0;
  for (int m = 0; m < machines; ++m) state += engine.save(static_cast<MachineId>(m)).size();
  fmt::print(
      "engine    {:<34} {:>6} waveforms        {:>8.0f} blocks/s {:>6.1f} ns a sample, state "
      "{:.0f} bytes a waveform with its {} features\n",
      name, machines, done / spent, spent / done / block_size * 1e9,
      static_cast<double>(state) / machines,
      engine.sensors() / static_cast<std::size_t>(machines) - 1);
}

// As on a lane: packed messages of int16 decoded, fed and stepped.
void from_messages(int machines, int seconds) {
  InputSettings input;
  input.topic = "m/{machine}";
  input.format = PayloadFormat::packed_binary;
  input.sample_type = SampleType::int16;
  input.machine = "{machine}";
  input.sensor = "vib";
  input.rate_hz = rate_hz;
  input.scale = 0.001;
  ingest::Decoder decoder{{input}, LimitSettings{}};
  ingest::DecodeResult decoded;
  decoded.want_blocks = true;
  engine::Engine engine{std::make_shared<const engine::Plan>(plan(true, false, "auto"))};
  engine::Feed feed{engine::Clock::given};
  engine::Effects effects;
  Random random{2};
  std::string payload;
  for (std::size_t i = 0; i < block_size; ++i) {
    const auto value =
        static_cast<std::uint16_t>(static_cast<std::int16_t>(1000 * random.normal()));
    payload += static_cast<char>(value & 0xff);
    payload += static_cast<char>(value >> 8);
  }
  std::vector<std::string> topics;
  for (int m = 0; m < machines; ++m) topics.push_back("m/R" + std::to_string(m));
  const Timestamp start{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}};
  std::size_t messages = 0;
  const auto began = Clock::now();
  for (int b = 0; b < seconds * 10; ++b) {
    const auto now = start + std::chrono::milliseconds{100} * b;
    for (const auto& topic : topics) {
      decoder.decode({topic, payload, {}, now, false}, decoded);
      for (const auto& block : decoded.blocks) {
        feed.block(engine, block.machine, block.sensor,
                   {block.first, block.rate_hz,
                    std::span{decoded.samples}.subspan(block.begin, block.count)},
                   ++messages, now, now);
      }
      if (feed.size() >= 4096) {
        feed.step(engine, effects);
        effects.clear();
      }
    }
  }
  feed.step(engine, effects);
  const double spent = seconds_since(began);
  const double done = static_cast<double>(messages);
  fmt::print("messages  {:<34} {:>6} waveforms        {:>8.0f} blocks/s {:>6.1f} ns a sample\n",
             "int16, lines of a bearing, auto", machines, done / spent,
             spent / done / block_size * 1e9);
}

// How often healthy features alert: white noise and a steady sine, one window every `spacing`.
void healthy(double spacing_s, double days, double limit) {
  constexpr int seeds = 3;
  std::size_t raised = 0, sensors = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    auto one = plan(true, false, "auto");
    one.profiles[0].waveform->window = std::chrono::milliseconds{250};
    one.profiles[1].alarm.limit = limit;
    engine::Engine engine{std::make_shared<const engine::Plan>(one)};
    engine::Feed feed{engine::Clock::given};
    engine::Effects effects;
    Random random{seed};
    std::vector<double> samples(static_cast<std::size_t>(rate_hz / 4));
    for (double t = 0; t < days * 86400; t += spacing_s) {
      const auto now =
          Timestamp{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}} + from_seconds(t);
      for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = random.normal() +
                     std::sin(2 * std::numbers::pi * 160 * static_cast<double>(i) / rate_hz);
      feed.tick(1, now, now);
      feed.block(engine, "R", "vib", {now, rate_hz, samples}, 1, now + std::chrono::seconds{1},
                 now);
      feed.step(engine, effects);
      for (const auto& alert : effects.alerts) raised += alert.event == AlertEvent::raised;
      effects.clear();
    }
    sensors += engine.sensors() - 1;
  }
  fmt::print(
      "healthy   limit {:.1f}, a window every {:>3.0f} s for {:>2.0f} days: {} alerts on {} "
      "features, {:.1f} a "
      "feature and month\n",
      limit, spacing_s, days, raised, sensors,
      static_cast<double>(raised) / static_cast<double>(sensors) * 30 / days);
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::stoi(argv[1]) : 60;
  for (const std::size_t window : {2048U, 20480U}) {
    analysis("time and bands", window, false, {}, seconds);
    analysis("and lines of a bearing", window, true, {30}, seconds);
    analysis("and order tracking", window, true, {29, 30, 31, 30, 29}, seconds);
  }
  for (const int machines : {1, 50}) {
    const int length = std::max(1, 20 * seconds / machines);
    through_engine("time and bands, no detectors", false, false, "none", machines, length);
    through_engine("time and bands, auto", false, false, "auto", machines, length);
    through_engine("lines of a bearing, auto", true, false, "auto", machines, length);
    through_engine("order tracking, auto", true, true, "auto", machines, length);
  }
  from_messages(50, std::max(1, seconds / 2));
  for (const double limit : {1.0, 1.5}) {  // sensitivity normal, low
    healthy(20, seconds / 20.0, limit);
    healthy(300, seconds / 2.0, limit);
  }
}
