// The composite behind `auto` and `precise`: many cheap statistics of one sensor, each held against
// its own past, summed as evidence and controlled as an alarm. Model and formulae:
// docs/detectors/auto.md; where its figures come from: docs/detection.md.
//
//   readings -> frames -> features -> tails (evidence, records) -> fusion -> habituation -> control
//
// A frame is a reading of a slow sensor, or all readings within `frame_s` of a fast one. Windows
// count frames; profiles, rates of alarms and the frozen reference go by time. Beside the sum of
// evidence a single statistic is an alarm when it goes much further than it ever has (records).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/parameters.h"
#include "core/score.h"
#include "detectors/bands.h"
#include "detectors/calendar.h"
#include "detectors/cycle.h"
#include "detectors/detector.h"
#include "detectors/neighbours.h"
#include "detectors/numbers.h"
#include "detectors/peaks.h"
#include "detectors/places.h"
#include "detectors/recent.h"
#include "detectors/record.h"
#include "detectors/shapes.h"
#include "detectors/standing.h"
#include "detectors/tail.h"

namespace millwright::detectors {

// What a feature speaks of. The evidence of a group is the mean over its features; groups are
// summed.
enum class Group : std::uint8_t { level, clock, spread, step, distribution, count_ };
inline constexpr std::size_t group_count = static_cast<std::size_t>(Group::count_);
struct Says {
  std::string_view name;  // as an explanation says it
  AlertKind kind{};       // when it speaks loudest
};
inline constexpr std::array<Says, group_count> group_says{{{"level", AlertKind::shift},
                                                           {"time of day", AlertKind::seasonal},
                                                           {"scatter", AlertKind::spread},
                                                           {"step", AlertKind::shift},
                                                           {"distribution", AlertKind::pattern}}};

// A statistic that is an alarm by itself.
struct Recorded {
  std::string_view name;  // as an explanation says it
  AlertKind kind{};
  double margin = 1;  // so many times further than ever
  // Over so many frames: what is on its way up must not teach its own record.
  std::uint32_t window = 0;
  bool over = false;  // speaks when the value has come back; else it is not known yet
  bool fit = false;   // against an interpolation, of which only a light tail may be trusted
  double of = 1;      // the furthest of so many
};

// Exponentially weighted mean and mean absolute deviation, outliers clipped; plain averages while
// young.
struct Level {
  double mean = 0, spread = 0;
  static void fields(auto& io, auto& self) {
    io(self.mean, self.spread);
    refuse_unless(io, in_bounds(self.mean) && positive_in_bounds(self.spread));
  }
  // `share`: of what is new; at least 1 / n when it is one of n.
  void learn(double x, double share) {
    const double difference = x - mean, size = std::abs(difference);
    if (share < 1.0 / 20 && spread > 0) {
      mean += share * within(difference, -4 * spread, 4 * spread);
      spread += share * (std::min(size, 6 * spread) - spread);
    } else {
      mean += share * difference;
      spread += share * (size - spread);
    }
  }
};

// When it was alarmed last, and how loudly: what the wait before the next alarm goes by. Spikes
// that are over have a wait of their own.
struct LastAlarms {
  enum Of : std::size_t { now, past, count_ };
  std::array<Duration, count_> since{};  // known time
  std::array<float, count_> peak{};      // ratio; 0: there was none
  void pass(Duration known) {
    for (auto& time : since) time = std::min(time + known, most_age);
  }
  static void fields(auto& io, auto& self) {
    io(self.since, self.peak);
    for (const auto time : self.since) refuse_unless(io, time >= Duration{0} && time <= most_age);
    for (const float ratio : self.peak) refuse_unless(io, positive_in_bounds(ratio));
  }
  static constexpr Duration most_age = std::chrono::hours{24 * 36500};
};

// Which share of the values a spike's and a burst's fit can judge (`fitted`).
struct Judged {
  float spike = 1, burst = 1;
  static void fields(auto& io, auto& self) {
    io(self.spike, self.burst);
    refuse_unless(io, self.spike >= 0 && self.spike <= 1 && self.burst >= 0 && self.burst <= 1);
  }
  void learn(bool is_spike, bool is_burst) {
    spike += rate * ((is_spike ? 1.0F : 0.0F) - spike);
    burst += rate * ((is_burst ? 1.0F : 0.0F) - burst);
  }
  static constexpr float rate = 0.002F;
};

// What only `precise` keeps.
template <bool precise>
struct More {
  static void fields(auto&, auto&) {}
};
template <>
struct More<true> {
  Profile<96, 24> by_quarter_hour;
  double residual = 0;
  Distribution<100> values;
  static void fields(auto& io, auto& self) {
    io(self.by_quarter_hour, self.residual, self.values);
    refuse_unless(io, in_bounds(self.residual));
  }
};

// `precise`: more windows; twice the size and cost of `auto`.
template <bool precise>
struct Composite {
  static constexpr double usual_margin = 1.25, rough_margin = 1.75, smooth_margin = 4,
                          fit_margin = 1.15;  // of records
  // Likewise, of the roughness of the calmer half of a window.
  static constexpr double calmer_margin = 2.75, calmly_rough_margin = 1.35,
                          calmly_wide_margin = 1.5;
  static constexpr std::size_t ring_size = precise ? 144 : 72, rough_window = 16,
                               smooth_window = 48;    // frames
  static constexpr std::size_t burst_width = 5;       // readings or frames
  static constexpr std::uint32_t record_block = 16;   // frames
  static constexpr std::uint8_t lasting_window = 72;  // likewise
  static constexpr std::uint32_t calmer_every = 8;    // likewise; windows hardly change between

  static constexpr AlertKind kind = AlertKind::shift;  // where no feature says better
  static constexpr std::uint16_t state_version = 8;
  static constexpr Timeline timeline = Timeline::event;
  static constexpr std::string_view alarm_parameter = "alarm_at";

  struct Params {
    Duration frame = std::chrono::seconds{10};
    std::uint32_t warmup = 300;
    Duration warm_after = std::chrono::hours{24 * 7};
    Duration accept_after = std::chrono::hours{24 * 14};
    std::optional<double> period_s;
    double alarm_at = 1;
    static void describe(auto& visit, auto& p) {
      visit(
          "frame_s", "s", Range{0.001, 86400},
          "Readings that come three times as often or more are condensed to frames of this length",
          p.frame);
      visit("warmup", "readings", Range{100, 1000000}, "Readings before the first score", p.warmup);
      visit("warm_after_s", "s", Range{60, 315360000},
            "A sensor known for so long is scored after 100 readings", p.warm_after);
      visit("accept_after_s", "s", Range{60, 315360000},
            "A change that stays this long is the new normal", p.accept_after);
      visit("period_s", "s", Range{0.01, 28800},
            "Length of the machine's cycle; unset: found by itself", p.period_s);
      visit("alarm_at", "1", Range{0.1, 10},
            "Score of an alarm; `sensitivity` sets it: low 1.5, normal 1, high 0.7", p.alarm_at);
    }
  };

  enum Feature : std::size_t {
    above_slow,
    below_slow,
    above_fast,
    below_fast,
    window_above,
    window_below,
    at_hour,
    at_half_hour,
    spread_16,
    spread_48,
    step_4,
    step_36,
    distribution,
    base_count,
    // of `precise`
    above_8 = base_count,
    below_8,
    above_72,
    below_72,
    at_quarter_hour,
    spread_6,
    spread_144,
    step_12,
    step_72,
    distribution_100,
    full_count
  };
  static constexpr std::size_t feature_count = precise ? full_count : base_count;
  static constexpr std::array<Group, full_count> groups{
      Group::level, Group::level, Group::level,        Group::level,  Group::level,
      Group::level, Group::clock, Group::clock,        Group::spread, Group::spread,
      Group::step,  Group::step,  Group::distribution, Group::level,  Group::level,
      Group::level, Group::level, Group::clock,        Group::spread, Group::spread,
      Group::step,  Group::step,  Group::distribution};

  // Of frames. Two-sided ones are held against what came before and what came after.
  enum FrameAlone : std::size_t {
    far_above,
    far_below,
    spike,
    burst,
    rougher,
    smoother,
    spike_over,
    burst_over,
    spike_fit,
    burst_fit,
    lasting,
    creeping,
    by_clock,
    usually_rougher,
    usually_wider,
    fluctuating,
    quietened,
    astray,
    alone_count
  };
  static constexpr std::array<Recorded, alone_count> alone{
      {{"level", AlertKind::shift, usual_margin},
       {"level", AlertKind::shift, usual_margin},
       {"spike", AlertKind::spike, usual_margin},
       {"burst", AlertKind::spike, usual_margin},
       {"rougher", AlertKind::spread, rough_margin, record_block},
       {"smoother", AlertKind::spread, smooth_margin, record_block},
       {"spike", AlertKind::spike, usual_margin, 0, true},
       {"burst", AlertKind::spike, usual_margin, 0, true},
       {"spike", AlertKind::spike, fit_margin, 0, true, true},
       {"burst", AlertKind::spike, usual_margin, 0, true, true},
       {"lasting level", AlertKind::shift, usual_margin, 64},
       {"lasting level", AlertKind::shift, usual_margin, 256},
       {"time of day", AlertKind::seasonal, usual_margin, 24},
       {"rougher", AlertKind::spread, calmly_rough_margin, record_block},
       {"wider", AlertKind::spread, calmly_wide_margin, record_block},
       {"fluctuation", AlertKind::spread, fit_margin, 32, false, false, Bands::count},
       {"quieter", AlertKind::spread, fit_margin, 32, false, false, Bands::count},
       {"level of program", AlertKind::shift, usual_margin, 48}}};
  // In place of one of them; the latter two are what a level stands by, and raise nothing.
  static constexpr std::size_t is_drift = alone_count, is_residual = alone_count + 1,
                               by_level = alone_count + 2;

  // Of the single readings of a fast sensor.
  enum ReadingAlone : std::size_t {
    reading_far,
    reading_spike,
    reading_burst,
    reading_spike_over,
    reading_burst_over,
    reading_spike_fit,
    reading_burst_fit,
    reading_alone_count
  };
  static constexpr std::array<Recorded, reading_alone_count> reading_alone{
      {{"level", AlertKind::spike, usual_margin},
       {"spike", AlertKind::spike, usual_margin},
       {"burst", AlertKind::spike, usual_margin},
       {"spike", AlertKind::spike, usual_margin, 0, true},
       {"burst", AlertKind::spike, usual_margin, 0, true},
       {"spike", AlertKind::spike, fit_margin, 0, true, true},
       {"burst", AlertKind::spike, fit_margin, 0, true, true}}};

