"""Loudness as broadcasters measure it: ITU-R BS.1770-4, "Algorithms to measure audio programme loudness"."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audiozoo import audio
from audiozoo.features.cleaning import Step

_SHELF = (1681.974450955533, 0.7071752369554196)
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)
"""Corner in Hz and quality of the two filters behind the standard's table of coefficients, which is for 48 kHz alone."""

_SHELF_GAIN = 10 ** (3.999843853973347 / 20)
_SHELF_CORNER_GAIN = _SHELF_GAIN**0.4996667741545416
_TABLE_RATE = 48_000

_BLOCK = 0.4  # seconds
_BLOCKS_PER_SECOND = 10  # so that they overlap by three quarters
_OFFSET = -0.691  # dB, which makes up for the gain of the filters at 997 Hz
_ABSOLUTE_GATE = 10 ** ((-70 - _OFFSET) / 10)
_RELATIVE_GATE = 0.1  # of the mean power: 10 dB below it
_LOWEST_RATE = 4_000  # the shelf's corner must lie below half the rate


def loudness(wave: np.ndarray, sample_rate: float) -> float:
    """Measure the integrated loudness: frequency-weighted power, pauses left out.

    Blocks of 400 ms that overlap by three quarters count where they are above -70 LUFS and less than 10 dB below the mean
    of those. All channels weigh the same, as the standard has it for mono and stereo; its weights for surround channels,
    which an array does not name, are not applied. A sine of 997 Hz reads 0.05 dB low at 16 kHz and 0.2 dB at 8 kHz, where the
    filters have less room to respond as they do at 48 kHz.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``. Shorter than 400 ms, it is measured as one block.
        sample_rate: Its rate, at least 4000 Hz.

    Returns:
        LUFS; minus infinity where no block is above -70 LUFS, as in silence.

    Raises:
        ValueError: No waveform, or a lower rate.
    """
    wave, sample_rate = audio.check_wave(wave, sample_rate)
    if sample_rate < _LOWEST_RATE:
        raise ValueError(f"loudness needs a sample rate of at least {_LOWEST_RATE} Hz, got {sample_rate}: resample the wave")
    power = _block_powers(wave, sample_rate)
    power = power[power > _ABSOLUTE_GATE]
    if not len(power):
        return -math.inf
    return _OFFSET + 10 * math.log10(power[power > _RELATIVE_GATE * power.mean()].mean())


def _block_powers(wave: np.ndarray, sample_rate: float) -> np.ndarray:
    """Return the weighted power of each block, summed over channels."""
    from scipy.signal import sosfilt

    weighted = sosfilt(k_weighting(sample_rate), wave.reshape(len(wave), -1).astype(np.float64), axis=0)
    power = np.square(weighted, out=weighted).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    length = min(len(power), round(_BLOCK * sample_rate))
    count = 1 + math.floor((len(power) - length) * _BLOCKS_PER_SECOND / sample_rate)
    starts = np.floor(np.arange(count) * (sample_rate / _BLOCKS_PER_SECOND)).astype(int)
    return (total[starts + length] - total[starts]) / length


def k_weighting(sample_rate: float) -> np.ndarray:
    """Make the standard's two filters for any rate, so that they respond as its table of coefficients does at 48 kHz.

    Returns:
        float64 ``(2, 6)``: second-order sections ``b0 b1 b2 a0 a1 a2``, the high shelf and the high-pass.
    """
    shelf = _section(sample_rate, *_SHELF, (_SHELF_GAIN, _SHELF_CORNER_GAIN, 1.0))
    # The table's high-pass is not normalised to unit gain: it passes high frequencies 0.04 dB louder.
    gain = _polynomial(_TABLE_RATE, *_HIGH_PASS)[0]
    return np.stack([shelf, _section(sample_rate, *_HIGH_PASS, (gain, 0.0, 0.0))])


def _section(sample_rate: float, corner: float, quality: float, gains: tuple[float, float, float]) -> np.ndarray:
    below = _polynomial(sample_rate, corner, quality)
    above = _polynomial(sample_rate, corner, quality, gains)
    return np.concatenate([above, below]) / below[0]


def _polynomial(
    sample_rate: float, corner: float, quality: float, gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> np.ndarray:
    """Map ``high s^2 + middle s / quality + low`` to powers of 1/z by the bilinear transform that keeps the corner."""
    k = math.tan(math.pi * corner / sample_rate)
    high, middle, low = gains[0], gains[1] * k / quality, gains[2] * k * k
    return np.array([high + middle + low, 2 * (low - high), high - middle + low])


@dataclass(frozen=True, kw_only=True)
class NormalizeLoudness(Step):
    """Bring the wave to a loudness by one gain for all channels; peaks may go beyond 1, nothing is limited.

    A wave that is nowhere above -70 LUFS counts as silence and is kept as it is, so that its noise is not blown up.

    Args:
        target_lufs: Loudness wanted, as `loudness` measures it; -23 is the broadcasters' (EBU R 128).

    Raises:
        ValueError: A target that is not between -70 and 0. When called: a rate below 4000 Hz.
    """

    target_lufs: float = -23.0

    def __post_init__(self) -> None:
        if not -70 < self.target_lufs <= 0:
            raise ValueError(f"target_lufs must be above -70 and at most 0, got {self.target_lufs}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        measured = loudness(wave, sample_rate)
        return wave if measured == -math.inf else wave * np.float32(10 ** ((self.target_lufs - measured) / 20))
