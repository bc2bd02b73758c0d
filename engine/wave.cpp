#include "engine/wave.h"

#include <algorithm>

#include "core/hash.h"

namespace millwright::engine {
namespace {

constexpr Duration speed_patience = std::chrono::seconds{10};
constexpr std::size_t speed_steps = 32;
constexpr Duration rounding{2};      // of times in microseconds
constexpr double most_jitter = 0.1;  // s

}  // namespace

void SpeedTrack::add(Timestamp time, double rpm, Duration spacing) {
  if (!points_.empty() && time <= points_.back().time) return;
  if (!points_.empty() && time - open_ < spacing) {
    auto& newest = points_.back();
    ++merged_;
    newest.rpm += (rpm - newest.rpm) / merged_;
    newest.time += (time - newest.time) / merged_;
    return;
  }
  if (points_.size() == most_points) points_.erase(points_.begin());
  points_.push_back({time, rpm});
  open_ = time;
  merged_ = 1;
}

double SpeedTrack::at(Timestamp time) const {
  const auto after =
      std::lower_bound(points_.begin(), points_.end(), time,
                       [](const Point& point, Timestamp t) { return point.time < t; });
  if (after == points_.begin()) return after->rpm;
  if (after == points_.end()) return points_.back().rpm;
  const auto& before = *(after - 1);
  const double share = to_seconds(time - before.time) / to_seconds(after->time - before.time);
  return before.rpm + share * (after->rpm - before.rpm);
}

std::span<const double> SpeedTrack::between(Timestamp begin, Timestamp end, double ratio,
                                            Duration spacing) {
  const bool known = std::any_of(points_.begin(), points_.end(), [&](const Point& point) {
    return point.time <= end &&
           detectors::elapsed_between(point.time, end) <= speed_patience + spacing;
  });
  if (!known) return {};
  steps_.clear();
  const double length = to_seconds(end - begin);
  for (std::size_t i = 0; i <= speed_steps; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(speed_steps);
    steps_.push_back(ratio * at(begin + from_seconds(share * length)) / 60);
  }
  const bool even =
      std::all_of(steps_.begin(), steps_.end(), [&](double hz) { return hz == steps_.front(); });
  return std::span{steps_}.first(even ? 1 : steps_.size());
}

bool Wave::continues(Timestamp first, double rate_hz, std::size_t count) const {
  if (!running_ || rate_hz != rate_hz_) return false;
  const double half = static_cast<double>(count) / rate_hz / 2;
  const auto tolerance =
      from_seconds(profile_->jitter_s.value_or(std::min(half, most_jitter))) + rounding;
  const auto expected = time_of(next_);
  const auto off = std::max(detectors::elapsed_between(expected, first),
                            detectors::elapsed_between(first, expected));
  return off <= tolerance;
}

std::size_t Wave::first_after(Timestamp newest, Timestamp first, double rate_hz,
                              std::size_t count) {
  if (first > newest) return 0;
  const double behind = to_seconds(detectors::elapsed_between(first, newest)) * rate_hz;
  auto i = static_cast<std::size_t>(std::min(behind, static_cast<double>(count)));
  while (i > 0 && sample_time(first, rate_hz, i - 1) > newest) --i;
  while (i < count && sample_time(first, rate_hz, i) <= newest) ++i;
  return i;
}

Timestamp Wave::time_of(std::uint64_t sample) const {
  return sample_time(anchor_, rate_hz_, sample - at_anchor_);
}

// The sensor's clock and its nominal rate drift apart: the run's clock follows by steps, so seldom
// and so late that it is the same clock however the stream is cut. It never goes back.
void Wave::follow(Timestamp first) {
  const auto expected = time_of(next_);
  const auto off = std::max(detectors::elapsed_between(expected, first),
                            detectors::elapsed_between(first, expected));
  if (off <= rounding + from_seconds(0.5 / rate_hz_)) return;
  const auto earliest = time_of(next_ - 1) + Duration{1};
  anchor_ = std::max(first, earliest);
  at_anchor_ = next_;
}

std::optional<Window> Wave::end_run() {
  if (!running_) return std::nullopt;
  running_ = false;
  const auto length = window_length(*profile_, rate_hz_);
  const auto step = window_step(*profile_, length);
  // What the window before has told already is not worth telling again.
  const auto least = told_ ? length - step + step / 2 : detectors::least_window;
  if (samples_.size() < std::max(least, detectors::least_window)) return std::nullopt;
  auto cut = window();
  cut.cut = true;
  return cut;
}

Wave::Taken Wave::take(std::span<const double> samples, Timestamp first, double rate_hz) {
  if (!running_) {
    running_ = true;
    told_ = false;
    rate_hz_ = rate_hz;
    anchor_ = first;
    at_anchor_ = next_ = 0;
    samples_.clear();
  } else {
    follow(first);
  }
  const auto length = window_length(*profile_, rate_hz_);
  Taken taken;
  taken.first = time_of(next_);
  const auto next_minute =
      std::chrono::floor<std::chrono::minutes>(taken.first) + std::chrono::minutes{1};
  auto room = std::min(samples.size(), length - std::min(length - 1, samples_.size()));
  while (room > 1 && time_of(next_ + room - 1) >= next_minute) {
    // Close to the first sample of the next minute; the loop is for the rounding.
    const double left = to_seconds(next_minute - taken.first) * rate_hz_;
    room = std::clamp<std::size_t>(static_cast<std::size_t>(left), 1, room - 1);
  }
  while (room < samples.size() && samples_.size() + room < length &&
         time_of(next_ + room) < next_minute)
    ++room;
  taken.count = room;
  for (const double value : samples.first(room)) samples_.push_back(static_cast<float>(value));
  next_ += room;
  taken.last = time_of(next_ - 1);
  taken.full = samples_.size() >= length;
  return taken;
}

Window Wave::window() const {
  const auto end = time_of(next_ - 1);
  const auto before = sample_time(Timestamp{}, rate_hz_, samples_.size() - 1).time_since_epoch();
  return {samples_, end - before, end, false};
}

void Wave::next_window() {
  const auto length = samples_.size();
  const auto step = window_step(*profile_, length);
  samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(step));
  told_ = true;
}

void Wave::Minute::add(std::span<const double> values) {
  if (values.empty()) return;
  if (count == 0) {
    first = min = max = values.front();
    sum = squares = 0;
  }
  for (const double value : values) {
    const double off = value - first;
    sum += off;
    squares += off * off;
    min = std::min(min, value);
    max = std::max(max, value);
  }
  last = values.back();
  count += values.size();
}

Summary Wave::Minute::summary() const {
  Summary out;
  const auto n = static_cast<double>(count);
  out.minute = start;
  out.count = count;
  out.mean = first + sum / n;
  out.m2 = std::max(0.0, squares - sum * sum / n);
  out.min = min;
  out.max = max;
  out.first = first;
  out.last = last;
  return out;
}

std::uint64_t Wave::fingerprint() const {
  std::string text;
  Writer write{text};
  write(to_seconds(profile_->window), profile_->overlap, profile_->rate_hz.value_or(0));
  return hash64(text);
}

}  // namespace millwright::engine