  struct State {
    std::uint64_t readings = 0;
    std::uint32_t frames = 0;
    std::int8_t votes = 0;  // for fast (> 0) or slow readings
    std::uint8_t told = 0;  // by the newest frame (told_by); 0, too, where a spike was told
    std::int8_t hour = -1;  // of the newest frame
    std::uint8_t awake = lasting_window;  // frames since the machine rested
    Timestamp last{}, closed{};           // newest reading; start of the newest frame
    Duration age{0};                      // time known, silences left out
    double origin = 0;  // the first reading; what is kept as float is relative to it

    // The open frame of a fast sensor, and what its single readings are held against.
    Timestamp opened{};
    double frame_mean = 0, frame_square = 0;
    Level near;
    std::uint64_t near_count = 0;                             // readings since the last silence
    Ring<float, burst_width + 2 * Neighbours::reach> newest;  // relative to the origin
    Neighbours near_neighbours;
    std::array<Record, reading_alone.size()> reading_records{};
    Judged reading_judged;
    std::uint32_t in_frame = 0;

    Cycle cycle;

    Level slow, fast, window, shape;
    Ring<float, ring_size> ring;  // relative to the origin
    Neighbours neighbours;
    Bands bands;
    Ring<float, smooth_window> roughness;
    Profile<24, 24> by_hour;
    Profile<48, 24> by_half_hour;
    Profile<84, 168> by_week;
    float day_error = 0, week_error = 0;  // mean sizes of what the profiles leave unexplained
    std::uint32_t compared = 0;
    double residual = 0;
    [[no_unique_address]] More<precise> more;
    Distribution<30> values;
    std::array<Tail, feature_count> tails{};
    std::array<Record, alone_count> records{};
    Judged judged;

    double middle = 0;  // level of 200 frames
    double old = 0;     // of all, at last of 10000 frames
    Places places;
    double day_mean = 0, reference = 0, drift_record = 0;
    Duration adrift{0};
    float drift_peak = 0;

    std::array<float, 24> habit{};  // of the evidence, by hour
    float hour_peak = 0;
    Peaks scores;       // how far the evidence goes by itself
    float control = 0;  // what alarms have added to the limit
    LastAlarms alarmed;
    Standing standing;       // what was alarmed and may still be there
    float score_before = 0;  // of the frame before: evidence less habituation
    float held = 0;          // ratio of the newest frame of a fast sensor

    static void fields(auto& io, auto& s) {
      io(s.readings, s.frames, s.last, s.closed, s.age, s.votes, s.origin, s.opened, s.in_frame,
         s.frame_mean, s.frame_square, s.near, s.near_count, s.newest, s.near_neighbours,
         s.reading_records, s.reading_judged, s.cycle, s.slow, s.fast, s.window, s.shape, s.ring,
         s.neighbours, s.bands, s.roughness, s.by_hour, s.by_half_hour, s.by_week, s.day_error,
         s.week_error, s.compared, s.residual, s.values, s.more, s.tails, s.records, s.judged,
         s.middle, s.old, s.places, s.day_mean, s.reference, s.drift_record, s.adrift, s.drift_peak,
         s.habit, s.hour_peak, s.hour, s.told, s.scores, s.control, s.alarmed, s.standing,
         s.score_before, s.held, s.awake);
      bool sound =
          in_bounds(s.origin, s.frame_mean, s.middle, s.old, s.residual, s.day_mean, s.reference) &&
          positive_in_bounds(s.drift_record) && s.frame_square >= 0 &&
          s.frame_square <= largest_square && s.age >= Duration{0} && s.adrift >= Duration{0} &&
          s.age <= most_age && s.adrift <= most_age && s.hour >= -1 && s.hour < 24 &&
          s.told <= is_drift + 1 && s.standing.statistic() <= by_level &&
          std::abs(s.votes) <= most_votes && s.awake <= lasting_window &&
          s.frames <= s.readings + 1;
      for (const float v :
           {s.day_error, s.week_error, s.drift_peak, s.hour_peak, s.score_before, s.held}) {
        sound = sound && positive_in_bounds(v);
      }
      for (const float v : s.habit) sound = sound && positive_in_bounds(v);
      refuse_unless(io, sound && std::abs(s.control) <= 1e6F);
    }
  };

  template <std::size_t count>
  static constexpr auto unknown = [] {
    std::array<double, count> out;
    out.fill(-1);
    return out;
  }();

  // What a frame says, before it is learned.
  struct Frame {
    Timestamp time{};
    double value = 0, roughness = 0;
    std::array<double, feature_count> u{};  // < 0: not known yet
    std::array<float, feature_count> logarithm{};
    std::array<double, alone_count> far{};       // likewise < 0
    std::array<double, group_count> by_group{};  // evidence
    double evidence = 0;                         // their sum
    double score = 0;                            // less what is usual at this hour; may be < 0
    double drift = 0;                            // from the frozen reference, as a ratio
    double beyond = 0;                           // the furthest beyond its record, as a ratio
    std::size_t leader = is_drift;               // whose that is
    double over = 0;                             // likewise, of spikes and bursts that are over
    std::size_t over_leader = spike_over;
    double residual = 0;
    int hour = 0, half = 0, part = 0;  // of the day, and of the week
    bool rests = false;                // the machine stands still
    Standing::Look stands;             // what was noticed and may still be there
    double still = 0;                  // it is, and nobody was told: as a ratio
    bool by_week = false;
    double burst_stands_out = 0;  // of what the fit is made of
    int bin = 0;

    // What was noted of an earlier frame is forgotten, but for the logarithms of what is not known.
    void begin(Timestamp at, double of) {
      time = at;
      value = of;
      roughness = 0;
      u = unknown<feature_count>;
      far = unknown<alone_count>;
      by_group = {};
      evidence = score = drift = beyond = over = still = residual = burst_stands_out = 0;
      leader = is_drift;
      over_leader = spike_over;
      by_week = rests = false;
      stands = {};
    }
  };
  struct Verdict {
    double ratio = 0;  // as controlled
    double open = 0;   // as it is
    bool alarm = false, escalates = false;
    bool over = false;  // of a spike or burst that is over
  };
  struct Memo {
    bool has_frame = false;          // the reading closes one
    std::optional<double> residual;  // what the cycle leaves of the reading, where it leads
    double burst_stands_out = 0;     // of the single readings of a fast sensor
    Frame frame;
    Verdict verdict;
    std::array<double, reading_alone.size()> reading{};  // of a fast sensor
    std::size_t reading_leader = 0;
    bool by_reading = false;  // the verdict is that of the single reading
    AlertKind kind = Composite::kind;
  };

  static std::optional<Score> score(const Params& p, const State& s, Sample sample) {
    Memo seen;
    return score(p, s, sample, seen);
  }
  static std::optional<Score> score(const Params& p, const State& s, Sample sample, Memo& seen) {
    look(p, s, sample, seen);
    if (!warm(p, s)) return std::nullopt;
    Score out{.ratio = seen.verdict.ratio};
    if (out.ratio >= doubt) {
      out.kind = seen.kind;
      out.onset = onset(s, sample, seen);
      if (seen.verdict.over) {
        tell_bump(s, sample, seen, out);
        return out;
      }
    }
    const auto& f = seen.frame;
    const bool lasts = f.leader == lasting || f.leader == creeping;
    if (out.ratio >= doubt && seen.has_frame && !seen.by_reading && f.beyond >= 1 && lasts) {
      tell_lasting(s, f, out);
    } else {
      tell_band(s, sample, out);
    }
    return out;
  }

  static Learned learn(const Params& p, State& s, Sample sample, Trust trust) {
    Memo seen;
    look(p, s, sample, seen);
    return learn(p, s, sample, trust, seen);
  }
  static Learned learn(const Params& p, State& s, Sample sample, Trust trust, const Memo& seen) {
    const bool silent = after_silence(p, s, sample.time);
    const double elapsed = since_last(s, sample.time);
    if (s.readings == 0) {
      s.origin = sample.value;
    } else {
      const int vote = elapsed < fast_share * to_seconds(p.frame) ? 1 : -1;
      const bool was_fast = is_fast(s);
      s.votes = static_cast<std::int8_t>(within(s.votes + vote, -most_votes, most_votes));
      if (is_fast(s) != was_fast) forget_windows(s);
    }
    ++s.readings;
    s.last = sample.time;
    auto learned = Learned::as_usual;
    if (seen.has_frame) learned = learn_frame(p, s, seen, trust);
    if (is_fast(s)) {
      if (!seen.has_frame && seen.verdict.ratio >= p.alarm_at) {
        if (!seen.verdict.over && !s.standing.upheld())
          s.standing = level_before(s, false, false, true);
        raise(s, seen.verdict);
      }
      learn_reading(p, s, sample, seen);
    } else {
      s.in_frame = 0;
    }
    if (!silent && is_fast(s) && s.near_count >= 24) {
      s.near_neighbours.learn(sample.value - s.origin, s.near.mean - s.origin,
                              dynamics_clip * s.near.spread, s.newest);
    }
    if (silent) {
      s.newest.clear();
      s.near_count = 0;
      s.near = {};
    }
    if (is_fast(s) && s.near_count > 0) {
      learn_bands(s, sample.value - s.origin - static_cast<double>(s.newest[0]), seen.residual);
    }
    learn_cycle(p, s, sample, elapsed, seen, trust);
    s.near.learn(sample.value, std::max(fast_rate, 1 / static_cast<double>(++s.near_count)));
    s.newest.add(as_float(sample.value - s.origin));
    return learned;
  }

  // 0..1: the calendar and the frozen reference are complete after eight days.
  static double confidence(const Params&, const State& s) {
    return std::min(1.0, std::min(to_seconds(s.age) / to_seconds(reference_complete),
                                  s.frames / least_reference_frames));
  }

