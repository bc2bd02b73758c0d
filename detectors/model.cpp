// The one step of recursive least squares; the only place that needs matrices.
#include "detectors/model.h"

#include <Eigen/Core>

namespace millwright::detectors {

void LeastSquares::learn(const Vector& inputs, double error, double kept) {
  using Vector4 = Eigen::Matrix<double, order, 1>;
  using Square = Eigen::Matrix<double, order, order>;
  const Eigen::Map<const Vector4> input{inputs.data()};
  Eigen::Map<Vector4> weight{weights.data()};
  Eigen::Map<Square> spread{covariance.data()};

  const Vector4 seen = spread * input;
  const double excited = input.dot(seen);
  if (!(excited >= 0)) {  // lost to rounding, or never sound
    spread = ridge * Square::Identity();
    return;
  }
  const Vector4 gain = seen / (kept + excited);
  weight = (weight + gain * error).cwiseMax(-largest_weight).cwiseMin(largest_weight);
  Square next = (spread - gain * seen.transpose()) / kept;
  next = (0.5 * (next + next.transpose())).eval();
  // Without excitation forgetting would let it grow for ever.
  const double trace = next.trace(), most = order * ridge;
  if (trace > most) next *= most / trace;
  const bool sound = next.allFinite() && next.diagonal().minCoeff() > 0;
  spread = sound ? next : Square{ridge * Square::Identity()};
}

}  // namespace millwright::detectors
