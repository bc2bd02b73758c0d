// Every message and every reading is counted once, under a name: received = the sum of what became
// of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>

namespace millwright {

// What became of one reading. The sum over all outcomes equals the readings received.
enum class Outcome : std::uint8_t {
  learned,     // scored (or scored by nothing yet but limits) and learned from
  warming,     // learned from, while no learning detector of its sensor gives a score yet
  held,        // scored, suspicious: did not teach
  faulty,      // its sensor is stuck or saturated, or its window cut: taught nothing of the machine
  duplicate,   // same event time as the reading before it
  late,        // older than the sensor's newest; summarised in its own minute, not learned
  not_finite,  // NaN or infinite
  out_of_range,  // magnitude above 1e100, of a waveform's samples 1e30
  future,        // event time ahead of the gateway's clock by more than the tolerance
  too_old,       // event time before the oldest accepted age
  sensor_limit,  // would be a new sensor beyond limits.sensors
  bad_name,      // machine or sensor name empty, over 200 bytes, with a control character, or of a
                 // waveform's feature
  two_lanes,     // its machine already belongs to another lane
  count_         // number of outcomes
};

// Why a whole message, or one field of it, yielded no reading.
enum class Reject : std::uint8_t {
  none,
  unknown_topic,  // no input's topic filter (or its `where`) matches
  retained,       // a retained message: an old reading that the broker replays
  empty,          // no payload
  too_large,      // above limits.payload_bytes
  too_deep,       // nested deeper than limits.depth
  not_utf8,       // text payload that is not UTF-8
  not_json,       // malformed JSON
  not_a_number,   // a value (or a text payload) that is no number
  missing_value,  // the value pointer finds nothing
  missing_time,   // a time is configured and not there
  bad_time,       // a time that cannot be read
  missing_name,   // the machine or sensor name cannot be filled in from topic and payload
  wrong_length,   // binary payload whose length is no multiple of the sample size, or empty array
  too_many_readings,  // more than limits.readings_per_message
  journal_full,       // the lane's journal had no room in time
  count_
};

template <class E>
class Counters {
 public:
  void add(E what, std::uint64_t n = 1) { counts_[static_cast<std::size_t>(what)] += n; }
  std::uint64_t operator[](E what) const { return counts_[static_cast<std::size_t>(what)]; }
  std::uint64_t total() const {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
  }
  void merge(const Counters& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  static void fields(auto& io, auto& self) { io(self.counts_); }
  friend bool operator==(const Counters&, const Counters&) = default;

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(E::count_)> counts_{};
};

std::string_view name_of(Outcome outcome);
std::string_view name_of(Reject reject);

}  // namespace millwright
