// What the engine's tests share: feeding by name, and effects as text that can be compared whole.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "core/hash.h"
#include "detectors/all.h"
#include "engine/engine.h"
#include "engine/feed.h"

namespace millwright::engine {

inline Timestamp at(double seconds) {
  return Timestamp{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}} + from_seconds(seconds);
}

inline std::string describe(const Alert& a) {
  std::string evidence;
  for (std::size_t i = 0; i < a.evidence.times.size(); ++i) {
    evidence += fmt::format("{}:{:a} ", to_microseconds(a.evidence.times[i]), a.evidence.values[i]);
    if (!a.evidence.expected.empty()) evidence += fmt::format("{:a} ", a.evidence.expected[i]);
  }
  std::string features;
  for (const auto& feature : a.features)
    features += fmt::format("{} {:a} ", feature.name, feature.share);
  for (const auto& one : a.numbers) features += fmt::format("{} {:a} ", one.name, one.value);
  for (const auto& one : a.contributors) features += fmt::format("{} {:a} ", one.sensor, one.share);
  const auto reaches = a.forecast ? to_microseconds(a.forecast->reaches) : 0;
  return fmt::format(
      "{} r{} {} {} {} {} @{} onset {} v {:a} e {:a} [{:a},{:a}] s {:a} p{} b{} n{} c {:a} f {} "
      "pos {} | {} | {} n{} | {}| {}",
      a.id, a.revision, name_of(a.event), name_of(a.state), name_of(a.kind), name_of(a.severity),
      to_microseconds(a.time), to_microseconds(a.onset), a.value, a.expected, a.low, a.high,
      a.score, a.priority, a.baseline, a.learned_readings, a.confidence.value_or(-1), reaches,
      a.position, a.message, a.regime, a.regime_readings, features, evidence);
}

inline std::string describe(const PastBaseline& b) {
  return fmt::format("baseline {}/{} {} v{} {} {:x} {} since {} until {} n{} c {:a} pos {} {:x}",
                     b.machine, b.sensor, b.detector, b.version, b.detector_version,
                     b.configuration, name_of(b.why), b.since ? to_microseconds(*b.since) : -1,
                     to_microseconds(b.until), b.learned, b.confidence.value_or(-1), b.position,
                     hash64(b.state));
}

inline std::string describe(const MachineHealth& h) {
  std::string parts;
  for (const auto& part : h.parts)
    parts += fmt::format("{}:{} {:a} ", part.name, part.sensor, part.share);
  for (const auto& one : h.contributors) parts += fmt::format("{} {:a} ", one.sensor, one.share);
  const auto time = [](const std::optional<Timestamp>& t) { return t ? to_microseconds(*t) : -1; };
  const auto& f = h.forecast;
  return fmt::format("health {} {} {:a} trend {:a} c {:a} b{} {} {} {} pos {} | {}", h.machine,
                     to_microseconds(h.time), h.index.value_or(-1), h.trend.value_or(-1),
                     h.confidence.value_or(-1), h.baseline, f ? to_microseconds(f->reaches) : -1,
                     f ? to_microseconds(f->earliest) : -1, f ? time(f->latest) : -1, h.position,
                     parts);
}

inline std::string describe(const ServiceOutcome& s) {
  std::string sensors;
  for (const auto& one : s.sensors) {
    sensors +=
        fmt::format("{} {} {} {:a} {:a} {:a} n{} n{} {} {}; ", one.sensor, one.alert,
                    name_of(one.kind), one.before, one.after.value_or(-1), one.usual.value_or(-1),
                    one.readings_before, one.readings_after, one.regime, name_of(one.helped));
  }
  return fmt::format("service {} {} {} {} pos {} | {} | {}", s.machine, to_microseconds(s.serviced),
                     to_microseconds(s.time), name_of(s.helped), s.position, s.message, sensors);
}

inline std::string describe(const Engine& engine, const Summary& s) {
  const auto who = engine.info(s.sensor);
  return fmt::format("{}/{} {} n{} mean {:a} m2 {:a} [{:a},{:a}] {:a}..{:a} q{} pos {}",
                     who.machine, who.sensor, to_microseconds(s.minute), s.count, s.mean, s.m2,
                     s.min, s.max, s.first, s.last, s.quality, s.position);
}

inline std::vector<std::string> describe(const Engine& engine, const Effects& effects) {
  std::vector<std::string> out;
  for (const auto& alert : effects.alerts) out.push_back(describe(alert));
  for (const auto& baseline : effects.baselines) out.push_back(describe(baseline));
  for (const auto& r : effects.regimes) {
    const bool learned = r.what == RegimeNotice::What::learned;
    out.push_back(fmt::format("regime {} of {} @{} {}", r.regime, engine.machine_name(r.machine),
                              to_microseconds(r.time), learned ? "learned" : "learning"));
  }
  for (const auto& health : effects.health) out.push_back(describe(health));
  for (const auto& service : effects.services) out.push_back(describe(service));
  for (const auto& summary : effects.summaries) out.push_back(describe(engine, summary));
  return out;
}

// An engine fed one reading at a time, with arrival = event time and ticks when asked.
struct Rig {
  explicit Rig(Plan plan = {}) : Rig(std::move(plan), detectors::types()) {}
  Rig(Plan plan, std::span<const detectors::DetectorType> types)
      : engine(std::make_shared<const Plan>(std::move(plan)), types) {
    effects.want_verdicts = true;
  }

  void reading(const std::string& machine, const std::string& sensor, double seconds,
               double value) {
    feed.reading(engine, machine, sensor, {at(seconds), value}, ++position, at(seconds),
                 at(seconds));
    feed.step(engine, effects);
  }
  // One that says it is of `seconds`, and comes at `now`.
  void received(const std::string& machine, const std::string& sensor, double seconds, double value,
                double now, bool redelivered = false) {
    feed.reading(engine, machine, sensor, {at(seconds), value}, ++position, at(now), at(now),
                 redelivered);
    feed.step(engine, effects);
  }
  void tick(double seconds) {
    feed.tick(++position, at(seconds), at(seconds));
    feed.step(engine, effects);
  }
  // All sensors of the machine when `sensor` is empty.
  bool renew(Event::Kind kind, double seconds, const std::string& machine,
             const std::string& sensor = {}) {
    const bool known =
        feed.renew(engine, kind, machine, sensor, ++position, at(seconds), at(seconds));
    feed.step(engine, effects);
    return known;
  }
  std::vector<std::string> ids_of(AlertEvent event) const {
    std::vector<std::string> out;
    for (const auto& alert : effects.alerts) {
      if (alert.event == event) out.push_back(alert.id);
    }
    return out;
  }

  Engine engine;
  Feed feed{Clock::given};
  Effects effects;
  Position position = 0;
};

inline Profile profile(std::string match, std::vector<DetectorChoice> detectors) {
  Profile p;
  p.match = std::move(match);
  p.detectors = std::move(detectors);
  return p;
}

}  // namespace millwright::engine
