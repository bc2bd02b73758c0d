// The contract of a per-sensor detector, and the column that holds one detector's states for all
// sensors of a lane.
//
// A detector is a plain struct:
//
//   struct Spike {
//     static constexpr std::string_view name = "spike";
//     static constexpr AlertKind kind = AlertKind::spike;
//     static constexpr std::uint16_t state_version = 1;   // rises when State's bytes change
//     static constexpr Timeline timeline = Timeline::event;
//     // Optional: parameters speak of the sensor's own values, so those are what it sees, whatever
//     // regime the machine is in. Others learn from values measured against the regime.
//     static constexpr bool absolute = true;
//     struct Params { ...; static void describe(auto& visit, auto& p); };
//     struct State { ...; static void fields(auto& io, auto& s); };   // save and load in one
//     // Pure; nothing while warming up.
//     static std::optional<Score> score(const Params&, const State&, Sample);
//     // Follows score, once per reading. Returns void, or Learned where a lasting change can be
//     // accepted.
//     static void learn(const Params&, State&, Sample, Trust);
//     // Optional: what score works out and learn needs again, as a plain struct; then both also
//     have
//     // a form with a Memo& (score) or a const Memo& (learn) as their last argument.
//     struct Memo { ... };
//     // Optional: asked at ticks.
//     static std::optional<Score> silence(const Params&, const State&, Timestamp now);
//     // Optional: 0..1, how much of what the baseline can hold it has learned.
//     static double confidence(const Params&, const State&);
//     // Optional: which features spoke, for a detector of several; the Sample is not learned yet.
//     static std::vector<Contribution> contributions(const Params&, const State&, Sample);
//     // Optional: when the value will reach a limit.
//     static std::optional<Forecast> forecast(const Params&, const State&, Sample);
//     // Optional: the figures that went into the score, and how they make it up again: an alert
//     // carries them.
//     static std::vector<Number> numbers(const Params&, const State&, Sample);
//     static std::optional<double> recompute(const Told&);
//     // Optional: a new baseline (the machine was serviced); without it the state starts anew. May
//     // keep what no service changes, such as the sensor's rate.
//     static void renew(const Params&, State&);
//   };
//
// Adding one: a header here, its name in all.h, a page docs/detectors/<name>.md, a test
// tests/detectors/<name>_test.cpp.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/codec.h"
#include "core/large_pages.h"
#include "core/parameters.h"
#include "core/reading.h"
#include "core/score.h"

