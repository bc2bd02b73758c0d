#include "simulator/factory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "core/random.h"

namespace millwright::simulator {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::size_t joints = 3;

enum Sensor : std::size_t {
  temp = 0,     // + joint
  current = 3,  // + joint
  torque = 6,   // + joint
  vibration = 9,
  cycle = 10,
  gearbox = 11,
  sensor_count = 12
};

constexpr std::array<SensorType, sensor_count> sensor_types{{{"j1_temp", "degC"},
                                                             {"j2_temp", "degC"},
                                                             {"j3_temp", "degC"},
                                                             {"j1_current", "A"},
                                                             {"j2_current", "A"},
                                                             {"j3_current", "A"},
                                                             {"j1_torque", "Nm"},
                                                             {"j2_torque", "Nm"},
                                                             {"j3_torque", "Nm"},
                                                             {"vib_rms", "mm/s"},
                                                             {"cycle_time", "s"},
                                                             {"gearbox_temp", "degC"}}};

// What the transmitter does to the truth: noise (standard deviation; relative for vibration),
// resolution, slow drift.
struct Transmitter {
  double noise, steps_per_unit, drift;
};
constexpr std::array<Transmitter, sensor_count> transmitters{{{0.12, 10, 0.15},
                                                              {0.12, 10, 0.15},
                                                              {0.12, 10, 0.15},
                                                              {0.06, 100, 0.010},
                                                              {0.09, 100, 0.015},
                                                              {0.05, 100, 0.010},
                                                              {2.5, 10, 0.5},
                                                              {3.5, 10, 0.8},
                                                              {1.7, 10, 0.4},
                                                              {0.06, 100, 0.012},
                                                              {0, 100, 0},
                                                              {0.12, 10, 0.15}}};
constexpr double chance_missing = 0.002;  // of a reading
constexpr double chance_message_missing = 0.0005;
constexpr Duration drift_memory = hours{36};  // the drift wanders around zero
constexpr Duration drift_step = minutes{10};

struct Program {
  std::string_view name;
  std::array<double, joints> current;  // A, RMS over a cycle
  double vibration;                    // mm/s
  double cycle;                        // s
};
// Program 0 is idle: the servos hold the arm, which costs joints 2 and 3 more than joint 1.
constexpr std::array<Program, 4> programs{{{"idle", {0.9, 2.6, 1.4}, 0.25, 0},
                                           {"A", {4.2, 6.5, 3.6}, 1.20, 36.0},
                                           {"B", {4.8, 7.3, 4.1}, 1.38, 41.0},
                                           {"C", {3.8, 6.0, 3.3}, 1.08, 32.5}}};
constexpr std::size_t idle = 0;
constexpr std::array<double, joints> torque_constant{38.0, 39.0, 31.0};  // Nm/A behind the gear

constexpr double joint_rise = 32, gearbox_rise = 27;  // degC above ambient in continuous program A
constexpr Duration joint_lag = minutes{25}, gearbox_lag = minutes{55};
constexpr double copper_share = 0.75;  // of the heat that goes with the square of the current
constexpr double cold_friction =
    0.002;  // more current per degC that the gearbox is colder than usual
constexpr double usual_gearbox = 47;

// fork() alone commutes: a.fork(1).fork(2) is a.fork(2).fork(1). A draw in between tells the two
// apart.
Random child(const Random& parent, std::uint64_t stream) {
  return Random{parent.fork(stream).next()};
}

double clamp01(double x) { return std::clamp(x, 0.0, 1.0); }

double since(Timestamp from, Timestamp to) { return to_seconds(to - from); }

Duration share_of(Duration whole, double share) { return from_seconds(to_seconds(whole) * share); }

// Follows `target` with first-order lag.
void follow(double& value, double target, Duration lag, Duration step) {
  value += (target - value) * -std::expm1(-to_seconds(step) / to_seconds(lag));
}

double time_of_day_hours(Timestamp time) {
  return to_seconds(time - std::chrono::floor<std::chrono::days>(time)) / 3600;
}

std::chrono::weekday weekday_of(Timestamp time) {
  return std::chrono::weekday{std::chrono::floor<std::chrono::days>(time)};
}

// Does a robot of the day shift stand still?
bool is_off_duty(Timestamp time) {
  const auto day = weekday_of(time);
  const double hour = time_of_day_hours(time);
  return day == std::chrono::Saturday || day == std::chrono::Sunday || hour < 6 || hour >= 22;
}

// The hall: coldest at 4, warmest at 16 o'clock, and weather of several days that all robots share.
double ambient(Timestamp time) {
  constexpr double turn = 2 * std::numbers::pi;
  const double days = to_seconds(time.time_since_epoch()) / 86400;
  return 21 - 2.5 * std::cos(turn * (time_of_day_hours(time) - 4) / 24) +
         0.9 * std::sin(turn * days / 6.3) + 0.5 * std::sin(turn * days / 2.7);
}

// Three shifts: eight minutes at every change, fifteen in their middle. `stagger` is the robot's
// place in the line.
bool is_pause(Timestamp time, Duration stagger) {
  const double hour =
      std::fmod(time_of_day_hours(time - stagger) + 2, 8);  // shifts begin at 6, 14, 22
  return weekday_of(time) == std::chrono::Sunday || hour < 8.0 / 60 || (hour >= 4 && hour < 4.25);
}

// Which program a robot runs: some minutes each, one of them its main one.
class Schedule {
 public:
  Schedule(Random random, Timestamp start, bool days_only)
      : random_(random), until_(start), days_only_(days_only) {
    std::array<std::size_t, 3> order{1, 2, 3};
    for (std::size_t i = 2; i > 0; --i) std::swap(order[i], order[random_.below(i + 1)]);
    preference_ = order;
    stagger_ = from_seconds(random_.uniform(0, 180));
    choose();
  }

