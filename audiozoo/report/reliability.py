"""Reliability diagrams: the share of correct answers against the probability."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.report.figures import new_figure, save_figure

if TYPE_CHECKING:
    from audiozoo.crossval import Calibration, Evaluation


def reliability_picture(evaluation: Evaluation, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw the reliability diagrams of a classifier, at temperature 1 and at its own.

    Args:
        evaluation: Result of `audiozoo.crossval.evaluate`.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the diagrams.

    Returns:
        The path of the picture.

    Raises:
        ValueError: The classifier gives several labels, which have no single probability of being correct.
    """
    if not (evaluation.before and evaluation.after):
        raise ValueError("a reliability diagram needs a classifier that gives each clip one label; this one gives several")
    figure = new_figure(9.6, 5.6)
    both = figure.subplots(1, 2, sharey=True)
    for axes, calibration, name in zip(
        both, (evaluation.before, evaluation.after), ("temperature 1", "own temperature"), strict=True
    ):
        _draw(axes, calibration)
        axes.set(title=f"{name}: error {100 * calibration.error:.1f} %", xlabel="highest probability")
    both[0].set(ylabel="share of correct answers")
    both[0].legend(loc="upper left")
    figure.suptitle(title)
    return save_figure(figure, path)


def _draw(axes: Any, calibration: Calibration) -> None:
    groups = [group for group in calibration.bins if group.clips]
    width = calibration.bins[0].high - calibration.bins[0].low
    axes.bar([group.low for group in groups], [group.accuracy for group in groups], width, align="edge", edgecolor="white")
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="calibrated")
    # Dots at the mean probability, sized by the number of clips, show which bars matter.
    most = max(group.clips for group in groups)
    axes.scatter(
        [group.confidence for group in groups],
        [group.accuracy for group in groups],
        [10 + 90 * group.clips / most for group in groups],
        color="tab:orange",
        zorder=3,
        label="clips of a bar",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
