"""Tables of results and pictures of confusion matrices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo.files import replacing

if TYPE_CHECKING:
    from audiozoo.crossval import LeaderboardEntry

COLUMNS = ("model", "parameters", "accuracy", "MAP@3", "training", "per clip")
"""The leaderboard's columns, one cell each in `cells`."""


def cells(entry: LeaderboardEntry) -> tuple[str, ...]:
    """Write a entry as the leaderboard's cells."""
    mean, deviation = entry.accuracy
    return (
        entry.model,
        f"{entry.parameters:,}",
        f"{100 * mean:.1f} ± {100 * deviation:.1f} %",
        f"{entry.map_at_3:.3f}",
        f"{entry.train_seconds:.0f} s",
        f"{entry.ms_per_clip:.1f} ms",
    )


def markdown(entries: Sequence[LeaderboardEntry]) -> str:
    """Write the leaderboard as a Markdown table."""
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *map(cells, entries)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def confusion_picture(matrix: np.ndarray, labels: Sequence[str], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw a confusion matrix as shares of each true class, with the counts in the cells.

    Args:
        matrix: Counts ``(true, predicted)``.
        labels: The classes.
        path: Of the picture; its ending chooses the format.
        title: Above it.

    Returns:
        The path.
    """
    # A figure of its own canvas, not pyplot: no window system is asked for and no global state is left behind.
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix)
    side = 2.5 + 0.42 * len(labels)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    _write_counts(axes, matrix, shares)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return Path(path)


def _write_counts(axes: Any, matrix: np.ndarray, shares: np.ndarray) -> None:
    if len(matrix) > 20:
        return  # fifty classes leave no room for numbers
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=8)