  // Times must not fall from call to call.
  std::size_t program(Timestamp time) {
    while (time >= until_) choose();
    if (days_only_ && is_off_duty(time)) return idle;
    return is_pause(time, stagger_) ? idle : current_;
  }
  std::size_t main_program() const { return preference_[0]; }

 private:
  void choose() {
    const double hour = time_of_day_hours(until_);
    const bool night = hour >= 22 || hour < 6;
    // Every choice takes the same three draws.
    const double wait = random_.uniform(), pick = random_.uniform(), dwell = random_.uniform();
    if (current_ != idle && wait < (night ? 0.30 : 0.20)) {
      current_ = idle;
      until_ += from_seconds(60 + 150 * dwell);
    } else {
      current_ = preference_[pick < 0.6 ? 0 : pick < 0.9 ? 1 : 2];
      until_ += from_seconds(180 + 540 * dwell);
    }
  }

  Random random_;
  Timestamp until_;
  bool days_only_;
  std::size_t current_ = idle;
  std::array<std::size_t, 3> preference_{};
  Duration stagger_{};
};

// A value that wanders around zero and is drawn anew every `step` (Ornstein and Uhlenbeck).
class Wander {
 public:
  Wander(Random random, double deviation, Duration memory, Duration step)
      : random_(random),
        deviation_(deviation),
        keep_(std::exp(-to_seconds(step) / to_seconds(memory))),
        step_(step) {}

  double at(Timestamp time) {
    if (!next_) next_ = time;
    for (; time >= *next_; *next_ += step_) {
      value_ = value_ * keep_ + deviation_ * std::sqrt(1 - keep_ * keep_) * random_.normal();
    }
    return value_;
  }

 private:
  Random random_;
  double deviation_, keep_;
  Duration step_;
  std::optional<Timestamp> next_;
  double value_ = 0;
};

struct Fault {
  FaultKind kind{};
  Timestamp start, end;
  Duration ramp{};  // until it is at its worst
  double severity = 0;
  std::size_t joint = 0;
  std::size_t sensor = 0;  // stuck and lost sensors
  bool repaired = false;

