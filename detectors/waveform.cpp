#include "detectors/waveform.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <unsupported/Eigen/FFT>

namespace millwright::detectors {
namespace {

using Complex = std::complex<double>;

constexpr double hann_power = 0.375;  // mean square of the window
constexpr int harmonics = 3;
constexpr double nearest_line = 2;  // bins: below this a line is not told from the mean
constexpr std::size_t most_candidates = 2048;

// |X|^2 of one bin under a periodic Hann window, from the spectrum without one.
double hann_square(const Complex& before, const Complex& at, const Complex& after) {
  return std::norm(0.5 * at - 0.25 * (before + after));
}

// A line and those beside it, in bins of the envelope's spectrum.
struct Lines {
  double base = 0, sideband = 0;  // no sidebands: 0
};

}  // namespace

std::size_t quick_length(std::size_t samples) {
  // A multiple of 4: the transform of real numbers is done in half the length then.
  std::size_t best = 16;
  for (std::size_t five = 4; five <= samples; five *= 5) {
    for (std::size_t three = five; three <= samples; three *= 3) {
      std::size_t two = three;
      while (two * 2 <= samples) two *= 2;
      best = std::max(best, two);
    }
  }
  return best;
}

namespace {

// The least such length from `samples` up.
std::size_t quick_length_above(std::size_t samples) {
  std::size_t best = 16;
  while (best < samples) best *= 2;
  for (std::size_t five = 4; five < best; five *= 5) {
    for (std::size_t three = five; three < best; three *= 3) {
      std::size_t two = three;
      while (two < samples) two *= 2;
      best = std::min(best, two);
    }
  }
  return best;
}

}  // namespace

bool is_clipped(std::span<const float> samples) {
  if (samples.empty()) return false;
  const Eigen::Map<const Eigen::ArrayXf> x{samples.data(),
                                           static_cast<Eigen::Index>(samples.size())};
  const float high = x.maxCoeff(), low = x.minCoeff();
  if (high == low) return false;  // says nothing at all: `stuck`
  constexpr Eigen::Index few = 8, times = 8;
  const auto piles_up = [&](float extreme) {
    const auto count = (x == extreme).count();
    if (count < few) return false;
    const bool top = extreme == high;
    float next = top ? low : high;
    Eigen::Index near = 0;
    for (const float value : samples) {
      if (value == extreme) continue;
      if (top ? value > next : value < next) {
        next = value;
        near = 0;
      }
      near += value == next;
    }
    return count >= times * near;
  };
  return piles_up(high) || piles_up(low);
}

bool reaches(std::span<const float> samples, double full_scale) {
  const auto limit = static_cast<float>(0.999 * full_scale);
  return std::any_of(samples.begin(), samples.end(),
                     [limit](float x) { return std::abs(x) >= limit; });
}

Band envelope_band(const WaveformParams& params, double rate_hz) {
  const double highest = 0.45 * rate_hz;
  const double high = std::min(params.envelope_high_hz.value_or(10000), highest);
  const double low = params.envelope_low_hz.value_or(std::min(2000.0, rate_hz / 8));
  return {"envelope", std::min(low, high), high};
}

std::vector<Band> bands_of(const WaveformParams& params, double rate_hz) {
  if (!params.bands.empty()) return params.bands;
  return {{"band_1", 0, rate_hz / 16},
          {"band_2", rate_hz / 16, rate_hz / 8},
          {"band_3", rate_hz / 8, rate_hz / 4},
          {"band_4", rate_hz / 4, rate_hz / 2}};
}

struct WaveformAnalyser::Scratch {
  Scratch() { renew_plans(); }

  // Plans of lengths that are not used any more go when there are many.
  void renew_plans() {
    fft = {};
    fft.SetFlag(Eigen::FFT<double>::HalfSpectrum);
    fft.SetFlag(Eigen::FFT<double>::Unscaled);
    lengths.clear();
  }
  void note(std::size_t length) {
    if (std::find(lengths.begin(), lengths.end(), length) != lengths.end()) return;
    constexpr std::size_t most_plans = 32;
    if (lengths.size() >= most_plans) renew_plans();
    lengths.push_back(length);
  }
  void forward(std::size_t length, const double* in, std::vector<Complex>& out) {
    note(length);
    out.resize(std::max(out.size(), length / 2 + 1));
    fft.fwd(out.data(), in, static_cast<Eigen::Index>(length));
  }

