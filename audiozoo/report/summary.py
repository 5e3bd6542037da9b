"""Rows summarised for a report: by dataset, and there by model with its settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.crossval import DomainScore, LabelLeaderboardEntry, LeaderboardEntry, Row, domain_scores
from audiozoo.crossval.certainty import certainty
from audiozoo.crossval.leaderboard import entry_of
from audiozoo.crossval.variants import settings_apart, settings_text, variant
from audiozoo.report.figures import shortened

MOST_LISTED = 200
"""Number of models in the tables of a dataset; the charts show fewer."""

_SHOWN = 48  # characters of the settings in a name


@dataclass(frozen=True, eq=False)
class ModelSummary:
    """Results of a model with one choice of settings on one dataset.

    Args:
        name: Name of the model, with the settings that set it apart from other entries of the same model.
        rows: Its rows: one for each fold and seed.
        entry: Its entry on the leaderboard.
        settings: All settings that differ from those of other entries of the same model.
        interval: 95 % interval of the metric that ranks the models; `None` if it is not known.
    """

    name: str
    rows: tuple[Row, ...]
    entry: LeaderboardEntry | LabelLeaderboardEntry
    settings: str = ""
    interval: tuple[float, float] | None = None

    @property
    def seeds(self) -> int:
        """Number of different seeds."""
        return len({row.seed for row in self.rows})

    @property
    def folds(self) -> int:
        """Number of different test folds."""
        return len({row.fold for row in self.rows})

    @property
    def stale(self) -> int:
        """Number of rows that another version of the code computed."""
        return sum(row.stale for row in self.rows)

    def marks(self, folds: int) -> list[str]:
        """Return what a reader must know before comparing the model, given the number of folds of the dataset."""
        found = [f"{self.folds} of {folds} folds"] if self.folds < folds else []
        return found + ([f"older code: {self.stale} of {len(self.rows)} rows"] if self.stale else [])

    @cached_property
    def by_class(self) -> np.ndarray:
        """Accuracy of each class, or average precision for several labels; NaN for a class without clips, ``(classes,)``."""
        if isinstance(self.entry, LabelLeaderboardEntry):
            return self.entry.average_precision
        clips = self.entry.confusion.sum(axis=1)
        return np.where(clips > 0, self.entry.confusion.diagonal() / np.maximum(clips, 1), np.nan)

    @cached_property
    def by_domain(self) -> list[DomainScore]:
        """Metric of the dataset for each domain of the test clips; empty if the rows do not know them."""
        tests = [row.test for row in self.rows if row.test]
        return domain_scores(tests, self.rows[0].metric) if len(tests) == len(self.rows) else []

    @cached_property
    def calibration_error(self) -> float | None:
        """Expected calibration error over all test clips; `None` if rows lack their scores, or clips have several labels."""
        tests = [row.test for row in self.rows if row.test]
        if isinstance(self.entry, LabelLeaderboardEntry) or len(tests) < len(self.rows):
            return None
        # Only the highest score counts and whether it is right: all scores of thousands of rows take gigabytes.
        highest = np.concatenate([test.scores.max(axis=1) for test in tests])
        wrong = np.concatenate([test.scores.argmax(axis=1) != test.classes for test in tests])
        two = np.stack([highest, np.full_like(highest, -np.inf)], axis=1)
        return metrics.expected_calibration_error(two, wrong.astype(int))

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the rows."""
        return float(np.mean([row.measures.measure(metric) for row in self.rows]))

    @property
    def train_seconds(self) -> float:
        """Median time to train one fold (seconds)."""
        return float(np.median([row.train_seconds for row in self.rows]))

    def watt_hours(self, of: str) -> float | None:
        """Return the median of a field of `Energy` over the rows that have it (watt-hours); `None` if none has."""
        known = [getattr(row.energy, of) for row in self.rows if row.energy]
        return 1e3 * float(np.median(known)) if known else None

    @cached_property
    def curves(self) -> dict[str, list[list[float]]]:
        """Metrics of each epoch by name, a list for each row that has a history; values that are not finite are NaN."""
        found: dict[str, list[list[float]]] = {}
        for row in self.rows:
            for name, values in row.history.items():
                finite = [value if math.isfinite(value) else math.nan for value in values]
                if not all(map(math.isnan, finite)):
                    found.setdefault(name, []).append(finite)
        return found


