"""Ensembles: classifiers with frontends of their own whose probabilities are averaged for each clip."""

from __future__ import annotations

import io
import itertools
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_number, require_weights
from audiozoo.classifier.alongside import Following
from audiozoo.classifier.answering import Answering
from audiozoo.classifier.calibration import TEMPERATURES, tempered
from audiozoo.classifier.classifier import Classifier
from audiozoo.classifier.clipscores import Answer, ClipScores, Timeline
from audiozoo.classifier.embedding import Statistic, statistic_named
from audiozoo.classifier.ensemblecard import MOST_MEMBERS, card_of, member_name
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.classifier.many import Path
from audiozoo.classifier.manyfiles import Outputs
from audiozoo.classifier.prediction import Failure, checked_levels
from audiozoo.classifier.steps import AnswerSteps
from audiozoo.classifier.streaming import Lane
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache, Frontend
from audiozoo.features.reading import warm_up
from audiozoo.files import replacing
from audiozoo.layers import Activation
from audiozoo.progress import Progress


@dataclass(eq=False)
class Ensemble(Answering):
    """Classifiers of the same classes. The probabilities of a clip are the weighted mean of theirs.

    Each member keeps its own frontend, windows, pooling and temperature, so a member with several windows a clip can stand
    beside one with one. The labels are those of the first member; the scores of the others are brought into its order.

    Args:
        members: Classifiers, 2 to 16.
        weights: Weight of each member, at least 0, in any scale; `None` for equal weights. They are stored with a sum of 1.
        temperature: Divisor of the logits of the mean, from 0.001 to 1,000.
        thresholds: Lowest score with which each class counts as present. `None` takes the weighted mean of the members'
            thresholds, if all have some.
        rejection: Lowest familiarity, from 0 to 1, below which a sound is "unknown"; `None` never rejects. The levels of the
            members do not apply to the mean, so they are ignored.
        history: Metrics, as for `Classifier`.
        about: Origin of the ensemble; each member has its own.

    Raises:
        ValueError: The number of members is out of range, a member is an ensemble itself, the members have different classes
            or activations, or a number is out of range.
    """

    members: tuple[Classifier, ...]
    weights: tuple[float, ...] | None = None
    temperature: float = 1.0
    thresholds: tuple[float, ...] | None = None
    rejection: float | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    about: TrainingFacts = field(default_factory=TrainingFacts)

    def __post_init__(self) -> None:
        self.members = _checked_members(self.members)
        self.labels = self.members[0].labels
        self.orders = [_order(self.labels, member, number) for number, member in enumerate(self.members, 1)]
        self.activation = _common_activation(self.members)
        weights = (1.0,) * len(self.members) if self.weights is None else tuple(self.weights)
        require_weights("weights", weights, len(self.members))
        self.weights = tuple(float(weight) / float(sum(weights)) for weight in weights)
        require_number("temperature", self.temperature, *TEMPERATURES)
        if self.thresholds is None:
            self.thresholds = self._mean_thresholds()
        self.thresholds = checked_levels(self.thresholds, self.rejection, self.labels)

    def _mean_thresholds(self) -> tuple[float, ...] | None:
        given = [member.thresholds for member in self.members]
        if any(one is None for one in given):
            return None
        ordered = [np.asarray(one)[order] for one, order in zip(given, self.orders, strict=True)]
        return tuple(np.average(ordered, axis=0, weights=self.weights).tolist())

    def answer_steps(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> AnswerSteps:
        """Compute the scores of a sound, as `answer`, for a caller that runs the models itself; see `AnswerSteps`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `answer`.

        Returns:
            The steps.
        """
        source, answers = _rereadable(source), []
        for member in self.members:
            answers.append((yield from member.answer_steps(source, sample_rate=sample_rate, hop=self._hop(member, hop))))
        return self.combine(answers)

    def combine(self, answers: Sequence[Answer]) -> Answer:
        """Combine the members' answers for a clip, in the order of the members, into the ensemble's."""
        raw = self._mean([answer.scores for answer in answers])
        scores = self._tempered(raw)
        if all(answer.familiarity is None for answer in answers):
            return Answer(scores, raw, None)
        # A member without a familiarity of its own contributes the highest probability of the ensemble.
        each = [scores.max() if answer.familiarity is None else answer.familiarity for answer in answers]
        return Answer(scores, raw, float(np.dot(self.weights or (), each)))

    def timeline_parts(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Iterator[Timeline]:
        """Compute scores for the windows of the member with the longest windows, a batch of windows at a time.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `answer`.

        Yields:
            The times of these windows, and the weighted means of the scores. Another member contributes the mean over its
            windows that lie inside the long one, or its nearest window if there are none.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        source, longest = _rereadable(source), self._longest

        def parts(member: Classifier) -> Iterator[Timeline]:
            return member.timeline_parts(source, sample_rate=sample_rate, hop=self._hop(member, hop))

        for member in self.members:
            warm_up(member.frontend)  # before the thread of the first one starts
        others = [None if member is longest else Following(parts(member)) for member in self.members]
        for main in parts(longest):
            scores = self._mean([main.scores if other is None else other.inside(main) for other in others])
            yield Timeline(main.starts, main.ends, self._tempered(scores))

    def lanes(self) -> tuple[list[Lane], Callable[[list[np.ndarray]], np.ndarray]]:
        """Return the frontends of the members with their models, for a `Stream`."""
        lanes = [lane for member in self.members for lane in member.lanes()[0]]
        return lanes, lambda scores: self._tempered(self._mean(scores))

    @property
    def window_frontend(self) -> Frontend:
        """Frontend that sets the windows of `timeline`: that of the member with the longest windows."""
        return self._longest.frontend

    @property
    def _longest(self) -> Classifier:
        return max(self.members, key=lambda member: member.frontend.duration)

    def _hop(self, member: Classifier, hop: float | None) -> float | None:
        # A hop longer than the longest window is an error, which that member raises.
        return hop if hop is None or member is self._longest else min(hop, member.frontend.duration)

    def embed(
        self,
        source: audio.Source | np.ndarray,
        *,
        sample_rate: float | None = None,
        hop: float | None = None,
        statistic: str | Statistic = "mean",
    ) -> np.ndarray:
        """Embed a sound as the concatenation of the members' vectors.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `answer`.
            statistic: Statistic over the windows, as for `Classifier.embed`; not "windows", because the members' differ.

        Returns:
            The vector, ``(sum of the widths,)``.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used, a member has no embedding, or the statistic is unknown.
        """
        source, reduce = _rereadable(source), statistic_named(statistic)
        vectors = [
            member.embed(source, sample_rate=sample_rate, hop=self._hop(member, hop), statistic=reduce)
            for member in self.members
        ]
        return np.concatenate(vectors)

    def _members(self, hop: float | None) -> list[tuple[Classifier, float | None]]:
        return [(member, self._hop(member, hop)) for member in self.members]

    def _combined(self, outputs: Outputs) -> Answer:
        return self.combine([member.combine(part) for member, part in zip(self.members, outputs, strict=True)])

    def _answers(self, paths: Iterable[Path], *, hop: float | None, **how: Any) -> Iterator[tuple[str, Answer | Failure]]:
        # Each member reads the files itself, because frontends differ in rates and channels.
        members = self._side_by_side(paths, lambda member, some, hop: member._answers(some, hop=hop, **how), hop)
        for path, answers in members:
            yield path, answers if isinstance(answers, Failure) else self.combine(answers)

    def _vectors(
        self, paths: Iterable[Path], statistic: Statistic, *, hop: float | None, **how: Any
    ) -> Iterator[tuple[str, np.ndarray | Failure]]:
        members = self._side_by_side(paths, lambda member, some, hop: member._vectors(some, statistic, hop=hop, **how), hop)
        for path, vectors in members:
            yield path, vectors if isinstance(vectors, Failure) else np.concatenate(vectors)

    def _side_by_side(
        self, paths: Iterable[Path], run: Callable[[Classifier, Iterable[Path], float | None], Any], hop: float | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield the path of each file with the members' results, or with the first failure."""
        shared = itertools.tee(paths, len(self.members))
        running = [run(member, some, own) for (member, own), some in zip(self._members(hop), shared, strict=True)]
        for found in zip(*running, strict=True):
            results = [result for _, result in found]
            failed = [result for result in results if isinstance(result, Failure)]
            yield found[0][0], failed[0] if failed else results

    def score_clips(
        self, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
    ) -> ClipScores:
        """Score many clips. A clip counts if every member can read it.

        Args:
            clips: Clips to score; their labels are ignored.
            cache: Cache of features; `None` for no cache.
            progress: Callback, see `audiozoo.progress`.

        Returns:
            The scores of the clips that every member could read.

        Raises:
            ValueError: No clip can be read by every member.
        """
        return self.combine_clips([member.score_clips(clips, cache=cache, progress=progress) for member in self.members])

    def combine_clips(self, scored: Sequence[ClipScores]) -> ClipScores:
        """Combine the members' scores of the same clips, in the order of the members, into the ensemble's.

        Raises:
            ValueError: There is no clip that all members could read.
        """
        failures = {place: reason for one in scored for place, reason in one.failures.items()}
        common = sorted(set.intersection(*(set(one.index.tolist()) for one in scored)))
        if not common:
            raise ValueError("\n".join(["no clip can be read by all members", *failures.values()]))
        places = [{clip: place for place, clip in enumerate(one.index.tolist())} for one in scored]
        answers = [
            self.combine([one.answer(place[clip]) for one, place in zip(scored, places, strict=True)]) for clip in common
        ]
        return ClipScores.of(answers, np.array(common), failures)

    def _mean(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Return the weighted mean of the members' scores ``(..., classes)``, each in the order of its own labels."""
        ordered = [one[..., order] for one, order in zip(scores, self.orders, strict=True)]
        return np.tensordot(np.asarray(self.weights), np.stack(ordered), axes=1)

    def _tempered(self, scores: np.ndarray) -> np.ndarray:
        return scores if self.temperature == 1 else tempered(scores, self.temperature, self.activation)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the ensemble with its members as one file, a ZIP archive of `card.json` and a file for each member.

        The file is written atomically, like that of a `Classifier`.

        Raises:
            OSError: The file cannot be written.
            ValueError: The path is a folder, or a value could not be loaded again.
        """
        card = card_of(
            {
                "members": len(self.members),
                "weights": list(self.weights or ()),
                "temperature": self.temperature,
                "thresholds": self.thresholds and list(self.thresholds),
                "rejection": self.rejection,
                "history": self.history,
                "about": self.about.to_dict(),
            }
        )
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("card.json", card)
            for number, member in enumerate(self.members):
                content = io.BytesIO()
                member.write(content)
                archive.writestr(member_name(number), content.getvalue())


def _checked_members(members: Sequence[Any]) -> tuple[Classifier, ...]:
    if not 2 <= len(members) <= MOST_MEMBERS:
        raise ValueError(f"an ensemble has 2 to {MOST_MEMBERS} members, got {len(members)}")
    for member in members:
        if isinstance(member, Ensemble):
            raise ValueError("a member is an ensemble itself: give its members instead, with weights= for their shares")
        if not isinstance(member, Classifier):
            raise ValueError(f"members must be classifiers, got {type(member).__name__}")
    return tuple(members)


def _order(labels: Sequence[str], member: Classifier, number: int) -> np.ndarray:
    """Return the indices that bring a member's scores into the order of the labels."""
    missing, further = set(labels) - set(member.labels), set(member.labels) - set(labels)
    if missing or further:
        lacks = f"member {number} lacks the classes {', '.join(sorted(missing))}" if missing else ""
        adds = f"only member {number} has the classes {', '.join(sorted(further))}" if further else ""
        raise ValueError(
            f"the members of an ensemble must have the same classes, in any order; {'; '.join(filter(None, (lacks, adds)))}"
        )
    places = {label: place for place, label in enumerate(member.labels)}
    return np.array([places[label] for label in labels])


def _common_activation(members: Sequence[Classifier]) -> Activation:
    kinds = {member.activation for member in members} - {None}
    if len(kinds) > 1:
        raise ValueError(
            "some members give one label a clip (softmax) and others several (sigmoid), so their scores cannot be averaged: "
            "train all of them for the same task"
        )
    return kinds.pop() if kinds else None


def _rereadable(source: audio.Source | np.ndarray) -> audio.Source | np.ndarray:
    """Read an open file, because each member needs it from the beginning."""
    opened: IO[bytes] | None = source if hasattr(source, "read") else None  # type: ignore[assignment]
    return source if opened is None else opened.read()
