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
//     static std::optional<Score> score(const Params&, const State&, Sample);   // pure; nothing
//     while warming up static void learn(const Params&, State&, Sample, Trust);                  //
//     follows score, once per reading static std::optional<Score> silence(const Params&, const
//     State&, Timestamp now);  // optional: asked at ticks
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
  { D::learn(params, learner, sample, trust) } -> std::same_as<void>;
};

template <class D>
concept HearsSilence = requires(const typename D::Params& params, const typename D::State& state,
                                Timestamp now) {
  { D::silence(params, state, now) } -> std::same_as<std::optional<Score>>;
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
  virtual void learn(std::span<const Item> items, std::span<const Trust> trust) = 0;
  // Asks every sensor for its silence score; only for detectors that hear silence. `out` is indexed
  // by slot.
  virtual void silence(Timestamp now, std::vector<std::optional<Score>>& out) const = 0;

  virtual void save(Slot slot, Writer& out) const = 0;
  // False, with the slot reset, when the bytes are not a whole state.
  virtual bool restore(Slot slot, std::string_view bytes) = 0;
  virtual void reset(Slot slot) = 0;
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

  void learn(std::span<const Item> items, std::span<const Trust> trust) override {
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i);
      const auto& item = items[i];
      D::learn(params_[sets_[item.slot]], states_[item.slot], item.sample, trust[i]);
    }
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
