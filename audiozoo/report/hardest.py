"""Test clips that most models get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiozoo.crossval import TestScores
from audiozoo.report.summary import DatasetSummary


class HardClip(NamedTuple):
    """Test clip that most models get wrong.

    Args:
        name: Name of the clip in the rows.
        label: True class.
        taken_for: Class that was predicted most often instead.
        wrong: Share of the models that are wrong, where seeds of a model count as parts of it.
        models: Number of models that were tested on the clip.
        probability: Mean score of the true class.
    """

    name: str
    label: str
    taken_for: str
    wrong: float
    models: int
    probability: float

    @property
    def share(self) -> str:
        """Share of the models that are wrong, as text."""
        return f"{100 * self.wrong:.0f} % of {self.models} models" if self.models > 1 else "the only model tested on it"


def hardest_clips(data: DatasetSummary, *, most: int = 12) -> list[HardClip]:
    """List the clips that more than half of the models get wrong, the hardest first.

    Args:
        data: Dataset with its models. Rows without scores of their clips are ignored.
        most: Largest number of clips.

    Returns:
        The clips; empty for clips of several labels.
    """
    if data.several_labels:
        return []
    tested = [tests for model in data.models if (tests := [row.test for row in model.rows if row.test])]
    tally = _Tally(sorted({name for tests in tested for test in tests for name in test.clips}), data.labels)
    for tests in tested:
        tally.add(tests)
    return tally.hardest(most)


def _answers(test: TestScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the predicted class, the true class and the score of the true class of each clip."""
    targets = test.classes
    return test.scores.argmax(axis=1), targets, test.scores[np.arange(len(targets)), targets]


class _Tally:
    """Counts of each clip over models: how many are wrong, and which classes they predict."""

    def __init__(self, names: Sequence[str], labels: Sequence[str]) -> None:
        self.names, self.labels = names, labels
        self.place = {name: place for place, name in enumerate(names)}
        self.wrong, self.models, self.probability = np.zeros((3, len(names)))
        self.taken = np.zeros((len(names), len(labels)))
        self.target = np.zeros(len(names), int)

    def add(self, tests: Sequence[TestScores]) -> None:
        """Add the tests of a model, at least one."""
        places = np.array([self.place[name] for test in tests for name in test.clips], int)
        chosen, targets, given = (np.concatenate(each) for each in zip(*map(_answers, tests), strict=True))
        missed = chosen != targets
        times, wrong, probability = (np.bincount(places, each, len(self.names)) for each in (None, missed, given))
        self.taken += np.bincount(places * len(self.labels) + chosen, missed, self.taken.size).reshape(self.taken.shape)
        self.target[places] = targets
        # The trainings of a model with several seeds count as one model.
        self.wrong += wrong / np.maximum(times, 1)
        self.probability += probability / np.maximum(times, 1)
        self.models += times > 0

    def hardest(self, most: int) -> list[HardClip]:
        shares, scores = (each / np.maximum(self.models, 1) for each in (self.wrong, self.probability))
        # Among equal shares, a clip that more models were tested on says more.
        order = [int(place) for place in np.lexsort((scores, -self.models, -shares)) if shares[place] > 0.5]
        return [self._clip(place, float(shares[place]), float(scores[place])) for place in order[:most]]

    def _clip(self, place: int, share: float, probability: float) -> HardClip:
        label, taken = self.labels[self.target[place]], self.labels[int(self.taken[place].argmax())]
        return HardClip(self.names[place], label, taken, share, int(self.models[place]), probability)
