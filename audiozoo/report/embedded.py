"""Map of sounds: a point for each embedding in two dimensions, coloured by class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo.embeddings import Projection
from audiozoo.report.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette for colour-blind readers, without the yellow that is hard to see on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Seven colours and eight markers have no common factor, so the first 56 classes all have different pairs of them.
_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
_MOST_CLASSES = len(_COLOURS) * len(_MARKERS)
_ROWS = 25  # in a column of the legend
_LONGEST = 24  # characters of a class in the legend
_OTHER = "#BBBBBB"


def map_picture(
    projection: Projection,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Path:
    """Draw a map of sounds.

    Up to 56 classes have different pairs of a colour and a marker; the colours are those of Okabe and Ito for colour-blind
    readers. The smallest of more classes are grey, and so are sounds without a class.

    Args:
        projection: Embeddings in two dimensions, see `audiozoo.embeddings.project`.
        path: Path of the picture to write; the suffix sets the format.
        labels: Class of each sound, "" for none; `None` draws all sounds alike.
        title: Title above the map; `None` names the method.

    Returns:
        The path of the picture.

    Raises:
        ValueError: There is not one label for each point.
        OSError: The picture cannot be written.
    """
    names = [""] * len(projection.points) if labels is None else list(labels)
    if len(names) != len(projection.points):
        raise ValueError(f"there are {len(names)} labels for {len(projection.points)} points")
    shown = sorted(label for label, _ in Counter(filter(None, names)).most_common(_MOST_CLASSES))
    columns = -(-len(shown) // _ROWS)
    figure = new_figure(7 + 2.1 * columns, 6.5)
    axes = figure.add_subplot()
    _draw(axes, projection.points, np.array(names), shown)
    if shown:
        rest = len(set(names) - set(shown) - {""})
        heading = f"{len(shown)} classes" + (f", {rest} more in grey" if rest else "")
        figure.legend(loc="outside right upper", ncols=columns, title=heading, fontsize=8, frameon=False, **_legend(shown))
    axes.set(title=_plain(f"{projection.method} of {len(names):,} sounds" if title is None else title))
    axes.set(xlabel=projection.axes[0], ylabel=projection.axes[1], xticks=[], yticks=[])
    return save_figure(figure, path)


def _draw(axes: Axes, points: np.ndarray, names: np.ndarray, shown: Sequence[str]) -> None:
    size = float(np.clip(30_000 / len(points), 3, 30))
    # Only one of a hundred thousand points is large enough to be seen, and a vector graphic of all would be huge.
    style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.8, "rasterized": len(points) > 5_000}
    grey = ~np.isin(names, shown)
    if grey.any():
        axes.scatter(points[grey, 0], points[grey, 1], color=_OTHER if len(shown) else _COLOURS[0], zorder=1, **style)
    for number, label in enumerate(shown):
        chosen = points[names == label]
        axes.scatter(chosen[:, 0], chosen[:, 1], zorder=2, **_look(number), **style)


def _look(number: int) -> dict[str, Any]:
    return {"color": _COLOURS[number % len(_COLOURS)], "marker": _MARKERS[number % len(_MARKERS)]}


def _legend(shown: Sequence[str]) -> dict[str, Any]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="", markersize=6, **_look(number)) for number in range(len(shown))]
    return {"handles": handles, "labels": [_plain(label) for label in shown]}


def _plain(text: str) -> str:
    """Return text that matplotlib draws unchanged: no formula between dollars, and not hidden by an underscore in front."""
    short = text if len(text) <= _LONGEST * 4 else text[: _LONGEST * 4] + "…"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")
