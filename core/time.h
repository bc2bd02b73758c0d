// Time as the engine knows it: UTC event time in microseconds, and its text forms.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millwright {

using Duration = std::chrono::microseconds;
using Timestamp = std::chrono::sys_time<Duration>;  // UTC, event time

// The way a payload or a file writes its times. `automatic` tells the epoch units apart by their
// size.
enum class TimeFormat : std::uint8_t { automatic, iso8601, epoch_s, epoch_ms, epoch_us, epoch_ns };

// Parses ISO 8601 / RFC 3339 (`2024-11-22T04:33:20.123Z`, a space for the T, an offset, no zone =
// UTC) or a number since the epoch. Nothing on malformed text, on a date that does not exist, and
// outside the years 1678..2262.
std::optional<Timestamp> parse_time(std::string_view text,
                                    TimeFormat format = TimeFormat::automatic);

// A number since the epoch. `automatic`: below 1e11 seconds, 1e14 milliseconds, 1e17 microseconds,
// else nanoseconds.
std::optional<Timestamp> time_from_epoch(double number, TimeFormat format = TimeFormat::automatic);

// RFC 3339 UTC with milliseconds, `2024-11-22T04:33:20.123Z`; with microseconds when they are not
// zero.
std::string format_time(Timestamp time);

// A duration as a person says it: `850 ms`, `12 s`, `4 min`, `3.5 h`, `2.1 days`.
std::string describe_duration(Duration duration);

constexpr std::int64_t to_microseconds(Timestamp time) { return time.time_since_epoch().count(); }
constexpr Timestamp from_microseconds(std::int64_t count) { return Timestamp{Duration{count}}; }
constexpr double to_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}
// Seconds to a Duration, saturating at +-292,000 years; not a number becomes zero.
Duration from_seconds(double seconds);

}  // namespace millwright
