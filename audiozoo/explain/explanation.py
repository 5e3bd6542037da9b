"""The result of an explanation: a map of one window, and the stretch of time that decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from audiozoo.checks import require_number
from audiozoo.explain.subbands import SubBandScore
from audiozoo.features import Frontend, RemoveSilence, TrimSilence

STRETCH = 0.2
"""Length of the deciding stretch as a share of the window, unless another length is asked for."""


class Stretch(NamedTuple):
    """Contiguous stretch of a sound.

    Args:
        start: Start in the sound (seconds).
        end: End in the sound (seconds).
        share: Share of the positive attribution in the window that lies in the stretch.
    """

    start: float
    end: float
    share: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Attribution of a class to the parts of one window of a sound.

    Args:
        source: Name of the file; "" for an array.
        label: Class that is explained.
        score: Probability of the class in this window.
        method: "gradient" or "gradcam".
        values: Attribution without channels: ``(bands, frames)``, ``(samples,)`` for a waveform, ``(features,)`` for a vector.
            Positive values speak for the class; those of Grad-CAM are never negative.
        features: Window that the frontend computed, ``(*values.shape, channels)`` or ``(features,)``, not standardised.
        frontend: Frontend of the classifier.
        start: Start of the window in the sound (seconds).
        end: End of the window (seconds), or of the sound if it ends inside the window.
        window: Number of the window in the sound, counted from 1.
        windows: Number of windows of the sound.
        layers: Layers that Grad-CAM used.
        sub_bands: Answers of the classifiers of sub-bands, if the model has such.
    """

    source: str
    label: str
    score: float
    method: str
    values: np.ndarray
    features: np.ndarray
    frontend: Frontend
    start: float
    end: float
    window: int
    windows: int
    layers: tuple[str, ...] = ()
    sub_bands: tuple[SubBandScore, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no part of the window speaks for the class, as where Grad-CAM finds only evidence against it."""
        return not (self.values > 0).any()

    @property
    def timed(self) -> bool:
        """Whether the features have a time axis with the times of the sound."""
        return self.frontend.times is not None and not self._moved

    @property
    def _moved(self) -> list[str]:
        return [type(step).__name__ for step in self.frontend.prepare if isinstance(step, (TrimSilence, RemoveSilence))]

    @property
    def profile(self) -> np.ndarray:
        """Attribution summed over the bands, ``(frames,)`` or ``(samples,)``.

        Raises:
            ValueError: The features have no time axis.
        """
        self._require_times()
        return self.values.sum(axis=0) if self.values.ndim > 1 else self.values

    def _require_times(self) -> np.ndarray:
        times = self.frontend.times
        if times is None:
            raise ValueError(
                f"a stretch of time needs features with a time axis, and {type(self.frontend).__name__} gives "
                f"{self.frontend.shape} without one: use the values of the explanation"
            )
        return times

    def stretch(self, seconds: float | None = None) -> Stretch:
        """Find the contiguous stretch of time with the most attribution.

        If the frontend repeats a short sound to fill the window, the repetitions count for the sound itself.

        Args:
            seconds: Length of the stretch (seconds), at most the length of the sound in the window; `None` takes a fifth of
                the window.

        Returns:
            The stretch, in seconds of the sound.

        Raises:
            ValueError: `seconds` is out of range, or the features have no time axis, or one that is not that of the sound
                because the frontend removes silence.
        """
        if moved := ", ".join(self._moved):
            raise ValueError(f"the frontend removes silence ({moved}), so the times in its windows are not those of the sound")
        length = self.end - self.start
        if seconds is not None:
            require_number("the length of the stretch (seconds)", seconds, 1e-3, length)
        width = min(STRETCH * self.frontend.duration if seconds is None else seconds, length)
        places, profile = self._placed(length)
        totals, positive = (np.append(0, np.cumsum(values)) for values in (profile, np.maximum(profile, 0)))
        starts = np.clip(places - self._half, 0, length - width)
        first, last = np.searchsorted(places, starts), np.searchsorted(places, starts + width)
        best = int((totals[last] - totals[first]).argmax())
        share = (positive[last] - positive[first])[best] / (positive[-1] or 1)
        begin = self.start + float(starts[best])
        return Stretch(begin, begin + width, float(share))

    @property
    def _half(self) -> float:
        """Half the distance of two frames (seconds)."""
        times = self._require_times()
        return float(times[1] - times[0]) / 2 if len(times) > 1 else 0.0

    def _placed(self, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of the frames in the sound, in ascending order, and their attribution."""
        times, profile = self._require_times(), self.profile
        if self.frontend.pad == "repeat":
            times = times % length
        else:
            inside = times < max(length, times[0] + 1e-9)
            times, profile = times[inside], profile[inside]
        order = np.argsort(times, kind="stable")
        return times[order], profile[order]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation without its arrays as JSON data."""
        return {
            "file": self.source,
            "label": self.label,
            "score": self.score,
            "method": self.method,
            "layers": list(self.layers),
            "window": {"number": self.window, "of": self.windows, "start_s": self.start, "end_s": self.end},
            "sub_bands": [vars(one) for one in self.sub_bands],
        }
