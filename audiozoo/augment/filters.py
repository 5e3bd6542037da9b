"""Transforms that filter a waveform: equaliser filters and room reverberation."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audiozoo.augment.recordings import choose_recording, read_stretch
from audiozoo.augment.transform import Drawn, Range, between
from audiozoo.augment.waveform import DECIBELS, WaveTransform, level_of
from audiozoo.checks import require_choice, require_count

_KINDS = ("lowpass", "highpass", "bandpass", "peaking")
_HIGHEST_ORDER = 20  # 120 dB per octave; beyond it, the design overflows near half the sample rate
_LONGEST_IMPULSE = 10.0  # seconds; large cathedrals come near it


@dataclass(frozen=True, kw_only=True)
class Filter(WaveTransform):
    """Filter the sound, as a telephone, a wall or a microphone does.

    Args:
        kind: "lowpass" and "highpass" are Butterworth filters with -3 dB at the corner frequency. "bandpass" is a highpass and
            a lowpass at the edges of a band around the centre frequency. "peaking" amplifies or attenuates such a band; it has
            half the gain (in dB) at the lower edge, and at the upper edge unless that is near half the sample rate, where the
            band is narrower.
        frequency: Range of the corner or centre frequency (Hz), drawn uniformly on a logarithmic scale.
        octaves: Range of the bandwidth (octaves), for "bandpass" and "peaking".
        gain_db: Range of the gain at the centre frequency (dB), for "peaking".
        order: Order of the Butterworth filters, an even number up to 20; the slope is 6 dB per octave times the order.

    Raises:
        ValueError: `kind` is not one of these, or `order` is not an even number from 2 to 20. When called: `frequency` is not
            below half the sample rate.

    Source: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients" (W3C note, 2021).
    """

    NEEDS_RATE = True
    RANGES: ClassVar = {"frequency": (1e-3, math.inf), "octaves": (1e-3, 20.0), "gain_db": DECIBELS}

    kind: Literal["lowpass", "highpass", "bandpass", "peaking"] = "lowpass"
    frequency: Range = (500.0, 5_000.0)
    octaves: Range = (0.5, 2.0)
    gain_db: Range = (-12.0, 12.0)
    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("kind", self.kind, _KINDS)
        require_count("order", self.order, 2, _HIGHEST_ORDER)
        if self.order % 2:
            raise ValueError(f"order must be an even number, got {self.order}")

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        x = super()._checked(x, sample_rate)
        if sample_rate is not None and not self.frequency[1] < sample_rate / 2:
            raise ValueError(
                f"Filter needs frequencies below half the sample rate of {sample_rate:g} Hz, got {self.frequency}: "
                "lower the range, or resample the sound first"
            )
        return x

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        low, high = self.frequency
        drawn = {"frequency": low * (high / low) ** rng.random()}
        if self.kind in ("bandpass", "peaking"):
            drawn["octaves"] = between(rng, self.octaves)
        if self.kind == "peaking":
            drawn["gain_db"] = between(rng, self.gain_db)
        return drawn

    def _apply(
        self, x: np.ndarray, sample_rate: float | None, *, frequency: float, octaves: float = 0.0, gain_db: float = 0.0
    ) -> np.ndarray:
        from scipy.signal import sosfilt

        assert sample_rate is not None
        sections = self._sections(frequency / sample_rate, octaves, gain_db)
        return sosfilt(sections, x, axis=0).astype(np.float32)

    def _sections(self, corner: float, octaves: float, gain_db: float) -> np.ndarray:
        if self.kind == "peaking":
            return _peaking(corner, octaves, gain_db)
        if self.kind != "bandpass":
            return _butterworth(self.kind, corner, self.order)
        # Two filters in series and not butter(kind="bandpass"), which has another response if the band is narrow.
        low, high = corner * 2 ** (-octaves / 2), min(corner * 2 ** (octaves / 2), 0.499)
        return np.concatenate([_butterworth("highpass", low, self.order), _butterworth("lowpass", high, self.order)])


def _butterworth(kind: str, corner: float, order: int) -> np.ndarray:
    """Return second-order sections; the corner is in cycles per sample."""
    from scipy.signal import butter

    # Nearer to half the sample rate, the poles of a steep filter overflow.
    return butter(order, min(corner, 0.5 - 1e-7), kind, fs=1.0, output="sos")


def _peaking(corner: float, octaves: float, gain_db: float) -> np.ndarray:
    """Return one second-order section: the input plus ``gain - 1`` times what a resonator passes."""
    from scipy.signal import iirpeak

    # The cookbook's own formula for the bandwidth keeps the ratio of the two edges. Near half the sample rate the upper edge
    # has no room, and that formula would push the lower edge down to 0 Hz. Here the lower edge stays where it was asked for.
    ratio = math.tan(math.pi * corner) / math.tan(math.pi * corner * 2 ** (-octaves / 2))
    tangent = math.sin(2 * math.pi * corner) * (ratio - 1 / ratio) / 2 / 10 ** (gain_db / 40)
    above, below = iirpeak(corner, math.pi * corner / math.atan(tangent), fs=1.0)
    return np.concatenate([below + (10 ** (gain_db / 20) - 1) * above, below])[None]


@dataclass(frozen=True, kw_only=True)
class RoomReverb(WaveTransform):
    """Add the reverberation of a room. The level (root mean square) is unchanged.

    The impulse response is recorded (`impulses`) or synthetic: the direct sound, then Gaussian noise with an exponential decay,
    independent in each channel.

    Args:
        rt60: Range of the reverberation time, in which the decay falls by 60 dB (seconds); for the synthetic room.
        drr_db: Range of the direct-to-reverberant energy ratio (dB); for the synthetic room.
        impulses: Folder of recorded impulse responses, from which each call draws one; `None` for the synthetic room. Samples
            before the largest one are dropped, so that the direct sound is not delayed.
        keep_length: Whether the decay after the end of the sound is cut off; otherwise the output is longer.

    Raises:
        FileNotFoundError: When called: the folder does not exist.
        ValueError: When called: the folder contains no recordings, or the one drawn cannot be read.
    """

    NEEDS_RATE = True
    RECORDINGS = "impulses"
    RANGES: ClassVar = {"rt60": (1e-3, _LONGEST_IMPULSE), "drr_db": DECIBELS}

    rt60: Range = (0.2, 0.8)
    drr_db: Range = (0.0, 15.0)
    impulses: str | None = None
    keep_length: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.impulses is not None:
            object.__setattr__(self, "impulses", os.fspath(self.impulses))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        if self.impulses is not None:
            return {"file": choose_recording(self.impulses, rng)}
        return {"rt60": between(rng, self.rt60), "drr_db": between(rng, self.drr_db), "seed": int(rng.integers(2**32))}

    def _apply(
        self,
        x: np.ndarray,
        sample_rate: float | None,
        *,
        file: str = "",
        rt60: float = 0.0,
        drr_db: float = 0.0,
        seed: int = 0,
    ) -> np.ndarray:
        assert sample_rate is not None
        if file:
            impulse = self._recorded(file, x, sample_rate)
        else:
            impulse = _decay(x.shape[1:], rt60, drr_db, sample_rate, np.random.default_rng(seed))
        wet = _convolved(x, impulse)
        heard = level_of(wet[: len(x)])
        wet = wet[: len(x)] if self.keep_length else wet
        return wet * np.float32(level_of(x) / heard) if heard else wet

    def _recorded(self, file: str, x: np.ndarray, sample_rate: float) -> np.ndarray:
        assert self.impulses is not None
        path, channels = os.path.join(self.impulses, file), 1 if x.ndim == 1 else x.shape[1]
        impulse = read_stretch(path, 0.0, _LONGEST_IMPULSE, sample_rate=round(sample_rate), channels=channels)
        loudest = np.abs(impulse).reshape(len(impulse), -1).max(axis=1)
        return impulse[int(loudest.argmax()) :].reshape(-1, *x.shape[1:])


def _decay(channels: tuple[int, ...], rt60: float, drr_db: float, sample_rate: float, rng: np.random.Generator) -> np.ndarray:
    samples = max(2, round(rt60 * sample_rate))
    envelope = 10 ** (-3 * np.arange(samples) / (rt60 * sample_rate))
    impulse = rng.standard_normal((samples, *channels)) * envelope.reshape(-1, *(1,) * len(channels))
    impulse[0] = 0
    impulse *= np.sqrt(10 ** (-drr_db / 10) / np.square(impulse).sum(axis=0))
    impulse[0] = 1
    return impulse.astype(np.float32)


def _convolved(x: np.ndarray, impulse: np.ndarray) -> np.ndarray:
    """Return the full convolution, ``len(x) + len(impulse) - 1`` samples."""
    from scipy.fft import irfft, next_fast_len, rfft

    samples = len(x) + len(impulse) - 1
    length = next_fast_len(samples, real=True)
    product = rfft(x, length, axis=0) * rfft(impulse, length, axis=0)
    return irfft(product, length, axis=0)[:samples]