namespace millwright::detectors {

// What a detector's samples carry.
enum class Timeline : std::uint8_t {
  event,    // event time and value of the reading
  arrival,  // the moment it arrived (processing time), and its value: every sign of life, late and
            // repeated readings included
  stamp     // the moment it arrived, and how many seconds its time is ahead of the gateway's clock
            // (< 0: behind), where it is wrong, else 0. Wrong is what is refused for its time, or
            // far behind
};

template <class D>
concept Detector = requires(const typename D::Params& params, const typename D::State& state,
                            typename D::State& learner, Sample sample, Trust trust) {
  { D::name } -> std::convertible_to<std::string_view>;
  { D::kind } -> std::convertible_to<AlertKind>;
  { D::state_version } -> std::convertible_to<std::uint16_t>;
  { D::timeline } -> std::convertible_to<Timeline>;
  { D::score(params, state, sample) } -> std::same_as<std::optional<Score>>;
  D::learn(params, learner, sample, trust);
};

template <class D>
concept HearsSilence = requires(const typename D::Params& params, const typename D::State& state,
                                Timestamp now) {
  { D::silence(params, state, now) } -> std::same_as<std::optional<Score>>;
};

template <class D>
concept Remembers = requires(const typename D::Params& params, const typename D::State& state,
                             typename D::State& learner, Sample sample, Trust trust,
                             typename D::Memo& memo) {
  { D::score(params, state, sample, memo) } -> std::same_as<std::optional<Score>>;
  D::learn(params, learner, sample, trust, memo);
};

template <class D>
concept AcceptsChange = requires(const typename D::Params& params, typename D::State& learner,
                                 Sample sample, Trust trust) {
  { D::learn(params, learner, sample, trust) } -> std::same_as<Learned>;
};

template <class D>
concept KnowsConfidence = requires(const typename D::Params& params,
                                   const typename D::State& state) {
  { D::confidence(params, state) } -> std::same_as<double>;
};

template <class D>
concept NamesFeatures = requires(const typename D::Params& params, const typename D::State& state,
                                 Sample sample) {
  { D::contributions(params, state, sample) } -> std::same_as<std::vector<Contribution>>;
};

template <class D>
concept LooksAhead = requires(const typename D::Params& params, const typename D::State& state,
                              Sample sample) {
  { D::forecast(params, state, sample) } -> std::same_as<std::optional<Forecast>>;
};

// What an alert tells of a score: enough to work its ratio out again where the detector has
// `recompute`.
struct Told {
  std::span<const Number> numbers;
  std::span<const Sample> evidence;  // oldest first
  Timestamp time;                    // of the event
  std::optional<double> number(std::string_view name) const {
    for (const auto& one : numbers) {
      if (one.name == name) return one.value;
    }
    return std::nullopt;
  }
};

template <class D>
concept NamesNumbers = requires(const typename D::Params& params, const typename D::State& state,
                                Sample sample, const Told& told) {
  { D::numbers(params, state, sample) } -> std::same_as<std::vector<Number>>;
  { D::recompute(told) } -> std::same_as<std::optional<double>>;
};

template <class D>
concept RenewsItself = requires(const typename D::Params& params, typename D::State& state) {
  { D::renew(params, state) } -> std::same_as<void>;
};

// Figures that the engine adds where they are not 1 and not there: the score is the larger of the
// detector's ratio over the first, and the second (of a reading that the next one bears out).
inline constexpr std::string_view alarm_limit_number = "alarm_limit",
                                  earlier_score_number = "earlier_score";

// A sensor's place in a column.
using Slot = std::uint32_t;

struct Item {
  Slot slot = 0;
  Sample sample;
};

// Readings that the engine has scored before they are learned: states and notes of `auto` (4.5 KB a
// sensor) are then still near the processor.
inline constexpr std::size_t most_of_batch = 64;

// Thread rule: one thread. A batch holds each slot at most once.
class Column {
 public:
  virtual ~Column() = default;

  // Adds a sensor with these parameters and a fresh state.
  virtual Slot add(const ParameterValues& parameters) = 0;
  // Scores before learning; `out` has one place per item.
  virtual void score(std::span<const Item> items, std::span<std::optional<Score>> out) const = 0;
  // `learned` has one place per item.
  virtual void learn(std::span<const Item> items, std::span<const Trust> trust,
                     std::span<Learned> learned) = 0;
  // Why `score` says of this sample what it says; before it is learned.
  virtual Explanation explain(const Item& item) const = 0;
  // Asks every sensor for its silence score; only for detectors that hear silence. `out` is indexed
  // by slot.
  virtual void silence(Timestamp now, std::vector<std::optional<Score>>& out) const = 0;

