"""Confusion matrices as heat maps, with lists of the most confused pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audiozoo.crossval import LeaderboardEntry
from audiozoo.report.figures import shortened
from audiozoo.report.page.markup import Html, breakable, isolated, tag
from audiozoo.report.page.svg import drawing, text
from audiozoo.report.page.tables import badge
from audiozoo.report.pairs import Pair, confused_pairs
from audiozoo.report.summary import DatasetSummary, ModelSummary

_LEVELS = 10
_MOST_CLASSES = 200
_LONGEST = 17  # characters of a label
_NUMBERED = 12  # more classes than this leave no room for numbers in the cells
_PHONE = 20  # more classes than this need more than the width of a phone, so the picture scrolls in its box


def confusion_sections(data: DatasetSummary, models: Sequence[ModelSummary]) -> Iterator[Html]:
    """Yield a block for each model: the first is open and the others are folded.

    Args:
        data: Dataset of the models.
        models: Models to draw, best first.

    Yields:
        The blocks.
    """
    for place, model in enumerate(models):
        if isinstance(model.entry, LeaderboardEntry):
            matrix = model.entry.confusion
            clips, right = int(matrix.sum()), int(matrix.diagonal().sum())
            wrong = tag("span", f"{clips - right:,} of {clips:,} wrong", class_="soft")
            named = tag("span", badge(place), tag("span", breakable(model.name)), wrong, class_="line")
            yield tag("details", tag("summary", named), _block(model.name, matrix, data.labels), open=place == 0)


def _block(name: str, matrix: np.ndarray, labels: Sequence[str]) -> Html:
    pairs = confused_pairs(matrix, labels)
    if len(labels) > _MOST_CLASSES:
        return tag("div", tag("p", f"A matrix of {len(labels)} classes is too large to draw.", class_="note"), _listed(pairs))
    picture = heat_map(matrix, labels, alt=_described(name, pairs))
    if len(labels) <= _PHONE:
        return tag("div", tag("figure", picture), _listed(pairs), class_="pair")
    scrolling = tag("div", picture, class_="plain", tabindex=0, role="region", aria_label=f"Confusion matrix of {name}")
    return tag("div", tag("figure", scrolling), _listed(pairs), class_="pair tall")


def _listed(pairs: Sequence[Pair]) -> Html:
    if not pairs:
        return tag("p", "No clip was confused.")
    lines = [
        tag("li", tag("span", isolated(one.true), " → ", isolated(one.predicted)), tag("span", f"{one.clips} of {one.total}"))
        for one in pairs
    ]
    return tag("div", tag("h4", "Most confused: true → predicted"), tag("ol", lines, class_="pairs"))


def _described(name: str, pairs: Sequence[Pair]) -> str:
    worst = ", ".join(f"{one.true} as {one.predicted} ({one.clips})" for one in pairs[:3])
    return f"Confusion matrix of {name}. Most confused: {worst or 'nothing'}."


def heat_map(matrix: np.ndarray, labels: Sequence[str], *, alt: str) -> Html:
    """Draw a matrix of counts. The darkness of a cell is its share of the true class.

    Args:
        matrix: Counts ``(true, predicted)``.
        labels: Class names, in the order of the matrix.
        alt: Description of the picture.

    Returns:
        The picture.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    crowded = len(labels) > _PHONE
    cell = 13 if crowded else 26
    left, top, side = 112, 112 if crowded else 96, cell * len(labels)
    cells = tag("g", _cells(shares), transform=f"translate({left},{top}) scale({cell})", class_="heat")
    drawn = [cells, *_names(labels, cell, left, top, angle=-90 if crowded else -50)]
    if len(labels) <= _NUMBERED:
        drawn += _numbers(matrix, shares, cell, left, top)
    # The slanted labels reach beyond the last column.
    width = left + side + (8 if crowded else 60)
    return drawing(*drawn, width=width, height=top + side + 4, alt=alt, least=0.85 * width if crowded else 0)


def _names(labels: Sequence[str], cell: float, left: float, top: float, *, angle: float) -> Iterator[Html]:
    for place, label in enumerate(labels):
        name, middle = shortened(label, _LONGEST), cell * (place + 0.5)
        yield text(name, left - 6, top + middle + 4, anchor="end", class_="label")
        slanted = text(name, 0, 4, class_="label")
        yield tag("g", slanted, transform=f"translate({left + middle:g},{top - 6}) rotate({angle:g})")


def _cells(shares: np.ndarray) -> list[Html]:
    """Draw all cells of one level as one path, which keeps a matrix of 50 classes below 10 kB."""
    size = len(shares)
    ground = tag("rect", width=size, height=size, class_="ground")
    levels = np.ceil(shares * _LEVELS).astype(int)
    paths = []
    for level in range(1, _LEVELS + 1):
        places = np.argwhere(levels == level)
        if len(places):
            path = "".join(f"M{column} {row}h1v1h-1z" for row, column in places)
            paths.append(tag("path", d=path, class_="cut", fill_opacity=f"{level / _LEVELS:g}"))
    return [ground, *paths]


def _numbers(matrix: np.ndarray, shares: np.ndarray, cell: float, left: float, top: float) -> Iterator[Html]:
    for row, column in np.argwhere(matrix > 0):
        x, y = left + cell * (column + 0.5), top + cell * (row + 0.5) + 4
        kind = "mini dark" if shares[row, column] > 0.5 else "mini label"
        yield text(str(matrix[row, column]), x, y, anchor="middle", class_=kind)