  bool active(Timestamp time) const { return time >= start && time < end; }
  // 0..1: how far it has come.
  double progress(Timestamp time) const {
    if (!active(time)) return 0;
    const double x = ramp > Duration{0} ? clamp01(since(start, time) / to_seconds(ramp)) : 1;
    return kind == FaultKind::bearing_wear ? x * x : x;  // wear speeds wear up
  }
};

enum Stream : std::uint64_t {
  stream_build,
  stream_schedule,
  stream_timing,
  stream_load,
  stream_cycle,
  stream_fault,
  stream_noise = 100,
  stream_drift = 200,
  stream_missing = 300,
  stream_plan = 1000000007
};

class Robot {
 public:
  Robot(Random random, const FactoryOptions& options, bool days_only)
      : schedule_(child(random, stream_schedule), options.start, days_only),
        timing_(child(random, stream_timing)),
        cycle_random_(child(random, stream_cycle)),
        load_(child(random, stream_load), 0.015, minutes{45}, minutes{2}),
        period_(options.period) {
    auto build = child(random, stream_build);
    phase_ = share_of(period_, build.uniform(0, 0.85));
    for (auto& factor : factors_) factor = build.uniform(0.94, 1.06);
    for (std::size_t i = 0; i < sensor_count; ++i) {
      noise_.push_back(child(random, stream_noise + i));
      missing_.push_back(child(random, stream_missing + i));
      drift_.emplace_back(child(random, stream_drift + i), transmitters[i].drift, drift_memory,
                          drift_step);
    }
    // As after hours of work; on a Sunday the lag brings it down.
    rise_.fill(joint_rise * 0.9);
    rise_[joints] = gearbox_rise * 0.9;
    last_cycle_ = programs[schedule_.main_program()].cycle * factors_[cycle];
  }

  // When it sends in the period that begins at `period_start`; nothing when that message gets lost.
  // Once per period.
  std::optional<Timestamp> sends_at(Timestamp period_start) {
    const double jitter = timing_.uniform(0, 0.1);
    const bool lost = timing_.chance(chance_message_missing);
    const auto time = period_start + phase_ + share_of(period_, jitter);
    time_ = period_ >= milliseconds{100} ? Timestamp{std::chrono::floor<milliseconds>(time)} : time;
    return lost ? std::nullopt : std::optional{time_};
  }

  // Advances to the time of `sends_at` and measures, also for a message that gets lost: the fault
  // shows no other way.
  void measure(Frame& out) {
    const auto step = last_time_ ? time_ - *last_time_ : period_;
    last_time_ = time_;
    const auto program = schedule_.program(time_);
    const auto truth = advance(program, step);
    out.time = time_;
    out.program = programs[program].name;
    out.values.clear();
    for (std::size_t i = 0; i < sensor_count; ++i) {
      const double value = transmit(i, truth[i]);
      if (!missing_[i].chance(chance_missing) && !is_lost(i)) out.values.push_back({i, value});
    }
  }

  void plant(const Fault& fault) { fault_ = fault; }
  Schedule schedule() const { return schedule_; }  // a copy, to look ahead

 private:
  using Values = std::array<double, sensor_count>;

  // The true values after `step` more in this program.
  Values advance(std::size_t program, Duration step) {
    const auto& now = programs[program];
    const double load = 1 + load_.at(time_);
    const double friction = 1 + cold_friction * (usual_gearbox - (ambient(time_) + rise_[joints]));
    Values truth{};
    double heat_of_all = 0;
    for (std::size_t j = 0; j < joints; ++j) {
      const double amps = now.current[j] * factors_[current + j] * load * friction;
      const double share = amps / (programs[1].current[j] * factors_[current + j]);
      const double heat = 1 - copper_share + copper_share * share * share;
      follow(rise_[j], joint_rise * factors_[temp + j] * heat, joint_lag, step);
      follow(extra_[j], extra_heat(j) * heat, joint_lag, step);
      heat_of_all += heat / joints;
      truth[temp + j] = ambient(time_) + rise_[j] + extra_[j];
      truth[current + j] = amps * current_factor(j);
      truth[torque + j] = amps * torque_constant[j] * factors_[torque + j] * torque_factor(j);
      if (collides(j)) {
        const double working = programs[1].current[j] * factors_[current + j] * fault_->severity;
        truth[current + j] = working;
        truth[torque + j] = working * torque_constant[j] * factors_[torque + j];
      }
    }
    follow(rise_[joints], gearbox_rise * factors_[gearbox] * heat_of_all, gearbox_lag, step);
    follow(extra_[joints], extra_heat(joints) * heat_of_all, gearbox_lag, step);
    truth[gearbox] = ambient(time_) + rise_[joints] + extra_[joints];
    truth[vibration] = now.vibration * factors_[vibration] * load * vibration_factor();
    truth[cycle] = cycle_time(program, step);
    return truth;
  }

  // The controller reports the time of the cycle completed last, also while it is idle.
  double cycle_time(std::size_t program, Duration step) {
    if (program != cycle_program_) {
      cycle_program_ = program;
      in_cycle_ = 0;
    }
    if (program == idle) return last_cycle_;
    in_cycle_ += to_seconds(step);
    double slower = 1, wider = 1;
    if (fault_ && fault_->kind == FaultKind::backlash) {
      slower += 0.04 * fault_->progress(time_);
      wider += 2 * fault_->progress(time_);
    }
    const double usual = programs[program].cycle * factors_[cycle];
    const double length = usual * slower;
    if (in_cycle_ >= length) {
      in_cycle_ = std::fmod(in_cycle_, length);
      last_cycle_ = length + 0.006 * usual * wider * cycle_random_.normal();
    }
    return last_cycle_;
  }

