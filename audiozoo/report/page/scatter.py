"""Charts of a metric against the cost of the models, with the front of the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from audiozoo.report.page.markup import Html, breakable, joined, tag
from audiozoo.report.page.svg import Plot, Scale, compact, drawing, text
from audiozoo.report.page.tables import COLOURS
from audiozoo.report.results import in_percent, metric_name
from audiozoo.report.summary import DatasetSummary, ModelSummary

_WIDTH, _HEIGHT = 360, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 346, 24, 246
_RADIUS = 9


class Cost(NamedTuple):
    """Cost of a model: its name with the unit, and the function that returns it (`None` if unknown)."""

    name: str
    of: Callable[[ModelSummary], float | None]


COSTS = (
    Cost("parameters", lambda model: model.entry.parameters),
    Cost("milliseconds per clip", lambda model: model.entry.ms_per_clip),
    Cost("seconds of training per fold", lambda model: model.train_seconds),
    Cost("estimated watt-hours per training", lambda model: model.watt_hours("kwh_training")),
    Cost("estimated watt-hours per 1,000 clips", lambda model: model.watt_hours("kwh_per_thousand")),
)


class _Point(NamedTuple):
    place: int
    cost: float
    score: float


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other point beats in both cost and score, in ascending order of cost.

    Args:
        points: Cost (lower is better) and score (higher is better) of each.

    >>> pareto_front([(1, 0.5), (2, 0.4), (3, 0.9), (3, 0.8)])
    [0, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front


def cost_charts(data: DatasetSummary, models: Sequence[ModelSummary]) -> list[Html]:
    """Draw the metric against each cost that at least two models have.

    Args:
        data: Dataset of the models.
        models: Models to draw, best first.

    Returns:
        The figures.
    """
    charts = []
    for cost in COSTS:
        known = [(place, cost.of(model), model.entry.score[0]) for place, model in enumerate(models)]
        points = [_Point(place, value, score) for place, value, score in known if value]
        if len(points) > 1:
            charts.append(_chart(data, models, cost, points))
    return charts


def _chart(data: DatasetSummary, models: Sequence[ModelSummary], cost: Cost, points: Sequence[_Point]) -> Html:
    percent = in_percent(data.metric)
    plot = Plot(
        Scale.around([point.cost for point in points], _LEFT + 6, _RIGHT, log=True),
        Scale.around([point.score for point in points], _BOTTOM, _TOP, room=0.1),
        compact,
        lambda value: f"{100 * value:g} %" if percent else f"{value:.3g}",
        f"{cost.name} →",
        f"↑ {metric_name(data.metric)}",
    )
    front = [points[place] for place in pareto_front([(point.cost, point.score) for point in points])]
    best = [models[point.place].entry.model for point in front]
    drawn = drawing(
        plot.frame(),
        tag("path", d=_steps(front, plot), class_="front"),
        # The best models are drawn last, on top of the others.
        [_dot(point, models[point.place], plot) for point in reversed(points)],
        width=_WIDTH,
        height=_HEIGHT,
        alt=f"{metric_name(data.metric)} against {cost.name} of {len(points)} models. On the front: {', '.join(best)}.",
    )
    return tag("figure", drawn, tag("figcaption", "On the front: ", tag("strong", _listed(best))))


def _listed(names: Sequence[str]) -> list[Html]:
    return [joined(", " if place else None, breakable(name)) for place, name in enumerate(names)]


def _steps(front: Sequence[_Point], plot: Plot) -> str:
    """Return the path of the front: the best score that is to be had up to each cost."""
    ends = [*(plot.x(point.cost) for point in front[1:]), plot.x.end]
    steps = [f"{plot.y(point.score):.1f}H{end:.1f}" for point, end in zip(front, ends, strict=True)]
    return f"M{plot.x(front[0].cost):.1f} " + "V".join(steps)


def _dot(point: _Point, model: ModelSummary, plot: Plot) -> Html:
    x, y = plot.x(point.cost), plot.y(point.score)
    return tag(
        "g",
        tag("title", f"{model.name}: {compact(point.cost)}"),
        tag("circle", cx=x, cy=y, r=_RADIUS, class_="dot"),
        text(str(point.place + 1), x, y + 3.5, class_="digit"),
        class_=f"m{point.place % COLOURS}",
    )