  void in_time(std::span<const float> samples, WaveformFeatures& out);
  void spectrum(std::size_t length);
  void in_frequency(const WaveformParams& params, std::size_t length, double rate_hz,
                    WaveformFeatures& out);
  double power_between(double low_hz, double high_hz, double step_hz) const;
  bool envelope(const WaveformParams& params, std::size_t length, double rate_hz);
  double turns(const ShaftSpeed& speed, double seconds);
  void to_angle(const ShaftSpeed& speed, double seconds, double turned);
  std::optional<double> line_at(const Lines& lines, double slip) const;

  Eigen::FFT<double> fft;
  std::vector<std::size_t> lengths;  // that fft has plans for
  Eigen::ArrayXd x, squares;         // centred samples
  std::vector<Complex> bins;         // of x, without a window
  std::vector<double> power;         // one-sided, Hann window; power[k] of bin k
  std::vector<Complex> band, analytic;
  std::vector<double> magnitude, even;  // of the analytic signal, by time and by angle
  std::size_t count = 0;                // of magnitude
  std::vector<Complex> envelope_bins;
  std::vector<double> envelope_squares;  // amplitude^2 of a bin
  std::vector<double> angle;             // turns at the points of the speed
};

void WaveformAnalyser::Scratch::in_time(std::span<const float> samples, WaveformFeatures& out) {
  const auto n = static_cast<Eigen::Index>(samples.size());
  x = Eigen::Map<const Eigen::ArrayXf>{samples.data(), n}.cast<double>();
  const double high = x.maxCoeff(), low = x.minCoeff();
  out.peak_to_peak = high - low;
  if (high == low) {
    x.setZero();
    return;
  }
  const double mean = x.mean();
  x -= mean;
  squares = x.square();
  const double variance = squares.mean();
  out.rms = std::sqrt(variance);
  out.peak = std::max(high - mean, mean - low);
  out.crest = out.peak / out.rms;
  out.skewness = (squares * x).mean() / (variance * out.rms);
  out.kurtosis = squares.square().mean() / (variance * variance);
}

void WaveformAnalyser::Scratch::spectrum(std::size_t length) {
  forward(length, x.data(), bins);
  const std::size_t half = length / 2;
  power.resize(half);
  const auto n = static_cast<double>(length);
  const double scale = 2 / (n * n * hann_power);
  power[0] = 0;
  for (std::size_t k = 1; k < half; ++k)
    power[k] = scale * hann_square(bins[k - 1], bins[k], bins[k + 1]);
}

// Bins from `low_hz` up to, and without, `high_hz`.
double WaveformAnalyser::Scratch::power_between(double low_hz, double high_hz,
                                                double step_hz) const {
  const auto bin = [&](double hz) {
    const double at = std::ceil(hz / step_hz - 1e-9);
    return static_cast<std::size_t>(std::clamp(at, 1.0, static_cast<double>(power.size())));
  };
  double sum = 0;
  for (std::size_t k = bin(low_hz); k < bin(high_hz); ++k) sum += power[k];
  return sum;
}

void WaveformAnalyser::Scratch::in_frequency(const WaveformParams& params, std::size_t length,
                                             double rate_hz, WaveformFeatures& out) {
  const double step = rate_hz / static_cast<double>(length);
  const auto add = [&](double low_hz, double high_hz) {
    const bool there = low_hz < rate_hz / 2;
    out.bands.push_back(there ? std::optional{std::sqrt(power_between(low_hz, high_hz, step))}
                              : std::nullopt);
  };
  if (params.bands.empty()) {
    add(0, rate_hz / 16);
    add(rate_hz / 16, rate_hz / 8);
    add(rate_hz / 8, rate_hz / 4);
    add(rate_hz / 4, rate_hz / 2);
  } else {
    for (const auto& band_of : params.bands) add(band_of.low_hz, band_of.high_hz);
  }
  constexpr double low_hz = 10, high_hz = 1000, least_seconds = 0.2;
  if (params.motion == Motion::none || 1 / step < least_seconds) return;
  if (params.motion == Motion::velocity) {
    out.velocity = params.factor * std::sqrt(power_between(low_hz, high_hz + step, step));
    return;
  }
  const auto first = static_cast<std::size_t>(std::ceil(low_hz / step - 1e-9));
  const auto last = std::min(static_cast<std::size_t>(high_hz / step + 1e-9), power.size() - 1);
  double sum = 0;
  for (std::size_t k = first; k <= last; ++k) {
    const double omega = 2 * std::numbers::pi * step * static_cast<double>(k);
    sum += power[k] / (omega * omega);
  }
  out.velocity = params.factor * std::sqrt(sum);
}

// The bins of the band alone, moved to zero: back in time they are the analytic signal at a lower
// rate, whose magnitude is the same. A quarter more bins than the band has keep what aliases away
// from the lines. False when the band is too narrow to hold any.
bool WaveformAnalyser::Scratch::envelope(const WaveformParams& params, std::size_t length,
                                         double rate_hz) {
  const auto range = envelope_band(params, rate_hz);
  const double step = rate_hz / static_cast<double>(length);
  const auto first = static_cast<std::size_t>(std::max(1.0, std::ceil(range.low_hz / step)));
  const auto end = std::min(static_cast<std::size_t>(range.high_hz / step) + 1, length / 2);
  if (end < first + 16) return false;
  const std::size_t width = end - first;
  count = quick_length_above(width + width / 4);
  band.assign(count, Complex{});
  std::copy(bins.begin() + static_cast<std::ptrdiff_t>(first),
            bins.begin() + static_cast<std::ptrdiff_t>(end), band.begin());
  analytic.resize(count);
  note(count + 1);  // a complex plan is another one than the real of that length
  fft.inv(analytic.data(), band.data(), static_cast<Eigen::Index>(count));
  const double scale = 2 / static_cast<double>(length);
  magnitude.resize(count);
  for (std::size_t i = 0; i < count; ++i) magnitude[i] = scale * std::sqrt(std::norm(analytic[i]));
  return true;
}

// Turns of the shaft over the window; `angle` holds those at each point of the speed. 0 when it
// stood still at any time.
double WaveformAnalyser::Scratch::turns(const ShaftSpeed& speed, double seconds) {
  const auto& hz = speed.hz;
  if (hz.empty() || std::any_of(hz.begin(), hz.end(), [](double f) { return !(f > 0); })) return 0;
  if (hz.size() == 1) return hz[0] * seconds;
  angle.assign(hz.size(), 0);
  const double between = seconds / static_cast<double>(hz.size() - 1);
  for (std::size_t i = 1; i < hz.size(); ++i)
    angle[i] = angle[i - 1] + (hz[i - 1] + hz[i]) / 2 * between;
  return angle.back();
}

// The magnitude at even steps of the angle. The speed is a straight line from point to point, so
// the angle is a parabola there and is inverted exactly; between samples a cubic goes through four.
void WaveformAnalyser::Scratch::to_angle(const ShaftSpeed& speed, double seconds, double turned) {
  const auto& hz = speed.hz;
  const double between = seconds / static_cast<double>(hz.size() - 1);
  const auto n = static_cast<double>(count);
  even.resize(count);
  const auto last = static_cast<std::ptrdiff_t>(count) - 1;
  const auto at = [&](std::ptrdiff_t i) {
    return magnitude[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(i, 0, last))];
  };
  std::size_t segment = 0;
  for (std::size_t p = 0; p < count; ++p) {
    const double wanted = turned * static_cast<double>(p) / n;
    while (segment + 2 < hz.size() && angle[segment + 1] <= wanted) ++segment;
    const double left = wanted - angle[segment];
    const double rise = (hz[segment + 1] - hz[segment]) / between;
    const double root = std::sqrt(std::max(0.0, hz[segment] * hz[segment] + 2 * rise * left));
    const double time = static_cast<double>(segment) * between + 2 * left / (hz[segment] + root);
    const double place = time / seconds * n;
    const auto i = static_cast<std::ptrdiff_t>(place);
    const double u = place - static_cast<double>(i);
    const double a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    even[p] = b + u / 2 * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)));
  }
  magnitude.swap(even);
}

