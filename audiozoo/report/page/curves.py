"""Learning curves: the metrics of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audiozoo.report.page.markup import Html, isolated, tag
from audiozoo.report.page.svg import Plot, Scale, compact, drawing, line
from audiozoo.report.page.tables import COLOURS, badge
from audiozoo.report.summary import ModelSummary

_WIDTH, _HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 312, 22, 148
_POINTS = 120  # points of a line; more cannot be seen

MOST_LINES = 40
"""Number of single trainings in the chart of a model; the mean is over all."""


def curve_charts(models: Sequence[ModelSummary]) -> list[Html]:
    """Draw the learning curves of each model whose rows have a history.

    Args:
        models: Models to draw, best first.

    Returns:
        A figure for each.
    """
    return [_chart(model, place) for place, model in enumerate(models) if shown(model.curves)]


def shown(curves: Mapping[str, Sequence[Sequence[float]]]) -> tuple[str, ...]:
    """Return the names of the curves to draw, the one on held-out clips last; the accuracy if there is one, or the loss."""
    for name in ("accuracy", "map", "loss"):
        found = tuple(each for each in (name, f"val_{name}") if each in curves)
        if found:
            return found
    return ()


def held_out(name: str) -> bool:
    """Return whether a curve is measured on held-out clips."""
    return name.startswith("val_")


def _chart(model: ModelSummary, place: int) -> Html:
    names = shown(model.curves)
    metric = names[0].removeprefix("val_")
    means = {name: _mean(model.curves[name]) for name in names}
    ends = [float(value) for mean in means.values() for value in (np.nanmin(mean), np.nanmax(mean))]
    epochs = max(map(len, means.values()))
    scale = Scale.around(ends, _BOTTOM, _TOP) if metric == "loss" else Scale(0, 1, _BOTTOM, _TOP)
    written = compact if metric == "loss" else (lambda value: f"{100 * value:g} %")
    plot = Plot(Scale(1, max(epochs, 2), _LEFT, _RIGHT), scale, lambda value: f"{value:g}", written, "epoch →", f"↑ {metric}")
    last = names[-1]
    single = model.curves[last][:MOST_LINES] if len(model.curves[last]) > 1 else []
    lines = [_line(curve, plot, _kind("fold", last)) for curve in single]
    lines += [_line(means[name], plot, _kind("curve", name)) for name in names]
    alt = f"Learning curve of {model.name}: {len(model.curves[last])} trainings of up to {epochs} epochs."
    picture = drawing(plot.frame(ticks=4), lines, width=_WIDTH, height=_HEIGHT, alt=alt, class_=f"chart m{place % COLOURS}")
    return tag("figure", tag("h4", badge(place), tag("span", isolated(model.name), title=model.name)), picture)


def _kind(line: str, name: str) -> str:
    return line if held_out(name) else f"{line} train"


def _mean(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the mean over the trainings that reached each epoch; NaN where none has a value."""
    longest = max(map(len, curves))
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve
    counts = (~np.isnan(padded)).sum(axis=0)
    return np.where(counts, np.nansum(padded, axis=0) / np.maximum(counts, 1), np.nan)


def _line(values: Sequence[float] | np.ndarray, plot: Plot, kind: str) -> Html:
    step = -(-len(values) // _POINTS)
    places = range(0, len(values), step)
    return line([plot.x(1 + place) for place in places], [_clipped(values[place], plot.y) for place in places], class_=kind)


def _clipped(value: float, scale: Scale) -> float:
    return scale(min(max(value, scale.low), scale.high))
