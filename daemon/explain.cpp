#include "daemon/explain.h"

namespace millwright::daemon {

std::string_view explanation(Reject reason) {
  switch (reason) {
    case Reject::none:
      return "nothing is wrong";
    case Reject::unknown_topic:
      return "no input of the configuration takes this topic: compare it level by level with each "
             "input's topic, and its captures with `where`";
    case Reject::retained:
      return "the broker replays a retained message, which is an old reading: publish readings "
             "without the retain flag";
    case Reject::empty:
      return "the payload is empty";
    case Reject::too_large:
      return "the payload is larger than limits.payload_bytes";
    case Reject::too_deep:
      return "the JSON is nested deeper than limits.depth";
    case Reject::not_utf8:
      return "the payload is not UTF-8 text: is it binary (format packed_binary)?";
    case Reject::not_json:
      return "the payload is not well-formed JSON: for a bare number use format text";
    case Reject::not_a_number:
      return "the value is not a number";
    case Reject::missing_value:
      return "the input's `value` pointer finds nothing in the payload: compare the pointer with "
             "the payload, name by name";
    case Reject::missing_time:
      return "the payload has no time where the input's `time` points (remove `time` to use the "
             "time of arrival), or a block of samples no rate (set the input's `rate_hz`)";
    case Reject::bad_time:
      return "the time cannot be read: see the input's `time_format`";
    case Reject::missing_name:
      return "`machine` or `sensor` uses a capture that topic and payload do not fill in";
    case Reject::wrong_length:
      return "the length of the payload is no multiple of the sample size, or the array is empty: "
             "see the input's `sample_type`";
    case Reject::too_many_readings:
      return "the message holds more than limits.readings_per_message readings";
    case Reject::journal_full:
      return "the lane could not keep up and its journal had no room: fewer readings, more lanes "
             "or a larger processing.journal_bytes";
    case Reject::count_:
      break;
  }
  return "unknown reason";
}

std::string_view explanation(Outcome outcome) {
  switch (outcome) {
    case Outcome::learned:
      return "scored and learned from";
    case Outcome::warming:
      return "learned from; there is no score yet";
    case Outcome::held:
      return "scored; it deviates, so it did not teach";
    case Outcome::faulty:
      return "its sensor is stuck or saturated, or its window of a waveform was cut short: it "
             "taught nothing "
             "about the machine";
    case Outcome::duplicate:
      return "the sensor already gave a reading with this time";
    case Outcome::late:
      return "the sensor already gave a newer reading";
    case Outcome::not_finite:
      return "the value is not a number or infinite";
    case Outcome::out_of_range:
      return "the magnitude of the value is above 1e100 (of a waveform: 1e30)";
    case Outcome::future:
      return "the time lies further ahead of this clock than the tolerance allows: check the "
             "sender's clock, its time zone and `time_format`";
    case Outcome::too_old:
      return "the time is older than what is accepted: check `time_format`";
    case Outcome::sensor_limit:
      return "it would be one sensor more than limits.sensors allows";
    case Outcome::bad_name:
      return "the machine's or sensor's name is empty, too long, holds control characters, or is "
             "that of "
             "a waveform's feature";
    case Outcome::two_lanes:
      return "its machine already belongs to another lane: let the topic name the machine";
    case Outcome::count_:
      break;
  }
  return "unknown outcome";
}

}  // namespace millwright::daemon
