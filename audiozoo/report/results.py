"""Result tables and plots of confusion matrices."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo.metrics import LABEL_METRICS
from audiozoo.report.figures import new_figure, save_figure, shortened

if TYPE_CHECKING:
    from audiozoo.crossval import LabelLeaderboardEntry, LeaderboardEntry

_NAMES = {
    "accuracy": "accuracy",
    "macro_accuracy": "macro accuracy",
    "map@3": "MAP@3",
    "map": "mAP",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "roc_auc": "ROC-AUC",
}

_SHORT = 12  # characters of a class name that need no further room

OVER_SEEDS = "over seeds"
"""Name of the column with the standard deviation over the seeds."""


def metric_name(metric: str) -> str:
    """Return the name of a metric as papers write it, such as "MAP@3" for "map@3"."""
    return _NAMES[metric]


def duration(seconds: float) -> str:
    """Format a time in its natural unit.

    >>> [duration(seconds) for seconds in (0.34, 42, 372, 9_000)]
    ['0.3 s', '42 s', '6.2 min', '2.5 h']
    """
    if seconds < 120:
        return f"{seconds:.{int(seconds < 10)}f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def in_percent(metric: str) -> bool:
    """Return whether papers give a metric in percent, and its differences in points; the others are fractions."""
    return metric.endswith("accuracy")


def _unit(metric: str) -> tuple[int, int, str]:
    """Return the factor, the number of digits and the unit of a metric."""
    return (100, 1, " %") if in_percent(metric) else (1, 3, "")


def _rounded(value: float, digits: int, sign: str = "") -> str:
    if not math.isfinite(value):
        return f"{value:{sign}}"
    # A mean such as 0.9175 has an error in its last bits, which would decide between 91.7 and 91.8.
    exact = round(Decimal(repr(round(float(value), 9))), digits)
    return f"{exact + 0:{sign}.{digits}f}"  # the sum has no minus before zero


def measured(metric: str, value: float, deviation: float | None = None) -> str:
    """Format a metric as papers do: accuracies in percent, the others as fractions, with a standard deviation if given.

    Args:
        metric: Name of the metric.
        value: Value of the metric, from 0 to 1.
        deviation: Standard deviation over folds; `None` to leave it out.

    Returns:
        The formatted value.

    >>> measured("macro_accuracy", 0.597, 0.007), measured("map@3", 0.9538)
    ('59.7 ± 0.7 %', '0.954')
    """
    scale, digits, unit = _unit(metric)
    around = "" if deviation is None else f" ± {_rounded(scale * deviation, digits)}"
    return f"{_rounded(scale * value, digits)}{around}{unit}"


def spread(metric: str, deviation: float) -> str:
    """Format a standard deviation of a metric.

    >>> spread("accuracy", 0.0075), spread("map", 0.01)
    ('± 0.8 %', '± 0.010')
    """
    return f"± {measured(metric, deviation)}"


def between(metric: str, ends: tuple[float, float]) -> str:
    """Format an interval of a metric.

    >>> between("accuracy", (0.88, 0.94)), between("map", (0.88, 0.94))
    ('88.0 to 94.0 %', '0.880 to 0.940')
    """
    low, high = (measured(metric, end) for end in ends)
    return f"{low.removesuffix(' %')} to {high}"


def signed(metric: str, difference: float) -> str:
    """Format a difference with its sign: accuracies in points of a hundred, the others as fractions.

    >>> signed("accuracy", 0.0125), signed("map", -0.01)
    ('+1.2', '-0.010')
    """
    scale, digits, _ = _unit(metric)
    return _rounded(scale * difference, digits, "+")


def columns(metric: str, *, seeds: bool = False) -> tuple[str, ...]:
    """Return the column names of the leaderboard; the dataset's own metric comes before the other metrics.

    Args:
        metric: Name of the dataset's metric.
        seeds: Whether to have a column for the deviation over the seeds, see `over_seeds`.

    Returns:
        The names. "all trainings" is the time of the trainings of all folds and seeds together.
    """
    extra = (OVER_SEEDS,) if seeds else ()
    return ("model", "parameters", *map(metric_name, shown_metrics(metric)), *extra, "all trainings", "per clip")


def over_seeds(entries: Iterable[LeaderboardEntry | LabelLeaderboardEntry]) -> bool:
    """Return whether the deviation over the seeds is known of any entry."""
    return any(entry.seed_deviation is not None for entry in entries)


def cells(entry: LeaderboardEntry | LabelLeaderboardEntry, *, seeds: bool = False) -> tuple[str, ...]:
    """Format an entry as cells for the columns of `columns`; the standard deviation is left out for a single fold."""
    values = _values(entry)
    shown = [(name, *values[name]) for name in shown_metrics(entry.metric)]
    extra = "" if entry.seed_deviation is None else spread(entry.metric, entry.seed_deviation)
    return (
        f"{entry.model} ({entry.settings})" if entry.settings else entry.model,
        f"{entry.parameters:,}",
        *(measured(name, mean, deviation if entry.folds > 1 else None) for name, mean, deviation in shown),
        *([extra] if seeds else []),
        f"{entry.train_seconds:.0f} s",
        f"{entry.ms_per_clip:.1f} ms",
    )


def _values(entry: LeaderboardEntry | LabelLeaderboardEntry) -> Mapping[str, tuple[float, float | None]]:
    if entry.metric in LABEL_METRICS:
        return entry.figures  # type: ignore[union-attr]  # the metrics of the two kinds of entries are disjoint
    return {"accuracy": entry.accuracy, "map@3": (entry.map_at_3, None), entry.metric: entry.score}  # type: ignore[union-attr]


def shown_metrics(metric: str) -> tuple[str, ...]:
    """Return the metrics that a table shows: the dataset's own before the others."""
    others = LABEL_METRICS if metric in LABEL_METRICS else ("accuracy", "map@3")
    return tuple(dict.fromkeys((metric, *others)))


def markdown(entries: Sequence[LeaderboardEntry] | Sequence[LabelLeaderboardEntry]) -> str:
    """Format the leaderboard as a Markdown table."""
    seeds = over_seeds(entries)
    names = columns(entries[0].metric, seeds=seeds)
    lines = [names, ("---", *["---:"] * (len(names) - 1)), *(cells(entry, seeds=seeds) for entry in entries)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def confusion_picture(matrix: np.ndarray, labels: Sequence[str], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Plot a confusion matrix: colours show the share of each true class, numbers show the counts.

    Args:
        matrix: Confusion matrix of counts, ``(true, predicted)``.
        labels: Class names, in the order of the matrix.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the matrix.

    Returns:
        The path of the picture.
    """
    matrix = np.asarray(matrix)
    names = [shortened(label) for label in labels]
    # Without room for the names, matplotlib would draw them over the matrix.
    side = 2.5 + 0.42 * len(labels) + 0.1 * max(0, max(map(len, names)) - _SHORT)
    figure = new_figure(side + 0.8, side)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), names)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    _write_counts(axes, matrix, shares)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return save_figure(figure, path)


def _write_counts(axes: Any, matrix: np.ndarray, shares: np.ndarray) -> None:
    if len(matrix) > 20:
        return  # the cells are too small for numbers
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=8)