  static std::vector<Contribution> contributions(const Params& p, const State& s, Sample sample) {
    Memo seen;
    look(p, s, sample, seen);
    std::vector<Contribution> out;
    if (seen.by_reading || !seen.has_frame) return {{reading_alone[seen.reading_leader].name, 1}};
    const auto& f = seen.frame;
    if (seen.verdict.over) return {{alone[f.over_leader].name, 1}};
    const double limit = limit_of(s);
    double total = 0;
    const auto say = [&](std::string_view name, double weight) {
      if (weight <= 0) return;
      out.push_back({name, weight});
      total += weight;
    };
    for (std::size_t g = 0; g < group_count; ++g) say(group_says[g].name, f.by_group[g] / limit);
    if (f.beyond >= 1) say(says(s, f.leader).name, f.beyond);
    if (tells_late(f)) say(says(s, s.standing.statistic()).name, f.still);
    for (auto& c : out) c.share /= total;
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return a.share > b.share; });
    return out;
  }

  // What a service does not change stays: how fast the readings come.
  static void renew(const Params&, State& s) {
    const auto votes = s.votes;
    s = State{};
    s.votes = votes;
  }

 private:
  struct Closed {
    Timestamp time;
    double value, roughness;
  };

  static bool is_fast(const State& s) { return s.votes > 0; }
  // Seconds since the newest reading.
  static double since_last(const State& s, Timestamp now) {
    return s.readings > 0 ? to_seconds(elapsed_between(s.last, now)) : 0;
  }
  static bool bands_in_cycle(const State& s) { return s.cycle.leads() && s.cycle.smooth(); }
  // A frame of a slow sensor is a reading; those of a fast one hold some part of a cycle.
  static bool frames_in_cycle(const State& s) { return s.cycle.leads() && !is_fast(s); }
  static bool warm(const Params& p, const State& s) {
    if (s.frames < least_frames || s.ring.count() < least_ring) return false;
    return s.readings >= p.warmup || (s.age >= p.warm_after && s.readings >= 100);
  }
  // What the energies of the bands are averaged over: readings of slow sensors, frames of fast
  // ones. What is usual is that of a week, which holds its days of rest.
  static Bands::Memory band_memory(const State& s) {
    double window = slow_band_window;
    if (is_fast(s)) {
      window = std::max(window, fast_band_window * static_cast<double>(s.readings) /
                                    std::max(1.0, static_cast<double>(s.frames)));
    }
    const double week = to_seconds(a_week) / std::max(1e-6, reading_spacing(s));
    return {.window = window,
            .past = std::max(band_windows * window, week),
            .may_rest = is_quick(s),
            .doubtful = upheld_by_bands(s)};
  }
  static bool upheld_by_bands(const State& s) {
    return s.standing.upheld() && is_of_bands(s.standing.statistic());
  }
  // Over so many frames what is on its way up teaches no record.
  static std::uint32_t window_of(const State& s, std::size_t i) {
    if (i == by_clock) {
      const double frames = within(clock_window / spacing(s), alone[i].window, most_clock_window);
      return static_cast<std::uint32_t>(frames / least_window) * least_window;
    }
    return alone[i].window * (is_of_bands(i) && !is_fast(s) ? 8 : 1);
  }
  static bool is_of_bands(std::size_t i) { return i == fluctuating || i == quietened; }
  static double spacing(const State& s) {
    return s.frames > 1 ? std::max(1e-6, to_seconds(s.age) / (s.frames - 1)) : 1;
  }

  static void look(const Params& p, const State& s, Sample sample, Memo& seen) {
    seen.has_frame = false;
    seen.verdict = {};
    seen.reading = {};
    seen.by_reading = false;
    seen.kind = kind;
    seen.residual = s.cycle.leads()
                        ? s.cycle.residual(sample.value - s.origin, since_last(s, sample.time))
                        : std::nullopt;
    if (!is_fast(s)) {
      judge(p, s, {sample.time, sample.value, 0}, seen);
      return;
    }
    if (s.in_frame > 0 && sample.time - s.opened >= p.frame) {
      const double variance = s.in_frame > 1 ? s.frame_square / (s.in_frame - 1) : 0;
      judge(p, s, {s.opened, s.frame_mean, std::sqrt(variance)}, seen);
    } else {
      seen.verdict.ratio = std::min<double>(s.held, just_below_limit * p.alarm_at);
    }
    if (!after_silence(p, s, sample.time)) judge_reading(p, s, sample.value, seen);
  }
  // The machine may be in another state than before: single readings are not held against it.
  static bool after_silence(const Params& p, const State& s, Timestamp now) {
    return s.readings > 0 && elapsed_between(s.last, now) / 3 > p.frame;
  }
  static void judge(const Params& p, const State& s, Closed closed, Memo& seen) {
    seen.has_frame = true;
    describe_frame(s, closed, seen.residual, seen.frame);
    seen.verdict = control(p, s, seen.frame);
    seen.kind = seen.verdict.over ? AlertKind::spike : kind_of(s, seen.frame);
  }

  // A single reading of a fast sensor against the records of single readings.
  static void judge_reading(const Params& p, const State& s, double x, Memo& seen) {
    if (s.near_count < 24) return;
    const Recent recent{x, s.newest, s.origin};
    const double last3 = recent[1] + recent[2] + recent[3], spike = bump(recent, 1).size,
                 burst = bump(recent, burst_width).size;
    const auto fit = s.cycle.leads() ? fitted_in_cycle(s, seen.residual)
                                     : fitted(recent, s.near.mean, s.near_neighbours, spike, burst);
    seen.burst_stands_out = fit.burst_stands_out;
    seen.reading = {std::abs(x - s.near.mean),
                    std::abs(x - median_of_5(recent, 1)),
                    std::abs((x + last3) / 4 - s.near.mean),
                    spike,
                    burst,
                    fit.spike,
                    fit.burst};
    const double no_more = roundings(s, x, s.near.spread);
    for (auto& u : seen.reading) u = u < no_more && u > 0 ? 0 : u;
    double most = 0;
    for (std::size_t i = 0; i < reading_alone.size(); ++i) {
      const auto& record = s.reading_records[i];
      // As most are: no question.
      if (seen.reading[i] <= reading_alone[i].margin * record.record_of_late()) continue;
      const double ratio =
          beyond_record(s, record, reading_alone[i], seen.reading[i], reading_alone[i].margin,
                        reading_spacing(s), record.record_of_late(),
                        i == reading_burst_fit ? s.reading_judged.burst : s.reading_judged.spike);
      if (ratio <= most) continue;
      // What is told as a burst stands out from both neighbourhoods.
      if (i == reading_burst_fit && seen.reading[i] > seen.burst_stands_out) continue;
      most = ratio;
      seen.reading_leader = i;
    }
    if (most < 1 || most <= seen.verdict.ratio) return;
    const bool over = reading_alone[seen.reading_leader].over;
    seen.verdict = over ? controlled_past(p, s, most, reading_alone[seen.reading_leader])
                        : controlled(p, s, LastAlarms::now, most);
    seen.by_reading = true;
    seen.kind = AlertKind::spike;
  }
  static double reading_spacing(const State& s) {
    return to_seconds(s.age) / static_cast<double>(s.readings);
  }
  // What `width` readings, followed by two more, stand out from: both the two before and the two
  // after them. A level that changes is no bump.
  struct Bump {
    double mean = 0, beside = 0;  // the nearer of the two neighbourhoods
    double size = 0;              // their distance; 0 where the readings lie between
  };
  static Bump bump(const auto& recent, std::size_t width) {
    const double after = (recent[0] + recent[1]) / 2,
                 before = (recent[width + 2] + recent[width + 3]) / 2;
    double sum = 0;
    for (std::size_t i = 2; i < width + 2; ++i) sum += recent[i];
    const double mean = sum / static_cast<double>(width);
    if ((mean > after) != (mean > before)) return {mean, mean, 0};
    const double beside = std::abs(mean - after) < std::abs(mean - before) ? after : before;
    return {mean, beside, std::abs(mean - beside)};
  }
  // A value, or five, against their interpolation from both sides, two values later. Unknown
  // (< 0): a value that hardly stands out from both neighbourhoods, since what has not come back is
  // a step; five of which one says all. At a step those of five cancel out. `stands_out`: how far
  // the value does.
  struct Fitted {
    double spike = -1, burst = -1;
    double burst_stands_out = 0;
  };
  static Fitted fitted(const auto& recent, double level, const Neighbours& neighbours,
                       double stands_out, double burst_stands_out) {
    if (!neighbours.known()) return {};
    const auto w = neighbours.weights();
    const auto at = [&](std::size_t back) { return recent[back]; };
    std::array<double, burst_width> residual{};
    double sum = 0, largest = 0;
    for (std::size_t i = 0; i < burst_width; ++i) {
      residual[i] = Neighbours::residual(w, level, i + 2, at);
      sum += residual[i];
      largest = std::max(largest, std::abs(residual[i]));
    }
    const double spike = std::abs(residual[0]), burst = std::abs(sum) / burst_width;
    const bool by_one = largest > most_of_burst * std::abs(sum);  // a spike
    return {back_of_spike * spike <= stands_out ? spike : -1, by_one ? -1 : burst,
            burst_stands_out};
  }
  // Likewise, of what the cycle leaves of the values. It is nearly white, so that a burst is hardly
  // less than it stands out: half of it has to. What does not is on its way there and unknown, or
  // it would be its own yardstick.
  static Fitted fitted_in_cycle(const State& s, const std::optional<double>& residual) {
    if (!residual || s.cycle.residuals().count() < Cycle::kept) return {};
    const Recent left{*residual, s.cycle.residuals(), 0.0};
    const double burst_stands_out = bump(left, burst_width).size;
    auto fit = fitted(left, 0, s.cycle.dynamics(), bump(left, 1).size, burst_stands_out);
    if (back_of_spike * fit.burst > burst_stands_out || !s.cycle.smooth()) fit.burst = -1;
    fit.burst_stands_out = burst_stands_out / back_of_spike;
    return fit;
  }
  static std::size_t width_of(bool is_burst) { return is_burst ? burst_width : 1; }

  // After a silence longer than all that the windows hold they say nothing, and the machine may be
  // in another state than before.
  static bool is_stale(const State& s, Timestamp now) {
    const auto elapsed = elapsed_between(s.closed, now);
    return s.frames > 1 && elapsed > longest_step / 4 &&
           to_seconds(elapsed) > static_cast<double>(ring_size) * spacing(s);
  }
  // Of the newest five, or of those from `first` on.
  static double median_of_5(const auto& newest, std::size_t first = 0) {
    const double a = newest[first], b = newest[first + 1], c = newest[first + 2],
                 d = newest[first + 3], e = newest[first + 4];
    const double low = std::max(std::min(a, b), std::min(c, d)),
                 high = std::min(std::max(a, b), std::max(c, d));
    return std::max(std::min(low, high), std::min(std::max(low, high), e));
  }
  static void describe_frame(const State& s, Closed closed, const std::optional<double>& residual,
                             Frame& f) {
    f.begin(closed.time, closed.value);
    f.residual = s.residual;
    f.hour = s.by_hour.phase(f.time);
    f.half = s.by_half_hour.phase(f.time);
    f.part = s.by_week.phase(f.time);
    const double x = closed.value;
    f.bin = bin_of(s, x);
    f.stands = s.standing.look({}, 1, 0);
    if (is_stale(s, closed.time)) return;

    const Recent recent{x, s.ring, s.origin};
    const std::size_t known = std::min(s.ring.count() + 1, ring_size);
    const bool quick = is_quick(s);
    // What is within the rounding of sums is no deviation.
    const double no_more = roundings(s, x, spread_of_frames(s));
    const double change = known >= 2 ? std::abs(x - recent[1]) : 0;
    f.roughness = more_than(no_more, is_fast(s) ? closed.roughness : change);
    const Recent roughness{as_float(f.roughness), s.roughness};
    const Sums<precise> over{recent, roughness, f.roughness, known};
    const auto size_of = [no_more](double difference) {
      return more_than(no_more, std::abs(difference));
    };
    const auto sided = [&](Feature above, double difference) {
      f.u[above] = more_than(no_more, std::max(0.0, difference));
      f.u[above + 1] = more_than(no_more, std::max(0.0, -difference));
    };
    if (s.frames > 10) {
      sided(above_slow, x - s.slow.mean);
      sided(above_fast, x - s.fast.mean);
      if (known >= 24) sided(window_above, x + over.template mean<24>() - s.window.mean);
    }
    if (known >= 16) f.u[spread_16] = size_of(over.template scatter<16>());
    if (known >= 48) f.u[spread_48] = size_of(over.template scatter<48>());
    if (known >= 8) f.u[step_4] = size_of(over.template step<4>());
    if (known >= 72) f.u[step_36] = size_of(over.template step<36>());
    judge_clock(s, f, size_of);
    if constexpr (precise) {
      if (known >= 8) sided(above_8, x + over.template mean<8>() - s.window.mean);
      if (known >= 72) sided(above_72, x + over.template mean<72>() - s.shape.mean);
      if (known >= 6) f.u[spread_6] = size_of(over.template scatter<6>());
      if (known >= 144) f.u[spread_144] = size_of(over.template scatter<144>());
      if (known >= 24) f.u[step_12] = size_of(over.template step<12>());
      if (known >= 144) f.u[step_72] = size_of(over.template step<72>());
    }
    if (s.frames >= 90 && s.values.full()) f.u[distribution] = s.values.divergence(f.bin);
    f.far[far_above] = f.u[above_fast];
    f.far[far_below] = f.u[below_fast];
    if (known >= 6) {
      f.far[spike] = size_of(x - median_of_5(recent, 1));
      f.far[burst] = size_of(x + over.template mean<4>() - s.fast.mean);
    }
    if (known >= burst_width + 4) {
      const double stands_out = bump(recent, 1).size;
      f.far[spike_over] = size_of(stands_out);
      const double burst_stands_out = bump(recent, burst_width).size;
      f.far[burst_over] = size_of(burst_stands_out);
      const auto fit = frames_in_cycle(s) ? fitted_in_cycle(s, residual)
                                          : fitted(recent, s.fast.mean, s.neighbours, stands_out,
                                                   burst_stands_out);
      f.burst_stands_out = fit.burst_stands_out;
      f.far[spike_fit] = fit.spike < 0 ? -1 : size_of(fit.spike);
      f.far[burst_fit] = fit.burst < 0 ? -1 : size_of(fit.burst);
    }
    // Where frames come fast the windows above are short: faults that last are looked for in
    // longer ones.
    if (quick && known >= lasting_window) {
      f.far[lasting] = size_of(x + over.template mean<lasting_window>() - s.shape.mean);
      if (s.frames >= middle_settled) f.far[creeping] = size_of(s.middle - s.old);
      if (s.places.apart()) f.far[astray] = size_of(s.places.astray());
      if (s.age >= calendar_taken) f.far[by_clock] = f.u[at_half_hour];
    }
    judge_fluctuation(s, f, residual.has_value(), quick);
    // A frame of many readings measures its scatter well: fewer of them tell that the noise is
    // gone.
    const bool well = s.readings > enough_in_frame * s.frames;
    const std::size_t window = well ? rough_window : smooth_window;
    if (std::min(s.roughness.count() + 1, known) >= window) {
      const double newest = over.newer, all = newest + (well ? 0 : over.older);
      f.far[rougher] = newest / rough_window;
      if (!quick) {
        if (all > 0) f.far[smoother] = static_cast<double>(window) / all;
      } else if (s.frames % calmer_every == 0) {
        judge_calmer_half(s, f, recent, roughness, window);
      }
    }
    if constexpr (precise) {
      if (s.frames >= 300 && s.more.values.full()) {
        f.u[distribution_100] = s.more.values.divergence(f.bin);
      }
    }
    if (s.standing.any()) {
      const auto level = known >= standing_window
                             ? std::optional{x + over.template mean<standing_window>()}
                             : std::nullopt;
      judge_standing(s, f, level, quick);
    }
    weigh(s, f, quick);
  }
  // `level`: of the newest frames.
  static void judge_standing(const State& s, Frame& f, std::optional<double> level, bool quick) {
    const auto size = away(s, f, level);
    const std::size_t patience = s.standing.statistic() == by_level      ? 1
                                 : s.standing.statistic() == is_residual ? standing_window
                                                                         : smooth_window;
    f.stands = s.standing.look(size, back_at(s, quick), patience);
    if (size && f.stands.upheld && !s.standing.told()) {
      f.still = ratio_of(std::abs(*size), s.standing.band());
    }
  }
  // How far what was alarmed is from usual now, on which side.
  static std::optional<double> away(const State& s, const Frame& f, std::optional<double> level) {
    const auto i = s.standing.statistic();
    if (i == by_level) {
      return level ? std::optional{*level - s.origin - s.standing.before()} : std::nullopt;
    }
    if (i == is_drift) return drift_of(s);
    const double size = i == is_residual ? f.u[at_half_hour] : f.far[i];
    if (size < 0) return std::nullopt;
    return std::copysign(size, side_of(s, f, i));
  }
  // Of a statistic that has two.
  static double side_of(const State& s, const Frame& f, std::size_t i) {
    return i == is_residual ? f.residual : i == astray ? s.places.astray() : 1;
  }

  // Below this a difference is that of rounded sums and of what is kept as float. `spread`: of the
  // values.
  static double roundings(const State& s, double x, double spread) {
    return rounding * std::abs(x) + rounding_of_float * (std::abs(x - s.origin) + 4 * spread);
  }
  // That of a mean over `frames` holds the way from zero to the first of them.
  static double spread_of_frames(const State& s) {
    const double way = s.frames > 0 ? std::abs(s.origin) / s.frames : 0;
    return std::max(0.0, s.shape.spread - way);
  }
  static double more_than(double least, double size) { return size < least ? 0 : size; }

  // A mean of many readings is not what a single one is: how far windows of frames go is learned
  // anew when they change from one to the other.
  static void forget_windows(State& s) {
    if (s.cycle.leads()) forget_fits(s);
    s.cycle = {};
    s.bands = {};
    s.standing = {};
    for (const auto i : {fluctuating, quietened, lasting, creeping, by_clock, smoother,
                         usually_rougher, usually_wider}) {
      s.records[i] = {};
    }
  }
  // What is held against the cycle is not what is held against the neighbours alone.
  static void forget_fits(State& s) {
    s.bands = {};
    s.records[fluctuating] = s.records[quietened] = {};
    if (s.told > 0 && is_of_bands(s.told - 1U)) s.told = 0;
    if (upheld_by_bands(s)) s.standing = {};
    if (is_fast(s)) {
      s.reading_records[reading_spike_fit] = s.reading_records[reading_burst_fit] = {};
      s.reading_judged = {};
    } else {
      s.records[spike_fit] = s.records[burst_fit] = {};
      s.judged = {};
    }
  }
  // The mean of the smaller half.
  static double smaller_half(std::span<float> values) {
    const auto half = values.first(values.size() / 2);
    std::nth_element(values.begin(), values.begin() + std::ssize(half), values.end());
    return std::accumulate(half.begin(), half.end(), 0.0) / static_cast<double>(half.size());
  }
  // Of the newest fifty readings.
  static double near_spread(const State& s) { return is_fast(s) ? s.near.spread : s.fast.spread; }
  // A window of a quick sensor is shorter than a break: that it is quiet then is known apart from
  // how loud it is at work.
  static void judge_fluctuation(const State& s, Frame& f, bool has_residual, bool quick) {
    const auto memory = band_memory(s);
    const bool lost = bands_in_cycle(s) && !has_residual;
    f.rests = lost ? near_spread(s) < still * spread_of_frames(s) : s.bands.rests(memory);
    if (lost || f.rests || s.frames % calmer_every != 0 || !s.bands.known(memory)) return;
    f.far[fluctuating] = quick ? s.bands.louder() : s.bands.unusual();
    if (quick) f.far[quietened] = s.bands.quieter();
  }
  // Where programs change within the window, its calmer half tells more than its mean.
  static void judge_calmer_half(const State& s, Frame& f, const auto& recent, const auto& roughness,
                                std::size_t window) {
    std::array<float, smooth_window> values;
    std::copy_n(roughness.begin(), window, values.begin());
    const double usual = smaller_half(std::span{values}.first(window));
    f.far[usually_rougher] = usual;
    if (usual > 0) f.far[smoother] = 1 / usual;
    if (s.ring.count() >= smooth_window) f.far[usually_wider] = width_of_calmer_half(recent);
  }

  // Likewise, how far values lie from their mean: what swings is no rougher.
  static double width_of_calmer_half(const auto& recent) {
    const double x = recent[0];
    const auto begin = recent.begin() + 1, end = begin + smooth_window;
    const double sum =
        std::accumulate(begin, end, 0.0, [x](double so_far, double v) { return so_far + (v - x); });
    const double mean = x + sum / static_cast<double>(smooth_window);
    std::array<float, smooth_window> values;
    std::transform(begin, end, values.begin(),
                   [mean](double v) { return as_float(std::abs(v - mean)); });
    return smaller_half(values);
  }

  // So many frames count as one for the calendar, which goes by time.
  static std::uint32_t frames_of_clock(const State& s) {
    if (!is_quick(s)) return 1;
    return static_cast<std::uint32_t>(within(to_seconds(usual_spacing) / spacing(s), 1, 1e6));
  }
  // Was this part of the week seen, of quick sensors in a week before this one?
  static bool week_known(const State& s, int part) {
    return s.by_week.knows(part, is_quick(s) ? one_part_of_week + 1 : one_part_of_week / 2);
  }
  // Does the part of the week explain the sensor better than the hour of the day?
  static bool week_explains(const State& s, int part) {
    return week_known(s, part) && s.compared > 50 && s.week_error < 0.9F * s.day_error;
  }
  static void judge_clock(const State& s, Frame& f, auto&& size_of) {
    const double local = f.value - s.origin;
    const auto [hour, half, part] = std::array{f.hour, f.half, f.part};
    f.by_week = week_explains(s, part);
    if (f.by_week) {
      f.u[at_hour] = size_of(local - s.by_week.mean(part));
    } else if (s.by_hour.knows(hour)) {
      f.u[at_hour] = size_of(local - s.by_hour.mean(hour));
    }
    if constexpr (precise) {
      const int quarter = s.more.by_quarter_hour.phase(f.time);
      if (s.more.by_quarter_hour.knows(quarter)) {
        f.u[at_quarter_hour] =
            size_of(s.more.residual +
                    (local - s.more.by_quarter_hour.mean(quarter) - s.more.residual) / 24);
      }
    }
    f.residual = s.residual;
    if (!s.by_half_hour.knows(half)) return;
    const double usual = f.by_week ? s.by_week.mean(part) : s.by_half_hour.mean(half);
    f.residual += (local - usual - s.residual) / 6;
    f.u[at_half_hour] = size_of(f.residual);
  }

  // Evidence, records and drift of a frame whose statistics are known.
  static void weigh(const State& s, Frame& f, bool quick) {
    constexpr auto sizes = [] {
      std::array<double, group_count> out{};
      for (std::size_t i = 0; i < feature_count; ++i) ++out[static_cast<std::size_t>(groups[i])];
      return out;
    }();
    for (std::size_t i = 0; i < feature_count; ++i) {
      if (f.u[i] < 0) continue;
      f.logarithm[i] = log2_of(f.u[i]);
      f.by_group[static_cast<std::size_t>(groups[i])] += s.tails[i].evidence(f.logarithm[i]);
    }
    for_each_constant<group_count>([&](auto g) {
      f.by_group[g] /= sizes[g];
      f.evidence += f.by_group[g];
    });
    f.score = f.evidence - habituation * usual_evidence(s, f.hour);
    // Most are within their records, which is all there is to ask of them.
    for_each_constant<alone_count>([&](auto i) {
      constexpr double least = i == rougher    ? usual_margin
                               : i == smoother ? calmer_margin
                                               : alone[i].margin;
      if (f.far[i] > least * s.records[i].record()) weigh_alone(s, f, i, quick);
    });
    weigh_drift(s, f);
  }
  // Less than a day known: its cycle is yet to come, and the windows of a slow sensor hold a break
  // or the whole night. A fast one is known for many windows by then; only that it rests is news
  // once, not what its level does meanwhile, and as long as windows hold the rest. It is learned
  // from the start all the same.
  static bool first_time(const State& s, const Frame& f, std::size_t i) {
    if (s.age >= std::chrono::hours{24}) return false;
    const bool rested = f.rests || s.awake < lasting_window;
    return i == creeping || !is_fast(s) || (rested && i != smoother);
  }
  static void weigh_alone(const State& s, Frame& f, std::size_t i, bool quick) {
    if (alone[i].window > 0 && first_time(s, f, i)) return;
    const double margin = margin_of(s, i, quick);
    // What is usual at this time of the week may be yet to be seen: a weekend.
    const double wider = i == by_clock && !week_known(s, f.part) ? week_margin : 1;
    // Statistics that are looked at less often know fewer values.
    const double every = is_of_bands(i) ? calmer_every : 1;
    // One side goes as far as both sides of half as many, and has half of their chances.
    const double sides = is_of_bands(i) && quick ? 2 : 1;
    double ratio = beyond_record(s, s.records[i], alone[i], f.far[i], margin, every * spacing(s),
                                 record_for(s, i), i == burst_fit ? s.judged.burst : s.judged.spike,
                                 window_of(s, i) / every, sides) /
                   wider;
    const bool is_burst = i == burst_over || i == burst_fit;
    if (alone[i].fit && ratio >= 1) {
      if (is_burst && f.far[i] > f.burst_stands_out) return;
      ratio /= std::max(1.0, restlessness(s, width_of(is_burst)) / restless_by_chance);
    }
    if (alone[i].over) {
      const bool tiny = f.far[i] < least_bump * s.shape.spread;
      const bool in_cycle = alone[i].fit && frames_in_cycle(s);
      if (ratio <= f.over || tiny) return;
      // To where the cycle is at another moment is none.
      if (!in_cycle && visits(s, f.value, is_burst, alone[i].fit)) return;
      f.over = ratio;
      f.over_leader = i;
      return;
    }
    // A reading far from its neighbours is a spike, whatever else it is.
    const bool is_spike = i == spike && ratio >= 1;
    if (ratio > f.beyond || is_spike) f.leader = i;
    f.beyond = std::max(f.beyond, ratio);
  }
  static double margin_of(const State& s, std::size_t i, bool quick) {
    // A frame of a fast sensor measures its scatter better than single readings do.
    if (i == rougher && is_fast(s)) return usual_margin;
    return i == smoother && quick ? calmer_margin : alone[i].margin;
  }
  static void weigh_drift(const State& s, Frame& f) {
    if (!reference_known(s)) return;
    f.drift = drift_of(s);
    // A drift under way is told once, and a level that was told and stays is one.
    const bool news = s.drift_peak <= 0 && !level_stands(s, f);
    if (news && f.drift > f.beyond) {
      f.beyond = f.drift;
      f.leader = is_drift;
    }
  }
  // Of the limit: below this part it is over. A level is half way back, a scatter within what it
  // had reached before.
  static double back_at(const State& s, bool quick) {
    if (is_of_level(s.standing) || s.standing.statistic() == is_drift) return half_way;
    return std::min(still_there, 1 / margin_of(s, s.standing.statistic(), quick));
  }
  static double drift_of(const State& s) {
    const double least = drift_limit(s);
    return least > 0 ? std::abs(s.day_mean - s.reference) / least : 0;
  }
  // How much more the frames before a bump change from one to the next than they usually do: a
  // sensor that is restless just now goes further without being faulty.
  static double restlessness(const State& s, std::size_t width) {
    const double usual = s.neighbours.usual_step();
    // The roughness of a frame of many readings is their scatter, not a step.
    const bool known = !is_fast(s) && s.roughness.count() >= width + 1 + rough_window;
    if (usual <= 0 || !known) return 1;
    double sum = 0;
    for (std::size_t i = 0; i < rough_window; ++i) sum += s.roughness[width + 1 + i];
    return sum / rough_window / usual;
  }
  // Is the bump a short visit to where the sensor is often? A machine that idles for a moment.
  // A fit is stopped only by a place of its own, with a valley between: a sensor that wanders is
  // often everywhere.
  static bool visits(const State& s, double x, bool is_burst, bool is_fit) {
    if (s.shape.spread <= 0) return false;
    const auto it = bump(Recent{x, s.ring, s.origin}, width_of(is_burst));
    const int there = bin_of(s, it.mean);
    const int beside = bin_of(s, it.beside);
    const double share = s.values.share_of(there);
    if (there == beside || share <= (is_burst ? often_in_bursts : often)) return false;
    if (!is_fit) return true;
    const int step = there < beside ? 1 : -1;
    for (int bin = there + step; bin != beside; bin += step) {
      if (s.values.share_of(bin) < share / 2) return true;
    }
    return false;
  }
  static int bin_of(const State& s, double x) {
    return Distribution<30>::bin(s.shape.spread > 0 ? (x - s.shape.mean) / s.shape.spread : 0);
  }
  // As a ratio to the limit beyond the record; 0 within it. In `chance_time` a statistic may pass
  // that limit once by chance, in more time where values come fast.
  static double beyond_record(const State& s, const Record& record, const Recorded& what, double u,
                              double margin, double spacing, double reached, double judged,
                              double window = 0, double sides = 1) {
    if (u <= margin * reached) return 0;
    const double fast = decades(s);
    const double young = 1 + margin_of_youth * inexperience(s);
    const double wider = young + (what.over ? 0 : margin_per_decade * fast);
    // Where jumps or loud hours are part of the residual, its tail is heavy: then it says nothing.
    if (what.fit && (record.count() < least_fitted * judged || record.exponent(reached) < light))
      return 0;
    double values = to_seconds(chance_time) * (1 + 40 * fast) / spacing;
    if (what.over) values = std::max(chance_values, to_seconds(chance_time_over) / spacing);
    if (what.window > record_block) values = to_seconds(chance_time_window) / spacing;
    if (what.fit) values = to_seconds(chance_time_fit) / spacing;
    const double least = margin * wider;
    const double limit =
        what.window > record_block
            ? record.limit_of_mean(sides * values, least, reached, window, what.of / sides, young)
        : what.fit ? record.limit_of_normal(values, least, reached, judged)
                   : record.limit(values, least, reached);
    return limit > 0 ? ratio_of(u, limit) : 0;
  }
  // A sensor that only rose so far knows little of falling: half of the other side's record counts.
  static double record_for(const State& s, std::size_t i) {
    const auto& record = s.records[i];
    if (alone[i].window > 0) return record.record();
    const double own = record.record_of_late();
    if ((i != far_above && i != far_below) || !is_quick(s)) return own;
    const auto other = i == far_above ? far_below : far_above;
    return std::max(own, s.records[other].record_of_late() / 2);
  }
  static bool reference_known(const State& s) {
    return s.age >= reference_complete && s.frames >= least_reference_frames;
  }

  static Says says(const State& s, std::size_t i) {
    // It has two sides on slow sensors.
    const bool less = i == fluctuating && !is_quick(s) && s.bands.louder() < s.bands.unusual();
    if (less) i = quietened;
    if (i < alone_count) return {alone[i].name, alone[i].kind};
    if (i == is_drift) return {"drift", AlertKind::drift};
    if (i == is_residual) return {"time of day", AlertKind::seasonal};
    return {"level", AlertKind::shift};
  }
  static AlertKind kind_of(const State& s, const Frame& f) {
    if (tells_late(f)) return says(s, s.standing.statistic()).kind;
    if (f.beyond >= 1) return says(s, f.leader).kind;
    // Whatever deviates is also unusual for the time of day: that alone tells little.
    auto weights = f.by_group;
    weights[static_cast<std::size_t>(Group::clock)] /= 2;
    const auto loudest = std::max_element(weights.begin(), weights.end()) - weights.begin();
    return at(group_says, static_cast<int>(loudest)).kind;
  }

  // --- alarm control ---

  // What recurs at the same hours of the day is half normal.
  static double usual_evidence(const State& s, int hour) {
    float most = 0;
    int near = hour >= 4 ? hour - 4 : hour + 20;
    for (int k = 0; k < 9; ++k, near = near < 23 ? near + 1 : 0)
      most = std::max(most, at(s.habit, near));
    return most;
  }
  // By how many powers of ten the frames come faster than those for which the figures were chosen.
  static double decades(const State& s) {
    const double frame = spacing(s), usual = to_seconds(usual_spacing);
    return frame < usual ? std::log10(usual / frame) : 0;
  }
  // By half a power of ten: every 95 s or faster.
  static bool is_quick(const State& s) { return spacing(s) < quick_spacing; }
  // What was seen for a tenth of a day is a tenth of what there is to see: powers of ten, 0 from a
  // day on.
  static double youth(const State& s) {
    constexpr double day = 86400;
    const double age = std::max(to_seconds(s.age), 1.0);
    return age < day ? std::log10(day / age) : 0;
  }
  // Likewise, as long as few readings are known: tails are drawn through them.
  static double inexperience(const State& s) {
    const double young = youth(s);
    if (young <= 0) return 0;
    const double few = std::log10(many_readings / static_cast<double>(s.readings + 1));
    return std::min(young, std::max(0.0, few));
  }
  // What an alarm adds to the limit: where many frames come in a month, more, and it stays longer.
  static double step_of(const State& s) { return control_step * (1 + 3 * decades(s)); }
  static double limit_of(const State& s) {
    const double fast = decades(s), usual = usual_limit + per_decade * fast + youth(s);
    if (fast <= 0) return std::max(least_limit, usual + s.control);
    // Groups that rise together, as on a sensor that wanders, go further than that by themselves.
    const double own = s.scores.limit(to_seconds(chance_time_sum) / spacing(s));
    const double trust = std::min(1.0, fast / decades_known);
    return std::max(least_limit, usual + trust * std::max(0.0, own - usual) + s.control);
  }
  // Where frames come fast, one of them is no evidence; what a single one can say, records say.
  static double sustained(const State& s, const Frame& f) {
    return is_quick(s) ? std::min<double>(f.score, s.score_before) : f.score;
  }
  static Verdict control(const Params& p, const State& s, const Frame& f) {
    const double score = sustained(s, f);
    const double beyond = f.beyond >= 1 ? f.beyond : 0;
    auto verdict = Verdict{};
    if (score > 0 || beyond > 0 || f.still > 0) {
      verdict = controlled(p, s, LastAlarms::now,
                           std::max({ratio_of(score, limit_of(s)), beyond, f.still}));
    }
    if (f.stands.upheld || goes_on(s, f))
      verdict.ratio = std::max(verdict.ratio, just_below_limit * p.alarm_at);
    if (f.over < 1) return verdict;
    const auto past = controlled_past(p, s, f.over, alone[f.over_leader]);
    return past.ratio > verdict.ratio ? past : verdict;
  }
  // An alarm teaches a statistic that lasts, so that the next frame is no news. That it is still
  // there is what whoever wants the alarm borne out by one more looks for.
  static bool goes_on(const State& s, const Frame& f) {
    if (s.told == 0) return false;
    const std::size_t i = s.told - 1U;
    if (i == is_drift) return f.drift >= still_there * s.drift_peak;
    return f.far[i] < 0 || f.far[i] >= still_there * s.records[i].record();
  }
  // A ratio becomes an alarm when the newest alarm is long enough ago, or when it exceeds that one
  // by a factor which falls from 8 to 1 meanwhile.
  static Verdict controlled(const Params& p, const State& s, LastAlarms::Of last, double ratio) {
    Verdict v{.ratio = std::min(ratio, largest_ratio), .open = ratio};
    if (ratio < p.alarm_at) return v;
    const double wait =
        std::clamp(wait_share * to_seconds(s.age), least_wait * spacing(s),
                   std::max(most_wait * spacing(s), most_wait * to_seconds(usual_spacing)));
    const double waited = to_seconds(s.alarmed.since[last]) / wait;
    const double peak = s.alarmed.peak[last];
    v.alarm = peak <= 0 || waited > 1;
    v.escalates = !v.alarm && ratio > std::pow(escalation, 1 - waited) * peak;
    if (!v.alarm && !v.escalates) v.ratio = std::min(v.ratio, just_below_limit * p.alarm_at);
    return v;
  }
  // Of what is over. A fit is the finer statistic: while anything else was told lately, it is
  // quiet.
  static Verdict controlled_past(const Params& p, const State& s, double ratio,
                                 const Recorded& what) {
    auto v = controlled(p, s, LastAlarms::past, ratio);
    if (what.fit && (v.alarm || v.escalates)) {
      const auto other = controlled(p, s, LastAlarms::now, ratio);
      if (!other.alarm && !other.escalates) v = other;
    }
    v.over = true;
    return v;
  }
  static void raise(State& s, const Verdict& v) {
    const auto last = v.over ? LastAlarms::past : LastAlarms::now;
    if (v.alarm) s.alarmed.since[last] = Duration{0};
    if (v.alarm && !v.over) s.control = static_cast<float>(s.control + step_of(s));
    if (v.alarm || v.escalates) s.alarmed.peak[last] = as_float(v.open);
  }

  // --- learning ---

  static Learned learn_frame(const Params& p, State& s, const Memo& seen, Trust trust) {
    const Frame& f = seen.frame;
    const Verdict& v = seen.verdict;
    const bool ready = s.frames >= least_evidence;
    const bool doubtful = ready && (v.open >= p.alarm_at || trust != Trust::normal);
    const auto elapsed = s.frames > 0 ? elapsed_between(s.closed, f.time) : Duration{0};
    const auto known = std::min(elapsed, longest_step);
    if (is_stale(s, f.time)) {
      s.ring.clear();
      s.roughness.clear();
    }
    s.age = std::min(s.age + known, most_age);
    s.alarmed.pass(known);
    s.closed = f.time;
    const double share =
        forgotten(elapsed, control_time, 3000) / (1 + 2 * std::min(1.0, decades(s)));
    s.control = static_cast<float>(std::max(lowest_control, s.control - step_of(s) * share));
    const bool away_for_long = uphold(p, s, f, v, ready);
    if (ready) raise(s, v);
    // What is beyond its limit (never below 1 where this counts) counts as the limit: a fault does
    // not make itself usual.
    if (ready) {
      const double sum = sustained(s, f);
      s.scores.learn(sum > 1 ? std::min(sum, limit_of(s)) : std::max(0.0, sum));
    }
    s.held = as_float(v.ratio);
    s.score_before = as_float(std::max(0.0, f.score));
    s.awake = static_cast<std::uint8_t>(f.rests ? 0 : std::min(s.awake + 1, int{lasting_window}));
    learn_habit(s, f);
    for (std::size_t i = 0; i < feature_count; ++i) {
      // What is quiet at rest tells nothing of how loud it is at work.
      const bool idle = f.rests && (groups[i] == Group::spread || groups[i] == Group::step);
      if (f.u[i] >= 0 && !idle) s.tails[i].learn(f.logarithm[i]);
    }
    const auto told = told_by(f, v);
    learn_records(s, f, told, doubtful, elapsed);
    const bool fits = frames_in_cycle(s) ? seen.residual.has_value() : s.neighbours.known();
    if (fits) s.judged.learn(f.far[spike_fit] >= 0, f.far[burst_fit] >= 0);
    auto learned = learn_reference(p, s, f, told, elapsed, known);
    if (away_for_long) {
      if (f.drift >= 1) take_as_reference(s);
      learned = Learned::accepted;
    }
    if (learned == Learned::accepted) s.standing = {};
    s.told = v.over ? 0 : told;

    const double n = ++s.frames;
    const double open = doubtful ? doubtful_rate : 1;
    if (s.ring.count() >= least_ring) {
      s.neighbours.learn(f.value - s.origin, s.fast.mean - s.origin, dynamics_clip * s.fast.spread,
                         s.ring);
    }
    if (!is_fast(s) && s.ring.count() > 0) {
      learn_bands(s, f.value - s.origin - static_cast<double>(s.ring[0]), seen.residual);
    }
    const double least = 1 / n;
    s.slow.learn(f.value, std::max(open * slow_rate, least));
    s.fast.learn(f.value, std::max(open * fast_rate, least));
    s.window.learn(f.value, std::max(window_rate, least));
    s.middle += std::max(middle_rate, least) * (f.value - s.middle);
    s.old += std::max(old_rate, least) * (f.value - s.old);
    s.places.learn(f.value - s.origin, s.shape.spread, n);
    learn_clock(s, f);
    if (s.frames > 1) s.values.learn(f.bin);
    if constexpr (precise) {
      if (s.frames > 1) s.more.values.learn(f.bin);
    }
    s.shape.learn(f.value, std::max(shape_rate, least));
    s.ring.add(as_float(f.value - s.origin));
    s.roughness.add(as_float(f.roughness));
    return learned;
  }
  // Whether what was alarmed is still there. True: for so long that it is the new normal.
  static bool uphold(const Params& p, State& s, const Frame& f, const Verdict& v, bool ready) {
    auto& standing = s.standing;
    const double age = to_seconds(s.age);
    const bool alarm = !v.over && (v.alarm || v.escalates);
    if (standing.upheld() && !f.stands.upheld && is_of_level(standing)) restore(s);
    standing.go_on(f.stands, alarm);
    if (f.stands.upheld) {
      // A drift is accepted by its own rule.
      if (standing.statistic() == is_drift ||
          !standing.is_old_news(age, to_seconds(p.accept_after))) {
        return false;
      }
      const bool told = standing.told();
      standing = {};
      return told;
    }
    // Windows of a level that has changed fill first.
    const double frames = to_seconds(s.alarmed.since[LastAlarms::now]) / spacing(s);
    if (!is_of_level(standing) || frames > lasting_window) standing = {};
    if (!ready || v.over || v.open < p.alarm_at) return false;
    if (f.beyond >= 1 && tells_for_itself(f.leader) && (alarm || frames > standing_window)) {
      const auto by = f.leader == by_clock ? is_residual : f.leader;
      standing = {by, s.day_mean - s.origin, limit_by(f), age, alarm};
      standing.go_on({.upheld = true, .below = side_of(s, f, by) < 0}, alarm);
    } else if (alarm || !standing.any()) {
      standing = level_before(s, f.by_week, f.beyond >= 1 && f.leader == creeping, alarm);
    }
    return false;
  }
  // The level is back: what followed it meanwhile returns with it, or the end of a fault would be
  // news.
  static void restore(State& s) {
    const double level = s.origin + s.standing.before();
    s.day_mean = level;
    if (drift_of(s) < 1) end_drift(s);
    if (s.standing.statistic() != by_level) return;
    for (auto* of : {&s.slow, &s.window, &s.shape}) of->mean = level;
    s.middle = s.old = level;
  }
  // What stayed behind another alarm speaks, and nothing else does.
  static bool tells_late(const Frame& f) { return f.still >= 1 && f.beyond < 1; }
  // Statistics that do not follow a fault: not a distance from a level that does.
  static bool tells_for_itself(std::size_t i) {
    return i == is_drift || (alone[i].window > 0 && i != lasting && i != creeping);
  }
  // The level, against what it was or against the calendar.
  static bool is_of_level(const Standing& standing) {
    return standing.statistic() == by_level || standing.statistic() == is_residual;
  }
  static bool level_stands(const State& s, const Frame& f) {
    return f.stands.upheld && is_of_level(s.standing);
  }
  // What the leader was held against.
  static double limit_by(const Frame& f) {
    return (f.leader == is_drift ? f.drift : f.far[f.leader]) / f.beyond;
  }
  // What the level was: of thousands of frames, or, where the calendar says what it should be, of a
  // day.
  static Standing level_before(const State& s, bool by_week, bool creeps, bool told) {
    const double age = to_seconds(s.age), spread = spread_of_frames(s);
    const double error = by_week ? s.week_error : s.day_error;
    if (s.compared > 50 && error < spread / 2) {
      return {is_residual, s.day_mean - s.origin, spreads_away * error, age, told};
    }
    return {by_level, (creeps ? s.old : s.shape.mean) - s.origin, spreads_away * spread, age, told};
  }
  static void end_drift(State& s) {
    s.adrift = Duration{0};
    s.drift_peak = 0;
  }
  static void take_as_reference(State& s) {
    end_drift(s);
    s.reference = s.day_mean;
  }
  // `change`: from the reading before; where a cycle leads, that of what it leaves.
  static void learn_bands(State& s, double change, const std::optional<double>& residual) {
    if (!bands_in_cycle(s)) {
      s.bands.learn(change, band_memory(s));
    } else if (residual && s.cycle.residuals().count() > 0) {
      s.bands.learn(*residual - static_cast<double>(s.cycle.residuals()[0]), band_memory(s));
    }
  }
  static void learn_cycle(const Params& p, State& s, Sample sample, double elapsed,
                          const Memo& seen, Trust trust) {
    // A swing that is a fault is no cycle of the machine.
    if (upheld_by_bands(s) && !s.cycle.leads()) return;
    const bool doubtful = seen.verdict.open >= p.alarm_at || trust != Trust::normal;
    const auto change =
        s.cycle.learn(sample.value - s.origin, elapsed, doubtful ? doubtful_rate : 1, p.period_s,
                      is_fast(s) ? s.near_neighbours : s.neighbours);
    if (change != Cycle::Change::none) forget_fits(s);
  }
  static void learn_habit(State& s, const Frame& f) {
    const int hour = f.hour;
    if (hour != s.hour) {
      if (s.hour >= 0) {
        auto& h = at(s.habit, static_cast<int>(s.hour));
        h += static_cast<float>(habit_rate) * (s.hour_peak - h);
      }
      s.hour = static_cast<std::int8_t>(hour);
      s.hour_peak = 0;
    }
    s.hour_peak = std::max(s.hour_peak, as_float(f.evidence));
  }
  // The statistic that lasts and that the frame alarms by, plus one: what was told is known. 0:
  // none.
  static std::uint8_t told_by(const Frame& f, const Verdict& v) {
    const bool lasts = f.leader == is_drift || alone[f.leader].window > 0;
    const bool told = lasts && f.beyond >= 1 && (v.alarm || v.escalates);
    return told ? static_cast<std::uint8_t>(f.leader + 1) : std::uint8_t{0};
  }
  // A record is raised by half at most at a time: a gross fault does not blind the sensor to
  // smaller ones, and what recurs becomes normal in a few steps.
  static void learn_records(State& s, const Frame& f, std::uint8_t told, bool doubtful,
                            Duration elapsed) {
    const double share = forgotten(elapsed, std::chrono::hours{24 * 49}, 14000);
    const double doubt_share = forgotten(elapsed, doubt_memory, 14000);
    const double growth = s.frames > settled_frames ? record_growth : 1e30;
    for (std::size_t i = 0; i < alone_count; ++i) {
      if (alone[i].window > 0 || f.far[i] < 0) continue;
      // A record that fades while its count does not would draw the tail too steep.
      const double forgets = alone[i].fit ? share / 10 : share;
      learn_record(s.records[i], f.far[i], doubtful, growth, forgets, doubt_share);
    }
    const bool may_end = s.frames % least_window == least_window - 1;
    for (std::size_t i = 0; i < alone_count; ++i) {
      if (alone[i].window == 0) continue;
      auto& record = s.records[i];
      if (f.far[i] >= 0) {
        record.learn(f.far[i]);
        record.reach(f.far[i]);
      }
      if (!may_end) continue;
      const auto window = i == creeping ? creeping_wait : window_of(s, i);
      if (s.frames % window == window - 1) record.settle(growth, share * window);
    }
    if (told != 0 && f.leader != is_drift) {
      s.records[f.leader].raise(f.far[f.leader], growth * growth, 0);
    }
  }
  static void learn_record(Record& record, double u, bool doubtful, double growth, double share,
                           double doubt_share) {
    record.learn(u);
    record.forget_doubtful(doubt_share);
    if (doubtful) {
      record.raise_for_a_while(u, growth);
    } else {
      record.raise(u, growth, share);
    }
  }
  // The mean of the first days, then how far the mean of a day strays from it, then frozen.
  static Learned learn_reference(const Params& p, State& s, const Frame& f, std::uint8_t told,
                                 Duration elapsed, Duration known) {
    const double n = s.frames + 1.0;
    const double difference = f.value - s.day_mean, widest = 4 * s.shape.spread;
    s.day_mean += std::max(1 / n, forgotten(elapsed, std::chrono::hours{24}, 200)) *
                  (s.frames < 20 ? difference : within(difference, -widest, widest));
    if (s.age < reference_taken || s.frames < least_reference_frames / 2) {
      s.reference += (f.value - s.reference) / n;
    } else if (!reference_known(s)) {
      s.drift_record = std::max(s.drift_record, std::abs(s.day_mean - s.reference));
    }
    if (f.drift < 1) {
      s.adrift -= std::min(s.adrift, known);
      if (s.adrift == Duration{0}) s.drift_peak = 0;
      return Learned::as_usual;
    }
    const bool known_already = level_stands(s, f) && s.drift_peak <= 0;
    if (known_already || (told != 0 && f.leader == is_drift)) s.drift_peak = as_float(f.drift);
    s.adrift += std::max(known, Duration{1});
    if (s.adrift < p.accept_after) return Learned::as_usual;
    take_as_reference(s);
    return Learned::accepted;
  }
  static void learn_clock(State& s, const Frame& f) {
    const double local = f.value - s.origin;
    const auto [hour, half, part] = std::array{f.hour, f.half, f.part};
    s.residual = f.residual;
    const auto parts = frames_of_clock(s);
    const bool counts = s.frames % parts == 0;
    const double share = 1.0 / parts;
    if (counts && week_known(s, part) && s.by_hour.knows(hour)) {
      ++s.compared;
      const float rate = std::max(0.002F, 1.0F / static_cast<float>(s.compared));
      s.day_error += rate * (as_float(std::abs(local - s.by_hour.mean(hour))) - s.day_error);
      s.week_error += rate * (as_float(std::abs(local - s.by_week.mean(part))) - s.week_error);
    }
    if constexpr (precise) {
      auto& profile = s.more.by_quarter_hour;
      const int quarter = profile.phase(f.time);
      if (profile.knows(quarter)) {
        s.more.residual += (local - profile.mean(quarter) - s.more.residual) / 24;
      }
      profile.learn(quarter, local, share, counts);
    }
    s.by_hour.learn(hour, local, share, counts);
    s.by_half_hour.learn(half, local, share, counts);
    s.by_week.learn(part, local, share, counts);
  }
  static void learn_reading(const Params& p, State& s, Sample sample, const Memo& seen) {
    if (seen.has_frame) s.in_frame = 0;
    if (s.in_frame == 0) {
      s.opened = sample.time;
      s.frame_mean = s.frame_square = 0;
    }
    ++s.in_frame;
    const double difference = sample.value - s.frame_mean;
    s.frame_mean += difference / s.in_frame;
    s.frame_square =
        std::min(largest_square, s.frame_square + difference * (sample.value - s.frame_mean));
    if (s.near_count < 24 || s.readings < p.warmup / 2) return;
    if (s.cycle.leads() ? seen.residual.has_value() : s.near_neighbours.known()) {
      s.reading_judged.learn(seen.reading[reading_spike_fit] >= 0,
                             seen.reading[reading_burst_fit] >= 0);
    }
    const double doubt_share = reading_spacing(s) / to_seconds(doubt_memory);
    const bool settled = s.readings > p.warmup;
    const bool doubtful = settled && seen.verdict.open >= p.alarm_at;
    const double growth = settled ? record_growth : 1e30;
    for (std::size_t i = 0; i < reading_alone.size(); ++i) {
      if (seen.reading[i] < 0) continue;
      learn_record(s.reading_records[i], seen.reading[i], doubtful, growth, 1e-7, doubt_share);
    }
  }

  // --- what is told ---

  // What the loudest statistic is held against, and how far it may go: the frozen reference for a
  // drift, the neighbours for a spike, the calendar where it knows better, else the moving level.
  static void tell_band(const State& s, Sample sample, Score& out) {
    const double usual = 4 * s.fast.spread;
    double below = std::max(usual, usual_margin * s.records[far_below].record()),
           above = std::max(usual, usual_margin * s.records[far_above].record());
    out.expected = s.fast.mean;
    if (s.standing.upheld() && s.standing.statistic() == by_level) {
      out.expected = s.origin + s.standing.before();
      below = above = std::max(usual, half_way * s.standing.band());
    } else if (out.kind == AlertKind::drift) {
      out.expected = s.reference;
      below = above = drift_limit(s);
    } else if (out.kind == AlertKind::spike && is_fast(s)) {
      out.expected = s.near.mean;
      below = above = std::max(4 * s.near.spread, usual_margin * s.reading_records[0].record());
    } else if (out.kind == AlertKind::spike && s.ring.count() >= 5) {
      out.expected = s.origin + median_of_5(s.ring);
      below = above = std::max(usual, usual_margin * s.records[spike].record());
    } else if (!out.kind || out.kind == AlertKind::seasonal) {
      if (const auto known = by_calendar(s, sample.time)) {
        out.expected = *known;
        below = above = std::max<double>(usual, 4 * s.week_error);
      }
    }
    out.low = out.expected - below;
    out.high = out.expected + above;
  }
  // A level that lasts: against that of the newest thousands of frames.
  static void tell_lasting(const State& s, const Frame& f, Score& out) {
    double sum = f.value - s.origin;
    for (std::size_t i = 0; i < lasting_window - 1; ++i) sum += static_cast<double>(s.ring[i]);
    out.value = f.leader == creeping ? s.middle : s.origin + sum / lasting_window;
    out.expected = s.shape.mean;
    const double usual = usual_margin * s.records[f.leader].record();
    out.low = out.expected - usual;
    out.high = out.expected + usual;
  }
  // A spike that is over: when it was, and what was around it.
  static void tell_bump(const State& s, Sample sample, const Memo& seen, Score& out) {
    const std::size_t leader = seen.by_reading ? seen.reading_leader : seen.frame.over_leader;
    const bool is_burst = seen.by_reading
                              ? leader == reading_burst_over || leader == reading_burst_fit
                              : leader == burst_over || leader == burst_fit;
    const auto width = width_of(is_burst);
    const auto it = seen.by_reading ? bump(Recent{sample.value, s.newest, s.origin}, width)
                                    : bump(Recent{seen.frame.value, s.ring, s.origin}, width);
    const auto& record = seen.by_reading ? s.reading_records[leader] : s.records[leader];
    const double since =
        static_cast<double>(width) * (seen.by_reading ? reading_spacing(s) : spacing(s));
    out.onset = (seen.by_reading ? s.last : s.closed) - from_seconds(since);
    out.value = it.mean;
    out.expected = it.beside;
    const bool in_cycle = seen.by_reading ? s.cycle.leads() && reading_alone[leader].fit
                                          : frames_in_cycle(s) && alone[leader].fit;
    double unit = 1;
    if (in_cycle && seen.residual) {
      const auto left = bump(Recent{*seen.residual, s.cycle.residuals(), 0.0}, width);
      unit = s.cycle.deviation(1 + static_cast<double>(width - 1) / 2);
      out.expected = it.mean - (left.mean - left.beside) * unit;
    }
    const double usual = usual_margin * record.record() * unit;
    out.low = out.expected - usual;
    out.high = out.expected + usual;
  }
  // Where the time of day or of the week explains more than the moving level.
  static std::optional<double> by_calendar(const State& s, Timestamp time) {
    const int hour = s.by_hour.phase(time), part = s.by_week.phase(time);
    if (s.compared <= 50 || !s.by_hour.knows(hour)) return std::nullopt;
    const bool week = week_explains(s, part);
    if ((week ? s.week_error : s.day_error) >= s.fast.spread) return std::nullopt;
    return s.origin + (week ? s.by_week.mean(part) : s.by_hour.mean(hour));
  }
  static double drift_limit(const State& s) {
    return std::max(drift_margin * s.drift_record, s.shape.spread);
  }
  // The change point that splits the frames in the windows best (least squares), of the values or,
  // for the scatter, of the roughness; for a spike the reading itself.
  static Timestamp onset(const State& s, Sample sample, const Memo& seen) {
    if (seen.kind == AlertKind::spike || s.ring.count() < least_ring) return sample.time;
    if (seen.has_frame && !seen.by_reading && tells_late(seen.frame)) {
      return s.closed - from_seconds(s.standing.lasted(to_seconds(s.age)));
    }
    if (seen.kind == AlertKind::drift) return s.closed - s.adrift;
    const bool spread = seen.kind == AlertKind::spread;
    const std::size_t n = spread ? s.roughness.count() : s.ring.count();
    const auto at = [&](std::size_t back) {
      return static_cast<double>(spread ? s.roughness[back] : s.ring[back]);
    };
    double all = 0;
    for (std::size_t i = 0; i < n; ++i) all += at(i);
    double sum = 0, best = -1;
    std::size_t split = 1;
    for (std::size_t k = 1; k < n; ++k) {
      sum += at(k - 1);
      const double a = static_cast<double>(k), b = static_cast<double>(n - k);
      const double contrast = sum / a - (all - sum) / b;
      const double gain = contrast * contrast * a * b;
      if (gain > best) {
        best = gain;
        split = k;
      }
    }
    return s.closed - from_seconds(static_cast<double>(split - 1) * spacing(s));
  }

  // --- figures; those marked * were chosen on labelled series (docs/detection.md) ---

  static constexpr std::uint32_t least_frames = 60, least_evidence = 30, settled_frames = 100;
  static constexpr std::size_t least_ring = 24;
  static constexpr int most_votes = 32;
  static constexpr double fast_share = 0.35;  // of a frame: no usual period is near it
  static constexpr double slow_rate = 0.002, fast_rate = 0.02, window_rate = 0.001,
                          middle_rate = 0.005, old_rate = 0.0001,
                          shape_rate = 0.0005;               // *
  static constexpr double middle_settled = 5 / middle_rate;  // frames
  static constexpr double doubtful_rate = 0.3;               // of levels, in alarm
  static constexpr double record_growth = 1.5;               // *
  static constexpr double usual_limit = precise ? 1.2 : 1.65,
                          least_limit = 0.3;    // * digits of evidence
  static constexpr double per_decade = 1.15;    // digits, of frames faster
  static constexpr double decades_known = 0.7;  // from a minute on
  static constexpr Duration chance_time_sum = std::chrono::hours{24 * 100};
  static constexpr double margin_of_youth = 2;  // per power of ten
  static constexpr double many_readings = 20000;
  static constexpr double least_bump = 0.02;  // of the spread: the top of a smooth curve is none
  static constexpr double often = 0.1, often_in_bursts = 0.01;        // of the values
  static constexpr double margin_per_decade = 0.08;                   // likewise
  static constexpr double habituation = 0.75, habit_rate = 0.3;       // *
  static constexpr double control_step = 0.1, lowest_control = -0.5;  // * digits
  static constexpr double wait_share = 0.03;                          // * of the age
  static constexpr double least_wait = 40, most_wait = 300;           // * frames
  static constexpr double escalation = 8;                             // *
  static constexpr double slow_band_window = 160;                     // readings
  static constexpr double still = 0.25;       // of the usual spread: the machine has stopped
  static constexpr double band_windows = 25;  // at least, of the past
  static constexpr Duration a_week = std::chrono::hours{24 * 7};
  static constexpr double fast_band_window = 16;  // frames
  // Windows of records are multiples of it, frames.
  static constexpr std::uint32_t least_window = 8;
  static_assert(std::all_of(alone.begin(), alone.end(),
                            [](const auto& a) { return a.window % least_window == 0; }));
  // A slow drift must not carry the limit of its own statistic upwards: frames.
  static constexpr std::uint32_t creeping_wait = 2048;
  static constexpr double dynamics_clip = 5;                       // spreads
  static constexpr double back_of_spike = 0.5, most_of_burst = 1;  // of the residual
  static constexpr double light = 1.35;  // * a normal residual's tail shows 1.4 to 2 (simulated)
  static constexpr double least_fitted = 500;  // values looked at
  // The mean of 16 sizes of normal changes strays by a fifth of itself.
  static constexpr double restless_by_chance = 1.19;
  static constexpr Duration chance_time_window = std::chrono::hours{24 * 150};
  static constexpr Duration chance_time_fit = std::chrono::hours{24 * 600};
  static constexpr double week_margin = 1.5;
  // How far a sensor lies from its calendar repeats for hours, not for minutes: s, frames.
  static constexpr double clock_window = 5 * 3600, most_clock_window = 1e6;
  static constexpr int one_part_of_week = 24;  // of five minutes
  static constexpr Duration doubt_memory = std::chrono::hours{24 * 28};
  static constexpr Duration chance_time = std::chrono::hours{24 * 10},
                            chance_time_over = std::chrono::hours{24 * 30};
  static constexpr double chance_values = 1e7;  // *
  static constexpr double drift_margin = 2.5;
  static constexpr std::size_t standing_window = 24;    // frames
  static constexpr double spreads_away = 3;             // of a level that stands away
  static constexpr std::uint64_t enough_in_frame = 50;  // readings
  static constexpr double rounding = 1e-12;             // of the value
  static constexpr double rounding_of_float = 1.2e-7;   // of what is kept as float
  static constexpr double doubt = 0.8, still_there = 0.8, half_way = 0.5;
  static constexpr Duration usual_spacing = std::chrono::minutes{5};
  static constexpr double quick_spacing = 94.86832980505137;      // s; 300 / sqrt(10)
  static constexpr Duration control_time = 3000 * usual_spacing;  // *
  static constexpr Duration longest_step = std::chrono::hours{1};
  static constexpr Duration most_age = LastAlarms::most_age;
  static constexpr Duration calendar_taken = std::chrono::hours{24 * 2};
  static constexpr Duration reference_taken = std::chrono::hours{24 * 3};
  static constexpr Duration reference_complete = std::chrono::hours{24 * 8};
  static constexpr double least_reference_frames = 1200;
};

}  // namespace millwright::detectors