  virtual void save(Slot slot, Writer& out) const = 0;
  // False, with the slot reset, when the bytes are not a whole state.
  virtual bool restore(Slot slot, std::string_view bytes) = 0;
  virtual void reset(Slot slot) = 0;
  // A new baseline, after a service or by a person's will.
  virtual void renew(Slot slot) = 0;
  virtual std::uint64_t fingerprint(Slot slot) const = 0;
  // Another value of the alarm parameter, where the detector has one; what was learned stays.
  virtual void retune(Slot slot, double limit) = 0;
};

// A detector without its type: what the engine, the config parser, the schema and the docs need to
// know.
struct DetectorType {
  std::string_view name;
  AlertKind kind{};
  std::uint16_t state_version = 1;
  Timeline timeline{};
  bool hears_silence = false;
  bool absolute = false;                   // see above
  std::size_t state_bytes = 0;             // in memory, per sensor
  std::string_view alarm_parameter;        // see alarm_parameter_of
  std::vector<Parameter> (*parameters)();  // the descriptions
  std::unique_ptr<Column> (*make_column)();
  std::optional<double> (*recompute)(const Told&) = nullptr;  // null: needs what was learned
};

// The parameter that says at which ratio an alarm is raised, of a detector that controls its alarms
// itself (D::alarm_parameter); `sensitivity` sets it, and what was learned stays. Else empty.
template <class D>
constexpr std::string_view alarm_parameter_of() {
  if constexpr (requires { D::alarm_parameter; }) {
    return D::alarm_parameter;
  } else {
    return {};
  }
}

// What the newest `score` worked out, by item; `learn` takes some or all of these items in the same
// order. Of no use to other samples, and empty for detectors that remember nothing.
template <class D>
class Notes {
 public:
  void clear() {}
  void begin(std::size_t) {}
};
template <class D>
requires Remembers<D>
class Notes<D> {
 public:
  void clear() {
    items_.clear();
    next_ = 0;
  }
  void begin(std::size_t items) {
    clear();
    if (memos_.size() < items) memos_.resize(items);
  }
  typename D::Memo& take(const Item& item) {
    items_.push_back(item);
    return memos_[items_.size() - 1];
  }
  const typename D::Memo* find(const Item& item) {
    for (; next_ < items_.size(); ++next_) {
      const auto& noted = items_[next_];
      const bool same = noted.slot == item.slot && noted.sample.time == item.sample.time &&
                        noted.sample.value == item.sample.value;
      if (same) return &memos_[next_++];
    }
    return nullptr;
  }

 private:
  std::vector<Item> items_;
  std::vector<typename D::Memo> memos_;
  std::size_t next_ = 0;
};

template <Detector D>
class ColumnOf final : public Column {
 public:
  Slot add(const ParameterValues& values) override {
    sets_.push_back(set_of(apply_parameters<typename D::Params>(values)));
    states_.emplace_back();
    return static_cast<Slot>(states_.size() - 1);
  }

  void score(std::span<const Item> items, std::span<std::optional<Score>> out) const override {
    notes_.begin(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i);
      const auto& item = items[i];
      const auto& params = params_[sets_[item.slot]];
      if constexpr (Remembers<D>) {
        out[i] = D::score(params, states_[item.slot], item.sample, notes_.take(item));
      } else {
        out[i] = D::score(params, states_[item.slot], item.sample);
      }
    }
  }