// Slip moves a line and its harmonics together: the place within `slip` where they are loudest.
std::optional<double> WaveformAnalyser::Scratch::line_at(const Lines& lines, double slip) const {
  const auto size = static_cast<double>(envelope_squares.size());
  if (lines.base < nearest_line || lines.base * (1 + slip) + 1 >= size) return std::nullopt;
  const auto square_at = [&](double bin) {
    return bin >= nearest_line && bin + 0.5 < size
               ? envelope_squares[static_cast<std::size_t>(std::lround(bin))]
               : 0.0;
  };
  const double reach = lines.base * slip;
  const auto steps =
      std::min(most_candidates, static_cast<std::size_t>(std::ceil(2 * reach * 2 * harmonics)) + 1);
  double most = 0;
  for (std::size_t i = 0; i <= steps; ++i) {
    const double base =
        lines.base - reach + 2 * reach * static_cast<double>(i) / static_cast<double>(steps);
    double sum = 0;
    for (int h = 1; h <= harmonics; ++h) {
      sum += square_at(h * base);
      if (lines.sideband <= 0) continue;
      sum += square_at(h * base - lines.sideband) + square_at(h * base + lines.sideband);
    }
    most = std::max(most, sum);
  }
  return std::sqrt(most);
}

WaveformAnalyser::WaveformAnalyser() : scratch_(std::make_unique<Scratch>()) {}
WaveformAnalyser::~WaveformAnalyser() = default;
WaveformAnalyser::WaveformAnalyser(WaveformAnalyser&&) noexcept = default;
WaveformAnalyser& WaveformAnalyser::operator=(WaveformAnalyser&&) noexcept = default;

