#!/usr/bin/python3
"""The features of detectors/waveform.h worked out once more with NumPy and SciPy, by other means
where there are any: moments by scipy.stats, spectra with scipy.signal's window, the envelope as the
Hilbert transform at the full rate, order tracking with a spline through it. Prints
waveform_reference.txt: case, feature, value."""
import numpy as np
from scipy import signal, stats
from scipy.interpolate import CubicSpline

RATE, SIZE = 20480.0, 20480


def noise(count, seed):
    """The generator of the test, without a library's."""
    state, out = seed, np.empty(count)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = (state >> 40) / 2**24 - 0.5
    return out


def turns_of(case, t):
    return 25 * t + 5 * t * t if case["tracked"] else case["shaft"] * t


def samples(case):
    t = np.arange(SIZE) / RATE
    turns = turns_of(case, t)
    ringing = (1 + case["depth"] * np.cos(2 * np.pi * case["order"] * turns)) * np.sin(2 * np.pi * 4000 * t)
    x = case["offset"] + ringing + 2 * np.sin(2 * np.pi * 160 * t) + case["noise"] * noise(SIZE, case["seed"])
    return x.astype(np.float32).astype(float)


def orders(balls, ball, pitch, angle):
    g = ball / pitch * np.cos(np.radians(angle))
    return {"bpfo": balls / 2 * (1 - g), "bpfi": balls / 2 * (1 + g),
            "bsf": pitch / (2 * ball) * (1 - g * g), "ftf": (1 - g) / 2}


def lines(envelope, case):
    n = len(envelope)
    t = np.arange(n) / RATE
    if case["tracked"]:  # the envelope on even steps of the angle
        angle = turns_of(case, t)
        turned = turns_of(case, n / RATE)
        even = np.arange(n) * turned / n
        envelope = CubicSpline(t, envelope)(np.interp(even, angle, t))
    else:
        turned = case["shaft"] * n / RATE
    window = signal.windows.hann(n, sym=False)
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * window)) * 2 / window.sum()
    power = spectrum**2
    o = orders(9, 7.940, 39.04, 0)
    beside = {"bpfo": 0, "bpfi": turned, "bsf": o["ftf"] * turned, "ftf": 0}
    for name, order in o.items():
        base, reach = order * turned, 0.02 * order * turned
        most = 0
        steps = min(2048, int(np.ceil(12 * reach)) + 1)
        for b in base - reach + 2 * reach * np.arange(steps + 1) / steps:
            places = []
            for h in (1, 2, 3):
                places += [h * b] if beside[name] == 0 else [h * b, h * b - beside[name], h * b + beside[name]]
            most = max(most, sum(power[int(p + 0.5)] for p in places if p >= 2))
        yield name, np.sqrt(most)


def features(case):
    x = samples(case)
    centred = x - x.mean()
    rms = np.sqrt(np.mean(centred**2))
    yield "rms", x.std()
    yield "peak", np.abs(centred).max()
    yield "peak_to_peak", np.ptp(x)
    yield "crest", np.abs(centred).max() / rms
    yield "kurtosis", stats.kurtosis(x, fisher=False)
    yield "skewness", stats.skew(x)
    frequency, density = signal.periodogram(centred, RATE, "hann", detrend=False, scaling="density")
    power = density * RATE / SIZE
    for i, (low, high) in enumerate(((0, 1280), (1280, 2560), (2560, 5120), (5120, 10240))):
        yield f"band_{i + 1}", np.sqrt(power[(frequency > 0) & (frequency >= low) & (frequency < high)].sum())
    inside = (frequency >= 10) & (frequency <= 1000)
    yield "velocity", 9806.65 * np.sqrt((power[inside] / (2 * np.pi * frequency[inside]) ** 2).sum())
    bins = np.fft.rfft(centred)
    at = np.fft.rfftfreq(SIZE, 1 / RATE)
    bins[(at < 2000) | (at > 0.45 * RATE)] = 0
    yield from lines(np.abs(signal.hilbert(np.fft.irfft(bins, SIZE))), case)


CASES = {
    "plain": dict(offset=0, depth=0.0, order=3.5, shaft=30.0, noise=0.2, seed=1, tracked=False),
    "outer": dict(offset=9.81, depth=0.4, order=3.585, shaft=29.6, noise=0.5, seed=2, tracked=False),
    "inner": dict(offset=-3, depth=0.7, order=5.415, shaft=17.3, noise=1.0, seed=3, tracked=False),
    "tracked": dict(offset=0, depth=0.5, order=3.585, shaft=0.0, noise=0.3, seed=4, tracked=True),
}

if __name__ == "__main__":
    for name, case in CASES.items():
        for feature, value in features(case):
            print(name, feature, f"{value:.9g}")
