#include "detectors/calendar.h"

#include <doctest/doctest.h>

namespace millwright::detectors {
namespace {

// A value that rises by 1 in each half hour of the day, read every `spacing` seconds.
Profile<48, 24> profile_of(double spacing, int days, int parts) {
  Profile<48, 24> profile;
  const int readings = static_cast<int>(days * 86400 / spacing);
  for (int i = 0; i < readings; ++i) {
    const double t = i * spacing;
    const int phase = profile.phase(from_microseconds(static_cast<std::int64_t>(t * 1e6)));
    profile.learn(phase, t / 1800 - static_cast<int>(t / 1800), 1.0 / parts, i % parts == 0);
  }
  return profile;
}

TEST_CASE("calendar: what is usual at a time of the day is its mean, however fast readings come") {
  // The newest fifty readings alone are the end of the half hour.
  CHECK(profile_of(10, 4, 1).mean(20) > 0.7);
  for (const double spacing : {10.0, 60.0, 300.0}) {
    const auto profile = profile_of(spacing, 4, static_cast<int>(300 / spacing));
    for (const int phase : {0, 20, 47}) {
      CHECK(profile.mean(phase) == doctest::Approx(0.45).epsilon(0.15));
    }
  }
}

TEST_CASE("calendar: a phase is known by its readings, not by the parts of one") {
  Profile<48, 24> profile;
  for (int i = 0; i < 29; ++i) profile.learn(3, 1, 1.0 / 30, i == 29);
  CHECK_FALSE(profile.knows(3));
  CHECK(profile.mean(3) == 1);
  profile.learn(3, 1, 1.0 / 30, true);
  CHECK(profile.knows(3));
  CHECK_FALSE(profile.knows(4, 1));
}

}  // namespace
}  // namespace millwright::detectors
