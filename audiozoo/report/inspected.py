"""Plot of an inspection: clips per class, and durations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.inspection import Inspection
from audiozoo.report.figures import new_figure, save_figure

# Kinds of clips in the bars, with their colours; the problems have colours that stand out.
_COLOURS = {"clips": "tab:blue", "clipped": "tab:orange", "silent": "tab:gray", "unreadable": "tab:red"}


def inspection_picture(inspection: Inspection, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Plot the numbers of clips in each class and the histogram of their durations.

    Args:
        inspection: Result of `audiozoo.inspect_clips`.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the picture.

    Returns:
        The path of the picture.

    Raises:
        OSError: The picture cannot be written.
    """
    # Labels need 0.22 inches each to stay legible.
    figure = new_figure(11, 2 + max(2.2, 0.22 * len(inspection.classes)))
    left, right = figure.subplots(1, 2)
    _draw_classes(left, inspection)
    _draw_durations(right, inspection)
    figure.suptitle(title)
    return save_figure(figure, path, dpi=110)


def _draw_classes(axes: Any, inspection: Inspection) -> None:
    classes = inspection.classes
    silent, clipped = (np.array([getattr(one, kind) for one in classes]) for kind in ("silent", "clipped"))
    bars = {
        "clips": np.array([one.clips for one in classes]) - silent - clipped,
        "clipped": clipped,
        "silent": silent,
        "unreadable": np.array([one.unreadable for one in classes]),
    }
    places, start = np.arange(len(classes)), np.zeros(len(classes), int)
    for kind, counts in bars.items():
        if counts.any():
            axes.barh(places, counts, left=start, color=_COLOURS[kind], label=kind)
            start = start + counts
    axes.set_yticks(places, [one.label for one in classes])
    axes.invert_yaxis()  # the first class at the top
    axes.set(xlabel="number of clips", title="clips per class")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.figure.legend(loc="outside lower left", ncols=len(bars))


def _draw_durations(axes: Any, inspection: Inspection) -> None:
    counts, edges = inspection.histogram()
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=_COLOURS["clips"], edgecolor="white")
    widths = np.diff(edges)
    if widths[-1] > 1.5 * widths[0]:
        axes.set_xscale("log")
    axes.set(xlabel="duration (s)", ylabel="number of clips", title="durations")