  // What the sensor says of the truth.
  double transmit(std::size_t sensor, double truth) {
    const auto& t = transmitters[sensor];
    const double drift = drift_[sensor].at(time_);
    // Backlash makes the torque uneven: its noise is that much wider.
    double wider = 1;
    if (fault_ && fault_->kind == FaultKind::backlash && sensor == torque + fault_->joint) {
      wider += 3 * fault_->progress(time_);
    }
    const double relative = sensor == vibration ? truth : 1;
    const double noise = t.noise * wider * relative * noise_[sensor].normal();
    double value = std::max(0.0, truth + drift * relative + noise);
    value = std::round(value * t.steps_per_unit) / t.steps_per_unit;
    if (fault_ && fault_->kind == FaultKind::stuck_sensor && fault_->sensor == sensor &&
        fault_->active(time_)) {
      value = last_value_[sensor].value_or(value);
    }
    last_value_[sensor] = value;
    return value;
  }

  bool is_lost(std::size_t sensor) const {
    return fault_ && fault_->kind == FaultKind::lost_sensor && fault_->sensor == sensor &&
           fault_->active(time_);
  }
  bool collides(std::size_t joint) const {
    return fault_ && fault_->kind == FaultKind::collision && fault_->joint == joint &&
           fault_->active(time_);
  }
  double progress_on(FaultKind kind, std::size_t joint) const {
    return fault_ && fault_->kind == kind && fault_->joint == joint ? fault_->progress(time_) : 0;
  }
  // degC above normal that the fault leads to in continuous program A; place `joints` is the
  // gearbox.
  double extra_heat(std::size_t place) const {
    if (!fault_) return 0;
    if (fault_->kind == FaultKind::cooling_loss) return fault_->severity * fault_->progress(time_);
    return place < joints ? 6 * progress_on(FaultKind::bearing_wear, place) : 0;
  }
  double current_factor(std::size_t joint) const {
    return 1 + 0.06 * progress_on(FaultKind::bearing_wear, joint) +
           0.12 * progress_on(FaultKind::backlash, joint);
  }
  double torque_factor(std::size_t joint) const {
    const double backlash = progress_on(FaultKind::backlash, joint);
    return 1 + 0.08 * progress_on(FaultKind::bearing_wear, joint) +
           (backlash > 0 ? (fault_->severity - 1) * backlash : 0);
  }
  double vibration_factor() const {
    return fault_ && fault_->kind == FaultKind::bearing_wear
               ? 1 + (fault_->severity - 1) * fault_->progress(time_)
               : 1;
  }

