"""Prediction and embedding of many files on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from audiozoo.classifier import Classifier, Failure
from audiozoo.classifier.many import Path, answer_or_failure
from audiozoo.classifier.manyfiles import Outputs, What
from audiozoo.scale.cluster import HERE, connect, is_client
from audiozoo.scale.pipeline import Work, distant_rows, near_rows
from audiozoo.scale.stages import ERRORS, Member, Parcel
from audiozoo.sources import is_url

_Result = TypeVar("_Result")


class RayFiles:
    """Executor that predicts or embeds files on a Ray cluster, for `Classifier.predict_many` and `Classifier.embed_many`.

    Tasks on all cores read the sounds and compute their features. Actors run the models, one on each GPU, or one for each node
    if there are no GPUs. When a node is lost, Ray repeats its tasks and starts its actors again on other nodes. The sounds must
    be readable under the same paths on all nodes, or be URLs.

    Args:
        address: Address of the cluster, see `connect`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address has a wrong form.
        ConnectionError: The cluster cannot be used; see `connect`.
    """

    def __init__(self, address: str = HERE) -> None:
        self._ray = connect(address)

    def reduced(
        self,
        paths: Iterable[Path],
        members: Sequence[tuple[Classifier, float | None]],
        what: What,
        reduce: Callable[[Outputs], _Result],
        *,
        strict: bool,
    ) -> Iterator[tuple[str, _Result | Failure]]:
        """Run models on the windows of files, see `FileExecutor.reduced`.

        Args:
            paths: Paths or URLs of sound files.
            members: Classifiers, each with its time between window starts (seconds).
            what: Method of their scorers to call.
            reduce: Function from what the members give for a file to the result.
            strict: Whether to raise an error for the first file that cannot be used.

        Yields:
            The path of each file with its result or its failure, in order.
        """
        names = [os.fspath(path) for path in paths]
        if not names:
            return
        rows = distant_rows if is_client(self._ray) else near_rows
        for number, group in groupby(rows(self._work(names, members, what)), key=lambda row: row["number"]):
            name, parts = names[number], list(group)
            answer = partial(_answered, parts, reduce)
            yield name, answer_or_failure(name, _error(parts), answer, strict=strict)

    def _work(self, names: list[str], members: Sequence[tuple[Classifier, float | None]], what: What) -> Work:
        for member, hop in members:
            member.frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each file
        # Names of files need not be valid text.
        coded = [os.fsencode(name if is_url(name) else os.path.abspath(name)) for name in names]
        parcels = self._ray.put([Parcel.of(member) for member, _ in members])
        return Work(coded, [Member(member.frontend, member.scaler, hop) for member, hop in members], [parcels], what)


def _error(parts: list[dict[str, Any]]) -> Exception | None:
    return next((ERRORS[part["kind"]](part["error"]) for part in parts if part["kind"]), None)


def _answered(parts: list[dict[str, Any]], reduce: Callable[[Outputs], _Result]) -> _Result:
    return reduce(_outputs(parts))


def _outputs(parts: list[dict[str, Any]]) -> Outputs:
    """Return the outputs of all windows of a file, for each member."""
    arrays = [(part["member"], np.frombuffer(part["outputs"], np.float32).reshape(part["shape"])) for part in parts]
    return [np.concatenate([array for _, array in group]) for _, group in groupby(arrays, key=lambda one: one[0])]
