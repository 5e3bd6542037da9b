"""Mean and deviation of the bands of a spectral feature by class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.datasets import Clip
from audiozoo.features import Axis, FeatureCache, Features, Frontend, extract
from audiozoo.progress import Progress
from audiozoo.report.figures import new_figure, save_figure
from audiozoo.report.sounds import unit_of
from audiozoo.training import target_indices

_TICKS = 8


@dataclass(frozen=True, eq=False)
class BandStatistics:
    """Mean and standard deviation of each band over all frames of the clips of a class.

    Args:
        labels: Class names.
        axis: Meaning of the bands.
        unit: Unit of the features, such as "dB", or "".
        mean: Mean ``(classes, bands)``, in this unit; NaN for a class without clips.
        deviation: Standard deviation over frames and clips, likewise.
        clips: Number of clips of each class, ``(classes,)``.
        failures: Error message of each clip that could not be read, by position.
    """

    labels: tuple[str, ...]
    axis: Axis
    unit: str
    mean: np.ndarray
    deviation: np.ndarray
    clips: np.ndarray
    failures: dict[int, str]


def band_statistics(
    frontend: Frontend,
    clips: Sequence[Clip],
    *,
    labels: Sequence[str] | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> BandStatistics:
    """Measure the mean and the deviation of the bands of a frontend's features by class.

    Args:
        frontend: Frontend whose features have bands, such as `LogMel`.
        clips: Clips with one label each.
        labels: Class names in their order; `None` sorts those of the clips.
        cache: Cache of features; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The statistics.

    Raises:
        ValueError: The features have no bands, a clip has several labels or an unknown one, or no clip can be read.
    """
    axis = require_bands(frontend)
    classes = tuple(sorted({clip.label for clip in clips}) if labels is None else labels)
    targets = target_indices(clips, classes)
    features = extract(clips, frontend, cache=cache, progress=progress)
    if not len(features.readable):
        features.raise_failures()
    sums = _Sums(len(classes), frontend.shape[0])
    for clip in features.readable:
        sums.add(int(targets[clip]), features, int(clip))
    mean, deviation = sums.moments()
    return BandStatistics(classes, axis, unit_of(frontend), mean, deviation, sums.clips, dict(features.failures))


def require_bands(frontend: Frontend) -> Axis:
    """Return the axis of the bands of a frontend's features.

    Raises:
        ValueError: The features have no bands.
    """
    if frontend.axis is None or len(frontend.shape) != 3:
        raise ValueError(
            f"statistics of bands need features (bands, frames, channels), and {type(frontend).__name__} gives "
            f"{frontend.shape}: choose a spectral frontend such as LogMel"
        )
    return frontend.axis


class _Sums:
    """Sums over frames and channels by class and band, so that only one clip is in memory in double precision."""

    def __init__(self, classes: int, bands: int) -> None:
        self.clips, self.count = np.zeros((2, classes), int)
        self.total, self.squares = np.zeros((2, classes, bands))

    def add(self, target: int, features: Features, clip: int) -> None:
        values = features.values[features.windows(clip)].astype(np.float64)
        self.clips[target] += 1
        self.count[target] += values.size // values.shape[1]
        self.total[target] += values.sum(axis=(0, 2, 3))
        self.squares[target] += np.square(values).sum(axis=(0, 2, 3))

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation ``(classes, bands)``."""
        count = np.where(self.count, self.count, np.nan)[:, None]
        mean = self.total / count
        # Rounding can make the variance of a constant band negative.
        return mean, np.sqrt(np.maximum(self.squares / count - np.square(mean), 0))


def band_picture(statistics: BandStatistics, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw the mean of each band by class, relative to the mean of all classes, and the deviation beside it.

    Args:
        statistics: Result of `band_statistics`.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the picture.

    Returns:
        The path of the picture.

    Raises:
        OSError: The picture cannot be written.
    """
    # The slope that all sounds share, which is loud at the bottom, would hide the differences between classes.
    relative = statistics.mean - np.nanmean(statistics.mean, axis=0)
    figure = new_figure(12, 1.9 + 0.36 * len(statistics.labels))
    left, right = figure.subplots(1, 2, sharey=True)
    limit = float(np.nanmax(np.abs(relative))) or 1.0
    _draw(left, relative, statistics, {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit})
    _draw(right, statistics.deviation, statistics, {"cmap": "viridis", "vmin": 0})
    left.set(title="mean, relative to the mean of all classes")
    right.set(title="standard deviation over frames and clips")
    left.set_yticks(range(len(statistics.labels)), statistics.labels)
    figure.suptitle(title)
    return save_figure(figure, path)


def _draw(axes: Any, values: np.ndarray, statistics: BandStatistics, how: dict[str, Any]) -> None:
    image = axes.imshow(values, aspect="auto", interpolation="nearest", **how)
    places = np.unique(np.linspace(0, values.shape[1] - 1, _TICKS).round().astype(int))
    axes.set_xticks(places, [f"{statistics.axis.values[place]:.0f}" for place in places])
    axes.set(xlabel=statistics.axis.label)
    axes.figure.colorbar(image, ax=axes, pad=0.01, label=statistics.unit)