  Schedule schedule_;
  Random timing_, cycle_random_;
  Wander load_;
  Duration period_, phase_{};
  Values factors_{};
  std::vector<Random> noise_, missing_;
  std::vector<Wander> drift_;
  std::array<double, joints + 1> rise_{},
      extra_{};  // degC above ambient; what a fault adds; last: gearbox
  double last_cycle_ = 0, in_cycle_ = 0;
  std::size_t cycle_program_ = idle;
  std::array<std::optional<double>, sensor_count> last_value_{};
  std::optional<Fault> fault_;
  Timestamp time_;
  std::optional<Timestamp> last_time_;
};

// Which of a robot's neighbours gets which fault: of every three robots one, and of every eighteen
// each kind once. That needs no knowledge of how many robots there are.
std::optional<FaultKind> fault_of(std::size_t robot, const Random& root) {
  constexpr std::size_t neighbours = 3, kinds = static_cast<std::size_t>(FaultKind::count_);
  auto random = child(child(root, stream_plan), robot / (neighbours * kinds));
  std::array<std::size_t, kinds> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = kinds - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  std::array<std::size_t, kinds> chosen{};
  for (auto& one : chosen) one = random.below(neighbours);
  const auto group = robot / neighbours % kinds;
  if (robot % neighbours != chosen[group]) return std::nullopt;
  return static_cast<FaultKind>(order[group]);
}

// The first time at or after `from` when the robot works, and goes on working for `length`.
Timestamp working_at(Schedule schedule, Timestamp from, Duration length, Duration step,
                     Timestamp end) {
  auto since_when = from;
  for (auto time = from; time < end; time += step) {
    if (schedule.program(time) == idle) since_when = time + step;
    if (time - since_when >= length) return since_when;
  }
  return from;
}

Fault plan_fault(FaultKind kind, Random random, const Schedule& schedule,
                 const FactoryOptions& options, Timestamp learning_until) {
  const auto run_end = options.start + options.duration;
  const auto left = run_end - learning_until;
  Fault fault;
  fault.kind = kind;
  fault.joint = random.below(joints);
  const bool slow = kind <= FaultKind::backlash;
  fault.start = std::chrono::ceil<milliseconds>(
      learning_until + share_of(left, random.uniform(0, slow ? 0.35 : 0.75)));
  // Short runs squeeze the story; they do not drop it.
  const auto hours_long = [&](double low, double high) {
    return std::min(from_seconds(3600 * random.uniform(low, high)),
                    share_of(run_end - fault.start, 0.55));
  };
  Duration hold = hours_long(1.5, 4);
  switch (kind) {
    case FaultKind::bearing_wear:
      fault.severity = random.uniform(2.4, 3.2);
      fault.ramp = hours_long(6, 10);
      break;
    case FaultKind::cooling_loss:
      fault.severity = random.uniform(15, 20);
      fault.ramp = hours_long(1, 2);
      break;
    case FaultKind::backlash:
      fault.severity = random.uniform(1.22, 1.30);
      fault.ramp = hours_long(0.3, 0.7);
      break;
    case FaultKind::collision:
      fault.severity = random.uniform(3, 6);
      hold = static_cast<int>(3 + random.below(4)) * options.period;
      fault.start = working_at(schedule, fault.start, hold,
                               std::min<Duration>(options.period, minutes{1}), run_end);
      break;
    case FaultKind::stuck_sensor:
      fault.severity = 1;
      // not cycle_time: that repeats itself by nature
      fault.sensor = random.below(vibration + 1);
      break;
    case FaultKind::lost_sensor:
    case FaultKind::count_:
      fault.severity = 1;
      fault.sensor = random.below(sensor_count);
      break;
  }
  fault.repaired = kind == FaultKind::collision || random.chance(0.5);
  fault.end = std::chrono::ceil<milliseconds>(fault.start + fault.ramp + hold);
  if (!fault.repaired || fault.end >= run_end) {
    fault.repaired = false;
    fault.end = run_end;
  }
  return fault;
}

Fault fault_of(const PlannedFault& planned, const FactoryOptions& options) {
  Fault fault;
  fault.kind = planned.kind;
  fault.start = planned.start;
  fault.end =
      std::min(planned.start + planned.ramp + planned.hold, options.start + options.duration);
  fault.repaired = fault.end < options.start + options.duration;
  fault.ramp = planned.ramp;
  fault.severity = planned.severity;
  fault.joint = planned.joint;
  fault.sensor = planned.sensor;
  return fault;
}

std::vector<std::size_t> sensors_of(const Fault& fault) {
  const auto j = fault.joint;
  switch (fault.kind) {
    case FaultKind::bearing_wear:
      return {vibration, temp + j, torque + j, current + j};
    case FaultKind::cooling_loss:
      return {temp, temp + 1, temp + 2, gearbox};
    case FaultKind::backlash:
      return {torque + j, cycle, current + j};
    case FaultKind::collision:
      return {current + j, torque + j};
    case FaultKind::stuck_sensor:
    case FaultKind::lost_sensor:
    case FaultKind::count_:
      break;
  }
  return {fault.sensor};
}

std::string meaning_of(const Fault& fault) {
  const auto name = sensor_types[sensors_of(fault).front()].name;
  switch (fault.kind) {
    case FaultKind::bearing_wear:
      return fmt::format("{} x {:.1f}", name, fault.severity);
    case FaultKind::cooling_loss:
      return fmt::format("temperatures +{:.0f} degC", fault.severity);
    case FaultKind::backlash:
      return fmt::format("{} +{:.0f} %, cycle_time +4 %", name, (fault.severity - 1) * 100);
    case FaultKind::collision:
      return fmt::format("{} x {:.1f}", name, fault.severity);
    case FaultKind::stuck_sensor:
      return fmt::format("{} frozen", name);
    case FaultKind::lost_sensor:
    case FaultKind::count_:
      break;
  }
  return fmt::format("{} missing", name);
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument{what};
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(FaultKind::count_)> names{
      "bearing_wear", "cooling_loss", "backlash", "collision", "stuck_sensor", "lost_sensor"};
  const auto i = static_cast<std::size_t>(kind);
  return i < names.size() ? names[i] : std::string_view{"unknown"};
}

struct Factory::Impl {
  explicit Impl(const FactoryOptions& given) : options(given) {
    require(options.robots >= 1 && options.robots <= 100000, "a factory has 1 to 100000 robots");
    require(options.period >= milliseconds{1}, "the period is at least 1 ms");
    require(options.duration >= options.period, "the duration is at least one period");
    const Random root{options.seed};
    learning_until = options.start + share_of(options.duration, 0.45);
    for (std::size_t i = 0; i < options.robots; ++i) {
      const auto random = child(root, i + 1);
      machines.push_back(fmt::format("R{:03}", i + 1));
      lines.push_back(fmt::format("line{}", i / 10 + 1));
      robots.emplace_back(random, options, works_days_only(i));
      const auto kind = fault_of(i, root);
      if (!options.faults || !options.planned.empty() || !kind) continue;
      const auto fault = plan_fault(*kind, child(random, stream_fault), robots[i].schedule(),
                                    options, learning_until);
      robots[i].plant(fault);
      label(i, fault);
    }
    for (const auto& planned : options.planned) {
      require(planned.robot < robots.size(), "a fault is planned for a robot that is not there");
      require(planned.joint < joints && planned.sensor < sensor_count,
              "a fault is planned for a joint or sensor that is not there");
      const auto fault = fault_of(planned, options);
      robots[planned.robot].plant(fault);
      label(planned.robot, fault);
    }
    std::stable_sort(labels.begin(), labels.end(),
                     [](const Label& a, const Label& b) { return a.start < b.start; });
  }