void WaveformAnalyser::analyse(const WaveformParams& params, std::span<const float> samples,
                               double rate_hz, const ShaftSpeed& speed, WaveformFeatures& out) {
  auto bands = std::move(out.bands);
  bands.clear();
  out = {};
  out.bands = std::move(bands);
  auto& s = *scratch_;
  s.in_time(samples, out);
  const auto length = quick_length(samples.size());
  s.spectrum(length);
  s.in_frequency(params, length, rate_hz, out);

  const double seconds = static_cast<double>(length) / rate_hz;
  if (!params.bearing) return;
  const double turned = s.turns(speed, seconds);
  if (turned <= 0 || !s.envelope(params, length, rate_hz)) return;
  const bool even = std::all_of(speed.hz.begin(), speed.hz.end(),
                                [&](double hz) { return hz == speed.hz.front(); });
  if (!even) s.to_angle(speed, seconds, turned);
  s.forward(s.count, s.magnitude.data(), s.envelope_bins);
  // Amplitudes as far as any line and its sidebands reach.
  const auto& orders = *params.bearing;
  const double highest = std::max({orders.outer, orders.inner, orders.ball, orders.cage});
  const double farthest = (harmonics * highest * (1 + params.slip) + 1) * turned + 2;
  const auto end = std::min(s.count / 2, static_cast<std::size_t>(std::min(farthest, 1e9)) + 1);
  s.envelope_squares.assign(end, 0);
  // Amplitude of a sine: 2 |E| / (count times the window's mean of a half).
  const double scale = 16 / (static_cast<double>(s.count) * static_cast<double>(s.count));
  for (std::size_t k = 2; k < end; ++k) {
    s.envelope_squares[k] =
        scale * hann_square(s.envelope_bins[k - 1], s.envelope_bins[k], s.envelope_bins[k + 1]);
  }
  out.outer = s.line_at({orders.outer * turned, 0}, params.slip);
  out.inner = s.line_at({orders.inner * turned, turned}, params.slip);
  out.ball = s.line_at({orders.ball * turned, orders.cage * turned}, params.slip);
  out.cage = s.line_at({orders.cage * turned, 0}, params.slip);
}

}  // namespace millwright::detectors
