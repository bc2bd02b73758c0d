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
//     struct Params { ...; static void describe(auto& visit, auto& p); };
//     struct State { ...; static void fields(auto& io, auto& s); };   // save and load in one
//     // Pure; nothing while warming up.
//     static std::optional<Score> score(const Params&, const State&, Sample);
//     // Follows score, once per reading. Returns void, or Learned where a lasting change can be
//     // accepted.
//     static void learn(const Params&, State&, Sample, Trust);
//     // Optional: asked at ticks.
//     static std::optional<Score> silence(const Params&, const State&, Timestamp now);
//     // Optional: 0..1, how much of what the baseline can hold it has learned.
//     static double confidence(const Params&, const State&);
//     // Optional: which features spoke, for a detector of several; the Sample is not learned yet.
//     static std::vector<Contribution> contributions(const Params&, const State&, Sample);
//     // Optional: when the value will reach a limit.
//     static std::optional<Forecast> forecast(const Params&, const State&, Sample);
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
#include "core/parameters.h"
#include "core/reading.h"
#include "core/score.h"

namespace millwright::detectors {

// Which time a detector's samples carry: the event time of the reading, or the moment it arrived
// (processing time). Those on `arrival` see every sign of life, late and repeated readings
// included.
enum class Timeline : std::uint8_t { event, arrival };

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

template <class D>
concept RenewsItself = requires(const typename D::Params& params, typename D::State& state) {
  { D::renew(params, state) } -> std::same_as<void>;
};

// A sensor's place in a column.
using Slot = std::uint32_t;

struct Item {
  Slot slot = 0;
  Sample sample;
};

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
};

// A detector without its type: what the engine, the config parser, the schema and the docs need to
// know.
struct DetectorType {
  std::string_view name;
  AlertKind kind{};
  std::uint16_t state_version = 1;
  Timeline timeline{};
  bool hears_silence = false;
  std::size_t state_bytes = 0;             // in memory, per sensor
  std::vector<Parameter> (*parameters)();  // the descriptions
  std::unique_ptr<Column> (*make_column)();
};

template <Detector D>
class ColumnOf final : public Column {
 public:
  Slot add(const ParameterValues& values) override {
    const auto params = apply_parameters<typename D::Params>(values);
    const auto fingerprint = fingerprint_of(params, D::name, D::state_version);
    std::uint32_t set = 0;
    while (set < fingerprints_.size() && fingerprints_[set] != fingerprint) ++set;
    if (set == fingerprints_.size()) {
      fingerprints_.push_back(fingerprint);
      params_.push_back(params);
    }
    sets_.push_back(set);
    states_.emplace_back();
    return static_cast<Slot>(states_.size() - 1);
  }

  void score(std::span<const Item> items, std::span<std::optional<Score>> out) const override {
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i);
      const auto& item = items[i];
      out[i] = D::score(params_[sets_[item.slot]], states_[item.slot], item.sample);
    }
  }

  void learn(std::span<const Item> items, std::span<const Trust> trust,
             std::span<Learned> learned) override {
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i);
      const auto& [slot, sample] = items[i];
      auto& state = states_[slot];
      if constexpr (AcceptsChange<D>) {
        learned[i] = D::learn(params_[sets_[slot]], state, sample, trust[i]);
      } else {
        D::learn(params_[sets_[slot]], state, sample, trust[i]);
        learned[i] = Learned::as_usual;
      }
    }
  }

  Explanation explain(const Item& item) const override {
    Explanation out;
    const auto& params = params_[sets_[item.slot]];
    const auto& state = states_[item.slot];
    if constexpr (KnowsConfidence<D>) out.confidence = D::confidence(params, state);
    if constexpr (NamesFeatures<D>) out.features = D::contributions(params, state, item.sample);
    if constexpr (LooksAhead<D>) out.forecast = D::forecast(params, state, item.sample);
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
    return whole;
  }
  void reset(Slot slot) override { states_[slot] = typename D::State{}; }
  void renew(Slot slot) override {
    if constexpr (RenewsItself<D>) {
      D::renew(params_[sets_[slot]], states_[slot]);
    } else {
      reset(slot);
    }
  }
  std::uint64_t fingerprint(Slot slot) const override { return fingerprints_[sets_[slot]]; }

 private:
  void prefetch(std::span<const Item> items, std::size_t i) const {
    if (i + 8 < items.size()) __builtin_prefetch(&states_[items[i + 8].slot]);
  }

  std::vector<typename D::Params> params_;  // one per distinct set
  std::vector<std::uint64_t> fingerprints_;
  std::vector<std::uint32_t> sets_;        // slot -> its parameters
  std::vector<typename D::State> states_;  // slot -> its state
};

template <Detector D>
constexpr DetectorType type_of() {
  return {D::name,
          D::kind,
          D::state_version,
          D::timeline,
          HearsSilence<D>,
          sizeof(typename D::State),
          &describe_parameters<typename D::Params>,
          []() -> std::unique_ptr<Column> { return std::make_unique<ColumnOf<D>>(); }};
}

}  // namespace millwright::detectors
