#include "engine/impl.h"

namespace millwright::engine {
namespace {

// How many samples at the beginning are no newer than what was taken in.
std::size_t skip_old(const Block& block, const Sensor& sensor, double rate) {
  if (!sensor.seen) return 0;
  return Wave::first_after(sensor.newest, block.first, rate, block.samples.size());
}

// What may be summed in squares, as single precision, too.
std::optional<Outcome> refuse_value(double value) {
  constexpr double largest = 1e30;
  if (std::abs(value) <= largest) return std::nullopt;
  return std::isfinite(value) ? Outcome::out_of_range : Outcome::not_finite;
}

std::optional<double> value_of(const detectors::WaveformFeatures& from, const DerivedSensor& what) {
  switch (what.feature) {
    case WaveFeature::rms:
      return from.rms;
    case WaveFeature::peak:
      return from.peak;
    case WaveFeature::peak_to_peak:
      return from.peak_to_peak;
    case WaveFeature::crest:
      return from.crest;
    case WaveFeature::kurtosis:
      return from.kurtosis;
    case WaveFeature::skewness:
      return from.skewness;
    case WaveFeature::velocity:
      return from.velocity;
    case WaveFeature::bands:
      return what.band < from.bands.size() ? from.bands[what.band] : std::nullopt;
    case WaveFeature::bpfo:
      return from.outer;
    case WaveFeature::bpfi:
      return from.inner;
    case WaveFeature::bsf:
      return from.ball;
    case WaveFeature::ftf:
      return from.cage;
    case WaveFeature::count_:
      break;
  }
  return std::nullopt;
}

}  // namespace

void Engine::Impl::take_samples(const Event& event, const Block& block, Effects& effects) {
  flush(effects);
  const auto id = event.reading.sensor;
  auto& sensor = sensors[index(id)];
  check(sensor.kin.wave.has_value(), "a block is of a waveform");
  auto& wave = waves[*sensor.kin.wave].wave;
  const double rate = wave.rate_for(block.rate_hz);
  const auto refused = refuse_samples(event, block, sensor, rate);
  // A sensor that has not said how fast it samples has no windows yet, but is heard.
  const bool timed = rate > 0;
  const auto skipped = refused || !timed || wave.continues(block.first, rate, block.samples.size())
                           ? std::size_t{0}
                           : skip_old(block, sensor, rate);
  Entry sign{id, event.position, {block.first, block.samples.back()}, event.arrival};
  const bool none = refused || skipped == block.samples.size();
  sign.kind = none ? Entry::Kind::refused : Entry::Kind::heard;
  if (refuse_value(sign.sample.value)) sign.sample.value = sensor.last_value;
  const bool old = none && !refused && !event.redelivered;
  const auto judged = old ? std::optional{Outcome::late} : refused;
  sign.received = event.received;
  if (!none || judged) sign.stamp_error = stamp_error(event, block.first, judged);
  enqueue(sign, effects);
  flush(effects);
  if (refused)
    return count_samples(sensor, block, rate, 0, block.samples.size(), *refused, effects);
  if (!timed) {
    sensor.seen = true;
    sensor.newest = std::max(sensor.newest, block.first);
    return count_samples(sensor, block, rate, 0, block.samples.size(), Outcome::warming, effects);
  }
  for (std::size_t i = 0; i < skipped; ++i) {
    const auto time = Wave::sample_time(block.first, rate, i);
    const bool again = event.redelivered || time == sensor.newest;
    count_samples(sensor, block, rate, i, 1, again ? Outcome::duplicate : Outcome::late, effects);
  }
  take_new(event, block, rate, skipped, effects);
}

std::optional<Outcome> Engine::Impl::refuse_samples(const Event& event, const Block& block,
                                                    const Sensor& sensor, double rate) const {
  const auto last =
      rate > 0 ? Wave::sample_time(block.first, rate, block.samples.size() - 1) : block.first;
  if (last > event.received + plan->future_tolerance) return Outcome::future;
  if (block.first < event.received - plan->oldest_accepted) return Outcome::too_old;
  if (rate <= 0 && sensor.seen && block.first <= sensor.newest)
    return event.redelivered || block.first == sensor.newest ? Outcome::duplicate : Outcome::late;
  return std::nullopt;
}

void Engine::Impl::count_samples(const Sensor& sensor, const Block& block, double rate,
                                 std::size_t from, std::size_t count, Outcome outcome,
                                 Effects& effects) {
  outcomes.add(outcome, count);
  if (!effects.want_verdicts) return;
  for (std::size_t i = from; i < from + count; ++i) {
    const auto time = rate > 0 ? Wave::sample_time(block.first, rate, i) : block.first;
    const Sample sample{time, block.samples[i]};
    effects.verdicts.push_back(
        {waves[*sensor.kin.wave].sensor, sample, outcome, std::nullopt, {}, has_alert(sensor)});
  }
}

void Engine::Impl::take_new(const Event& event, const Block& block, double rate, std::size_t from,
                            Effects& effects) {
  auto& of = waves[*sensors[index(event.reading.sensor)].kin.wave];
  auto& sensor = sensors[index(event.reading.sensor)];
  const auto& samples = block.samples;
  while (from < samples.size()) {
    const auto time = Wave::sample_time(block.first, rate, from);
    if (const auto refused = refuse_value(samples[from])) {
      count_samples(sensor, block, rate, from, 1, *refused, effects);
      end_run(of, event, effects);
      ++from;
      continue;
    }
    if (!of.wave.continues(time, rate, samples.size())) end_run(of, event, effects);
    const auto good = std::find_if(samples.begin() + static_cast<std::ptrdiff_t>(from),
                                   samples.end(), [](double x) { return !!refuse_value(x); });
    const auto end = static_cast<std::size_t>(good - samples.begin());
    while (from < end) {
      const auto taken = of.wave.take(samples.subspan(from, end - from),
                                      Wave::sample_time(block.first, rate, from), rate);
      count_samples(sensor, block, rate, from, taken.count, Outcome::learned, effects);
      learn_samples(sensor, of, samples.subspan(from, taken.count), taken, event.position, effects);
      from += taken.count;
      if (!taken.full) continue;
      tell(of, of.wave.window(), event, effects);
      of.wave.next_window();
    }
  }
}

void Engine::Impl::learn_samples(Sensor& sensor, WaveOf& of, std::span<const double> samples,
                                 const Wave::Taken& taken, Position position, Effects& effects) {
  sensor.seen = true;
  sensor.warming = false;
  sensor.newest = taken.last;
  sensor.last_value = samples.back();
  sensor.taught += samples.size();
  auto& minute = of.wave.minute;
  const auto start = minute_of(taken.first);
  if (minute.count > 0 && minute.start != start) close_wave_minute(of, position, effects);
  if (minute.count == 0) minute.start = start;
  minute.add(samples);
}

void Engine::Impl::end_run(WaveOf& of, const Event& event, Effects& effects) {
  if (const auto cut = of.wave.end_run()) tell(of, *cut, event, effects);
}

void Engine::Impl::tell(WaveOf& of, const Window& window, const Event& event, Effects& effects) {
  auto& wave = of.wave;
  const auto& profile = wave.profile();
  const double fixed = profile.speed_ratio * profile.speed_rpm.value_or(0) / 60;
  detectors::ShaftSpeed speed;
  if (!profile.speed_sensor.empty()) speed.hz = wave.speed_in(window);
  if (speed.hz.empty() && fixed > 0) speed.hz = {&fixed, 1};
  analyser.analyse(wave.parameters(), window.samples, wave.rate_hz(), speed, window_features);
  const bool clipped = profile.full_scale ? detectors::reaches(window.samples, *profile.full_scale)
                                          : detectors::is_clipped(window.samples);
  ++(window.cut ? wave.counts.cut : clipped ? wave.counts.clipped : wave.counts.whole);
  for (std::size_t i = 0; i < of.features.size(); ++i) {
    const auto value = value_of(window_features, of.features[i]);
    if (!value || !std::isfinite(*value)) continue;
    if (!of.told_by[i]) {
      ++received;
      outcomes.add(Outcome::bad_name);
      continue;
    }
    Entry entry{*of.told_by[i], event.position, {window.end, *value}, event.arrival};
    entry.begin = window.begin;
    if (window.cut) entry.kind = Entry::Kind::cut;
    entry.quality = (window.cut ? quality_cut : 0U) | (clipped ? quality_clipped : 0U);
    ++received;
    auto& teller = sensors[index(entry.sensor)];
    see(teller, effects);
    teller.newest = window.end;
    enqueue(entry, effects);
  }
  flush(effects);
}

}  // namespace millwright::engine