@dataclass(frozen=True, eq=False)
class DatasetSummary:
    """Results of all models on one dataset.

    Args:
        name: Name of the dataset.
        metric: Metric that ranks the models.
        labels: Class names.
        models: Models, best first, and those that were not tested on all folds after the others.
        folds: Number of different test folds.
        rows: Number of rows.
        groups: Places of the models that each model is not told apart from, `None` where this is not known, see `Certainty`;
            empty if it is known of no model.
    """

    name: str
    metric: str
    labels: tuple[str, ...]
    models: tuple[ModelSummary, ...]
    folds: int
    rows: int
    groups: tuple[tuple[int, ...] | None, ...] = ()

    @property
    def several_labels(self) -> bool:
        """Whether clips have several labels."""
        return isinstance(self.models[0].entry, LabelLeaderboardEntry)


def summarised(rows: Iterable[Row], *, certain: bool = True) -> list[DatasetSummary]:
    """Summarise rows by dataset and model.

    Rows of one model with other options, frontends, recipes or initial weights are different entries; seeds and folds are not.

    Args:
        rows: Rows of any datasets and models.
        certain: Whether to compute intervals and groups, which takes most of the time.

    Returns:
        A summary for each dataset, in the order of the names.

    Raises:
        ValueError: There are no rows.
    """
    datasets: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        kind = type(row.measures).__name__
        datasets.setdefault((row.request.dataset, row.metric, row.labels, kind), []).append(row)
    if not datasets:
        raise ValueError("a report needs at least one row, got none: run `audiozoo benchmark` first, or name another folder")
    found = [_dataset(*key[:3], rows=datasets[key]) for key in sorted(datasets)]
    return list(map(_with_certainty, found)) if certain else found


def _dataset(name: str, metric: str, labels: tuple[str, ...], *, rows: Sequence[Row]) -> DatasetSummary:
    variants: dict[str, list[Row]] = {}
    for row in rows:
        variants.setdefault(variant(row), []).append(row)
    names = _names([each[0] for each in variants.values()])
    models = [
        ModelSummary(name=name, rows=tuple(each), entry=entry_of(each, settings), settings=settings)
        for (name, settings), each in zip(names, variants.values(), strict=True)
    ]
    folds = len({row.fold for row in rows})
    # An easy fold would lift a model that was tested on it alone above models that were tested on all.
    models.sort(key=lambda model: (model.folds < folds, -model.entry.score[0], model.name))
    return DatasetSummary(name, metric, labels, tuple(models), folds, len(rows))


def _with_certainty(data: DatasetSummary) -> DatasetSummary:
    """Return a summary with the intervals and the groups of the models that are listed."""
    listed, others = data.models[:MOST_LISTED], data.models[MOST_LISTED:]
    known = certainty([model.rows for model in listed], data.metric)
    models = [replace(model, interval=one) for model, one in zip(listed, known.intervals, strict=True)]
    groups = known.groups if any(group is not None for group in known.groups) else ()
    return replace(data, models=(*models, *others), groups=tuple(groups))


def _names(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return a name for each row, and the settings in which it differs from the other rows of the same model."""
    apart = settings_apart(rows)
    short = [_short(row.model, each) for row, each in zip(rows, apart, strict=True)]
    return [(_numbered(short, place), settings_text(each)) for place, each in enumerate(apart)]


def _short(model: str, settings: Mapping[str, Any]) -> str:
    # Fields of nested values, such as each transform of an augmentation, would hide the others.
    text = settings_text({name: value for name, value in settings.items() if name.count(".") <= name.startswith("frontend.")})
    return f"{model} ({shortened(text, _SHOWN)})" if text else model


def _numbered(names: Sequence[str], place: int) -> str:
    """Return a name, with a number if other entries have the same."""
    same = [index for index, name in enumerate(names) if name == names[place]]
    return names[place] if len(same) == 1 else f"{names[place]} [{same.index(place) + 1}]"