  bool works_days_only(std::size_t robot) const {
    return options.day_shift_every > 0 && robot % options.day_shift_every == 0;
  }

  void label(std::size_t robot, const Fault& fault) {
    Label out;
    out.robot = robot;
    out.machine = machines[robot];
    out.kind = fault.kind;
    for (const auto sensor : sensors_of(fault)) out.sensors.emplace_back(sensor_types[sensor].name);
    out.start = fault.start;
    out.end = fault.end;
    out.repaired = fault.repaired;
    out.severity = fault.severity;
    out.meaning = meaning_of(fault);
    labels.push_back(std::move(out));
  }

  // The robots of the next period, by the time they send.
  bool begin_period() {
    const auto start = options.start + periods * options.period;
    if (start + options.period > options.start + options.duration) return false;
    ++periods;
    due.clear();
    at = 0;
    for (std::size_t i = 0; i < robots.size(); ++i) {
      if (const auto time = robots[i].sends_at(start)) {
        due.emplace_back(*time, i);
      } else {
        robots[i].measure(unsent);
      }
    }
    std::sort(due.begin(), due.end());
    return true;
  }

  FactoryOptions options;
  Timestamp learning_until;
  std::vector<std::string> machines, lines;
  std::vector<Robot> robots;
  std::vector<Label> labels;
  std::int64_t periods = 0;
  std::vector<std::pair<Timestamp, std::size_t>> due;
  std::size_t at = 0;
  Frame unsent;
};

Factory::Factory(const FactoryOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Factory::~Factory() = default;

std::span<const SensorType> Factory::sensors() { return sensor_types; }
std::size_t Factory::robots() const { return impl_->robots.size(); }
const std::string& Factory::machine(std::size_t robot) const { return impl_->machines.at(robot); }
const std::string& Factory::line(std::size_t robot) const { return impl_->lines.at(robot); }
bool Factory::works_days_only(std::size_t robot) const { return impl_->works_days_only(robot); }
const std::vector<Label>& Factory::labels() const { return impl_->labels; }
Timestamp Factory::learning_until() const { return impl_->learning_until; }
Timestamp Factory::end() const { return impl_->options.start + impl_->options.duration; }

bool Factory::next(Frame& out) {
  auto& impl = *impl_;
  while (impl.at == impl.due.size()) {
    if (!impl.begin_period()) return false;
  }
  const auto robot = impl.due[impl.at++].second;
  impl.robots[robot].measure(out);
  out.robot = robot;
  return true;
}

}  // namespace millwright::simulator
