#include "detectors/bearing.h"

#include <array>
#include <cmath>
#include <numbers>

namespace millwright::detectors {
namespace {

constexpr std::array<KnownBearing, 5> known{{
    {"6203", {8, 6.746, 28.5, 0}},            // Case Western Reserve University, fan end
    {"6204", {8, 7.938, 33.5, 0}},            // 20 x 47 mm, balls of 5/16 inch
    {"6205", {9, 7.940, 39.04, 0}},           // Case Western Reserve University, drive end
    {"UER204", {8, 7.92, 34.55, 0}},          // XJTU-SY data set
    {"ZA-2115", {16, 8.407, 71.501, 15.17}},  // NASA/IMS data set: 0.331 and 2.815 inch
}};

}  // namespace

BearingOrders orders_of(const BearingGeometry& geometry) {
  const double n = geometry.balls;
  const double ratio = geometry.ball_mm / geometry.pitch_mm;
  const double g = ratio * std::cos(geometry.angle_deg * std::numbers::pi / 180);
  return {.outer = n * (1 - g) / 2,
          .inner = n * (1 + g) / 2,
          .ball = (1 - g * g) / (2 * ratio),
          .cage = (1 - g) / 2};
}

std::span<const KnownBearing> known_bearings() { return known; }

std::optional<BearingGeometry> find_bearing(std::string_view name) {
  for (const auto& bearing : known) {
    if (bearing.name == name) return bearing.geometry;
  }
  return std::nullopt;
}

}  // namespace millwright::detectors
