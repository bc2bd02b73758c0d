// The frequencies at which a damaged rolling bearing knocks, from its geometry.
//
// As orders, turns of the shaft = 1; the outer ring stands still, the balls roll without slip
// (Harris & Kotzalas 2006, "Essential Concepts of Bearing Technology", ch. 9). With
// g = (ball / pitch) cos(angle) and n balls:
//   cage           FTF  = (1 - g) / 2
//   outer race     BPFO = n (1 - g) / 2
//   inner race     BPFI = n (1 + g) / 2
//   ball, one turn BSF  = (pitch / ball) (1 - g^2) / 2
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace millwright::detectors {

struct BearingGeometry {
  std::uint32_t balls = 0;  // rolling elements in one row
  double ball_mm = 0;       // their diameter
  double pitch_mm = 0;      // of the circle through their centres
  double angle_deg = 0;     // contact angle
  friend bool operator==(const BearingGeometry&, const BearingGeometry&) = default;
};

// Multiples of the speed of the shaft.
struct BearingOrders {
  double outer = 0, inner = 0, ball = 0, cage = 0;
};

// Positive balls and diameters, ball_mm < pitch_mm, |angle_deg| < 90.
BearingOrders orders_of(const BearingGeometry& geometry);

// Bearings whose geometry is published (docs/waveforms.md says where).
struct KnownBearing {
  std::string_view name;
  BearingGeometry geometry;
};
std::span<const KnownBearing> known_bearings();
std::optional<BearingGeometry> find_bearing(std::string_view name);

}  // namespace millwright::detectors
