"""Bars of the accuracy of each class, with a dot for each model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiozoo.report.figures import shortened
from audiozoo.report.page.markup import Html, tag
from audiozoo.report.page.svg import Scale, drawing, text
from audiozoo.report.page.tables import COLOURS
from audiozoo.report.summary import DatasetSummary, ModelSummary

_WIDTH, _LEFT, _RIGHT = 360, 118, 350
_TOP, _STEP = 22, 21
_LONGEST = 18  # characters of a label
_COLUMN = 17  # classes in one drawing

MOST_DOTS = 6
"""Number of models with dots; more would hide each other."""


def class_charts(data: DatasetSummary, models: Sequence[ModelSummary]) -> list[Html]:
    """Draw the figures of each class, the hardest class first: the mean of all models, and dots for the best.

    Args:
        data: Dataset of the models.
        models: Models to draw, best first.

    Returns:
        Figures of up to 17 classes each.
    """
    values = np.array([model.by_class for model in models])
    known = [column for column in range(values.shape[1]) if not np.isnan(values[:, column]).all()]
    means = {column: float(np.nanmean(values[:, column])) for column in known}
    order = sorted(known, key=lambda column: means[column])
    # Columns of the same height look calmer than 17 classes beside 2.
    columns = np.array_split(order, max(1, -(-len(order) // _COLUMN)))
    return [_chart(data, values, means, part.tolist()) for part in columns]


def _chart(data: DatasetSummary, values: np.ndarray, means: dict[int, float], classes: Sequence[int]) -> Html:
    scale = Scale(0, 1, _LEFT, _RIGHT)
    height = _TOP + _STEP * len(classes) + 4
    grid = [
        (tag("line", x1=scale(value), x2=scale(value), y1=_TOP - 4, y2=height, class_="grid"), _tick(value, scale))
        for value in (0, 0.25, 0.5, 0.75, 1)
    ]
    rows = [
        _row(data.labels[each], values[:, each], means[each], scale, _TOP + _STEP * (n + 0.5)) for n, each in enumerate(classes)
    ]
    alt = "; ".join(f"{data.labels[each]} {100 * means[each]:.0f} %" for each in classes)
    return tag("figure", drawing(grid, rows, width=_WIDTH, height=height, alt=f"Mean over the models: {alt}."))


def _tick(value: float, scale: Scale) -> Html:
    return text(f"{100 * value:g}", scale(value), _TOP - 10, anchor="middle")


def _row(label: str, values: np.ndarray, mean: float, scale: Scale, middle: float) -> Html:
    dots = [
        tag("circle", cx=scale(value), cy=middle, r=4.5, class_=f"dot m{place % COLOURS}")
        for place, value in reversed([*enumerate(values[:MOST_DOTS])])
        if not np.isnan(value)
    ]
    return tag(
        "g",
        tag("title", f"{label}: {100 * mean:.0f} % on average"),
        tag("rect", x=_LEFT, y=middle - 7, width=scale(mean) - _LEFT, height=14, rx=2, class_="mean"),
        text(shortened(label, _LONGEST), _LEFT - 8, middle + 4, anchor="end", class_="label"),
        dots,
    )
