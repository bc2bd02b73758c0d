// The sentence of every kind of alert, as a mechanic reads it.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "engine/message.h"

using namespace millwright;
using namespace millwright::engine;

namespace {

Timestamp at(const char* text) { return parse_time(text).value(); }

Alert alert_of(AlertKind kind) {
  Alert alert;
  alert.kind = kind;
  alert.event = AlertEvent::raised;
  alert.unit = "degC";
  alert.onset = at("2024-11-22T04:33:20Z");
  alert.time = at("2024-11-22T06:33:20Z");
  alert.value = 71.4;
  alert.expected = 62;
  alert.low = 58.1;
  alert.high = 66;
  return alert;
}

const std::string label = "Joint 3 temperature";
std::string said(const Alert& alert) { return alert_message(alert, label); }

}  // namespace

TEST_CASE("every kind has a sentence with unit and time") {
  struct Row {
    AlertKind kind;
    const char* sentence;
  };
  const Row rows[] = {
      {AlertKind::limit, " is 71.4 degC, at or above its limit of 66 degC since 04:33 UTC (2 h)"},
      {AlertKind::rate,
       " changes faster than it normally does: 71.4 degC where 58.1 to 66 degC would be usual "
       "since "
       "04:33 UTC (2 h)"},
      {AlertKind::shift,
       " is 9.4 degC above normal (71.4 degC instead of 62 degC) since 04:33 UTC"},
      {AlertKind::drift,
       " has drifted 9.4 degC above its reference (71.4 degC instead of 62 degC) since 04:33 UTC "
       "(2 h)"},
      {AlertKind::trend,
       " keeps rising since 04:33 UTC (2 h): it is 9.4 degC above normal (71.4 degC instead of "
       "62 degC)"},
      {AlertKind::spread,
       " scatters more than usual since 04:33 UTC (2 h): 71.4 degC now, where 58.1 to 66 degC is "
       "usual"},
      {AlertKind::pattern,
       " moves in a way not seen before since 04:33 UTC (2 h): 71.4 degC now, where 58.1 to 66 "
       "degC is usual"},
      {AlertKind::seasonal,
       " is 9.4 degC above what is usual at this time of its cycle (71.4 degC instead of 62 degC) "
       "since 04:33 UTC (2 h)"},
      {AlertKind::model,
       " does not follow its usual dynamics since 04:33 UTC (2 h): 71.4 degC where 62 degC was "
       "expected"},
      {AlertKind::saturated,
       " stays at the end of its range, 71.4 degC, since 04:33 UTC (2 h): the true value may lie "
       "beyond"},
      {AlertKind::stuck,
       " shows exactly 71.4 degC since 04:33 UTC (2 h), although it normally varies"},
      {AlertKind::gap, " has sent nothing since 04:33 UTC (2 h)"},
  };
  for (const auto& row : rows) {
    CAPTURE(name_of(row.kind));
    CHECK(said(alert_of(row.kind)) == label + row.sentence);
  }
}

TEST_CASE("how wrong a time is stands in the sentence") {
  auto alert = alert_of(AlertKind::clock);
  const std::string has =
      label + " has the wrong time since 04:33 UTC (2 h): its readings say they are ";
  const auto with = [&](double error) {
    alert.numbers = {{"error_s", error}, {"lag_limit_s", 86400}};
    return said(alert);
  };
  CHECK(with(7200) == has + "2 h ahead of this gateway's clock, and are not taken in");
  CHECK(with(-9 * 86400) == has + "9 days behind this gateway's clock");
  CHECK(with(-3600) ==
        has +
            "1 h behind this gateway's clock and older than the newest one, and are not taken in");
  CHECK(with(-1e-6) == has + "older than the newest one, and are not taken in");
  alert.event = AlertEvent::cleared;
  CHECK(said(alert) == label + " has the right time again, after 2 h");
}

TEST_CASE("a fall is told as one") {
  auto alert = alert_of(AlertKind::trend);
  alert.value = 52.6;
  CHECK(said(alert) == label +
                           " keeps falling since 04:33 UTC (2 h): it is 9.4 degC below normal "
                           "(52.6 degC instead of 62 degC)");
  alert.kind = AlertKind::drift;
  CHECK(said(alert).find("has drifted 9.4 degC below its reference") != std::string::npos);
}

TEST_CASE("no length is told of what has only begun, and no band that is open") {
  auto alert = alert_of(AlertKind::spread);
  alert.onset = alert.time;
  alert.high = std::numeric_limits<double>::infinity();
  CHECK(said(alert) == label + " scatters more than usual since 06:33 UTC: 71.4 degC now");
}

TEST_CASE("whether a sensor scatters more or less is what its loudest feature of scatter says") {
  auto alert = alert_of(AlertKind::spread);
  const auto more = [&](std::vector<Feature> features) {
    alert.features = std::move(features);
    return said(alert).find("scatters more") != std::string::npos;
  };
  CHECK(more({}));
  CHECK(more({{"fluctuation", 0.8}, {"smoother", 0.2}}));
  CHECK_FALSE(more({{"distribution", 0.6}, {"quieter", 0.4}}));
  CHECK_FALSE(more({{"smoother", 0.7}, {"scatter", 0.3}}));
}

TEST_CASE("a forecast ends the sentence, with the day or on the same day the time") {
  auto alert = alert_of(AlertKind::trend);
  alert.forecast = Forecast{90, at("2024-12-03T10:00:00Z"), at("2024-12-01T00:00:00Z"), {}};
  CHECK(said(alert).ends_with(
      "(71.4 degC instead of 62 degC); going on like this, it reaches 90 degC on 2024-12-03"));
  alert.forecast->reaches = at("2024-11-22T18:05:00Z");
  CHECK(said(alert).ends_with("; going on like this, it reaches 90 degC at 18:05 UTC"));
  alert.event = AlertEvent::cleared;
  CHECK(said(alert).find("reaches") == std::string::npos);
}

TEST_CASE("an alert that a person or the configuration closes says why") {
  auto alert = alert_of(AlertKind::shift);
  alert.event = AlertEvent::closed;
  alert.detector = "shift";
  CHECK(closing_message(alert, label, std::nullopt) ==
        label + ": the shift detector no longer watches this sensor");
  CHECK(closing_message(alert, label, BaselineEnd::accepted) ==
        label + " has stayed as it is for 2 h: this is taken as normal from now on (71.4 degC)");
  CHECK(closing_message(alert, label, BaselineEnd::serviced) ==
        label + ": closed, the machine was serviced; what is normal is learned anew");
  CHECK(closing_message(alert, label, BaselineEnd::rebaseline) ==
        label + ": closed, a new baseline was asked for; what is normal is learned anew");
}
