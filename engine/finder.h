// Finds the regimes of a machine whose programs nothing names, from how its sensors stand together
// (docs/regimes.md, docs/decisions/013-learned-regimes.md). Sees readings in the order of the
// input, before they are judged, so nothing depends on how that is cut.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/levels.h"
#include "engine/regime.h"
#include "engine/whole.h"

namespace millwright::engine {

class RegimeFinder {
 public:
  // Takes a reading in; tells `regimes` what it found and when the machine changed. With `regimes`
  // as they are then, `holds` says whether this very reading is what a change looks like.
  void take(const RegimeRule& rule, std::size_t place, const Sample& sample, Regimes& regimes);
  // Does the reading just taken, or one before it in its frame, leave the regime that the machine
  // was in when the last frame was over? Until this frame is, nobody knows what it is.
  bool holds() const { return held_; }
  // Two states or more: until then all is one normal state, as if nobody asked.
  bool found() const { return !centres_.empty(); }
  // What is normal is learned anew: the states stay, with their numbers, and new ones may join.
  void reopen();

  static void fields(auto& io, auto& f) {
    io(f.frames_, f.rows_, f.before_, f.leaps_, f.stride_, f.skipped_, f.looked_, f.taken_, f.last_,
       f.centres_, f.far_, f.half_, f.current_, f.away_, f.held_, f.candidate_, f.since_near_);
    detectors::refuse_unless(io, f.is_sound());
  }

 private:
  // A state that is none of those known, while new ones may join.
  struct Candidate {
    std::uint32_t frames = 0;
    Timestamp began{};
    std::vector<double> mean;
    static void fields(auto& io, auto& c) { io(c.frames, c.began, c.mean); }
  };
  // The farthest that a channel went within a few frames, rising.
  struct Leaps {
    std::array<double, 3> farthest{};
    static void fields(auto& io, auto& l) {
      io(l.farthest);
      for (const double x : l.farthest) detectors::refuse_unless(io, x >= 0);
    }
  };
  static constexpr std::size_t most_values = 12288, most_rows = 192;
  static constexpr std::size_t most_states = 16;
  static constexpr std::uint32_t most_stride = 1U << 24;

  bool is_sound() const;
  bool is_open(const RegimeRule& rule) const { return looked_ < rule.find; }
  void close_frame(const RegimeRule& rule, Regimes& regimes);
  void note_leaps();
  void look(const RegimeRule& rule, Timestamp began, Regimes& regimes);
  void judge_rows(const RegimeRule& rule, Timestamp began, Regimes& regimes);
  void adopt(const States& states);
  void follow(const RegimeRule& rule, Timestamp began, Regimes& regimes);
  bool join(const RegimeRule& rule, Timestamp began, std::size_t nearest, Regimes& regimes);
  void enter(std::uint8_t state, Timestamp time, Regimes& regimes);
  void note_away();
  // How far from a centre, 0..1: the mean over the channels that tell.
  double distance(const std::vector<double>& values, const std::vector<double>& centre) const;
  // So many sensors are farther from it than any state is from its values.
  std::size_t sensors_beyond(const std::vector<double>& values, const std::vector<double>& centre,
                             double part) const;
  bool leaves(const RegimeRule& rule, std::size_t channel, double value) const;

  Frames frames_;
  Rows rows_;                               // while nothing is found
  std::vector<double> before_;              // a few frames ago
  std::vector<Leaps> leaps_;                // by channel
  std::uint32_t stride_ = 1, skipped_ = 0;  // one frame of so many becomes a row
  Duration looked_{0};                      // for so long new states could join
  std::uint64_t taken_ = 0;                 // frames in that time
  Timestamp last_{};                        // the frame before
  std::vector<std::vector<double>> centres_;
  std::vector<double> far_, half_;  // by channel: beyond, it is no state known; half a gap
  std::uint8_t current_ = 0;        // the state of the newest frame
  std::vector<std::uint8_t> away_;  // by channel: it left its state a frame ago and did not return
  bool held_ = false;
  Candidate candidate_;
  std::uint32_t since_near_ = 0;  // frames since it was close to a centre
  std::vector<double> values_;    // not state
};

}  // namespace millwright::engine
