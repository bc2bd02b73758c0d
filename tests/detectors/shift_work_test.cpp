// What `auto` makes of healthy robots with breaks, nights and weekends off, from their first
// reading on. In full:
//   MILLWRIGHT_TEST_SCALE=full test_detectors -tc='auto on robots*' -s
#include "tests/detectors/shift_work.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "detectors/composite.h"
#include "tests/detectors/alone.h"
#include "tests/support/scale.h"

namespace millwright::detectors {
namespace {

// Alerts of a sensor: on its first day, in the rest of its first week, and in a month after that.
struct Calm {
  double first_day = 0, first_week = 0, month = 0;
  void add(const Calm& other) {
    first_day += other.first_day;
    first_week += other.first_week;
    month += other.month;
  }
  void divide(double by) {
    first_day /= by;
    first_week /= by;
    month /= by;
  }
};

// The mean of so many sensors that begin at seven on a Monday.
Calm calm_of(Measures what, double spacing, int sensors, int days) {
  Calm out;
  for (int k = 0; k < sensors; ++k) {
    ShiftWorker robot{what, 5000 + static_cast<std::uint64_t>(k)};
    Alone<Auto> sensor;
    sensor.one.spacing = from_seconds(spacing);
    constexpr double begins = 7 * 3600;
    const Timestamp monday = from_microseconds(1'732'492'800'000'000);
    sensor.one.time = monday + from_seconds(begins);
    int first_day = 0, first_week = 0;
    for (double t = 0; t < days * 86400.0; t += spacing) {
      sensor.feed(robot.at(begins + t, spacing));
      if (t < 86400) first_day = sensor.alerts;
      if (t < 7 * 86400) first_week = sensor.alerts;
    }
    out.first_day += first_day;
    out.first_week += first_week - first_day;
    if (days > 7) out.month += (sensor.alerts - first_week) * 30.44 / (days - 7);
  }
  out.divide(sensors);
  return out;
}

Calm calm_at(double spacing, int sensors, int days) {
  Calm mean;
  for (std::size_t i = 0; i < measures_names.size(); ++i) {
    const auto calm = calm_of(static_cast<Measures>(i), spacing, sensors, days);
    const auto what = fmt::format(
        "{}, every {:g} s: {:.2f} alerts on the first day, {:.2f} in the rest of the week, {:.2f} "
        "a "
        "month from then on",
        measures_names[i], spacing, calm.first_day, calm.first_week, calm.month);
    MESSAGE(what);
    mean.add(calm);
  }
  mean.divide(static_cast<double>(measures_names.size()));
  return mean;
}

TEST_CASE("auto on robots that work by shifts is calm on slow sensors from the first day on") {
  const int sensors = test::scaled(5, 20), days = test::scaled(14, 35);
  for (const double spacing : {10.0, 60.0}) {
    const auto mean = calm_at(spacing, sensors, days);
    CHECK(mean.first_day < 0.6);
    CHECK(mean.first_week < 1.2);
    CHECK(mean.month < 2);
  }
}

TEST_CASE("auto on robots that work by shifts settles on fast sensors after the first day") {
  const auto mean = calm_at(1, test::scaled(2, 10), test::scaled(7, 14));
  CHECK(mean.first_day < 4);
  CHECK(mean.first_week < 2.4);
}

}  // namespace
}  // namespace millwright::detectors
