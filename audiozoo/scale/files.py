"""Prediction and embedding of many files on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from audiozoo.classifier import Answer, Classifier, Ensemble, Failure
from audiozoo.classifier.embedding import Statistic
from audiozoo.classifier.many import Path, answer_or_failure
from audiozoo.scale.cluster import HERE, connect, is_client
from audiozoo.scale.pipeline import distant_rows, rows
from audiozoo.scale.stages import ERRORS, Member, Parcel, What, members_of
from audiozoo.sources import is_url

_Result = TypeVar("_Result")
_Outputs = list[np.ndarray]


class RayFiles:
    """Executor that predicts or embeds files on a Ray cluster, for `Classifier.predict_many` and `Classifier.embed_many`.

    Actors on all cores read the sounds and compute their features. Actors of their own run the models, one on each GPU, or one
    for each node if there are no GPUs. Ray starts them again on other nodes when a node is lost. The sounds must be readable
    under the same paths on all nodes, or be URLs.

    Args:
        address: Address of the cluster, see `connect`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address has a wrong form.
        ConnectionError: The cluster cannot be used; see `connect`.
    """

    def __init__(self, address: str = HERE) -> None:
        self._ray = connect(address)

    def answers(
        self, classifier: Classifier | Ensemble, paths: Iterable[Path], *, strict: bool, hop: float | None
    ) -> Iterator[tuple[str, Answer | Failure]]:
        """Compute the scores of files, see `FileExecutor.answers`.

        Args:
            classifier: Classifier or ensemble.
            paths: Paths of sound files.
            strict: Whether to raise an error for the first file that cannot be used.
            hop: Time between window starts (seconds); `None` uses the frontend's own.

        Returns:
            The path of each file with its scores or its failure, in order.
        """
        members = members_of(classifier)

        def combine(outputs: _Outputs) -> Answer:
            answers = [member.combine(part) for member, part in zip(members, outputs, strict=True)]
            return classifier.combine(answers) if isinstance(classifier, Ensemble) else answers[0]

        return self._reduced(classifier, paths, "outputs", combine, strict=strict, hop=hop)

    def vectors(
        self, classifier: Classifier | Ensemble, paths: Iterable[Path], statistic: Statistic, *, strict: bool, hop: float | None
    ) -> Iterator[tuple[str, np.ndarray | Failure]]:
        """Embed files, see `FileExecutor.vectors`.

        Args:
            classifier: Classifier or ensemble.
            paths: Paths of sound files.
            statistic: Function from the embeddings of a file's windows ``(windows, width)`` to its vector.
            strict: Whether to raise an error for the first file that cannot be used.
            hop: Time between window starts (seconds); `None` uses the frontend's own.

        Returns:
            The path of each file with its vector or its failure, in order.
        """

        def join(outputs: _Outputs) -> np.ndarray:
            return np.concatenate([statistic(part) for part in outputs])

        return self._reduced(classifier, paths, "embed", join, strict=strict, hop=hop)

    def _reduced(
        self,
        classifier: Classifier | Ensemble,
        paths: Iterable[Path],
        what: What,
        reduce: Callable[[_Outputs], _Result],
        *,
        strict: bool,
        hop: float | None,
    ) -> Iterator[tuple[str, _Result | Failure]]:
        names = [os.fspath(path) for path in paths]
        if not names:
            return
        for number, group in groupby(self._rows(classifier, names, what, hop), key=lambda row: row["number"]):
            name, parts = names[number], list(group)
            answer = partial(_answered, parts, reduce)
            yield name, answer_or_failure(name, _error(parts), answer, strict=strict)

    def _rows(self, classifier: Classifier | Ensemble, names: list[str], what: What, hop: float | None) -> Iterator[Any]:
        parcel = self._ray.put(Parcel.of(classifier))
        members = [Member(member.frontend, member.scaler, _hop(classifier, member, hop)) for member in members_of(classifier)]
        # Names of files need not be valid text.
        coded = [os.fsencode(name if is_url(name) else os.path.abspath(name)) for name in names]
        return distant_rows(coded, members, [parcel], what) if is_client(self._ray) else rows(coded, members, [parcel], what)


def _hop(classifier: Classifier | Ensemble, member: Classifier, hop: float | None) -> float | None:
    chosen = classifier.hop_of(member, hop) if isinstance(classifier, Ensemble) else hop
    member.frontend.hop_samples(chosen)  # raise for a wrong hop once, and not for each file
    return chosen


def _error(parts: list[dict[str, Any]]) -> Exception | None:
    return next((ERRORS[part["kind"]](part["error"]) for part in parts if part["kind"]), None)


def _answered(parts: list[dict[str, Any]], reduce: Callable[[_Outputs], _Result]) -> _Result:
    return reduce(_outputs(parts))


def _outputs(parts: list[dict[str, Any]]) -> _Outputs:
    """Return the outputs of all windows of a file, for each member."""
    arrays = [(part["member"], np.frombuffer(part["outputs"], np.float32).reshape(part["shape"])) for part in parts]
    return [np.concatenate([array for _, array in group]) for _, group in groupby(arrays, key=lambda one: one[0])]
