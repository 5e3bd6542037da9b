"""The leaderboard of the page."""

from __future__ import annotations

from collections.abc import Sequence

from audiozoo.report.columns import Column, columns, interval_text, score_text
from audiozoo.report.domains import DomainTable
from audiozoo.report.page.markup import Html, breakable, tag
from audiozoo.report.page.svg import Scale, drawing
from audiozoo.report.results import metric_name
from audiozoo.report.summary import MOST_LISTED, DatasetSummary, ModelSummary

COLOURS = 10
"""Number of colours of models. Further models share them, and the number in the badge tells these apart."""

_MOST_BADGES = 8  # in the cell of one model
_WIDTH, _HEIGHT = 120, 18  # size of the drawing of an interval (pixels)


def badge(place: int) -> Html:
    """Return the coloured number of a model, which is the same in all tables and charts."""
    return tag("span", place + 1, class_=f"badge m{place % COLOURS}")


def leaderboard_table(data: DatasetSummary) -> Html:
    """Return the leaderboard of a dataset as a table that can be sorted by any column."""
    listed, further = data.models[:MOST_LISTED], columns(data)
    scale = _scale(listed) if any(model.interval for model in listed) else None
    head = tag(
        "tr",
        tag("th", "model", class_="word", scope="col", data_first="ascending"),
        tag("th", metric_name(data.metric), scope="col", aria_sort="descending"),
        tag("th", "95 % interval", class_="word", scope="col", data_plain=True) if scale else None,
        tag("th", "not told apart from", class_="word", scope="col", data_plain=True) if data.groups else None,
        [tag("th", each.name, scope="col", title=each.about or None, data_first=each.first) for each in further],
    )
    body = [_line(model, place, data, further, scale) for place, model in enumerate(listed)]
    table = tag("table", tag("thead", head), tag("tbody", body), class_="sortable")
    return tag("div", table, class_="box", tabindex=0, role="region", aria_label=f"Leaderboard of {data.name}")


def domain_scores_table(data: DatasetSummary, found: DomainTable) -> Html:
    """Return the scores of the models by domain as a table."""
    head = tag("tr", tag("th", "model", class_="word", scope="col"), [tag("th", name, scope="col") for name in found.head])
    body = [
        tag("tr", tag("td", _named(data.models[place], place, data.folds), class_="model"), [tag("td", one) for one in scores])
        for place, scores in found.lines.items()
    ]
    table = tag("table", tag("thead", head), tag("tbody", body))
    return tag("div", table, class_="box", tabindex=0, role="region", aria_label=f"Domains of {data.name}")


def _line(model: ModelSummary, place: int, data: DatasetSummary, further: Sequence[Column], scale: Scale | None) -> Html:
    return tag(
        "tr",
        tag("td", _named(model, place, data.folds), class_="model", data_value=model.name),
        tag("td", score_text(model), data_value=f"{model.entry.score[0]:.6f}"),
        tag("td", _whisker(model, place, scale), class_="word") if scale else None,
        tag("td", _group(data.groups[place]), class_="word badges") if data.groups else None,
        [_cell(each, model) for each in further],
    )


def _group(places: Sequence[int] | None) -> list[Html] | str:
    if places is None:
        return ""
    further = [tag("span", f"+{len(places) - _MOST_BADGES}", class_="soft")] if len(places) > _MOST_BADGES else []
    return [badge(place) for place in places[:_MOST_BADGES]] + further or "none"


def _cell(column: Column, model: ModelSummary) -> Html:
    value = column.value(model)
    return tag("td", column.written(model), data_value="" if value is None else f"{value:.6g}")


def _named(model: ModelSummary, place: int, folds: int) -> list[Html | None]:
    name = tag("span", badge(place), tag("span", breakable(model.entry.model)), class_="name")
    settings = tag("span", model.settings, class_="settings", title=model.settings) if model.settings else None
    return [name, settings, *(tag("span", mark, class_="mark") for mark in model.marks(folds))]


def _scale(models: Sequence[ModelSummary]) -> Scale:
    ends = [value for model in models for value in (*(model.interval or ()), model.entry.score[0])]
    return Scale.around(ends, 5, _WIDTH - 5, room=0.02)


def _whisker(model: ModelSummary, place: int, scale: Scale) -> Html | None:
    """Draw the interval of a model on the scale that all models share."""
    if model.interval is None:
        return None
    low, high = model.interval
    middle, text = _HEIGHT / 2, interval_text(model)
    drawn = drawing(
        tag("title", text),
        tag("path", d=_bracket(scale(low), scale(high), middle), class_="span"),
        tag("circle", cx=scale(model.entry.score[0]), cy=middle, r=3.5, class_="dot"),
        width=_WIDTH,
        height=_HEIGHT,
        alt=text,
        class_=f"whisker m{place % COLOURS}",
    )
    return tag("span", drawn, tag("span", text, class_="soft"))


def _bracket(low: float, high: float, middle: float) -> str:
    """Return the path of a line with short strokes at both ends."""
    return f"M{low:.1f} {middle - 3.5}v7m0 -3.5H{high:.1f}m0 -3.5v7"
