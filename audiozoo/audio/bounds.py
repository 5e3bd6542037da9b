"""Bounds on the sample rates, channels and durations that a file header, a saved frontend or a caller may state.

Without them, a file of 200 KB whose header states a rate of 1 Hz would take gigabytes after resampling. The bounds lie far
beyond real recordings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MIN_RATE = 50
"""Lowest sample rate (Hz). Accelerometers and seismometers are sampled at 50 Hz and above."""

MAX_RATE = 10_000_000
"""Highest sample rate (Hz). Hydrophones and bat detectors stay below 2 MHz."""

MAX_UPSAMPLING = 24
"""Largest ratio of the rate after resampling to the rate before. Heart sounds at 2 kHz reach 48 kHz."""

MAX_CHANNELS = 256
"""Maximum number of channels of a file or a frontend. Microphone arrays have up to 256."""

MAX_DURATION = 3_600
"""Longest window of a frontend (seconds). Clips may be longer: they are cut into windows."""

MAX_WINDOW = 2**24
"""Maximum number of samples in a window of a frontend, over all channels (64 MB as float32)."""

MAX_FEATURES = 2**24
"""Most numbers that a frontend makes of a window (64 MB as float32)."""

MAX_SPECTRUM = 2**25
"""Most bins in the spectra of a window: frames times FFT bins times channels (256 MB as complex64)."""

MAX_FILTERS = 2**23
"""Most weights in a filterbank: bands times FFT bins. Their computation takes some 500 MB."""


def check_rate(sample_rate: float, *, name: str = "wave") -> None:
    """Raise a ValueError if a sample rate (Hz) is out of bounds.

    Raises:
        ValueError: The rate is not between `MIN_RATE` and `MAX_RATE`.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise ValueError(
            f"{name}: the sample rate must be from {MIN_RATE} to {MAX_RATE} Hz, got {sample_rate}; "
            "rates are in Hz, not kHz; if a file states this rate, its header is wrong"
        )


def check_channels(channels: int, *, name: str = "wave") -> None:
    """Raise a ValueError if a number of channels is out of bounds.

    Raises:
        ValueError: The number is not between 1 and `MAX_CHANNELS`.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"{name}: the number of channels must be positive and at most {MAX_CHANNELS}, got {channels}")


def check_upsampling(orig_rate: float, target_rate: float, *, name: str = "wave") -> None:
    """Raise a ValueError if resampling would make a sound more than `MAX_UPSAMPLING` times as long.

    Args:
        orig_rate: Sample rate before (Hz).
        target_rate: Sample rate after (Hz).
        name: Name of the sound in the error.

    Raises:
        ValueError: A rate is not positive, or the ratio of the rates is beyond the bound.
    """
    if not (orig_rate > 0 and 0 < target_rate <= MAX_UPSAMPLING * orig_rate):
        raise ValueError(
            f"{name}: cannot resample from {orig_rate} Hz to {target_rate} Hz: rates must be positive, and the second at most "
            f"{MAX_UPSAMPLING} times the first; use a frontend with a lower sample_rate, or correct the file's header"
        )


def check_window(*, sample_rate: float, duration: float, channels: int, name: str = "frontend") -> None:
    """Raise a ValueError if a window of a frontend is empty or out of bounds.

    Args:
        sample_rate: Sample rate of the window (Hz).
        duration: Length of the window (seconds).
        channels: Number of channels.
        name: Name of the frontend in the error.

    Raises:
        ValueError: The rate or the number of channels is out of bounds, or the window is empty, longer than `MAX_DURATION` or
            larger than `MAX_WINDOW` samples.
    """
    check_rate(sample_rate, name=name)
    check_channels(channels, name=name)
    if not 0 < duration <= MAX_DURATION:
        raise ValueError(f"{name}: duration must be positive and at most {MAX_DURATION} s, got {duration}")
    samples = round(sample_rate * duration)
    if not 1 <= samples * channels <= MAX_WINDOW:
        raise ValueError(
            f"{name}: a window must have from 1 to {MAX_WINDOW} samples in all channels together, got {samples} (duration="
            f"{duration} s at {sample_rate} Hz) times {channels} channel(s); choose another duration or sample_rate"
        )


def check_features(shape: Sequence[int], *, name: str = "frontend") -> None:
    """Refuse a frontend that makes more than `MAX_FEATURES` numbers of a window.

    Raises:
        ValueError: It does, or makes none.
    """
    if not 1 <= math.prod(shape) <= MAX_FEATURES:
        raise ValueError(
            f"{name}: the output for a window must have from 1 to {MAX_FEATURES} numbers, got the shape {tuple(shape)}; "
            "use a shorter duration, a larger hop_length, or fewer frames or bands"
        )


def check_spectrum(*, frames: int, bins: int, channels: int, bands: int = 1, name: str = "frontend") -> None:
    """Refuse spectra that need too much memory, whatever a frontend keeps of them.

    Args:
        frames: Number of frames of a window.
        bins: Number of FFT bins in a frame.
        channels: Number of channels.
        bands: Number of bands that a filterbank makes of the bins; 1 without a filterbank.
        name: Name of the frontend in the error.

    Raises:
        ValueError: The spectra have more than `MAX_SPECTRUM` bins, the filterbank has more than `MAX_FILTERS` weights, or the
            bands have more than `MAX_FEATURES` numbers.
    """
    if frames * bins * channels > MAX_SPECTRUM:
        raise ValueError(
            f"{name}: the spectra of a window may have at most {MAX_SPECTRUM} bins, got {frames} frames of {bins} bins in "
            f"{channels} channel(s); use a larger hop_length, a smaller n_fft or a shorter duration"
        )
    if bands * bins > MAX_FILTERS:
        raise ValueError(
            f"{name}: a filterbank may have at most {MAX_FILTERS} weights, got {bands} bands of {bins} bins each; use fewer "
            "bands, a smaller n_fft, or a higher lowest frequency"
        )
    check_features((frames, bands, channels), name=name)
