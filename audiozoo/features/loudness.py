"""Loudness as broadcasters measure it (ITU-R BS.1770-4, "Algorithms to measure audio programme loudness")."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audiozoo import audio
from audiozoo.features.cleaning import CleaningStep

# Corner (Hz) and quality of the two analogue filters. The standard only tabulates digital coefficients for 48 kHz; these
# values reproduce them.
_SHELF = (1681.974450955533, 0.7071752369554196)
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)

_SHELF_GAIN = 10 ** (3.999843853973347 / 20)
_SHELF_CORNER_GAIN = _SHELF_GAIN**0.4996667741545416
_TABLE_RATE = 48_000

_BLOCK = 0.4  # seconds
_BLOCKS_PER_SECOND = 10  # an overlap of three quarters
_OFFSET = -0.691  # dB; it cancels the gain of the filters at 997 Hz
_ABSOLUTE_GATE = 10 ** ((-70 - _OFFSET) / 10)
_RELATIVE_GATE = 0.1  # fraction of the mean power, 10 dB below it
_LOWEST_RATE = 4_000  # Hz; the corner of the shelf must lie below half the rate


def loudness(wave: np.ndarray, sample_rate: float) -> float:
    """Measure the integrated loudness: the mean frequency-weighted power without pauses.

    The measurement averages blocks of 400 ms that overlap by three quarters. It ignores blocks below -70 LUFS, and blocks
    more than 10 dB below the mean of the others. All channels have the same weight, as the standard demands for mono and
    stereo; its weights for surround channels are not applied, because an array does not name its channels. The loudness of a
    sine of 997 Hz is 0.05 dB too low at a sample rate of 16 kHz and 0.2 dB too low at 8 kHz, where the filters cannot
    respond as at 48 kHz.

    Args:
        wave: Sound, ``(samples,)`` or ``(samples, channels)``. A wave below 400 ms is measured as one block.
        sample_rate: Sample rate (Hz), at least 4000.

    Returns:
        The loudness (LUFS); minus infinity if no block is above -70 LUFS, as in silence.

    Raises:
        ValueError: The array is not a valid wave, or the sample rate is too low.
    """
    wave, sample_rate = audio.check_wave(wave, sample_rate)
    if sample_rate < _LOWEST_RATE:
        raise ValueError(f"loudness needs a sample rate of at least {_LOWEST_RATE} Hz, got {sample_rate} Hz: resample the wave")
    power = _block_powers(wave, sample_rate)
    power = power[power > _ABSOLUTE_GATE]
    if not len(power):
        return -math.inf
    return _OFFSET + 10 * math.log10(power[power > _RELATIVE_GATE * power.mean()].mean())


def _block_powers(wave: np.ndarray, sample_rate: float) -> np.ndarray:
    """Return the frequency-weighted power of each block, summed over channels."""
    from scipy.signal import sosfilt

    weighted = sosfilt(k_weighting(sample_rate), wave.reshape(len(wave), -1).astype(np.float64), axis=0)
    power = np.square(weighted, out=weighted).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    length = min(len(power), round(_BLOCK * sample_rate))
    count = 1 + math.floor((len(power) - length) * _BLOCKS_PER_SECOND / sample_rate)
    # Rates such as 11025 Hz have a fractional number of samples between blocks.
    starts = np.floor(np.arange(count) * (sample_rate / _BLOCKS_PER_SECOND)).astype(int)
    return (total[starts + length] - total[starts]) / length


def k_weighting(sample_rate: float) -> np.ndarray:
    """Design the two filters of the standard for any sample rate; at 48 kHz they are those of its table.

    Returns:
        Second-order sections ``b0 b1 b2 a0 a1 a2`` of the high shelf and the high-pass, float64 ``(2, 6)``.
    """
    shelf = _section(sample_rate, *_SHELF, (_SHELF_GAIN, _SHELF_CORNER_GAIN, 1.0))
    # The high-pass of the table has b0 = 1, and so a gain of 0.04 dB at high frequencies.
    gain = 1 / _section(_TABLE_RATE, *_HIGH_PASS, (1.0, 0.0, 0.0))[0]
    return np.stack([shelf, _section(sample_rate, *_HIGH_PASS, (gain, 0.0, 0.0))])


def _section(sample_rate: float, corner: float, quality: float, gains: tuple[float, float, float]) -> np.ndarray:
    """Return a digital second-order section with gains at high frequencies, at the corner and at 0 Hz."""
    from scipy.signal import bilinear

    # The bilinear transform compresses frequencies; the tangent moves the corner so that it ends up where it belongs.
    warped = math.tan(math.pi * corner / sample_rate)
    powers = np.array([1.0, warped / quality, warped**2])
    return np.concatenate(bilinear(powers * gains, powers, fs=0.5))


@dataclass(frozen=True, kw_only=True)
class NormalizeLoudness(CleaningStep):
    """Scale a wave to a loudness, all channels by the same gain. Peaks can exceed 1, since there is no limiter.

    A wave that is nowhere above -70 LUFS counts as silence and is returned unchanged, so that its noise is not amplified.

    Args:
        target_lufs: Loudness of the result, as `loudness` measures it (LUFS); -23 is the target of EBU R 128.

    Raises:
        ValueError: `target_lufs` is not above -70 and at most 0. When called: the sample rate is below 4000 Hz.
    """

    target_lufs: float = -23.0

    def __post_init__(self) -> None:
        if not -70 < self.target_lufs <= 0:
            raise ValueError(f"target_lufs must be above -70 and at most 0, got {self.target_lufs}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        measured = loudness(wave, sample_rate)
        return wave if measured == -math.inf else wave * np.float32(10 ** ((self.target_lufs - measured) / 20))
