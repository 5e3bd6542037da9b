"""Transforms of a spectral feature ``(bands, frames[, channels])``; those that speak of dB expect a feature in dB."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np

from audiozoo.augment.noise import fast_generator, gaussian
from audiozoo.augment.transform import Drawn, Leaf, Range, Transform, finite
from audiozoo.augment.waveform import ANY, DECIBELS
from audiozoo.checks import require_choice

Fill = Literal["mean", "floor"]


@dataclass(frozen=True, kw_only=True)
class SpectralTransform(Leaf, ABC):
    """A random change of a spectral feature.

    A subclass names its ranges in `RANGES` and says in `_apply` what is done with a number drawn from each.

    Raises:
        ValueError: When called: the array is no spectral feature, not floating point, empty, or holds NaN or infinity.
    """

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        name = type(self).__name__
        if x.ndim not in (2, 3) or not x.size:
            raise ValueError(
                f"{name} changes spectral features (bands, frames[, channels]), got shape {x.shape}: "
                "a model on vectors or waveforms needs another transform"
            )
        return finite(x, f"the feature that {name} changes")


def _filling(x: np.ndarray, fill: Fill) -> np.ndarray:
    """Return a value for each channel: decibels in one and derivatives in the next have nothing in common."""
    return x.mean((0, 1), dtype=np.float64).astype(np.float32) if fill == "mean" else x.min((0, 1))


def require_waves(transform: Transform, name: str) -> None:
    """Refuse a transform with a part that changes features, for which a waveform of two channels would pass."""
    if spectral := [part for part in transform.parts() if isinstance(part, SpectralTransform)]:
        raise ValueError(
            f"{name} changes waveforms, and {type(spectral[0]).__name__} spectral features: use it after the frontend, as a "
            "recipe's augment_features"
        )


def _column(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Shape one value for each band so that it meets all frames and channels."""
    return values.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))


@dataclass(frozen=True, kw_only=True)
class TimeRoll(SpectralTransform):
    """Roll the frames around by a random part of the length.

    Args:
        shift: Range of the shift as a share of the length, positive is later.
    """

    RANGES: ClassVar = {"shift": (-1.0, 1.0)}

    shift: Range = (-0.5, 0.5)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, shift: float) -> np.ndarray:
        return np.roll(x, round(shift * x.shape[1]), axis=1)


@dataclass(frozen=True, kw_only=True)
class FrequencyShift(SpectralTransform):
    """Move the feature up or down by some bands, as another pitch or size would on a scale of mel or of octaves.

    Args:
        bands: Range of the shift in bands, whole numbers, positive is up.
        fill: What comes in at the edge: the "floor", each channel's least value, or its "mean".
    """

    RANGES: ClassVar = {"bands": ANY}

    bands: tuple[int, int] = (-4, 4)
    fill: Fill = "floor"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("fill", self.fill, ("mean", "floor"))
        _require_whole("bands", self.bands)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {"bands": int(rng.integers(self.bands[0], self.bands[1] + 1))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, bands: int) -> np.ndarray:
        moved = np.full_like(x, _filling(x, self.fill))
        bands = max(-len(x), min(len(x), bands))
        moved[max(0, bands) : len(x) + min(0, bands)] = x[max(0, -bands) : len(x) - max(0, bands)]
        return moved


def _require_whole(name: str, span: tuple[Any, Any]) -> None:
    if not all(isinstance(end, int | np.integer) for end in span):
        raise ValueError(f"{name} must be whole numbers, got {span}")


@dataclass(frozen=True, kw_only=True)
class SpecNoise(SpectralTransform):
    """Add Gaussian noise to every value.

    Args:
        deviation: Range of the noise's standard deviation, as a share of each channel's own; a constant one stays as it is.
    """

    RANGES: ClassVar = {"deviation": (0.0, math.inf)}

    deviation: Range = (0.0, 0.2)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {**super()._draw(x, rng, sample_rate), "seed": int(rng.integers(2**32))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, deviation: float, seed: int) -> np.ndarray:
        noise = gaussian(x.shape, fast_generator(seed))
        noise *= (deviation * x.std((0, 1), dtype=np.float64)).astype(np.float32)
        noise += x
        return noise


