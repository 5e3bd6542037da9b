"""Table of the scores by domain, such as the recording device, for HTML and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from audiozoo.report.results import measured
from audiozoo.report.summary import ModelSummary


class DomainTable(NamedTuple):
    """Scores of models by domain.

    Args:
        head: Names of the domains, with "(unseen)" where no training clip has the domain.
        lines: Scores of each model that has them, in the order of the domains, by the place of the model.
    """

    head: tuple[str, ...]
    lines: dict[int, tuple[str, ...]]


def domain_table(models: Sequence[ModelSummary], metric: str) -> DomainTable | None:
    """Return the scores of models by domain; `None` if no clip has one.

    Args:
        models: Models of a dataset, best first.
        metric: Metric of the dataset.

    Returns:
        The table. A domain that a model was not tested on has no text.
    """
    known = {place: {one.domain: one for one in model.by_domain} for place, model in enumerate(models)}
    found = {name: one for scores in known.values() for name, one in scores.items()}
    if not found:
        return None
    # On a narrow screen only the first columns show.
    names = {name: found[name] for name in sorted(found, key=lambda name: name not in ("seen", "unseen"))}
    head = tuple(name if one.seen or name == "unseen" else f"{name} (unseen)" for name, one in names.items())
    lines = {
        place: tuple(measured(metric, scores[name].score) if name in scores else "" for name in names)
        for place, scores in known.items()
        if scores
    }
    return DomainTable(head, lines)