  void learn(std::span<const Item> items, std::span<const Trust> trust,
             std::span<Learned> learned) override {
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i);
      const auto& [slot, sample] = items[i];
      const auto& params = params_[sets_[slot]];
      auto& state = states_[slot];
      if constexpr (Remembers<D>) {
        const auto* memo = notes_.find(items[i]);
        learned[i] = memo != nullptr ? D::learn(params, state, sample, trust[i], *memo)
                                     : D::learn(params, state, sample, trust[i]);
      } else if constexpr (AcceptsChange<D>) {
        learned[i] = D::learn(params, state, sample, trust[i]);
      } else {
        D::learn(params, state, sample, trust[i]);
        learned[i] = Learned::as_usual;
      }
    }
    notes_.clear();
  }

  Explanation explain(const Item& item) const override {
    Explanation out;
    const auto& params = params_[sets_[item.slot]];
    const auto& state = states_[item.slot];
    if constexpr (KnowsConfidence<D>) out.confidence = D::confidence(params, state);
    if constexpr (NamesFeatures<D>) out.features = D::contributions(params, state, item.sample);
    if constexpr (LooksAhead<D>) out.forecast = D::forecast(params, state, item.sample);
    if constexpr (NamesNumbers<D>) out.numbers = D::numbers(params, state, item.sample);
    return out;
  }

  void silence(Timestamp now, std::vector<std::optional<Score>>& out) const override {
    out.assign(states_.size(), std::nullopt);
    if constexpr (HearsSilence<D>) {
      for (std::size_t i = 0; i < states_.size(); ++i)
        out[i] = D::silence(params_[sets_[i]], states_[i], now);
    }
  }

  void save(Slot slot, Writer& out) const override { out(states_[slot]); }
  bool restore(Slot slot, std::string_view bytes) override {
    typename D::State state;
    Reader reader{bytes};
    reader(state);
    const bool whole = reader.ok() && reader.at_end();
    states_[slot] = whole ? state : typename D::State{};
    notes_.clear();
    return whole;
  }
  void reset(Slot slot) override {
    states_[slot] = typename D::State{};
    notes_.clear();
  }
  void renew(Slot slot) override {
    if constexpr (RenewsItself<D>) {
      D::renew(params_[sets_[slot]], states_[slot]);
      notes_.clear();
    } else {
      reset(slot);
    }
  }
  std::uint64_t fingerprint(Slot slot) const override { return fingerprints_[sets_[slot]]; }
  void retune(Slot slot, double limit) override {
    if constexpr (!alarm_parameter_of<D>().empty()) {
      auto params = params_[sets_[slot]];
      SetAlarm visit{limit};
      D::Params::describe(visit, params);
      sets_[slot] = set_of(params);
      notes_.clear();
    }
  }

 private:
  struct SetAlarm {
    double limit;
    void operator()(std::string_view name, std::string_view, Range, std::string_view, auto& v) {
      if constexpr (std::is_same_v<std::remove_reference_t<decltype(v)>, double>) {
        if (name == alarm_parameter_of<D>()) v = limit;
      }
    }
  };

  // The place of these parameters among the sets.
  std::uint32_t set_of(const typename D::Params& params) {
    const auto key = fingerprint_of(params, D::name, D::state_version);
    std::uint32_t set = 0;
    while (set < keys_.size() && keys_[set] != key) ++set;
    if (set == keys_.size()) {
      keys_.push_back(key);
      fingerprints_.push_back(
          fingerprint_of(params, D::name, D::state_version, alarm_parameter_of<D>()));
      params_.push_back(params);
    }
    return set;
  }

  // Small states some way ahead; of large ones all lines of the next, which take as long to come as
  // one takes to work out.
  void prefetch(std::span<const Item> items, std::size_t i) const {
    constexpr std::size_t size = sizeof(typename D::State), line = 64;
    constexpr std::size_t ahead = size > 16 * line ? 1 : 8;
    if (i + ahead >= items.size()) return;
    const auto* next = reinterpret_cast<const char*>(&states_[items[i + ahead].slot]);
    if constexpr (size > 16 * line) {
      for (std::size_t at = 0; at < size; at += line) __builtin_prefetch(next + at);
    } else {
      __builtin_prefetch(next);
    }
  }

  std::vector<typename D::Params> params_;                                // one per distinct set
  std::vector<std::uint64_t> keys_;                                       // of the sets
  std::vector<std::uint64_t> fingerprints_;                               // of what shapes a state
  std::vector<std::uint32_t> sets_;                                       // slot -> its parameters
  std::vector<typename D::State, LargePages<typename D::State>> states_;  // slot -> its state
  mutable Notes<D> notes_;  // between a score and the learn that follows
};

template <class D>
constexpr bool is_absolute() {
  if constexpr (requires { D::absolute; }) {
    return D::absolute;
  } else {
    return false;
  }
}

template <class D>
constexpr auto recompute_of() -> std::optional<double> (*)(const Told&) {
  if constexpr (NamesNumbers<D>) {
    return &D::recompute;
  } else {
    return nullptr;
  }
}

template <Detector D>
constexpr DetectorType type_of() {
  return {D::name,
          D::kind,
          D::state_version,
          D::timeline,
          HearsSilence<D>,
          is_absolute<D>(),
          sizeof(typename D::State),
          alarm_parameter_of<D>(),
          &describe_parameters<typename D::Params>,
          []() -> std::unique_ptr<Column> { return std::make_unique<ColumnOf<D>>(); },
          recompute_of<D>()};
}

}  // namespace millwright::detectors