@dataclass(frozen=True, kw_only=True)
class SpecAugment(SpectralTransform):
    """Blank random stretches of bands and of frames, and warp time.

    Args:
        freq_masks: Number of masks over bands.
        freq_width: Widest mask, as a share of the bands; the width is drawn from 0 to this.
        time_masks: Number of masks over frames.
        time_width: Widest mask, as a share of the frames.
        fill: What a mask leaves: each channel's "mean" or its "floor", the least value.
        time_warp: Furthest that a random point in time is moved, as a share of the frames, what lies before and after it being
            stretched and squeezed; 0 for no warping.

    Raises:
        ValueError: A number below 0, a width or a warp that is no share from 0 to 1, or another word.

    Source: Park et al., SpecAugment, arXiv:1904.08779. There, widths are numbers of bands and frames and the warp has two
    dimensions.
    """

    freq_masks: int = 2
    freq_width: float = 0.125
    time_masks: int = 2
    time_width: float = 0.1
    fill: Fill = "mean"
    time_warp: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("fill", self.fill, ("mean", "floor"))
        counts, shares = (self.freq_masks, self.time_masks), (self.freq_width, self.time_width, self.time_warp)
        whole = all(isinstance(count, int) and count >= 0 for count in counts)
        if not (whole and all(isinstance(share, Real) and 0 <= share <= 1 for share in shares)):
            raise ValueError(f"numbers of masks must be at least 0, widths and warp must be shares from 0 to 1, got {self}")

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        bands, frames = x.shape[:2]
        warp = [rng.random(), rng.uniform(-self.time_warp, self.time_warp)] if self.time_warp else None
        return {
            "bands": [_stretch(rng, bands, self.freq_width) for _ in range(self.freq_masks)],
            "frames": [_stretch(rng, frames, self.time_width) for _ in range(self.time_masks)],
            **({"warp": warp} if warp else {}),
        }

    def _apply(
        self,
        x: np.ndarray,
        sample_rate: float | None,
        *,
        bands: list[list[int]],
        frames: list[list[int]],
        warp: list[float] | None = None,
    ) -> np.ndarray:
        fill = _filling(x, self.fill)
        x = _warped(x, *warp) if warp else x.copy()
        for start, stop in bands:
            x[start:stop] = fill
        for start, stop in frames:
            x[:, start:stop] = fill
        return x


def _stretch(rng: np.random.Generator, length: int, widest: float) -> list[int]:
    width = int(rng.integers(round(widest * length) + 1))
    start = int(rng.integers(length - width + 1))
    return [start, start + width]


def _warped(x: np.ndarray, point: float, shift: float) -> np.ndarray:
    """Move the point in time, a share of the frames, by a share of them; the ends stay."""
    last = x.shape[1] - 1
    target = min(0.99, max(0.01, point + shift)) * last
    origin = np.interp(np.arange(last + 1), [0, target, max(last, 1e-9)], [0, min(0.99, max(0.01, point)) * last, last])
    before = np.minimum(origin.astype(int), max(0, last - 1))
    share = (origin - before).astype(np.float32).reshape(1, -1, *(1,) * (x.ndim - 2))
    return x[:, before] * (1 - share) + x[:, np.minimum(before + 1, last)] * share


@dataclass(frozen=True, kw_only=True)
class FilterAugment(SpectralTransform):
    """Colour the sound: gains at random bands, as another room or microphone would.

    Args:
        gain_db: Range of the gains in dB.
        knots: Range of the number of bands that get a gain, at least 1; 1 is a plain gain.
        form: How the bands between them are changed: "linear" joins the gains by straight lines, "step" keeps each gain up to
            the next band.
        channels: How many channels, the first ones, are in dB; `None` is all. Of a front end with deltas it is those before the
            deltas, which a gain does not change.

    Raises:
        ValueError: Less than one channel, or another word.

    Source: Nam et al., FilterAugment, arXiv:2107.13260.
    """

    RANGES: ClassVar = {"gain_db": DECIBELS, "knots": (1, math.inf)}

    gain_db: Range = (-6.0, 6.0)
    knots: tuple[int, int] = (2, 5)
    form: Literal["linear", "step"] = "linear"
    channels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("form", self.form, ("linear", "step"))
        _require_whole("knots", self.knots)
        if not (self.channels is None or (isinstance(self.channels, int) and self.channels >= 1)):
            raise ValueError(f"channels must be None or a whole number of at least 1, got {self.channels!r}")

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        count = int(rng.integers(self.knots[0], self.knots[1] + 1))
        places = np.sort(rng.uniform(0, len(x) - 1, count))
        return {"places": places.tolist(), "gains_db": rng.uniform(*self.gain_db, count).tolist()}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, places: list[float], gains_db: list[float]) -> np.ndarray:
        bands = np.arange(len(x))
        if self.form == "linear":
            gains = np.interp(bands, places, gains_db)
        else:
            gains = np.asarray(gains_db)[np.searchsorted(places[1:], bands, side="right")]
        column = _column(gains, x)
        if self.channels is None or x.ndim == 2:
            return x + column
        return x + column * (np.arange(x.shape[2]) < self.channels)
