"""Columns of the leaderboard of a report, for HTML and for Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from audiozoo.report.results import OVER_SEEDS, between, duration, measured, metric_name, over_seeds, spread
from audiozoo.report.summary import MOST_LISTED, DatasetSummary, ModelSummary


class Column(NamedTuple):
    """Column of the leaderboard.

    Args:
        name: Name in the head of the table.
        value: Function that returns the number of a model, or `None`.
        text: Function that formats the number.
        first: Order of the first click on the head.
        about: Explanation of the name.
    """

    name: str
    value: Callable[[ModelSummary], float | None]
    text: Callable[[float], str]
    first: str = "ascending"
    about: str = ""

    def written(self, model: ModelSummary) -> str:
        """Return the text of a model; "" without a number."""
        value = self.value(model)
        return "" if value is None else self.text(value)


def columns(data: DatasetSummary) -> list[Column]:
    """Return the columns after the ranking metric and its interval; a column without any number is left out."""
    found = [
        _seeds_column(data.metric),
        *(_metric_column(name) for name in data.models[0].rows[0].measures.METRICS if name != data.metric),
        Column(
            "ECE",
            lambda model: model.calibration_error,
            lambda value: f"{100 * value:.1f} %",
            about="expected calibration error",
        ),
        Column("parameters", lambda model: model.entry.parameters, lambda value: f"{value:,.0f}"),
        Column("ms per clip", lambda model: model.entry.ms_per_clip, lambda value: f"{value:.1f}"),
        Column("time per training", lambda model: model.train_seconds, duration, about="median over the folds and seeds"),
        _energy_column("Wh per training", "kwh_training"),
        _energy_column("Wh per 1,000 clips", "kwh_per_thousand"),
        Column("trainings", lambda model: len(model.rows), lambda value: f"{value:.0f}", "descending", "folds times seeds"),
    ]
    return [column for column in found if any(column.value(model) is not None for model in data.models[:MOST_LISTED])]


def _metric_column(name: str) -> Column:
    return Column(metric_name(name), lambda model: model.mean(name), lambda value: measured(name, value), "descending")


def _seeds_column(metric: str) -> Column:
    return Column(
        OVER_SEEDS,
        lambda model: model.entry.seed_deviation,
        lambda value: spread(metric, value),
        about="standard deviation over the seeds of the mean over the folds",
    )


def _energy_column(name: str, of: str) -> Column:
    return Column(f"{name} (estimated)", lambda model: model.watt_hours(of), lambda value: f"{value:.2g}")


def score_text(model: ModelSummary) -> str:
    """Return the ranking metric of a model with its deviation over the folds, if there are several."""
    mean, deviation = model.entry.score
    return measured(model.entry.metric, mean, deviation if model.folds > 1 else None)


def interval_text(model: ModelSummary) -> str:
    """Return the 95 % interval of the ranking metric; "" if it is not known."""
    return "" if model.interval is None else between(model.entry.metric, model.interval)


def deviation_text(data: DatasetSummary) -> str:
    """Return a sentence that says what the deviations on the leaderboard are."""
    text = "Mean ± standard deviation over the test folds"
    if all(model.seeds == 1 for model in data.models):
        return f"{text}."
    text += ", each the mean over its seeds."
    if over_seeds(model.entry for model in data.models):
        text += f' "{OVER_SEEDS.capitalize()}" is the standard deviation over the seeds, each the mean over its folds.'
    return text
