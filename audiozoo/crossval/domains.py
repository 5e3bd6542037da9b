"""Scores of test clips by domain, such as the recording device, from the scores that rows keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.testscores import TestScores


class DomainScore(NamedTuple):
    """Score on the test clips of a domain.

    Args:
        domain: Name of the domain; "seen" and "unseen" are all clips of domains with and without training clips.
        seen: Whether training clips have the domain.
        clips: Number of test clips.
        score: Metric of these clips.
    """

    domain: str
    seen: bool
    clips: int
    score: float


def domain_scores(tests: Sequence[TestScores], metric: str) -> list[DomainScore]:
    """Measure the test clips of each domain.

    Args:
        tests: Scores of the test clips of a model's rows; the clips of all of them count together.
        metric: Name from `audiozoo.metrics.METRICS`, or "map" for several labels.

    Returns:
        The domains that training clips have, then the others, each in the order of their names. If there are both, the last two
        are "seen" and "unseen". The list is empty if a row lacks the domains of its clips or if the metric needs thresholds.
    """
    measure: Callable[..., Any] | None = {**metrics.METRICS, "map": metrics.mean_average_precision}.get(metric)
    if not tests or measure is None or not all(test.domains for test in tests):
        return []
    scores, targets = np.concatenate([test.scores for test in tests]), np.concatenate([test.classes for test in tests])
    domains = np.concatenate([np.array(test.domains) for test in tests])
    # A domain that only some folds trained on is not new to the model.
    seen = sorted(set(domains) & {name for test in tests for name in test.seen_domains})
    unseen = sorted(set(domains) - {"", *seen})
    groups = {name: ([name], name in seen) for name in (*seen, *unseen)}
    if seen and unseen:
        groups |= {"seen": (seen, True), "unseen": (unseen, False)}
    found = []
    for name, (members, known) in groups.items():
        chosen = np.isin(domains, members)
        found.append(DomainScore(str(name), known, int(chosen.sum()), float(measure(scores[chosen], targets[chosen]))))
    return found
